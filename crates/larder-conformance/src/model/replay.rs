//! Does a sequence to a store and to the model, and compares them at every step.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use larder_core::{ErrorKind, Expiry, Key, Namespace, Value, Version};

use super::{
    operation::{KEYS, NAMESPACES, Operation, TEXTS},
    state::{Model, Sum, namespace_of},
};
use crate::{
    check::{self, Failure, Outcome},
    subject::Subject,
};

/// Where the store and the model parted ways.
pub(super) struct Broken {
    pub(super) step: usize,
    pub(super) what: String,
}

/// A store, the model of it, and the names they use.
struct Replay<'a> {
    subject: &'a Subject,
    model: Model,
    namespaces: Vec<Namespace>,
    keys: Vec<Key>,
    /// The versions seen of each key, each with the state of the model it stood for.
    versions: HashMap<usize, Vec<(Version, u64)>>,
}

/// Does the sequence, on names that no other sequence used.
pub(super) async fn replay(subject: &Subject, sequence: &[Operation]) -> Result<(), Broken> {
    let broken = |step| move |failure: Failure| Broken { step, what: failure.into_message() };
    let mut replay = Replay::new(subject).map_err(broken(0))?;
    for (step, operation) in sequence.iter().enumerate() {
        replay.step(operation).await.map_err(broken(step))?;
    }
    // What no step looked at is looked at now.
    for key in 0..KEYS {
        replay.step(&Operation::Get(key)).await.map_err(broken(sequence.len()))?;
    }
    // The next of thousands of sequences should not have to walk through what this one left.
    replay.step(&Operation::DeleteMany((0..KEYS).collect())).await.map_err(broken(sequence.len()))
}

/// A sequence as a list, up to the step that failed.
pub(super) fn describe(sequence: &[Operation], last: usize) -> String {
    let mut text =
        "  (keys 0 and 1 are in a namespace, 2 and 3 in its child `shop`, 4 and 5 in `*` within that, \
                    6 and 7 in `shop2`)\n"
            .to_owned();
    for (step, operation) in sequence.iter().take(last + 1).enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}. {operation:?}", step + 1);
    }
    if last == sequence.len() {
        let _ = writeln!(text, "  then get of every key, and delete_many of them");
    }
    text
}

impl<'a> Replay<'a> {
    fn new(subject: &'a Subject) -> Result<Self, Failure> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let root = subject.child(&format!("m{:x}", COUNT.fetch_add(1, Ordering::Relaxed)))?;
        let mut namespaces = Vec::new();
        for path in NAMESPACES {
            namespaces.push(path.iter().try_fold(root.clone(), |namespace, name| namespace.child(name))?);
        }
        let mut keys = Vec::new();
        for key in 0..KEYS {
            keys.push(Key::new(&namespaces[namespace_of(key)], TEXTS[key % TEXTS.len()])?);
        }
        Ok(Self { subject, model: Model::default(), namespaces, keys, versions: HashMap::new() })
    }

    fn saw(&mut self, key: usize, version: Version, state: u64) -> Outcome {
        let seen = self.versions.entry(key).or_default();
        let again = seen.iter().any(|(known, of)| *known == version && *of != state);
        check::ensure(!again, || {
            format!("expected a version that this key never had, saw {version:?} again")
        })?;
        seen.push((version, state));
        Ok(())
    }

    fn compare(&self, key: usize, seen: Option<Value>) -> Outcome {
        let what = format!("{:?}", self.keys[key]);
        match self.model.get(key) {
            Some(expected) => check::hit(&what, seen, expected),
            None => check::miss(&what, seen),
        }
    }

    fn named(&self, keys: &[usize]) -> Vec<Key> {
        keys.iter().map(|key| self.keys[*key].clone()).collect()
    }

