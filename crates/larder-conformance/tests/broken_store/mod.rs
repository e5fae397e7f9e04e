//! The reference store, with one fault at a time.

mod fault;
mod mistaken;
mod writing;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use larder_core::{
    CacheStore, Capabilities, Clock, Error, ErrorKind, Expiry, Key, ManualClock, Namespace, Operations,
    Result, Timestamp, Value, Version, async_trait,
};
use tokio::{
    sync::{RwLock, Semaphore},
    task::yield_now,
};

pub(crate) use self::fault::Fault;
use self::mistaken::like;
use crate::reference_store::Reference;

/// A store that does everything right but one thing.
pub(crate) struct Broken {
    store: Reference,
    fault: Fault,
    /// Every key ever written and not deleted, expired or not.
    written: Mutex<BTreeSet<Key>>,
    /// Every key ever written.
    ever: Mutex<BTreeSet<Key>>,
    /// For stores that take one key for another: which key stands for which.
    aliases: Mutex<HashMap<String, Key>>,
    /// For stores that number versions by themselves: the true ones, for each key.
    versions: Mutex<HashMap<Key, Vec<Version>>>,
    /// For stores that answer over one connection: its lock, and the answers on their way.
    connection: RwLock<()>,
    answers: Mutex<VecDeque<Option<Value>>>,
    /// For stores with a pool: the connections that are free.
    pool: Semaphore,
    /// For stores with a near cache that hears of nothing.
    remembered: Mutex<HashMap<Key, Option<Value>>>,
}

impl Broken {
    pub(crate) fn new(fault: Fault, clock: ManualClock) -> Self {
        Self {
            store: Reference::new(clock, Duration::ZERO),
            fault,
            written: Mutex::default(),
            ever: Mutex::default(),
            aliases: Mutex::default(),
            versions: Mutex::default(),
            connection: RwLock::default(),
            answers: Mutex::default(),
            pool: Semaphore::new(40),
            remembered: Mutex::default(),
        }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.fault == Fault::DebugShowsNothing {
            return Ok(());
        }
        f.debug_struct("Broken").field("fault", &self.fault).finish_non_exhaustive()
    }
}

#[async_trait]
impl CacheStore for Broken {
    fn capabilities(&self) -> Capabilities {
        let declared = self.store.capabilities();
        match self.fault {
            Fault::UnsupportedIsOk => declared
                .with_operations(Operations::ALL.without(Operations::CLEAR).without(Operations::TOUCH)),
            Fault::EmulatesWhatItDoesNotDeclare => declared.with_operations(
                Operations::ALL.without(Operations::VERSIONS).without(Operations::INCREMENT),
            ),
            _ => declared,
        }
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        let key = &self.key(key);
        match self.fault {
            Fault::MissIsAnError => {
                if self.ever.lock().unwrap().contains(key) {
                    return self.store.get(key).await;
                }
                Err(Error::new(ErrorKind::Unavailable, "no such key"))
            }
            Fault::EmptyIsAMiss => {
                let found = self.store.get(key).await?;
                Ok(found.filter(|value| !matches!(value, Value::Bytes(bytes) if bytes.is_empty())))
            }
            Fault::NeighboursAnswer => {
                let _connection = self.connection.write().await;
                let answer = self.store.get(key).await?;
                self.answers.lock().unwrap().push_back(answer);
                yield_now().await;
                Ok(self.answers.lock().unwrap().pop_front().unwrap())
            }
            Fault::ConnectionsLeak => {
                self.pool.acquire().await.unwrap().forget();
                yield_now().await;
                self.pool.add_permits(1);
                self.store.get(key).await
            }
            Fault::SetInTwoSteps => {
                let _connection = self.connection.read().await;
                self.store.get(key).await
            }
            _ => self.store.get(key).await,
        }
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        let (key, value, expiry) = (&self.key(key), self.value(value), self.expiry_of(expiry));
        self.broken_set(key, value, expiry).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        let key = &self.key(key);
        match self.fault {
            Fault::DeleteIsAlwaysTrue => self.store.delete(key).await.map(|_| true),
            Fault::DeleteDoesNothing => self.store.has(key).await,
            Fault::DeleteSeesTheExpired => {
                let _connection = self.connection.write().await;
                let was = self.raw(key).is_some();
                self.store.delete(key).await.map(|_| was)
            }
            Fault::DeleteRaces => {
                let was = self.store.has(key).await?;
                yield_now().await;
                self.store.delete(key).await.map(|_| was)
            }
            _ => {
                self.written.lock().unwrap().remove(key);
                if self.fault == Fault::VersionsStartAgainAfterDelete {
                    self.versions.lock().unwrap().remove(key);
                }
                self.store.delete(key).await
            }
        }
    }

    fn peek(&self, key: &Key, now: Timestamp) -> Option<Option<Value>> {
        let key = &self.key(key);
        match self.fault {
            Fault::PeekIgnoresExpiry => Some(self.raw(key)),
            Fault::PeekIgnoresTheTimeGiven => {
                let now = self.store.clock().map_or(now, |clock| clock.now());
                self.store.peek(key, now)
            }
            Fault::PeekRemembers => {
                let mut remembered = self.remembered.lock().unwrap();
                Some(
                    remembered
                        .entry(key.clone())
                        .or_insert_with(|| self.store.peek(key, now).flatten())
                        .clone(),
                )
            }
            // What they do to `get` they do not do here.
            Fault::EmptyIsAMiss | Fault::ClockIsHidden => None,
            _ => self.store.peek(key, now),
        }
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        if self.fault == Fault::ClockIsHidden { None } else { self.store.clock() }
    }

