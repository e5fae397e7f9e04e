//! A memcached of the tests' own, which keeps account of what is asked on which connection, and drops counters and
//! connections when it likes.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// How often it does so: once in so many commands, by chance.
#[derive(Clone, Copy, Default)]
pub(crate) struct Whims {
    /// It has dropped what is under the key.
    pub(crate) evicts: Option<u64>,
    /// It closes the connection in place of acknowledging a write that it has made.
    pub(crate) cuts: Option<u64>,
}

pub(crate) struct Shelf {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

struct Kept {
    whims: Whims,
    entries: HashMap<String, (Vec<u8>, u64)>,
    /// The connections that a key was named on, by number.
    named: HashMap<String, HashSet<usize>>,
    /// The number of the last state.
    states: u64,
    /// The sum of all counters that were dropped.
    dropped: i64,
    random: u64,
}

impl Shelf {
    pub(crate) async fn start(whims: Whims) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Kept {
            whims,
            entries: HashMap::new(),
            named: HashMap::new(),
            states: 0,
            dropped: 0,
            random: 0x001a_4de4,
        };
        let kept = Arc::new(Mutex::new(kept));
        let serving = Arc::clone(&kept);
        // It ends with the runtime of its test.
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(serve(stream, connection, Arc::clone(&serving)));
            }
        });
        Self { address, kept }
    }

    /// The sum of the counters that are there, and of those that were dropped.
    pub(crate) fn sums(&self) -> (i64, i64) {
        let kept = self.kept.lock().unwrap();
        (kept.entries.values().map(|(bytes, _)| count(bytes)).sum(), kept.dropped)
    }

    /// The connections that each key was named on.
    pub(crate) fn named(&self) -> HashMap<String, HashSet<usize>> {
        self.kept.lock().unwrap().named.clone()
    }
}

/// A counter stands at the end of its entry.
fn count(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(*bytes.last_chunk().unwrap())
}

/// Ends when the other side does, or when it has had enough.
async fn serve(stream: TcpStream, connection: usize, kept: Arc<Mutex<Kept>>) {
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut body = Vec::new();
        if matches!(words[0], "set" | "add" | "cas") {
            body = vec![0; words[4].parse::<usize>().unwrap() + 2];
            if stream.read_exact(&mut body).await.is_err() {
                return;
            }
            body.truncate(body.len() - 2);
        }
        let answer = kept.lock().unwrap().answer(connection, &words, body);
        let Some(answer) = answer else { return };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

impl Kept {
    fn chance(&mut self, once_in: Option<u64>) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        once_in.is_some_and(|once_in| self.random.is_multiple_of(once_in))
    }

    fn values(&self, numbered: bool, keys: &[&str]) -> Vec<u8> {
        let mut answer = Vec::new();
        for key in keys {
            let Some((bytes, state)) = self.entries.get(*key) else { continue };
            let number = if numbered { format!(" {state}") } else { String::new() };
            answer.extend_from_slice(format!("VALUE {key} 0 {}{number}\r\n", bytes.len()).as_bytes());
            answer.extend_from_slice(bytes);
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(b"END\r\n");
        answer
    }

    /// `None` closes the connection.
    fn answer(&mut self, connection: usize, words: &[&str], body: Vec<u8>) -> Option<Vec<u8>> {
        if words[0] == "stats" {
            return Some(b"STAT item_size_max 1048576\r\nEND\r\n".to_vec());
        }
        let keys = if words[0].starts_with("get") { &words[1..] } else { &words[1..2] };
        for key in keys {
            self.named.entry((*key).to_owned()).or_default().insert(connection);
        }
        let key = words[1];
        if self.chance(self.whims.evicts)
            && let Some((bytes, _)) = self.entries.remove(key)
        {
            self.dropped += count(&bytes);
        }
        let found = self.entries.get(key).map(|(_, state)| *state);
        let may_write = match (words[0], found) {
            ("get" | "gets", _) => return Some(self.values(words[0] == "gets", keys)),
            ("delete", Some(_)) => {
                self.entries.remove(key);
                return Some(b"DELETED\r\n".to_vec());
            }
            ("delete", None) => return Some(b"NOT_FOUND\r\n".to_vec()),
            ("set", _) | ("add", None) => Ok(()),
            ("add", Some(_)) => Err("NOT_STORED\r\n"),
            ("cas", Some(state)) if words[5] == state.to_string() => Ok(()),
            ("cas", Some(_)) => Err("EXISTS\r\n"),
            ("cas", None) => Err("NOT_FOUND\r\n"),
            _ => panic!("{words:?}"),
        };
        if let Err(refusal) = may_write {
            return Some(refusal.into());
        }
        self.states += 1;
        self.entries.insert(key.to_owned(), (body, self.states));
        (!self.chance(self.whims.cuts)).then(|| b"STORED\r\n".to_vec())
    }
}
