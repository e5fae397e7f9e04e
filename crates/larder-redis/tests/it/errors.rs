//! What a server answers instead of doing it, and what it never answers.

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use larder_core::{CacheStore, ErrorKind, Expiry, Result, Value, Version};
use larder_redis::RedisStore;

use super::{FAR, bytes, fake::Fake, key};

fn over(fake: &Fake) -> RedisStore {
    RedisStore::builder(&fake.url).operation_timeout(Duration::from_millis(300)).build().unwrap()
}

/// Every write there is.
async fn writes(store: &RedisStore) -> Vec<(&'static str, Result<()>)> {
    let key = key("refused");
    let version = Version::new(b"\x01twelve bytes").unwrap();
    vec![
        ("set", store.set(&key, bytes("value"), FAR).await),
        ("delete", store.delete(&key).await.map(drop)),
        ("add", store.add(&key, bytes("value"), FAR).await.map(drop)),
        ("replace", store.replace(&key, &version, bytes("value"), FAR).await.map(drop)),
        ("increment", store.increment(&key, 1, FAR).await.map(drop)),
        ("touch", store.touch(&key, FAR).await.map(drop)),
        ("set_many", store.set_many(vec![(key.clone(), Value::Int(1), Expiry::Never)]).await.remove(0)),
        ("delete_many", store.delete_many(std::slice::from_ref(&key)).await.remove(0).map(drop)),
    ]
}

#[tokio::test]
async fn refusals_have_kinds_and_keep_their_cause() {
    for (answer, kind, retryable) in [
        ("-OOM command not allowed when used memory > 'maxmemory'.\r\n", ErrorKind::Overloaded, true),
        ("-LOADING Redis is loading the dataset in memory\r\n", ErrorKind::Unavailable, true),
        ("-MISCONF Redis is configured to save RDB snapshots\r\n", ErrorKind::Unavailable, true),
        ("-BUSY Redis is busy running a script\r\n", ErrorKind::Overloaded, true),
        ("-NOPERM this user has no permissions\r\n", ErrorKind::Config, false),
        ("-MOVED 1 127.0.0.1:1\r\n", ErrorKind::Unavailable, true),
    ] {
        let fake = Fake::new(move |_| Some(answer)).await;
        for (what, ended) in writes(&over(&fake)).await {
            let error = ended.unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{what}: {answer}: {error}");
            assert!(error.source().is_some(), "{what}");
        }
    }
}

#[tokio::test]
async fn read_only_makes_it_connect_anew() {
    let fake = Fake::new(|words| match words[0].as_str() {
        "GET" => Some("$-1\r\n"),
        _ => Some("-READONLY You can't write against a read only replica.\r\n"),
    })
    .await;
    let store = over(&fake);
    assert!(store.get(&key("warm")).await.unwrap().is_none());
    assert_eq!(fake.connections(), 1);
    let error = store.set(&key("refused"), bytes("value"), FAR).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error}");
    for _ in 0..200 {
        if fake.connections() > 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not connect anew");
}

/// The client sends what was in flight again, by its defaults: a counter then counts twice.
#[tokio::test]
async fn a_write_whose_connection_is_lost_is_sent_once_and_ambiguous() {
    let fake = Fake::new(|_| Some("")).await;
    let store = over(&fake);
    for (what, ended) in writes(&store).await {
        let error = ended.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Ambiguous, false), "{what}: {error}");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(fake.count("EVALSHA"), 2, "replace and increment, once each");
    assert_eq!(fake.count("SET"), 3, "set, add and set_many, once each");
    assert_eq!(fake.count("UNLINK"), 2, "delete and delete_many, once each");
}

#[tokio::test]
async fn silence_ends_in_time_and_a_write_is_ambiguous() {
    let fake = Fake::new(|_| None).await;
    let store = over(&fake);
    let key = key("silent");
    let start = Instant::now();
    assert_eq!(store.get(&key).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(
        store.get_many(&[key.clone(), key.clone()]).await.remove(1).unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert!(start.elapsed() < Duration::from_millis(1_200), "two reads took {:?}", start.elapsed());
    for write in ["set", "increment"] {
        let start = Instant::now();
        let error = match write {
            "set" => store.set(&key, bytes("value"), FAR).await.unwrap_err(),
            _ => store.increment(&key, 1, FAR).await.unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::Ambiguous, "{write}: {error}");
        assert!(start.elapsed() < Duration::from_millis(800), "{write} took {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn what_the_server_quotes_is_not_shown() {
    let answer = "-ERR unknown command 'SET', with args beginning with: 'precious-key' 'precious-value' \r\n";
    let fake = Fake::new(move |_| Some(answer)).await;
    for (what, ended) in writes(&over(&fake)).await {
        let error = ended.unwrap_err();
        let shown = format!("{error} {error:?} {}", error.source().unwrap());
        assert!(!shown.contains("precious"), "{what}: {shown}");
        assert_eq!(error.kind(), ErrorKind::Config, "{what}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_setting() {
    let (address, _) = super::support::url("LARDER_TEST_REDIS_TLS")
        .split_once('?')
        .map(|(a, q)| (a.to_owned(), q.to_owned()))
        .unwrap();
    let store = super::support::builder("LARDER_TEST_REDIS_TLS").password("hunter2").build().unwrap();
    let error = store.get(&key("login")).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Config, false), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    // The system does not vouch for the tests' own certificate.
    let error = match RedisStore::builder(&address).build() {
        Ok(store) => store.get(&key("certificate")).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}
