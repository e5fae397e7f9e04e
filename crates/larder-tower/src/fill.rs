//! A request that the cache cannot answer at once.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use larder_core::{ErrorKind, Kept, Leader, NotKept, Seat};
use tower_service::Service;

use crate::{
    CacheBody, CacheOutcome, Reason, RequestHead, StoredResponse, edit, hit,
    layer::Shared,
    nested::Filling,
    recording::Recording,
    request::Lookup,
    response::{self, Keep},
    tee::Tee,
};

/// One request on its way: to the store, to another request's flight, or to the handler.
pub(crate) struct Fill<S, ReqB> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) lookup: Lookup,
    pub(crate) head: RequestHead,
    pub(crate) body: ReqB,
    pub(crate) service: S,
    /// Whether `service` was polled ready, and not called since.
    pub(crate) is_ready: bool,
}

type Answer<S, ReqB, ResB> = Result<Response<CacheBody<ResB>>, <S as Service<Request<ReqB>>>::Error>;

impl<S, ReqB, ResB> Fill<S, ReqB>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone,
    ResB: Body<Data = Bytes>,
{
    /// The response, by whatever way it comes.
    pub(crate) async fn run(mut self) -> Answer<S, ReqB, ResB> {
        let key = self.lookup.key;
        if self.lookup.is_head {
            return match self.shared.cache.get::<StoredResponse>(key.as_str()).await {
                Ok(Some(stored)) => Ok(self.hit(&stored)),
                Ok(None) => self.alone(Reason::Head).await,
                Err(_) => self.alone(Reason::StoreError).await,
            };
        }
        // Whatever is being loaded now began before this request: the delete detaches it, and nobody joins it.
        if self.lookup.is_forced && self.shared.cache.delete(key.as_str()).await.is_err() {
            return self.alone(Reason::StoreError).await;
        }
        let waits = self.shared.rules.coalesce && !self.shared.recent.contains(&key, self.shared.now());
        match self.seat(waits).await {
            Ok(Seat::Ready(stored)) => Ok(self.hit(&stored)),
            Ok(Seat::Leader(leader)) => self.lead(leader).await,
            Ok(_) if waits => self.alone(Reason::LeaderGaveUp).await,
            Ok(_) => self.alone(Reason::NotWaiting).await,
            Err(error) if error.kind() == ErrorKind::Load => self.alone(Reason::LeaderTimedOut).await,
            Err(_) => self.alone(Reason::StoreError).await,
        }
    }

    fn hit(&self, stored: &StoredResponse) -> Response<CacheBody<ResB>> {
        hit::respond(&self.shared.rules, stored, &self.head.headers, self.lookup.is_head, self.shared.now())
    }

    /// The stored response, or a seat in the flight that makes it. Gives back what being ready reserved (a permit of a
    /// concurrency limit, a place in a buffer) if that takes time: whoever waits does not need it, and the one waited for
    /// may.
    async fn seat(&mut self, waits: bool) -> larder_core::Result<Seat<StoredResponse>> {
        let shared = Arc::clone(&self.shared);
        let key = self.lookup.key;
        let mut seat = pin!(async {
            if waits {
                shared.cache.seat(key.as_str()).await
            } else {
                shared.cache.seat_at_once(key.as_str()).await
            }
        });
        match poll_fn(|context| Poll::Ready(seat.as_mut().poll(context))).await {
            Poll::Ready(seat) => seat,
            Poll::Pending => {
                self.service = self.service.clone();
                self.is_ready = false;
                seat.await
            }
        }
    }

    async fn call(mut self) -> (Arc<Shared>, Lookup, Result<Response<ResB>, S::Error>) {
        if !self.is_ready
            && let Err(error) = poll_fn(|context| self.service.poll_ready(context)).await
        {
            return (self.shared, self.lookup, Err(error));
        }
        let request = Request::from_parts(self.head, self.body);
        let answer = self.service.call(request).await;
        (self.shared, self.lookup, answer)
    }

    /// Runs the handler for this request only, which it sees as it came.
    async fn alone(self, reason: Reason) -> Answer<S, ReqB, ResB> {
        let (shared, _, answer) = self.call().await;
        let mut response = answer?.map(CacheBody::pass);
        hit::mark(&shared.rules, &mut response, CacheOutcome::NotStored(reason));
        Ok(response)
    }

    /// Runs the handler for everyone who asks for the same. Dropped on the way, it leaves the seat to the next.
    async fn lead(mut self, leader: Leader<StoredResponse>) -> Answer<S, ReqB, ResB> {
        edit::for_filling(&self.shared.rules, &mut self.head);
        Filling::begin(&mut self.head.extensions, &self.shared, &self.lookup);
        let (shared, lookup, answer) = self.call().await;
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                leader.give_up();
                return Err(error);
            }
        };
        let (head, body) = response.into_parts();
        let (body, outcome) = match response::judge(&shared.rules, &head, &body.size_hint()) {
            Ok(keep) => {
                let recording = Recording::new(leader, Arc::clone(&shared), lookup.key, &head, keep);
                keep_copy(Tee::new(body, recording), keep).await
            }
            Err(reason) => {
                shared.recent.note(&lookup.key, reason, shared.now());
                leader.give_up();
                (CacheBody::pass(body), CacheOutcome::NotStored(reason))
            }
        };
        let mut response = Response::from_parts(head, body);
        hit::mark(&shared.rules, &mut response, outcome);
        Ok(response)
    }
}

/// Stores a response whose body is there, so that the next request is a hit; lets any other body pass, and stores it when
/// it has.
async fn keep_copy<B: Body<Data = Bytes>>(mut tee: Tee<B>, keep: Keep) -> (CacheBody<B>, CacheOutcome) {
    // A body that does not know its length is being made while it is read: reading ahead would only hold it up.
    if keep.length.is_none() {
        return (CacheBody::tee(tee), CacheOutcome::Miss);
    }
    match poll_fn(|context| Poll::Ready(tee.read_ahead(context))).await {
        Ok(None) => (CacheBody::tee(tee), CacheOutcome::Miss),
        Err(reason) => (CacheBody::tee(tee), CacheOutcome::NotStored(reason)),
        Ok(Some(recording)) => {
            let (bytes, kept) = recording.commit().await;
            let outcome = match kept {
                Kept::Yes => CacheOutcome::Miss,
                Kept::No(NotKept::Invalidated) => CacheOutcome::NotStored(Reason::Invalidated),
                Kept::No(NotKept::TooLarge) => CacheOutcome::NotStored(Reason::TooLarge),
                Kept::No(NotKept::LoadedElsewhere) => CacheOutcome::NotStored(Reason::LeaderTimedOut),
                _ => CacheOutcome::NotStored(Reason::StoreError),
            };
            (CacheBody::full(bytes), outcome)
        }
    }
}
