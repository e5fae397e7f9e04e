//! The synchronisation types of the flight table, imported through one place so that a model checker can stand in for
//! them.

pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
