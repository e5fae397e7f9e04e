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

#[tokio::test]
async fn an_answer_given_before_the_question_acknowledges_nothing() {
    let fake = Fake::start(Manner::Forward).await;
    let store = fake.builder().operation_timeout(LIMIT).build().unwrap();
    let key = key(&namespace("faults"), "key");
    let error = store.set(&key, bytes("value"), FAR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "nothing was sent: {error}");
}

#[tokio::test]
async fn a_connection_with_a_stray_byte_on_it_is_not_used_again() {
    let fake = Fake::start(Manner::Straying).await;
    let store = fake.builder().operation_timeout(LIMIT).build().unwrap();
    let key = key(&namespace("faults"), "key");
    for connections in 1..5 {
        assert!(store.get(&key).await.unwrap().is_none());
        assert_eq!(fake.accepted.load(Ordering::SeqCst), connections);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// It would be told that there is nothing on any connection, as it is to let others work first.
#[tokio::test]
async fn a_task_that_has_used_up_its_turn_sees_the_stray_byte_too() {
    let fake = Fake::start(Manner::Straying).await;
    let store = fake.builder().build().unwrap();
    let key = key(&namespace("faults"), "key");
    for connections in 1..5 {
        while tokio::task::coop::has_budget_remaining() {
            tokio::task::coop::consume_budget().await;
        }
        assert!(store.get(&key).await.unwrap().is_none());
        assert_eq!(fake.accepted.load(Ordering::SeqCst), connections);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// It reads alone, and is not there any more when its answer comes.
#[tokio::test]
async fn the_answer_to_a_caller_that_went_away_is_given_to_nobody_else() {
    let fake = Fake::start(Manner::Slow).await;
    let store = fake.builder().max_in_flight(2).operation_timeout(Duration::from_secs(4)).build().unwrap();
    let key = key(&namespace("faults"), "key");
    assert!(store.get(&key).await.unwrap().is_none());
    for _ in 0..4 {
        let given_up = tokio::time::timeout(Duration::from_millis(20), store.get(&key)).await;
        assert!(given_up.is_err());
        let asked = Instant::now();
        assert!(store.get(&key).await.unwrap().is_none());
        // The rest of the first answer's time, and all of its own.
        assert!(asked.elapsed() > Duration::from_millis(150), "{:?}", asked.elapsed());
    }
    assert_eq!(fake.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_read_alone_that_is_not_answered_ends_in_time() {
    let fake = Fake::start(Manner::Tiring).await;
    let store = fake.builder().operation_timeout(LIMIT).build().unwrap();
    let key = key(&namespace("faults"), "key");
    // The first read makes a connection, and the second has it for itself.
    for round in 1..=2 {
        assert!(store.get(&key).await.unwrap().is_none());
        let start = Instant::now();
        let read = tokio::time::timeout(LIMIT + Duration::from_secs(2), store.get(&key)).await;
        assert_eq!(kind(read.expect("it is timed by the store"), start), ErrorKind::Timeout);
        assert!(start.elapsed() >= LIMIT, "{:?}", start.elapsed());
        assert_eq!(fake.accepted.load(Ordering::SeqCst), round);
    }
}

/// Also where it is the first that nobody polls any more: the second, and its own place, do not depend on it.
#[tokio::test]
async fn a_read_alone_that_sleeps_holds_up_nobody() {
    let fake = Fake::start(Manner::Slow).await;
    let store = fake.builder().operation_timeout(Duration::from_secs(4)).build().unwrap();
    let key = key(&namespace("faults"), "key");
    assert!(store.get(&key).await.unwrap().is_none());
    let mut asleep = store.get(&key);
    let polled = std::future::poll_fn(|context| Poll::Ready(asleep.as_mut().poll(context)));
    assert!(polled.await.is_pending());
    assert!(store.get(&key).await.unwrap().is_none());
    assert!(store.get(&key).await.unwrap().is_none());
    assert!(asleep.await.unwrap().is_none());
}

#[tokio::test]
async fn a_read_alone_that_is_given_up_is_bounded_like_any_other() {
    let fake = Fake::start(Manner::SilentToWrites).await;
    let store = fake.builder().max_in_flight(1).operation_timeout(LIMIT).build().unwrap();
    let key = key(&namespace("faults"), "key");
    assert!(store.get(&key).await.unwrap().is_none());
    let mut first = store.set(&key, bytes("value"), FAR);
    let polled = std::future::poll_fn(|context| Poll::Ready(first.as_mut().poll(context)));
    assert!(polled.await.is_pending());
    assert_eq!(store.get(&key).await.unwrap_err().kind(), ErrorKind::Overloaded);
    drop(first);
}

/// The timer that the next attempt to connect waits for belonged to the runtime of a caller.
/// The timer of the reads before belongs to a runtime that has ended.
#[test]
fn a_read_alone_is_timed_also_after_the_runtime_of_the_last_one_ended() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    let key = key(&namespace("faults"), "key");
    let (fake, store) = first.block_on(async {
        let fake = Fake::start(Manner::Tiring).await;
        let store = fake.builder().operation_timeout(LIMIT).build().unwrap();
        assert!(store.get(&key).await.unwrap().is_none());
        (fake, store)
    });
    let second = runtime();
    // It has the connection for itself, and sets a timer.
    second.block_on(async {
        let read = tokio::time::timeout(LIMIT / 10, store.get(&key));
        assert!(read.await.is_err(), "the server says nothing");
    });
    drop(second);
    let read = async { tokio::time::timeout(LIMIT + Duration::from_secs(2), store.get(&key)).await };
    // The read before may take the connection with it, and then a new one answers.
    match first.block_on(read).expect("it is timed by the store") {
        Ok(found) => assert!(found.is_none()),
        Err(error) => assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error}"),
    }
    first.block_on(fake.stop());
}

#[test]
fn a_runtime_of_a_caller_that_ends_does_not_end_the_attempts_to_connect() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (lasting, passing) = (runtime(), runtime());
    let (fake, address) = lasting.block_on(async {
        let fake = Fake::start(Manner::Full).await;
        let address = fake.address;
        (fake, address)
    });
    let store = lasting.block_on(async { fake.builder().operation_timeout(LIMIT).build().unwrap() });
    let key = key(&namespace("faults"), "key");
    assert!(lasting.block_on(store.get(&key)).unwrap().is_none());
    lasting.block_on(fake.stop());
    let error = passing.block_on(store.get(&key)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    drop(passing);
    lasting.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let came = tokio::time::timeout(Duration::from_secs(5), listener.accept()).await;
        assert!(came.is_ok(), "nobody tries to connect any more");
    });
}

/// The client crate reads ahead: what lies behind the answer to a multi-get would be in its buffer, out of sight.
#[tokio::test]
async fn one_answer_too_many_ends_the_connection_however_many_keys_were_asked_for() {
    let fake = Fake::start(Manner::Twice).await;
    let store = fake.builder().operation_timeout(LIMIT).build().unwrap();
    let keys: Vec<_> = (0..3).map(|n| key(&namespace("faults"), &n.to_string())).collect();
    for connections in 1..4 {
        for result in store.get_many(&keys[connections % 2..]).await {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
        }
        assert!(store.get(&keys[0]).await.unwrap().is_none());
        assert_eq!(store.get(&keys[0]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

/// The client crate would make room for it, and the process would end.
#[tokio::test]
async fn a_server_that_promises_too_much_is_believed_nothing() {
    let fake = Fake::start(Manner::Boastful).await;
    let store = fake.builder().operation_timeout(LIMIT).build().unwrap();
    let keys: Vec<_> = (0..3).map(|n| key(&namespace("faults"), &n.to_string())).collect();
    for result in store.get_many(&keys).await {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(store.get(&keys[0]).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
