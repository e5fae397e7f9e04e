#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod case;
mod cases;
mod check;
mod connect;
mod model;
mod random;
mod runner;
mod subject;
mod suite;
mod tasks;
mod verdict;

pub use crate::{
    suite::{Suite, run},
    verdict::Verdict,
};
