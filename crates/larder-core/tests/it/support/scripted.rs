use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex},
};

use larder_core::{
    CacheStore, Capabilities, Clock, ErrorKind, Expiry, Key, Namespace, Operations, Result, StoreEvents,
    Timestamp, Value, Version, async_trait,
};

use super::{Gate, broken};
use crate::doc::MapStore;

/// What an operation does instead of answering at once.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Fails, without effect.
    Fail(ErrorKind),
    /// Has its effect, then fails.
    FailAfter(ErrorKind),
    /// Never ends, without effect.
    Hang,
    /// Has its effect, then never ends.
    HangAfter,
    /// Waits before its effect.
    Hold(Arc<Gate>),
    /// Waits after its effect.
    HoldAfter(Arc<Gate>),
    /// Lets others run before and after.
    Yield,
}

/// What an `add` was sent with.
pub(crate) type Added = (Key, Value, Expiry);

/// The store of the examples, doing as told.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) inner: Arc<MapStore>,
    operations: Operations,
    shared: bool,
    peeks: bool,
    as_bytes: bool,
    acts: Mutex<Vec<(&'static str, Option<usize>, Act)>>,
    calls: Mutex<HashMap<&'static str, usize>>,
    adds: Mutex<Vec<Added>>,
    pub(crate) events: Mutex<Option<Arc<dyn StoreEvents>>>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            inner: Arc::default(),
            operations: Operations::ALL,
            shared: false,
            peeks: false,
            as_bytes: false,
            acts: Mutex::default(),
            calls: Mutex::default(),
            adds: Mutex::default(),
            events: Mutex::default(),
        }
    }
}

impl Scripted {
    pub(crate) fn keeping_bytes() -> Self {
        Self { as_bytes: true, ..Self::default() }
    }

    /// One process's way to a server.
    pub(crate) fn shared(server: &Arc<MapStore>) -> Self {
        Self { inner: Arc::clone(server), shared: true, as_bytes: true, ..Self::default() }
    }

    /// The same where the server cannot do this.
    pub(crate) fn lacking(self, operations: Operations) -> Self {
        Self { operations: self.operations.without(operations), ..self }
    }

    pub(crate) fn peeking() -> Self {
        Self { peeks: true, ..Self::default() }
    }

    pub(crate) fn without(operations: Operations) -> Self {
        Self { operations: Operations::ALL.without(operations), ..Self::default() }
    }

    /// From now on, until [`calm`](Self::calm).
    pub(crate) fn always(&self, operation: &'static str, act: Act) {
        self.acts.lock().unwrap().push((operation, None, act));
    }

    /// The next time only.
    pub(crate) fn once(&self, operation: &'static str, act: Act) {
        self.acts.lock().unwrap().push((operation, Some(1), act));
    }

    /// Forgets the whole script.
    pub(crate) fn calm(&self) {
        self.acts.lock().unwrap().clear();
    }

    /// How often each operation was called since the last time.
    pub(crate) fn take_calls(&self) -> Vec<(&'static str, usize)> {
        let mut calls: Vec<_> = self.calls.lock().unwrap().drain().collect();
        calls.sort_unstable();
        calls
    }

    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.calls.lock().unwrap().get(operation).copied().unwrap_or(0)
    }

    /// Every `add` that was sent, whatever became of it.
    pub(crate) fn adds(&self) -> Vec<Added> {
        self.adds.lock().unwrap().clone()
    }

    fn next(&self, operation: &'static str) -> Option<Act> {
        *self.calls.lock().unwrap().entry(operation).or_default() += 1;
        let mut acts = self.acts.lock().unwrap();
        let at = acts.iter().position(|(of, ..)| *of == operation)?;
        let (_, left, act) = &mut acts[at];
        let act = act.clone();
        if let Some(left) = left {
            *left -= 1;
            if *left == 0 {
                acts.remove(at);
            }
        }
        Some(act)
    }

    async fn act<T>(&self, operation: &'static str, effect: impl Future<Output = T>) -> Result<T> {
        match self.next(operation) {
            None => Ok(effect.await),
            Some(Act::Fail(kind)) => Err(broken(kind)),
            Some(Act::FailAfter(kind)) => {
                effect.await;
                Err(broken(kind))
            }
            Some(Act::Hang) => pending().await,
            Some(Act::HangAfter) => {
                effect.await;
                pending().await
            }
            Some(Act::Hold(gate)) => {
                gate.pass().await;
                Ok(effect.await)
            }
            Some(Act::HoldAfter(gate)) => {
                let result = effect.await;
                gate.pass().await;
                Ok(result)
            }
            Some(Act::Yield) => {
                tokio::task::yield_now().await;
                let result = effect.await;
                tokio::task::yield_now().await;
                Ok(result)
            }
        }
    }

    fn kept(&self, value: Value) -> Result<Value> {
        if self.as_bytes { Value::from_wire(value.to_wire()?) } else { Ok(value) }
    }
}

#[async_trait]
impl CacheStore for Scripted {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_operations(self.operations).with_shared(self.shared)
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.inner.clock()
    }

    fn subscribe(&self, events: Arc<dyn StoreEvents>) {
        *self.events.lock().unwrap() = Some(events);
    }

    fn peek(&self, key: &Key, _now: Timestamp) -> Option<Option<Value>> {
        if !self.peeks || !self.acts.lock().unwrap().is_empty() {
            return None;
        }
        let mut get = self.inner.get(key);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match get.as_mut().poll(&mut context) {
            std::task::Poll::Ready(found) => found.ok(),
            std::task::Poll::Pending => None,
        }
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.act("get", self.inner.get(key)).await?
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        let value = self.kept(value)?;
        self.act("set", self.inner.set(key, value, expiry)).await?
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.act("delete", self.inner.delete(key)).await?
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        match self.act("get_many", self.inner.get_many(keys)).await {
            Ok(results) => results,
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        let len = entries.len();
        let kept = entries.into_iter().map(|(key, value, expiry)| Ok((key, self.kept(value)?, expiry)));
        let Ok(entries) = kept.collect::<Result<Vec<_>>>() else {
            return (0..len).map(|_| Err(broken(ErrorKind::TooLarge))).collect();
        };
        match self.act("set_many", self.inner.set_many(entries)).await {
            Ok(results) => results,
            Err(error) => (0..len).map(|_| Err(error.clone())).collect(),
        }
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        match self.act("delete_many", self.inner.delete_many(keys)).await {
            Ok(results) => results,
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        self.act("get_versioned", self.inner.get_versioned(key)).await?
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        let value = self.kept(value)?;
        self.adds.lock().unwrap().push((key.clone(), value.clone(), expiry));
        self.act("add", self.inner.add(key, value, expiry)).await?
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let value = self.kept(value)?;
        self.act("replace", self.inner.replace(key, version, value, expiry)).await?
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.act("increment", self.inner.increment(key, delta, expiry)).await?
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        self.act("touch", self.inner.touch(key, expiry)).await?
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        self.act("expiry", self.inner.expiry(key)).await?
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.act("clear", self.inner.clear(namespace)).await?
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        self.act("keys", self.inner.keys(namespace)).await?
    }

    async fn len(&self) -> Result<u64> {
        self.act("len", self.inner.len()).await?
    }
}
