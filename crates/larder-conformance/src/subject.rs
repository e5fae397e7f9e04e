//! What a case works on: a store, names of its own in it, and time.

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use larder_core::{
    CacheStore, Capabilities, Clock, EntryMeta, Expiry, Key, ManualClock, Namespace, Object, Operations,
    SystemClock, Timestamp, Value,
};

use crate::{
    check::{self, Failure, Outcome},
    model::Plan,
};

/// A fresh store (or a fresh namespace on a shared one) for one case.
pub(crate) struct Subject {
    store: Arc<dyn CacheStore>,
    root: Namespace,
    time: Time,
    plan: Plan,
}

/// How time passes for a store.
pub(crate) enum Time {
    /// The store was given this clock, and time passes when the suite says so.
    Manual { clock: ManualClock, resolution: Duration },
    /// Time passes by itself, and the suite waits for it.
    Real { clock: Arc<SystemClock>, resolution: Duration },
}

/// What a real store may be late beyond its resolution.
const GRACE: Duration = Duration::from_millis(40);

/// An expiry no case lives to see.
pub(crate) const FAR: Expiry = Expiry::After(Duration::from_hours(1));

impl Subject {
    pub(crate) fn new(store: Arc<dyn CacheStore>, root: Namespace, time: Time, plan: Plan) -> Self {
        Self { store, root, time, plan }
    }

    pub(crate) fn store(&self) -> &dyn CacheStore {
        &*self.store
    }

    /// The store, for tasks.
    pub(crate) fn shared(&self) -> Arc<dyn CacheStore> {
        Arc::clone(&self.store)
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    /// The largest value it takes, for cases that [need one](crate::case::Need::ValueLimit).
    pub(crate) fn value_limit(&self) -> usize {
        self.capabilities().max_value_bytes().expect("the case needs a limit")
    }

    pub(crate) fn supports(&self, operations: Operations) -> bool {
        self.capabilities().supports(operations)
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    /// The namespace of this case: everything it does stays in here.
    pub(crate) fn root(&self) -> &Namespace {
        &self.root
    }

    pub(crate) fn child(&self, name: &str) -> Result<Namespace, Failure> {
        Ok(self.root.child(name)?)
    }

    pub(crate) fn key(&self, text: &str) -> Result<Key, Failure> {
        Ok(Key::new(&self.root, text)?)
    }

    pub(crate) fn keys<const N: usize>(&self, texts: [&str; N]) -> Result<[Key; N], Failure> {
        let mut keys = Vec::with_capacity(N);
        for text in texts {
            keys.push(self.key(text)?);
        }
        Ok(keys.try_into().expect("one key for each text"))
    }

    /// `count` keys.
    pub(crate) fn many_keys(&self, count: usize) -> Result<Vec<Key>, Failure> {
        (0..count).map(|number| self.key(&format!("key {number}"))).collect()
    }

    /// How long `Expiry`s may be wrong by.
    pub(crate) fn resolution(&self) -> Duration {
        match self.time {
            Time::Manual { resolution, .. } | Time::Real { resolution, .. } => resolution,
        }
    }

    /// How far apart two real clocks may run in the time of a case.
    pub(crate) fn skew(&self) -> Duration {
        if matches!(self.time, Time::Manual { .. }) { Duration::ZERO } else { GRACE }
    }

    pub(crate) fn is_exact(&self) -> bool {
        matches!(self.time, Time::Manual { resolution: Duration::ZERO, .. })
    }

    /// A lifetime long enough to see an entry, and short enough to wait for.
    pub(crate) fn short(&self) -> Duration {
        match self.time {
            Time::Manual { resolution, .. } => (2 * resolution).max(Duration::from_secs(10)),
            Time::Real { resolution, .. } => (2 * resolution).max(Duration::from_millis(300)),
        }
    }

    /// A lifetime that is not over when [`short`](Self::short) is.
    pub(crate) fn longer(&self) -> Duration {
        3 * self.short() + 10 * GRACE
    }

    /// Lets so much time pass.
    pub(crate) async fn advance(&self, duration: Duration) {
        match &self.time {
            Time::Manual { clock, .. } => clock.advance(duration),
            Time::Real { clock, .. } => clock.sleep(duration).await,
        }
    }

    /// Lets time pass until an entry stored before for `lifetime` must be gone.
    pub(crate) async fn outlive(&self, lifetime: Duration) {
        self.advance(lifetime.saturating_add(self.resolution() + self.skew())).await;
    }

    /// Begins to measure how long an entry has been there. Call it before storing the entry.
    pub(crate) fn stopwatch(&self) -> Stopwatch {
        match &self.time {
            Time::Manual { clock, .. } => Stopwatch { clock: Arc::new(clock.clone()), start: clock.now() },
            Time::Real { clock, .. } => {
                Stopwatch { clock: Arc::<SystemClock>::clone(clock), start: clock.now() }
            }
        }
    }

    /// Begins to measure real time, also where the store is under another clock.
    pub(crate) fn real_stopwatch() -> Stopwatch {
        let clock = Arc::new(SystemClock::new());
        let start = clock.now();
        Stopwatch { clock, start }
    }

    /// What a caller of `peek` passes.
    pub(crate) fn now(&self) -> Timestamp {
        self.store.clock().map_or_else(|| SystemClock::new().now(), |clock| clock.now())
    }

    /// The time of the clock the store was given, if it was given one.
    pub(crate) fn given_time(&self) -> Option<Timestamp> {
        match &self.time {
            Time::Manual { clock, .. } => Some(clock.now()),
            Time::Real { .. } => None,
        }
    }

    /// Fails unless `get` finds the value.
    #[track_caller]
    pub(crate) fn finds<'a>(
        &'a self,
        what: &'a str,
        key: &'a Key,
        expected: &'a Value,
    ) -> impl Future<Output = Outcome> + Send + 'a {
        self.got(key, |seen| check::hit(what, seen, expected))
    }

