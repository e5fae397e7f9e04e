//! What the background task does: one of many processes removes what has expired, and what is too much.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use larder_core::{Clock, EvictionCause, Result, Spawn, StoreEvents, SystemClock, TokioSpawn};
use tokio::sync::watch;
use tokio_postgres::types::Type;

use crate::{engine::Engine, error::Effect, parameters::Typed, rows::get, supervisor::until_closed};

/// How often the size is estimated, at least.
const LOOK: Duration = Duration::from_secs(5);
/// How many pages of the table one statement looks at, and how many entries it removes.
const WINDOW: i64 = 128;
pub(crate) const STEP: i64 = 1_000;
/// Where the next sweep is written down: no key of Larder starts so.
pub(crate) const RESERVED: &str = "decode('00', 'hex')";
/// What an entry weighs besides its key and its value.
pub(crate) const OVERHEAD: i64 = 64;

/// Sweeps one table.
pub(crate) struct Sweeper {
    pub(crate) engine: Engine,
    events: Arc<OnceLock<Arc<dyn StoreEvents>>>,
    /// What the last walk through the table counted.
    measured: Option<Measure>,
}

/// What a walk through the table found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measure {
    pub(crate) entries: i64,
    pub(crate) bytes: i64,
    /// The server's own count at that time, which goes on and may be off.
    live_rows: i64,
}

/// The size, cheaply.
struct Estimate {
    live_rows: i64,
    /// Of the files, with what is dead or free in them.
    file_bytes: i64,
}

/// Starts the task; it ends when the sender of `closing` is dropped.
pub(crate) fn start(
    engine: Engine,
    events: Arc<OnceLock<Arc<dyn StoreEvents>>>,
    closing: watch::Receiver<()>,
) -> Result<()> {
    let every = engine.hub.connector.settings.sweep_every;
    if every.is_zero() {
        return Ok(());
    }
    TokioSpawn.spawn(Box::pin(async move {
        let mut sweeper = Sweeper { engine, events, measured: None };
        let clock = SystemClock::new();
        until_closed(closing, async {
            loop {
                clock.sleep(every.min(LOOK)).await;
                let done = sweeper.round(every).await;
                sweeper.engine.hub.note(done);
            }
        })
        .await;
    }))
}

impl Sweeper {
    /// A sweep, if it is this process's turn or the table is too large.
    async fn round(&mut self, every: Duration) -> Result<()> {
        let mine = self.claim(every).await?;
        let estimate = self.estimate().await?;
        if !mine && !self.is_too_much(&estimate) {
            return Ok(());
        }
        // Where another process is at it already, there is nothing to do.
        let Some(measure) = self.sweep(estimate.live_rows).await? else { return Ok(()) };
        self.measured = Some(measure);
        self.evict(measure).await
    }

    /// Takes the turn of this period, unless another process has: the advisory lock is of the transaction and elects
    /// one of those who try at once, the row tells the others.
    async fn claim(&self, every: Duration) -> Result<bool> {
        let names = &self.engine.hub.connector.settings.names;
        let (class, name) = names.lock;
        let text = format!(
            "INSERT INTO {} AS t (k, n, ver, salt, exp, written) \
             SELECT {RESERVED}, 0, 0, 0, now() + $1 * interval '1 millisecond', now() \
             WHERE pg_try_advisory_xact_lock({class}, {name}) \
             ON CONFLICT (k) DO UPDATE SET exp = excluded.exp, written = excluded.written WHERE t.exp <= now() \
             RETURNING true",
            names.table
        );
        // A little less than the period, so that whoever wakes first has the next one.
        let millis = every.as_secs_f64() * 900.0;
        Ok(!self.ask(Effect::Possible, &text, &[(&millis, Type::FLOAT8)]).await?.is_empty())
    }

    async fn estimate(&self) -> Result<Estimate> {
        let table = &self.engine.hub.connector.settings.names.table;
        let text = format!(
            "SELECT pg_stat_get_live_tuples('{table}'::regclass), pg_table_size('{table}'::regclass)"
        );
        let rows = self.ask(Effect::None, &text, &[]).await?;
        let Some(row) = rows.first() else { return Ok(Estimate { live_rows: 0, file_bytes: 0 }) };
        Ok(Estimate { live_rows: get(row, 0)?, file_bytes: get(row, 1)? })
    }

