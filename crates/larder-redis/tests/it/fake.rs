//! A server that answers what a test wants it to.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

type Answers = dyn Fn(&[String]) -> Option<&'static str> + Send + Sync;
type Delays = dyn Fn(&[String]) -> Duration + Send + Sync;

/// What it says of itself, but for its role.
const INFO: &str =
    "redis_version:7.0.15\r\nrun_id:0123456789abcdef\r\nmaster_replid:fedcba9876543210\r\nrole:";
/// What an answer ends with after which it hangs up.
pub(crate) const BYE: &str = "and bye";

/// What came in: the commands that are no part of connecting, and how many connections there were.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) commands: Vec<Vec<String>>,
    /// Over which connection each of the commands came.
    pub(crate) over: Vec<usize>,
    pub(crate) connections: usize,
    /// What it tells: whether it is a replica, and the ports of its own replicas.
    pub(crate) is_replica: bool,
    pub(crate) replicas: Vec<u16>,
}

impl Seen {
    fn info(&self) -> String {
        let info = format!("{INFO}{}\r\n", if self.is_replica { "slave" } else { "master" });
        format!("${}\r\n{info}\r\n", info.len())
    }

    fn role(&self) -> String {
        let replica = |port: &u16| {
            let port = port.to_string();
            format!("*3\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n$1\r\n0\r\n", port.len())
        };
        let replicas: Vec<String> = self.replicas.iter().map(replica).collect();
        format!("*3\r\n$6\r\nmaster\r\n:0\r\n*{}\r\n{}", replicas.len(), replicas.concat())
    }
}

pub(crate) struct Fake {
    pub(crate) url: String,
    pub(crate) seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Fake {
    /// Answers every command that is no part of connecting with these bytes, or never.
    pub(crate) async fn new(
        answers: impl Fn(&[String]) -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        Self::slow(|_| Duration::ZERO, answers).await
    }

    /// Rests so long before it answers a command, also one of those that are part of connecting.
    pub(crate) async fn slow(
        delays: impl Fn(&[String]) -> Duration + Send + Sync + 'static,
        answers: impl Fn(&[String]) -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Seen>>::default();
        let (answers, delays): (Arc<Answers>, Arc<Delays>) = (Arc::new(answers), Arc::new(delays));
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = shared.lock().unwrap().connections;
                shared.lock().unwrap().connections += 1;
                let (delays, answers) = (Arc::clone(&delays), Arc::clone(&answers));
                tokio::spawn(serve(stream, number, delays, answers, Arc::clone(&shared)));
            }
        });
        Self { url, seen, task }
    }

    /// How often a command came in.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.seen.lock().unwrap().commands.iter().filter(|command| command[0] == name).count()
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

/// What servers of a cluster answer to `CLUSTER SLOTS` who have these slots.
pub(crate) fn cluster_slots(owners: &[(u16, u16, u16)]) -> String {
    let range = |(first, last, port): &(u16, u16, u16)| {
        format!("*3\r\n:{first}\r\n:{last}\r\n*3\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$4\r\nname\r\n")
    };
    format!("*{}\r\n{}", owners.len(), owners.iter().map(range).collect::<String>())
}

/// What they answer to `CLUSTER INFO`.
pub(crate) const IS_WELL: &str = "$16\r\ncluster_state:ok\r\n";

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    stream: TcpStream,
    number: usize,
    delays: Arc<Delays>,
    answers: Arc<Answers>,
    seen: Arc<Mutex<Seen>>,
) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let count = length(&mut reader).await?;
        let mut words = Vec::new();
        for _ in 0..count {
            let length = length(&mut reader).await?;
            let mut word = vec![0; length + 2];
            reader.read_exact(&mut word).await.ok()?;
            words.push(String::from_utf8_lossy(&word[..length]).into_owned());
        }
        tokio::time::sleep(delays(&words)).await;
        let answer = match words[0].as_str() {
            "PING" => Some("+PONG\r\n".into()),
            "CLIENT" => Some(":1\r\n".into()),
            "INFO" => Some(seen.lock().unwrap().info().into()),
            "ROLE" => Some(seen.lock().unwrap().role().into()),
            _ => {
                let answer = answers(&words).map(Cow::Borrowed);
                let mut seen = seen.lock().unwrap();
                seen.commands.push(words);
                seen.over.push(number);
                answer
            }
        };
        match answer {
            // The one that hangs up.
            Some(nothing) if nothing.is_empty() => return None,
            Some(answer) => {
                let last = answer.strip_suffix(BYE);
                writer.write_all(last.unwrap_or(&answer).as_bytes()).await.ok()?;
                if last.is_some() {
                    return None;
                }
            }
            None => {}
        }
    }
}

/// The number of a line like `*3` or `$5`.
async fn length(reader: &mut BufReader<tokio::net::tcp::OwnedReadHalf>) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim().parse().ok()
}
