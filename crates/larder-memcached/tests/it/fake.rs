//! A server of the tests' own, which does what no healthy one does.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_memcached::MemcachedStoreBuilder;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What it does with a command, after it has welcomed a connection.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// Nothing, as a stopped process.
    Silent,
    /// It closes the connection.
    Closing,
    /// It answers with the value of another key.
    Mistaken,
    /// It answers in words that are no protocol, and somebody's secret.
    Babbling,
    /// It has no memory.
    Full,
    /// It finds a read key missing, and says nothing to a write.
    SilentToWrites,
    /// It welcomes with an answer too many, and is silent then.
    Forward,
    /// It finds every key missing, and says so twice, but for the first key on a connection that is asked for alone.
    Twice,
    /// It finds every key missing, and says one byte more a moment later.
    Straying,
    /// It is about to answer with more than a machine holds.
    Boastful,
    /// It finds the first key on a connection missing, and is silent then.
    Tiring,
    /// It finds the keys that are asked for one by one missing, after a moment, and keeps silent about the rest.
    Slow,
}

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) accepted: Arc<AtomicUsize>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Fake {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let tasks = Arc::new(Mutex::new(JoinSet::new()));
        let serving = Arc::downgrade(&tasks);
        tasks.lock().unwrap().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let Some(tasks) = serving.upgrade() else { return };
                tasks.lock().unwrap().spawn(serve(stream, manner));
            }
        });
        Self { address, accepted, tasks }
    }

    /// Closes its port and its connections.
    pub(crate) async fn stop(self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        tasks.shutdown().await;
    }

    pub(crate) fn builder(&self) -> MemcachedStoreBuilder {
        larder_memcached::MemcachedStore::builder(format!("memcached://{}", self.address)).lanes(1)
    }
}

/// Ends when the other side does.
async fn serve(stream: TcpStream, manner: Manner) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut is_first = true;
    loop {
        line.clear();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        let answer = match (line.split_whitespace().next(), manner) {
            (Some("stats"), Manner::Forward) => "STAT item_size_max 1048576\r\nEND\r\nSTORED\r\n",
            (Some("stats"), _) => "STAT item_size_max 1048576\r\nEND\r\n",
            (_, Manner::Closing) => return,
            (_, Manner::Mistaken) => "VALUE other 0 3\r\nfoo\r\nEND\r\n",
            (_, Manner::Boastful) => "VALUE key 0 1000000000000000\r\nx",
            (_, Manner::Babbling) => "the s3cret of somebody\r\n",
            (Some("set"), Manner::Full) => {
                // Before the value stand bytes of chance, which may hold a line end.
                let length: usize = line.split_whitespace().nth(4).unwrap().parse().unwrap();
                stream.read_exact(&mut vec![0; length + 2]).await.unwrap();
                "SERVER_ERROR out of memory storing object\r\n"
            }
            (Some("get" | "gets"), Manner::SilentToWrites | Manner::Full) => "END\r\n",
            (Some("get"), Manner::Straying) => {
                let answered = stream.write_all(b"END\r\n").await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                if answered.is_err() {
                    return;
                }
                "\n"
            }
            (Some("get"), Manner::Tiring) if is_first => {
                is_first = false;
                "END\r\n"
            }
            (Some("get"), Manner::Twice) if line.split_whitespace().count() == 2 && is_first => {
                is_first = false;
                "END\r\n"
            }
            (Some("get"), Manner::Twice) => "END\r\nEND\r\n",
            (Some("get"), Manner::Slow) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                "END\r\n"
            }
            (
                _,
                Manner::Silent
                | Manner::SilentToWrites
                | Manner::Full
                | Manner::Forward
                | Manner::Straying
                | Manner::Tiring
                | Manner::Twice
                | Manner::Slow,
            ) => continue,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
