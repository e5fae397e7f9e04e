//! Loads whose stamps could not be read: they run, keep nothing, and nobody is given what they could not check.

use std::sync::Arc;

use larder_core::{ClearBy, EntryOptions, ErrorKind, Kept, NotKept, Source};

use crate::support::{Act, Cluster, Gate, Rig, load, load_with, settle};

const UNREADABLE: Source = Source::Loaded(Kept::No(NotKept::StampsUnreadable));
const LOADED: Source = Source::Loaded(Kept::Yes);

/// The read of the entry passes, that of its stamps fails.
fn fail_stamps(rig: &Rig) {
    rig.store.once("get", Act::Yield);
    rig.store.once("get", Act::Fail(ErrorKind::Unavailable));
}

#[tokio::test]
async fn an_invalidation_detaches_them_all_the_same() {
    for rig in [Rig::new(), Cluster::new().process()] {
        let (old, new) = (Gate::new(), Gate::new());
        fail_stamps(&rig);
        let leader = load_with(&rig, "a", EntryOptions::new().tag("t"), &old, "old");
        old.reached().await;
        rig.cache.invalidate_tags(["t"]).await.unwrap();
        let later = load_with(&rig, "a", EntryOptions::new().tag("t"), &new, "new");
        settle().await;
        assert_eq!(rig.cache.stats().joined, 0);
        old.open();
        new.open();
        let (leader, later) = (leader.await.unwrap().unwrap(), later.await.unwrap().unwrap());
        assert_eq!((leader.as_str(), leader.source()), ("old", UNREADABLE));
        assert_eq!((later.as_str(), later.source()), ("new", LOADED));
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn they_take_no_lease_that_nobody_could_check() {
    let cluster = Cluster::new();
    let build = || cluster.process_with(|builder| builder.clear_by(ClearBy::Stamps));
    let (a, b) = (build(), build());
    let (first, rest) = (Gate::new(), Gate::new());
    fail_stamps(&a);
    let leader = load(&a, "a", &first, "first");
    first.reached().await;
    assert!(cluster.stored(&a.cache, "a").await.is_none());
    // In its own process one more waits for it, for all; another process does not know.
    let waiting: Vec<_> = (0..10).map(|_| load(&a, "a", &rest, "second")).collect();
    settle().await;
    let elsewhere = load(&b, "a", &Arc::clone(&rest), "elsewhere");
    rest.reached().await;
    first.open();
    assert_eq!(leader.await.unwrap().unwrap().source(), UNREADABLE);
    rest.open();
    assert_eq!(elsewhere.await.unwrap().unwrap().source(), LOADED);
    for caller in waiting {
        assert_eq!(cluster.end(caller).await.unwrap().as_str(), "elsewhere");
    }
    assert_eq!((a.cache.stats().loads, b.cache.stats().loads), (1, 1));
}
