//! Every store that is a server, by its URL alone: what an application would write, against what it would run on.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod everything;
mod site;
mod topology;
