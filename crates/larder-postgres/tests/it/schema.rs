//! The table: never made silently, and made the same by every way.

use std::time::Duration;

use larder_core::{CacheStore, ErrorKind, Expiry, Value};
use larder_postgres::{
    MIGRATION, PostgresStore,
    deadpool_postgres::{
        Config, Runtime,
        tokio_postgres::{Client, NoTls},
    },
};

use crate::{SERVER, admin, fresh, key, number, open, put, support, text};

/// Everything about the table that the migration decides.
async fn described(client: &Client, schema: &str, table: &str) -> String {
    let query = "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ( \
        SELECT concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage) AS line \
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
          WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 \
        UNION ALL SELECT concat_ws(' ', c.relpersistence, array_to_string(c.reloptions, ','), \
            array_to_string(t.reloptions, ','), obj_description(c.oid, 'pg_class')) \
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class t ON t.oid = c.reltoastrelid \
          WHERE n.nspname = $1 AND c.relname = $2 \
        UNION ALL SELECT replace(pg_get_constraintdef(x.oid), $2, '') FROM pg_constraint x \
          JOIN pg_class c ON c.oid = x.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
          WHERE n.nspname = $1 AND c.relname = $2 \
        UNION ALL SELECT concat_ws(' ', s.relpersistence, q.seqtypid::regtype, q.seqcache, q.seqcycle) \
          FROM pg_class s JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_namespace n ON n.oid = s.relnamespace \
          WHERE n.nspname = $1 AND s.relname = $2 || '_version') lines";
    client.query_one(query, &[&schema, &table]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_missing_table_is_an_error_that_says_how_to_make_it_and_migrate_makes_it() {
    let store = fresh("it_missing").await.create_table(false).build().unwrap();
    let error = store.get(&key("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for text in ["\"public\".\"it_missing\"", "create_table", "migrate", "migrations/0001_cache.sql"] {
        assert!(error.to_string().contains(text), "{error}");
    }
    let there = "SELECT count(*) FROM pg_class WHERE relname = 'it_missing'";
    assert_eq!(number(&admin().await, there).await, 0);
    store.migrate().await.unwrap();
    put(&store, "a", "at once").await;
    assert_eq!(text(&store, "a").await.as_deref(), Some("at once"));
    store.migrate().await.unwrap();
    assert_eq!(text(&store, "a").await.as_deref(), Some("at once"));
}

#[tokio::test]
async fn the_file_makes_what_migrate_makes() {
    let admin = admin().await;
    admin.batch_execute("DROP SCHEMA IF EXISTS it_file CASCADE; CREATE SCHEMA it_file").await.unwrap();
    // The file as it is makes the default names; here it must not be in the way of other tests.
    admin.batch_execute(&MIGRATION.replace("\"public\"", "\"it_file\"")).await.unwrap();
    admin.batch_execute(&MIGRATION.replace("\"public\"", "\"it_file\"")).await.unwrap();
    let store = fresh("it_migrated").await.create_table(false).build().unwrap();
    store.migrate().await.unwrap();
    let by_file = described(&admin, "it_file", "larder_cache").await;
    assert_eq!(by_file, described(&admin, "public", "it_migrated").await);
    assert!(by_file.lines().count() >= 10 && by_file.contains("fillfactor=80"), "{by_file}");

    let logged = fresh("it_migrated_logged").await.create_table(false).logged(true).build().unwrap();
    logged.migrate().await.unwrap();
    let by_migrate = described(&admin, "public", "it_migrated_logged").await;
    let sorted = |text: &str| {
        let mut lines: Vec<_> =
            text.replace("u fillfactor", "p fillfactor").lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_ne!(by_file, by_migrate);
    assert_eq!(sorted(&by_file), sorted(&by_migrate));

    let store = support::builder(SERVER, "larder_cache").schema("it_file").create_table(false);
    put(&store.build().unwrap(), "a", "in a table made by hand").await;
}

#[tokio::test]
async fn many_may_migrate_at_once() {
    let builder = fresh("it_at_once").await;
    let stores: Vec<_> = (0..8).map(|_| builder.clone().build().unwrap()).collect();
    let all = stores.iter().map(|store| async move { store.migrate().await });
    for done in futures_util::future::join_all(all).await {
        done.unwrap();
    }
    for store in &stores {
        store.increment(&key("count"), 1, Expiry::Never).await.unwrap();
    }
    assert!(matches!(stores[0].get(&key("count")).await.unwrap(), Some(Value::Int(8))));
}

#[tokio::test]
async fn a_table_that_is_not_ours_is_left_alone() {
    let builder = fresh("it_foreign").await;
    let admin = admin().await;
    admin.batch_execute("CREATE TABLE it_foreign (k bytea, v bytea)").await.unwrap();
    let store = builder.build().unwrap();
    for error in [store.get(&key("a")).await.unwrap_err(), store.migrate().await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("not one of this version of Larder"), "{error}");
    }
    let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'it_foreign'::regclass AND attnum > 0";
    assert_eq!(number(&admin, columns).await, 2);
}

#[tokio::test]
async fn a_table_that_is_logged_otherwise_than_the_settings_say_is_refused() {
    let builder = fresh("it_logged").await;
    put(&builder.clone().build().unwrap(), "a", "unlogged").await;
    let error = builder.clone().logged(true).build().unwrap().get(&key("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("ALTER TABLE \"public\".\"it_logged\" SET LOGGED"), "{error}");
    let admin = admin().await;
    admin.batch_execute("ALTER TABLE it_logged SET LOGGED").await.unwrap();
    let error = builder.clone().build().unwrap().get(&key("a")).await.unwrap_err();
    assert!(error.to_string().contains("set `logged = true`"), "{error}");
    assert_eq!(text(&builder.logged(true).build().unwrap(), "a").await.as_deref(), Some("unlogged"));
}

#[tokio::test]
async fn a_sequence_that_a_crash_would_set_back_is_refused() {
    let builder = fresh("it_sequence").await;
    put(&builder.clone().build().unwrap(), "a", "x").await;
    let admin = admin().await;
    if number(&admin, "SELECT current_setting('server_version_num')::int8").await < 150_000 {
        // Older servers have no such sequences.
        return;
    }
    admin.batch_execute("ALTER SEQUENCE it_sequence_version SET UNLOGGED").await.unwrap();
    let error = builder.build().unwrap().get(&key("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("ALTER SEQUENCE"), "{error}");
}

#[tokio::test]
async fn a_table_dropped_under_the_store_is_said_and_its_return_is_seen() {
    let store = open("it_dropped").await;
    put(&store, "a", "x").await;
    let admin = admin().await;
    admin.batch_execute("ALTER TABLE it_dropped RENAME TO it_dropped_away").await.unwrap();
    let error = store.get(&key("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    // `create_table` makes an empty one on the next connection.
    crate::eventually("the table is made again", || async { store.get(&key("a")).await.is_ok() }).await;
    assert_eq!(text(&store, "a").await, None);
    admin.batch_execute("DROP TABLE it_dropped_away").await.unwrap();
}

/// Whoever waits for another to make the table is stopped by the server: each attempt would leave a session behind.
#[tokio::test]
async fn attempts_to_make_the_table_do_not_pile_up_on_the_server() {
    drop(fresh("it_pile").await);
    let (holder, admin) = (admin().await, admin().await);
    holder.batch_execute("BEGIN; CREATE TABLE it_pile (k bytea)").await.unwrap();
    let mut config = Config::new();
    config.url = Some(support::server(SERVER).0);
    config.application_name = Some("it_pile".into());
    let pool = config.create_pool(Some(Runtime::Tokio1), NoTls).unwrap();
    let builder = PostgresStore::from_pool(pool).table("it_pile").create_table(true).connections(1);
    let store = builder.connect_timeout(Duration::from_millis(300)).build().unwrap();
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'it_pile'";
    let mut most = 0;
    for _ in 0..60 {
        most = most.max(number(&admin, sessions).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!((1..=2).contains(&most), "{most} sessions at once, of one attempt at a time");
    holder.batch_execute("ROLLBACK").await.unwrap();
    crate::eventually("it is made", || async { store.get(&key("a")).await.is_ok() }).await;
}
