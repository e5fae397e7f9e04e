//! Requests that do not wait for each other.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{key::KeyText, layer::Shared};

/// The keys that a request is after which nobody is to wait for: it alone may fill the entry, the others run on their own.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashSet<KeyText>>);

/// The only turn at a key; dropping it ends it.
pub(crate) struct Turn {
    shared: Arc<Shared>,
    key: KeyText,
}

impl Turn {
    /// `None` if someone else has it.
    pub(crate) fn take(shared: &Arc<Shared>, key: KeyText) -> Option<Self> {
        shared.turns.lock().insert(key).then(|| Self { shared: Arc::clone(shared), key })
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, HashSet<KeyText>> {
        self.0.lock().expect("no code panics while it holds the turns")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.turns.lock().remove(&self.key);
    }
}
