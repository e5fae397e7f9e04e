//! Keys that this process does not serve from the store, because a write or an invalidation of unknown outcome may still
//! appear there.

use std::collections::HashMap;

use crate::{
    Key, Namespace,
    sync::{AtomicU64, AtomicUsize, Mutex, Ordering},
};

/// More keys than this, and their whole namespaces are not served; more namespaces than this, and nothing is.
const MAX_KEYS: usize = 10_000;
const MAX_NAMESPACES: usize = 1_000;

#[derive(Default)]
pub(crate) struct Quarantine {
    /// So that the common case, none, costs one load.
    count: AtomicUsize,
    /// Counts the doubts that ever arose. What began before a doubt arose does not settle it: a write that timed out after a
    /// delete was sent may still appear after that delete.
    epoch: AtomicU64,
    doubts: Mutex<Doubts>,
}

#[derive(Default)]
struct Doubts {
    /// With the epoch in which the doubt arose last.
    keys: HashMap<Key, u64>,
    /// Encoded paths: every key that starts with one is in doubt.
    namespaces: HashMap<String, u64>,
}

/// Whether a key is served, and what would clear its doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    None,
    /// A successful delete of the key does.
    Key,
    /// A successful clear of the namespace does.
    Namespace,
}

impl Quarantine {
    pub(crate) fn of(&self, key: &Key) -> Doubt {
        if self.count.load(Ordering::Acquire) == 0 {
            return Doubt::None;
        }
        let doubts = self.lock();
        if doubts.namespaces.keys().any(|path| key.as_str().starts_with(path)) {
            Doubt::Namespace
        } else if doubts.keys.contains_key(key) {
            Doubt::Key
        } else {
            Doubt::None
        }
    }

    /// Whether anything at all is in doubt.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// When this is: for what is about to be sent, which settles the doubts of before.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn key(&self, key: &Key) {
        let mut doubts = self.lock();
        let epoch = self.next_epoch();
        if doubts.keys.len() < MAX_KEYS || doubts.keys.contains_key(key) {
            doubts.keys.insert(key.clone(), epoch);
        } else {
            add_namespace(&mut doubts, key.namespace(), epoch);
        }
        self.recount(&doubts);
    }

    pub(crate) fn namespace(&self, path: &str) {
        let mut doubts = self.lock();
        let epoch = self.next_epoch();
        add_namespace(&mut doubts, path, epoch);
        self.recount(&doubts);
    }

    /// A delete of `key` that was sent in epoch `sent` is confirmed.
    pub(crate) fn release_key(&self, key: &Key, sent: u64) {
        if self.is_empty() {
            return;
        }
        let mut doubts = self.lock();
        if doubts.keys.get(key).is_some_and(|arose| *arose <= sent) {
            doubts.keys.remove(key);
        }
        self.recount(&doubts);
    }

    /// A clear of `namespace` that was sent in epoch `sent` is confirmed.
    pub(crate) fn release_namespace(&self, namespace: &Namespace, sent: u64) {
        if self.is_empty() {
            return;
        }
        let mut doubts = self.lock();
        doubts.keys.retain(|key, arose| *arose > sent || !namespace.contains(key));
        doubts.namespaces.retain(|path, arose| *arose > sent || !path.starts_with(namespace.as_str()));
        self.recount(&doubts);
    }

    fn next_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn recount(&self, doubts: &Doubts) {
        self.count.store(doubts.keys.len() + doubts.namespaces.len(), Ordering::Release);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Doubts> {
        self.doubts.lock().expect("no code panics while it holds the doubts")
    }
}

fn add_namespace(doubts: &mut Doubts, path: &str, epoch: u64) {
    if doubts.namespaces.len() < MAX_NAMESPACES || doubts.namespaces.contains_key(path) {
        doubts.namespaces.insert(path.to_owned(), epoch);
    } else {
        doubts.namespaces.insert(Namespace::root().as_str().to_owned(), epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str, text: &str) -> Key {
        Key::new(&Namespace::root().child(path).unwrap(), text).unwrap()
    }

    #[test]
    fn a_key_is_in_doubt_until_released() {
        let quarantine = Quarantine::default();
        quarantine.key(&key("a", "1"));
        assert_eq!(quarantine.of(&key("a", "1")), Doubt::Key);
        assert_eq!(quarantine.of(&key("a", "2")), Doubt::None);
        quarantine.release_key(&key("a", "1"), quarantine.epoch());
        assert_eq!(quarantine.of(&key("a", "1")), Doubt::None);
        assert!(quarantine.is_empty());
    }

    #[test]
    fn what_was_sent_before_a_doubt_arose_does_not_settle_it() {
        let quarantine = Quarantine::default();
        let sent = quarantine.epoch();
        quarantine.key(&key("a", "1"));
        quarantine.release_key(&key("a", "1"), sent);
        quarantine.release_namespace(&Namespace::root(), sent);
        assert_eq!(quarantine.of(&key("a", "1")), Doubt::Key);
        let sent = quarantine.epoch();
        quarantine.key(&key("a", "1"));
        quarantine.release_key(&key("a", "1"), sent);
        assert_eq!(quarantine.of(&key("a", "1")), Doubt::Key, "in doubt for a second reason since");
        quarantine.release_key(&key("a", "1"), quarantine.epoch());
        assert!(quarantine.is_empty());
    }

    #[test]
    fn too_many_keys_put_their_namespace_in_doubt_until_it_is_cleared() {
        let quarantine = Quarantine::default();
        for i in 0..=MAX_KEYS {
            quarantine.key(&key("a", &i.to_string()));
        }
        assert_eq!(quarantine.of(&key("a", "never seen")), Doubt::Namespace);
        assert_eq!(quarantine.of(&key("b", "never seen")), Doubt::None);
        quarantine.release_namespace(&Namespace::root().child("a").unwrap(), quarantine.epoch());
        assert!(quarantine.is_empty());
    }

    #[test]
    fn too_many_namespaces_put_everything_in_doubt() {
        let quarantine = Quarantine::default();
        for i in 0..=MAX_NAMESPACES {
            quarantine.namespace(Namespace::root().child(&i.to_string()).unwrap().as_str());
        }
        assert_eq!(quarantine.of(&key("elsewhere", "x")), Doubt::Namespace);
        quarantine.release_namespace(&Namespace::root(), quarantine.epoch());
        assert!(quarantine.is_empty());
    }
}
