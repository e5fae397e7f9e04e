//! Settings that have been looked at.

use std::time::Duration;

use larder_core::{Error, ErrorKind, Result};

use crate::names::Names;

/// What a store goes by.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "settings that have nothing to do with each other")]
pub(crate) struct Settings {
    pub(crate) names: Names,
    pub(crate) logged: bool,
    pub(crate) create_table: bool,
    pub(crate) synchronous_writes: bool,
    pub(crate) connections: usize,
    pub(crate) pgbouncer: bool,
    pub(crate) prefix: String,
    pub(crate) operation_timeout: Duration,
    pub(crate) walk_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) max_entries: u64,
    pub(crate) max_bytes: u64,
    pub(crate) max_value_bytes: usize,
    pub(crate) sweep_every: Duration,
}

/// A prefix leaves a key its 200 bytes.
pub(crate) const LONGEST_PREFIX: usize = 50;
/// What PostgreSQL takes in one field is a little under 1 GiB.
pub(crate) const LARGEST_VALUE: usize = 512 << 20;
/// Some small entries. Under less, a sweep would leave nothing.
pub(crate) const LEAST_BYTES: u64 = 16 << 10;
/// More connections than that are no use to one process.
pub(crate) const MOST_CONNECTIONS: usize = 64;
/// A permit count that the semaphore takes on every platform.
pub(crate) const MOST_IN_FLIGHT: usize = 1_000_000;

impl Settings {
    pub(crate) fn check(&self) -> Result<()> {
        for (name, given) in [
            ("operation_timeout", self.operation_timeout),
            ("walk_timeout", self.walk_timeout),
            ("connect_timeout", self.connect_timeout),
        ] {
            if !(Duration::from_millis(1)..=Duration::from_hours(24)).contains(&given) {
                return Err(wrong(name, &format!("{given:?}"), "1 ms to 24 hours"));
            }
        }
        if !self.sweep_every.is_zero()
            && !(Duration::from_millis(100)..=Duration::from_hours(24)).contains(&self.sweep_every)
        {
            return Err(wrong(
                "sweep_every",
                &format!("{:?}", self.sweep_every),
                "0 (never), or 100 ms to 24 hours",
            ));
        }
        for (name, given, most) in [
            ("connections", self.connections, MOST_CONNECTIONS),
            ("max_in_flight", self.max_in_flight, MOST_IN_FLIGHT),
            ("max_value_bytes", self.max_value_bytes, LARGEST_VALUE),
        ] {
            if !(1..=most).contains(&given) {
                return Err(wrong(name, &given.to_string(), &format!("1 to {most}")));
            }
        }
        for (name, given, least) in
            [("max_entries", self.max_entries, 1), ("max_bytes", self.max_bytes, LEAST_BYTES)]
        {
            if given < least || i64::try_from(given).is_err() {
                return Err(wrong(name, &given.to_string(), &format!("{least} to {}", i64::MAX)));
            }
        }
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-.~:/".contains(&byte);
        if self.prefix.len() > LONGEST_PREFIX || !self.prefix.bytes().all(safe) {
            let allowed = format!("at most {LONGEST_PREFIX} bytes of `A-Z a-z 0-9 - . ~ : /`");
            return Err(wrong("prefix", &self.prefix.escape_debug().to_string(), &allowed));
        }
        if !self.synchronous_writes && !self.logged {
            return Err(Error::new(
                ErrorKind::Config,
                "`synchronous_writes = false` needs `logged = true`: writes to an unlogged table wait for no disk",
            ));
        }
        Ok(())
    }
}

fn wrong(setting: &str, given: &str, allowed: &str) -> Error {
    Error::new(ErrorKind::Config, format!("`{setting}` is {given}: it must be {allowed}"))
}