    fn is_too_much(&self, estimate: &Estimate) -> bool {
        let settings = &self.engine.hub.connector.settings;
        let over = |count: i64, limit: u64| u64::try_from(count).is_ok_and(|count| count > limit);
        let Some(measure) = &self.measured else {
            // Nothing was counted yet: the files are larger than what counts in them, so under the bound is under it.
            return over(estimate.live_rows, settings.max_entries)
                || over(estimate.file_bytes, settings.max_bytes);
        };
        let entries = measure.entries + (estimate.live_rows - measure.live_rows);
        let each = if measure.entries == 0 { 0 } else { measure.bytes / measure.entries };
        let bytes = entries.saturating_mul(each).min(estimate.file_bytes);
        over(entries, settings.max_entries) || over(bytes, settings.max_bytes)
    }

    /// Goes through the whole table by ranges of row addresses, which needs no index of expiries: such an index would
    /// make every write slower. `None` where another process is at it.
    async fn sweep(&self, live_rows: i64) -> Result<Option<Measure>> {
        let table = &self.engine.hub.connector.settings.names.table;
        let mut measure = Measure { live_rows, ..Measure::default() };
        let mut page = 0;
        while page < self.pages().await? {
            let remove = self.removal(page, "exp <= now()", STEP);
            let inside = inside(page);
            let text = format!(
                "WITH {remove}, live AS (SELECT count(*) AS entries, \
                   sum(octet_length(k) + coalesce(octet_length(v), 8) + {OVERHEAD})::int8 AS bytes \
                   FROM {table} WHERE {inside} AND exp > now() AND k <> {RESERVED}) \
                 SELECT (SELECT mine FROM turn), (SELECT count(*) FROM gone), entries, coalesce(bytes, 0) FROM live"
            );
            let rows = self.ask(Effect::None, &text, &[]).await?;
            let Some(row) = rows.first() else { break };
            if !get::<bool>(row, 0)? {
                return Ok(None);
            }
            let gone = get::<i64>(row, 1)?;
            self.report(gone, EvictionCause::Expired);
            if gone < STEP {
                measure.entries += get::<i64>(row, 2)?;
                measure.bytes += get::<i64>(row, 3)?;
                page += WINDOW;
            }
        }
        Ok(Some(measure))
    }

    /// The two parts of a statement that removes some entries of a window, if no other process is sweeping. What others
    /// are writing is left alone, so that nobody waits for anybody.
    pub(crate) fn removal(&self, page: i64, condition: &str, limit: i64) -> String {
        let names = &self.engine.hub.connector.settings.names;
        let (table, (class, name), inside) = (&names.table, names.lock, inside(page));
        format!(
            "turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock({class}, {name}) AS mine), \
             gone AS (DELETE FROM {table} WHERE ctid = ANY (ARRAY(\
               SELECT ctid FROM {table} WHERE {inside} AND {condition} AND k <> {RESERVED} \
               AND (SELECT mine FROM turn) LIMIT {limit} FOR UPDATE SKIP LOCKED)) AND {condition} RETURNING true)"
        )
    }

    pub(crate) async fn pages(&self) -> Result<i64> {
        let table = &self.engine.hub.connector.settings.names.table;
        let text =
            format!("SELECT pg_relation_size('{table}'::regclass) / current_setting('block_size')::int8");
        let rows = self.ask(Effect::None, &text, &[]).await?;
        rows.first().map_or(Ok(0), |row| get(row, 0))
    }

    pub(crate) async fn ask(
        &self,
        effect: Effect,
        text: &str,
        parameters: Typed<'_>,
    ) -> Result<Vec<tokio_postgres::Row>> {
        let mut deadline = self.engine.deadline(self.engine.hub.connector.settings.walk_timeout);
        self.engine.walk(effect, &mut deadline, text, parameters).await
    }

    pub(crate) fn report(&self, count: i64, cause: EvictionCause) {
        if let Some(events) = self.events.get() {
            for _ in 0..count {
                events.evicted(cause);
            }
        }
    }
}

/// The rows on some pages, from one on.
fn inside(page: i64) -> String {
    format!("ctid >= '({page},0)'::tid AND ctid < '({},0)'::tid", page + WINDOW)
}

/// The pages where windows start.
pub(crate) fn windows(pages: i64) -> impl Iterator<Item = i64> {
    (0..pages).step_by(usize::try_from(WINDOW).expect("it is small"))
}
