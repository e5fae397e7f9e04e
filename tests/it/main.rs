//! End-to-end tests of Larder, by topic.

mod quickstart;
mod race;
