//! How a connection comes about.

use std::{fmt, path::Path, pin::pin, time::Duration};

use deadpool_postgres::{ClientWrapper, Object, Pool, PoolError};
use futures_util::future::{Either, select};
use larder_core::{BoxFuture, Clock, Error, ErrorKind, Result, Spawn, SystemClock, TokioSpawn};
use tokio::sync::oneshot;
use tokio_postgres::{Client, Config, NoTls, config};

use crate::{
    SslMode,
    address::{Address, Host},
    conn::Conn,
    error::{self, Effect},
    schema::{self, Found},
    settings::Settings,
    sql::{self, Sql},
};

/// How long a connection that is no longer needed may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// So many addresses of one name may be asked in vain within an attempt, less one.
const ADDRESSES: u32 = 4;

/// Who makes connections.
pub(crate) enum Server {
    /// The hosts in the order in which they are tried.
    Own {
        hosts: Vec<Config>,
        name: String,
        tls: Tls,
    },
    Pool(Pool),
}

#[derive(Clone)]
pub(crate) enum Tls {
    None,
    #[cfg(feature = "tls")]
    Rustls(Box<tokio_postgres_rustls::MakeRustlsConnect>),
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Point operations, which must be short.
    Point,
    /// Upkeep and walks through many entries, which may take longer.
    Walk,
}

impl Server {
    pub(crate) fn at(
        address: &Address,
        sslmode: SslMode,
        ca: Option<&Path>,
        connect_timeout: Duration,
    ) -> Result<Self> {
        let mut config = Config::new();
        if let Some(user) = &address.user {
            config.user(user);
        }
        if let Some(password) = &address.password {
            config.password(password);
        }
        if let Some(database) = &address.database {
            config.dbname(database);
        }
        if address.hosts.len() > 1 {
            config.target_session_attrs(config::TargetSessionAttrs::ReadWrite);
        }
        config.application_name("larder");
        config.keepalives_idle(Duration::from_secs(15));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
        config.tcp_user_timeout(Duration::from_secs(5));
        // Or the first address of a name, if nothing answers there, would take the time of all the others. Whoever needs
        // more than this for one packet and back is not ready in time: several more follow.
        config.connect_timeout(share(connect_timeout, address.hosts.len()) / ADDRESSES);
        let tls = tls(&mut config, sslmode, ca)?;
        let of_host = |(host, port): &(Host, u16)| {
            let mut config = config.clone();
            match host {
                Host::Tcp(name) => config.host(name),
                Host::Unix(directory) => config.host_path(directory),
            };
            config.port(*port);
            config
        };
        Ok(Self::Own { hosts: address.hosts.iter().map(of_host).collect(), name: address.name(), tls })
    }

    /// For people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Own { name, .. } => name,
            Self::Pool(_) => "pool",
        }
    }
}

#[cfg(feature = "tls")]
fn tls(config: &mut Config, sslmode: SslMode, ca: Option<&Path>) -> Result<Tls> {
    config.ssl_mode(match sslmode {
        SslMode::Disable if ca.is_some() => return Err(needless_ca()),
        SslMode::Disable => config::SslMode::Disable,
        SslMode::Prefer => config::SslMode::Prefer,
        SslMode::Require => config::SslMode::Require,
    });
    if sslmode == SslMode::Disable {
        return Ok(Tls::None);
    }
    Ok(Tls::Rustls(Box::new(crate::tls::connector(ca)?)))
}

#[cfg(not(feature = "tls"))]
fn tls(config: &mut Config, sslmode: SslMode, ca: Option<&Path>) -> Result<Tls> {
    if sslmode != SslMode::Disable {
        return Err(Error::new(
            ErrorKind::Config,
            "`sslmode` asks for TLS, but larder-postgres was built without its feature `tls`",
        ));
    }
    if ca.is_some() {
        return Err(needless_ca());
    }
    config.ssl_mode(config::SslMode::Disable);
    Ok(Tls::None)
}

fn needless_ca() -> Error {
    Error::new(ErrorKind::Config, "`ca` is given, but `sslmode` is `disable`: set it to `require`")
}

/// A client, however it came about.
pub(crate) enum Link {
    Own {
        client: Client,
        /// Dropped with the link, which ends the task that drives the connection.
        _end: oneshot::Sender<()>,
    },
    /// Taken out of a pool for good.
    Pooled(ClientWrapper),
}

impl std::ops::Deref for Link {
    type Target = Client;

    fn deref(&self) -> &Client {
        match self {
            Self::Own { client, .. } => client,
            Self::Pooled(wrapper) => wrapper,
        }
    }
}

/// Makes connections as the settings say.
pub(crate) struct Connector {
    pub(crate) server: Server,
    pub(crate) settings: Settings,
    texts: Box<[String]>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("server", &self.server.name()).finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(server: Server, settings: Settings) -> Self {
        let texts = sql::texts(&settings);
        Self { server, settings, texts }
    }

    /// The text of a statement.
    pub(crate) fn text(&self, sql: Sql) -> &str {
        &self.texts[sql as usize]
    }

