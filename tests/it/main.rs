//! End-to-end tests of Larder, by topic.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![expect(clippy::print_stdout, reason = "exams print what they saw")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests are an outermost edge: they start tasks and read the clock"
)]

mod model;
mod quickstart;
mod race;
