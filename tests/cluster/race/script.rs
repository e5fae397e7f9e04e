//! The exam by script, on every store: one interleaving per rule, held open by gates. Two handles, each with connections of
//! its own, are two processes as far as a cache can tell. Each script passes with the rule in force and fails with it
//! switched off, so the exam is known to be able to fail.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use larder_core::{Cache, Faults, Loaded};
use libtest_mimic::{Failed, Trial};
use tokio::task::JoinHandle;

use crate::{
    gates::Gate,
    kind::{KINDS, Kind},
    process::{runtime, unique},
    racer::Seen,
    stores,
};

/// Half of it a load waits for that of another process.
const LOAD: Duration = Duration::from_secs(2);
const TAG: &str = "row";

/// Two processes, and a row that both load.
struct Two {
    one: Cache,
    other: Cache,
    kind: Kind,
    row: Arc<AtomicI64>,
}

impl Two {
    async fn open(store: &str, kind: Kind, faults: Faults) -> Result<Self> {
        let namespace = unique("script");
        let open = async || -> Result<Cache> {
            let handle = stores::open(store, None).await?;
            handle.inject_faults(faults);
            let cache = Cache::builder(handle).namespace(&*namespace).clear_by(kind.clear_by());
            Ok(cache.operation_timeout(stores::PATIENCE).load_timeout(LOAD).build()?)
        };
        Ok(Self { one: open().await?, other: open().await?, kind, row: Arc::new(AtomicI64::new(1)) })
    }

    /// Starts a reader whose loader reads the row and then stands at `gate`, if there is one. The version it saw.
    fn read(&self, cache: &Cache, gate: Option<Arc<Gate>>) -> JoinHandle<Result<i64>> {
        let (cache, row, kind) = (cache.clone(), Arc::clone(&self.row), self.kind);
        tokio::spawn(async move {
            let load = move || async move {
                let seen = Loaded::new(Seen { version: row.load(Ordering::SeqCst) });
                if let Some(gate) = gate {
                    gate.pass().await;
                }
                Ok::<_, Infallible>(if kind == Kind::LateTag { seen.tag(TAG) } else { seen })
            };
            Ok(cache.get_or_load_with("row", kind.options(TAG), load).await?.version)
        })
    }

    /// The other process changes the row and invalidates it: from here on 1 is too old.
    async fn change(&self) -> Result<()> {
        self.row.store(2, Ordering::SeqCst);
        Ok(self.kind.invalidate(&self.other, "row", TAG).await?)
    }

    /// Whether both see what was acknowledged.
    async fn both_see_the_change(&self) -> Result<bool> {
        Ok(self.read(&self.other, None).await?? >= 2 && self.read(&self.one, None).await?? >= 2)
    }
}

/// A load reads the old row; the other process changes and invalidates it; only then does the load end.
async fn late_load(two: Two) -> Result<bool> {
    let gate = Gate::new();
    let early = two.read(&two.one, Some(Arc::clone(&gate)));
    gate.reached().await;
    two.change().await?;
    gate.let_go();
    ensure!(early.await?? == 1, "who came before the invalidation has the old row");
    two.both_see_the_change().await
}

/// The same, and a reader comes to the old load's process while it still runs.
async fn late_reader(two: Two) -> Result<bool> {
    let gate = Gate::new();
    let early = two.read(&two.one, Some(Arc::clone(&gate)));
    gate.reached().await;
    two.change().await?;
    let late = two.read(&two.one, None);
    // It is over, or has joined.
    while !late.is_finished() && two.one.stats().joined == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    gate.let_go();
    ensure!(early.await?? == 1, "who came before the invalidation has the old row");
    Ok(late.await?? >= 2)
}

/// An entry is there when the other process changes and invalidates the row.
async fn kept_entry(two: Two) -> Result<bool> {
    ensure!(two.read(&two.one, None).await?? == 1, "nothing has changed yet");
    two.change().await?;
    two.both_see_the_change().await
}

