//! Every statement of a point operation.

use tokio_postgres::types::Type;

use crate::settings::Settings;

/// Which statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sql {
    Get,
    Has,
    GetVersioned,
    Expiry,
    Set,
    Add,
    Replace,
    Increment,
    Touch,
    Delete,
    DeleteVersion,
    GetMany,
    SetMany,
    DeleteMany,
}

impl Sql {
    pub(crate) const ALL: [Self; 14] = [
        Self::Get,
        Self::Has,
        Self::GetVersioned,
        Self::Expiry,
        Self::Set,
        Self::Add,
        Self::Replace,
        Self::Increment,
        Self::Touch,
        Self::Delete,
        Self::DeleteVersion,
        Self::GetMany,
        Self::SetMany,
        Self::DeleteMany,
    ];

    /// The types of its parameters.
    pub(crate) fn types(self) -> &'static [Type] {
        const KEY: Type = Type::BYTEA;
        const MILLIS: Type = Type::FLOAT8;
        const INT: Type = Type::INT8;
        match self {
            Self::Get | Self::Has | Self::GetVersioned | Self::Expiry | Self::Delete => &[KEY],
            Self::Set | Self::Add => &[KEY, Type::BYTEA, INT, MILLIS, INT],
            Self::Replace => &[KEY, Type::BYTEA, INT, MILLIS, INT, INT, INT],
            Self::Increment => &[KEY, INT, MILLIS, INT],
            Self::Touch => &[KEY, MILLIS, INT],
            Self::DeleteVersion => &[KEY, INT, INT],
            Self::GetMany | Self::DeleteMany => &[Type::BYTEA_ARRAY],
            Self::SetMany => {
                &[Type::BYTEA_ARRAY, Type::BYTEA_ARRAY, Type::INT8_ARRAY, Type::FLOAT8_ARRAY, INT]
            }
        }
    }

    fn text(self, parts: &Parts<'_>) -> String {
        let Parts { table, next, strict, relaxed } = parts;
        let ends =
            |millis: &str| format!("coalesce(now() + {millis} * interval '1 millisecond', 'infinity')");
        let insert = format!("INSERT INTO {table} AS t (k, v, n, ver, salt, exp, written)");
        let replace = "v = excluded.v, n = excluded.n, ver = excluded.ver, salt = excluded.salt, \
                       exp = excluded.exp, written = excluded.written";
        let row = format!("{insert} SELECT $1, $2, $3, {next}, $5, {}, now() WHERE {relaxed}", ends("$4"));
        match self {
            Self::Get => format!("SELECT v, n FROM {table} WHERE k = $1 AND exp > now()"),
            Self::Has => format!("SELECT true FROM {table} WHERE k = $1 AND exp > now()"),
            Self::GetVersioned => {
                format!("SELECT ver, salt, v, n FROM {table} WHERE k = $1 AND exp > now()")
            }
            // `infinity - now()` is an error on older servers.
            Self::Expiry => format!(
                "SELECT CASE WHEN isfinite(exp) THEN (extract(epoch FROM exp - now()) * 1000000)::int8 END \
                 FROM {table} WHERE k = $1 AND exp > now()"
            ),
            Self::Set => format!("{row} ON CONFLICT (k) DO UPDATE SET {replace}"),
            Self::Add => {
                format!("{row} ON CONFLICT (k) DO UPDATE SET {replace} WHERE t.exp <= now() RETURNING ver")
            }
            Self::Replace => format!(
                "UPDATE {table} SET v = $2, n = $3, ver = {next}, salt = $5, exp = {}, written = now() \
                 WHERE k = $1 AND ver = $6 AND salt = $7 AND exp > now() AND {relaxed} RETURNING ver",
                ends("$4")
            ),
            Self::Increment => format!(
                "{insert} SELECT $1, NULL, $2, {next}, $4, {}, now() WHERE {relaxed} \
                 ON CONFLICT (k) DO UPDATE SET v = NULL, \
                 n = CASE WHEN t.exp > now() THEN t.n + excluded.n ELSE excluded.n END, \
                 exp = CASE WHEN t.exp > now() THEN t.exp ELSE excluded.exp END, \
                 ver = excluded.ver, salt = excluded.salt, written = excluded.written \
                 WHERE t.n IS NOT NULL OR t.exp <= now() RETURNING n",
                ends("$3")
            ),
            Self::Touch => format!(
                "UPDATE {table} SET exp = {}, ver = {next}, salt = $3 \
                 WHERE k = $1 AND exp > now() AND {relaxed} RETURNING true",
                ends("$2")
            ),
            Self::Delete => format!("DELETE FROM {table} WHERE k = $1 AND {strict} RETURNING exp > now()"),
            Self::DeleteVersion => format!(
                "DELETE FROM {table} WHERE k = $1 AND ver = $2 AND salt = $3 AND exp > now() AND {strict} \
                 RETURNING true"
            ),
            Self::GetMany => format!("SELECT k, v, n FROM {table} WHERE k = ANY ($1) AND exp > now()"),
            Self::SetMany => format!(
                "{insert} SELECT u.k, u.v, u.n, {next}, $5, {}, now() \
                 FROM unnest($1, $2, $3, $4) AS u (k, v, n, millis) WHERE {relaxed} \
                 ON CONFLICT (k) DO UPDATE SET {replace}",
                ends("u.millis")
            ),
            // Locked in the order of the keys, as `SetMany` locks, so that two batches never wait for each other.
            Self::DeleteMany => format!(
                "WITH d AS MATERIALIZED (SELECT k FROM {table} WHERE k = ANY ($1) ORDER BY k FOR UPDATE) \
                 DELETE FROM {table} t USING d WHERE t.k = d.k AND {strict} RETURNING t.k, t.exp > now()"
            ),
        }
    }
}

/// What statements are made of.
struct Parts<'a> {
    table: &'a str,
    next: String,
    /// True, and sees to it that the transaction is acknowledged only when it cannot be lost.
    strict: &'a str,
    /// True, and lets the transaction be acknowledged early where that was asked for.
    relaxed: &'a str,
}

/// A setting within the statement, for its transaction alone: the session keeps nothing, and needs no second message.
const STRICT: &str = "(SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
                      WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)) <> ''";
const RELAXED: &str = "(SELECT set_config('synchronous_commit', 'off', true)) <> ''";

/// What makes a statement that removes entries wait for the disk, on a table where that means something.
pub(crate) fn strict(settings: &Settings) -> &'static str {
    if settings.logged { STRICT } else { "true" }
}

/// The text of every statement, in the order of [`Sql::ALL`].
pub(crate) fn texts(settings: &Settings) -> Box<[String]> {
    let parts = Parts {
        table: &settings.names.table,
        next: format!("nextval('{}')", settings.names.sequence),
        strict: strict(settings),
        relaxed: match (settings.logged, settings.synchronous_writes) {
            (false, _) => "true",
            (true, true) => STRICT,
            (true, false) => RELAXED,
        },
    };
    Sql::ALL.iter().map(|sql| sql.text(&parts)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_stands_where_it_is_looked_for() {
        for (at, sql) in Sql::ALL.into_iter().enumerate() {
            assert_eq!(sql as usize, at);
        }
    }
}
