//! Making a connection that can be used: socket, TLS, authentication, and the server's limit.

use std::io;

use larder_core::{Error, Result};
use memcache_async::ascii::Protocol;
use tokio::net::{TcpStream, UnixStream};

use crate::{
    address::{Credentials, Server},
    commands, error,
    replies::{Expected, Reply},
    wire::{Line, Socket, Wire},
};

#[cfg(feature = "tls")]
pub(crate) type Tls = crate::tls::Tls;
/// Without the feature there is none.
#[cfg(not(feature = "tls"))]
#[derive(Clone)]
pub(crate) enum Tls {}

/// How to connect to one server.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) server: Server,
    pub(crate) name: String,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) tls: Option<Tls>,
}

/// A connection that the server has answered on.
pub(crate) struct Connection {
    pub(crate) line: Line,
    /// Of the same line.
    pub(crate) protocol: Protocol<Line>,
    /// The largest item the server takes, where it says so.
    pub(crate) item_limit: Option<usize>,
}

impl Target {
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let unreachable = |cause| error::unreachable(&self.name, cause);
        let socket = self.socket().await.map_err(unreachable)?;
        let line = Line::new(Wire::new(socket, self.tls.is_some()));
        if let Some(Credentials { user, password }) = &self.credentials {
            // The server takes it as a `set` of any key, and answers even to `noreply`. One that asks nobody for a password
            // really sets it: under a key of ours, and for no time, or everyone could read the password there.
            let length = user.len() + 1 + password.len();
            let command = format!("set larder-auth 0 {} {length}\r\n{user} {password}\r\n", commands::GONE);
            match self.ask(&line, Expected::Line, &command).await? {
                Reply::Stored => {}
                other => return Err(self.unwelcome(&other)),
            }
        }
        // Also finds out whether somebody is there: a stopped process still has its socket accepted.
        match self.ask(&line, Expected::Settings, "stats settings\r\n").await? {
            Reply::Settings(item_limit) => {
                Ok(Connection { protocol: Protocol::new(line.clone()), line, item_limit })
            }
            other => Err(self.unwelcome(&other)),
        }
    }

    async fn socket(&self) -> io::Result<Box<dyn Socket>> {
        let stream = match &self.server {
            Server::Tcp { host, port, .. } => TcpStream::connect((host.as_str(), *port)).await?,
            Server::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        };
        stream.set_nodelay(true)?;
        match (&self.tls, &self.server) {
            #[cfg(feature = "tls")]
            (Some(tls), Server::Tcp { host, .. }) => Ok(Box::new(tls.connect(host, stream).await?)),
            _ => Ok(Box::new(stream)),
        }
    }

    async fn ask(&self, line: &Line, expected: Expected, command: &str) -> Result<Reply> {
        line.wire().begin();
        line.wire().command(expected).extend_from_slice(command.as_bytes());
        line.answers().await.map_err(|cause| error::unreachable(&self.name, cause))?;
        let mut wire = line.wire();
        if wire.has_more() {
            // It would be taken for the answer to the next question.
            return Err(error::unwelcome(&self.name, "it said more than it was asked"));
        }
        Ok(wire.take_reply().expect("one answer was expected"))
    }

    fn unwelcome(&self, reply: &Reply) -> Error {
        match reply {
            Reply::Failed(said) => error::unwelcome(&self.name, said),
            _ => error::unwelcome(&self.name, "an answer that fits no question"),
        }
    }
}