/// A load waits for that of the other process until it loads for itself, without a lease; then the row is changed and
/// invalidated.
async fn unleased_load(two: Two) -> Result<bool> {
    let (first, second) = (Gate::new(), Gate::new());
    let holder = two.read(&two.other, Some(Arc::clone(&first)));
    first.reached().await;
    let unleased = two.read(&two.one, Some(Arc::clone(&second)));
    second.reached().await;
    two.change().await?;
    first.let_go();
    ensure!(holder.await?? == 1, "who came before the invalidation has the old row");
    second.let_go();
    ensure!(unleased.await?? == 1, "who came before the invalidation has the old row");
    two.both_see_the_change().await
}

type Script = fn(Two) -> Pin<Box<dyn Future<Output = Result<bool>> + Send>>;

struct Rule {
    name: &'static str,
    script: Script,
    off: Faults,
    /// The kinds of invalidation that nothing but this rule makes good.
    kinds: &'static [Kind],
}

const RULES: [Rule; 5] = [
    Rule {
        name: "a_result_is_committed_by_its_lease_alone",
        script: |two| Box::pin(late_load(two)),
        off: Faults::COMMIT_BY_SET,
        kinds: &[Kind::Delete, Kind::Clear],
    },
    Rule {
        name: "a_load_is_joined_only_by_who_saw_its_lease",
        script: |two| Box::pin(late_reader(two)),
        off: Faults::NAIVE_JOIN,
        kinds: &[Kind::Delete, Kind::Clear],
    },
    Rule {
        name: "stamps_are_checked",
        script: |two| Box::pin(kept_entry(two)),
        off: Faults::STAMPS_UNCHECKED,
        kinds: &[Kind::Tag, Kind::ClearByStamps, Kind::LateTag],
    },
    Rule {
        name: "late_tags_are_guarded_by_the_epoch",
        script: |two| Box::pin(late_load(two)),
        off: Faults::NO_EPOCH,
        kinds: &[Kind::LateTag],
    },
    Rule {
        name: "without_a_lease_nothing_is_kept",
        script: |two| Box::pin(unleased_load(two)),
        off: Faults::KEEP_UNLEASED,
        kinds: &[Kind::Delete, Kind::Clear],
    },
];

pub(crate) fn trials() -> Vec<Trial> {
    let pairs = stores::STORES.into_iter().flat_map(|store| RULES.iter().map(move |rule| (store, rule)));
    pairs
        .map(|(store, rule)| {
            let name = format!("script::{}::{store}", rule.name);
            Trial::test(name, move || check(store, rule).map_err(|error| Failed::from(format!("{error:#}"))))
        })
        .collect()
}

fn check(store: &'static str, rule: &'static Rule) -> Result<()> {
    let directory = tempfile::tempdir()?;
    stores::at(directory.path());
    runtime()?.block_on(async {
        let mut tasks = Vec::new();
        for kind in rule.kinds.iter().copied().filter(|kind| stores::has(store, *kind)) {
            // Every kind with every rule in force, these with one of them off.
            tasks.push((
                kind,
                true,
                tokio::spawn((rule.script)(Two::open(store, kind, Faults::NONE).await?)),
            ));
            tasks.push((kind, false, tokio::spawn((rule.script)(Two::open(store, kind, rule.off).await?))));
        }
        for kind in KINDS.into_iter().filter(|kind| !rule.kinds.contains(kind) && stores::has(store, *kind)) {
            tasks.push((
                kind,
                true,
                tokio::spawn((rule.script)(Two::open(store, kind, Faults::NONE).await?)),
            ));
        }
        for (kind, good, task) in tasks {
            let kind_name = kind.name();
            let held = task.await??;
            ensure!(held || !good, "{kind_name}: an acknowledged invalidation was undone");
            ensure!(
                !held || good,
                "{kind_name}: without the rule nothing went wrong: the exam is blind to it"
            );
        }
        Ok(())
    })
}
