//! How a store is set up.

use std::sync::Arc;

use larder_core::{Clock, Error, ErrorKind, Key, Result, SystemClock};

use crate::SimpleStore;

/// Which entry goes when the store is full.
///
/// ```
/// use larder_simple::{Eviction, SimpleStore};
/// let store = SimpleStore::builder().eviction(Eviction::TinyLfu).build()?;
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Eviction {
    /// The one least recently used. A new entry always gets its place.
    #[default]
    Lru,
    /// The one used least often, which may be the new one: better hit ratios under scans, but a full store may refuse
    /// a `set` silently (a hot one refuses nearly every new key at first). Such a store does not keep the contract's "a
    /// `set` that returned is readable next": use it for loads, which do not depend on that.
    TinyLfu,
}

/// Sets up a [`SimpleStore`]: see [`SimpleStore::builder`].
///
/// ```
/// use larder_simple::SimpleStore;
///
/// let store = SimpleStore::builder().max_entries(100_000).max_bytes(64 << 20).build()?;
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct SimpleStoreBuilder {
    max_entries: Option<u64>,
    max_bytes: Option<u64>,
    eviction: Eviction,
    clock: Option<Arc<dyn Clock>>,
}

impl SimpleStoreBuilder {
    /// The most entries it keeps. Default: 10 000, or as many as fit where only [`max_bytes`](Self::max_bytes) is set.
    ///
    /// ```
    /// let store = larder_simple::SimpleStore::builder().max_entries(500).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = Some(entries);
        self
    }

    /// The most bytes it keeps: of each entry the weight of its value ([`Value::weight`](larder_core::Value::weight)),
    /// the length of its key, and 400 bytes for the store's own structures. Default: not bounded, and nothing is weighed.
    ///
    /// A value that could not be kept even alone is refused with
    /// [`TooLarge`](larder_core::ErrorKind::TooLarge), and what was there before stays. Where
    /// [`max_entries`](Self::max_entries) is set too, each entry is charged at least `max_bytes / max_entries`, so that
    /// both bounds hold: entries far smaller than that leave bytes unused, never more entries than asked for.
    ///
    /// ```
    /// let store = larder_simple::SimpleStore::builder().max_bytes(64 << 20).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Which entry goes when the store is full. Default: [`Eviction::Lru`].
    ///
    /// ```
    /// use larder_simple::{Eviction, SimpleStore};
    /// let store = SimpleStore::builder().eviction(Eviction::Lru).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn eviction(mut self, eviction: Eviction) -> Self {
        self.eviction = eviction;
        self
    }

    /// The clock that decides when entries end. Default: [`SystemClock`]. A [`Cache`](larder_core::Cache)
    /// over the store uses the same one.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use larder_core::ManualClock;
    ///
    /// let clock = ManualClock::default();
    /// let store = larder_simple::SimpleStore::builder().clock(Arc::new(clock.clone())).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The store. A bound of zero, or one too small for any entry, is an error of kind
    /// [`Config`](larder_core::ErrorKind::Config) that names the setting.
    ///
    /// ```
    /// use larder_core::ErrorKind;
    /// let error = larder_simple::SimpleStore::builder().max_entries(0).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// ```
    pub fn build(self) -> Result<SimpleStore> {
        let bounds = Bounds::new(self.max_entries, self.max_bytes)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        Ok(SimpleStore::from_parts(bounds, self.eviction, clock))
    }
}

/// How much the store keeps, and what an entry is charged.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    max_entries: Option<u64>,
    bytes: Option<ByteBound>,
}

#[derive(Clone, Debug)]
struct ByteBound {
    max_bytes: u64,
    /// The largest value, whatever its key.
    max_value: usize,
    /// How many bytes make one unit of weight: one, unless the bound is over what the engine's 32 bits count.
    unit: u64,
    /// The bound, in units; with a bound on entries, a multiple of `floor`.
    capacity: u64,
    /// The least charge of an entry, in units.
    floor: u32,
}

impl Bounds {
    pub(crate) const DEFAULT_ENTRIES: u64 = 10_000;
    /// What the engine keeps for an entry besides key and value, in bytes.
    const OVERHEAD: u64 = 400;

