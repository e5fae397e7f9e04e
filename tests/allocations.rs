//! What a hit in process costs, counted: allocations, clock readings, and that it is ready at once.

#![expect(clippy::print_stdout, reason = "the counts are worth seeing")]

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use larder_core::{BoxFuture, Cache, Clock, SystemClock, Timestamp};
use larder_simple::SimpleStore;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The machine's clock, counting how often it is read.
#[derive(Clone, Debug, Default)]
struct Counted {
    clock: Arc<SystemClock>,
    readings: Arc<AtomicU64>,
}

impl Clock for Counted {
    fn now(&self) -> Timestamp {
        self.readings.fetch_add(1, Ordering::Relaxed);
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }

    fn is_real(&self) -> bool {
        true
    }
}

/// The output of a future that is ready the first time it is polled; a hit that waited for anything is not.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit in process waits for nothing"),
    }
}

/// Hits, after which moka has done its own upkeep often enough for that to be part of the count.
const HITS: u64 = 10_000;

#[test]
fn a_hit_allocates_at_most_once_and_reads_the_clock_once() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let clock = Counted::default();
    let store = SimpleStore::builder().clock(Arc::new(clock.clone())).build().unwrap();
    let cache = Cache::builder(store).namespace("users").build().unwrap();
    at_once(cache.set("ada", "Ada Lovelace".to_owned())).unwrap();

    let ways: [(&str, &dyn Fn()); 3] = [
        ("get", &|| drop(at_once(cache.get::<String>("ada")).unwrap().unwrap())),
        ("peek", &|| drop(cache.peek::<String>("ada").unwrap().unwrap())),
        ("get_or_load", &|| {
            let load = || async { Ok::<_, Infallible>(String::new()) };
            assert!(at_once(cache.get_or_load("ada", load)).unwrap().is_hit());
        }),
    ];
    for (name, hit) in ways {
        // The first ones fill the buffers of the map.
        (0..1_000).for_each(|_| hit());
        let (blocks, readings) =
            (dhat::HeapStats::get().total_blocks, clock.readings.load(Ordering::Relaxed));
        (0..HITS).for_each(|_| hit());
        let allocated = dhat::HeapStats::get().total_blocks - blocks;
        let read = clock.readings.load(Ordering::Relaxed) - readings;
        println!("{name}: {allocated} allocations and {read} clock readings in {HITS} hits");
        assert!(allocated <= HITS, "{name}: {allocated} allocations in {HITS} hits");
        assert_eq!(read, HITS, "{name}: one clock reading a hit");
    }
}
