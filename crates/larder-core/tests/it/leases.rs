//! Leases: one load of a key among processes, and only the result of one that still holds its lease is kept.

use std::time::Duration;

use larder_core::{
    Cache, Clock as _, EntryOptions, Error, ErrorKind, Kept, Loaded, NotKept, Outcome, Result, Source,
    StaleWhy, Value,
};

use crate::support::{Act, Cluster, Gate, Rig, fine, load, load_with, settle, until};

const LOADED: Source = Source::Loaded(Kept::Yes);
const VOID: Source = Source::Loaded(Kept::No(NotKept::Invalidated));

fn of(outcome: Result<Outcome<String>>) -> (String, Source) {
    let outcome = outcome.unwrap();
    (outcome.to_string(), outcome.source())
}

async fn at_once(rig: &Rig, value: &'static str) -> (String, Source) {
    of(rig.cache.get_or_load("a", move || async move { fine(value.to_owned()) }).await)
}

#[tokio::test]
async fn one_process_loads_and_the_other_waits() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let gate = Gate::new();
    let first = load(&a, "a", &gate, "from a");
    gate.reached().await;
    let second = load(&b, "a", &gate, "from b");
    cluster.pass(Duration::from_secs(1)).await;
    assert!(!second.is_finished());
    gate.open();
    assert_eq!(of(cluster.end(first).await), ("from a".to_owned(), LOADED));
    assert_eq!(of(cluster.end(second).await), ("from a".to_owned(), Source::Hit));
    let stats = b.cache.stats();
    assert_eq!((stats.loads, stats.misses, stats.hits), (0, 1, 0), "one call is counted once");
    a.at_rest().await;
    b.at_rest().await;
}

