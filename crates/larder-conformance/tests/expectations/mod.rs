//! Which cases catch which fault: the main one first, and then every other that fails with it.

mod conditional;
mod other;
mod time;

use crate::broken_store::Fault;

/// A fault, and exactly those cases that fail because of it.
pub(crate) struct Mutant {
    pub(crate) fault: Fault,
    pub(crate) caught_by: &'static [&'static str],
}

const fn mutant(fault: Fault, caught_by: &'static [&'static str]) -> Mutant {
    Mutant { fault, caught_by }
}

pub(crate) fn mutants() -> impl Iterator<Item = &'static Mutant> {
    [time::MUTANTS, conditional::MUTANTS, other::MUTANTS].into_iter().flatten()
}
