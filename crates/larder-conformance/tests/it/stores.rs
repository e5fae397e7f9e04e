//! Stores that have little, or nothing.

use std::{collections::BTreeSet, time::Duration};

use larder_conformance::{Suite, Verdict};
use larder_core::{
    CacheStore, Capabilities, Error, ErrorKind, Expiry, Key, ManualClock, Namespace, Operations, Result,
    Value, Version, async_trait,
};

use crate::reference_store::Reference;

/// What a store author writes first.
#[derive(Debug)]
pub(crate) struct Minimal {
    store: Reference,
    quirk: Quirk,
}

/// What else there is to a minimal store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quirk {
    None,
    GetPanics,
    DeleteDoesNothing,
    /// Declares the limit that the reference store keeps.
    SaysItsLimit,
}

impl Minimal {
    pub(crate) fn suite(quirk: Quirk) -> Suite {
        Suite::with_manual_clock(move |clock: ManualClock| async move {
            Ok(Self { store: Reference::new(clock, Duration::ZERO), quirk })
        })
    }
}

#[async_trait]
impl CacheStore for Minimal {
    fn capabilities(&self) -> Capabilities {
        match self.quirk {
            Quirk::SaysItsLimit => Capabilities::new().with_max_value_bytes(Reference::MAX_VALUE),
            _ => Capabilities::new(),
        }
    }
    fn clock(&self) -> Option<std::sync::Arc<dyn larder_core::Clock>> {
        self.store.clock()
    }
    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        assert!(self.quirk != Quirk::GetPanics, "out of order");
        self.store.get(key).await
    }
    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.store.set(key, value, expiry).await
    }
    async fn delete(&self, key: &Key) -> Result<bool> {
        match self.quirk {
            Quirk::DeleteDoesNothing => self.store.has(key).await,
            _ => self.store.delete(key).await,
        }
    }
}

/// Keeps nothing, and has every operation.
#[derive(Debug, Default)]
pub(crate) struct Forgetful(std::sync::atomic::AtomicU64);

#[async_trait]
impl CacheStore for Forgetful {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_operations(Operations::ALL).with_retains(false)
    }
    async fn get(&self, _: &Key) -> Result<Option<Value>> {
        Ok(None)
    }
    async fn set(&self, _: &Key, _: Value, _: Expiry) -> Result<()> {
        Ok(())
    }
    async fn delete(&self, _: &Key) -> Result<bool> {
        Ok(false)
    }
    async fn get_versioned(&self, _: &Key) -> Result<Option<(Value, Version)>> {
        Ok(None)
    }
    async fn add(&self, _: &Key, _: Value, _: Expiry) -> Result<Option<Version>> {
        Ok(Some(Version::from(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))))
    }
    async fn replace(&self, _: &Key, _: &Version, _: Value, _: Expiry) -> Result<Option<Version>> {
        Ok(None)
    }
    async fn increment(&self, _: &Key, delta: i64, _: Expiry) -> Result<i64> {
        Ok(delta)
    }
    async fn touch(&self, _: &Key, _: Expiry) -> Result<bool> {
        Ok(false)
    }
    async fn expiry(&self, _: &Key) -> Result<Option<Expiry>> {
        Ok(None)
    }
    async fn clear(&self, _: &Namespace) -> Result<()> {
        Ok(())
    }
    async fn keys(&self, _: &Namespace) -> Result<Vec<Key>> {
        Ok(Vec::new())
    }
    async fn len(&self) -> Result<u64> {
        Ok(0)
    }
}

/// A suite for a server that is not there.
pub(crate) fn unreachable() -> Suite {
    Suite::new(|| async {
        let refused = Error::new(ErrorKind::Unavailable, "my://localhost").with_source("connection refused");
        Err::<Forgetful, _>(refused.into())
    })
}

/// The names of the cases whose verdict is chosen.
pub(crate) fn chosen(
    report: &[(&'static str, Verdict)],
    choose: fn(&Verdict) -> bool,
) -> BTreeSet<&'static str> {
    report.iter().filter(|(_, verdict)| choose(verdict)).map(|(case, _)| *case).collect()
}
