//! Lists of names, of query parameters or cookies.

/// A list of names, each whole (`page`) or a beginning (`utm_*`). Case matters.
///
/// ```
/// use larder_tower::Names;
///
/// let names = Names::from(["page", "utm_*"]);
/// assert!(names.contains("utm_source"));
/// assert!(!names.contains("pages"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    /// Whether a name is in the list, whole or by its beginning.
    ///
    /// ```
    /// assert!(larder_tower::Names::from(["_ga*"]).contains("_ga_X1"));
    /// ```
    pub fn contains(&self, name: &str) -> bool {
        self.contains_bytes(name.as_bytes())
    }

    pub(crate) fn contains_bytes(&self, name: &[u8]) -> bool {
        self.0.iter().any(|listed| match listed.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning.as_bytes()),
            None => listed.as_bytes() == name,
        })
    }
}

impl<const N: usize> From<[&str; N]> for Names {
    fn from(names: [&str; N]) -> Self {
        names.into_iter().collect()
    }
}

impl<S: Into<String>> FromIterator<S> for Names {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}
