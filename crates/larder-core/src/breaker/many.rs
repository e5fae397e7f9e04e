//! Batches, each server's part of which is a call of its own.

use futures_util::future::join_all;

use super::{Call, Shared, trial::Extent, verdict::Verdict};
use crate::{Error, ErrorKind, Key, sync::Arc};

impl Shared {
    /// A batch of a store of one server, or of keys of one.
    pub(super) async fn batch<T>(
        self: &Arc<Self>,
        server: usize,
        count: usize,
        batch: impl Future<Output = Vec<Result<T, Error>>> + Send,
    ) -> Vec<Result<T, Error>> {
        match self.admit(server, Extent::Point) {
            Ok(call) => judged(call, batch.await),
            Err(refusal) => (0..count).map(|_| Err(refusal.clone())).collect(),
        }
    }

    /// The one server that all of these keys are on; `None` where there are several.
    pub(super) fn only_server<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> Option<usize> {
        if self.circuits.len() == 1 {
            return Some(0);
        }
        let mut servers = keys.into_iter().map(|key| self.server_of(key));
        let first = servers.next()?;
        servers.all(|server| server == first).then_some(first)
    }

    /// A batch of keys on several servers: those of open ones fail at once, and each of the others is asked for its own, at
    /// the same time. So each ends by itself: a caller who goes away because one does not answer says nothing of the others.
    pub(super) async fn split<I, T, A>(
        self: &Arc<Self>,
        items: impl ExactSizeIterator<Item = I>,
        key: impl Fn(&I) -> &Key,
        ask: impl Fn(Vec<I>) -> A,
    ) -> Vec<Result<T, Error>>
    where
        A: Future<Output = Vec<Result<T, Error>>>,
    {
        let count = items.len();
        let mut parts: Vec<(Vec<usize>, Vec<I>)> = Vec::new();
        parts.resize_with(self.circuits.len(), Default::default);
        for (at, item) in items.enumerate() {
            let (places, items) = &mut parts[self.server_of(key(&item))];
            places.push(at);
            items.push(item);
        }
        let mut results: Vec<Option<Result<T, Error>>> = Vec::new();
        results.resize_with(count, || None);
        let mut asked = Vec::new();
        for (server, (places, items)) in parts.into_iter().enumerate().filter(|(_, (at, _))| !at.is_empty()) {
            match self.admit(server, Extent::Point) {
                Ok(call) => {
                    let answers = ask(items);
                    asked.push(async move { (places, judged(call, answers.await)) });
                }
                Err(refusal) => {
                    for place in places {
                        results[place] = Some(Err(refusal.clone()));
                    }
                }
            }
        }
        for (places, answers) in join_all(asked).await {
            for (place, answer) in places.into_iter().zip(answers) {
                results[place] = Some(answer);
            }
        }
        let too_few =
            || Error::new(ErrorKind::Corrupt, "the store answered fewer keys than it was asked for");
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(too_few()))).collect()
    }
}

/// One server's part of a batch ended with these results.
fn judged<T>(call: Call<'_>, results: Vec<Result<T, Error>>) -> Vec<Result<T, Error>> {
    call.conclude(Verdict::of_many(results.iter().map(Verdict::of)));
    results
}
