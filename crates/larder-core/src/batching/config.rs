//! Settings of batching.

use crate::{Error, ErrorKind, Result};

/// When single reads become batches.
///
/// A store that crosses a network is read in batches while many reads are under way: what waits is sent as one
/// [`get_many`](crate::CacheStore::get_many), with no delay added and each caller's answer the same as that of
/// [`get`](crate::CacheStore::get). It gains where the store's `get_many` costs about one round trip; with the provided one,
/// which asks for one key after the other, switch it off.
///
/// ```
/// use larder_core::Batching;
///
/// let eager = Batching::new().threshold(16).max_keys(128);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "settings do nothing until they are given to a store handle"]
pub struct Batching {
    pub(super) threshold: usize,
    pub(super) max_keys: usize,
    pub(super) batches: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self::new()
    }
}

impl Batching {
    /// The defaults: from 32 reads under way, up to 256 keys in a batch, four batches at a time.
    ///
    /// ```
    /// assert_eq!(larder_core::Batching::new(), larder_core::Batching::default());
    /// ```
    pub const fn new() -> Self {
        Self { threshold: 32, max_keys: 256, batches: 4 }
    }

    /// How many reads must be under way, for each server, before further ones are batched; 0 batches every read.
    /// Default: 32.
    ///
    /// ```
    /// let batching = larder_core::Batching::new().threshold(64);
    /// ```
    pub const fn threshold(mut self, reads: usize) -> Self {
        self.threshold = reads;
        self
    }

    /// The most keys in one batch, at least 1. Default: 256.
    ///
    /// ```
    /// let batching = larder_core::Batching::new().max_keys(100);
    /// ```
    pub const fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// How many batches may be on their way at a time, for each server, at least 1. Fewer make larger batches; more let a
    /// read wait less where the way is long. Default: 4.
    ///
    /// ```
    /// let batching = larder_core::Batching::new().batches(1);
    /// ```
    pub const fn batches(mut self, batches: usize) -> Self {
        self.batches = batches;
        self
    }

    /// The settings, if each is within its range.
    pub(crate) fn checked(self) -> Result<Self> {
        for (name, given) in [("max_keys", self.max_keys), ("batches", self.batches)] {
            if given == 0 {
                let message = format!("`batching.{name}` is 0: it must be at least 1");
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        Ok(self)
    }
}
