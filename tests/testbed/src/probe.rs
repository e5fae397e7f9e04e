//! Asking a server whether it answers: one round trip of its protocol, with a bound.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::wire::{self, Endpoint};

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(1);

/// Where to ask, and what.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Probe {
    endpoint: Endpoint,
    question: Question,
}

/// What a server is asked.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Question {
    /// `PING`.
    Redis,
    /// `version`.
    Memcached,
    /// A session in database `larder`, and `SELECT 1`.
    Postgres,
    /// What is no TLS: whoever listens for TLS ends the connection.
    Tls,
}

impl Probe {
    pub(crate) fn new(endpoint: Endpoint, question: Question) -> Self {
        Self { endpoint, question }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// An error when it does not answer, or says that it cannot serve yet.
    pub fn ask(&self) -> Result<()> {
        match self.question {
            Question::Redis => {
                let mut connection = wire::redis::Connection::new(self.endpoint.connect(WITHIN)?);
                connection.ask(&["PING"])?.ok()?;
            }
            Question::Memcached => {
                let version = memcached(&self.endpoint, "version\r\n", "\r\n", WITHIN)?;
                if !version.starts_with("VERSION ") {
                    bail!("memcached said {version:?}");
                }
            }
            Question::Postgres => {
                wire::postgres::Session::open(&self.endpoint, "larder", "larder", WITHIN)?
                    .query("SELECT 1")?;
            }
            Question::Tls => {
                let mut stream = self.endpoint.connect(WITHIN)?;
                stream.write_all(b"this is no TLS at all\r\n")?;
                // An alert, an end or a reset: only silence is none.
                match stream.read(&mut [0; 16]) {
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        return Err(error).context("no answer");
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Sends text to memcached, and reads until what came ends with `until`.
pub(crate) fn memcached(endpoint: &Endpoint, text: &str, until: &str, within: Duration) -> Result<String> {
    let mut stream = endpoint.connect(within)?;
    stream.write_all(text.as_bytes()).context("cannot send")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(until.as_bytes()) {
        let read = stream.read(&mut buffer).context("no answer")?;
        if read == 0 {
            bail!("memcached closed the connection after {:?}", String::from_utf8_lossy(&answer));
        }
        answer.extend_from_slice(&buffer[..read]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
