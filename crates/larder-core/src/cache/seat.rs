//! Loads whose result is not the value of a future: a seat in the flight of a key, for adapters.

use std::{fmt, marker::PhantomData, sync::Arc};

use super::{
    Cache,
    approach::{Approach, Ask},
    begin::{Begin, Start},
    chain::Depends,
    commit::{Took, loader_failed},
    inner::Inner,
    renewal::Renewal,
};
use crate::{
    BoxError, Cacheable, Coalesce, EntryOptions, Error, IntoKey, Kept, Loaded, NotKept, Outcome, Result,
    Source, Timestamp,
    flight::{Landing, LeaderGuard},
    policy::Policy,
};

/// What a caller who asked for a [seat](Cache::seat) is to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Seat<T> {
    /// Serve this: the store had it, or another caller's load gave it.
    Ready(Outcome<T>),
    /// Load it, for everyone who waits.
    Leader(Leader<T>),
    /// Load it for yourself alone: the one who led found that its result is not to be shared, or you were not to
    /// [wait](Cache::seat_at_once) for it.
    Alone,
}

/// The duty of loading a key for everyone who waits for it, to be ended by [`commit`](Leader::commit),
/// [`commit_later`](Leader::commit_later), [`give_up`](Leader::give_up) or [`fail`](Leader::fail). Dropped before that, the
/// next one who waits leads.
#[must_use = "everyone who asks for the key waits for its leader"]
pub struct Leader<T> {
    inner: Arc<Inner>,
    guard: LeaderGuard,
    start: Start,
    renewal: Option<Renewal>,
    policy: Arc<Policy>,
    since: Timestamp,
    value: PhantomData<fn() -> T>,
}

impl Cache {
    /// The value under `key`, or a seat in its load, for loads that no future returns: an HTTP response whose body streams
    /// past, say. For everything else there is [`get_or_load`](Cache::get_or_load).
    ///
    /// Waits while another caller leads, at most for the load timeout; its failure is an error here too.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use std::time::Duration;
    /// use larder_core::{Kept, Seat};
    ///
    /// match cache.seat::<String>("page").await? {
    ///     Seat::Ready(page) => println!("served {}", *page),
    ///     Seat::Leader(leader) => {
    ///         let page = "rendered".to_owned();
    ///         assert_eq!(leader.commit(page.into(), Duration::from_secs(60)).await, Kept::Yes);
    ///     }
    ///     _ => println!("render it for this request alone"),
    /// }
    /// # Ok(()) }) }
    /// ```
    pub async fn seat<T: Cacheable>(&self, key: impl IntoKey) -> Result<Seat<T>> {
        self.seat_of(key, Coalesce::Cluster).await
    }

    /// [`seat`](Cache::seat) for callers who would rather load for themselves than wait for another's load, in this process or
    /// another one: then it is [`Seat::Alone`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use larder_core::Seat;
    ///
    /// let Seat::Leader(leader) = cache.seat_at_once::<String>("page").await? else { unreachable!() };
    /// assert!(matches!(cache.seat_at_once::<String>("page").await?, Seat::Alone));
    /// # drop(leader);
    /// # Ok(()) }) }
    /// ```
    pub async fn seat_at_once<T: Cacheable>(&self, key: impl IntoKey) -> Result<Seat<T>> {
        self.seat_of(key, Coalesce::Off).await
    }

    async fn seat_of<T: Cacheable>(&self, key: impl IntoKey, coalesce: Coalesce) -> Result<Seat<T>> {
        let key = key.into_key(&self.namespace)?;
        let options = EntryOptions::new();
        let mut missed = match self.inner.peek_for_load::<T>(&key, &options) {
            Ok(hit) => return Ok(Seat::Ready(Outcome::new(hit, Source::Hit))),
            Err(missed) => missed,
        };
        let policy = self.inner.policy(&options)?;
        let mut counted = false;
        loop {
            let ask = Ask { missed, counted, coalesce, ..Ask::new(&key, &policy) };
            (missed, counted) = (None, true);
            let mut lead = match self.inner.approach(ask).await? {
                Approach::Done(outcome) => return Ok(Seat::Ready(outcome)),
                Approach::Alone(_) => return Ok(Seat::Alone),
                Approach::Lead(lead) | Approach::Behind(_, lead) => lead,
            };
            let start = if coalesce == Coalesce::Off {
                match Box::pin(self.inner.begin_at_once(&mut lead, &policy)).await {
                    Begin::Go(start) => Some(start),
                    Begin::There => None,
                    Begin::Busy => return Ok(Seat::Alone),
                }
            } else {
                match self.inner.begin(&mut lead, &policy, policy.soft_timeout).await {
                    Ok(start) => start,
                    Err(outcome) => return Ok(Seat::Ready(outcome)),
                }
            };
            if let Some(mut start) = start {
                let deadline = lead.guard.flight().deadline;
                let renewal = start.lease.take().map(|lease| Renewal::of(&self.inner, lease, deadline));
                return Ok(Seat::Leader(Leader {
                    inner: Arc::clone(&self.inner),
                    guard: lead.guard,
                    start,
                    renewal: renewal.transpose()?,
                    policy,
                    since: self.inner.clock.now(),
                    value: PhantomData,
                }));
            }
        }
    }

