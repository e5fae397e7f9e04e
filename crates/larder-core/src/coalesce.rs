//! Who shares a load.

/// Who waits for whose load of a key.
///
/// Whatever it is, an acknowledged invalidation is never undone by a load that began before it: see
/// [`Cache::guarantees`](crate::Cache::guarantees).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
/// # fn main() {
/// use larder_core::{Cache, Coalesce};
/// let cache = Cache::builder(MapStore::default()).coalesce(Coalesce::Off).build().unwrap();
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coalesce {
    /// Nobody: who misses while a load runs loads for itself, and what it loaded is not kept.
    /// A batch still waits for those of its keys that are being loaded.
    Off,
    /// Callers in one process.
    Process,
    /// Callers in all processes over one store, where that is shared and has versions; else as
    /// [`Process`](Coalesce::Process). Who waits for another process does so for at most half of its
    /// [load timeout](crate::CacheBuilder::load_timeout), then loads for itself and keeps nothing.
    #[default]
    Cluster,
}
