//! One command to the server, as it is sent.

use std::time::Duration;

use bytes::Bytes;
use fred::{
    interfaces::{FredResult, KeysInterface},
    types::{ClusterHash, CustomCommand, Expiration, SetOptions, Value as Answer},
    util::{redis_keyslot, static_str},
};
use larder_core::Expiry;

use crate::scripts::Script;

/// What Redis takes as milliseconds, whatever its clock says: some 280 000 years.
const LONGEST: u64 = 9_000_000_000_000_000;

/// What is sent often has a form of its own, which the client writes together with what is queued behind it. What it does not
/// know it writes at once, each in a packet of its own.
#[derive(Clone)]
pub(crate) enum Command {
    Get(Bytes),
    GetMany(Vec<Bytes>),
    Set { key: Bytes, entry: Bytes, millis: Option<i64>, only_new: bool },
    Unlink(Vec<Bytes>),
    Other { command: CustomCommand, arguments: Vec<Answer> },
}

impl Command {
    fn other(name: &'static str, slot: ClusterHash, arguments: Vec<Answer>) -> Self {
        Self::Other { command: CustomCommand::new_static(name, slot, false), arguments }
    }

    /// A command without a key.
    pub(crate) fn bare(name: &'static str) -> Self {
        Self::other(name, ClusterHash::Random, Vec::with_capacity(5))
    }

    /// A command on a key.
    pub(crate) fn new(name: &'static str, key: Bytes) -> Self {
        let mut arguments = Vec::with_capacity(3);
        arguments.push(Answer::Bytes(key));
        Self::other(name, ClusterHash::FirstKey, arguments)
    }

    /// A script on a key: by its name, or (`whole`) by its text, which makes the server know it.
    pub(crate) fn script(script: &'static Script, whole: bool, key: Bytes, further: &[Answer]) -> Self {
        let slot = ClusterHash::Custom(redis_keyslot(&key));
        let (name, text) = if whole { ("EVAL", script.body) } else { ("EVALSHA", script.sha()) };
        let mut arguments = Vec::with_capacity(3 + further.len());
        arguments.extend([Answer::String(static_str(text)), Answer::Integer(1), Answer::Bytes(key)]);
        arguments.extend_from_slice(further);
        Self::other(name, slot, arguments)
    }

    /// A command without a key, for the server that has this one.
    pub(crate) fn near(name: &'static str, key: &[u8]) -> Self {
        Self::other(name, ClusterHash::Custom(redis_keyslot(key)), Vec::with_capacity(2))
    }

    /// A command without a key, for the server that has this slot.
    pub(crate) fn by_way_of(mut self, slot: u16) -> Self {
        if let Self::Other { command, .. } = &mut self {
            command.cluster_hash = ClusterHash::Custom(slot);
        }
        self
    }

    /// The slot of its key, if it has one.
    pub(crate) fn slot(&self) -> Option<u16> {
        match self {
            Self::Get(key) | Self::Set { key, .. } => Some(redis_keyslot(key)),
            Self::GetMany(keys) | Self::Unlink(keys) => keys.first().map(|key| redis_keyslot(key)),
            Self::Other { command, arguments } => match (&command.cluster_hash, arguments.first()) {
                (ClusterHash::Custom(slot), _) => Some(*slot),
                (ClusterHash::FirstKey, Some(Answer::Bytes(key))) => Some(redis_keyslot(key)),
                _ => None,
            },
        }
    }

    /// One more argument for a command that has no form of its own.
    pub(crate) fn arg(mut self, argument: impl Into<Answer>) -> Self {
        if let Self::Other { arguments, .. } = &mut self {
            arguments.push(argument.into());
        }
        self
    }

    pub(crate) async fn send<C: KeysInterface>(self, client: &C) -> FredResult<Answer> {
        match self {
            Self::Get(key) => client.get(key).await,
            Self::GetMany(keys) => client.mget(keys).await,
            Self::Set { key, entry, millis, only_new } => {
                let only_new = only_new.then_some(SetOptions::NX);
                client.set(key, Answer::Bytes(entry), millis.map(Expiration::PX), only_new, false).await
            }
            Self::Unlink(keys) => client.unlink(keys).await,
            Self::Other { command, arguments } => client.custom(command, arguments).await,
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
