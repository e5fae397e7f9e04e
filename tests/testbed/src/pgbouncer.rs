//! PgBouncer in transaction mode, in front of a PostgreSQL.

use std::ops::Deref;

use anyhow::Result;
use rustix::process::Signal;

use crate::ports::{Port, with_a_port};
use crate::postgres::Postgres;
use crate::probe::{Probe, Question};
use crate::process::Launch;
use crate::programs;
use crate::run::Run;
use crate::secret;
use crate::server::Server;
use crate::wire::Endpoint;

/// A PgBouncer of ours. It is a [`Server`]: `kill`, `start`, `pause` and the rest.
#[derive(Debug)]
pub struct PgBouncer {
    server: Server,
}

impl PgBouncer {
    /// On a port of 127.0.0.1, for the database and the user `larder` of that server.
    pub fn start(run: &Run, postgres: &Postgres) -> Result<Self> {
        with_a_port(|port| Self::launch(run, postgres, port))
    }

    fn launch(run: &Run, postgres: &Postgres, port: Port) -> Result<Self> {
        let program = programs::PGBOUNCER.find()?;
        let name = format!("pgbouncer-{}", secret::random_word()?);
        let directory = run.directory(&name)?;
        let users = directory.join("users");
        run.secret_file(&users, "\"larder\" \"\"\n")?;
        let configuration = directory.join("pgbouncer.ini");
        run.secret_file(&configuration, &settings(postgres, &port, &users.display().to_string()))?;
        let log = directory.join("log");
        let args = vec![configuration.display().to_string()];
        let account = run.account();
        let (end_signal, last_signal) = (Signal::TERM, Signal::KILL);
        let launch = Launch { program, args, directory, log, account, end_signal, last_signal };
        let probe = Probe::new(Endpoint::Tcp(port.address()), Question::Postgres);
        Ok(Self { server: Server::launch(run, &name, Some(port), launch, probe)? })
    }

    /// Its address for an application.
    pub fn url(&self) -> String {
        format!("postgres://larder@{}/larder?pgbouncer=true", self.address())
    }
}

impl Deref for PgBouncer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Two defaults are too slow for tests of faults: after a failed login to its server it refuses clients for 15 s.
fn settings(postgres: &Postgres, port: &Port, users: &str) -> String {
    format!(
        "[databases]\n\
         larder = host=127.0.0.1 port={} dbname=larder\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {}\n\
         unix_socket_dir =\n\
         auth_type = trust\n\
         auth_file = {users}\n\
         pool_mode = transaction\n\
         max_client_conn = 1000\n\
         default_pool_size = 20\n\
         server_login_retry = 0.2\n\
         server_connect_timeout = 2\n",
        postgres.port(),
        port.number(),
    )
}
