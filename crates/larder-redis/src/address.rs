//! Where the servers are, and as whom to speak to them, as one line of text.

use std::{fmt, path::PathBuf};

use larder_core::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;

const FORMS: &str = "`redis://`, `rediss://`, `redis+sentinel://`, `rediss+sentinel://`, `redis+cluster://`, `rediss+cluster://` or `unix://`";

/// One server's name and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// How the servers stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    Alone(Host),
    Unix(PathBuf),
    Sentinel { sentinels: Vec<Host>, service: String },
    Cluster(Vec<Host>),
}

impl Topology {
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// For people: never a password.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Alone(host) => host.to_string(),
            Self::Unix(path) => path.display().to_string(),
            Self::Sentinel { service, .. } => format!("{service} (by Sentinel)"),
            Self::Cluster(hosts) => {
                hosts.first().map_or_else(|| String::from("cluster"), |host| format!("cluster at {host}"))
            }
        }
    }
}

/// An address, taken apart. It has no `Debug`: it holds the password.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) topology: Topology,
    pub(crate) tls: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: Option<u8>,
}

fn wrong(what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("the Redis address: {what}"))
}

/// Takes an address apart. What is quoted in an error is never the part that holds the password.
pub(crate) fn parse(text: &str) -> Result<Address> {
    let (scheme, rest) =
        text.split_once("://").ok_or_else(|| wrong(format!("it must begin with {FORMS}")))?;
    if rest.contains('?') {
        return Err(wrong(
            "it has a `?`: options are methods of the builder here, and part of the URL only in `larder::connect` \
             (a `?` in a password is written `%3F`)",
        ));
    }
    if rest.contains('#') {
        return Err(wrong("it has a `#`, which means nothing here (in a password it is written `%23`)"));
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => (&rest[..at], &rest[at..]),
        None => (rest, ""),
    };
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (Some(credentials), hosts),
        None => (None, authority),
    };
    let (username, password) = credentials.map_or(Ok((None, None)), parse_credentials)?;
    let (kind, tls) = match scheme {
        "redis" => ("alone", false),
        "rediss" => ("alone", true),
        "redis+sentinel" => ("sentinel", false),
        "rediss+sentinel" => ("sentinel", true),
        "redis+cluster" => ("cluster", false),
        "rediss+cluster" => ("cluster", true),
        "unix" => ("unix", false),
        other => return Err(wrong(format!("`{}://` is not known: write {FORMS}", other.escape_debug()))),
    };
    let path = path.strip_prefix('/').unwrap_or("");
    let (topology, database) = match kind {
        "unix" => {
            if !hosts.is_empty() {
                return Err(wrong(
                    "a Unix socket has no host: write `unix:///path/to.sock`, with three slashes",
                ));
            }
            if path.is_empty() {
                return Err(wrong("the path of the Unix socket is missing: write `unix:///path/to.sock`"));
            }
            (Topology::Unix(PathBuf::from(format!("/{}", decode("the path", path)?))), None)
        }
        "sentinel" => {
            let (service, database) = match path.split_once('/') {
                Some((service, database)) => (service, parse_database(database)?),
                None => (path, None),
            };
            if service.is_empty() {
                return Err(wrong(
                    "the service that the sentinels watch is missing: write `redis+sentinel://host:26379/service`",
                ));
            }
            let service = decode("the service", service)?;
            (Topology::Sentinel { sentinels: parse_hosts(hosts, 26379)?, service }, database)
        }
        "cluster" => {
            if !matches!(path, "" | "0") {
                return Err(wrong("a cluster has only database 0: leave out what follows the hosts"));
            }
            (Topology::Cluster(parse_hosts(hosts, 6379)?), None)
        }
        _ => {
            let mut hosts = parse_hosts(hosts, 6379)?;
            if hosts.len() > 1 {
                return Err(wrong(
                    "several hosts are a `redis+cluster://` or a `redis+sentinel://`, not a `redis://`",
                ));
            }
            (Topology::Alone(hosts.remove(0)), parse_database(path)?)
        }
    };
    Ok(Address { topology, tls, username, password, database })
}

fn decode(what: &str, text: &str) -> Result<String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(plain) => Ok(plain.into_owned()),
        Err(_) => Err(wrong(format!("{what} is not UTF-8 once its `%XX` are decoded"))),
    }
}

