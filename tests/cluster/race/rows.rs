//! The source of truth: rows in PostgreSQL, and what of them is known to be acknowledged.

use anyhow::{Context, Result};
use tokio_postgres::{Client, NoTls, Statement};

use crate::stores::variable;

/// The rows of one exam: versions 1, 2, 3, .. each.
pub(crate) struct Rows {
    client: Client,
    write: Statement,
    read: Statement,
    acknowledge: Statement,
    floor: Statement,
    count: Statement,
    load: Statement,
}

/// A reader saw an older row than it may.
pub(crate) fn is_violation(floor: i64, seen: i64) -> bool {
    seen < floor
}

pub(crate) async fn connect() -> Result<Client> {
    let url = variable("LARDER_TEST_POSTGRES")?;
    let (client, connection) =
        tokio_postgres::connect(&url, NoTls).await.context("cannot connect to PostgreSQL")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            println!("error: the connection to the rows: {error}");
        }
    });
    Ok(client)
}

/// Makes the table of one exam.
pub(crate) async fn create(client: &Client, table: &str, keys: i32) -> Result<()> {
    let sql = format!(
        "create unlogged table {table} (key int primary key, version bigint not null, \
         acknowledged bigint not null, rounds bigint not null, loads bigint not null) with (fillfactor = 20); \
         insert into {table} select key, 1, 0, 0, 0 from generate_series(0, {keys} - 1) key"
    );
    Ok(client.batch_execute(&sql).await?)
}

pub(crate) async fn remove(client: &Client, table: &str) -> Result<()> {
    Ok(client.batch_execute(&format!("drop table {table}")).await?)
}

impl Rows {
    pub(crate) async fn open(table: &str) -> Result<Self> {
        let client = connect().await?;
        let prepare = async |sql: &str| client.prepare(&sql.replace("{table}", table)).await;
        Ok(Self {
            write: prepare("update {table} set version = version + 1 where key = $1 returning version")
                .await?,
            read: prepare("select version from {table} where key = $1").await?,
            acknowledge: prepare(
                "update {table} set acknowledged = greatest(acknowledged, $2), rounds = rounds + 1 \
                 where key = $1 returning rounds",
            )
            .await?,
            floor: prepare("select acknowledged from {table} where key = $1").await?,
            count: prepare("select rounds from {table} where key = $1").await?,
            load: prepare("update {table} set loads = loads + 1 where key = $1 returning loads").await?,
            client,
        })
    }

    async fn one(&self, statement: &Statement, key: i32) -> Result<i64> {
        Ok(self.client.query_one(statement, &[&key]).await?.get(0))
    }

    /// Commits the next version.
    pub(crate) async fn write(&self, key: i32) -> Result<i64> {
        self.one(&self.write, key).await
    }

    pub(crate) async fn read(&self, key: i32) -> Result<i64> {
        self.one(&self.read, key).await
    }

    /// The invalidation that followed `version` returned `Ok`. How many rounds that makes.
    pub(crate) async fn acknowledge(&self, key: i32, version: i64) -> Result<i64> {
        Ok(self.client.query_one(&self.acknowledge, &[&key, &version]).await?.get(0))
    }

    /// What a reader that starts now, in whatever process, may not be older than.
    pub(crate) async fn floor(&self, key: i32) -> Result<i64> {
        self.one(&self.floor, key).await
    }

    pub(crate) async fn rounds(&self, key: i32) -> Result<i64> {
        self.one(&self.count, key).await
    }

    /// Counts a load.
    pub(crate) async fn count_load(&self, key: i32) -> Result<i64> {
        self.one(&self.load, key).await
    }
}
