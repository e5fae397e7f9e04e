//! Commands and answers of Redis (RESP 2).

use std::io::{BufRead, BufReader, Read as _, Write as _};

use anyhow::{Context, Result, bail};

use super::Stream;

/// What Redis answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// A number.
    Int(i64),
    /// A status or a value; bytes that are no UTF-8 are replaced.
    Text(String),
    /// Several of them.
    List(Vec<Reply>),
    /// An error, beginning with its code.
    Error(String),
}

impl Reply {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The parts of a list; none of anything else.
    pub fn list(&self) -> &[Reply] {
        match self {
            Self::List(parts) => parts,
            _ => &[],
        }
    }

    /// An error of Redis as an error of ours.
    pub fn ok(self) -> Result<Self> {
        match self {
            Self::Error(text) => bail!("Redis said: {text}"),
            reply => Ok(reply),
        }
    }
}

/// A connection that asks one thing at a time.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<Box<dyn Stream>>);

impl Connection {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) fn ask(&mut self, words: &[&str]) -> Result<Reply> {
        let word = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
        let command = format!("*{}\r\n{}", words.len(), words.iter().map(word).collect::<String>());
        self.0.get_mut().write_all(command.as_bytes()).context("cannot send a command")?;
        self.reply()
    }

    fn reply(&mut self) -> Result<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line).context("no answer")?;
        let line = line.strip_suffix("\r\n").context("the connection ended in an answer")?;
        let (kind, rest) = line.split_at_checked(1).context("an empty line is no answer")?;
        let number = || rest.parse::<i64>().with_context(|| format!("no number in {line:?}"));
        Ok(match kind {
            "+" => Reply::Text(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Int(number()?),
            "$" => match usize::try_from(number()?) {
                Ok(length) => self.bytes(length)?,
                Err(_) => Reply::Nil,
            },
            "*" => match usize::try_from(number()?) {
                Ok(length) => Reply::List((0..length).map(|_| self.reply()).collect::<Result<_>>()?),
                Err(_) => Reply::Nil,
            },
            _ => bail!("{line:?} is no answer of Redis"),
        })
    }

    fn bytes(&mut self, length: usize) -> Result<Reply> {
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes).context("the connection ended in an answer")?;
        bytes.truncate(length);
        Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn answers_of_every_kind_are_read() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"*6\r\n+OK\r\n-ERR no\r\n:-7\r\n$2\r\n\r\n\r\n$-1\r\n*-1\r\n").unwrap();
        let reply = Connection::new(Box::new(ours)).ask(&["PING", ""]).unwrap();
        let [ok, error, int, text, nil, none] = reply.list() else { panic!("{reply:?}") };
        assert_eq!((ok.text(), text.text(), int.int()), (Some("OK"), Some("\r\n"), Some(-7)));
        assert_eq!(error.clone().ok().unwrap_err().to_string(), "Redis said: ERR no");
        assert_eq!((nil, none), (&Reply::Nil, &Reply::Nil));
    }
}
