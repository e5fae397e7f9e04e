//! The namespaces being cleared right now.

use crate::{
    Key, Namespace,
    sync::{AtomicUsize, Mutex, Ordering},
};

/// Namespaces whose `clear` is under way: nothing in them may be kept until it ends.
#[derive(Default)]
pub(super) struct Clears {
    /// So that the common case, none, costs one load.
    count: AtomicUsize,
    list: Mutex<Vec<Namespace>>,
}

impl Clears {
    pub(super) fn begin(&self, namespace: &Namespace) {
        let mut list = self.list.lock().expect("no code panics while it holds the list");
        list.push(namespace.clone());
        self.count.store(list.len(), Ordering::SeqCst);
    }

    pub(super) fn end(&self, namespace: &Namespace) {
        let mut list = self.list.lock().expect("no code panics while it holds the list");
        if let Some(at) = list.iter().position(|running| running == namespace) {
            list.swap_remove(at);
        }
        self.count.store(list.len(), Ordering::SeqCst);
    }

    pub(super) fn cover(&self, key: &Key) -> bool {
        self.count.load(Ordering::SeqCst) > 0
            && self
                .list
                .lock()
                .expect("no code panics while it holds the list")
                .iter()
                .any(|ns| ns.contains(key))
    }
}