/// Invalidates `a` from another process; what then stands there.
async fn invalidate(cache: &Cache, how: &str) -> Option<i64> {
    match how {
        "delete" => cache.delete("a").await.map(|_| None).unwrap(),
        "delete_many" => cache.delete_many(["a"]).await.remove(0).map(|_| None).unwrap(),
        "set" => cache.set("a", 10).await.map(|()| Some(10)).unwrap(),
        "set_many" => cache.set_many([("a", 10)]).await.remove(0).map(|()| Some(10)).unwrap(),
        "add" => cache.add("a", 10).await.unwrap().then_some(10),
        "increment" => cache.increment("a", 10).await.map(Some).unwrap(),
        "clear" => cache.clear().await.map(|()| None).unwrap(),
        "expire" => cache.expire("a").await.map(|_| None).unwrap(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn whatever_another_process_writes_voids_the_lease() {
    for how in ["delete", "delete_many", "set", "set_many", "add", "increment", "clear", "expire"] {
        let cluster = Cluster::new();
        let (a, b) = cluster.two();
        let gate = Gate::new();
        let old = load(&a, "a", &gate, "old");
        gate.reached().await;
        let left = invalidate(&b.cache, how).await;
        gate.open();
        assert_eq!(of(old.await.unwrap()), ("old".to_owned(), VOID), "{how}");
        let stored = cluster.stored(&a.cache, "a").await;
        match left {
            None => assert!(stored.is_none(), "{how}: {stored:?}"),
            Some(left) => assert!(matches!(stored, Some(Value::Int(int)) if int == left), "{how}"),
        }
        for rig in [&a, &b] {
            rig.at_rest().await;
        }
    }
}

#[tokio::test]
async fn a_lease_that_nobody_renews_is_taken_over() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let gate = Gate::new();
    let dead = load(&a, "a", &gate, "too late");
    gate.reached().await;
    for operation in ["replace", "get_versioned"] {
        a.store.always(operation, Act::Fail(ErrorKind::Unavailable));
    }
    let heir = Gate::new();
    let second = load(&b, "a", &heir, "from b");
    // The lease lasts 3 s, and a clock may be half a second behind.
    cluster.pass(Duration::from_millis(3400)).await;
    assert_eq!(b.cache.stats().loads, 0);
    assert!(!second.is_finished());
    heir.open();
    let got = of(cluster.end(second).await);
    assert_eq!(got, ("from b".to_owned(), LOADED));
    a.store.calm();
    gate.open();
    assert_eq!(of(cluster.end(dead).await), ("too late".to_owned(), VOID));
    assert_eq!(at_once(&b, "again").await, ("from b".to_owned(), Source::Hit));
}

#[tokio::test]
async fn a_long_load_renews_its_lease() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let gate = Gate::new();
    let first = load(&a, "a", &gate, "from a");
    gate.reached().await;
    let second = load(&b, "a", &gate, "from b");
    cluster.pass(Duration::from_secs(12)).await;
    assert!(a.store.calls("replace") >= 10, "three times as often as it lasts");
    gate.open();
    assert_eq!(of(cluster.end(first).await).1, LOADED);
    assert_eq!(of(cluster.end(second).await), ("from a".to_owned(), Source::Hit));
    assert_eq!(b.cache.stats().loads, 0);
}

#[tokio::test]
async fn nobody_waits_longer_than_leaves_time_to_load() {
    let cluster = Cluster::new();
    let a = cluster.process_with(|builder| builder.load_timeout(Duration::from_mins(10)));
    let b = cluster.process_with(|builder| builder.load_timeout(Duration::from_secs(10)));
    let gate = Gate::new();
    let first = load(&a, "a", &gate, "from a");
    gate.reached().await;
    let own = Gate::new();
    let second = load(&b, "a", &own, "from b");
    own.open();
    let alone = Source::Loaded(Kept::No(NotKept::LoadedElsewhere));
    assert_eq!(of(cluster.end(second).await), ("from b".to_owned(), alone));
    gate.open();
    assert_eq!(of(cluster.end(first).await).1, LOADED, "that does not void its lease");
}

#[tokio::test]
async fn a_load_that_comes_to_nothing_gives_its_lease_back() {
    for how in ["fails", "panics", "is not kept", "is abandoned", "takes too long"] {
        let cluster = Cluster::new();
        let (a, b) = cluster.two();
        let cache = a.cache.clone();
        let task = tokio::spawn(async move {
            let loader = move || async move {
                match how {
                    "fails" => return Err(Error::new(ErrorKind::Load, "no")),
                    "panics" => panic!("no"),
                    "is not kept" => {}
                    _ => std::future::pending().await,
                }
                Ok(Loaded::new("a".to_owned()).do_not_keep())
            };
            cache.get_or_load("a", loader).await.map(|outcome| outcome.source())
        });
        match how {
            "is abandoned" => {
                until(|| a.store.calls("add") == 1).await;
                settle().await;
                task.abort();
            }
            "takes too long" => drop(cluster.end(task).await.unwrap_err()),
            _ => drop(task.await.unwrap()),
        }
        a.at_rest().await;
        settle().await;
        assert!(cluster.stored(&a.cache, "a").await.is_none(), "{how}: the lease is still there");
        assert_eq!(at_once(&b, "b").await, ("b".to_owned(), LOADED), "{how}");
    }
}

#[tokio::test]
async fn a_stale_entry_is_served_with_a_lease_on_it() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let options =
        EntryOptions::new().timeout(Duration::from_secs(10)).stale_while_revalidate(Duration::from_mins(1));
    a.cache.set_with("a", "old".to_owned(), options.clone()).await.unwrap();
    cluster.clock.advance(Duration::from_secs(12));
    let gate = Gate::new();
    let is_stale = |served: Result<Outcome<String>>| {
        let (value, source) = of(served);
        assert_eq!(value, "old");
        assert!(
            matches!(source, Source::Stale { since, why: StaleWhy::Refreshing, .. } if since == Duration::from_secs(2))
        );
    };
    is_stale(load_with(&a, "a", options.clone(), &gate, "new").await.unwrap());
    gate.reached().await;
    // The other process serves the same, and leaves the refresh to the one that has the lease.
    let unused = Gate::new();
    for _ in 0..3 {
        is_stale(load_with(&b, "a", options.clone(), &unused, "b").await.unwrap());
    }
    gate.open();
    a.at_rest().await;
    assert_eq!(at_once(&b, "b").await, ("new".to_owned(), Source::Hit));
    assert_eq!((a.cache.stats().loads, b.cache.stats().loads, b.cache.stats().stale), (1, 0, 3));
}

