//! What a cache says it promises, by store and setting.

use std::time::Duration;

use larder_core::{Cache, ClearBy, Coalesce, Hazard};

use crate::support::{Cluster, Rig};

fn says(cache: &Cache, words: &str) -> bool {
    cache.guarantees().promises().iter().any(|promise| promise.contains(words))
}

#[tokio::test]
async fn a_shared_store_with_versions_fences_all_processes_as_its_setting_says() {
    let cluster = Cluster::new();
    let settings = [
        (Coalesce::Cluster, "one load of a key at a time in all processes"),
        (Coalesce::Process, "one load of a key at a time in each process"),
        (Coalesce::Off, "no caller waits for another's load"),
    ];
    for (coalesce, _) in settings {
        let rig = cluster.process_with(|builder| builder.coalesce(coalesce));
        assert!(says(&rig.cache, "the same between all processes"), "{coalesce:?}");
        for (other, of_other) in settings {
            assert_eq!(says(&rig.cache, of_other), other == coalesce, "{coalesce:?} says {of_other:?}");
        }
        assert!(rig.cache.guarantees().is_weakened_by(Hazard::ClockSkew), "{coalesce:?}");
        assert!(!rig.cache.guarantees().is_weakened_by(Hazard::Processes), "{coalesce:?}");
    }
}

#[tokio::test]
async fn stamps_that_may_be_old_weaken_it_and_the_remedy_is_named() {
    let rig = Cluster::new().process_with(|builder| builder.stamp_staleness(Duration::from_secs(1)));
    let guarantees = rig.cache.guarantees();
    let weakness = guarantees.weaknesses().iter().find(|weakness| weakness.hazard() == Hazard::Processes);
    let weakness = weakness.expect("another process's invalidation is noticed late");
    assert!(weakness.what().contains("1s"), "{}", weakness.what());
    assert_eq!(weakness.remedy(), Some("stamp_staleness = 0"));
}

#[tokio::test]
async fn a_clear_by_stamps_is_promised_at_once_and_only_then() {
    let by_stamps = Cluster::new().process_with(|builder| builder.clear_by(ClearBy::Stamps));
    assert!(says(&by_stamps.cache, "`clear` takes effect at once"));
    assert!(!says(&Cluster::new().process().cache, "`clear` takes effect at once"));
}

#[tokio::test]
async fn a_store_of_one_process_promises_for_that_one() {
    let guarantees = Rig::new().cache.guarantees();
    assert!(guarantees.promises().iter().any(|promise| promise.starts_with("in this process")));
    assert!(!guarantees.promises().iter().any(|promise| promise.contains("processes")));
    assert!(!guarantees.is_weakened_by(Hazard::ClockSkew));
}
