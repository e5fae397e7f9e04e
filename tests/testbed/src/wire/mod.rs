//! The little that tests need of the servers' protocols, on plain sockets: nothing here is a client to copy from.

pub(crate) mod postgres;
pub(crate) mod redis;

use std::fmt::Debug;
use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a server listens.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

pub(crate) trait Stream: Read + Write + Debug + Send {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

impl Endpoint {
    /// A connection on which no read and no write takes longer than `within`.
    pub(crate) fn connect(&self, within: Duration) -> Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, within)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(within))?;
                stream.set_write_timeout(Some(within))?;
                Ok(Box::new(stream))
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(within))?;
                stream.set_write_timeout(Some(within))?;
                Ok(Box::new(stream))
            }
        }
    }
}
