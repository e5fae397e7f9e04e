//! What can be done to a store, with everything chosen beforehand: a sequence of these can be repeated and cut.

use std::time::Duration;

use larder_core::{Expiry, Operations, Value};

use crate::{random::Random, subject::Subject};

/// One step of a sequence. Keys and namespaces are numbers.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Get(usize),
    Has(usize),
    Peek(usize),
    GetMany(Vec<usize>),
    Set(usize, Value, Expiry),
    SetMany(Vec<(usize, Value, Expiry)>),
    Delete(usize),
    DeleteMany(Vec<usize>),
    GetVersioned(usize),
    Add(usize, Value, Expiry),
    /// By one of the versions seen of some key: which key, and which of its versions, counted from the latest.
    Replace {
        key: usize,
        version_of: usize,
        back: usize,
        value: Value,
        expiry: Expiry,
    },
    Increment(usize, i64, Expiry),
    Touch(usize, Expiry),
    Expiry(usize),
    Clear(usize),
    Keys(usize),
    Advance(Duration),
}

/// The names of the namespaces a sequence uses, as paths: a parent, its child, and one with the parent as prefix.
pub(super) const NAMESPACES: [&[&str]; 4] = [&[], &["shop"], &["shop", "*"], &["shop2"]];
/// The texts of the keys it uses in each of them.
pub(super) const TEXTS: [&str; 2] = ["a", "b %\n"];
/// How many keys there are.
pub(super) const KEYS: usize = NAMESPACES.len() * TEXTS.len();

/// What may be in a sequence for a store.
pub(super) struct Kinds {
    operations: Operations,
    /// Whether time can be moved, and an entry be expected to end on the dot.
    time: bool,
}

impl Kinds {
    pub(super) fn of(subject: &Subject) -> Self {
        Self { operations: subject.capabilities().operations(), time: subject.is_exact() }
    }
}

impl Operation {
    pub(super) fn random(random: &mut Random, kinds: &Kinds) -> Self {
        loop {
            if let Some(operation) = Self::attempt(random, kinds) {
                return operation;
            }
        }
    }

    /// The batch without one of its entries.
    pub(super) fn without(&self, entry: usize) -> Option<Self> {
        fn cut<T: Clone>(entries: &[T], at: usize) -> Option<Vec<T>> {
            let mut entries = entries.to_vec();
            (at < entries.len()).then(|| entries.remove(at))?;
            Some(entries)
        }
        match self {
            Self::GetMany(keys) => cut(keys, entry).map(Self::GetMany),
            Self::SetMany(entries) => cut(entries, entry).map(Self::SetMany),
            Self::DeleteMany(keys) => cut(keys, entry).map(Self::DeleteMany),
            _ => None,
        }
    }

    /// A choice, if the store has it.
    fn attempt(random: &mut Random, kinds: &Kinds) -> Option<Self> {
        let has = |operations| kinds.operations.contains(operations);
        let choice = random.below(32);
        Some(match choice {
            0..=3 => Self::Get(key(random)),
            4 => Self::Has(key(random)),
            5 => Self::Peek(key(random)),
            6 => Self::GetMany(some_keys(random)),
            7..=10 => Self::Set(key(random), value(random), expiry(random, kinds)),
            11 => {
                let keys = some_keys(random);
                Self::SetMany(
                    keys.into_iter().map(|key| (key, value(random), expiry(random, kinds))).collect(),
                )
            }
            12..=14 => Self::Delete(key(random)),
            15 => Self::DeleteMany(some_keys(random)),
            16..=17 if has(Operations::VERSIONS) => Self::GetVersioned(key(random)),
            18..=19 if has(Operations::VERSIONS) => {
                Self::Add(key(random), value(random), expiry(random, kinds))
            }
            20..=22 if has(Operations::VERSIONS) => {
                let key = key(random);
                // Mostly the latest version of the key itself: what should win.
                let version_of = if random.below(8) == 0 { self::key(random) } else { key };
                let back = random.pick(&[0, 0, 0, 1, 2]);
                Self::Replace { key, version_of, back, value: value(random), expiry: expiry(random, kinds) }
            }
            23..=25 if has(Operations::INCREMENT) => {
                Self::Increment(key(random), delta(random), expiry(random, kinds))
            }
            26 if has(Operations::TOUCH) => Self::Touch(key(random), expiry(random, kinds)),
            27 if has(Operations::EXPIRY) => Self::Expiry(key(random)),
            28 if has(Operations::CLEAR) => Self::Clear(random.below(NAMESPACES.len())),
            29 if has(Operations::KEYS) => Self::Keys(random.below(NAMESPACES.len())),
            30..=31 if kinds.time => Self::Advance(random.pick(&[
                Duration::from_nanos(1),
                Duration::from_secs(1),
                Duration::from_secs(4),
                Duration::from_secs(10),
                Duration::from_hours(2),
            ])),
            _ => return None,
        })
    }
}

fn key(random: &mut Random) -> usize {
    random.below(KEYS)
}

fn some_keys(random: &mut Random) -> Vec<usize> {
    (0..random.below(6)).map(|_| key(random)).collect()
}

fn value(random: &mut Random) -> Value {
    match random.below(8) {
        0 => Value::Bytes("".into()),
        1 => Value::Bytes(vec![0, 0xff, b'\r', b'\n', 0].into()),
        2..=4 => Value::Int(random.pick(&[0, 1, 5, -5, i64::MAX, i64::MIN])),
        _ => Value::Bytes(format!("value {}", random.below(1_000)).into()),
    }
}

fn delta(random: &mut Random) -> i64 {
    random.pick(&[1, 1, 1, 2, -1, 0, 100, i64::MAX, i64::MIN])
}

fn expiry(random: &mut Random, kinds: &Kinds) -> Expiry {
    let far = [
        Expiry::Never,
        Expiry::After(Duration::from_hours(31 * 24)),
        Expiry::After(Duration::ZERO),
        Expiry::Never,
    ];
    let near = [1, 5, 10, 3_600].map(|seconds| Expiry::After(Duration::from_secs(seconds)));
    if kinds.time && random.below(2) == 0 { random.pick(&near) } else { random.pick(&far) }
}
