//! Which part of a striped counter a thread writes to.

use std::cell::Cell;

use crate::sync::Mutex;

/// How many threads have a stripe of their own at one time; further ones share the last.
pub(super) const STRIPES: usize = 64;

/// A thread's stripe, given back when the thread ends.
struct Stripe(Cell<usize>);

/// The stripes that nobody has, and the lowest that nobody ever had.
struct Free {
    returned: Vec<usize>,
    next: usize,
}

static FREE: Mutex<Free> = Mutex::new(Free { returned: Vec::new(), next: 0 });

/// The stripe that all threads share which found none left.
pub(super) const SHARED: usize = STRIPES - 1;

const NONE: usize = usize::MAX;

thread_local! {
    static STRIPE: Stripe = const { Stripe(Cell::new(NONE)) };
}

/// The stripe of this thread. Unless it is [`SHARED`], no other thread writes to it while this one lives.
#[inline]
pub(super) fn of_this_thread() -> usize {
    // A thread that is ending has given its stripe back.
    STRIPE
        .try_with(|stripe| if stripe.0.get() == NONE { stripe.claim() } else { stripe.0.get() })
        .unwrap_or(SHARED)
}

impl Stripe {
    #[cold]
    fn claim(&self) -> usize {
        let mut free = FREE.lock().expect("no code panics while it holds the stripes");
        let stripe = free.returned.pop().unwrap_or_else(|| {
            let next = free.next.min(SHARED);
            free.next = next.saturating_add(1);
            next
        });
        self.0.set(stripe);
        stripe
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        let stripe = self.0.get();
        if stripe < SHARED {
            FREE.lock().expect("no code panics while it holds the stripes").returned.push(stripe);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Barrier};

    use super::*;

    #[test]
    fn threads_that_live_at_one_time_share_only_the_last() {
        const THREADS: usize = STRIPES + 20;
        let together = Barrier::new(THREADS);
        let mut taken = HashMap::new();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let stripe = of_this_thread();
                        together.wait();
                        assert_eq!(of_this_thread(), stripe);
                        stripe
                    })
                })
                .collect();
            for thread in threads {
                *taken.entry(thread.join().unwrap()).or_insert(0) += 1;
            }
        });
        assert!(taken.keys().all(|stripe| *stripe <= SHARED));
        assert!(taken.iter().all(|(stripe, threads)| *stripe == SHARED || *threads == 1), "{taken:?}");
        assert!(taken[&SHARED] >= THREADS - SHARED);
        // What ended threads gave back is had again.
        assert!(std::thread::spawn(of_this_thread).join().unwrap() < SHARED);
    }
}
