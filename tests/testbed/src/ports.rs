//! Free loopback ports. No port is free for sure until a server has it, so starting a server is an attempt, and is
//! repeated with another port.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;

use anyhow::{Context, Result, bail};

/// Below what systems hand out to outgoing connections (from 32768 on Linux): else a connection of somebody's could take
/// the port of a server that is down for a moment. A cluster bus listens 10 000 above.
const FIRST: u16 = 10_240;
const COUNT: u16 = 12_000;
pub(crate) const BUS_OFFSET: u16 = 10_000;
const ATTEMPTS: u32 = 8;

/// A port that no other run takes while this lives, even when nothing listens there.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// A name of the kernel's that ends with the process: other runs see that the port is taken.
    _reserved: UnixListener,
}

impl Port {
    /// A port with nothing on it, nor on the one a cluster bus would use.
    pub fn reserve() -> Result<Self> {
        for _ in 0..200 {
            let number = FIRST + u16::try_from(random()? % u64::from(COUNT)).expect("the count is a u16");
            let name = std::os::unix::net::SocketAddr::from_abstract_name(format!("larder-testbed-{number}"));
            let Ok(reserved) = UnixListener::bind_addr(&name.context("no abstract socket names")?) else {
                continue;
            };
            if is_free(number) && is_free(number + BUS_OFFSET) {
                return Ok(Self { number, _reserved: reserved });
            }
        }
        bail!("found no free port on 127.0.0.1 in 200 attempts")
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// On 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn random() -> Result<u64> {
    getrandom::u64().context("the system gives no random bytes")
}

/// Starts something that listens on a port; again with another one when somebody was faster.
pub(crate) fn with_a_port<T>(mut start: impl FnMut(Port) -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match start(Port::reserve()?) {
            Err(error) if attempt < ATTEMPTS && was_taken(&error) => attempt += 1,
            result => return result,
        }
    }
}

/// Every server says it in its log, in the system's words.
fn was_taken(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("Address already in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_given_to_nobody_else() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
    }

    #[test]
    fn another_port_is_tried_only_when_the_first_was_taken() {
        let mut tried = Vec::new();
        let port = with_a_port(|port| {
            tried.push(port.number());
            if tried.len() < 3 {
                bail!("bind: Address already in use")
            }
            Ok(port.number())
        });
        assert_eq!((port.unwrap(), tried.len()), (tried[2], 3));
        let mut calls = 0;
        let result: Result<()> = with_a_port(|_| {
            calls += 1;
            bail!("no such option")
        });
        assert_eq!((result.unwrap_err().to_string().as_str(), calls), ("no such option", 1));
    }
}
