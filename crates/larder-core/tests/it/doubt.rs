//! What a write or an invalidation of unknown outcome leaves behind is not served until a delete succeeds.

use std::{sync::Arc, time::Duration};

use larder_core::{ErrorKind, Kept, NotKept, Source};

use crate::support::{Act, Gate, Rig, Scripted, fine, settle, until};

const TIMEOUT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn a_failed_delete_leaves_the_key_unserved_until_one_succeeds() {
    let rig = Rig::new();
    let cache = &rig.cache;
    cache.set("a", "old".to_owned()).await.unwrap();
    cache.set("b", "other".to_owned()).await.unwrap();
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(cache.delete("a").await.is_err());
    assert!(cache.get::<String>("a").await.unwrap().is_none());
    assert!(!cache.has("a").await.unwrap());
    assert_eq!(cache.expiry("a").await.unwrap(), None);
    assert!(cache.get_many::<String>(["a"]).await[0].as_ref().unwrap().is_none());
    assert!(cache.keys().await.unwrap().iter().all(|key| key.text().as_deref() != Some("a")));
    assert!(cache.take::<String>("a").await.unwrap().is_none());
    assert_eq!(cache.add("a", "x".to_owned()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(cache.increment("a", 1).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let loaded = cache.get_or_load("a", || async { fine("new".to_owned()) }).await.unwrap();
    assert_eq!((loaded.as_str(), loaded.source()), ("new", Source::Loaded(Kept::No(NotKept::InDoubt))));
    assert_eq!(cache.get::<String>("b").await.unwrap().unwrap().as_str(), "other", "others are served");
    assert!(rig.stored("a").await.is_some());

    rig.store.calm();
    assert!(cache.get::<String>("a").await.unwrap().is_none(), "the read itself settles it");
    assert!(rig.stored("a").await.is_none());
    assert!(cache.add("a", "x".to_owned()).await.unwrap());
    assert!(cache.has("a").await.unwrap());
    rig.at_rest().await;
}

#[tokio::test]
async fn a_refused_delete_leaves_the_key_unserved_too() {
    let rig = Rig::new();
    rig.cache.set("a", "old".to_owned()).await.unwrap();
    rig.store.once("delete", Act::Fail(ErrorKind::Overloaded));
    assert_eq!(rig.cache.delete("a").await.unwrap_err().kind(), ErrorKind::Overloaded);
    assert!(rig.cache.get::<String>("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_store_that_is_gone_leaves_no_doubts_of_what_was_loaded_meanwhile() {
    let rig = Rig::new();
    rig.store.always("set", Act::Fail(ErrorKind::Unavailable));
    let loaded = rig.cache.get_or_load("a", || async { fine("x".to_owned()) }).await.unwrap();
    assert_eq!(loaded.source(), Source::Loaded(Kept::No(NotKept::StoreFailed)));
    rig.store.calm();
    // Another process may have stored it since: it is served, not deleted first.
    let deletes = rig.store.calls("delete");
    rig.cache.get_or_load("a", || async { fine("y".to_owned()) }).await.unwrap();
    assert!(rig.cache.has("a").await.unwrap());
    assert_eq!(rig.store.calls("delete"), deletes);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_commit_that_timed_out_leaves_the_key_unserved() {
    for act in [Act::Hang, Act::HangAfter] {
        let rig = Rig::new();
        rig.store.once("set", act);
        let cache = rig.cache.clone();
        let load =
            tokio::spawn(async move { cache.get_or_load("a", || async { fine("x".to_owned()) }).await });
        settle().await;
        rig.clock.advance(TIMEOUT);
        assert_eq!(load.await.unwrap().unwrap().source(), Source::Loaded(Kept::No(NotKept::StoreFailed)));

        rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
        // It may appear at any time: it is not served.
        rig.plant("a", larder_core::Value::Int(1)).await;
        assert!(rig.cache.get::<i64>("a").await.unwrap().is_none());
        assert!(rig.cache.get_many::<i64>(["a"]).await[0].as_ref().unwrap().is_none());
        rig.store.calm();
        assert!(!rig.cache.has("a").await.unwrap());
        let again = rig.cache.get_or_load("a", || async { fine("y".to_owned()) }).await.unwrap();
        assert_eq!(again.source(), Source::Loaded(Kept::Yes));
        assert!(rig.cache.has("a").await.unwrap());
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn a_confirmed_set_settles_a_doubt() {
    let rig = Rig::new();
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    rig.store.once("set", Act::FailAfter(ErrorKind::Ambiguous));
    assert!(rig.cache.set("a", "first".to_owned()).await.is_err());
    assert!(rig.cache.get::<String>("a").await.unwrap().is_none());
    rig.cache.set("a", "second".to_owned()).await.unwrap();
    assert_eq!(rig.cache.get::<String>("a").await.unwrap().unwrap().as_str(), "second");
}

#[tokio::test]
async fn a_delete_sent_before_a_write_timed_out_does_not_settle_it() {
    let rig = Rig::new();
    rig.store.once("set", Act::Hang);
    let gate = Gate::new();
    rig.store.once("delete", Act::HoldAfter(Arc::clone(&gate)));
    let cache = rig.cache.clone();
    let set = tokio::spawn(async move { cache.set("a", 1_u8).await });
    until(|| rig.store.calls("set") == 1).await;
    rig.clock.advance(Duration::from_millis(400));
    let cache = rig.cache.clone();
    let delete = tokio::spawn(async move { cache.delete("a").await });
    gate.reached().await;
    rig.clock.advance(Duration::from_millis(100));
    assert_eq!(set.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    gate.open();
    delete.await.unwrap().unwrap();
    // The set shows up at last.
    rig.plant("a", larder_core::Value::Int(1)).await;
    assert!(rig.cache.get::<u8>("a").await.unwrap().is_none());
    assert!(rig.stored("a").await.is_none());
    rig.at_rest().await;
}

#[tokio::test]
async fn a_failed_clear_leaves_its_namespace_unserved_until_one_succeeds() {
    let rig = Rig::new();
    let (shop, blog) = (rig.cache.namespace("shop").unwrap(), rig.cache.namespace("blog").unwrap());
    let carts = shop.namespace("carts").unwrap();
    for cache in [&shop, &blog, &carts] {
        cache.set("x", "old".to_owned()).await.unwrap();
    }
    rig.store.once("clear", Act::Fail(ErrorKind::Timeout));
    assert!(shop.clear().await.is_err());
    assert!(!shop.has("x").await.unwrap() && !carts.has("x").await.unwrap() && blog.has("x").await.unwrap());
    assert!(shop.keys().await.unwrap().is_empty());
    let loaded = carts.get_or_load("x", || async { fine("new".to_owned()) }).await.unwrap();
    assert_eq!(loaded.source(), Source::Loaded(Kept::No(NotKept::InDoubt)));
    carts.clear().await.unwrap();
    assert!(shop.get::<String>("x").await.unwrap().is_none(), "a part of it is not enough");
    shop.clear().await.unwrap();
    shop.set("x", "new".to_owned()).await.unwrap();
    assert_eq!(shop.get::<String>("x").await.unwrap().unwrap().as_str(), "new");
    rig.at_rest().await;
}

#[tokio::test]
async fn a_batch_reads_keys_in_doubt_at_once_not_one_after_the_other() {
    let rig = Rig::new();
    let keys: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    rig.store.once("delete_many", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete_many(&keys).await.iter().all(Result::is_err));
    rig.store.always("delete", Act::Hang);
    let cache = rig.cache.clone();
    let read = tokio::spawn(async move { cache.get_many::<u8>(&keys).await });
    until(|| rig.store.calls("delete") == 50).await;
    rig.clock.advance(TIMEOUT);
    assert!(read.await.unwrap().iter().all(|one| one.as_ref().unwrap().is_none()));
    // What replays them in the background has one of them in hand.
    settle().await;
    rig.clock.advance(TIMEOUT);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_key_in_doubt_still_has_one_load_at_a_time() {
    let rig = Rig::new();
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("a").await.is_err());
    let gate = Gate::new();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (cache, gate) = (rig.cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                cache
                    .get_or_load("a", || async move {
                        gate.pass().await;
                        fine(1_u8)
                    })
                    .await
                    .unwrap()
            })
        })
        .collect();
    gate.reached().await;
    settle().await;
    for _ in 0..50 {
        gate.open();
    }
    for task in tasks {
        assert_eq!(*task.await.unwrap(), 1);
    }
    assert_eq!(rig.cache.stats().loads, 1);
    rig.at_rest().await;
}

#[tokio::test]
async fn the_delete_that_settles_a_doubt_never_removes_what_was_written_after() {
    let rig = Rig::new();
    rig.store.once("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("lock").await.is_err());
    let gate = Gate::new();
    rig.store.once("delete", Act::Hold(Arc::clone(&gate)));
    let cache = rig.cache.clone();
    let reader = tokio::spawn(async move { cache.has("lock").await });
    gate.reached().await;
    // While the reader's delete is on its way, neither `add` nor `set` overtakes it.
    let cache = rig.cache.clone();
    let add = tokio::spawn(async move { cache.add("lock", "me".to_owned()).await });
    settle().await;
    assert!(!add.is_finished());
    gate.open();
    assert!(add.await.unwrap().unwrap());
    reader.await.unwrap().unwrap();
    assert!(rig.cache.has("lock").await.unwrap());
    assert!(!rig.cache.add("lock", "you".to_owned()).await.unwrap());
    rig.at_rest().await;
}

#[tokio::test]
async fn a_reader_that_goes_away_does_not_leave_the_key_locked() {
    let rig = Rig::with(Scripted::default(), |b| b);
    rig.store.once("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("a").await.is_err());
    let gate = Gate::new();
    rig.store.once("delete", Act::Hold(Arc::clone(&gate)));
    let cache = rig.cache.clone();
    let reader = tokio::spawn(async move { cache.has("a").await });
    gate.reached().await;
    reader.abort();
    assert!(reader.await.unwrap_err().is_cancelled());
    gate.open();
    rig.cache.set("a", 1_u8).await.unwrap();
    assert!(rig.cache.has("a").await.unwrap());
    rig.at_rest().await;
}