#[tokio::test]
async fn a_failed_load_leaves_the_stale_entry_without_its_lease() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let options = EntryOptions::new().timeout(Duration::from_secs(10)).stale_if_error(Duration::from_mins(1));
    a.cache.set_with("a", "old".to_owned(), options.clone()).await.unwrap();
    cluster.clock.advance(Duration::from_secs(12));
    let failing = || async { Err::<String, _>("the source is down") };
    let served = a.cache.get_or_load_with("a", options.clone(), failing).await.unwrap();
    assert!(matches!(served.source(), Source::Stale { why: StaleWhy::LoadFailed, .. }));
    settle().await;
    assert_eq!(of(b.cache.get_or_load_with("a", options, || async { fine("b".to_owned()) }).await).1, LOADED);
}

#[tokio::test]
async fn who_has_a_stale_entry_waits_for_another_process_no_longer_than_asked() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let kept = EntryOptions::new().timeout(Duration::from_secs(1)).stale_if_error(Duration::from_mins(1));
    let soft = kept.clone().soft_timeout(Duration::from_millis(100));
    a.cache.set_with("a", "old".to_owned(), kept.clone()).await.unwrap();
    cluster.clock.advance(Duration::from_secs(2));
    let (gate, never) = (Gate::new(), Gate::new());
    let elsewhere = load_with(&a, "a", kept, &gate, "new");
    gate.reached().await;
    let mut began = cluster.clock.now();
    let mut served = |outcome| {
        let (value, source) = of(outcome);
        assert_eq!(value, "old");
        assert!(matches!(source, Source::Stale { why: StaleWhy::SlowLoad, .. }), "{source:?}");
        let took = cluster.clock.now().saturating_since(std::mem::replace(&mut began, cluster.clock.now()));
        assert!(took <= Duration::from_millis(102), "{took:?}");
    };
    let single = load_with(&b, "a", soft.clone(), &never, "never");
    settle().await;
    assert!(!single.is_finished(), "it may come at once");
    served(cluster.end(single).await);
    let (cache, options) = (b.cache.clone(), soft.clone());
    let batch = tokio::spawn(async move {
        let loader = |_| async { fine(std::collections::HashMap::<String, String>::new()) };
        cache.get_or_load_many_with(["a"], options, loader).await.remove(0)
    });
    served(cluster.end(batch).await.map(|found| found.expect("it is there, if stale")));
    let cache = b.cache.clone();
    let scoped = tokio::spawn(async move {
        cache.get_or_load_scoped_with("a", soft, || async { fine("never".to_owned()) }).await
    });
    served(cluster.end(scoped).await);
    gate.open();
    assert_eq!(of(cluster.end(elsewhere).await), ("new".to_owned(), LOADED));
    b.at_rest().await;
}

#[tokio::test]
async fn who_may_load_for_ever_waits_for_others_too() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let gate = Gate::new();
    let first = load(&a, "a", &gate, "from a");
    gate.reached().await;
    let for_ever = EntryOptions::new().load_timeout(Duration::MAX);
    let second = load_with(&b, "a", for_ever, &gate, "from b");
    cluster.pass(Duration::from_secs(1)).await;
    gate.open();
    assert_eq!(of(cluster.end(first).await), ("from a".to_owned(), LOADED));
    assert_eq!(of(cluster.end(second).await), ("from a".to_owned(), Source::Hit));
}
