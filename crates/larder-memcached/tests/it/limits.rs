//! Sizes and times at their ends.

use std::{sync::Arc, time::Duration};

use larder_core::{CacheStore, ErrorKind, Expiry, ManualClock, Value};

use crate::{
    FAR, bytes, key, namespace, store,
    support::{self, ALONE, TLS},
    text,
};

fn large(length: usize) -> Value {
    Value::Bytes(vec![b'x'; length].into())
}

#[tokio::test]
async fn the_largest_value_fits_under_the_longest_key() {
    for variable in [ALONE, TLS] {
        let builder = support::builder(variable).unwrap().prefix("p".repeat(50));
        let store = builder.operation_timeout(Duration::from_secs(4)).build().unwrap();
        let longest = key(&namespace("limits"), &"k".repeat(10_000));
        let limit = store.capabilities().max_value_bytes().unwrap();
        store.set(&longest, large(limit), FAR).await.unwrap();
        assert!(matches!(store.get(&longest).await.unwrap(), Some(Value::Bytes(b)) if b.len() == limit));
    }
}

/// memcached drops the old value when it refuses a new one, and memcache-async says `Ok`.
#[tokio::test]
async fn a_value_over_the_limit_is_refused_before_the_server_drops_the_old_one() {
    let builder = support::builder(ALONE).unwrap().max_value_bytes(4 << 20);
    let store = builder.operation_timeout(Duration::from_secs(4)).build().unwrap();
    let key = key(&namespace("limits"), "key");
    store.set(&key, bytes("old"), FAR).await.unwrap();
    // Over our setting, and over what the server said it takes.
    for length in [5 << 20, 2 << 20] {
        let error = store.set(&key, large(length), FAR).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(store.add(&key, large(length), FAR).await.unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(text(&store, &key).await.as_deref(), Some("old"));
    }
    // To the byte: what the server takes is taken.
    let item_limit = 1 << 20;
    let most = item_limit - 59 - key.as_str().len() - 27;
    assert_eq!(store.set(&key, large(most + 1), FAR).await.unwrap_err().kind(), ErrorKind::TooLarge);
    store.set(&key, large(most), FAR).await.unwrap();
    assert!(matches!(store.get(&key).await.unwrap(), Some(Value::Bytes(bytes)) if bytes.len() == most));
}

#[tokio::test]
async fn thirty_days_and_the_end_of_the_servers_calendar_are_no_traps() {
    let store = store(ALONE);
    let space = namespace("limits");
    let day = Duration::from_hours(24);
    for (n, lifetime) in [Duration::from_secs(2_591_999), 30 * day, 31 * day, 3_650 * day, 50_000 * day]
        .into_iter()
        .enumerate()
    {
        let key = key(&space, &n.to_string());
        store.set(&key, bytes("here"), Expiry::After(lifetime)).await.unwrap();
        assert_eq!(text(&store, &key).await.as_deref(), Some("here"), "{lifetime:?}");
        let left = store.expiry(&key).await.unwrap().unwrap();
        let Expiry::After(left) = left else { panic!("{left:?}") };
        assert!(left <= lifetime && left + Duration::from_mins(1) > lifetime, "{left:?}");
    }
}

/// By its own count of seconds the server would end it within the second, or keep it into the next.
#[tokio::test]
async fn an_entry_lives_to_the_millisecond_whatever_the_server_counts() {
    let store = store(ALONE);
    let key = key(&namespace("limits"), "key");
    let start = std::time::Instant::now();
    store.set(&key, Value::Int(1), Expiry::After(Duration::from_millis(1_300))).await.unwrap();
    while start.elapsed() < Duration::from_millis(1_250) {
        let found = store.get(&key).await.unwrap();
        if start.elapsed() < Duration::from_millis(1_290) {
            assert!(found.is_some(), "{:?}", start.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert!(!store.has(&key).await.unwrap());
    assert_eq!(store.expiry(&key).await.unwrap(), None);
    assert!(!store.touch(&key, FAR).await.unwrap());
    assert!(!store.delete(&key).await.unwrap());
}

#[tokio::test]
async fn what_others_wrote_is_a_miss_and_can_be_replaced() {
    let (address, _) = support::address(ALONE).unwrap();
    let key = key(&namespace("limits"), "foreign");
    let mut other =
        tokio::net::TcpStream::connect(address.strip_prefix("memcached://").unwrap()).await.unwrap();
    let command = format!("set {} 0 0 7\r\nforeign\r\n", key.as_str());
    tokio::io::AsyncWriteExt::write_all(&mut other, command.as_bytes()).await.unwrap();
    let mut answer = [0; 8];
    tokio::io::AsyncReadExt::read_exact(&mut other, &mut answer).await.unwrap();
    assert_eq!(&answer, b"STORED\r\n");
    let store = store(ALONE);
    assert_eq!(text(&store, &key).await, None);
    assert_eq!(store.increment(&key, 3, FAR).await.unwrap(), 3);
    assert!(store.delete(&key).await.unwrap());
}

/// As one of another version of Larder would be, or one that was damaged.
#[tokio::test]
async fn an_entry_without_a_value_that_reads_is_missing_to_every_operation() {
    let (address, _) = support::address(ALONE).unwrap();
    let server = address.strip_prefix("memcached://").unwrap();
    let store = store(ALONE);
    let space = namespace("limits");
    let unread = async |text: &str| {
        let key = key(&space, text);
        // Without an end, of some version, and of a kind that nobody knows.
        let entry = [&[0xCA, 1][..], &[0xFF; 8], &[7; 16], b"?what"].concat();
        let mut other = tokio::net::TcpStream::connect(server).await.unwrap();
        let command =
            [format!("set {} 0 0 {}\r\n", key.as_str(), entry.len()).as_bytes(), &entry, b"\r\n"].concat();
        tokio::io::AsyncWriteExt::write_all(&mut other, &command).await.unwrap();
        let mut answer = [0; 8];
        tokio::io::AsyncReadExt::read_exact(&mut other, &mut answer).await.unwrap();
        assert_eq!(&answer, b"STORED\r\n");
        assert!(!store.has(&key).await.unwrap());
        assert!(store.get_versioned(&key).await.unwrap().is_none());
        key
    };
    assert!(!store.touch(&unread("touch").await, FAR).await.unwrap());
    assert!(!store.delete(&unread("delete").await).await.unwrap());
    assert_eq!(store.increment(&unread("increment").await, 3, FAR).await.unwrap(), 3);
    let added = unread("add").await;
    assert!(store.add(&added, bytes("new"), FAR).await.unwrap().is_some());
    assert_eq!(text(&store, &added).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn under_a_clock_moved_by_hand_the_server_ends_nothing() {
    let clock = ManualClock::default();
    let store = support::builder(ALONE).unwrap().clock(Arc::new(clock.clone())).build().unwrap();
    let key = key(&namespace("limits"), "key");
    store.set(&key, bytes("here"), Expiry::After(Duration::from_millis(1))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(text(&store, &key).await.as_deref(), Some("here"));
    clock.advance(Duration::from_millis(1));
    assert_eq!(text(&store, &key).await, None);
}
