//! The synchronisation types of the flight table, imported through one place so that a model checker can stand in for
//! them: `--cfg shuttle` puts those of Shuttle here, which work nowhere but in its tests.

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Arc, Mutex, MutexGuard, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
#[cfg(not(shuttle))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