    fn new(max_entries: Option<u64>, max_bytes: Option<u64>) -> Result<Self> {
        if max_entries == Some(0) {
            return Err(Error::new(
                ErrorKind::Config,
                "`max_entries` is 0: a store keeps at least one entry (use the null store to keep nothing)",
            ));
        }
        let Some(max_bytes) = max_bytes else {
            return Ok(Self { max_entries: Some(max_entries.unwrap_or(Self::DEFAULT_ENTRIES)), bytes: None });
        };
        let unit = max_bytes.div_ceil(u64::from(u32::MAX)).max(1);
        let (mut capacity, mut floor) = (max_bytes / unit, 1);
        if let Some(entries) = max_entries {
            let share = capacity / entries;
            // With a smaller share the bytes run out before the entries do.
            if share * unit > Self::OVERHEAD {
                (capacity, floor) = (share * entries, share);
            }
        }
        let besides_value = Self::OVERHEAD + Key::MAX_LEN as u64;
        let room = (capacity * unit).saturating_sub(besides_value);
        if room == 0 {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`max_bytes` is {max_bytes}: one entry takes up to {besides_value} bytes besides its value"
                ),
            ));
        }
        Ok(Self {
            max_entries,
            bytes: Some(ByteBound {
                max_bytes,
                max_value: usize::try_from(room).unwrap_or(usize::MAX),
                unit,
                capacity,
                floor: u32::try_from(floor).expect("at most the capacity, which fits by the choice of unit"),
            }),
        })
    }

    pub(crate) fn max_entries(&self) -> Option<u64> {
        self.max_entries
    }

    pub(crate) fn max_bytes(&self) -> Option<u64> {
        self.bytes.as_ref().map(|bytes| bytes.max_bytes)
    }

    /// The largest value the store takes.
    pub(crate) fn max_value_bytes(&self) -> Option<usize> {
        self.bytes.as_ref().map(|bytes| bytes.max_value)
    }

    pub(crate) fn weighs(&self) -> bool {
        self.bytes.is_some()
    }

    /// The bound in the engine's own measure: entries, or units of weight.
    pub(crate) fn capacity(&self) -> u64 {
        match &self.bytes {
            Some(bytes) => bytes.capacity,
            None => self.max_entries.unwrap_or(Self::DEFAULT_ENTRIES),
        }
    }

    /// What an entry is charged, or that its value is too large. `value_bytes` is asked only where bytes are bounded.
    pub(crate) fn charge(&self, key: &Key, value_bytes: impl FnOnce() -> Result<usize>) -> Result<u32> {
        let Some(bytes) = &self.bytes else {
            return Ok(1);
        };
        let value = value_bytes()?;
        if value > bytes.max_value {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "a value of {value} bytes, the limit under `max_bytes={}` is {}",
                    bytes.max_bytes, bytes.max_value
                ),
            ));
        }
        let total = value as u64 + key.as_str().len() as u64 + Self::OVERHEAD;
        let units = u32::try_from(total.div_ceil(bytes.unit))
            .expect("under the bound, which fits by the choice of unit");
        Ok(units.max(bytes.floor))
    }
}

#[cfg(test)]
mod tests {
    use larder_core::Namespace;

    use super::*;

    #[test]
    fn a_bound_over_32_bits_is_counted_in_larger_units() {
        let huge = Bounds::new(Some(1), Some(1 << 40)).unwrap();
        let key = Key::new(&Namespace::root(), "k").unwrap();
        u32::try_from(huge.capacity()).unwrap();
        assert_eq!(
            u64::from(huge.charge(&key, || Ok(1)).unwrap()),
            huge.capacity(),
            "one entry takes it all"
        );
        let largest = huge.max_value_bytes().unwrap();
        assert!(u64::from(huge.charge(&key, || Ok(largest)).unwrap()) <= huge.capacity());
    }

    #[test]
    fn both_bounds_are_in_the_charge() {
        let both = Bounds::new(Some(10), Some(100_001)).unwrap();
        let key = Key::new(&Namespace::root(), "k").unwrap();
        let least = u64::from(both.charge(&key, || Ok(0)).unwrap());
        assert_eq!(least * 10, both.capacity(), "ten fit, eleven do not");
        assert!(both.capacity() <= 100_001);
        assert_eq!(both.charge(&key, || Ok(50_000)).unwrap(), 50_000 + 4 + 400);
    }

    #[test]
    fn the_smaller_bound_decides() {
        let many = Bounds::new(Some(u64::MAX), Some(1_000_000)).unwrap();
        assert_eq!(many.capacity(), 1_000_000);
        let key = Key::new(&Namespace::root(), "k").unwrap();
        assert_eq!(many.charge(&key, || Ok(0)).unwrap(), 404);
    }
}
