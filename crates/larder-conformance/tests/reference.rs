//! Correct stores pass the whole suite, on each kind of clock.

mod reference_store;
mod small_store;

use std::{process::ExitCode, sync::Mutex, time::Duration};

use larder_conformance::Suite;
use larder_core::SystemClock;

use crate::{reference_store::Reference, small_store::Small};

fn main() -> ExitCode {
    larder_conformance::run([
        Suite::with_manual_clock(|clock| async { Ok(Reference::new(clock, Duration::ZERO)) }),
        Suite::with_manual_clock(|clock| async { Ok(Reference::new(clock, Duration::from_secs(1))) })
            .named("coarse"),
        Suite::new(|| async { Ok(Reference::new(SystemClock::new(), Duration::from_millis(1))) })
            .named("waiting"),
        Suite::with_manual_clock(|clock| async { Ok(Small(clock, Mutex::default())) }).named("sixty lines"),
    ])
}
