//! Batches, split by whether their servers are asked.

use super::{Call, Shared, verdict::Verdict};
use crate::{Error, ErrorKind, Key, sync::Arc};

/// A batch that is let through in part or whole: one call for each server that it needs.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    shared: &'a Arc<Shared>,
    /// The server of each key; empty where there is one server only.
    servers: Vec<usize>,
    calls: Vec<Call<'a>>,
    refusals: Vec<(usize, Error)>,
}

impl Shared {
    pub(super) fn admit_many<'k>(self: &Arc<Self>, keys: impl Iterator<Item = &'k Key>) -> Batch<'_> {
        let mut batch = Batch { shared: self, servers: Vec::new(), calls: Vec::new(), refusals: Vec::new() };
        if self.circuits.len() == 1 {
            if keys.take(1).count() > 0 {
                batch.admit(0);
            }
            return batch;
        }
        batch.servers = keys.map(|key| self.server_of(key)).collect();
        let mut needed = vec![false; self.circuits.len()];
        for server in &batch.servers {
            needed[*server] = true;
        }
        for (server, _) in needed.iter().enumerate().filter(|(_, needed)| **needed) {
            batch.admit(server);
        }
        batch
    }
}

impl Batch<'_> {
    fn admit(&mut self, server: usize) {
        match self.shared.admit(server) {
            Ok(call) => self.calls.push(call),
            Err(refusal) => self.refusals.push((server, refusal)),
        }
    }

    /// Whether every key is asked for.
    pub(super) fn is_whole(&self) -> bool {
        self.refusals.is_empty()
    }

    /// Why the key at a position is not asked for.
    pub(super) fn refused(&self, at: usize) -> Option<&Error> {
        let server = self.server(at);
        self.refusals.iter().find(|(refused, _)| *refused == server).map(|(_, error)| error)
    }

    /// Those of the batch that are asked for, in order.
    pub(super) fn asked<T>(&self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        items
            .into_iter()
            .enumerate()
            .filter(|(at, _)| self.refused(*at).is_none())
            .map(|(_, item)| item)
            .collect()
    }

    /// Judges each call by the results of those asked for, and puts refusals where they belong.
    pub(super) fn ended<T>(mut self, count: usize, results: Vec<Result<T, Error>>) -> Vec<Result<T, Error>> {
        for call in std::mem::take(&mut self.calls) {
            let asked = (0..count).filter(|at| self.refused(*at).is_none());
            let own = asked.zip(&results).filter(|(at, _)| self.server(*at) == call.server());
            let verdict = Verdict::of_many(own.map(|(_, result)| Verdict::of(result)));
            call.conclude(verdict);
        }
        if self.is_whole() {
            return results;
        }
        let mut results = results.into_iter();
        (0..count)
            .map(|at| match self.refused(at) {
                Some(refusal) => Err(refusal.clone()),
                None => results.next().unwrap_or_else(|| {
                    Err(Error::new(ErrorKind::Corrupt, "the store answered fewer keys than it was asked for"))
                }),
            })
            .collect()
    }

    fn server(&self, at: usize) -> usize {
        self.servers.get(at).copied().unwrap_or(0)
    }
}
