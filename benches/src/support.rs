//! What the lanes run on.

use std::{
    pin::pin,
    sync::Barrier,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use criterion::Bencher;

/// How many keys are hit in turn.
pub const KEYS: usize = 1_000;

/// The keys.
pub fn keys() -> Vec<String> {
    (0..KEYS).map(|id| format!("user:{id:0>16}")).collect()
}

/// moka, configured to do what `SimpleStore` does: LRU, 10 000 entries, an expiry per entry, the same hasher.
pub fn alike<V: Clone + Send + Sync + 'static>()
-> moka::sync::Cache<String, V, foldhash::quality::RandomState> {
    struct InFiveMinutes;

    impl<V> moka::Expiry<String, V> for InFiveMinutes {
        fn expire_after_create(&self, _key: &String, _value: &V, _created: Instant) -> Option<Duration> {
            Some(Duration::from_mins(5))
        }
    }

    untimed().expire_after(InFiveMinutes).build_with_hasher(foldhash::quality::RandomState::default())
}

/// The same without any expiry: what moka costs at the least.
pub fn without_expiry<V: Clone + Send + Sync + 'static>()
-> moka::sync::Cache<String, V, foldhash::quality::RandomState> {
    untimed().build_with_hasher(foldhash::quality::RandomState::default())
}

fn untimed<V: Clone + Send + Sync + 'static>()
-> moka::sync::CacheBuilder<String, V, moka::sync::Cache<String, V>> {
    moka::sync::Cache::builder().max_capacity(10_000).eviction_policy(moka::policy::EvictionPolicy::lru())
}

/// The output of a future that is ready at once, as a hit in process is: no executor is part of the measurement. Part of its caller,
/// as an `await` is.
#[expect(
    clippy::inline_always,
    reason = "where the compiler leaves it a call, the future is moved, which no `await` does"
)]
#[inline(always)]
pub fn poll<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready at once"),
    }
}

/// Measures `operation` on several threads at once: the time per operation of each.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub fn together(bencher: &mut Bencher<'_>, threads: usize, operation: impl Fn(usize) + Sync) {
    if threads == 1 {
        let mut at = 0;
        bencher.iter(|| {
            operation(at);
            at = (at + 1) % KEYS;
        });
        return;
    }
    bencher.iter_custom(|iterations| {
        let barrier = Barrier::new(threads);
        let run = |offset: usize| {
            barrier.wait();
            let started = Instant::now();
            for at in 0..iterations {
                operation((usize::try_from(at).expect("64 bits") + offset) % KEYS);
            }
            started.elapsed()
        };
        std::thread::scope(|scope| {
            let run = &run;
            let others: Vec<_> =
                (1..threads).map(|thread| scope.spawn(move || run(thread * KEYS / threads))).collect();
            let mut total = run(0);
            for other in others {
                total += other.join().expect("no lane panics");
            }
            total / u32::try_from(threads).expect("a few")
        })
    });
}
