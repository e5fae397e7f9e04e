//! How a store is set up.

use std::{path::PathBuf, sync::Arc, time::Duration};

use larder_core::{Clock, Error, ErrorKind, Result, SystemClock};

use crate::{FileSystemStore, layout::MAX_INLINE};

/// What survives a power loss, or a crash of the operating system. A crash of the process loses nothing either way.
///
/// ```
/// use larder_filesystem::Durability;
/// assert_eq!(Durability::default(), Durability::None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// What the operating system had written by then. Recent writes may be gone, recently deleted or replaced entries
    /// may be back; what is damaged is found by its checksum and is a miss.
    #[default]
    None,
    /// Every operation that returned `Ok`: values, index and directories are flushed to the disk before it returns.
    /// A write then costs what the disk takes for several flushes, milliseconds on most.
    Data,
}

/// Sets up a [`FileSystemStore`]: see [`FileSystemStore::builder`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("cache");
/// use larder_filesystem::FileSystemStore;
///
/// let store = FileSystemStore::builder(path).max_entries(50_000).max_bytes(4 << 30).open().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct FileSystemStoreBuilder {
    pub(crate) path: PathBuf,
    max_entries: u64,
    max_bytes: u64,
    pub(crate) durability: Durability,
    pub(crate) sweep_every: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

impl FileSystemStoreBuilder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            max_entries: Bounds::DEFAULT_ENTRIES,
            max_bytes: Bounds::DEFAULT_BYTES,
            durability: Durability::None,
            sweep_every: Duration::from_mins(5),
            operation_timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The most entries it keeps. Default: 100 000.
    ///
    /// ```
    /// let builder = larder_filesystem::FileSystemStore::builder("cache").max_entries(500);
    /// ```
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }

    /// The most disk space it uses, in bytes. Default: 1 GiB.
    ///
    /// An entry is charged what it takes on most file systems at most: its value and a line rounded up to blocks of
    /// 4 KiB, and two blocks for directories; above 256 KiB two files, with two directories each. A value that could not be kept even alone is refused with
    /// [`TooLarge`](ErrorKind::TooLarge), and what was there before stays.
    ///
    /// ```
    /// let builder = larder_filesystem::FileSystemStore::builder("cache").max_bytes(64 << 20);
    /// ```
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// What survives a power loss. Default: [`Durability::None`].
    ///
    /// ```
    /// use larder_filesystem::{Durability, FileSystemStore};
    /// let builder = FileSystemStore::builder("cache").durability(Durability::Data);
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long the background task rests between two sweeps. A sweep reads the whole index, counts what other processes
    /// wrote, and removes what has expired and what killed writers left. Default: five minutes.
    ///
    /// ```
    /// use std::time::Duration;
    /// let builder = larder_filesystem::FileSystemStore::builder("cache").sweep_every(Duration::from_secs(60));
    /// ```
    pub fn sweep_every(mut self, rest: Duration) -> Self {
        self.sweep_every = rest;
        self
    }

    /// How long one operation may take, in real time, waiting for locks and for the disk included; `clear`, `keys` and
    /// `len` have ten minutes. Default: five seconds.
    ///
    /// ```
    /// use std::time::Duration;
    /// let builder = larder_filesystem::FileSystemStore::builder("cache").operation_timeout(Duration::from_secs(1));
    /// ```
    pub fn operation_timeout(mut self, limit: Duration) -> Self {
        self.operation_timeout = limit;
        self
    }

    /// The clock that decides when entries end, and that the sweeps follow. Default: [`SystemClock`]. Processes that
    /// share a directory must agree on the time. A [`Cache`](larder_core::Cache) over the store uses the same clock.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use larder_core::ManualClock;
    ///
    /// let clock = ManualClock::default();
    /// let builder = larder_filesystem::FileSystemStore::builder("cache").clock(Arc::new(clock.clone()));
    /// ```
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the store; makes the directory if it is missing. Answers at once: what is there already is counted in the
    /// background.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if a bound is zero or too small for any entry, if the path is not a directory, if the
    /// directory is not empty and not a Larder store, or outside a Tokio runtime;
    /// [`Unavailable`](ErrorKind::Unavailable) if the file system refuses.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let dir = tempfile::tempdir().unwrap();
    /// use larder_core::ErrorKind;
    /// use larder_filesystem::FileSystemStore;
    ///
    /// std::fs::write(dir.path().join("thesis.txt"), "precious").unwrap();
    /// let error = FileSystemStore::builder(dir.path()).open().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// # }
    /// ```
    pub async fn open(self) -> Result<FileSystemStore> {
        let bounds = self.bounds()?;
        FileSystemStore::open(self, bounds).await
    }

    fn bounds(&self) -> Result<Bounds> {
        if self.max_entries == 0 {
            return Err(Error::new(
                ErrorKind::Config,
                "`max_entries` is 0: a store keeps at least one entry (use the null store to keep nothing)",
            ));
        }
        for (name, given) in
            [("sweep_every", self.sweep_every), ("operation_timeout", self.operation_timeout)]
        {
            if given.is_zero() {
                return Err(Error::new(ErrorKind::Config, format!("`{name}` is 0: it must be longer")));
            }
        }
        let bounds = Bounds { max_entries: self.max_entries, max_bytes: self.max_bytes };
        if bounds.max_bytes < Bounds::LEAST {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`max_bytes` is {}: it must be at least {}, which one small entry takes",
                    self.max_bytes,
                    Bounds::LEAST
                ),
            ));
        }
        Ok(bounds)
    }
}

