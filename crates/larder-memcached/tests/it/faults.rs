//! Servers that are gone, silent or wrong, each with the error it must give, in time.

use std::{
    sync::atomic::Ordering,
    task::Poll,
    time::{Duration, Instant},
};

use larder_core::{CacheStore, ErrorKind, Operations, Result};

use crate::{
    FAR, bytes,
    fake::{Fake, Manner},
    key, namespace,
};

const LIMIT: Duration = Duration::from_millis(300);

/// The kinds of errors of a read, of a plain write, and of a write that must happen once.
async fn kinds(manner: Manner) -> [ErrorKind; 4] {
    let fake = Fake::start(manner).await;
    let store = fake.builder().operation_timeout(LIMIT).connect_timeout(LIMIT).build().unwrap();
    assert!(store.capabilities().supports(Operations::INCREMENT));
    let key = key(&namespace("faults"), "secret-key");
    let start = Instant::now();
    let read = kind(store.get(&key).await, start);
    let write = kind(store.set(&key, bytes("s3cret"), FAR).await, Instant::now());
    let delete = kind(store.delete(&key).await, Instant::now());
    let count = kind(store.increment(&key, 1, FAR).await, Instant::now());
    [read, write, delete, count]
}

fn kind<T>(result: Result<T>, start: Instant) -> ErrorKind {
    let Err(error) = result else { panic!("an operation on a broken server succeeded") };
    // Far more than it may take, for a machine that is busy with other things.
    assert!(start.elapsed() < LIMIT + Duration::from_secs(2), "{:?}", start.elapsed());
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("secret-key"), "{shown}");
    error.kind()
}

#[tokio::test]
async fn a_stopped_server_is_never_taken_for_a_success() {
    use ErrorKind::{Ambiguous, Timeout};
    // memcache-async alone says `Ok` to a `set` and a `delete` here.
    assert_eq!(kinds(Manner::Silent).await, [Timeout, Ambiguous, Ambiguous, Timeout]);
}

#[tokio::test]
async fn a_lost_connection_says_what_may_have_happened() {
    use ErrorKind::{Ambiguous, Unavailable};
    assert_eq!(kinds(Manner::Closing).await, [Unavailable, Ambiguous, Ambiguous, Unavailable]);
}

#[tokio::test]
async fn the_answer_to_another_question_reaches_nobody() {
    use ErrorKind::{Ambiguous, Unavailable};
    assert_eq!(kinds(Manner::Mistaken).await, [Unavailable, Ambiguous, Ambiguous, Unavailable]);
}

#[tokio::test]
async fn what_is_no_answer_is_not_quoted() {
    use ErrorKind::{Ambiguous, Unavailable};
    assert_eq!(kinds(Manner::Babbling).await, [Unavailable, Ambiguous, Ambiguous, Unavailable]);
}

#[tokio::test]
async fn an_increment_is_in_doubt_only_once_it_was_written() {
    let fake = Fake::start(Manner::SilentToWrites).await;
    let store = fake.builder().operation_timeout(LIMIT).build().unwrap();
    let counter = key(&namespace("faults"), "counter");
    let error = store.increment(&counter, 1, FAR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_full_server_is_overloaded_and_stays_connected() {
    let fake = Fake::start(Manner::Full).await;
    let store = fake.builder().build().unwrap();
    let key = key(&namespace("faults"), "key");
    for _ in 0..5 {
        let error = store.set(&key, bytes("value"), FAR).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Overloaded, true));
        assert!(store.get(&key).await.unwrap().is_none());
    }
    assert_eq!(fake.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_at_once_and_is_found_when_it_comes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let store = larder_memcached::MemcachedStore::connect(&format!("memcached://{address}")).unwrap();
    let key = key(&namespace("faults"), "key");
    for _ in 0..50 {
        let error = store.get(&key).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(std::error::Error::source(&error).is_some());
    }
    assert!(store.ping(0).await.is_err());
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let (came, after) = tokio::time::timeout(Duration::from_secs(5), async {
        let start = Instant::now();
        // Nobody asks for anything: it comes by itself.
        let came = listener.accept().await.is_ok();
        (came, start.elapsed())
    })
    .await
    .unwrap();
    assert!(came && after < Duration::from_secs(2), "{after:?}");
}

#[tokio::test]
async fn more_operations_than_allowed_are_refused_at_once() {
    use ErrorKind::{Overloaded, Timeout};
    let fake = Fake::start(Manner::Silent).await;
    let store = fake.builder().max_in_flight(3).operation_timeout(LIMIT).build().unwrap();
    let keys: Vec<_> = (0..5).map(|n| key(&namespace("faults"), &n.to_string())).collect();
    let kinds: Vec<_> =
        store.get_many(&keys).await.into_iter().map(|result| result.unwrap_err().kind()).collect();
    assert_eq!(kinds, [Timeout, Timeout, Timeout, Overloaded, Overloaded]);
    // The places are free again.
    assert_eq!(store.get(&keys[0]).await.unwrap_err().kind(), Timeout);
}

/// A caller that began to wait and is never polled again must not hold up anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_sleeps_holds_up_nobody() {
    let store = crate::store(crate::support::ALONE);
    let (lazy, busy) = (key(&namespace("faults"), "lazy"), key(&namespace("faults"), "busy"));
    store.set(&busy, bytes("here"), FAR).await.unwrap();
    for _ in 0..50 {
        let keys = vec![lazy.clone(); 64];
        let mut asleep = store.get_many(&keys);
        let polled = std::future::poll_fn(|context| Poll::Ready(asleep.as_mut().poll(context)));
        let early = polled.await;
        assert!(store.has(&busy).await.unwrap());
        let found = match early {
            Poll::Ready(found) => found,
            Poll::Pending => asleep.await,
        };
        assert!(found.iter().all(|found| matches!(found, Ok(None))));
    }
}
