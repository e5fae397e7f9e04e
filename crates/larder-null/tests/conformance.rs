//! The suite every store must pass, on the one that keeps nothing.

use std::process::ExitCode;

use larder_conformance::Suite;
use larder_null::NullStore;

fn main() -> ExitCode {
    Suite::new(|| async { Ok(NullStore::silent()) }).run()
}