/// How much the store keeps, and what an entry is charged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_entries: u64,
    pub(crate) max_bytes: u64,
}

impl Bounds {
    const DEFAULT_ENTRIES: u64 = 100_000;
    const DEFAULT_BYTES: u64 = 1 << 30;
    /// What most file systems give out at least.
    const BLOCK: u64 = 4_096;
    /// What the index line of an entry takes at most, or what stands before a large value.
    const LINE: u64 = 1_024;
    /// A file lies in two directories, which it may have to itself.
    const DIRECTORIES: u64 = 2 * Self::BLOCK;
    /// For one entry of some kilobytes.
    const LEAST: u64 = Self::DIRECTORIES + 2 * Self::BLOCK;

    /// What an entry takes, all in all: one file with the value in it, or an index file and one for the value.
    pub(crate) fn charge(size: u64, is_inline: bool) -> u64 {
        let file = |bytes: u64| {
            let blocks = bytes.div_ceil(Self::BLOCK).saturating_mul(Self::BLOCK);
            blocks.saturating_add(Self::DIRECTORIES)
        };
        if is_inline {
            file(size.saturating_add(Self::LINE))
        } else {
            file(size).saturating_add(file(Self::LINE))
        }
    }

    /// The largest value it takes, whatever its key, as encoded.
    pub(crate) fn max_value(&self) -> usize {
        let blocks = self.max_bytes / Self::BLOCK * Self::BLOCK;
        let left = |taken: u64| usize::try_from(blocks.saturating_sub(taken)).unwrap_or(usize::MAX);
        // The first byte of what is kept is its kind.
        let large = left(2 * Self::DIRECTORIES + Self::BLOCK + Self::LINE + 1);
        if large > MAX_INLINE { large } else { left(Self::DIRECTORIES + Self::LINE + 1).min(MAX_INLINE - 1) }
    }

    /// Refuses a value that could not be kept even alone.
    pub(crate) fn check(&self, value: usize) -> Result<()> {
        if value <= self.max_value() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "a value of {value} bytes, the limit under `max_bytes={}` is {}",
                self.max_bytes,
                self.max_value()
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_fits_alone() {
        for max_bytes in [16_384, 20_480, 270_000, 280_000, 290_000, 300_000, 1 << 20, (1 << 30) + 17] {
            let bounds = Bounds { max_entries: 1, max_bytes };
            let largest = bounds.max_value();
            // A byte for the kind; nonce and key come before a large one.
            let is_inline = largest < MAX_INLINE;
            let size = largest as u64 + if is_inline { 1 } else { 300 };
            assert!(Bounds::charge(size, is_inline) <= max_bytes, "{max_bytes}");
            assert!(bounds.check(largest).is_ok());
            assert_eq!(bounds.check(largest + 1).unwrap_err().kind(), ErrorKind::TooLarge);
        }
    }
}
