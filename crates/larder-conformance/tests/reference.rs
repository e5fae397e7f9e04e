//! The correct store passes the whole suite, on each kind of clock.

mod reference_store;

use std::{process::ExitCode, time::Duration};

use larder_conformance::Suite;
use larder_core::SystemClock;

use crate::reference_store::Reference;

fn main() -> ExitCode {
    larder_conformance::run([
        Suite::with_manual_clock(|clock| async { Ok(Reference::new(clock, Duration::ZERO)) }),
        Suite::with_manual_clock(|clock| async { Ok(Reference::new(clock, Duration::from_secs(1))) })
            .named("coarse"),
        Suite::new(|| async { Ok(Reference::new(SystemClock::new(), Duration::from_millis(1))) })
            .named("waiting"),
    ])
}