    async fn has(&self, key: &Key) -> Result<bool> {
        match self.fault {
            Fault::HasIgnoresExpiry => Ok(self.raw(key).is_some()),
            // The provided `has` asks `get`.
            Fault::MissIsAnError => self.store.has(key).await,
            _ => Ok(self.get(key).await?.is_some()),
        }
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let mut keys = keys.to_vec();
        match self.fault {
            Fault::GetManyIgnoresExpiry => return keys.iter().map(|key| Ok(self.raw(key))).collect(),
            Fault::GetManySorts => keys.sort(),
            Fault::GetManyDropsDuplicates => {
                let mut seen = BTreeSet::new();
                keys.retain(|key| seen.insert(key.clone()));
            }
            Fault::GetManyPanicsOnNothing => assert!(!keys.is_empty(), "no keys"),
            Fault::GetManyStopsAtAHundred => keys.truncate(100),
            _ => {}
        }
        let mut results = Vec::with_capacity(keys.len());
        for key in &keys {
            results.push(self.get(key).await);
        }
        let missing = |result: &Result<Option<Value>>| matches!(result, Ok(None));
        match self.fault {
            Fault::GetManyDropsMisses => results.retain(|result| !missing(result)),
            Fault::GetManyFailsOnMisses => {
                for result in results.iter_mut().filter(|result| missing(result)) {
                    *result = Err(Error::new(ErrorKind::Unavailable, "no such key"));
                }
            }
            _ => {}
        }
        results
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(entries.len());
        for (key, value, expiry) in entries {
            let expiry = if self.fault == Fault::SetManyIgnoresExpiry { Expiry::Never } else { expiry };
            results.push(self.set(&key, value, expiry).await);
        }
        results
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        if self.fault == Fault::EmulatesWhatItDoesNotDeclare {
            return Ok(None);
        }
        let key = &self.key(key);
        let read = self.store.get_versioned(key).await?;
        Ok(read.map(|(value, version)| {
            let version = self.told(key, &value, version);
            (value, version)
        }))
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        let (key, value, expiry) = (&self.key(key), self.value(value), self.expiry_of(expiry));
        self.broken_add(key, value, expiry).await
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let (key, value, expiry) = (&self.key(key), self.value(value), self.expiry_of(expiry));
        self.broken_replace(key, version, value, expiry).await
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.broken_increment(&self.key(key), delta, self.expiry_of(expiry)).await
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        let key = &self.key(key);
        match self.fault {
            Fault::UnsupportedIsOk => Ok(true),
            Fault::TouchRevives => match self.raw(key) {
                Some(value) => self.store.set(key, value, expiry).await.map(|()| true),
                None => Ok(false),
            },
            _ => self.store.touch(key, self.expiry_of(expiry)).await,
        }
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        let seen = self.store.expiry(&self.key(key)).await?;
        Ok(match (self.fault, seen) {
            (Fault::ExpiryNeverShrinks, Some(Expiry::After(_))) => {
                Some(Expiry::After(Duration::from_secs(1_000)))
            }
            (_, seen) => seen,
        })
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.written.lock().unwrap().retain(|key| !namespace.contains(key));
        let name = namespace.as_str();
        let chosen: Box<dyn Fn(&Key) -> bool + Send + Sync> = match self.fault {
            Fault::UnsupportedIsOk => return Ok(()),
            Fault::ClearTakesAPlainPrefix => {
                Box::new(move |key| key.as_str().starts_with(name.trim_end_matches('/')))
            }
            Fault::ClearTakesAPattern => Box::new(move |key| like(&format!("{name}%"), key.as_str())),
            Fault::ClearSkipsChildren => Box::new(move |key| key.namespace() == name),
            Fault::ClearStopsAtAHundred => {
                let some: BTreeSet<_> = self.store.keys(namespace).await?.into_iter().take(100).collect();
                Box::new(move |key| some.contains(key))
            }
            _ => return self.store.clear(namespace).await,
        };
        for key in self.store.keys(&Namespace::root()).await?.into_iter().filter(|key| chosen(key)) {
            self.store.delete(&key).await?;
        }
        Ok(())
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        match self.fault {
            Fault::KeysListsTheExpired => Ok(self
                .written
                .lock()
                .unwrap()
                .iter()
                .filter(|key| namespace.contains(key))
                .cloned()
                .collect()),
            Fault::KeysListsTheParentToo => {
                let name = namespace.as_str().trim_end_matches('/');
                let all = self.store.keys(&Namespace::root()).await?;
                Ok(all.into_iter().filter(|key| key.as_str().starts_with(name)).collect())
            }
            _ => self.store.keys(namespace).await,
        }
    }

    async fn len(&self) -> Result<u64> {
        match self.fault {
            Fault::LenBlocksItsThread => loop {
                std::thread::park();
            },
            Fault::LenCountsTheExpired => Ok(self.written.lock().unwrap().len() as u64),
            _ => self.store.len().await,
        }
    }
}
