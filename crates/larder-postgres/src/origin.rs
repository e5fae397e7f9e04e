//! Where connections come from, and how they are let in.

use std::{path::PathBuf, time::Duration};

use deadpool_postgres::Pool;
use larder_core::{Error, ErrorKind, Result};

use crate::{SslMode, address::Address, session::Server};

/// A place, and what was said of connections to it.
#[derive(Clone)]
pub(crate) struct Origin {
    place: Place,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) sslmode: SslMode,
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Clone)]
enum Place {
    Address(String),
    Pool(Pool),
}

impl Origin {
    pub(crate) fn of_address(address: &str) -> Self {
        Self::new(Place::Address(address.to_owned()))
    }

    pub(crate) fn of_pool(pool: Pool) -> Self {
        Self::new(Place::Pool(pool))
    }

    fn new(place: Place) -> Self {
        Self { place, user: None, password: None, sslmode: SslMode::Disable, ca: None }
    }

    /// Who makes the connections, each within this time.
    pub(crate) fn server(&self, connect_timeout: Duration) -> Result<Server> {
        match &self.place {
            Place::Address(text) => {
                let mut address: Address = text.parse()?;
                address.user = self.user.clone().or(address.user);
                address.password = self.password.clone().or(address.password);
                Server::at(&address, self.sslmode, self.ca.as_deref(), connect_timeout)
            }
            Place::Pool(pool) => match self.given() {
                Some(name) => Err(Error::new(
                    ErrorKind::Config,
                    format!(
                        "`{name}` is given beside a pool: set it in the pool, which makes the connections"
                    ),
                )),
                None => Ok(Server::Pool(pool.clone())),
            },
        }
    }

    /// A setting of connections that was given.
    fn given(&self) -> Option<&'static str> {
        let given = [
            ("user", self.user.is_some()),
            ("password", self.password.is_some()),
            ("sslmode", self.sslmode != SslMode::Disable),
            ("ca", self.ca.is_some()),
        ];
        given.into_iter().find_map(|(name, given)| given.then_some(name))
    }
}
