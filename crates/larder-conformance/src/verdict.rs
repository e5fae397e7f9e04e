//! How a case ended.

/// How one case of the suite ended on one store.
///
/// ```
/// use larder_conformance::Verdict;
///
/// let verdict = Verdict::Ignored("increment".into());
/// assert!(!verdict.is_failure());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The store does what the case asks.
    Passed,
    /// It does not; the text says what was expected and what was seen.
    Failed(String),
    /// The store does not declare the capability of this name, so the case was not run.
    Ignored(String),
}

impl Verdict {
    /// Whether the store broke the contract.
    ///
    /// ```
    /// use larder_conformance::Verdict;
    /// assert!(Verdict::Failed("expected a miss, saw b\"x\"".into()).is_failure());
    /// ```
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}
