use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use larder::Timeout;
use larder_examples::Args;
use larder_examples::args::{BadArgs, HELP};

fn parse(given: &[&str]) -> Result<Option<Args>, BadArgs> {
    Args::parse(given.iter().map(OsString::from))
}

#[test]
fn nothing_given_means_the_defaults_that_the_help_states() {
    let args = parse(&[]).unwrap().unwrap();
    assert_eq!(args, Args::default());
    assert!(HELP.contains(&format!("[{}]", args.port)));
    assert!(HELP.contains(&format!("[{}]", args.cache)));
    assert_eq!(args.timeout, Timeout::Default);
    assert_eq!(args.cache().unwrap().url().scheme(), "memory");
    assert!(args.root.join("examples/Cargo.toml").is_file(), "{}", args.root.display());
}

#[test]
fn values_follow_their_option_or_an_equals_sign_and_the_last_counts() {
    let args = parse(&["--port", "1", "--cache=null://?a=b", "--root", "docs", "--timeout", "0", "--port=0"]);
    let args = args.unwrap().unwrap();
    assert_eq!(args.port, 0);
    assert_eq!(args.cache, "null://?a=b");
    assert_eq!(args.root, Path::new("docs"));
    assert_eq!(args.timeout, Timeout::Never);
}

#[test]
fn a_file_can_describe_the_cache() {
    let directory =
        crate::fixture::directory("args_config", &[("larder.toml", "[cache]\nurl = 'null://'\n")]);
    let file = directory.join("larder.toml");
    let args = parse(&["--config", file.to_str().unwrap()]).unwrap().unwrap();
    assert_eq!(args.config.as_deref(), Some(&*file));
    assert_eq!(args.cache().unwrap().url().scheme(), "null");

    let args = parse(&["--config=no/such/file.toml"]).unwrap().unwrap();
    let error = args.cache().unwrap_err().to_string();
    assert!(error.starts_with("`no/such/file.toml`: there is no such file: "), "{error}");

    for given in [["--cache=null://", "--config=a"], ["--config=a", "--cache=memory://"]] {
        assert_eq!(
            parse(&given).unwrap_err().to_string(),
            "--cache and --config both say where to keep what is cached: leave one"
        );
    }
}

#[test]
fn errors_name_the_option_and_what_was_typed() {
    for (given, said) in [
        (&["--prot", "1"][..], "`--prot` is no option"),
        (&["quickstart"], "`quickstart` is no option"),
        (&["--port"], "--port needs a value after it"),
        (&["--port", "65536"], "--port takes a number from 0 to 65535, not `65536`"),
        (&["--port=-1"], "--port takes a number from 0 to 65535, not `-1`"),
    ] {
        assert_eq!(parse(given).unwrap_err().to_string(), said);
    }
    assert_eq!(parse(&["--timeout=90"]).unwrap().unwrap().timeout, Timeout::After(Duration::from_secs(90)));
    let error = parse(&["--timeout", "soon"]).unwrap_err().to_string();
    assert!(error.starts_with("--timeout: "), "{error}");
    assert!(error.contains("soon"), "{error}");
}

#[test]
fn help_is_not_an_error() {
    assert_eq!(parse(&["--port", "1", "--help"]).unwrap(), None);
    assert_eq!(parse(&["-h"]).unwrap(), None);
}

#[test]
fn debug_does_not_show_the_address_of_the_store() {
    let args = parse(&["--cache", "redis://user:hunter2@host"]).unwrap().unwrap();
    assert!(!format!("{args:?}").contains("hunter2"));
}

#[test]
fn a_server_whose_client_is_not_compiled_in_says_what_to_type() {
    for (url, feature, is_on) in [
        ("redis://me:hunter2@host", "redis", cfg!(feature = "redis")),
        ("rediss+cluster://a,b", "redis", cfg!(feature = "redis")),
        ("unix:///run/redis.sock", "redis", cfg!(feature = "redis")),
        ("memcached://a,b", "memcached", cfg!(feature = "memcached")),
        ("memcached+unix:///run/m.sock", "memcached", cfg!(feature = "memcached")),
        ("postgres://me:hunter2@host/shop", "postgres", cfg!(feature = "postgres")),
    ] {
        let cache = parse(&["--cache", url]).unwrap().unwrap().cache();
        if is_on {
            assert!(cache.is_ok(), "{url}");
            continue;
        }
        let (scheme, _) = url.split_once("://").unwrap();
        assert_eq!(
            cache.unwrap_err().to_string(),
            format!(
                "the client for `{scheme}://` is not compiled in; this does it: \
                 cargo run --example quickstart --features {feature} -- --cache {scheme}://.."
            )
        );
    }
    assert!(parse(&["--cache", "etcd://a"]).unwrap().unwrap().cache().is_ok(), "told when it opens");
}
