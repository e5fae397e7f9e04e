//! Keys that this process does not serve from the store, because a write or an invalidation of unknown outcome may still
//! appear there.

use std::collections::HashSet;

use crate::{
    Key, Namespace,
    sync::{AtomicUsize, Mutex, Ordering},
};

/// More keys than this, and their whole namespaces are not served; more namespaces than this, and nothing is.
const MAX_KEYS: usize = 10_000;
const MAX_NAMESPACES: usize = 1_000;

#[derive(Default)]
pub(crate) struct Quarantine {
    /// So that the common case, none, costs one load.
    count: AtomicUsize,
    doubts: Mutex<Doubts>,
}

#[derive(Default)]
struct Doubts {
    keys: HashSet<Key>,
    /// Encoded paths: every key that starts with one is in doubt.
    namespaces: HashSet<String>,
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
        if doubts.namespaces.iter().any(|path| key.as_str().starts_with(path)) {
            Doubt::Namespace
        } else if doubts.keys.contains(key) {
            Doubt::Key
        } else {
            Doubt::None
        }
    }

    /// Whether anything at all is in doubt.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    pub(crate) fn key(&self, key: &Key) {
        let mut doubts = self.lock();
        if doubts.keys.len() < MAX_KEYS {
            doubts.keys.insert(key.clone());
        } else {
            add_namespace(&mut doubts, key.namespace());
        }
        self.recount(&doubts);
    }

    pub(crate) fn namespace(&self, path: &str) {
        let mut doubts = self.lock();
        add_namespace(&mut doubts, path);
        self.recount(&doubts);
    }

    pub(crate) fn release_key(&self, key: &Key) {
        if self.is_empty() {
            return;
        }
        let mut doubts = self.lock();
        doubts.keys.remove(key);
        self.recount(&doubts);
    }

    pub(crate) fn release_namespace(&self, namespace: &Namespace) {
        if self.is_empty() {
            return;
        }
        let mut doubts = self.lock();
        doubts.keys.retain(|key| !namespace.contains(key));
        doubts.namespaces.retain(|path| !path.starts_with(namespace.as_str()));
        self.recount(&doubts);
    }

    fn recount(&self, doubts: &Doubts) {
        self.count.store(doubts.keys.len() + doubts.namespaces.len(), Ordering::Release);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Doubts> {
        self.doubts.lock().expect("no code panics while it holds the doubts")
    }
}

fn add_namespace(doubts: &mut Doubts, path: &str) {
    if doubts.namespaces.len() < MAX_NAMESPACES {
        doubts.namespaces.insert(path.to_owned());
    } else {
        doubts.namespaces.insert(Namespace::root().as_str().to_owned());
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
        quarantine.release_key(&key("a", "1"));
        assert_eq!(quarantine.of(&key("a", "1")), Doubt::None);
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
        quarantine.release_namespace(&Namespace::root().child("a").unwrap());
        assert!(quarantine.is_empty());
    }

    #[test]
    fn too_many_namespaces_put_everything_in_doubt() {
        let quarantine = Quarantine::default();
        for i in 0..=MAX_NAMESPACES {
            quarantine.namespace(Namespace::root().child(&i.to_string()).unwrap().as_str());
        }
        assert_eq!(quarantine.of(&key("elsewhere", "x")), Doubt::Namespace);
        quarantine.release_namespace(&Namespace::root());
        assert!(quarantine.is_empty());
    }
}
