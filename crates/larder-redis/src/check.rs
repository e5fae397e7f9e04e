//! Whether settings are in range and go together.

use std::{fmt, time::Duration};

use fred::{clients::Pool, interfaces::ClientLike as _, types::config::ServerConfig};
use larder_core::{Error, ErrorKind, Result};

use crate::{
    address::{self, Address, Host, Topology},
    config::{ReadFrom, RedisStoreBuilder},
    settings::{Settings, TlsFiles},
    wire,
};

fn wrong(setting: &str, what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("`{setting}`: {what}"))
}

impl RedisStoreBuilder {
    pub(crate) fn check_ranges(&self) -> Result<()> {
        let Settings { prefix, .. } = &self.settings;
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-.~:/".contains(&byte);
        if prefix.len() > 50 || !prefix.bytes().all(is_safe) {
            return Err(wrong("prefix", "at most 50 bytes of `A-Z a-z 0-9 - . ~ : /`"));
        }
        // So no prefix and the beginning of a key make another prefix and the beginning of a key.
        if prefix.contains("1/") {
            return Err(wrong("prefix", "it holds `1/`, which is what every key begins with"));
        }
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        for (name, given, most) in [
            ("operation_timeout", self.settings.operation_timeout, minute),
            ("connect_timeout", self.settings.connect_timeout, minute),
            ("scan_timeout", self.settings.scan_timeout, hour),
        ] {
            if given < Duration::from_millis(1) || given > most {
                return Err(wrong(name, format!("{given:?} is not between 1ms and {most:?}")));
            }
        }
        for (name, given, most) in [
            ("connections", self.settings.connections, 64),
            ("max_in_flight", self.settings.max_in_flight, 1_000_000),
            ("max_value_bytes", self.settings.max_value_bytes, (512 << 20) - 64),
        ] {
            if given == 0 || given > most {
                return Err(wrong(name, format!("{given} is not between 1 and {most}")));
            }
        }
        const { assert!(wire::OVERHEAD <= 64, "the largest value and its head are what Redis takes") };
        if self.settings.wait_replicas > 16 {
            return Err(wrong(
                "wait_replicas",
                format!("{} is not between 0 and 16", self.settings.wait_replicas),
            ));
        }
        if let Some(number) = self.database.filter(|number| *number > 255) {
            return Err(wrong("database", format!("{number} is not between 0 and 255")));
        }
        Ok(())
    }

    pub(crate) fn address(&self, text: &str) -> Result<Address> {
        let mut address = address::parse(text)?;
        address.username = self.username.clone().or(address.username);
        address.password = self.password.clone().or(address.password);
        if let Some(number) = self.database {
            address.database = u8::try_from(number).ok();
        }
        if address.username.is_some() && address.password.is_none() {
            return Err(wrong("username", "it needs a `password`"));
        }
        if self.sentinel_username.is_some() && self.sentinel_password.is_none() {
            return Err(wrong("sentinel_username", "it needs a `sentinel_password`"));
        }
        if self.sentinel_password.is_some() && !matches!(address.topology, Topology::Sentinel { .. }) {
            return Err(wrong("sentinel_password", "only a `redis+sentinel` address has sentinels"));
        }
        if address.topology.is_cluster() && address.database.is_some_and(|number| number != 0) {
            return Err(wrong("database", "a cluster has only database 0"));
        }
        Ok(address)
    }

    pub(crate) fn check_topology(&self, topology: &Topology) -> Result<()> {
        if self.settings.distrusts && topology.is_cluster() {
            return Err(wrong(
                "on_rollback",
                "`distrust` is not possible with a cluster: its answers do not tell which server gave them, so \
                 that what a restored one serves cannot be told from the rest",
            ));
        }
        if self.settings.distrusts && self.settings.read_from == ReadFrom::Replica {
            return Err(wrong(
                "on_rollback",
                "`distrust` is not possible with `read_from = replica`: what a replica serves may be of any run",
            ));
        }
        Ok(())
    }

    pub(crate) fn tls_files(&self, address: &Address) -> Result<TlsFiles> {
        let given = [("ca", &self.ca), ("client_cert", &self.client_cert), ("client_key", &self.client_key)];
        if let (false, Some((name, _))) = (address.tls, given.iter().find(|(_, file)| file.is_some())) {
            return Err(wrong(name, "only a `rediss` address speaks TLS"));
        }
        let client = match (&self.client_cert, &self.client_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (Some(_), None) => return Err(wrong("client_cert", "it needs a `client_key`")),
            (None, Some(_)) => return Err(wrong("client_key", "it needs a `client_cert`")),
        };
        Ok(TlsFiles { ca: self.ca.clone(), client })
    }

    /// What an application's own pool is made for, if a store can work with it.
    pub(crate) fn adopted(&self, pool: &Pool) -> Result<Topology> {
        let own = [
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("sentinel_username", self.sentinel_username.is_some()),
            ("sentinel_password", self.sentinel_password.is_some()),
            ("database", self.database.is_some()),
            ("ca", self.ca.is_some()),
            ("client_cert", self.client_cert.is_some()),
            ("client_key", self.client_key.is_some()),
            ("connections", self.connections.is_some()),
            ("connect_timeout", self.connect_timeout.is_some()),
        ];
        if let Some((name, _)) = own.iter().find(|(_, given)| *given) {
            return Err(wrong(name, "the client has its own: set it there"));
        }
        if !pool.has_reconnect_policy() {
            return Err(wrong(
                "from_client",
                "the client has no reconnect policy: after its first lost connection every call would hang",
            ));
        }
        if pool.connection_config().max_command_buffer_len > 0 {
            return Err(wrong(
                "from_client",
                "the client has a `max_command_buffer_len`: once it is reached, the client hangs; use `max_in_flight`",
            ));
        }
        if self.settings.read_from == ReadFrom::Replica && !pool.client_config().server.is_clustered() {
            return Err(wrong(
                "read_from",
                "`replica` with an application's own client is for clusters: elsewhere, fred reads from the primary",
            ));
        }
        if !pool.client_config().server.is_clustered()
            && !pool.perf_config().default_command_timeout.is_zero()
            && pool.connection_config().replica.ignore_reconnection_errors
        {
            return Err(wrong(
                "from_client",
                "the client has a `default_command_timeout`, and `ignore_reconnection_errors` for replicas: on a connection that \
                 is slow at first, it would mix up answers; set that to false",
            ));
        }
        if pool.client_config().server.is_clustered() && pool.connection_config().max_redirections > 0 {
            return Err(wrong(
                "from_client",
                "the client has `max_redirections`: while a slot moves, it would mix up answers; set it to 0",
            ));
        }
        let host =
            |server: &fred::types::config::Server| Host { name: server.host.to_string(), port: server.port };
        Ok(match pool.client_config().server {
            ServerConfig::Centralized { server } => Topology::Alone(host(&server)),
            ServerConfig::Unix { path } => Topology::Unix(path),
            ServerConfig::Sentinel { hosts, service_name, .. } => {
                Topology::Sentinel { sentinels: hosts.iter().map(host).collect(), service: service_name }
            }
            ServerConfig::Clustered { hosts, .. } => Topology::Cluster(hosts.iter().map(host).collect()),
        })
    }
}
