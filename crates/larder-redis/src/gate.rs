//! A bound on what is in flight. The client has one of its own, which leaks its count and then hangs.

use std::sync::atomic::{AtomicUsize, Ordering};

use larder_core::{Error, ErrorKind, Result};

/// Counts the commands in flight, and refuses those over the limit.
#[derive(Debug)]
pub(crate) struct Gate {
    inside: AtomicUsize,
    limit: usize,
}

impl Gate {
    pub(crate) fn new(limit: usize) -> Self {
        Self { inside: AtomicUsize::new(0), limit }
    }

    /// Lets `count` commands in, until what is returned is dropped.
    #[inline]
    pub(crate) fn enter(&self, count: usize) -> Result<Inside<'_>> {
        let inside = Inside { gate: self, count };
        // Counted first, so that a refusal gives back what it took.
        if self.inside.fetch_add(count, Ordering::Relaxed).saturating_add(count) > self.limit {
            return Err(self.full());
        }
        Ok(inside)
    }

    #[cold]
    fn full(&self) -> Error {
        Error::new(
            ErrorKind::Overloaded,
            format!("{} commands are in flight already (`max_in_flight`); nothing was sent", self.limit),
        )
    }
}

/// Commands in flight.
#[derive(Debug)]
pub(crate) struct Inside<'a> {
    gate: &'a Gate,
    count: usize,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.gate.inside.fetch_sub(self.count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_over_the_limit_and_recovers() {
        let gate = Gate::new(3);
        let one = gate.enter(1).unwrap();
        let two = gate.enter(2).unwrap();
        for _ in 0..1_000 {
            assert_eq!(gate.enter(1).unwrap_err().kind(), ErrorKind::Overloaded);
        }
        drop(one);
        assert!(gate.enter(1).is_ok());
        drop(two);
        assert!(gate.enter(3).is_ok());
        assert!(gate.enter(4).is_err());
    }
}