    /// A connection on which the table was found, ready for its role; and what tells its end, where something does.
    pub(crate) async fn open(&self, role: Role) -> Result<(Conn, Option<oneshot::Receiver<()>>)> {
        let (link, ended) = self.link().await?;
        if schema::look(&link, &self.settings).await? == Found::Nothing {
            if !self.settings.create_table {
                return Err(schema::missing(&self.settings));
            }
            schema::create(&link, &self.settings, self.settings.connect_timeout).await?;
            schema::look(&link, &self.settings).await?;
        }
        let mut statements = None;
        if !self.settings.pgbouncer {
            self.prepare_session(&link, role).await?;
            if role == Role::Point {
                let prepare = Sql::ALL.map(|sql| link.prepare_typed(self.text(sql), sql.types()));
                let prepared =
                    futures_util::future::try_join_all(prepare).await.map_err(|cause| self.refused(cause))?;
                statements = Some(prepared.into_boxed_slice());
            }
        }
        Ok((Conn::new(link, statements, self.settings.pgbouncer), ended))
    }

    /// Makes the table on a connection of its own.
    pub(crate) async fn migrate(&self) -> Result<()> {
        let (link, _ended) = self.link().await?;
        if schema::look(&link, &self.settings).await? == Found::Nothing {
            schema::create(&link, &self.settings, self.settings.walk_timeout).await?;
            if schema::look(&link, &self.settings).await? == Found::Nothing {
                return Err(schema::missing(&self.settings));
            }
        }
        Ok(())
    }

    async fn prepare_session(&self, link: &Link, role: Role) -> Result<()> {
        let (limit, more) = match role {
            // A plan made while the table was small would read all of it once it is not.
            Role::Point => (self.settings.operation_timeout, "SET enable_seqscan = off;"),
            Role::Walk => (self.settings.walk_timeout, ""),
        };
        let millis = limit.as_millis();
        let text = format!(
            "SET statement_timeout = {millis}; SET default_transaction_isolation = 'read committed'; \
             SET jit = off; {more}"
        );
        link.batch_execute(&text).await.map_err(|cause| self.refused(cause))
    }

    fn refused(&self, cause: tokio_postgres::Error) -> Error {
        if cause.as_db_error().is_some() {
            return error::of_statement(cause, Effect::None);
        }
        error::of_connecting(cause, self.server.name())
    }

    async fn link(&self) -> Result<(Link, Option<oneshot::Receiver<()>>)> {
        match &self.server {
            Server::Pool(pool) => {
                let object = pool.get().await.map_err(of_pool)?;
                let link = Link::Pooled(Object::take(object));
                // Most pools hand on a transaction that was left open: nothing in it would ever be committed.
                link.batch_execute("ROLLBACK").await.map_err(|cause| self.refused(cause))?;
                Ok((link, None))
            }
            Server::Own { hosts, tls, .. } => match &hosts[..] {
                [only] => self.connect(only, tls).await,
                several => self.first_of(several, tls).await,
            },
        }
    }

    /// The first of several hosts that takes writes. One that does not answer leaves the next ones their share of the time.
    async fn first_of(&self, hosts: &[Config], tls: &Tls) -> Result<(Link, Option<oneshot::Receiver<()>>)> {
        let clock = SystemClock::new();
        let share = share(self.settings.connect_timeout, hosts.len());
        let mut trouble = None;
        for host in hosts {
            match select(pin!(self.connect(host, tls)), clock.sleep(share)).await {
                Either::Left((Ok(made), _)) => return Ok(made),
                Either::Left((Err(error), _)) => trouble = Some(error),
                Either::Right(_) => {}
            }
        }
        let server = self.server.name();
        let silent =
            || Error::new(ErrorKind::Unavailable, format!("no connection to {server} within {share:?} each"));
        Err(trouble.unwrap_or_else(silent))
    }

    async fn connect(&self, host: &Config, tls: &Tls) -> Result<(Link, Option<oneshot::Receiver<()>>)> {
        let refused = |cause| error::of_connecting(cause, self.server.name());
        match tls {
            Tls::None => {
                let (client, connection) = host.connect(NoTls).await.map_err(refused)?;
                drive(client, Box::pin(connection))
            }
            #[cfg(feature = "tls")]
            Tls::Rustls(tls) => {
                let (client, connection) = host.connect((**tls).clone()).await.map_err(refused)?;
                drive(client, Box::pin(connection))
            }
        }
    }
}

/// What one of so many hosts has of the time of an attempt; of several, one share is left for what comes behind connecting.
fn share(limit: Duration, hosts: usize) -> Duration {
    match u32::try_from(hosts) {
        Ok(0 | 1) => limit,
        Ok(several) => limit / several.saturating_add(1),
        Err(_) => limit / u32::MAX,
    }
}

fn of_pool(cause: PoolError) -> Error {
    match cause {
        PoolError::Backend(cause) => error::of_connecting(cause, "the pool's server"),
        PoolError::Closed => Error::new(ErrorKind::Unavailable, "the pool is closed"),
        other => Error::new(ErrorKind::Unavailable, "the pool gave no connection").with_source(other),
    }
}

/// Drives a connection in a task of its own, until it ends or its client is gone.
fn drive(
    client: Client,
    connection: BoxFuture<'static, Result<(), tokio_postgres::Error>>,
) -> Result<(Link, Option<oneshot::Receiver<()>>)> {
    let (end, wanted) = oneshot::channel::<()>();
    let (tell, ended) = oneshot::channel();
    TokioSpawn.spawn(Box::pin(async move {
        // A client that is dropped says goodbye through the connection. A server that does not listen is left.
        if let Either::Right((_, connection)) = select(connection, wanted).await {
            let _ = select(connection, SystemClock::new().sleep(GOODBYE)).await;
        }
        // Whoever waited for it may be gone.
        let _ = tell.send(());
    }))?;
    Ok((Link::Own { client, _end: end }, Some(ended)))
}
