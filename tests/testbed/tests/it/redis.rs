//! Redis behind Sentinel and as a Cluster: what fault suites do to them.

use std::time::Duration;

use larder_testbed::{RedisCluster, RedisSentinel, Reply, Run, slot_of};

const SOON: Duration = Duration::from_secs(30);
/// A sentinel that stood still for 2 s, paused or starved, does nothing for the next 30 s.
const AFTER_TILT: Duration = Duration::from_secs(90);

#[test]
fn sentinel() {
    let run = Run::new().unwrap();
    let all = RedisSentinel::start(&run).unwrap();
    let ports: Vec<String> = all.sentinels().iter().map(|s| format!("127.0.0.1:{}", s.port())).collect();
    assert_eq!(all.url(), format!("redis+sentinel://{}/larder", ports.join(",")));
    assert_eq!(all.primary().unwrap(), 0);
    assert_eq!(all.nodes()[0].command(&["SET", "k", "v"]).unwrap().text(), Some("OK"));
    let refused = all.nodes()[1].command(&["SET", "k", "w"]).unwrap();
    assert!(matches!(refused, Reply::Error(text) if text.starts_with("READONLY")));

    // Asked for.
    all.fail_over().unwrap();
    let second = all.primary().unwrap();
    assert_ne!(second, 0);
    assert_eq!(all.nodes()[second].command(&["SET", "k", "x"]).unwrap().text(), Some("OK"));
    all.wait_until_whole(SOON).unwrap();

    // Forced, with one sentinel paused; and the old primary comes back, before that sentinel does.
    all.sentinels()[0].pause().unwrap();
    all.nodes()[second].kill();
    let third = all.wait_for_new_primary(second, SOON).unwrap();
    assert_ne!(third, second);
    assert_eq!(all.nodes()[third].command(&["SET", "k", "y"]).unwrap().text(), Some("OK"));
    all.nodes()[second].start().unwrap();
    all.sentinels()[0].resume();
    all.wait_until_whole(AFTER_TILT).unwrap();
    // Whom the one that slept made them choose is Sentinel's affair: there is one primary, and the others follow it.
    let primary = all.primary().unwrap();
    for (at, node) in all.nodes().iter().enumerate() {
        let role = node.command(&["ROLE"]).unwrap();
        assert_eq!(role.list()[0].text(), Some(if at == primary { "master" } else { "slave" }), "node {at}");
    }
}

#[test]
fn cluster() {
    let run = Run::new().unwrap();
    let cluster = RedisCluster::start(&run).unwrap();
    let ports: Vec<String> = cluster.nodes()[..3].iter().map(|n| format!("127.0.0.1:{}", n.port())).collect();
    assert_eq!(cluster.url(), format!("redis+cluster://{}", ports.join(",")));
    let mut primaries = cluster.primaries().unwrap();
    primaries.sort_unstable();
    assert_eq!(primaries, [0, 1, 2]);
    let slot = slot_of("k");
    let owner = cluster.owner_of(slot).unwrap();
    let get = |node: usize| cluster.nodes()[node].command(&["GET", "k"]).unwrap();
    assert_eq!(cluster.nodes()[owner].command(&["SET", "k", "v"]).unwrap().text(), Some("OK"));

    // A slot on its way, and moved.
    let target = (owner + 1) % 3;
    cluster.begin_migration(slot, target).unwrap();
    let absent = cluster.nodes()[owner].command(&["GET", &format!("{{k}}{}", "absent")]).unwrap();
    assert!(
        matches!(absent, Reply::Error(text) if text == format!("ASK {slot} {}", cluster.nodes()[target].address()))
    );
    assert_eq!(get(owner).text(), Some("v"));
    cluster.finish_migration(slot, target).unwrap();
    cluster.wait_until_ok(SOON).unwrap();
    assert_eq!(cluster.owner_of(slot).unwrap(), target);
    assert_eq!(get(target).text(), Some("v"));
    assert!(matches!(get(owner), Reply::Error(text) if text.starts_with("MOVED")));
    cluster.migrate_slot(slot, owner).unwrap();
    assert_eq!(get(owner).text(), Some("v"));

    // Asked for.
    let replica = cluster.fail_over(owner).unwrap();
    assert_eq!(cluster.owner_of(slot).unwrap(), replica);
    assert_eq!(get(replica).text(), Some("v"));

    // Forced: the one that was demoted takes over again.
    cluster.nodes()[replica].kill();
    assert!(cluster.wait_until_ok(Duration::ZERO).is_err(), "a node is down, and has slots");
    cluster.wait_until_ok(SOON).unwrap();
    assert_eq!(cluster.owner_of(slot).unwrap(), owner);
    assert_eq!(get(owner).text(), Some("v"));
    cluster.nodes()[replica].start().unwrap();
    cluster.wait_until_ok(SOON).unwrap();
}
