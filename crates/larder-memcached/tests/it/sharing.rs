//! Several stores on the same servers, and several servers in one store.

use std::{collections::HashSet, sync::Arc, time::Duration};

use larder_core::{CacheStore, Hazard, Value};
use larder_memcached::MemcachedStore;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    FAR, bytes, key, namespace,
    shelf::{Shelf, Whims},
    store,
    support::{self, ALONE, THREE, UNIX},
    text,
};

/// What a server itself says to a command.
async fn ask(server: &str, command: &str) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(command.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"END\r\n") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn different_prefixes_never_see_each_other() {
    let open = |prefix: &str| support::builder(ALONE).unwrap().prefix(prefix).build().unwrap();
    let stores = [open("a:"), open("b:"), open(""), open("a:1")];
    let key = key(&namespace("prefix"), "key");
    for (n, store) in stores.iter().enumerate() {
        assert!(store.add(&key, bytes(&n.to_string()), FAR).await.unwrap().is_some());
    }
    for (n, store) in stores.iter().enumerate() {
        assert_eq!(text(store, &key).await, Some(n.to_string()));
        assert!(store.delete(&key).await.unwrap());
    }
}

#[tokio::test]
async fn a_key_is_on_the_server_that_answers_for_it_and_on_no_other() {
    let store = store(THREE);
    let (servers, space) = (store.servers(), namespace("ring"));
    let mut used = [0; 3];
    for n in 0..60 {
        let key = key(&space, &n.to_string());
        store.set(&key, bytes("here"), FAR).await.unwrap();
        let own = store.server_of(&key);
        used[own] += 1;
        for (at, server) in servers.iter().enumerate() {
            let has = ask(server, &format!("get {}\r\n", key.as_str())).await.starts_with("VALUE");
            assert_eq!(has, at == own);
        }
    }
    assert!(used.iter().all(|count| *count > 0), "{used:?}");
}

/// Whatever is done with it, and by however many callers: so nothing overtakes anything of the same key.
#[tokio::test(flavor = "multi_thread")]
async fn all_operations_on_a_key_go_over_one_connection_of_several() {
    let shelf = Shelf::start(Whims::default()).await;
    let builder = MemcachedStore::builder(format!("memcached://{}", shelf.address)).lanes(3);
    let store = Arc::new(builder.operation_timeout(Duration::from_secs(4)).build().unwrap());
    let space = namespace("lanes");
    let keys: Arc<Vec<_>> = Arc::new((0..40).map(|n| key(&space, &n.to_string())).collect());
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (store, keys) = (Arc::clone(&store), Arc::clone(&keys));
            tokio::spawn(async move {
                for key in &*keys {
                    store.set(key, Value::Int(1), FAR).await.unwrap();
                    store.increment(key, 1, FAR).await.unwrap();
                    store.touch(key, FAR).await.unwrap();
                    let seen = store.get_versioned(key).await.unwrap();
                    if let Some((_, version)) = seen {
                        store.replace(key, &version, Value::Int(2), FAR).await.unwrap();
                    }
                    store.delete(key).await.unwrap();
                    store.add(key, Value::Int(3), FAR).await.unwrap();
                }
                assert!(store.get_many(&keys).await.iter().all(Result::is_ok));
                assert!(store.delete_many(&keys).await.iter().all(Result::is_ok));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let named = shelf.named();
    assert_eq!(named.len(), keys.len());
    assert!(named.values().all(|connections| connections.len() == 1), "{named:?}");
    let used: HashSet<_> = named.values().flatten().collect();
    assert_eq!(used.len(), 3);
}

#[tokio::test]
async fn the_order_of_the_servers_does_not_matter_and_a_weight_does() {
    let places = |address: &str| {
        let store = MemcachedStore::connect(address).unwrap();
        let space = larder_core::Namespace::root();
        (0..500)
            .map(|n| store.servers()[store.server_of(&key(&space, &n.to_string()))].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(places("memcached://a:1,b:2,c:3"), places("memcached://c:3,a:1,b:2"));
    let heavy = places("memcached://a:1*8,b:2").into_iter().filter(|server| server == "a:1").count();
    assert!(heavy > 400, "{heavy}");
}

#[tokio::test]
async fn each_server_is_asked_whether_it_is_there() {
    for (variable, count) in [(THREE, 3), (UNIX, 1)] {
        let store = store(variable);
        for server in 0..count {
            store.ping(server).await.unwrap();
        }
        assert!(store.ping(count).await.is_err());
    }
}

/// One server of two is gone: by default its keys are errors, with `rehash` they are elsewhere.
#[tokio::test]
async fn keys_of_a_server_that_is_gone_move_only_if_that_was_asked_for() {
    let (there, _) = support::address(ALONE).unwrap();
    let address = format!("{there},127.0.0.1:1");
    for rehash in [false, true] {
        let store = MemcachedStore::builder(&address).rehash(rehash).build().unwrap();
        assert_eq!(store.guarantees().is_weakened_by(Hazard::Rehash), rehash);
        assert!(store.guarantees().is_weakened_by(Hazard::Stall));
        let space = namespace("rehash");
        let lost: Vec<_> =
            (0..100).map(|n| key(&space, &n.to_string())).filter(|key| store.server_of(key) == 1).collect();
        assert!(!lost.is_empty());
        for key in &lost {
            // The first attempts find out that it is gone.
            let _unknown = store.get(key).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for key in &lost {
            assert_eq!(store.server_of(key), usize::from(!rehash));
            assert_eq!(store.set(key, bytes("value"), FAR).await.is_ok(), rehash);
            assert_eq!(store.delete(key).await.is_ok(), rehash);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_store_leaves_no_connection_and_no_task() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (address, _) = support::address(ALONE).unwrap();
    let server = address.strip_prefix("memcached://").unwrap();
    // Connections of other tests come and go: these are recognised by their number.
    let count = async || {
        let stats = ask(server, "stats\r\n").await;
        let line =
            stats.lines().find_map(|line| line.strip_prefix("STAT curr_connections ")).unwrap().to_owned();
        line.trim().parse::<usize>().unwrap()
    };
    let stores: Vec<_> = (0..50).map(|_| store(ALONE)).collect();
    for store in &stores {
        store.ping(0).await.unwrap();
    }
    assert!(count().await >= 100);
    drop(stores);
    for _ in 0..200 {
        let left = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        if left == before && count().await < 100 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} connections, {:?}", count().await, tokio::runtime::Handle::current().metrics());
}
