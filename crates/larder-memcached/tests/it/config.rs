//! Settings that are wrong say which, and nothing says a password.

use std::time::Duration;

use larder_core::{CacheStore, ErrorKind};
use larder_memcached::{MemcachedStore, MemcachedStoreBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    key, namespace,
    support::{self, ALONE, TLS},
};

fn builder() -> MemcachedStoreBuilder {
    MemcachedStore::builder("memcached://127.0.0.1:1")
}

#[tokio::test]
async fn every_refusal_names_the_setting() {
    let hour = Duration::from_hours(1);
    for (builder, says) in [
        (builder().lanes(0), "`lanes` is 0: it must be from 1 to 8"),
        (builder().lanes(9), "`lanes`"),
        (builder().max_in_flight(0), "`max_in_flight`"),
        (builder().max_value_bytes(0), "`max_value_bytes`"),
        (builder().connect_timeout(Duration::ZERO), "`connect_timeout` is 0ns: it must be from 1ms to 600s"),
        (builder().operation_timeout(hour), "`operation_timeout`"),
        (builder().prefix("p".repeat(51)), "`prefix` has 51 bytes: the limit is 50"),
        (builder().prefix("a b"), "`prefix`"),
        (builder().prefix("a/"), "`prefix`"),
        (builder().ca("/nowhere.pem"), "`ca` is for TLS"),
        (builder().credentials("a b", "s3cret"), "`user` and `password`"),
        (MemcachedStore::builder("memcached://u:s3cret@a").credentials("u", "s3cret"), "`credentials`"),
        (MemcachedStore::builder("memcacheds://a").ca("/nowhere.pem"), "`ca`: not a readable PEM file"),
        (MemcachedStore::builder("memcached+sasl://u:s3cret@a"), "ASCII authentication, `memcached -Y FILE`"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{says}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error}{error:?}").contains("s3cret"), "{error}");
    }
}

#[test]
fn without_a_runtime_it_says_so() {
    let error = builder().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("Tokio runtime"), "{error}");
}

#[tokio::test]
async fn no_password_is_ever_shown() {
    let builder = MemcachedStore::builder("memcached://me:s3cret@127.0.0.1:1").prefix("app:");
    let shown = format!("{builder:?}");
    let store = builder.build().unwrap();
    let error = store.get(&key(&namespace("config"), "key")).await.unwrap_err();
    let all = format!("{shown} {store:?} {error} {error:?} {:?} {}", store.servers(), store.guarantees());
    assert!(!all.contains("s3cret"), "{all}");
    assert!(all.contains("127.0.0.1:1") && all.contains("app:"), "{all}");
}

#[tokio::test]
async fn who_is_not_let_in_hears_why() {
    let (address, ca) = support::address(TLS).unwrap();
    let ca = ca.unwrap().replace("ca=", "");
    let (scheme, server) = (address.split("://").next().unwrap(), address.rsplit('@').next().unwrap());
    let key = key(&namespace("config"), "key");
    for (credentials, says) in
        [("", "asks for a user and a password"), ("larder:wr0ng@", "refused the user or the password")]
    {
        let builder = MemcachedStore::builder(format!("{scheme}://{credentials}{server}"));
        let store = builder.ca(&ca).connect_timeout(Duration::from_secs(4)).build().unwrap();
        let error = store.get(&key).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error:?}").contains("wr0ng"), "{error:?}");
    }
}

/// It takes what greets it for any other entry, which everyone could read.
#[tokio::test]
async fn a_server_that_asks_nobody_for_a_password_keeps_none() {
    let (address, _) = support::address(ALONE).unwrap();
    let store = MemcachedStore::builder(&address).credentials("larder", "s3cret").build().unwrap();
    store.ping(0).await.unwrap();
    let mut stream =
        tokio::net::TcpStream::connect(address.strip_prefix("memcached://").unwrap()).await.unwrap();
    stream.write_all(b"get auth larder-auth\r\n").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"END\r\n", "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn certificates_are_verified() {
    let (address, _) = support::address(TLS).unwrap();
    // Nobody on this machine vouches for it; a machine that trusts nobody at all says so before.
    let builder = MemcachedStore::builder(address).connect_timeout(Duration::from_secs(4));
    let error = match builder.build() {
        Ok(store) => store.get(&key(&namespace("config"), "key")).await.unwrap_err(),
        Err(error) => error,
    };
    let expected = (error.kind(), error.to_string().contains("certificate"));
    assert!(matches!(expected, (ErrorKind::Unavailable | ErrorKind::Config, true)), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let (address, ca) = support::address(TLS).unwrap();
    let ca = ca.unwrap().replace("ca=", "");
    let (credentials, server) = address.rsplit_once('@').unwrap();
    let server = server.to_owned();
    // The same server under another address, which its certificate does not name.
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    let passing_on = tokio::spawn({
        let server = server.clone();
        async move {
            while let Ok((mut from, _)) = elsewhere.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    let mut to = tokio::net::TcpStream::connect(server).await.unwrap();
                    // It ends when the client refuses to go on.
                    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                });
            }
        }
    });
    let store = |server: &str| {
        let builder = MemcachedStore::builder(format!("{credentials}@{server}")).ca(&ca);
        builder
            .connect_timeout(Duration::from_secs(4))
            .operation_timeout(Duration::from_secs(8))
            .build()
            .unwrap()
    };
    let key = key(&namespace("config"), "key");
    store(&server).get(&key).await.unwrap();
    let error = store(&format!("127.0.0.2:{port}")).get(&key).await.unwrap_err();
    let shown = format!("{error:?}");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{shown}");
    assert!(shown.contains("NotValidForName") || shown.contains("not valid for name"), "{shown}");
    passing_on.abort();
}
