//! The suite, by four processes on one directory at once.

use std::{
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use larder_conformance::Suite;
use larder_core::{
    CacheStore, Capabilities, Clock, Expiry, Guarantees, Key, Namespace, Result, StoreEvents, Value, Version,
    async_trait,
};
use larder_filesystem::FileSystemStore;
use libtest_mimic::Failed;

use crate::support::{path, start};

/// How many cases use one store. Each store that is opened reads the whole directory, which here is that of all cases.
const CASES: usize = 50;

pub(crate) fn child() -> ExitCode {
    let (path, opened) = (path(), Arc::new(Mutex::new((0, None))));
    larder_conformance::run([Suite::new(move || {
        let (path, opened) = (path.clone(), Arc::clone(&opened));
        async move {
            let known = {
                let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
                opened.0 += 1;
                if opened.0 % CASES == 1 { None } else { opened.1.clone() }
            };
            if let Some(store) = known {
                return Ok(store);
            }
            let store = Shared(Arc::new(FileSystemStore::builder(path).open().await?));
            opened.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(store.clone());
            Ok(store)
        }
    })])
}

/// One store of several cases.
#[derive(Clone, Debug)]
struct Shared(Arc<FileSystemStore>);

#[async_trait]
impl CacheStore for Shared {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn guarantees(&self) -> Guarantees {
        self.0.guarantees()
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.0.clock()
    }

    fn subscribe(&self, events: Arc<dyn StoreEvents>) {
        self.0.subscribe(events);
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.0.get(key).await
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.0.set(key, value, expiry).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.0.delete(key).await
    }

    async fn has(&self, key: &Key) -> Result<bool> {
        self.0.has(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        self.0.get_many(keys).await
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        self.0.set_many(entries).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        self.0.delete_many(keys).await
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        self.0.get_versioned(key).await
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        self.0.add(key, value, expiry).await
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        self.0.replace(key, version, value, expiry).await
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.0.increment(key, delta, expiry).await
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        self.0.touch(key, expiry).await
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        self.0.expiry(key).await
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.0.clear(namespace).await
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        self.0.keys(namespace).await
    }

    async fn len(&self) -> Result<u64> {
        self.0.len().await
    }
}

pub(crate) fn four_processes() -> std::result::Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let children: Vec<_> = (0..4).map(|number| start("suite", &home.path().join("cache"), number)).collect();
    for mut child in children {
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("one of four: {status}").into());
        }
    }
    Ok(())
}
