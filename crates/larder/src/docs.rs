//! Documents to read beside the reference.

#[doc = include_str!("../docs/configuration.md")]
pub mod configuration {}

#[doc = include_str!("../docs/migrating-from-flask-caching.md")]
pub mod migrating_from_flask_caching {}
