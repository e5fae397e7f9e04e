//! One process of the exam: it writes a fourth of the rows, and reads all of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use larder_core::{Cache, EntryOptions, Error, ErrorKind, Faults, Kept, Loaded, Source};
use serde::{Deserialize, Serialize};

use crate::{
    kind::Kind,
    process::{given, runtime, stopped},
    random::Random,
    rows::{Rows, is_violation},
    stores,
};

pub(crate) const STORE: &str = "LARDER_RACE_STORE";
pub(crate) const KIND: &str = "LARDER_RACE_KIND";
pub(crate) const TABLE: &str = "LARDER_RACE_TABLE";
pub(crate) const NUMBER: &str = "LARDER_RACE_NUMBER";
pub(crate) const SEED: &str = "LARDER_RACE_CHILD_SEED";
/// Rounds of each key.
pub(crate) const ROUNDS: &str = "LARDER_RACE_CHILD_ROUNDS";

/// Set where results are to be committed by `set`, which the exam must notice.
pub(crate) const FAULTY: &str = "LARDER_RACE_FAULTY";

pub(crate) const KEYS: i32 = 64;
pub(crate) const PROCESSES: i32 = 4;
/// Tasks of each process that read each key.
const READERS: usize = 2;
/// Keys that share a cache, and with it a tag epoch: every invalidation of a tag renews that.
const TOGETHER: i32 = 4;

/// After a kill the others wait this long, and half as long again.
const LEASE: Duration = Duration::from_millis(200);
const SKEW: Duration = Duration::from_millis(100);

/// How often an invalidation is tried that is late each time.
const TRIES: u32 = 5;

/// What the cache holds: not a bare integer, which would be a counter.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) version: i64,
}

pub(crate) const COUNTS: usize = 7;

/// What a process saw.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) reads: AtomicU64,
    pub(crate) hits: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) not_kept: AtomicU64,
    /// Invalidations that were late, and made again.
    pub(crate) repeated: AtomicU64,
}

impl Counts {
    pub(crate) fn all(&self) -> [&AtomicU64; COUNTS] {
        [&self.reads, &self.hits, &self.stale, &self.loads, &self.joined, &self.not_kept, &self.repeated]
    }

    fn count(&self, source: Source) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let counter = match source {
            Source::Hit => &self.hits,
            Source::Stale { .. } => &self.stale,
            Source::Joined(_) => &self.joined,
            _ => &self.loads,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Source::Loaded(Kept::No(_)) = source {
            self.not_kept.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Track {
    key: i32,
    kind: Kind,
    tag: String,
    /// A namespace that holds nothing but this key.
    cache: Cache,
    rows: Arc<Rows>,
    random: Random,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
}

pub(crate) fn child() -> Result<()> {
    let stop = stopped();
    runtime()?.block_on(race(stop))
}

async fn race(stop: Arc<AtomicBool>) -> Result<()> {
    let kind = Kind::named(&given(KIND)?);
    let (table, number) = (given(TABLE)?, given(NUMBER)?.parse::<i32>()?);
    let (seed, rounds) = (given(SEED)?.parse::<u64>()?, given(ROUNDS)?.parse::<i64>()?);
    let handle = stores::open(&given(STORE)?, Some(seed)).await?;
    if given(FAULTY)? == "true" {
        handle.inject_faults(Faults::COMMIT_BY_SET);
    }
    let rows = Arc::new(Rows::open(&table).await?);
    let counts = Arc::new(Counts::default());
    let mut tasks = tokio::task::JoinSet::new();
    for group in 0..KEYS / TOGETHER {
        let cache = Cache::builder(handle.clone())
            .namespace(format!("{table}_{group}"))
            .clear_by(kind.clear_by())
            .operation_timeout(stores::PATIENCE)
            .lease_timeout(LEASE)
            .clock_skew(SKEW)
            .build()?;
        for key in group * TOGETHER..(group + 1) * TOGETHER {
            let track = Arc::new(Track {
                key,
                kind,
                tag: format!("tag {key}"),
                cache: cache.namespace(&key.to_string())?,
                rows: Arc::clone(&rows),
                random: Random::new(seed ^ (u64::from(key.unsigned_abs()) << 32)),
                counts: Arc::clone(&counts),
                stop: Arc::clone(&stop),
            });
            if key % PROCESSES == number {
                tasks.spawn(Arc::clone(&track).write(rounds));
            }
            for _ in 0..READERS {
                tasks.spawn(Arc::clone(&track).read());
            }
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("a task panicked")??;
    }
    let counts = counts.all().map(|count| count.load(Ordering::Relaxed).to_string());
    println!("counts {}", counts.join(" "));
    Ok(())
}

impl Track {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    async fn write(self: Arc<Self>, rounds: i64) -> Result<()> {
        let mut done = self.rows.rounds(self.key).await?;
        while done < rounds && self.goes_on() {
            self.random.delay().await;
            let version = self.rows.write(self.key).await?;
            self.random.delay().await;
            self.invalidate().await.context("an invalidation failed")?;
            done = self.rows.acknowledge(self.key, version).await?;
        }
        Ok(())
    }

    /// Until it is acknowledged: that a busy disk is late breaks no promise.
    async fn invalidate(&self) -> larder_core::Result<()> {
        let mut tries = 1;
        loop {
            let result = self.kind.invalidate(&self.cache, "row", &self.tag).await;
            let is_late = |error: &Error| matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Ambiguous);
            if tries == TRIES || !result.as_ref().is_err_and(is_late) {
                return result;
            }
            tries += 1;
            self.counts.repeated.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every fourth key is stale nearly at once, so that it is loaded behind and in place of what is there.
    fn options(&self) -> EntryOptions {
        let options = self.kind.options(&self.tag);
        if self.key % 4 == 3 {
            options.timeout(Duration::from_millis(5)).stale_while_revalidate(Duration::from_secs(2))
        } else {
            options
        }
    }

    async fn read(self: Arc<Self>) -> Result<()> {
        while self.goes_on() {
            self.random.delay().await;
            let floor = self.rows.floor(self.key).await?;
            let track = Arc::clone(&self);
            let load = move || async move {
                track.random.delay().await;
                let version = track.rows.read(track.key).await?;
                track.random.delay().await;
                let seen = Loaded::new(Seen { version });
                Ok::<_, anyhow::Error>(if track.kind == Kind::LateTag { seen.tag(&*track.tag) } else { seen })
            };
            // Both entry points: a task of its own, and the caller's.
            let seen = if self.random.below(2) == 0 {
                self.cache.get_or_load_with("row", self.options(), load).await
            } else {
                self.cache.get_or_load_scoped_with("row", self.options(), load).await
            };
            let seen = seen.context("a read failed")?;
            self.counts.count(seen.source());
            if is_violation(floor, seen.version) {
                let (key, version, source) = (self.key, seen.version, seen.source());
                println!(
                    "violation: row {key}: version {version} after {floor} was acknowledged, by {source:?}"
                );
            }
        }
        Ok(())
    }
}
