#![doc = include_str!("../README.md")]

pub mod args;
pub mod docs;
pub mod layout;
pub mod log;
pub mod markdown;
pub mod pages;
pub mod report;
pub mod search;
pub mod serve;
pub mod site;
pub mod users;

mod rebuild;
mod snippet;
mod words;

pub use args::Args;
pub use report::Report;
pub use serve::serve;
pub use site::Site;
