//! The copy of a response that is on its way into the cache.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use larder_core::{Kept, Leader, Timestamp};

use crate::{Reason, StoredResponse, key::KeyText, layer::Shared, response::Keep};

/// A response whose head may be stored, and as much of its body as has passed. Dropping it unfinished leaves the key to the
/// next request that waits for it.
pub(crate) struct Recording {
    /// Taken when the recording ends.
    leader: Option<Leader<StoredResponse>>,
    shared: Arc<Shared>,
    key: KeyText,
    status: StatusCode,
    headers: HeaderMap,
    made: Timestamp,
    keep: Keep,
    chunks: Vec<Bytes>,
    len: u64,
}

impl Recording {
    pub(crate) fn new(
        leader: Leader<StoredResponse>,
        shared: Arc<Shared>,
        key: KeyText,
        head: &crate::ResponseHead,
        keep: Keep,
    ) -> Self {
        let made = shared.now();
        Self {
            leader: Some(leader),
            shared,
            key,
            status: head.status,
            headers: head.headers.clone(),
            made,
            keep,
            chunks: Vec::new(),
            len: 0,
        }
    }

    /// Adds a chunk; an error is why the response cannot be stored.
    pub(crate) fn push(&mut self, data: &Bytes) -> Result<(), Reason> {
        self.len = self.len.saturating_add(data.len() as u64);
        if self.keep.length.is_some_and(|length| self.len > length) {
            return Err(Reason::Length);
        }
        if self.len > self.shared.rules.max_body {
            return Err(Reason::TooLarge);
        }
        if !data.is_empty() {
            self.chunks.push(data.clone());
        }
        Ok(())
    }

    /// Whether a body that ends here has the length it should have.
    pub(crate) fn is_whole(&self) -> bool {
        self.keep.length.is_none_or(|length| length == self.len)
    }

    /// The body has ended well, while nobody can wait for the store.
    pub(crate) fn finish(mut self) {
        if self.is_whole() {
            self.commit_detached();
        } else {
            self.give_up_for(Reason::Length);
        }
    }

    /// The body has ended well, and whoever knows it can wait. Returns the body in one piece.
    pub(crate) async fn commit(mut self) -> (Bytes, Kept) {
        let body = concat(&std::mem::take(&mut self.chunks));
        let stored = self.stored(body.clone());
        let leader = self.leader.take().expect("a recording has its seat until it ends");
        (body, leader.commit(stored.into(), self.keep.timeout).await)
    }

    /// The response is for its own request only.
    pub(crate) fn give_up_for(mut self, reason: Reason) {
        self.shared.recent.note(&self.key, reason, self.shared.now());
        if let Some(leader) = self.leader.take() {
            leader.give_up();
        }
    }

    fn commit_detached(&mut self) {
        if let Some(leader) = self.leader.take() {
            let body = concat(&std::mem::take(&mut self.chunks));
            leader.commit_later(self.stored(body).into(), self.keep.timeout);
        }
    }

    fn stored(&mut self, body: Bytes) -> StoredResponse {
        StoredResponse::new(self.status, std::mem::take(&mut self.headers), body, self.made)
    }
}

/// A server drops a body as soon as it has sent all that `Content-Length` promised, without asking whether there is more.
impl Drop for Recording {
    fn drop(&mut self) {
        if self.keep.length == Some(self.len) {
            self.commit_detached();
        }
    }
}

/// One piece of just this size. A chunk can be a small part of a large buffer, which an entry would keep alive without
/// weighing it.
fn concat(chunks: &[Bytes]) -> Bytes {
    let mut whole = Vec::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        whole.extend_from_slice(chunk);
    }
    whole.into()
}
