//! What a server answers instead of doing it, and what it never answers.

use std::{
    error::Error as _,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use larder_core::{CacheStore, ErrorKind, Expiry, Result, Value, Version};
use larder_redis::{
    RedisStore,
    fred::{
        clients::Pool,
        interfaces::ClientLike as _,
        types::config::{Config, ReconnectPolicy},
    },
};

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

/// By its defaults the client gives a connection up for such an answer, and hands it to everything in flight there. The server may have done
/// the rest by then, or do it yet.
#[tokio::test]
async fn a_refusal_that_a_client_hands_around_leaves_a_write_in_doubt() {
    for (refusal, is_handed_around) in [
        ("-LOADING Redis is loading the dataset in memory\r\n", true),
        ("-READONLY You can't write against a read only replica.\r\n", true),
        ("-OOM command not allowed when used memory > 'maxmemory'.\r\n", false),
    ] {
        let late = |words: &[String]| Duration::from_millis(if words[0] == "SET" { 200 } else { 0 });
        let fake = Fake::slow(late, move |words| match words[0].as_str() {
            "SET" => Some(refusal),
            _ => Some("$1\r\n1\r\n"),
        })
        .await;
        let policy = ReconnectPolicy::new_exponential(0, 50, 500, 2);
        let pool = Pool::new(Config::from_url(&fake.url).unwrap(), None, None, Some(policy), 1).unwrap();
        pool.connect();
        let store = super::patient(RedisStore::from_client(pool.clone())).build().unwrap();
        store.increment(&key("warm"), 1, FAR).await.unwrap();
        let (set, counted) = (key("refused"), key("counted"));
        let (set, counted) =
            tokio::join!(store.set(&set, bytes("value"), FAR), store.increment(&counted, 1, FAR));
        let set = set.unwrap_err();
        if is_handed_around {
            assert_eq!((set.kind(), set.is_retryable()), (ErrorKind::Ambiguous, false), "{set}");
            let counted = counted.unwrap_err();
            assert_eq!((counted.kind(), counted.is_retryable()), (ErrorKind::Ambiguous, false), "{counted}");
            assert!(counted.source().is_some());
        } else {
            assert_eq!(set.kind(), ErrorKind::Overloaded, "{set}");
            assert_eq!(counted.unwrap(), 1);
        }
        pool.quit().await.unwrap();
    }
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

/// The client asks for the replicas of a server it has just connected to, does not wait for ever, and, by its defaults, goes on
/// with a connection on which that answer is still to come: it is then taken for the one to the next command, and so on.
#[tokio::test]
async fn a_late_answer_while_connecting_mixes_nothing_up() {
    let first = AtomicBool::new(true);
    let fake = Fake::slow(
        move |words| match words[0].as_str() {
            "ROLE" if first.swap(false, Ordering::Relaxed) => Duration::from_millis(600),
            _ => Duration::ZERO,
        },
        |words| match words.get(3)?.chars().last()? {
            '1' => Some("$1\r\n1\r\n"),
            '2' => Some("$1\r\n2\r\n"),
            _ => None,
        },
    )
    .await;
    let store = over(&fake);
    let namespace = super::namespace("late");
    let (mut answered, start) = ([0; 3], Instant::now());
    while answered[1] < 20 || answered[2] < 20 {
        assert!(start.elapsed() < Duration::from_secs(20), "{answered:?}");
        for number in [1, 2] {
            let key = larder_core::Key::new(&namespace, &format!("k{number}")).unwrap();
            match store.increment(&key, 0, FAR).await {
                Ok(count) => {
                    assert_eq!(count, number, "the answer to another command");
                    answered[usize::try_from(number).unwrap()] += 1;
                }
                Err(error) => assert_ne!(error.kind(), ErrorKind::Config, "{error}"),
            }
        }
    }
}

/// Asking the server for its run is part of the operation's time.
#[tokio::test]
async fn a_distrustful_read_ends_in_time() {
    let rest = Duration::from_millis(250);
    let delays = move |words: &[String]| if words[0] == "INFO" { rest } else { Duration::ZERO };
    let fake = Fake::slow(delays, |_| None).await;
    let store = RedisStore::builder(&fake.url)
        .on_rollback(larder_redis::OnRollback::Distrust)
        .operation_timeout(Duration::from_millis(700))
        .connect_timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    while store.ping(0).await.is_err() {}
    let start = Instant::now();
    assert_eq!(store.get(&key("distrust")).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(start.elapsed() < Duration::from_secs(1), "it took {:?}", start.elapsed());
}

/// Nothing that fits no command may count as an acknowledgement, and the connection it came on is not used again.
#[tokio::test]
async fn an_answer_to_something_else_acknowledges_no_write() {
    for answer in ["+PONG\r\n", "$2\r\nno\r\n", "*1\r\n:1\r\n", "*0\r\n"] {
        let fake = Fake::new(move |_| Some(answer)).await;
        let store = over(&fake);
        for (what, ended) in writes(&store).await {
            let error = ended.expect_err(what);
            assert_eq!(
                (error.kind(), error.is_retryable()),
                (ErrorKind::Ambiguous, false),
                "{what}: {answer}"
            );
        }
        assert!(fake.connections() > 1, "{answer}: it stays on the connection");
    }
    let fake = Fake::new(|_| Some("$-1\r\n")).await;
    let error = over(&fake).set(&key("null"), bytes("value"), FAR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous, "only `add` can be told that something is there");
}

/// One that has become a replica may serve what was deleted.
#[tokio::test]
async fn a_replica_is_not_trusted() {
    let fake = Fake::new(|_| Some("$-1\r\n")).await;
    fake.seen.lock().unwrap().is_replica = true;
    let distrust = larder_redis::OnRollback::Distrust;
    let store = super::patient(RedisStore::builder(&fake.url)).on_rollback(distrust).build().unwrap();
    let error = store.get(&key("demoted")).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error}");
    let start = Instant::now();
    while fake.connections() < 2 {
        assert!(start.elapsed() < Duration::from_secs(10), "it did not connect anew");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(fake.count("GET"), 0);
}

/// The replicas that confirm over a new connection may be those of another server.
#[tokio::test]
async fn a_write_confirmed_over_another_connection_is_ambiguous() {
    let fake = Fake::new(|words| match words[0].as_str() {
        "SET" => Some("+OK\r\nand bye"),
        "UNLINK" => Some(":1\r\nand bye"),
        _ => Some(":1\r\n"),
    })
    .await;
    let store = super::patient(RedisStore::builder(&fake.url)).wait_replicas(1).build().unwrap();
    let key = key("confirmed");
    for round in 0..20 {
        let error = match round % 2 {
            0 => store.set(&key, bytes("value"), FAR).await.unwrap_err(),
            _ => store.delete(&key).await.unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::Ambiguous, "{round}: {error}");
    }
    assert!(fake.count("WAIT") > 0, "no write was confirmed at all");
}

/// Goes between a client and a server, under an address of its own.
async fn forward(from: &str, to: String) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind((from, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                // Whoever hangs up first ends it.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let url = super::support::url("LARDER_TEST_REDIS_TLS");
    let (address, query) = url.split_once('?').unwrap();
    let (login, host) = address.split_once('@').unwrap();
    let ca = query.strip_prefix("ca=").unwrap();
    let port = host.split_once(':').unwrap().1;
    let at = |address: std::net::SocketAddr| {
        super::patient(RedisStore::builder(&format!("{login}@{address}"))).ca(ca).build().unwrap()
    };
    // It is good for `localhost` and 127.0.0.1.
    let right = at(forward("127.0.0.1", format!("127.0.0.1:{port}")).await);
    right.set(&key("name"), bytes("value"), FAR).await.unwrap();
    let wrong = at(forward("127.0.0.2", format!("127.0.0.1:{port}")).await);
    let error = wrong.set(&key("name"), bytes("value"), FAR).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Config, false), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}
