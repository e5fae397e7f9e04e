//! What holds for one load or write: its options, over the cache's defaults.

use std::time::Duration;

use crate::{EarlyRefresh, EntryMeta, EntryOptions, Expiry, Timeout, Timestamp};

/// Options with no defaults left.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    /// How long the entry is fresh.
    pub(crate) expiry: Expiry,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) load_timeout: Duration,
    pub(crate) early: EarlyRefresh,
    /// The largest part of the timeout that chance may take off.
    pub(crate) jitter: f64,
    /// How long a `None` is kept, where that was asked for.
    pub(crate) none: Option<Expiry>,
    pub(crate) error_timeout: Option<Duration>,
    pub(crate) error_backoff: Duration,
    /// Each once, those asked for first before those that came later.
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) late_tags: bool,
    /// When the first of what it is made of stops being fresh.
    pub(crate) until: Timestamp,
    /// What `Timeout::Default` means.
    default_expiry: Expiry,
}

impl Policy {
    /// What `options` ask for, over the `defaults` of the cache, whose own timeouts come last.
    pub(crate) fn resolve(
        options: &EntryOptions,
        defaults: &EntryOptions,
        default_expiry: Expiry,
        load_timeout: Duration,
    ) -> Self {
        let mut policy = Self {
            expiry: default_expiry,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            soft_timeout: None,
            load_timeout,
            early: EarlyRefresh::Never,
            jitter: 0.0,
            none: None,
            error_timeout: None,
            error_backoff: Duration::from_secs(1),
            tags: Vec::new(),
            late_tags: false,
            until: Timestamp::MAX,
            default_expiry,
        };
        policy.overlay(defaults);
        policy.overlay(options);
        policy
    }

    /// The same where the loader had `loaded` to say: what it says holds, and its tags are added.
    pub(crate) fn with(&self, loaded: &EntryOptions) -> Self {
        let mut policy = self.clone();
        policy.overlay(loaded);
        // A loader that names a timeout knows whether it returns a `None`.
        if loaded.timeout.is_some() && loaded.none_timeout_of().is_none() {
            policy.none = None;
        }
        policy
    }

    fn overlay(&mut self, options: &EntryOptions) {
        if let Some(timeout) = options.timeout {
            self.expiry = timeout.resolve(self.default_expiry);
        }
        let Some(rest) = options.rest.as_deref() else { return };
        let resolve = |timeout: Timeout| timeout.resolve(self.default_expiry);
        self.stale_while_revalidate = rest.stale_while_revalidate.unwrap_or(self.stale_while_revalidate);
        self.stale_if_error = rest.stale_if_error.unwrap_or(self.stale_if_error);
        self.soft_timeout = rest.soft_timeout.or(self.soft_timeout);
        self.load_timeout = rest.load_timeout.unwrap_or(self.load_timeout);
        self.early = rest.early.unwrap_or(self.early);
        self.jitter = rest.jitter.unwrap_or(self.jitter);
        self.none = rest.none_timeout.map(resolve).or(self.none);
        self.error_timeout = rest.error_timeout.or(self.error_timeout);
        self.error_backoff = rest.error_backoff.unwrap_or(self.error_backoff);
        self.late_tags = rest.late_tags.unwrap_or(self.late_tags);
        for tag in &rest.tags {
            if !self.tags.contains(tag) {
                self.tags.push(tag.clone());
            }
        }
    }

    /// When an entry made now may never be served any more.
    pub(crate) fn ends(&self, now: Timestamp) -> Timestamp {
        let window = self.stale_while_revalidate.max(self.stale_if_error);
        let fresh = self.none.map_or(now, |none| none.deadline(now)).max(self.expiry.deadline(now));
        fresh.min(self.until.max(now)).saturating_add(window)
    }

    /// Whether an entry needs no metadata but its expiry, which its store keeps: a counter has no more.
    pub(crate) fn is_plain(&self) -> bool {
        self.stale_while_revalidate.is_zero()
            && self.stale_if_error.is_zero()
            && self.early == EarlyRefresh::Never
            && self.tags.is_empty()
    }

    /// The metadata of an entry made now, and when its store may drop it. `none` is whether its value is `None`; `random`
    /// is over 0 and at most 1, and asked for where there is jitter.
    ///
    /// A timeout of zero keeps nothing, whatever the windows; nor do they prolong what [`none`](Self::none) limits. What is made
    /// of something stale is as stale: of its own windows as much is left as if it had been fresh until then.
    pub(crate) fn meta(
        &self,
        now: Timestamp,
        none: bool,
        random: impl FnOnce() -> f64,
    ) -> (EntryMeta, Expiry) {
        let negative = self.none.filter(|_| none);
        let asked = negative.unwrap_or(self.expiry);
        let most = match (asked, Expiry::until(self.until, now)) {
            (Expiry::Never, Expiry::Never) => return (EntryMeta::new(now, Expiry::Never), Expiry::Never),
            (Expiry::After(most), Expiry::Never) | (Expiry::Never, Expiry::After(most)) => most,
            (Expiry::After(asked), Expiry::After(left)) => asked.min(left),
        };
        let fresh = if self.jitter > 0.0 { shortened(most, self.jitter, random()) } else { most };
        let stale_for = now.saturating_since(self.until);
        let window = self.stale_while_revalidate.max(self.stale_if_error).saturating_sub(stale_for);
        if window.is_zero() || asked.is_past() || negative.is_some() {
            return (EntryMeta::new(now, Expiry::After(fresh)), Expiry::After(fresh));
        }
        let stale_at = now.saturating_add(fresh);
        let expiry = Expiry::After(fresh.saturating_add(window));
        let meta = EntryMeta::new(now, expiry);
        let expires_at = meta.expires_at();
        let revalidate = self.stale_while_revalidate.saturating_sub(stale_for);
        (meta.with_windows(stale_at, stale_at.saturating_add(revalidate), expires_at), expiry)
    }
}

/// `timeout` less a random part of it, at most `jitter` of the whole.
fn shortened(timeout: Duration, jitter: f64, random: f64) -> Duration {
    let part = (jitter * random).clamp(0.0, 1.0);
    // What is too long to say in seconds is all of it.
    let off = Duration::try_from_secs_f64(timeout.as_secs_f64() * part).unwrap_or(Duration::MAX);
    timeout.saturating_sub(off)
}

#[cfg(test)]
mod tests;
