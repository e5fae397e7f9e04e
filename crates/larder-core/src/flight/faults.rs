//! Rules of the fence that an exam may switch off.

/// Rules of the fence that a test may switch off, to prove that its exam can fail. Never for use: see
/// [`StoreHandle::inject_faults`](crate::StoreHandle::inject_faults).
///
/// ```
/// # #[cfg(feature = "faults")] {
/// use larder_core::Faults;
/// let both = Faults::NO_FENCE.and(Faults::NAIVE_JOIN);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "faults"), expect(unreachable_pub, reason = "exported with the feature alone"))]
pub struct Faults(usize);

#[cfg_attr(not(feature = "faults"), expect(unreachable_pub, reason = "exported with the feature alone"))]
impl Faults {
    /// Invalidations do not detach flights, and results are kept whatever happened.
    pub const NO_FENCE: Self = Self(1);
    /// A detached flight can still be joined.
    pub const NAIVE_JOIN: Self = Self(2);
    /// Results are written by a plain `set`, which an invalidation does not wait for, and which no lease guards.
    pub const COMMIT_BY_SET: Self = Self(4);
    /// Entries are served whatever has become of their stamps, and loads joined.
    pub const STAMPS_UNCHECKED: Self = Self(8);
    /// A tag that became known during a load is stamped as it is at its end, whatever the epoch says.
    pub const NO_EPOCH: Self = Self(16);
    /// Results of loads without a lease are kept.
    pub const KEEP_UNLEASED: Self = Self(32);
}

#[cfg(feature = "faults")]
impl Faults {
    /// Every rule in force.
    pub const NONE: Self = Self(0);

    /// These and those.
    ///
    /// ```
    /// use larder_core::Faults;
    /// assert_eq!(Faults::NONE.and(Faults::NO_FENCE), Faults::NO_FENCE);
    /// ```
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn from_bits(bits: usize) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> usize {
        self.0
    }

    pub(super) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
