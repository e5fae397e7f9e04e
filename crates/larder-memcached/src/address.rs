//! The address of the servers, as text.

use std::{fmt, path::PathBuf};

use larder_core::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;

/// Where servers are, and who asks.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) servers: Vec<Server>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) tls: bool,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Tcp { host: String, port: u16, weight: u32 },
    Unix(PathBuf),
}

/// What ASCII authentication sends.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

const DEFAULT_PORT: u16 = 11_211;
const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=65_535;

const FORMS: &str = "`memcached://host:port`, `memcached://user:password@host:port*weight,host2:port`, \
     `memcacheds://..` (TLS), `memcached+unix:///path/to/socket`";

/// What to use in place of the binary protocol.
const ASCII_AUTH: &str = "SASL needs memcached's binary protocol, which this store does not speak (and which memcached has \
     deprecated): use ASCII authentication, `memcached -Y FILE` and `memcached://user:password@host`";

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| config(format!("the address of memcached {what}: write {FORMS}"));
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
        if scheme.contains("sasl") || scheme.contains("binary") {
            return Err(config(ASCII_AUTH));
        }
        if rest.contains(['?', '#']) {
            return Err(wrong(
                "holds no options here (a `?` in a password is written `%3F`; options are methods of the builder, \
                 or parameters of the URL that `larder::connect` takes)",
            ));
        }
        match scheme {
            "memcached" | "memcacheds" => {
                let (credentials, hosts) = match rest.rsplit_once('@') {
                    Some((credentials, hosts)) => (Some(Credentials::parse(credentials)?), hosts),
                    None => (None, rest),
                };
                let hosts = hosts.strip_suffix('/').unwrap_or(hosts);
                if hosts.contains('/') {
                    return Err(wrong("has a path"));
                }
                let servers = hosts.split(',').map(Server::parse).collect::<Result<Vec<_>>>()?;
                for (at, server) in servers.iter().enumerate() {
                    if servers[..at].iter().any(|other| other.name() == server.name()) {
                        return Err(config(format!(
                            "the address of memcached names `{}` twice",
                            server.name()
                        )));
                    }
                }
                Ok(Self { servers, credentials, tls: scheme == "memcacheds" })
            }
            "memcached+unix" => {
                let (credentials, path) = match rest.split_once('/') {
                    Some(("", _)) => (None, rest),
                    Some((before, _)) if before.ends_with('@') => {
                        (Some(Credentials::parse(&before[..before.len() - 1])?), &rest[before.len()..])
                    }
                    _ => return Err(wrong("needs the absolute path of a socket")),
                };
                let path = decoded(path, "path")?;
                Ok(Self { servers: vec![Server::Unix(path.into())], credentials, tls: false })
            }
            _ => Err(wrong("has a scheme that is not known")),
        }
    }
}

impl Server {
    fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            config(format!(
                "a server in the address of memcached {what}: write `host`, `host:port` or `host:port*weight`"
            ))
        };
        let (place, weight) = match text.split_once('*') {
            Some((place, weight)) => {
                let weight = weight.parse().ok().filter(|weight| WEIGHTS.contains(weight));
                (place, weight.ok_or_else(|| wrong("has a weight that is not from 1 to 65535"))?)
            }
            None => (text, 1),
        };
        let (host, port) = if let Some(bracketed) = place.strip_prefix('[') {
            let (host, after) =
                bracketed.split_once(']').ok_or_else(|| wrong("has a `[` that does not end"))?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(wrong("has something odd behind its `]`")),
            }
        } else {
            place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)))
        };
        let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok().filter(|port| *port > 0));
        let port = port.ok_or_else(|| {
            wrong("has a port that is not from 1 to 65535 (an IPv6 address stands in brackets)")
        })?;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("has no host"));
        }
        Ok(Self::Tcp { host: host.to_owned(), port, weight })
    }

    /// For people, and without secrets.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(path) => path.display().to_string(),
        }
    }

    /// What the ring knows it by.
    pub(crate) fn place(&self) -> (&str, u16, u32) {
        match self {
            Self::Tcp { host, port, weight } => (host, *port, *weight),
            Self::Unix(_) => ("unix", 0, 1),
        }
    }
}

impl Credentials {
    fn parse(text: &str) -> Result<Self> {
        let (user, password) = text.split_once(':').ok_or_else(|| {
            config("the address of memcached has a user without a password: write `user:password@`")
        })?;
        Self::new(decoded(user, "user")?, decoded(password, "password")?)
    }

    pub(crate) fn new(user: String, password: String) -> Result<Self> {
        // One value holds both, with a space between.
        let bad =
            |text: &str| text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control());
        if bad(&user) || bad(&password) {
            return Err(config(
                "`user` and `password` of memcached need at least one character each, and take no spaces and no \
                 control characters",
            ));
        }
        Ok(Self { user, password })
    }
}

fn decoded(text: &str, what: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| config(format!("the {what} in the address of memcached is not UTF-8")))
}

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("servers", &self.servers)
            .field("credentials", &self.credentials)
            .field("tls", &self.tls)
            .finish()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, weight: u32) -> Server {
        Server::Tcp { host: host.to_owned(), port, weight }
    }

    #[test]
    fn forms_that_are_accepted() {
        for (text, servers) in [
            ("memcached://localhost", vec![tcp("localhost", 11_211, 1)]),
            ("memcached://a:1*3,b,[::1]:2/", vec![tcp("a", 1, 3), tcp("b", 11_211, 1), tcp("::1", 2, 1)]),
            ("memcached://[::1]*2", vec![tcp("::1", 11_211, 2)]),
            ("memcached+unix:///run/m%20c.sock", vec![Server::Unix("/run/m c.sock".into())]),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.servers, address.credentials, address.tls), (servers, None, false), "{text}");
        }
        let address = Address::parse("memcacheds://me:p%40ss%3F@host:1").unwrap();
        let credentials = Credentials { user: "me".to_owned(), password: "p@ss?".to_owned() };
        assert_eq!((address.credentials, address.tls), (Some(credentials), true));
        assert!(Address::parse("memcached+unix://me:pass@/run/m.sock").unwrap().credentials.is_some());
    }

    #[test]
    fn forms_that_are_refused_say_why_and_show_no_password() {
        for (text, says) in [
            ("localhost:11211", "no scheme"),
            ("http://s3cret@localhost", "scheme"),
            ("memcached://me:s3cret@host?timeout=1", "builder"),
            ("memcached://me:s3cret@host/path", "path"),
            ("memcached://me:s3cret@host:port", "port"),
            ("memcached://s3cret@host", "password"),
            ("memcached://:s3cret@host", "character"),
            ("memcached://", "host"),
            ("memcached://a,,b", "host"),
            ("memcached://a*0", "weight"),
            ("memcached://a,b,a:11211", "`a:11211` twice"),
            ("memcached://[::1", "`[`"),
            ("memcached+unix://run/m.sock", "absolute path"),
            ("memcached+sasl://me:s3cret@host", "ASCII authentication"),
            ("memcached+binary://me:s3cret@host", "ASCII authentication"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(error.to_string().contains(says), "{text}: {error}");
            assert!(!format!("{error}{error:?}").contains("s3cret"), "{text}: {error}");
        }
    }
}
