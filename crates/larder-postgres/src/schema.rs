//! The table: whether it is there, and making it.

use std::time::Duration;

use larder_core::{Error, ErrorKind, Result};
use tokio_postgres::{Client, types::Type};

use crate::{
    error::{self, Effect},
    names::Names,
    rows::get,
    settings::Settings,
};

/// What makes the table and the sequence with their default settings, as in `migrations/0001_cache.sql`: for those who
/// manage schemas themselves. [`PostgresStore::migrate`](crate::PostgresStore::migrate) runs it with the configured names.
pub const MIGRATION: &str = include_str!("../migrations/0001_cache.sql");

/// The oldest server with scans by ranges of row addresses, which the sweeper needs.
const OLDEST_SERVER: i32 = 140_000;
const COMMENT: &str = "larder cache, version 1";

/// What was found under the name of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Ours,
    Nothing,
}

/// Looks whether the table is there and as the settings say.
pub(crate) async fn look(client: &Client, settings: &Settings) -> Result<Found> {
    let names = &settings.names;
    let text = "SELECT current_setting('server_version_num')::int4, \
                  t.relpersistence::text, obj_description(t.oid, 'pg_class'), s.relpersistence::text, \
                  current_setting('transaction_read_only')::bool \
                FROM (SELECT $1::text AS space, $2::text AS tab, $3::text AS seq) asked \
                LEFT JOIN pg_namespace n ON n.nspname = asked.space \
                LEFT JOIN pg_class t ON t.relnamespace = n.oid AND t.relname = asked.tab \
                LEFT JOIN pg_class s ON s.relnamespace = n.oid AND s.relname = asked.seq AND s.relkind = 'S'";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&names.schema, Type::TEXT), (&names.plain_table, Type::TEXT), (&names.plain_sequence, Type::TEXT)];
    let row = client.query_typed(text, &parameters).await;
    let row = row.map_err(|cause| error::of_statement(cause, Effect::None))?;
    let row =
        row.into_iter().next().ok_or_else(|| Error::new(ErrorKind::Corrupt, "the catalog gave no answer"))?;
    let version: i32 = get(&row, 0)?;
    if version < OLDEST_SERVER {
        return Err(wrong(format!("the server is PostgreSQL {}: it must be 14 or newer", version / 10_000)));
    }
    // What a standby answers may be older than what was acknowledged, and it takes no invalidation.
    if get(&row, 4)? {
        return Err(error::takes_no_writes());
    }
    let Some(persistence) = get::<Option<&str>>(&row, 1)? else { return Ok(Found::Nothing) };
    if get::<Option<&str>>(&row, 2)? != Some(COMMENT) {
        return Err(wrong(format!(
            "the table {} is not one of this version of Larder (its comment is not `{COMMENT}`): choose another `table`",
            names.table
        )));
    }
    match (settings.logged, persistence) {
        (true, "p") | (false, "u") => {}
        (true, _) => {
            return Err(wrong(format!(
                "`logged` is true, but the table {0} is UNLOGGED: run `ALTER TABLE {0} SET LOGGED`",
                names.table
            )));
        }
        (false, _) => {
            return Err(wrong(format!(
                "`logged` is false, but the table {0} is LOGGED: set `logged = true`, or run `ALTER TABLE {0} SET \
                 UNLOGGED`",
                names.table
            )));
        }
    }
    match get::<Option<&str>>(&row, 3)? {
        Some("p") => Ok(Found::Ours),
        Some(_) => Err(wrong(format!(
            "the sequence {0} is UNLOGGED, and a crash would set it back: run `ALTER SEQUENCE {0} SET LOGGED`",
            names.sequence
        ))),
        None => Ok(Found::Nothing),
    }
}

/// Makes the table, unless another process does at this moment. A connection on which this fails must be dropped.
///
/// The server stops what takes longer than `limit`: whoever asked has gone by then, and comes again.
pub(crate) async fn create(client: &Client, settings: &Settings, limit: Duration) -> Result<()> {
    let (class, name) = settings.names.lock;
    let run = async |text: &str| {
        client.batch_execute(text).await.map_err(|cause| {
            let refused = error::of_statement(cause, Effect::Possible);
            Error::new(refused.kind(), format!("the table {} cannot be made", settings.names.table))
                .with_source(refused)
        })
    };
    // The lock ends with the transaction. `IF NOT EXISTS` alone loses races with itself, and whoever comes second must
    // not alter a table that is in use.
    let millis = limit.as_millis();
    run(&format!(
        "BEGIN; SET LOCAL statement_timeout = {millis}; SELECT pg_advisory_xact_lock({class}, {name})"
    ))
    .await?;
    if look(client, settings).await? == Found::Nothing {
        run(&migration(settings)).await?;
    }
    run("COMMIT").await
}

/// The migration, with the configured names.
fn migration(settings: &Settings) -> String {
    let Names { table, sequence, .. } = &settings.names;
    let text = MIGRATION
        .replace("\"public\".\"larder_cache_version\"", sequence)
        .replace("\"public\".\"larder_cache\"", table);
    if settings.logged { text.replace("CREATE UNLOGGED TABLE", "CREATE TABLE") } else { text }
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::Config, what)
}

/// The error of a store whose table is not there.
pub(crate) fn missing(settings: &Settings) -> Error {
    wrong(format!("there is no table {} with its sequence: {}", settings.names.table, error::MISSING))
}
