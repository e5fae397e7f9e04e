//! Operations on many entries: in bounded steps, on a connection of their own.

use larder_core::{Error, ErrorKind, Key, Namespace, Result};
use tokio_postgres::types::{ToSql, Type};

use crate::{
    engine::{Deadline, Engine},
    error::Effect,
    rows::{Filing, get},
    sql,
};

/// How many entries one statement removes or lists.
const STEP: i64 = 1_000;
/// How many it counts.
const COUNTED: i64 = 20_000;

impl Engine {
    fn walk_deadline(&self) -> Deadline {
        self.deadline(self.hub.connector.settings.walk_timeout)
    }

    /// Removes what is in a namespace.
    pub(crate) async fn clear(&self, filing: &Filing, namespace: &Namespace) -> Result<()> {
        let settings = &self.hub.connector.settings;
        let table = &settings.names.table;
        // Locked in the order of the keys, as batches lock.
        let text = format!(
            "WITH d AS MATERIALIZED (SELECT k FROM {table} WHERE k >= $1 AND k < $2 ORDER BY k LIMIT {STEP} FOR UPDATE), \
             gone AS (DELETE FROM {table} t USING d WHERE t.k = d.k AND {}) \
             SELECT k FROM d ORDER BY k DESC LIMIT 1",
            sql::strict(settings)
        );
        let _place = self.place()?;
        let mut deadline = self.walk_deadline();
        self.catch_up(&mut deadline).await?;
        let (mut start, end) = filing.range(namespace);
        let mut begun = false;
        loop {
            // Fewer than a step may be others' doing: only a step that finds nothing is the last.
            match self.last_of(Effect::Possible, &mut deadline, &text, &start, &end).await {
                Ok(Some(last)) => start = after(last),
                Ok(None) => return Ok(()),
                Err(error) if begun => {
                    // Whatever became of this step, those before it are done.
                    return Err(Error::new(ErrorKind::Ambiguous, "some of it was removed").with_source(error));
                }
                Err(error) => return Err(error),
            }
            begun = true;
        }
    }

    async fn last_of(
        &self,
        effect: Effect,
        deadline: &mut Deadline,
        text: &str,
        start: &[u8],
        end: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let rows = self.walk(effect, deadline, text, &range(&start, &end)).await?;
        rows.first().map(|row| get(row, 0)).transpose()
    }

    /// The keys in a namespace.
    pub(crate) async fn keys(&self, filing: &Filing, namespace: &Namespace) -> Result<Vec<Key>> {
        let text = format!(
            "SELECT k FROM {} WHERE k >= $1 AND k < $2 AND exp > now() ORDER BY k LIMIT {STEP}",
            self.hub.connector.settings.names.table
        );
        let _place = self.place()?;
        let mut deadline = self.walk_deadline();
        let (mut start, end) = filing.range(namespace);
        let mut keys = Vec::new();
        loop {
            let rows = self.walk(Effect::None, &mut deadline, &text, &range(&&start[..], &&end[..])).await?;
            for row in &rows {
                keys.extend(filing.read(get(row, 0)?));
            }
            match rows.last() {
                Some(row) => start = after(get(row, 0)?),
                None => return Ok(keys),
            }
        }
    }

    /// How many entries there are.
    pub(crate) async fn count(&self, filing: &Filing) -> Result<u64> {
        let text = format!(
            "WITH s AS MATERIALIZED \
               (SELECT k, exp FROM {} WHERE k >= $1 AND k < $2 ORDER BY k LIMIT {COUNTED}) \
             SELECT (SELECT k FROM s ORDER BY k DESC LIMIT 1), count(*) FILTER (WHERE exp > now()) FROM s",
            self.hub.connector.settings.names.table
        );
        let _place = self.place()?;
        let mut deadline = self.walk_deadline();
        let (mut start, end) = filing.range(&Namespace::root());
        let mut count = 0;
        loop {
            let rows = self.walk(Effect::None, &mut deadline, &text, &range(&&start[..], &&end[..])).await?;
            let Some(row) = rows.first() else { return Ok(count) };
            let Some(last) = get::<Option<Vec<u8>>>(row, 0)? else { return Ok(count) };
            count += u64::try_from(get::<i64>(row, 1)?).unwrap_or(0);
            start = after(last);
        }
    }
}

/// The first key behind another.
fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

fn range<'a>(start: &'a &[u8], end: &'a &[u8]) -> [(&'a (dyn ToSql + Sync), Type); 2] {
    [(start, Type::BYTEA), (end, Type::BYTEA)]
}
