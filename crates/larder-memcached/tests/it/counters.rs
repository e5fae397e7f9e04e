//! Counts on servers that drop entries and connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use larder_core::{CacheStore, ErrorKind};
use larder_memcached::MemcachedStore;

use crate::{
    FAR, key, namespace,
    shelf::{Shelf, Whims},
};

const TASKS: usize = 16;
const EACH: usize = 100;
const ALL: i64 = 1_600;

/// Two stores count under two keys. How much was acknowledged, and how much may have been done besides.
async fn count(shelf: &Shelf) -> (i64, i64) {
    let builder = MemcachedStore::builder(format!("memcached://{}", shelf.address));
    let builder = builder.operation_timeout(Duration::from_secs(10));
    let stores = [(); 2].map(|()| Arc::new(builder.clone().build().unwrap()));
    let keys = ["one", "other"].map(|text| key(&namespace("counters"), text));
    let (acknowledged, doubtful) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, counter) = (Arc::clone(&stores[task % 2]), keys[task / 2 % 2].clone());
            let (acknowledged, doubtful) = (Arc::clone(&acknowledged), Arc::clone(&doubtful));
            tokio::spawn(async move {
                for _ in 0..EACH {
                    match store.increment(&counter, 1, FAR).await.map_err(|error| error.kind()) {
                        Ok(_) => drop(acknowledged.fetch_add(1, Ordering::Relaxed)),
                        Err(ErrorKind::Ambiguous) => drop(doubtful.fetch_add(1, Ordering::Relaxed)),
                        // Nothing was changed.
                        Err(ErrorKind::Unavailable) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (acknowledged.load(Ordering::Relaxed), doubtful.load(Ordering::Relaxed))
}

/// A counter may begin anew, but every count is in the old one or in the new one.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_count_loses_is_what_the_server_dropped() {
    let shelf = Shelf::start(Whims { evicts: Some(40), cuts: None }).await;
    let (acknowledged, doubtful) = count(&shelf).await;
    let (there, dropped) = shelf.sums();
    assert_eq!((acknowledged, doubtful), (ALL, 0));
    assert_eq!(there + dropped, acknowledged, "{there} are there");
    assert!(dropped > 0, "no counter was dropped");
}

/// What may have happened is said to the caller, and not done again.
#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_was_cut_off_is_not_repeated() {
    for evicts in [None, Some(40)] {
        let shelf = Shelf::start(Whims { evicts, cuts: Some(60) }).await;
        let (acknowledged, doubtful) = count(&shelf).await;
        let (there, dropped) = shelf.sums();
        assert!(doubtful > 0, "nothing was cut off");
        assert!(
            (acknowledged..=acknowledged + doubtful).contains(&(there + dropped)),
            "{there} and {dropped} of {acknowledged} and perhaps {doubtful}"
        );
    }
}
