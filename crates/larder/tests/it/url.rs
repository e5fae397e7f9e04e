use std::time::Duration;

use larder::{StoreUrl, Timeout};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use proptest::prelude::*;

fn url(text: &str) -> StoreUrl {
    text.parse().unwrap()
}

fn host(name: &str, port: Option<u16>) -> (String, Option<u16>) {
    (name.to_owned(), port)
}

#[test]
fn every_part_is_found_and_decoded() {
    let full = url(
        "Redis+TLS://us%65r:p%40s%3As%2F%3F%23@A.example:1,[2001:db8::1]:65535,c/data/%20base?a=1&b=%26%3D&c=x+y=z",
    );
    assert_eq!(full.scheme(), "redis+tls");
    assert_eq!(full.username(), Some("user"));
    assert_eq!(full.password(), Some("p@s:s/?#"));
    assert_eq!(full.hosts(), [host("a.example", Some(1)), host("2001:db8::1", Some(65535)), host("c", None)]);
    assert_eq!(full.path(), "/data/ base");
    assert_eq!(full.text("a"), Some("1"));
    assert_eq!(full.text("b"), Some("&="));
    assert_eq!(full.text("c"), Some("x+y=z"));
    assert_eq!(full.text("d"), None);
}

#[test]
fn every_part_can_be_absent() {
    let bare = url("memory://");
    assert_eq!((bare.username(), bare.password(), bare.path()), (None, None, ""));
    assert!(bare.hosts().is_empty());
    assert_eq!(url("x://:secret@h").username(), None);
    assert_eq!(url("x://:secret@h").password(), Some("secret"));
    assert_eq!(url("x://me@h").password(), None);
    assert_eq!(url("x://me:@h").password(), None);
    assert_eq!(url("x:///a").hosts(), []);
    // A password with an `@` that should have been encoded: the last one ends it.
    assert_eq!(url("x://me:a@b@h").password(), Some("a@b"));
}

#[test]
fn hosts_and_ports_out_of_shape_are_refused() {
    for authority in [
        ":1", "h:", "h:0", "h:65536", "h:+1", "h:1:2", "h,", ",h", "[::1", "[::1]x", "[g]", "[]", "h h",
        "a%20b", "@",
    ] {
        let parsed = format!("x://{authority}").parse::<StoreUrl>();
        if authority == "@" {
            // Nobody at nowhere.
            assert!(parsed.unwrap().hosts().is_empty());
        } else {
            let message = parsed.unwrap_err().to_string();
            assert!(
                message.contains("host") || message.contains("port") || message.contains("space"),
                "{message}"
            );
        }
    }
}

#[test]
fn weights_and_sockets_are_only_where_they_mean_something() {
    assert_eq!(
        url("memcached://a*2,b:1*65535,[::1]*3").hosts(),
        [host("a", None), host("b", Some(1)), host("::1", None)]
    );
    for authority in ["a*0", "a*", "a*65536", "a*x", "a*1*2", "a*1:2", "*1", "a*-1"] {
        let error = format!("memcached://{authority}").parse::<StoreUrl>().unwrap_err().to_string();
        assert!(error.contains("a weight in a store URL") || error.contains("host"), "{error}");
    }
    for scheme in ["postgres", "postgresql"] {
        let socket = url(&format!("{scheme}://me@%2Frun%2FPg%20x:6000,b/shop"));
        assert_eq!(socket.hosts(), [host("/run/Pg x", Some(6000)), host("b", None)]);
    }
    for refused in [
        "redis://a*2",
        "postgres://a*2",
        "redis://%2Frun",
        "memcached://%2Frun",
        "postgres://a%20b",
        "postgres://run%2Fpg",
        "postgres://%2Frun%0A",
        "postgres://%2Frun%ff",
        "postgres://%2Frun%2",
    ] {
        let error = refused.parse::<StoreUrl>().unwrap_err().to_string();
        assert!(error.contains("a host in a store URL"), "{refused}: {error}");
    }
}

#[test]
fn settings_are_read_as_what_they_are() {
    let url = url("x://?n=1_000&b=2GiB&f=true&t=never&z=0&d=1h30m&w=two");
    assert_eq!(url.number("n").unwrap(), Some(1_000));
    assert_eq!(url.bytes("b").unwrap(), Some(2 << 30));
    assert_eq!(url.bytes("n").unwrap(), Some(1_000));
    assert_eq!(url.flag("f").unwrap(), Some(true));
    assert_eq!(url.timeout("t").unwrap(), Some(Timeout::Never));
    assert_eq!(url.timeout("z").unwrap(), Some(Timeout::Never));
    assert_eq!(url.duration("d").unwrap(), Some(Duration::from_mins(90)));
    assert_eq!(url.choice("w", &[("one", 1), ("two", 2)]).unwrap(), Some(2));
    for absent in [url.number("no").unwrap().is_none(), url.flag("no").unwrap().is_none()] {
        assert!(absent);
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    let url = url("x://?a=18446744073709551616&b=18014398509481984KiB&c=_&d=1e3&e=0x10&f=%D9%A1&g=KiB");
    for name in ["a", "c", "d", "e", "f", "g"] {
        assert!(url.number(name).is_err(), "{name}");
    }
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        assert!(url.bytes(name).is_err(), "{name}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = text.parse::<StoreUrl>();
        let _ = format!("x://{text}").parse::<StoreUrl>();
        let _ = format!("x://?{text}").parse::<StoreUrl>();
        let _ = format!("memcached://{text}").parse::<StoreUrl>();
        let _ = format!("postgres://{text}").parse::<StoreUrl>();
    }

    #[test]
    fn nothing_that_looks_like_a_url_makes_it_panic(text in "[a-z]{0,3}:?/?/?[a-z0-9:@%,/?&=#\\[\\]é.]{0,40}") {
        if let Ok(url) = text.parse::<StoreUrl>() {
            for name in ["a", "b"] {
                let _ = (url.number(name), url.bytes(name), url.flag(name), url.timeout(name), url.duration(name));
            }
        }
    }

    #[test]
    fn what_is_encoded_comes_back(user in "\\PC{1,9}", password in any::<String>(), path in any::<String>(), value in any::<String>()) {
        let encode = |text: &str| percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
        let [user_code, password_code, path_code, value_code] = [&user, &password, &path, &value].map(|text| encode(text));
        let url = url(&format!("x://{user_code}:{password_code}@host:1/{path_code}?value={value_code}"));
        prop_assert_eq!(url.username(), Some(user.as_str()));
        prop_assert_eq!(url.password().unwrap_or(""), password);
        prop_assert_eq!(url.path(), format!("/{path}"));
        prop_assert_eq!(url.text("value"), Some(value.as_str()));
    }
}