    /// Fails unless `get` finds nothing.
    #[track_caller]
    pub(crate) fn misses<'a>(
        &'a self,
        what: &'a str,
        key: &'a Key,
    ) -> impl Future<Output = Outcome> + Send + 'a {
        self.got(key, |seen| check::miss(what, seen))
    }

    /// Looks at what `get` finds. A failure is the caller's.
    #[track_caller]
    fn got<'a>(
        &'a self,
        key: &'a Key,
        look: impl FnOnce(Option<Value>) -> Outcome + Send + 'a,
    ) -> impl Future<Output = Outcome> + Send + 'a {
        let place = Location::caller();
        async move {
            let seen = self.store.get(key).await.map_err(Failure::from);
            seen.and_then(look).map_err(|failure| failure.at(place))
        }
    }

    /// Stores a value and waits until it has expired.
    pub(crate) async fn expire(&self, key: &Key, value: Value) -> Outcome {
        self.store.set(key, value, Expiry::After(self.short())).await?;
        self.outlive(self.short()).await;
        Ok(())
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("root", &self.root).finish_non_exhaustive()
    }
}

/// How long something has been going on, on the clock of the store.
pub(crate) struct Stopwatch {
    clock: Arc<dyn Clock>,
    start: Timestamp,
}

impl Stopwatch {
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.now().saturating_since(self.start)
    }

    /// Whether an entry stored after the start, for `lifetime`, is still due. On a machine that stood still for
    /// too long it is not, and nothing can be said of it.
    pub(crate) fn within(&self, lifetime: Duration) -> bool {
        self.elapsed() < lifetime
    }
}

/// Some bytes.
pub(crate) fn bytes(text: &str) -> Value {
    Value::Bytes(text.to_owned().into())
}

/// A typed entry that holds some text.
pub(crate) fn object(subject: &Subject, text: &str, expiry: Expiry) -> Value {
    Value::Object(Object::new(text.to_owned(), EntryMeta::new(subject.now(), expiry)))
}
