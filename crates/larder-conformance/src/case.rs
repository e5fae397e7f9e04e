//! A case of the suite, as data.

use larder_core::{BoxFuture, Capabilities, Operations};

use crate::{check::Outcome, subject::Subject};

/// One case: what it is called, which rules of the contract it checks, what it needs, and how to run it.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) group: &'static str,
    /// With its group: `add::does_not_overwrite`.
    pub(crate) name: &'static str,
    /// The numbered rules of the store contract.
    pub(crate) rules: &'static [u8],
    pub(crate) needs: &'static [Need],
    pub(crate) run: for<'a> fn(&'a Subject) -> BoxFuture<'a, Outcome>,
}

/// Something a store has or lacks.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// What was set can be read.
    Retains,
    /// It declares these operations.
    Has(Operations),
    /// It declares the largest value it takes, and that is small enough to try.
    ValueLimit,
    /// It runs under a manual clock and ends entries exactly.
    ExactClock,
    /// No other process sees its entries, so that they can be counted.
    Private,
    /// It does not declare these operations: the opposite of `Has`.
    Lacks(Operations),
    /// It keeps nothing: the opposite of `Retains`.
    Forgets,
}

pub(crate) const RETAINS: Need = Need::Retains;
pub(crate) const VERSIONS: Need = Need::Has(Operations::VERSIONS);
pub(crate) const INCREMENT: Need = Need::Has(Operations::INCREMENT);
pub(crate) const TOUCH: Need = Need::Has(Operations::TOUCH);
pub(crate) const EXPIRY: Need = Need::Has(Operations::EXPIRY);
pub(crate) const CLEAR: Need = Need::Has(Operations::CLEAR);
pub(crate) const KEYS: Need = Need::Has(Operations::KEYS);
pub(crate) const LEN: Need = Need::Has(Operations::LEN);

/// Limits above this are not tried: the values would have to be that large.
const LARGEST_LIMIT: usize = 64 << 20;

/// Whether a case is for a store.
pub(crate) enum Fit {
    Runs,
    /// The store lacks the capability of this name.
    Ignored(String),
    /// The case is about stores without something that this one has.
    Omitted,
}

impl Case {
    pub(crate) fn fit(&self, capabilities: &Capabilities, manual_clock: bool) -> Fit {
        let mut ignored = None;
        for need in self.needs {
            let missing = match *need {
                Need::Retains => (!capabilities.retains()).then(|| "retains".to_owned()),
                Need::Has(operations) => {
                    let missing = operations.without(capabilities.operations());
                    missing.names().next().map(str::to_owned)
                }
                Need::ValueLimit => {
                    let usable = capabilities.max_value_bytes().is_some_and(|limit| limit <= LARGEST_LIMIT);
                    (!usable).then(|| "max_value_bytes".to_owned())
                }
                Need::ExactClock => {
                    let exact = manual_clock && capabilities.expiry_resolution().is_zero();
                    (!exact).then(|| "manual_clock".to_owned())
                }
                Need::Private => capabilities.shared().then(|| "private".to_owned()),
                Need::Lacks(operations) if capabilities.supports(operations) => return Fit::Omitted,
                Need::Forgets if capabilities.retains() => return Fit::Omitted,
                Need::Lacks(_) | Need::Forgets => None,
            };
            ignored = ignored.or(missing);
        }
        ignored.map_or(Fit::Runs, Fit::Ignored)
    }
}

/// The cases of one group: functions of the module it stands in, each with the rules it checks and what it needs.
macro_rules! cases {
    ($group:literal: $($name:ident [$($rule:literal),+] needs [$($need:expr),*];)+) => {
        pub(crate) const CASES: &[$crate::case::Case] = &[$($crate::case::Case {
            group: $group,
            name: concat!($group, "::", stringify!($name)),
            rules: &[$($rule),+],
            needs: &[$($need),*],
            run: |subject| Box::pin($name(subject)),
        }),+];
    };
}
pub(crate) use cases;
