//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process;

use larder::{CacheConfig, Error, ErrorKind, Timeout};

/// What the command line may say.
pub const HELP: &str = "\
A small web site over this repository's documents, with a cache in front.

Usage: cargo run --example quickstart -- [OPTIONS]

  --port N       the port on 127.0.0.1; 0 takes any free one [3000]
  --cache URL    where to keep what is cached, as file:///tmp/larder [memory://];
                 on a server, as redis://localhost, memcached://a,b,c or
                 postgres://me@localhost/app: its client is then compiled first
  --config FILE  the same from the table [cache] of a TOML file, with settings
  --timeout T    how long to keep it: \"90\", \"5m\", \"1h30m\"; 0 means for ever [5m]
  --root DIR     the directory whose Markdown files to show [this repository]
  --help         this text
";

/// The options, each with a default. The address of the store, which may hold a password, is not in their `Debug`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Args {
    /// The port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The address of the store, unless there is a `config`.
    pub cache: String,
    /// The TOML file that describes the cache.
    pub config: Option<PathBuf>,
    /// How long to keep what is cached; unless it is given, what the cache was connected with.
    pub timeout: Timeout,
    /// The directory whose Markdown files are shown.
    pub root: PathBuf,
}

/// Why the command line could not be followed, in words for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadArgs(String);

/// The feature of a store that is a server, and whether it is on.
fn server(scheme: &str) -> Option<(&'static str, bool)> {
    let kind = scheme.split('+').next().unwrap_or(scheme);
    match kind {
        "redis" | "rediss" | "unix" => Some(("redis", cfg!(feature = "redis"))),
        "memcached" | "memcacheds" => Some(("memcached", cfg!(feature = "memcached"))),
        "postgres" | "postgresql" => Some(("postgres", cfg!(feature = "postgres"))),
        _ => None,
    }
}

impl Default for Args {
    fn default() -> Self {
        Self {
            port: 3000,
            cache: "memory://".to_owned(),
            config: None,
            timeout: Timeout::Default,
            root: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")),
        }
    }
}

impl Args {
    /// The options this process was started with.
    ///
    /// Ends the process when help was asked for, and, with status 2, when they cannot be followed.
    pub fn from_env() -> Self {
        let given: Vec<OsString> = std::env::args_os().skip(1).collect();
        match Self::parse(given.iter().cloned()) {
            Ok(Some(args)) => {
                crate::rebuild::if_needed(&args, &given);
                args
            }
            Ok(None) => exit(0, HELP),
            Err(error) => exit(2, &format!("error: {error}\n\n{HELP}")),
        }
    }

    /// Reads options; the last of two that say the same thing counts. `None` when help was asked for.
    pub fn parse(given: impl IntoIterator<Item = OsString>) -> Result<Option<Self>, BadArgs> {
        let mut args = Self::default();
        let mut addressed = false;
        let mut given = given.into_iter();
        while let Some(option) = given.next() {
            let Some(option) = option.to_str() else {
                return Err(BadArgs(format!("`{}` is no option", option.display())));
            };
            let (name, joined) = match option.split_once('=') {
                Some((name, value)) => (name, Some(OsString::from(value))),
                None => (option, None),
            };
            if !["--port", "--cache", "--config", "--timeout", "--root", "--help", "-h"].contains(&name) {
                return Err(BadArgs(format!("`{option}` is no option")));
            }
            if matches!(name, "--help" | "-h") {
                return Ok(None);
            }
            let value = joined
                .or_else(|| given.next())
                .ok_or_else(|| BadArgs(format!("{name} needs a value after it")))?;
            addressed |= name == "--cache";
            args.set(name, value)?;
        }
        if addressed && args.config.is_some() {
            return Err(BadArgs(
                "--cache and --config both say where to keep what is cached: leave one".to_owned(),
            ));
        }
        Ok(Some(args))
    }

    /// The cache that they ask for; by `memcached://`, one that is cleared by stamps. On a server whose client is not compiled in, an error says how to compile it.
    pub fn cache(&self) -> larder::Result<CacheConfig> {
        let config: CacheConfig = match &self.config {
            Some(file) => CacheConfig::from_file(file)?,
            None => self.cache.parse()?,
        };
        let scheme = config.url().scheme();
        match server(scheme) {
            Some((feature, false)) => {
                let option = match &self.config {
                    Some(file) => format!("--config {}", file.display()),
                    None => format!("--cache {scheme}://.."),
                };
                Err(Error::new(
                    ErrorKind::Config,
                    format!(
                        "the client for `{scheme}://` is not compiled in; this does it: \
                         cargo run --example quickstart --features {feature} -- {option}"
                    ),
                ))
            }
            // memcached cannot list its keys: `/reset` needs namespaces that are cleared by stamps.
            Some(("memcached", true)) if self.config.is_none() && config.url().text("clear_by").is_none() => {
                let separator = if self.cache.contains('?') { '&' } else { '?' };
                format!("{}{separator}clear_by=stamps", self.cache).parse()
            }
            Some((_, true)) | None => Ok(config),
        }
    }

    /// The feature that the store needs, where it is off. What cannot be read needs none: it is refused later.
    pub(crate) fn missing_feature(&self) -> Option<&'static str> {
        let config = match &self.config {
            Some(file) => CacheConfig::from_file(file).ok()?,
            None => self.cache.parse().ok()?,
        };
        server(config.url().scheme()).and_then(|(feature, is_on)| (!is_on).then_some(feature))
    }

    fn set(&mut self, name: &str, value: OsString) -> Result<(), BadArgs> {
        match name {
            "--root" => {
                self.root = value.into();
                return Ok(());
            }
            "--config" => {
                self.config = Some(value.into());
                return Ok(());
            }
            _ => {}
        }
        let value = value
            .into_string()
            .map_err(|value| BadArgs(format!("{name}: `{}` is not valid Unicode", value.display())))?;
        match name {
            "--port" => {
                self.port = value
                    .parse()
                    .map_err(|_| BadArgs(format!("--port takes a number from 0 to 65535, not `{value}`")))?;
            }
            "--timeout" => {
                self.timeout = value.parse().map_err(|error| BadArgs(format!("--timeout: {error}")))?;
            }
            _ => self.cache = value,
        }
        Ok(())
    }
}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, cache: _, config, timeout, root } = self;
        f.debug_struct("Args")
            .field("port", port)
            .field("config", config)
            .field("timeout", timeout)
            .field("root", root)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for BadArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadArgs {}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what a command line answers with")]
fn exit(status: i32, text: &str) -> ! {
    if status == 0 {
        print!("{text}");
    } else {
        eprint!("{text}");
    }
    process::exit(status)
}
