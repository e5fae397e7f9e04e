//! What is sent, as the server sees it.

use std::{collections::BTreeSet, time::Duration};

use larder_core::{CacheStore, Expiry, Key};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{ALONE, FAR, bytes, patient, support};

/// The commands that a client in this database sends while `work` runs.
async fn sent(database: u32, work: impl Future<Output = ()>) -> BTreeSet<String> {
    let address = support::url(ALONE).trim_start_matches("redis://").to_owned();
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    stream.write_all(b"MONITOR\r\n").await.unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    assert_eq!(line, "+OK\r\n");
    work.await;
    let mut commands = BTreeSet::new();
    loop {
        line.clear();
        let read = tokio::time::timeout(Duration::from_millis(300), stream.read_line(&mut line));
        if !matches!(read.await, Ok(Ok(1..))) {
            return commands;
        }
        // `+1700000000.0 [11 127.0.0.1:4711] "GET" "key"`
        let (source, command) = line.split_once("] ").unwrap();
        if source.contains(&format!("[{database} ")) && !source.contains(" lua") {
            commands.insert(command.split('"').nth(1).unwrap().to_uppercase());
        }
    }
}

#[tokio::test]
async fn only_the_commands_of_the_readme_are_sent() {
    let work = async {
        let store = patient(support::builder(ALONE)).database(11).build().unwrap();
        let namespace = super::namespace("monitor");
        let key = |text: &str| Key::new(&namespace, text).unwrap();
        let (one, two) = (key("one"), key("two"));
        store.set(&one, bytes("value"), FAR).await.unwrap();
        store.get(&one).await.unwrap();
        store.has(&one).await.unwrap();
        store.get_many(&[one.clone(), two.clone()]).await;
        store.set_many(vec![(two.clone(), bytes("value"), Expiry::Never)]).await;
        store.add(&one, bytes("value"), FAR).await.unwrap();
        let (_, version) = store.get_versioned(&one).await.unwrap().unwrap();
        store.replace(&one, &version, bytes("new"), FAR).await.unwrap();
        store.increment(&key("counter"), 1, FAR).await.unwrap();
        store.touch(&one, FAR).await.unwrap();
        store.touch(&one, Expiry::Never).await.unwrap();
        store.expiry(&one).await.unwrap();
        store.keys(&namespace).await.unwrap();
        store.len().await.unwrap();
        store.ping(0).await.unwrap();
        store.delete(&one).await.unwrap();
        store.delete_many(&[two]).await;
        store.clear(&namespace).await.unwrap();
    };
    let commands = sent(11, work).await;
    let expected = [
        "CLIENT", "EVALSHA", "GET", "GETRANGE", "INFO", "MGET", "PERSIST", "PEXPIRE", "PING", "PTTL", "ROLE",
        "SCAN", "SELECT", "SET", "UNLINK",
    ];
    let expected: BTreeSet<String> = expected.map(str::to_owned).into();
    // The first of a kind of script is sent whole, if the server has forgotten it.
    let commands: BTreeSet<String> = commands.into_iter().filter(|name| name != "EVAL").collect();
    assert_eq!(commands, expected);
}
