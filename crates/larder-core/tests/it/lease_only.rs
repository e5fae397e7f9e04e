//! A key that holds only a lease is absent for every operation.

use std::sync::Arc;

use larder_core::{Kept, NotKept, Source, Timeout, Value};

use crate::support::{Cluster, Gate, Rig, fine, load};

/// Two processes, the first of which is loading `a`.
async fn loading() -> (Cluster, Rig, Rig, Arc<Gate>) {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let gate = Gate::new();
    drop(load(&a, "a", &gate, "loaded"));
    gate.reached().await;
    assert!(cluster.stored(&a.cache, "a").await.is_some(), "the lease");
    (cluster, a, b, gate)
}

#[tokio::test]
async fn it_is_absent_for_whatever_reads() {
    let (cluster, a, b, gate) = loading().await;
    for rig in [&a, &b] {
        let cache = &rig.cache;
        assert!(cache.get::<String>("a").await.unwrap().is_none());
        assert!(!cache.has("a").await.unwrap());
        assert!(cache.get_many::<String>(["a"]).await.remove(0).unwrap().is_none());
        assert!(cache.expiry("a").await.unwrap().is_none());
        assert!(cache.keys().await.unwrap().is_empty());
        assert!(!cache.touch("a", Timeout::Never).await.unwrap());
        assert!(cache.take::<String>("a").await.unwrap().is_none());
        assert_eq!(cache.peek::<String>("a").unwrap(), None);
    }
    gate.open();
    a.at_rest().await;
    assert_eq!(*b.cache.get::<String>("a").await.unwrap().unwrap(), "loaded", "none of this voids it");
    assert_eq!(b.cache.keys().await.unwrap().len(), 1);
    assert!(cluster.stored(&a.cache, "a").await.is_some());
}

#[tokio::test]
async fn it_is_absent_for_a_delete() {
    for many in [false, true] {
        let (cluster, _a, b, _gate) = loading().await;
        let was_there = if many {
            b.cache.delete_many(["a"]).await.remove(0).unwrap()
        } else {
            b.cache.delete("a").await.unwrap()
        };
        assert!(!was_there);
        assert!(cluster.stored(&b.cache, "a").await.is_none(), "the lease is void all the same");
    }
}

#[tokio::test]
async fn an_entry_with_a_lease_on_it_is_there_for_a_delete() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    a.cache.set("a", "old".to_owned()).await.unwrap();
    let gate = Gate::new();
    let (cache, held) = (a.cache.clone(), Arc::clone(&gate));
    let refresh = tokio::spawn(async move {
        let loader = || async move {
            held.pass().await;
            fine("new".to_owned())
        };
        cache.refresh("a", larder_core::EntryOptions::new(), loader).await
    });
    gate.reached().await;
    assert_eq!(*b.cache.get::<String>("a").await.unwrap().unwrap(), "old");
    assert!(b.cache.delete("a").await.unwrap());
    gate.open();
    assert_eq!(refresh.await.unwrap().unwrap().source(), Source::Loaded(Kept::No(NotKept::Invalidated)));
    assert!(cluster.stored(&a.cache, "a").await.is_none());
}

#[tokio::test]
async fn it_does_not_stand_in_the_way_of_whatever_writes() {
    let (cluster, a, b, gate) = loading().await;
    assert!(b.cache.add("a", "added".to_owned()).await.unwrap());
    gate.open();
    a.at_rest().await;
    assert_eq!(*a.cache.get::<String>("a").await.unwrap().unwrap(), "added");
    assert!(!a.cache.add("a", "again".to_owned()).await.unwrap());

    let (other, a, b, gate) = loading().await;
    assert_eq!(b.cache.increment("a", 5).await.unwrap(), 5);
    assert_eq!(a.cache.increment("a", 1).await.unwrap(), 6);
    gate.open();
    a.at_rest().await;
    assert!(matches!(other.stored(&a.cache, "a").await, Some(Value::Int(6))));
    assert!(cluster.stored(&a.cache, "b").await.is_none());
}

#[tokio::test]
async fn of_many_keys_those_that_nobody_is_served_are_left_out() {
    let (_cluster, _a, b, _gate) = loading().await;
    for i in 0..1_200 {
        b.cache.set(i.to_string(), i).await.unwrap();
    }
    assert_eq!(b.cache.keys().await.unwrap().len(), 1_200);
}
