//! The testbed tested: its servers are real, its proxy does what it says, its load catches stores that lie.
#![expect(clippy::disallowed_methods, reason = "real servers live in real time")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod lies;
mod load;
mod parent;
mod proxy;
mod redis;
mod servers;
mod tls;
