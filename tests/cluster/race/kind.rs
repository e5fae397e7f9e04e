//! The kinds of invalidation.

use larder_core::{Cache, ClearBy, EntryOptions, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Delete,
    /// A tag that the caller names.
    Tag,
    /// The store's own `clear`.
    Clear,
    ClearByStamps,
    /// A tag that the loader names.
    LateTag,
}

pub(crate) const KINDS: [Kind; 5] =
    [Kind::Delete, Kind::Tag, Kind::Clear, Kind::ClearByStamps, Kind::LateTag];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Tag => "tag",
            Self::Clear => "clear",
            Self::ClearByStamps => "clear_by_stamps",
            Self::LateTag => "late_tag",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        KINDS.into_iter().find(|kind| kind.name() == name).unwrap()
    }

    pub(crate) fn clear_by(self) -> ClearBy {
        if self == Self::ClearByStamps { ClearBy::Stamps } else { ClearBy::Store }
    }

    /// What a reader asks for. The tag is the key's own.
    pub(crate) fn options(self, tag: &str) -> EntryOptions {
        match self {
            Self::Tag => EntryOptions::new().tag(tag),
            Self::LateTag => EntryOptions::new().late_tags(true),
            _ => EntryOptions::new(),
        }
    }

    /// `cache` is of a namespace that holds nothing but this key.
    pub(crate) async fn invalidate(self, cache: &Cache, key: &str, tag: &str) -> Result<()> {
        match self {
            Self::Delete => cache.delete(key).await.map(drop),
            Self::Tag | Self::LateTag => cache.invalidate_tags([tag]).await,
            Self::Clear | Self::ClearByStamps => cache.clear().await,
        }
    }
}
