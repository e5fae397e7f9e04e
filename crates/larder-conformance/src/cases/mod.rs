//! The cases, one group per module.

mod add;
mod batch;
mod cancellation;
mod clear;
mod concurrency;
mod delete;
mod errors;
mod expired;
mod expiry;
mod forgetful;
mod get_set;
mod increment;
mod keys;
mod limits;
mod listing;
mod peek;
mod replace;
mod touch;
mod unsupported;
mod values;
mod versions;

use crate::case::Case;

/// Every group, in the order in which they are printed.
const GROUPS: &[&[Case]] = &[
    get_set::CASES,
    delete::CASES,
    expiry::CASES,
    expired::CASES,
    add::CASES,
    replace::CASES,
    versions::CASES,
    increment::CASES,
    touch::CASES,
    batch::CASES,
    clear::CASES,
    keys::CASES,
    listing::CASES,
    values::CASES,
    limits::CASES,
    concurrency::CASES,
    cancellation::CASES,
    errors::CASES,
    peek::CASES,
    forgetful::CASES,
    crate::model::CASES,
    unsupported::CASES,
];

pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    GROUPS.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn every_rule_of_the_contract_has_a_case() {
        let checked: HashSet<u8> = super::all().flat_map(|case| case.rules).copied().collect();
        for rule in 1..=15 {
            assert!(checked.contains(&rule), "no case checks rule {rule}");
        }
        assert!(checked.iter().all(|rule| (1..=15).contains(rule)), "{checked:?}");
    }

    #[test]
    fn every_name_is_used_once() {
        let mut seen = HashSet::new();
        for case in super::all() {
            assert!(seen.insert(case.name), "{} is there twice", case.name);
        }
    }
}