fn parse_credentials(text: &str) -> Result<(Option<String>, Option<String>)> {
    let (username, password) = match text.split_once(':') {
        Some((username, password)) => (username, password),
        None => (text, ""),
    };
    let username = decode("the user name", username)?;
    let password = decode("the password", password)?;
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok((some(username), some(password)))
}

fn parse_database(text: &str) -> Result<Option<u8>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| {
        wrong(format!("`{}` is not a database: write a number from 0 to 255", text.escape_debug()))
            .with_source(error)
    })
}

fn parse_hosts(text: &str, default_port: u16) -> Result<Vec<Host>> {
    text.split(',').map(|host| parse_host(host, default_port)).collect()
}

fn parse_host(text: &str, default_port: u16) -> Result<Host> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (name, after) = rest.split_once(']').ok_or_else(|| wrong("an IPv6 address lacks its `]`"))?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(wrong("what follows the `]` of an IPv6 address must be `:port`")),
        };
        (name, port)
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(wrong("an IPv6 address stands in brackets: `[::1]:6379`"));
            }
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        }
    };
    if name.is_empty() {
        return Err(wrong("a host is missing: write `host:port`, several of them with commas between"));
    }
    let port = match port {
        None => default_port,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            _ => {
                return Err(wrong(format!(
                    "`{}` is not a port: write a number from 1 to 65535",
                    port.escape_debug()
                )));
            }
        },
    };
    Ok(Host { name: decode("a host", name)?, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn every_form_is_taken_apart() {
        let alone = parse("redis://db.internal").unwrap();
        assert_eq!(alone.topology, Topology::Alone(host("db.internal", 6379)));
        assert!(!alone.tls && alone.database.is_none() && alone.password.is_none());

        let full = parse("rediss://us%40er:p%2Fa%3Fss@[::1]:7000/3").unwrap();
        assert_eq!(full.topology, Topology::Alone(host("::1", 7000)));
        assert_eq!((full.username.as_deref(), full.password.as_deref()), (Some("us@er"), Some("p/a?ss")));
        assert!(full.tls && full.database == Some(3));

        let only_password = parse("redis://:secret@h/").unwrap();
        assert_eq!((only_password.username, only_password.password), (None, Some("secret".to_owned())));

        let sentinel = parse("redis+sentinel://a,b:1,[::2]/larder/2").unwrap();
        let sentinels = vec![host("a", 26379), host("b", 1), host("::2", 26379)];
        assert_eq!(sentinel.topology, Topology::Sentinel { sentinels, service: "larder".to_owned() });
        assert_eq!(sentinel.database, Some(2));

        let cluster = parse("rediss+cluster://a:1,b:2/").unwrap();
        assert_eq!(cluster.topology, Topology::Cluster(vec![host("a", 1), host("b", 2)]));

        let unix = parse("unix://u:p@/run/redis%20one.sock").unwrap();
        assert_eq!(unix.topology, Topology::Unix("/run/redis one.sock".into()));
        assert_eq!(unix.password.as_deref(), Some("p"));
    }

    #[test]
    fn what_is_wrong_is_named_and_no_password_is_shown() {
        for (given, named) in [
            ("", "must begin with"),
            ("localhost:6379", "must begin with"),
            ("http://:hunter2@h", "`http://` is not known"),
            ("redis://:hunter2@h?db=1", "methods of the builder"),
            ("redis://:hunter2@h#1", "`#`"),
            ("redis://:hunter2@h:0", "`0` is not a port"),
            ("redis://:hunter2@h:65536", "`65536` is not a port"),
            ("redis://:hunter2@h/256", "`256` is not a database"),
            ("redis://:hunter2@h/one", "`one` is not a database"),
            ("redis://:hunter2@", "a host is missing"),
            ("redis://:hunter2@a,b", "several hosts"),
            ("redis://:hunter2@::1", "brackets"),
            ("redis://:hunter2@[::1", "lacks its `]`"),
            ("redis://:hunter2@[::1]x", "must be `:port`"),
            ("redis+sentinel://:hunter2@a", "service"),
            ("redis+cluster://:hunter2@a/1", "only database 0"),
            ("unix://:hunter2@host/path", "three slashes"),
            ("unix://", "path of the Unix socket is missing"),
        ] {
            let Err(error) = parse(given) else { panic!("{given} is taken") };
            assert_eq!(error.kind(), ErrorKind::Config, "{given}");
            let text = format!("{error} {error:?}");
            assert!(text.contains(named), "{given}: {text}");
            assert!(!text.contains("hunter2"), "{given}: {text}");
        }
    }
}
