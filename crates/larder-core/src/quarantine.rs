//! Keys that this process does not serve from the store, because a write or an invalidation of unknown outcome may still
//! appear there. A task of one of the caches over the store replays them: see [`Watcher`].

mod watch;

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use self::watch::Watchers;
pub(crate) use self::watch::{Turn, Watcher};
use crate::{
    Event, Key, Namespace,
    sync::{Arc, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering},
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
    watchers: Watchers,
}

#[derive(Default)]
struct Doubts {
    /// With the epoch in which the doubt arose last.
    keys: BTreeMap<Key, u64>,
    /// Encoded paths: every key that starts with one is in doubt.
    namespaces: BTreeMap<String, u64>,
    /// A [`Turn`] is out.
    replaying: bool,
}

impl Doubts {
    /// Whether a replay has anything to do; `clears` says whether it can clear namespaces.
    fn are_replayable(&self, clears: bool) -> bool {
        !self.keys.is_empty() || clears && !self.namespaces.is_empty()
    }
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
        if self.is_empty() {
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

    /// Whether nothing at all is in doubt.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys and namespaces are in doubt.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// When this is: for what is about to be sent, which settles the doubts of before.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether a delete of `key` would settle something, also where its namespace is in doubt besides.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        self.lock().keys.contains_key(key)
    }

    /// At most `limit` keys in doubt, in order, from the one that follows `after`.
    pub(crate) fn keys_after(&self, after: Option<&Key>, limit: usize) -> Vec<Key> {
        let from = after.map_or(Unbounded, Excluded);
        self.lock().keys.range::<Key, _>((from, Unbounded)).take(limit).map(|(key, _)| key.clone()).collect()
    }

    /// The namespaces in doubt.
    pub(crate) fn namespaces(&self) -> Vec<Namespace> {
        self.lock().namespaces.keys().map(|path| Namespace::of_path(path)).collect()
    }

    /// `key` is in doubt from now on; someone replays it.
    pub(crate) fn key(self: &Arc<Self>, key: &Key) {
        let mut doubts = self.lock();
        let epoch = self.next_epoch();
        let (is_new, namespace) = if doubts.keys.len() < MAX_KEYS || doubts.keys.contains_key(key) {
            (doubts.keys.insert(key.clone(), epoch).is_none(), None)
        } else {
            (false, add_namespace(&mut doubts, key.namespace(), epoch))
        };
        self.recount(&doubts);
        drop(doubts);
        if is_new {
            self.watchers.tell(&Event::KeyInDoubt { key });
        }
        self.arisen(namespace.as_ref());
    }

    /// Every key in the namespace with this path is in doubt from now on.
    pub(crate) fn namespace(self: &Arc<Self>, path: &str) {
        let mut doubts = self.lock();
        let epoch = self.next_epoch();
        let namespace = add_namespace(&mut doubts, path, epoch);
        self.recount(&doubts);
        drop(doubts);
        self.arisen(namespace.as_ref());
    }

    fn arisen(self: &Arc<Self>, namespace: Option<&Namespace>) {
        if let Some(namespace) = namespace {
            self.watchers.tell(&Event::NamespaceInDoubt { namespace });
        }
        self.wake();
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
        self.settled(doubts);
    }

    /// A clear of `namespace` that was sent in epoch `sent` is confirmed.
    pub(crate) fn release_namespace(&self, namespace: &Namespace, sent: u64) {
        if self.is_empty() {
            return;
        }
        let mut doubts = self.lock();
        doubts.keys.retain(|key, arose| *arose > sent || !namespace.contains(key));
        doubts.namespaces.retain(|path, arose| *arose > sent || !path.starts_with(namespace.as_str()));
        self.settled(doubts);
    }

    /// Counts again, and tells if the last doubt is gone.
    fn settled(&self, doubts: MutexGuard<'_, Doubts>) {
        let all = self.recount(&doubts) > 0 && self.is_empty();
        drop(doubts);
        if all {
            self.watchers.tell(&Event::DoubtsSettled {});
        }
    }

    fn next_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Counts again, and returns how many there were.
    fn recount(&self, doubts: &Doubts) -> usize {
        self.count.swap(doubts.keys.len() + doubts.namespaces.len(), Ordering::AcqRel)
    }

    fn lock(&self) -> MutexGuard<'_, Doubts> {
        self.doubts.lock().expect("no code panics while it holds the doubts")
    }
}

/// Returns the namespace if it was not in doubt before.
fn add_namespace(doubts: &mut Doubts, path: &str, epoch: u64) -> Option<Namespace> {
    let fits = doubts.namespaces.len() < MAX_NAMESPACES || doubts.namespaces.contains_key(path);
    let namespace = if fits { Namespace::of_path(path) } else { Namespace::root() };
    doubts.namespaces.insert(namespace.as_str().to_owned(), epoch).is_none().then_some(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str, text: &str) -> Key {
        Key::new(&Namespace::root().child(path).unwrap(), text).unwrap()
    }

    #[test]
    fn a_key_is_in_doubt_until_released() {
        let quarantine = Arc::new(Quarantine::default());
        quarantine.key(&key("a", "1"));
        assert_eq!(quarantine.of(&key("a", "1")), Doubt::Key);
        assert_eq!(quarantine.of(&key("a", "2")), Doubt::None);
        quarantine.release_key(&key("a", "1"), quarantine.epoch());
        assert_eq!(quarantine.of(&key("a", "1")), Doubt::None);
        assert!(quarantine.is_empty());
    }

    #[test]
    fn what_was_sent_before_a_doubt_arose_does_not_settle_it() {
        let quarantine = Arc::new(Quarantine::default());
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
        let quarantine = Arc::new(Quarantine::default());
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
        let quarantine = Arc::new(Quarantine::default());
        for i in 0..=MAX_NAMESPACES {
            quarantine.namespace(Namespace::root().child(&i.to_string()).unwrap().as_str());
        }
        assert_eq!(quarantine.of(&key("elsewhere", "x")), Doubt::Namespace);
        quarantine.release_namespace(&Namespace::root(), quarantine.epoch());
        assert!(quarantine.is_empty());
    }
}
