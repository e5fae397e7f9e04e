//! A server of the tests' own, which does what no healthy one does.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use larder_memcached::MemcachedStoreBuilder;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
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
}

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) accepted: Arc<AtomicUsize>,
}

impl Fake {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, manner));
            }
        });
        Self { address, accepted }
    }

    pub(crate) fn builder(&self) -> MemcachedStoreBuilder {
        larder_memcached::MemcachedStore::builder(format!("memcached://{}", self.address)).lanes(1)
    }
}

/// Ends when the other side does.
async fn serve(stream: TcpStream, manner: Manner) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        let answer = match (line.split_whitespace().next(), manner) {
            (Some("stats"), _) => "STAT item_size_max 1048576\r\nEND\r\n",
            (_, Manner::Closing) => return,
            (_, Manner::Mistaken) => "VALUE other 0 3\r\nfoo\r\nEND\r\n",
            (_, Manner::Babbling) => "the s3cret of somebody\r\n",
            (Some("set"), Manner::Full) => {
                // The value has no line end in it but the one behind it.
                stream.read_until(b'\n', &mut Vec::new()).await.unwrap();
                "SERVER_ERROR out of memory storing object\r\n"
            }
            (Some("get" | "gets"), Manner::SilentToWrites | Manner::Full) => "END\r\n",
            (_, Manner::Silent | Manner::SilentToWrites | Manner::Full) => continue,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
