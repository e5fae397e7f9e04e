//! What the builder's settings come to.

use std::{path::PathBuf, time::Duration};

use fred::types::config::UnresponsiveConfig;

use crate::config::ReadFrom;

/// What a store goes by.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) prefix: String,
    pub(crate) operation_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) scan_timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) max_value_bytes: usize,
    pub(crate) read_from: ReadFrom,
    pub(crate) wait_replicas: u8,
    pub(crate) distrusts: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            operation_timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(1),
            scan_timeout: Duration::from_secs(30),
            connections: 1,
            max_in_flight: 10_000,
            max_value_bytes: 64 << 20,
            read_from: ReadFrom::Primary,
            wait_replicas: 0,
            distrusts: false,
        }
    }
}

impl Settings {
    /// When a connection that answers nothing is given up.
    pub(crate) fn patience(&self) -> Duration {
        (self.operation_timeout * 2).max(Duration::from_secs(1))
    }

    /// The same for a connection that nothing more is sent over.
    pub(crate) fn unresponsive(&self) -> UnresponsiveConfig {
        UnresponsiveConfig { max_timeout: Some(self.patience()), interval: self.patience() / 5 }
    }
}

/// Files for TLS.
#[derive(Clone, Default)]
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nobody reads them without TLS"))]
pub(crate) struct TlsFiles {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}
