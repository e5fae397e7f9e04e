//! PostgreSQL, with TLS and without on one port.

use std::ops::Deref;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::certificates::Certificates;
use crate::ports::{Port, with_a_port};
use crate::probe::{Probe, Question};
use crate::process::Launch;
use crate::programs;
use crate::run::Run;
use crate::secret;
use crate::server::Server;
use crate::wire::postgres::Session;

/// Who may do everything. Tests are `larder`, who owns the database `larder` and may do no more.
const ADMINISTRATOR: &str = "administrator";

/// What a PostgreSQL is told beyond the defaults of a test.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    settings: Vec<(String, String)>,
}

impl PostgresOptions {
    /// Nothing special.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line of `postgresql.conf`.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `fsync = off`: a commit does not wait for the disk. What that gives up is lost with the machine, not with the
    /// process, so `kill` loses no more than it would; many tests share one such server on a slow disk.
    pub fn without_fsync(self) -> Self {
        self.set("fsync", "off")
    }
}

/// A PostgreSQL of ours. It is a [`Server`]: `kill`, `start`, `pause` and the rest, all its backends included.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    certificates: Certificates,
}

impl Postgres {
    /// On a port of 127.0.0.1, with a data directory of its own.
    pub fn start(run: &Run) -> Result<Self> {
        Self::start_with(run, &PostgresOptions::new())
    }

    /// As the options say.
    pub fn start_with(run: &Run, options: &PostgresOptions) -> Result<Self> {
        let certificates = Certificates::make(run)?;
        let (initdb, program) = (programs::INITDB.find()?, programs::POSTGRES.find()?);
        let name = format!("postgres-{}", secret::random_word()?);
        let directory = run.directory(&name)?;
        let data = directory.join("data");
        let log = directory.join("log");
        let args = [
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
            "--username",
            ADMINISTRATOR,
            "-D",
        ];
        let mut args = args.map(str::to_owned).to_vec();
        args.push(data.display().to_string());
        let account = run.account();
        // SIGTERM would wait for every client to go away.
        let (end_signal, last_signal) = (Signal::INT, Signal::KILL);
        let make = Launch { program: initdb, args, directory, log, account, end_signal, last_signal };
        make.run(Duration::from_mins(1))?;

        let server = with_a_port(|port| {
            let args = arguments(&make, &port, &certificates, options);
            // Asked to end at once, it removes its shared memory, which would stay behind after SIGKILL.
            let launch = Launch { program: program.clone(), args, last_signal: Signal::QUIT, ..make.clone() };
            let endpoint = crate::wire::Endpoint::Tcp(port.address());
            let probe = Probe::new(endpoint, Question::Postgres);
            let create = || create_database(&probe);
            Server::launch_prepared(run, &name, Some(port), launch, probe.clone(), create)
        })?;
        Ok(Self { server, certificates })
    }

    /// Its address for an application.
    pub fn url(&self) -> String {
        format!("postgres://larder@{}/larder", self.address())
    }

    /// The same server by TLS.
    pub fn tls_url(&self) -> String {
        let ca = self.certificates.ca().display();
        format!("postgres://larder@localhost:{}/larder?sslmode=require&ca={ca}", self.port())
    }

    /// Runs statements as the administrator, in the database `larder`, and returns the text of all rows.
    pub fn sql(&self, statements: &str) -> Result<Vec<Vec<Option<String>>>> {
        let endpoint = self.server.probe().endpoint();
        let mut session = Session::open(endpoint, ADMINISTRATOR, "larder", Duration::from_secs(10))?;
        session.query(statements).with_context(|| format!("on {}", self.name()))
    }

    /// Ends the backend of every client of the user `larder`; how many there were.
    pub fn terminate_backends(&self) -> Result<usize> {
        let backends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'larder'";
        Ok(self.sql(backends)?.len())
    }
}

impl Deref for Postgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn arguments(
    make: &Launch,
    port: &Port,
    certificates: &Certificates,
    options: &PostgresOptions,
) -> Vec<String> {
    let mut args = vec!["-D".to_owned(), make.directory.join("data").display().to_string()];
    let mut put = |name: &str, value: &str| args.extend(["-c".to_owned(), format!("{name}={value}")]);
    put("listen_addresses", "127.0.0.1");
    put("port", &port.number().to_string());
    put("unix_socket_directories", "");
    put("max_connections", "200");
    put("ssl", "on");
    put("ssl_cert_file", &certificates.certificate().display().to_string());
    put("ssl_key_file", &certificates.key().display().to_string());
    // Files in the data directory, not in /dev/shm, which would keep them after SIGKILL.
    put("dynamic_shared_memory_type", "mmap");
    for (name, value) in &options.settings {
        put(name, value);
    }
    args
}

/// Waits for the server by doing what makes the probe succeed.
fn create_database(probe: &Probe) -> Result<()> {
    let within = Duration::from_secs(10);
    let mut session = Session::open(probe.endpoint(), ADMINISTRATOR, "postgres", within)?;
    if session.query("SELECT 1 FROM pg_roles WHERE rolname = 'larder'")?.is_empty() {
        session.query("CREATE ROLE larder LOGIN")?;
    }
    if session.query("SELECT 1 FROM pg_database WHERE datname = 'larder'")?.is_empty() {
        session.query("CREATE DATABASE larder OWNER larder")?;
    }
    Ok(())
}
