//! A store of several servers, each in a mood of its own.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use larder_core::{
    CacheStore, Capabilities, Clock, ErrorKind, Expiry, Key, Namespace, Operations, Result, Value,
    async_trait,
};

use crate::{
    doc::MapStore,
    support::{Gate, broken},
};

#[derive(Clone, Debug)]
pub(crate) enum Mood {
    Well,
    Fails(ErrorKind),
    /// Fails, and what it says comes after this long.
    FailsAfter(Duration, ErrorKind),
    Hangs,
    Held(Arc<Gate>),
    /// Fails, once it is let go.
    FailsHeld(Arc<Gate>, ErrorKind),
    Panics,
}

/// What one server is like, and what it was asked.
#[derive(Debug)]
struct Server {
    mood: Mood,
    /// Where it differs.
    ping: Option<Mood>,
    asked: Vec<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) map: MapStore,
    each: Mutex<Vec<Server>>,
    merges_reads: bool,
}

impl Servers {
    pub(crate) fn new(count: usize) -> Self {
        let servers = (0..count).map(|_| Server { mood: Mood::Well, ping: None, asked: Vec::new() });
        Self { map: MapStore::default(), each: Mutex::new(servers.collect()), merges_reads: false }
    }

    /// The same, of a store that makes one command of what waits by itself.
    pub(crate) fn merging(self) -> Self {
        Self { merges_reads: true, ..self }
    }

    /// In every operation and in pings.
    pub(crate) fn be(&self, server: usize, mood: Mood) {
        let server = &mut self.each.lock().unwrap()[server];
        (server.mood, server.ping) = (mood, None);
    }

    /// In pings only.
    pub(crate) fn answer_pings(&self, server: usize, mood: Mood) {
        self.each.lock().unwrap()[server].ping = Some(mood);
    }

    /// What a server was asked since the last call.
    pub(crate) fn asked(&self, server: usize) -> Vec<&'static str> {
        std::mem::take(&mut self.each.lock().unwrap()[server].asked)
    }

    async fn ask(&self, server: usize, operation: &'static str) -> Result<()> {
        let mood = {
            let server = &mut self.each.lock().unwrap()[server];
            server.asked.push(operation);
            server.ping.clone().filter(|_| operation == "ping").unwrap_or_else(|| server.mood.clone())
        };
        match mood {
            Mood::Well => Ok(()),
            Mood::Fails(kind) => Err(broken(kind)),
            Mood::FailsAfter(wait, kind) => {
                self.map.clock.advance(wait);
                Err(broken(kind))
            }
            Mood::Hangs => pending().await,
            Mood::Held(gate) => {
                gate.pass().await;
                Ok(())
            }
            Mood::FailsHeld(gate, kind) => {
                gate.pass().await;
                Err(broken(kind))
            }
            Mood::Panics => panic!("as told by the script"),
        }
    }

    async fn ask_all(&self, operation: &'static str) -> Result<()> {
        for server in 0..self.servers().len() {
            self.ask(server, operation).await?;
        }
        Ok(())
    }

    /// Asks each server of a batch once; what each said.
    async fn ask_each<'k>(
        &self,
        keys: impl Iterator<Item = &'k Key>,
        operation: &'static str,
    ) -> Vec<Result<()>> {
        let of_keys: Vec<_> = keys.map(|key| self.server_of(key)).collect();
        let mut said = Vec::new();
        for server in 0..self.servers().len() {
            said.push(if of_keys.contains(&server) { self.ask(server, operation).await } else { Ok(()) });
        }
        of_keys.into_iter().map(|server| said[server].clone()).collect()
    }
}

#[async_trait]
impl CacheStore for Servers {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_operations(Operations::ALL)
            .with_remote(true)
            .with_merges_reads(self.merges_reads)
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.map.clock()
    }

    fn servers(&self) -> Vec<String> {
        (0..self.each.lock().unwrap().len()).map(|server| format!("server{server}:1")).collect()
    }

    fn server_of(&self, key: &Key) -> usize {
        let digit = key.as_str().bytes().last().unwrap().wrapping_sub(b'0');
        usize::from(digit).min(99)
    }

    async fn ping(&self, server: usize) -> Result<()> {
        self.ask(server, "ping").await
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.ask(self.server_of(key).min(self.servers().len() - 1), "get").await?;
        self.map.get(key).await
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.ask(self.server_of(key), "set").await?;
        self.map.set(key, value, expiry).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.ask(self.server_of(key), "delete").await?;
        self.map.delete(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let said = self.ask_each(keys.iter(), "get_many").await;
        let found = self.map.get_many(keys).await;
        said.into_iter().zip(found).map(|(said, found)| said.and(found)).collect()
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        let said = self.ask_each(entries.iter().map(|(key, ..)| key), "set_many").await;
        let mut results = Vec::new();
        for (said, (key, value, expiry)) in said.into_iter().zip(entries) {
            results.push(if said.is_ok() { self.map.set(&key, value, expiry).await } else { said });
        }
        results
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        let said = self.ask_each(keys.iter(), "delete_many").await;
        let mut results = Vec::new();
        for (said, key) in said.into_iter().zip(keys) {
            results.push(if let Err(error) = said { Err(error) } else { self.map.delete(key).await });
        }
        results
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.ask(self.server_of(key), "increment").await?;
        self.map.increment(key, delta, expiry).await
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.ask_all("clear").await?;
        self.map.clear(namespace).await
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        self.ask_all("keys").await?;
        self.map.keys(namespace).await
    }

    async fn len(&self) -> Result<u64> {
        self.ask_all("len").await?;
        self.map.len().await
    }
}
