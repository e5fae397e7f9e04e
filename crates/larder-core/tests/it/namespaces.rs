//! Namespaces that are cleared by stamps.

use std::{sync::Arc, time::Duration};

use larder_core::{Cache, ClearBy, EntryOptions, ErrorKind, Kept, Operations, Source};

use crate::support::{Act, Cluster, Gate, Rig, Scripted, fine, load, settle};

fn process(cluster: &Cluster) -> Rig {
    let store = Scripted::shared(&cluster.server).lacking(Operations::CLEAR).lacking(Operations::INCREMENT);
    Rig::with(store, |builder| builder.namespace("app").clear_by(ClearBy::Stamps))
}

fn down(cache: &Cache, path: &[&str]) -> Cache {
    path.iter().fold(cache.clone(), |cache, name| cache.namespace(name).unwrap())
}

#[tokio::test]
async fn clear_takes_the_children_too_and_nothing_else() {
    let cluster = Cluster::new();
    let (a, b) = (process(&cluster), process(&cluster));
    let paths: [&[&str]; 5] = [&[], &["x"], &["x", "y"], &["x", "y", "z", "deep", "deeper"], &["other"]];
    for path in paths {
        down(&a.cache, path).set("a", 1).await.unwrap();
    }
    let there = async |rig: &Rig| {
        let mut there = Vec::new();
        for path in paths {
            there.push(down(&rig.cache, path).has("a").await.unwrap());
        }
        there
    };
    assert_eq!(there(&b).await, [true; 5]);
    down(&b.cache, &["x", "y"]).clear().await.unwrap();
    for rig in [&a, &b] {
        assert_eq!(there(rig).await, [true, true, false, false, true]);
    }
    b.cache.clear().await.unwrap();
    assert_eq!(there(&a).await, [false; 5]);
    assert!(a.cache.keys().await.unwrap().is_empty());
    let stamps_are_there = a.cache.stats().stamps_missing;
    assert!(stamps_are_there > 0, "what is cleared is counted as missing its stamp");
}

#[tokio::test]
async fn a_load_that_began_before_a_clear_is_not_kept_nor_joined() {
    for parent in [false, true] {
        let cluster = Cluster::new();
        let (a, b) = (process(&cluster), process(&cluster));
        let (old, new) = (Gate::new(), Gate::new());
        let inside = Rig { cache: down(&a.cache, &["x"]), ..process(&cluster) };
        let leader = load(&inside, "a", &old, "old");
        old.reached().await;
        if parent {
            b.cache.clear().await.unwrap();
        } else {
            down(&b.cache, &["x"]).clear().await.unwrap();
        }
        let later = load(&inside, "a", &new, "new");
        new.reached().await;
        old.open();
        assert_eq!(*leader.await.unwrap().unwrap(), "old");
        assert!(!down(&b.cache, &["x"]).has("a").await.unwrap());
        new.open();
        assert_eq!(later.await.unwrap().unwrap().source(), Source::Loaded(Kept::Yes));
        assert_eq!(*down(&b.cache, &["x"]).get::<String>("a").await.unwrap().unwrap(), "new");
    }
}

#[tokio::test]
async fn what_holds_no_stamps_is_not_served() {
    let cluster = Cluster::new();
    let a = process(&cluster);
    let plain = cluster.process_with(|builder| builder.namespace("app"));
    plain.cache.set("a", "unstamped".to_owned()).await.unwrap();
    plain.cache.set("n", 5).await.unwrap();
    assert!(a.cache.get::<String>("a").await.unwrap().is_none());
    assert!(a.cache.get::<i64>("n").await.unwrap().is_none());
    assert!(a.cache.get_many::<i64>(["n"]).await.remove(0).unwrap().is_none());
    assert_eq!(*a.cache.get_or_load("a", || async { fine("loaded".to_owned()) }).await.unwrap(), "loaded");
    assert!(a.cache.get_or_load("a", || async { fine(String::new()) }).await.unwrap().is_hit());
    assert_eq!(*a.cache.get_or_load("n", || async { fine(7) }).await.unwrap(), 7);
    assert!(a.cache.get_or_load("n", || async { fine(8) }).await.unwrap().is_hit(), "an ordinary value here");
}

#[tokio::test]
async fn what_cannot_be_said_by_stamps_is_refused() {
    let cluster = Cluster::new();
    let a = process(&cluster);
    assert_eq!(a.cache.increment("n", 1).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let counting = cluster.process_with(|builder| builder.namespace("app").clear_by(ClearBy::Stamps));
    assert_eq!(counting.cache.increment("n", 1).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let deepest = down(&a.cache, &["1", "2", "3"]);
    deepest.clear().await.unwrap();
    let too_deep = deepest.namespace("4").unwrap();
    assert_eq!(too_deep.clear().await.unwrap_err().kind(), ErrorKind::Unsupported);
    too_deep.set("a", 1).await.unwrap();
    deepest.clear().await.unwrap();
    assert!(!too_deep.has("a").await.unwrap());
    let without = Cache::builder(Scripted::without(Operations::VERSIONS)).clear_by(ClearBy::Stamps).build();
    assert!(without.unwrap_err().to_string().contains("clear_by"));
    let no_clear = Rig::with(Scripted::without(Operations::CLEAR), |builder| builder);
    assert!(no_clear.cache.clear().await.unwrap_err().to_string().contains("ClearBy::Stamps"));
}

#[tokio::test]
async fn a_failed_clear_is_not_served_from_here_until_it_is_settled() {
    let cluster = Cluster::new();
    let (a, b) = (process(&cluster), process(&cluster));
    a.cache.set("a", 1).await.unwrap();
    for operation in ["delete", "delete_many"] {
        a.store.always(operation, Act::Fail(ErrorKind::Unavailable));
    }
    a.cache.clear().await.unwrap_err();
    assert!(!matches!(a.cache.get::<i64>("a").await, Ok(Some(_))));
    assert!(b.cache.has("a").await.unwrap(), "elsewhere nobody knows");
}

#[tokio::test]
async fn a_hit_reads_its_entry_and_its_stamps_in_two_calls() {
    let cluster = Cluster::new();
    let a = process(&cluster);
    let deep = down(&a.cache, &["x", "y"]);
    deep.set_with("a", 1, EntryOptions::new().tag("t").timeout(Duration::from_mins(1))).await.unwrap();
    a.store.take_calls();
    assert!(deep.has("a").await.unwrap());
    assert_eq!(a.store.take_calls(), [("get", 1), ("get_many", 1)]);
    let held = Gate::new();
    a.store.once("get_many", Act::HoldAfter(Arc::clone(&held)));
    let reading = tokio::spawn(async move { deep.get::<i64>("a").await });
    held.reached().await;
    settle().await;
    held.open();
    assert_eq!(*reading.await.unwrap().unwrap().unwrap(), 1);
}
