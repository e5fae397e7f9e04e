//! Any text is a timeout or an error, and a timeout prints as what it parses from.
#![no_main]

use larder_core::{ErrorKind, Timeout};

libfuzzer_sys::fuzz_target!(|text: &str| {
    match text.parse::<Timeout>() {
        Ok(timeout) => assert_eq!(timeout.to_string().parse::<Timeout>().expect("its own text"), timeout),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Config),
    }
});
