//! One `redis-server`.

use std::fmt::Write as _;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::RedisOptions;
use crate::ports::{BUS_OFFSET, Port, with_a_port};
use crate::probe::{Probe, Question};
use crate::process::Launch;
use crate::programs;
use crate::run::Run;
use crate::secret;
use crate::server::Server;
use crate::wire::Endpoint;
use crate::wire::redis::{Connection, Reply};

/// A Redis of ours. It is a [`Server`]: `kill`, `start`, `pause` and the rest.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    url: String,
}

impl Redis {
    /// On a port of 127.0.0.1, keeping nothing on disk.
    pub fn start(run: &Run) -> Result<Self> {
        Self::start_with(run, &RedisOptions::new())
    }

    /// As the options say.
    pub fn start_with(run: &Run, options: &RedisOptions) -> Result<Self> {
        if options.unix {
            return Self::launch(run, options, None);
        }
        with_a_port(|port| Self::launch(run, options, Some(port)))
    }

    fn launch(run: &Run, options: &RedisOptions, port: Option<Port>) -> Result<Self> {
        let program = programs::REDIS.find()?;
        let kind = options.name.as_deref().unwrap_or("redis");
        let name = format!("{kind}-{}", secret::random_word()?);
        let directory = run.directory(&name)?;
        let password = secret::password()?;
        let socket = directory.join("socket");
        let number = port.as_ref().map_or(0, Port::number);

        let mut lines = String::new();
        let mut put = |directive: &str, value: &str| {
            writeln!(lines, "{directive} {value}").expect("writing to a string cannot fail");
        };
        put("bind", "127.0.0.1");
        put("dir", &directory.display().to_string());
        if !options.is_sentinel {
            put("save", "\"\"");
            put("cluster-port", &number.checked_add(BUS_OFFSET).unwrap_or_default().to_string());
        }
        let (endpoint, question, url) = match (&port, &options.certificates) {
            (None, _) => {
                put("port", "0");
                put("unixsocket", &socket.display().to_string());
                put("unixsocketperm", "777");
                let url = format!("unix://{}", socket.display());
                (Endpoint::Unix(socket), Question::Redis, url)
            }
            (Some(port), None) => {
                put("port", &number.to_string());
                (Endpoint::Tcp(port.address()), Question::Redis, format!("redis://{}", port.address()))
            }
            (Some(port), Some(certificates)) => {
                put("port", "0");
                put("tls-port", &number.to_string());
                put("tls-cert-file", &certificates.certificate().display().to_string());
                put("tls-key-file", &certificates.key().display().to_string());
                put("tls-ca-cert-file", &certificates.ca().display().to_string());
                put("tls-auth-clients", "no");
                put("user", "default off");
                put("user", &format!("larder on >{password} ~* &* +@all"));
                let ca = certificates.ca().display();
                let url = format!("rediss://larder:{password}@localhost:{number}?ca={ca}");
                (Endpoint::Tcp(port.address()), Question::Tls, url)
            }
        };
        for (directive, value) in &options.directives {
            put(directive, value);
        }

        // A file, for it holds a password; and Redis writes there what Sentinel tells it to keep.
        let configuration = directory.join("redis.conf");
        run.secret_file(&configuration, &lines)?;
        let mut args = vec![configuration.display().to_string()];
        args.extend(options.is_sentinel.then(|| "--sentinel".to_owned()));
        let log = directory.join("log");
        let account = run.account();
        let (end_signal, last_signal) = (Signal::TERM, Signal::KILL);
        let launch = Launch { program, args, directory, log, account, end_signal, last_signal };
        let server = Server::launch(run, &name, port, launch, Probe::new(endpoint, question))?;
        Ok(Self { server, url })
    }

    /// Its address for an application, the password and the path of the CA included.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Where it listens, if on a Unix socket.
    pub fn socket(&self) -> Option<&Path> {
        match self.server.probe().endpoint() {
            Endpoint::Unix(path) => Some(path),
            Endpoint::Tcp(_) => None,
        }
    }

    /// One command, on a connection of its own, within two seconds. An error that Redis answers is a [`Reply`]. Not
    /// for a server with TLS.
    pub fn command(&self, words: &[&str]) -> Result<Reply> {
        let stream = self.server.probe().endpoint().connect(Duration::from_secs(2));
        let stream = stream.with_context(|| format!("cannot connect to {}", self.name()))?;
        Connection::new(stream).ask(words).with_context(|| format!("{} on {}", words[0], self.name()))
    }

    /// The same, an error of Redis being one.
    pub(super) fn must(&self, words: &[&str]) -> Result<Reply> {
        let reply = self.command(words)?.ok();
        reply.with_context(|| format!("{} on {}", words[..words.len().min(2)].join(" "), self.name()))
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
