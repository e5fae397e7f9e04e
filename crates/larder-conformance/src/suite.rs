//! The suite, and how a store's test file runs it.

use std::{
    fmt,
    future::Future,
    process::ExitCode,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use larder_core::{BoxError, CacheStore, ManualClock};
use libtest_mimic::{Arguments, Completion, Trial};

use crate::{
    Verdict,
    case::{Case, Fit},
    cases,
    connect::Connect,
    model::Plan,
    runner,
};

/// The suite that holds one kind of store to the contract of [`CacheStore`].
///
/// Every case gets a store from the function given here, and a namespace of its own in it: it touches nothing outside
/// that, and never empties a store. A store that is [not shared](larder_core::Capabilities::shared) must be a new
/// one each time. A store needs room for 2 000 entries.
///
/// ```
/// use std::process::ExitCode;
/// use larder_conformance::Suite;
/// use larder_core::CacheStore;
///
/// // As the `main` of a test target with `harness = false`.
/// fn conformance<MyStore: CacheStore + Default>() -> ExitCode {
///     Suite::new(|| async { Ok(MyStore::default()) }).run()
/// }
/// ```
#[derive(Clone)]
pub struct Suite {
    connect: Connect,
    name: Option<String>,
    case_timeout: Duration,
}

impl Suite {
    /// A suite for stores that keep time by themselves: where a case is about expiry, it really waits, for as long as
    /// the store's [resolution](larder_core::Capabilities::expiry_resolution) asks for.
    ///
    /// ```
    /// # use larder_conformance::Suite;
    /// # use larder_core::{BoxError, CacheStore};
    /// # async fn connect<S: CacheStore + Default>(_url: &str) -> Result<S, BoxError> { Ok(S::default()) }
    /// fn suite<MyStore: CacheStore + Default>() -> Suite {
    ///     Suite::new(|| async { Ok(connect::<MyStore>("my://localhost").await?) })
    /// }
    /// ```
    pub fn new<F, R, S>(connect: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<S, BoxError>> + Send + 'static,
        S: CacheStore,
    {
        Self::with(false, move |_clock| connect())
    }

    /// A suite for stores that are given a clock: nothing waits, and expiry is checked to the nanosecond.
    ///
    /// ```
    /// use larder_conformance::Suite;
    /// use larder_core::{CacheStore, ManualClock};
    ///
    /// fn suite<MyStore: CacheStore + From<ManualClock>>() -> Suite {
    ///     Suite::with_manual_clock(|clock| async move { Ok(MyStore::from(clock)) })
    /// }
    /// ```
    pub fn with_manual_clock<F, R, S>(connect: F) -> Self
    where
        F: Fn(ManualClock) -> R + Send + Sync + 'static,
        R: Future<Output = Result<S, BoxError>> + Send + 'static,
        S: CacheStore,
    {
        Self::with(true, connect)
    }

    fn with<F, R, S>(manual_clock: bool, connect: F) -> Self
    where
        F: Fn(ManualClock) -> R + Send + Sync + 'static,
        R: Future<Output = Result<S, BoxError>> + Send + 'static,
        S: CacheStore,
    {
        let connect = Arc::new(connect);
        let factory = Arc::new(move |clock| {
            let store = connect(clock);
            Box::pin(async move { Ok(Arc::new(store.await?) as Arc<dyn CacheStore>) }) as _
        });
        Self {
            connect: Connect { factory, manual_clock, plan: Plan::from_env() },
            name: None,
            case_timeout: Duration::from_mins(1),
        }
    }

    /// Names the configuration under test; the name stands before that of each case. Needed where one file
    /// [runs](run) several.
    ///
    /// ```
    /// # use larder_conformance::Suite;
    /// # use larder_core::CacheStore;
    /// # fn suite<MyStore: CacheStore + Default>() -> Suite {
    /// Suite::new(|| async { Ok(MyStore::default()) }).named("with compression")
    /// # }
    /// ```
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long one case may take before it counts as hanging. Default: a minute.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use larder_conformance::Suite;
    /// # use larder_core::CacheStore;
    /// # fn suite<MyStore: CacheStore + Default>() -> Suite {
    /// Suite::new(|| async { Ok(MyStore::default()) }).case_timeout(Duration::from_secs(180))
    /// # }
    /// ```
    pub fn case_timeout(mut self, limit: Duration) -> Self {
        self.case_timeout = limit;
        self
    }

    /// Fixes the seed of the model test and how many sequences of operations it tries. Without this they come from
    /// the environment (`LARDER_MODEL_SEED`, `LARDER_MODEL_CASES`), else the seed is a new one in each run.
    ///
    /// ```
    /// # use larder_conformance::Suite;
    /// # use larder_core::CacheStore;
    /// # fn suite<MyStore: CacheStore + Default>() -> Suite {
    /// Suite::new(|| async { Ok(MyStore::default()) }).model(42, 1_000)
    /// # }
    /// ```
    pub fn model(mut self, seed: u64, cases: u32) -> Self {
        self.connect.plan = Ok(Plan { seed, cases });
        self
    }

    /// Runs the suite as a test program: one named test per case, filters and options as of `cargo test`.
    ///
    /// A case that needs what the store does not declare is shown as ignored, with the name of the capability:
    /// `test [capability: increment] increment::creates ... ignored`.
    ///
    /// ```
    /// # use larder_conformance::Suite;
    /// # use larder_core::CacheStore;
    /// fn conformance<MyStore: CacheStore + Default>() -> std::process::ExitCode {
    ///     Suite::new(|| async { Ok(MyStore::default()) }).run()
    /// }
    /// ```
    pub fn run(self) -> ExitCode {
        run([self])
    }

    /// Runs every case that is for this kind of store, and returns how each ended. For tables and for tests of the
    /// suite itself; a store's own test file calls [`run`](Suite::run).
    ///
    /// ```
    /// # use larder_conformance::{Suite, Verdict};
    /// # use larder_core::CacheStore;
    /// fn failures<MyStore: CacheStore + Default>() -> usize {
    ///     let suite = Suite::new(|| async { Ok(MyStore::default()) });
    ///     suite.report().iter().filter(|(_case, verdict)| verdict.is_failure()).count()
    /// }
    /// ```
    pub fn report(&self) -> Vec<(&'static str, Verdict)> {
        let plan = match self.plan() {
            Ok(plan) => plan,
            Err(failure) => return vec![("connect", Verdict::Failed(failure))],
        };
        let mut verdicts: Vec<_> = plan.iter().map(|(case, _)| (case.name, Verdict::Passed)).collect();
        let work = Mutex::new(plan.into_iter().zip(&mut verdicts));
        thread::scope(|scope| {
            for _ in 0..threads() {
                scope.spawn(|| {
                    loop {
                        let next = work.lock().expect("no code panics while it holds the lock").next();
                        let Some(((case, missing), (_, verdict))) = next else { break };
                        *verdict = match missing {
                            Some(capability) => Verdict::Ignored(capability),
                            None => match runner::run(case, &self.connect, self.case_timeout) {
                                Ok(()) => Verdict::Passed,
                                Err(failure) => Verdict::Failed(failure),
                            },
                        };
                    }
                });
            }
        });
        verdicts
    }

    /// The cases for this kind of store, each with the capability it lacks.
    fn plan(&self) -> Result<Vec<(&'static Case, Option<String>)>, String> {
        let capabilities = runner::capabilities(&self.connect, self.case_timeout)?;
        Ok(cases::all()
            .filter_map(|case| match case.fit(&capabilities, self.connect.manual_clock) {
                Fit::Runs => Some((case, None)),
                Fit::Ignored(capability) => Some((case, Some(capability))),
                Fit::Omitted => None,
            })
            .collect())
    }

    fn trials(&self) -> Vec<Trial> {
        let prefix = self.name.as_ref().map_or_else(String::new, |name| format!("{name}::"));
        let plan = match self.plan() {
            Ok(plan) => plan,
            Err(failure) => return vec![Trial::test(format!("{prefix}connect"), || Err(failure.into()))],
        };
        plan.into_iter()
            .map(|(case, missing)| {
                let name = format!("{prefix}{}", case.name);
                let Some(capability) = missing else {
                    let (connect, limit) = (self.connect.clone(), self.case_timeout);
                    return Trial::test(name, move || runner::run(case, &connect, limit).map_err(Into::into));
                };
                let (kind, reason) = (
                    format!("capability: {capability}"),
                    format!("the store does not declare `{capability}`"),
                );
                // Ignored beforehand, and also for those who ask for what is ignored.
                Trial::ignorable_test(name, || Ok(Completion::ignored_with(reason)))
                    .with_ignored_flag(true)
                    .with_kind(kind)
            })
            .collect()
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("name", &self.name)
            .field("manual_clock", &self.connect.manual_clock)
            .field("case_timeout", &self.case_timeout)
            .finish_non_exhaustive()
    }
}

/// Runs several suites as one test program: the same store in several configurations. [Name](Suite::named) them.
///
/// ```
/// # use larder_conformance::Suite;
/// # use larder_core::CacheStore;
/// fn conformance<Plain: CacheStore + Default, Sorted: CacheStore + Default>() -> std::process::ExitCode {
///     larder_conformance::run([
///         Suite::new(|| async { Ok(Plain::default()) }).named("plain"),
///         Suite::new(|| async { Ok(Sorted::default()) }).named("sorted"),
///     ])
/// }
/// ```
#[expect(clippy::print_stderr, reason = "a failure must be repeatable from what the test program printed")]
pub fn run(suites: impl IntoIterator<Item = Suite>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert_with(threads);
    let mut trials = Vec::new();
    for suite in suites {
        if let (false, Ok(plan)) = (arguments.list, &suite.connect.plan) {
            eprintln!("{}: the model test runs with {plan}", suite.name.as_deref().unwrap_or("conformance"));
        }
        trials.extend(suite.trials());
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Cases mostly wait, so more of them run at once than there are processors.
fn threads() -> usize {
    thread::available_parallelism().map_or(8, |processors| processors.get().max(8))
}
