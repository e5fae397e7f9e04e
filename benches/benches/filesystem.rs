//! The file store: reads and writes against plain `tokio::fs` doing the same bytes, and what 100 000 entries cost.
//!
//! The yardstick of a write is `tokio::fs::write`, over the file that is there; a lane more does what a store must, and
//! never leaves half a file: it writes one aside and renames it.
//!
//! `LARDER_BENCH_ENTRIES` sets another number than 100 000.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails says so at once")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and starts its own tasks")]
#![expect(clippy::print_stdout, reason = "the result of a benchmark is what it prints")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use larder_benches::{Lane, race};
use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
use larder_filesystem::FileSystemStore;
use tokio::runtime::Runtime;

const SIZES: [(&str, usize); 3] = [("1 KB", 1 << 10), ("100 KB", 100 << 10), ("10 MB", 10 << 20)];
const TASKS: [u64; 2] = [1, 8];
/// How many files are read or written in turn.
const FILES: u64 = 16;
/// Numbers the files that are written aside.
static NEXT: AtomicU64 = AtomicU64::new(0);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

fn key(number: u64) -> Key {
    Key::new(&Namespace::root(), &format!("entry {number}")).unwrap()
}

async fn open(directory: &Path) -> FileSystemStore {
    FileSystemStore::builder(directory).max_entries(1_000_000).max_bytes(8 << 30).open().await.unwrap()
}

/// Runs so many operations, spread over tasks, and returns how long that took.
fn spread<F>(
    runtime: &Runtime,
    tasks: u64,
    iterations: u64,
    operation: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Duration
where
    F: Future<Output = ()> + Send,
{
    runtime.block_on(async {
        let started = Instant::now();
        let mut running = tokio::task::JoinSet::new();
        for task in 0..tasks {
            let operation = operation.clone();
            running.spawn(async move {
                for iteration in (task..iterations).step_by(usize::try_from(tasks).unwrap()) {
                    operation(iteration % FILES).await;
                }
            });
        }
        running.join_all().await;
        started.elapsed()
    })
}

fn read_and_write(criterion: &mut Criterion) {
    let runtime = runtime();
    let directory = tempfile::tempdir().unwrap();
    let plain = Arc::new(directory.path().join("plain"));
    std::fs::create_dir(&*plain).unwrap();
    let store = Arc::new(runtime.block_on(open(&directory.path().join("store"))));
    for (name, size) in SIZES {
        let bytes = Bytes::from(vec![7; size]);
        for number in 0..FILES {
            std::fs::write(plain.join(number.to_string()), &bytes).unwrap();
            let key = key(number);
            let set = store.set(&key, Value::Bytes(bytes.clone()), Expiry::Never);
            runtime.block_on(set).unwrap();
        }
        for tasks in TASKS {
            let (runtime, plain, store, bytes) = (&runtime, &plain, &store, &bytes);
            race(
                criterion,
                &format!("read {name}, {tasks} task(s)"),
                vec![
                    Lane::new("tokio fs", move |bencher| {
                        bencher.iter_custom(|iterations| {
                            let plain = Arc::clone(plain);
                            spread(runtime, tasks, iterations, move |number| {
                                let path = plain.join(number.to_string());
                                async move { assert_eq!(tokio::fs::read(path).await.unwrap().len(), size) }
                            })
                        });
                    }),
                    Lane::new("store get", move |bencher| {
                        bencher.iter_custom(|iterations| {
                            let store = Arc::clone(store);
                            spread(runtime, tasks, iterations, move |number| {
                                let store = Arc::clone(&store);
                                async move {
                                    match store.get(&key(number)).await.unwrap().unwrap() {
                                        Value::Bytes(read) => assert_eq!(read.len(), size),
                                        other => panic!("{other:?}"),
                                    }
                                }
                            })
                        });
                    }),
                ],
            );
            race(
                criterion,
                &format!("write {name}, {tasks} task(s)"),
                vec![
                    Lane::new("tokio fs", move |bencher| {
                        bencher.iter_custom(|iterations| {
                            let (plain, bytes) = (Arc::clone(plain), bytes.clone());
                            spread(runtime, tasks, iterations, move |number| {
                                let (path, bytes) = (plain.join(number.to_string()), bytes.clone());
                                async move { tokio::fs::write(path, bytes).await.unwrap() }
                            })
                        });
                    }),
                    Lane::new("tokio fs, aside and renamed", move |bencher| {
                        bencher.iter_custom(|iterations| {
                            let (plain, bytes) = (Arc::clone(plain), bytes.clone());
                            spread(runtime, tasks, iterations, move |number| {
                                let (path, bytes) = (plain.join(number.to_string()), bytes.clone());
                                let aside = plain.join(format!("aside {}", NEXT.fetch_add(1, Relaxed)));
                                async move {
                                    tokio::fs::write(&aside, bytes).await.unwrap();
                                    tokio::fs::rename(aside, path).await.unwrap();
                                }
                            })
                        });
                    }),
                    Lane::new("store set", move |bencher| {
                        bencher.iter_custom(|iterations| {
                            let (store, bytes) = (Arc::clone(store), bytes.clone());
                            spread(runtime, tasks, iterations, move |number| {
                                let (store, value) = (Arc::clone(&store), Value::Bytes(bytes.clone()));
                                async move { store.set(&key(number), value, Expiry::Never).await.unwrap() }
                            })
                        });
                    }),
                ],
            );
        }
    }
}

/// Each of these happens once, so it is timed once: they are seconds or milliseconds, not ratios.
fn many_entries(_criterion: &mut Criterion) {
    let entries: u64 = std::env::var("LARDER_BENCH_ENTRIES").map_or(100_000, |text| text.parse().unwrap());
    let runtime = runtime();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let value = || Value::Bytes(Bytes::from_static(&[7; 256]));
    let timed = |what: &str, started: Instant| {
        println!("{entries} entries of 256 bytes: {what} {:?}", started.elapsed());
    };
    runtime.block_on(async {
        let store = open(&path).await;
        let started = Instant::now();
        for number in 0..entries {
            store.set(&key(number), value(), Expiry::Never).await.unwrap();
        }
        timed("set one after the other, all of them:", started);
        let started = Instant::now();
        for number in 0..1_000 {
            store.set(&key(number), value(), Expiry::Never).await.unwrap();
        }
        timed("set 1 000 of them again:", started);
        drop(store);

        let started = Instant::now();
        let store = open(&path).await;
        timed("open:", started);
        let started = Instant::now();
        assert!(store.has(&key(7)).await.unwrap());
        timed("the first answer after it:", started);
        let started = Instant::now();
        assert_eq!(store.len().await.unwrap(), entries);
        timed("len:", started);

        let started = Instant::now();
        store.clear(&Namespace::root()).await.unwrap();
        timed("clear:", started);
        assert!(!store.has(&key(7)).await.unwrap());
    });
}

criterion_group! { name = benches; config = larder_benches::criterion(); targets = read_and_write, many_entries }
criterion_main!(benches);
