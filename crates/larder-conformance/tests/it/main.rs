//! The suite as a library: what it reports of stores that are unlike the reference store.

#[path = "../reference_store/mod.rs"]
mod reference_store;
mod report;
mod stores;
