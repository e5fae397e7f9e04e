//! One command to the server, as it is sent.

use std::time::Duration;

use bytes::Bytes;
use fred::{
    types::{ClusterHash, CustomCommand, Value as Answer},
    util::{redis_keyslot, static_str},
};
use larder_core::Expiry;

use crate::scripts::Script;

/// What Redis takes as milliseconds, whatever its clock says: some 280 000 years.
const LONGEST: u64 = 9_000_000_000_000_000;

#[derive(Clone)]
pub(crate) struct Command {
    pub(crate) command: CustomCommand,
    pub(crate) arguments: Vec<Answer>,
}

impl Command {
    /// A command without a key.
    pub(crate) fn bare(name: &'static str) -> Self {
        Self {
            command: CustomCommand::new_static(name, ClusterHash::Random, false),
            arguments: Vec::with_capacity(4),
        }
    }

    /// A command on a key.
    pub(crate) fn new(name: &'static str, key: Bytes) -> Self {
        let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
        let mut arguments = Vec::with_capacity(6);
        arguments.push(Answer::Bytes(key));
        Self { command, arguments }
    }

    /// A script on a key: by its name, or (`whole`) by its text, which makes the server know it.
    pub(crate) fn script(script: &'static Script, whole: bool, key: Bytes) -> Self {
        let slot = ClusterHash::Custom(redis_keyslot(&key));
        let (name, text) = if whole { ("EVAL", script.body) } else { ("EVALSHA", script.sha()) };
        let command = CustomCommand::new_static(name, slot, false);
        let mut arguments = Vec::with_capacity(8);
        arguments.extend([Answer::String(static_str(text)), Answer::Integer(1), Answer::Bytes(key)]);
        Self { command, arguments }
    }

    /// A command without a key, for the server that has this one.
    pub(crate) fn near(name: &'static str, key: &[u8]) -> Self {
        let slot = ClusterHash::Custom(redis_keyslot(key));
        Self { command: CustomCommand::new_static(name, slot, false), arguments: Vec::with_capacity(2) }
    }

    pub(crate) fn arg(mut self, argument: impl Into<Answer>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// `PX` and the milliseconds, for `SET`.
    pub(crate) fn expiring(self, expiry: Expiry) -> Self {
        match millis(expiry) {
            Some(millis) => self.arg("PX").arg(millis),
            None => self,
        }
    }
}

/// The milliseconds of an expiry: at least those asked for, at most those that Redis takes; `None` for ever.
pub(crate) fn millis(expiry: Expiry) -> Option<i64> {
    match expiry {
        Expiry::After(time) => {
            let millis = u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).min(LONGEST);
            i64::try_from(millis).ok()
        }
        _ => None,
    }
}

/// The milliseconds of an expiry as scripts take them: empty for ever, `0` for one already past.
pub(crate) fn millis_text(expiry: Expiry) -> String {
    millis(expiry).map_or_else(String::new, |millis| millis.to_string())
}

/// What `PTTL` answered.
pub(crate) fn left(millis: i64) -> Option<Expiry> {
    match millis {
        -1 => Some(Expiry::Never),
        millis => Some(Expiry::After(Duration::from_millis(u64::try_from(millis).ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries_are_never_shorter_than_asked_and_never_too_long_for_redis() {
        let after = |time| millis(Expiry::After(time));
        assert_eq!(after(Duration::ZERO), Some(0));
        assert_eq!(after(Duration::from_nanos(1)), Some(1));
        assert_eq!(after(Duration::from_millis(1)), Some(1));
        assert_eq!(after(Duration::from_nanos(1_000_001)), Some(2));
        assert_eq!(after(Duration::MAX), Some(9_000_000_000_000_000));
        assert_eq!(millis(Expiry::Never), None);
        assert_eq!(
            (millis_text(Expiry::Never), millis_text(Expiry::After(Duration::ZERO))),
            (String::new(), "0".into())
        );
        assert_eq!(left(-2), None);
        assert_eq!(left(-1), Some(Expiry::Never));
        assert_eq!(left(1_500), Some(Expiry::After(Duration::from_millis(1_500))));
    }
}
