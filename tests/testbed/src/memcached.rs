//! memcached.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::certificates::Certificates;
use crate::ports::{Port, with_a_port};
use crate::probe::{self, Probe, Question};
use crate::process::Launch;
use crate::programs;
use crate::run::Run;
use crate::secret;
use crate::server::Server;
use crate::wire::Endpoint;

/// What a memcached is told beyond the defaults of a test: TCP on 127.0.0.1, no UDP.
#[derive(Clone, Debug, Default)]
pub struct MemcachedOptions {
    args: Vec<String>,
    unix: bool,
    certificates: Option<Certificates>,
}

impl MemcachedOptions {
    /// Nothing special.
    pub fn new() -> Self {
        Self::default()
    }

    /// A word of the command line.
    pub fn arg(mut self, word: &str) -> Self {
        self.args.push(word.to_owned());
        self
    }

    /// On a Unix socket, and on no port.
    pub fn unix(mut self) -> Self {
        self.unix = true;
        self
    }

    /// With TLS (`-Z`) and ASCII authentication (`-Y`) of the user `larder` by a random password.
    pub fn tls(mut self, certificates: &Certificates) -> Self {
        self.certificates = Some(certificates.clone());
        self
    }
}

/// A memcached of ours. It is a [`Server`]: `kill`, `start`, `pause` and the rest.
#[derive(Debug)]
pub struct Memcached {
    server: Server,
    url: String,
}

impl Memcached {
    /// On a port of 127.0.0.1.
    pub fn start(run: &Run) -> Result<Self> {
        Self::start_with(run, &MemcachedOptions::new())
    }

    /// As the options say.
    pub fn start_with(run: &Run, options: &MemcachedOptions) -> Result<Self> {
        if options.unix {
            return Self::launch(run, options, None);
        }
        with_a_port(|port| Self::launch(run, options, Some(port)))
    }

    fn launch(run: &Run, options: &MemcachedOptions, port: Option<Port>) -> Result<Self> {
        let program = programs::MEMCACHED.find()?;
        let name = format!("memcached-{}", secret::random_word()?);
        let directory = run.directory(&name)?;
        let mut args: Vec<String> = Vec::new();
        let (endpoint, question, url) = match (&port, &options.certificates) {
            (None, _) => {
                let socket = directory.join("socket");
                args.extend(["-s".into(), socket.display().to_string(), "-a".into(), "777".into()]);
                let url = format!("memcached+unix://{}", socket.display());
                (Endpoint::Unix(socket), Question::Memcached, url)
            }
            (Some(port), certificates) => {
                args.extend(["-l", "127.0.0.1", "-U", "0", "-p"].map(str::to_owned));
                args.push(port.number().to_string());
                let endpoint = Endpoint::Tcp(port.address());
                if let Some(certificates) = certificates {
                    let password = secret::password()?;
                    let users = directory.join("users");
                    run.secret_file(&users, &format!("larder:{password}\n"))?;
                    let [chain, key] = [certificates.certificate(), certificates.key()].map(Path::display);
                    args.extend(["-Y".into(), users.display().to_string(), "-Z".into(), "-o".into()]);
                    args.push(format!("ssl_chain_cert={chain},ssl_key={key}"));
                    let ca = certificates.ca().display();
                    let url = format!("memcacheds://larder:{password}@localhost:{}?ca={ca}", port.number());
                    (endpoint, Question::Tls, url)
                } else {
                    (endpoint, Question::Memcached, format!("memcached://{}", port.address()))
                }
            }
        };
        args.extend(options.args.iter().cloned());
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

    /// Sends text on a connection of its own, and reads until what came ends with `until`, each within two seconds.
    /// Not for a server with TLS.
    pub fn command(&self, text: &str, until: &str) -> Result<String> {
        let answer = probe::memcached(self.server.probe().endpoint(), text, until, Duration::from_secs(2));
        answer.with_context(|| format!("a command to {}", self.name()))
    }
}

impl Deref for Memcached {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// The address of several as one ring.
pub fn memcached_url(servers: &[&Memcached]) -> String {
    let addresses: Vec<String> = servers.iter().map(|server| server.address().to_string()).collect();
    format!("memcached://{}", addresses.join(","))
}