    /// A value that can be had at once, without I/O: a hit on an in-process store. `None` says nothing about other stores.
    /// Counts as a hit; a miss is not counted.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("a", 1_u8).await?;
    /// let at_once = cache.peek::<u8>("a")?; // `None` on a store that needs I/O
    /// # let _ = at_once;
    /// # Ok(()) }) }
    /// ```
    pub fn peek<T: Cacheable>(&self, key: impl IntoKey) -> Result<Option<Arc<T>>> {
        let key = key.into_key(&self.namespace);
        Ok(self.inner.peek(key.as_ref().map_err(Error::clone)?).flatten())
    }
}

impl<T: Cacheable> Leader<T> {
    /// Keeps `value`, unless the key was invalidated since the seat was taken, and gives it to everyone who waits. Carried to
    /// its end even if the caller goes away.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use larder_core::{EntryOptions, Kept, NotKept, Seat};
    ///
    /// let Seat::Leader(leader) = cache.seat::<u8>("a").await? else { unreachable!() };
    /// cache.delete("a").await?;
    /// assert_eq!(leader.commit(1.into(), EntryOptions::new()).await, Kept::No(NotKept::Invalidated));
    /// # Ok(()) }) }
    /// ```
    pub async fn commit(self, value: Arc<T>, options: impl Into<EntryOptions>) -> Kept {
        let (inner, options) = (Arc::clone(&self.inner), options.into());
        // It fails where no task can be started or the runtime goes away.
        let kept = inner.to_the_end(async move { Ok(self.keep(value, options).await) });
        kept.await.unwrap_or(Kept::No(NotKept::StoreFailed))
    }

    async fn keep(self, value: Arc<T>, options: EntryOptions) -> Kept {
        let took = self.took();
        let Self { inner, guard, mut start, renewal, policy, .. } = self;
        if let Some(renewal) = renewal {
            start.lease = renewal.end().await;
        }
        let loaded = Loaded::shared(value).with_options(options);
        let depends = Depends { stamps: Vec::new(), until: Timestamp::MAX, spoilt: false };
        let landing = inner.keep(&guard, start, loaded, &policy, took, depends).await;
        let kept = match &landing {
            Landing::Value(_, kept) => *kept,
            Landing::Late(_, why) => Kept::No(*why),
            _ => Kept::No(NotKept::StoreFailed),
        };
        inner.landed(guard, landing, took.time);
        kept
    }

    /// [`commit`](Leader::commit) for callers that cannot wait: at once on a store that needs no I/O, else in the
    /// background. Without a runtime nothing is kept there.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::{EntryOptions, Seat};
    /// let Seat::Leader(leader) = cache.seat::<u8>("a").await? else { unreachable!() };
    /// leader.commit_later(1.into(), EntryOptions::new());
    /// # Ok(()) }) }
    /// ```
    pub fn commit_later(self, value: Arc<T>, options: impl Into<EntryOptions>) {
        let inner = Arc::clone(&self.inner);
        let options = options.into();
        let mut commit: crate::BoxFuture<'static, ()> = Box::pin(async move {
            self.keep(value, options).await;
        });
        // Ready at once where the store is in this process: a request that follows finds the entry.
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        if commit.as_mut().poll(&mut context).is_pending() {
            // A failure to start a task drops the future, which leaves the seat to the next caller.
            let _ = inner.start(commit);
        }
    }

    /// Says that the result is for this caller alone: everyone who waits is sent off at once to load for themselves, none
    /// waiting for another.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::Seat;
    /// let Seat::Leader(leader) = cache.seat::<u8>("a").await? else { unreachable!() };
    /// leader.give_up();
    /// # Ok(()) }) }
    /// ```
    pub fn give_up(self) {
        self.inner.loaded(self.guard.key(), self.took().time, Kept::No(NotKept::Requested));
        self.guard.land(Landing::GaveUp);
    }

    /// Gives everyone who waits this error, as the source of one of kind [`Load`](crate::ErrorKind::Load).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::Seat;
    /// let Seat::Leader(leader) = cache.seat::<u8>("a").await? else { unreachable!() };
    /// leader.fail("the printer is on fire");
    /// # Ok(()) }) }
    /// ```
    pub fn fail(self, error: impl Into<BoxError>) {
        let error = loader_failed(error);
        self.inner.load_failed(self.guard.key(), self.took().time, &error);
        self.guard.land(Landing::Failed(error));
    }

    fn took(&self) -> Took {
        let ended = self.inner.clock.now();
        Took { time: ended.saturating_since(self.since), ended }
    }
}

impl<T> fmt::Debug for Leader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader").field("key", self.guard.key()).finish_non_exhaustive()
    }
}
