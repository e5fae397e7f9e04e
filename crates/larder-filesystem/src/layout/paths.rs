//! From keys to names of files.

use std::path::{Component, Path, PathBuf};

use larder_core::Key;
use sha1::{Digest as _, Sha1};

use crate::locks::Slot;

/// The directory of a namespace that holds its entries.
pub(super) const DATA: &str = "data";
pub(super) const INDEX: &str = "index-v5";
pub(super) const CONTENTS: &str = "content-v2/xxh3";

/// Where a key has its files.
#[derive(Debug)]
pub(crate) struct Place {
    /// The cacache directory of its namespace.
    pub(super) data: PathBuf,
    /// Its index file.
    pub(super) bucket: PathBuf,
    /// Which lock is for it.
    pub(crate) slot: Slot,
}

impl Place {
    pub(super) fn new(spaces: &Path, key: &Key) -> Self {
        let space = space_name(key.namespace());
        let slot_group = group(&space);
        let data = spaces.join(space).join(DATA);
        let digest = Sha1::digest(key.as_str());
        let name = hex::encode(digest);
        let bucket = data.join(INDEX).join(&name[..2]).join(&name[2..4]).join(&name[4..]);
        Self { data, bucket, slot: Slot::new(slot_group, digest[0]) }
    }

    /// The directories of its index file, outermost first.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let mut found: Vec<_> = self.bucket.ancestors().skip(1).take(5).map(Path::to_owned).collect();
        found.push(self.data.join("tmp"));
        found.sort();
        found
    }
}

/// Which group of locks is for a namespace, from the name of its directory.
pub(super) fn group(space: &str) -> u8 {
    Sha1::digest(space)[0]
}

/// The lock for an index file, from its path.
pub(crate) fn slot_of(bucket: &Path) -> Option<Slot> {
    let mut parents = bucket.ancestors().skip(1).filter_map(Path::file_name);
    let outer = parents.nth(1)?.to_str()?;
    let space = parents.nth(2)?.to_str()?;
    Some(Slot::new(group(space), u8::from_str_radix(outer, 16).ok()?))
}

/// Whether an index file lies where the key has its own.
pub(super) fn is_place_of(bucket: &Path, key: &Key) -> bool {
    let name = hex::encode(Sha1::digest(key.as_str()));
    let parts = [&name[4..], &name[2..4], &name[..2], INDEX, DATA];
    let mut found = bucket.components().rev().map(Component::as_os_str);
    parts.iter().all(|part| found.next().is_some_and(|found| found == *part))
        && found.next().is_some_and(|found| found == &*space_name(key.namespace()))
}

/// The name of a namespace's directory, from its encoded path.
///
/// Case is spelled out: on a file system that ignores it, `Shop` and `shop` would share a directory, and a `clear` of
/// one would empty both. The names start with one another exactly as the paths do.
pub(super) fn space_name(path: &str) -> String {
    let mut name = String::with_capacity(path.len() + 8);
    for letter in path.chars() {
        match letter {
            '/' => name.push('_'),
            '~' => name.push_str("~~"),
            'A'..='Z' => {
                name.push('~');
                name.push(letter.to_ascii_lowercase());
            }
            other => name.push(other),
        }
    }
    name
}

/// Whether a name is of so many letters as hexadecimal numbers are written here.
pub(super) fn is_hex(name: &str, len: usize) -> bool {
    name.len() == len && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use larder_core::Namespace;

    use super::*;

    #[test]
    fn names_start_with_one_another_as_paths_do_whatever_the_case() {
        let root = Namespace::root();
        let shop = root.child("shop").unwrap();
        let name = |namespace: &Namespace| space_name(namespace.as_str());
        assert!(name(&shop).starts_with(&name(&root)));
        assert!(name(&shop.child("carts").unwrap()).starts_with(&name(&shop)));
        assert!(!name(&root.child("shopping").unwrap()).starts_with(&name(&shop)));
        let upper = name(&root.child("Shop").unwrap());
        assert_ne!(upper.to_lowercase(), name(&shop).to_lowercase());
        assert_eq!(upper, upper.to_lowercase());
        let longest = root.child(&"X".repeat(Namespace::MAX_LEN - 1)).unwrap();
        assert!(name(&longest).len() < 255, "a file system takes no longer names");
    }

    #[test]
    fn the_index_file_is_where_cacache_looks() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::new(&Namespace::root(), "k").unwrap();
        let place = Place::new(dir.path(), &key);
        cacache::index::insert(&place.data, key.as_str(), cacache::WriteOpts::new()).unwrap();
        assert!(place.bucket.is_file());
        assert_eq!(slot_of(&place.bucket), Some(place.slot));
        assert!(is_place_of(&place.bucket, &key));
        let other = Key::new(&Namespace::root().child("n").unwrap(), "k").unwrap();
        assert!(!is_place_of(&place.bucket, &other));
    }
}
