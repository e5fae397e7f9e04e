//! How a Redis is to be configured.

use crate::certificates::Certificates;

/// What a Redis is told beyond the defaults of a test: TCP on 127.0.0.1, nothing kept on disk.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    pub(super) directives: Vec<(String, String)>,
    pub(super) unix: bool,
    pub(super) certificates: Option<Certificates>,
    pub(super) name: Option<String>,
    pub(super) is_sentinel: bool,
}

impl RedisOptions {
    /// Nothing special.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line of `redis.conf`.
    pub fn set(mut self, directive: &str, value: &str) -> Self {
        self.directives.push((directive.to_owned(), value.to_owned()));
        self
    }

    /// On a Unix socket, and on no port.
    pub fn unix(mut self) -> Self {
        self.unix = true;
        self
    }

    /// With TLS only, for the user `larder` with a random password; the user `default` is off.
    pub fn tls(mut self, certificates: &Certificates) -> Self {
        self.certificates = Some(certificates.clone());
        self
    }

    pub(super) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Not a store but a sentinel: without what a sentinel does not know.
    pub(super) fn sentinel(mut self) -> Self {
        self.is_sentinel = true;
        self
    }
}
