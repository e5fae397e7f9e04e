//! A server that answers what a test wants it to.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

type Answers = dyn Fn(&[String]) -> Option<&'static str> + Send + Sync;

/// What came in: the commands that are no part of connecting, and how many connections there were.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) commands: Vec<Vec<String>>,
    pub(crate) connections: usize,
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Seen>>::default();
        let (answers, shared): (Arc<Answers>, _) = (Arc::new(answers), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, Arc::clone(&answers), Arc::clone(&shared)));
            }
        });
        Self { url, seen, task }
    }

    /// How often a command came in.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.seen.lock().unwrap().commands.iter().filter(|command| command[0] == name).count()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, answers: Arc<Answers>, seen: Arc<Mutex<Seen>>) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let count = number(&mut reader).await?;
        let mut words = Vec::new();
        for _ in 0..count {
            let length = number(&mut reader).await?;
            let mut word = vec![0; length + 2];
            reader.read_exact(&mut word).await.ok()?;
            words.push(String::from_utf8_lossy(&word[..length]).into_owned());
        }
        let answer = match words[0].as_str() {
            "PING" => Some("+PONG\r\n"),
            "CLIENT" => Some(":1\r\n"),
            "INFO" => Some("$21\r\nredis_version:7.0.15\n\r\n"),
            "ROLE" => Some("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"),
            _ => {
                let answer = answers(&words);
                seen.lock().unwrap().commands.push(words);
                answer
            }
        };
        match answer {
            // The one that hangs up.
            Some("") => return None,
            Some(answer) => writer.write_all(answer.as_bytes()).await.ok()?,
            None => {}
        }
    }
}

/// The number of a line like `*3` or `$5`.
async fn number(reader: &mut BufReader<tokio::net::tcp::OwnedReadHalf>) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim().parse().ok()
}
