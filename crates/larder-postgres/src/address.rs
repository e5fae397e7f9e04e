//! The address of a server, as a URL without options.

use std::{fmt, path::PathBuf, str::FromStr};

use larder_core::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;

/// Where PostgreSQL listens unless told otherwise.
const PORT: u16 = 5432;

/// What `postgres://user:password@host:port,host:port/database` says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) hosts: Vec<(Host, u16)>,
    pub(crate) database: Option<String>,
}

/// One server, or one of several of which one takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Tcp(String),
    /// The directory of its socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or_else(|| wrong("it must start with `postgres://` or `postgresql://`"))?;
        if rest.contains(['?', '#']) {
            return Err(wrong(
                "it holds options: give those to the builder's methods, or the whole to `larder::connect`",
            ));
        }
        let (authority, database) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        // The rest of a password with a bare `/` in it would be taken for a database, and be shown.
        if database.is_some_and(|path| path.contains('@')) {
            return Err(wrong(
                "it has a `/` before an `@`: in user and password, percent-encode everything but letters and digits",
            ));
        }
        if database.is_some_and(|path| path.contains('/')) {
            return Err(wrong("its path must be the name of one database"));
        }
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let (user, password) = match credentials.map(|both| both.split_once(':').unwrap_or((both, ""))) {
            Some((user, password)) => (present(user, "user")?, present(password, "password")?),
            None => (None, None),
        };
        let hosts = hosts.split(',').map(host).collect::<Result<_>>()?;
        let database = database.map_or(Ok(None), |name| present(name, "database"))?;
        Ok(Self { user, password, hosts, database })
    }
}

fn host(text: &str) -> Result<(Host, u16)> {
    // An IPv6 address stands in brackets, its colons are not the port's.
    let end = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let (name, port) = match text[end..].rfind(':') {
        Some(colon) => (&text[..end + colon], Some(&text[end + colon + 1..])),
        None => (text, None),
    };
    let port = match port {
        // Not shown: where the host was left out, it is the password.
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| wrong("a port in it is not a number from 1 to 65535"))?,
        None => PORT,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let name = present(name, "host")?.ok_or_else(|| {
        wrong(
            "it names no host: write `localhost`, or the directory of a Unix socket as `%2Frun%2Fpostgresql`",
        )
    })?;
    Ok((if name.starts_with('/') { Host::Unix(name.into()) } else { Host::Tcp(name) }, port))
}

fn present(text: &str, part: &str) -> Result<Option<String>> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| wrong(&format!("its {part} is not UTF-8 behind the percent signs")))?;
    if decoded.contains('\0') {
        return Err(wrong(&format!("its {part} holds a NUL")));
    }
    Ok((!decoded.is_empty()).then(|| decoded.into_owned()))
}

fn wrong(what: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("the address of the server: {what} (`postgres://user:password@host:5432/database`)"),
    )
}

impl Address {
    /// The servers, for people.
    pub(crate) fn name(&self) -> String {
        let names = self.hosts.iter().map(|(host, port)| match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(directory) => format!("{}/.s.PGSQL.{port}", directory.display()),
        });
        names.collect::<Vec<_>>().join(",")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "hidden"))
            .field("hosts", &self.name())
            .field("database", &self.database)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_part_is_read() {
        let address = read("postgres://ada:p%40ss%3A%2Fw@db.example:6000/shop");
        assert_eq!(address.user.as_deref(), Some("ada"));
        assert_eq!(address.password.as_deref(), Some("p@ss:/w"));
        assert_eq!(address.hosts, [(Host::Tcp("db.example".into()), 6000)]);
        assert_eq!(address.database.as_deref(), Some("shop"));
        assert_eq!(address.name(), "db.example:6000");
    }

    #[test]
    fn what_is_left_out_is_left_to_the_client() {
        let address = read("postgresql://localhost");
        let expected = Address {
            user: None,
            password: None,
            hosts: vec![(Host::Tcp("localhost".into()), 5432)],
            database: None,
        };
        assert_eq!(address, expected);
        assert_eq!(read("postgresql://localhost/"), expected);
    }

    #[test]
    fn several_servers_and_addresses_in_brackets() {
        let address = read("postgres://a,b:6000,[::1]:7000,[::2]/x");
        assert_eq!(address.name(), "a:5432,b:6000,[::1]:7000,[::2]:5432");
    }

    #[test]
    fn a_unix_socket_is_named_by_its_directory() {
        let address = read("postgres://ada@%2Frun%2Fpostgresql:6000/shop");
        assert_eq!(address.hosts, [(Host::Unix("/run/postgresql".into()), 6000)]);
        assert_eq!(address.name(), "/run/postgresql/.s.PGSQL.6000");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (text, says) in [
            ("redis://u:geheim@h/d", "must start with"),
            ("postgres://u:geheim@h/d?sslmode=require", "options"),
            ("postgres://u:geheim@/d", "no host"),
            ("postgres://u:geheim@h:0/d", "not a number from 1 to 65535"),
            ("postgres://u:geheim@h:x/d", "not a number from 1 to 65535"),
            ("postgres://u:geheim/d", "not a number from 1 to 65535"),
            ("postgres://u:geheim/@h", "`/` before an `@`"),
            ("postgres://u:1/geheim@h", "`/` before an `@`"),
            ("postgres://u:1/geheim@h/d", "`/` before an `@`"),
            ("postgres://u:geheim@h/d/e", "one database"),
            ("postgres://u:geheim%FF@h/d", "password is not UTF-8"),
            ("postgres://u:geheim%00@h/d", "password holds a NUL"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(error.to_string().contains(says), "{text}: {error}");
            assert!(!format!("{error} {error:?}").contains("geheim"), "{text}: {error:?}");
        }
        assert!(!format!("{:?}", read("postgres://u:geheim@h")).contains("geheim"));
    }
}
