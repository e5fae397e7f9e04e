//! Keeps the table to its bounds: what was written longest ago goes.

use larder_core::{EvictionCause, Result};
use tokio_postgres::types::Type;

use crate::{
    error::Effect,
    rows::get,
    sweep::{Measure, RESERVED, STEP, Sweeper, windows},
};

/// What is left of a bound after evicting: some room, so that not every write evicts again.
const KEPT: f64 = 0.95;
/// Tables up to this many pages are looked at whole for what is oldest; of larger ones, about as many pages.
const SAMPLED_PAGES: i64 = 10_000;

impl Sweeper {
    /// Removes the oldest entries until the table is within its bounds.
    pub(crate) async fn evict(&self, measure: Measure) -> Result<()> {
        let excess = self.excess(measure);
        if excess == 0 {
            return Ok(());
        }
        let pages = self.pages().await?;
        let Some(oldest) = self.oldest(excess, measure.entries, pages).await? else { return Ok(()) };
        let condition = format!("written <= timestamptz 'epoch' + {oldest} * interval '1 microsecond'");
        let mut left = excess;
        for page in windows(pages) {
            loop {
                if left <= 0 {
                    return Ok(());
                }
                let limit = STEP.min(left);
                let text = format!(
                    "WITH {} SELECT (SELECT mine FROM turn), (SELECT count(*) FROM gone)",
                    self.removal(page, &condition, limit)
                );
                let rows = self.ask(Effect::Possible, &text, &[]).await?;
                let Some(row) = rows.first() else { return Ok(()) };
                if !get::<bool>(row, 0)? {
                    return Ok(());
                }
                let gone = get::<i64>(row, 1)?;
                self.report(gone, EvictionCause::Capacity);
                left -= gone;
                if gone < limit {
                    break;
                }
            }
        }
        Ok(())
    }

    /// How many entries are too many, by either bound.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a share of what is there, to a few percent"
    )]
    fn excess(&self, measure: Measure) -> i64 {
        let settings = &self.engine.hub.connector.settings;
        let entries = measure.entries as f64;
        let share = |count: i64, limit: u64| {
            if u64::try_from(count).unwrap_or(0) <= limit {
                return 0.0;
            }
            1.0 - limit as f64 * KEPT / count as f64
        };
        let share =
            share(measure.entries, settings.max_entries).max(share(measure.bytes, settings.max_bytes));
        ((entries * share).ceil() as i64).min(measure.entries)
    }

    /// When the youngest of the oldest entries was written, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "shares")]
    async fn oldest(&self, count: i64, entries: i64, pages: i64) -> Result<Option<i64>> {
        let table = &self.engine.hub.connector.settings.names.table;
        let share = (count as f64 / entries.max(1) as f64).clamp(0.0, 1.0);
        let percent = (100.0 * SAMPLED_PAGES as f64 / pages.max(1) as f64).min(100.0);
        let text = format!(
            "SELECT (extract(epoch FROM percentile_disc($1) WITHIN GROUP (ORDER BY written)) * 1000000)::int8 \
             FROM {table} TABLESAMPLE SYSTEM ({percent}) WHERE exp > now() AND k <> {RESERVED}"
        );
        let rows = self.ask(Effect::None, &text, &[(&share, Type::FLOAT8)]).await?;
        rows.first().map_or(Ok(None), |row| get(row, 0))
    }
}