    async fn step(&mut self, operation: &Operation) -> Outcome {
        let store = self.subject.store();
        match operation {
            Operation::Get(key) => self.compare(*key, store.get(&self.keys[*key]).await?),
            Operation::Has(key) => {
                check::equal("has", store.has(&self.keys[*key]).await?, self.model.get(*key).is_some())
            }
            Operation::Peek(key) => match store.peek(&self.keys[*key], self.subject.now()) {
                Some(seen) => self.compare(*key, seen),
                None => Ok(()),
            },
            Operation::GetMany(keys) => {
                let results = store.get_many(&self.named(keys)).await;
                check::equal("the number of results", results.len(), keys.len())?;
                results.into_iter().zip(keys).try_for_each(|(seen, key)| self.compare(*key, seen?))
            }
            Operation::Set(key, value, expiry) => {
                self.model.set(*key, value.clone(), *expiry);
                Ok(store.set(&self.keys[*key], value.clone(), *expiry).await?)
            }
            Operation::SetMany(entries) => self.set_many(entries).await,
            Operation::Delete(key) => {
                check::equal("delete", store.delete(&self.keys[*key]).await?, self.model.delete(*key))
            }
            Operation::DeleteMany(keys) => {
                let results = store.delete_many(&self.named(keys)).await;
                check::equal("the number of results", results.len(), keys.len())?;
                let results = results.into_iter().collect::<larder_core::Result<Vec<_>>>()?;
                let expected: Vec<_> = keys.iter().map(|key| self.model.delete(*key)).collect();
                check::equal("delete_many", results, expected)
            }
            Operation::Touch(key, expiry) => self.touch(*key, *expiry).await,
            Operation::Expiry(key) => self.expiry(*key).await,
            Operation::Clear(namespace) => {
                self.model.clear(*namespace);
                Ok(store.clear(&self.namespaces[*namespace]).await?)
            }
            Operation::Keys(namespace) => {
                let mut seen = store.keys(&self.namespaces[*namespace]).await?;
                seen.sort();
                let mut expected = self.named(&self.model.keys(*namespace));
                expected.sort();
                check::equal("keys", seen, expected)
            }
            Operation::Advance(duration) => {
                self.model.advance(*duration);
                self.subject.advance(*duration).await;
                Ok(())
            }
            versioned => self.versioned(versioned).await,
        }
    }

    /// The operations that change a value by what it was.
    async fn versioned(&mut self, operation: &Operation) -> Outcome {
        let store = self.subject.store();
        match operation {
            Operation::GetVersioned(key) => {
                let (value, version) = store.get_versioned(&self.keys[*key]).await?.unzip();
                self.compare(*key, value)?;
                self.saw_if(*key, version, self.model.state(*key))
            }
            Operation::Add(key, value, expiry) => {
                let seen = store.add(&self.keys[*key], value.clone(), *expiry).await?;
                let state = self.model.add(*key, value.clone(), *expiry);
                check::equal("whether add won", seen.is_some(), state.is_some())?;
                self.saw_if(*key, seen, state)
            }
            Operation::Replace { key, version_of, back, value, expiry } => {
                let known = self.versions.get(version_of).and_then(|seen| seen.iter().rev().nth(*back));
                let Some((version, state)) = known.copied() else { return Ok(()) };
                let seen = store.replace(&self.keys[*key], &version, value.clone(), *expiry).await?;
                let state = self.model.replace(*key, state, value.clone(), *expiry);
                check::equal("whether replace won", seen.is_some(), state.is_some())?;
                self.saw_if(*key, seen, state)
            }
            Operation::Increment(key, delta, expiry) => {
                let seen = store.increment(&self.keys[*key], *delta, *expiry).await;
                match self.model.increment(*key, *delta, *expiry) {
                    Sum::Is(sum) => check::equal("increment", seen?, sum),
                    Sum::Overflow => check::refused("increment", seen, ErrorKind::Overflow),
                    Sum::WrongType => check::refused("increment", seen, ErrorKind::WrongType),
                }
            }
            other => Err(Failure::new(format_args!("expected a versioned operation, saw {other:?}"))),
        }
    }

    fn saw_if(&mut self, key: usize, version: Option<Version>, state: Option<u64>) -> Outcome {
        version.zip(state).map_or(Ok(()), |(version, state)| self.saw(key, version, state))
    }

    async fn set_many(&mut self, entries: &[(usize, Value, Expiry)]) -> Outcome {
        let named =
            entries.iter().map(|(key, value, expiry)| (self.keys[*key].clone(), value.clone(), *expiry));
        let results = self.subject.store().set_many(named.collect()).await;
        check::equal("the number of results", results.len(), entries.len())?;
        for (result, (key, value, expiry)) in results.into_iter().zip(entries) {
            result?;
            self.model.set(*key, value.clone(), *expiry);
        }
        Ok(())
    }

    async fn touch(&mut self, key: usize, expiry: Expiry) -> Outcome {
        let seen = self.subject.store().touch(&self.keys[key], expiry).await?;
        check::equal("touch", seen, self.model.touch(key, expiry))?;
        // Whether a touched entry is in another state is the store's to say: its versions are read anew.
        self.versions.remove(&key);
        Ok(())
    }

    async fn expiry(&self, key: usize) -> Outcome {
        let seen = self.subject.store().expiry(&self.keys[key]).await?;
        let expected = self.model.expiry(key);
        if self.subject.is_exact() {
            return check::equal("expiry", seen, expected);
        }
        let ends = |expiry| matches!(expiry, Some(Expiry::After(_)));
        check::equal("whether it expires", ends(seen), ends(expected))?;
        check::equal("whether there is an expiry", seen.is_some(), expected.is_some())
    }
}
