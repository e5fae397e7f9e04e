//! What a server answers to the commands that the client crate does not read answers to.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};

/// What the next answer on a connection belongs to.
#[derive(Debug)]
pub(crate) enum Expected {
    /// One line.
    Line,
    /// The answer to `gets` of this one key.
    Item(String),
    /// The answer to `stats settings`.
    Settings,
}

/// One answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Stored,
    NotStored,
    Exists,
    NotFound,
    Deleted,
    Version,
    /// A refusal that leaves the connection in step.
    TooLarge,
    OutOfMemory,
    /// A line that says that something went wrong: whether the connection is in step is unknown.
    Failed(String),
    /// The bytes and the number of this state of them.
    Item(Option<(Bytes, u64)>),
    /// The largest item, where the server said it.
    Settings(Option<usize>),
}

/// Longer lines than this are no answers.
const LONGEST_LINE: usize = 2_048;
/// How much of a server's complaint is passed on.
const LONGEST_COMPLAINT: usize = 120;
/// What memcached can be configured to take at most.
const LARGEST_VALUE: usize = 1 << 30;

impl Expected {
    /// Takes the answer off the front of what was read; `None` while it is not complete. Anything but an answer of this
    /// shape is an error, after which nothing on this connection can be trusted.
    pub(crate) fn take(&self, input: &mut BytesMut) -> io::Result<Option<Reply>> {
        match self {
            Self::Line => {
                let Some((line, length)) = line(input)? else { return Ok(None) };
                let reply = of_line(line)?;
                input.advance(length);
                Ok(Some(reply))
            }
            Self::Item(key) => take_item(key, input),
            Self::Settings => take_settings(input),
        }
    }
}

fn out_of_step() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server's answer does not fit the question")
}

/// The first line, without its end, and its length with it.
fn line(input: &[u8]) -> io::Result<Option<(&[u8], usize)>> {
    match input.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') {
        Some(end) if end > 0 && input[end - 1] == b'\r' => Ok(Some((&input[..end - 1], end + 1))),
        Some(_) => Err(out_of_step()),
        None if input.len() >= LONGEST_LINE => Err(out_of_step()),
        None => Ok(None),
    }
}

fn of_line(line: &[u8]) -> io::Result<Reply> {
    Ok(match line {
        b"STORED" => Reply::Stored,
        b"NOT_STORED" => Reply::NotStored,
        b"EXISTS" => Reply::Exists,
        b"NOT_FOUND" => Reply::NotFound,
        b"DELETED" => Reply::Deleted,
        b"SERVER_ERROR object too large for cache" => Reply::TooLarge,
        _ if line.starts_with(b"VERSION ") => Reply::Version,
        _ if line.starts_with(b"SERVER_ERROR out of memory") => Reply::OutOfMemory,
        _ => Reply::Failed(complaint(line).ok_or_else(out_of_step)?),
    })
}

/// The text of a line that is a complaint. Nothing else is ever quoted: it might be somebody's value.
fn complaint(line: &[u8]) -> Option<String> {
    let is_one = [&b"ERROR"[..], b"CLIENT_ERROR", b"SERVER_ERROR"].iter().any(|word| line.starts_with(word));
    let quoted = &line[..line.len().min(LONGEST_COMPLAINT)];
    is_one.then(|| String::from_utf8_lossy(quoted).escape_debug().to_string())
}

/// `VALUE <key> <flags> <bytes> <cas>`, the bytes, `END`; or only `END`.
fn take_item(key: &str, input: &mut BytesMut) -> io::Result<Option<Reply>> {
    const AFTER: &[u8] = b"\r\nEND\r\n";
    let Some((line, head)) = line(input)? else { return Ok(None) };
    if line == b"END" {
        input.advance(head);
        return Ok(Some(Reply::Item(None)));
    }
    if let Some(complaint) = complaint(line) {
        input.advance(head);
        return Ok(Some(Reply::Failed(complaint)));
    }
    let mut words = std::str::from_utf8(line).map_err(|_| out_of_step())?.split(' ');
    if words.next() != Some("VALUE") || words.next() != Some(key) || words.next().is_none() {
        return Err(out_of_step());
    }
    let mut number = || words.next()?.parse::<u64>().ok();
    let (Some(length), Some(cas)) = (number(), number()) else { return Err(out_of_step()) };
    let length = usize::try_from(length).map_err(|_| out_of_step())?;
    if length > LARGEST_VALUE {
        return Err(out_of_step());
    }
    let whole = head + length + AFTER.len();
    if input.len() < whole {
        input.reserve(whole - input.len());
        return Ok(None);
    }
    if &input[head + length..whole] != AFTER {
        return Err(out_of_step());
    }
    let mut item = input.split_to(whole).freeze();
    item.advance(head);
    item.truncate(length);
    Ok(Some(Reply::Item(Some((item, cas)))))
}

/// Lines of `STAT <name> <value>`, then `END`; a server or proxy that does not know the command complains in one line.
fn take_settings(input: &mut BytesMut) -> io::Result<Option<Reply>> {
    let (mut at, mut limit) = (0, None);
    loop {
        let Some((line, length)) = line(&input[at..])? else { return Ok(None) };
        at += length;
        if let Some(value) = line.strip_prefix(b"STAT item_size_max ") {
            limit = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
        } else if line == b"END" {
            input.advance(at);
            return Ok(Some(Reply::Settings(limit)));
        } else if !line.starts_with(b"STAT ") {
            let complaint = complaint(line).ok_or_else(out_of_step)?;
            input.advance(at);
            return Ok(Some(if complaint == "ERROR" {
                Reply::Settings(None)
            } else {
                Reply::Failed(complaint)
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(expected: &Expected, input: &[u8]) -> io::Result<Option<(Reply, usize)>> {
        let mut input = BytesMut::from(input);
        Ok(expected.take(&mut input)?.map(|reply| (reply, input.len())))
    }

    fn item(key: &str) -> Expected {
        Expected::Item(key.to_owned())
    }

    #[test]
    fn lines_are_answers_or_errors() {
        for (line, reply) in [
            ("STORED", Reply::Stored),
            ("NOT_FOUND", Reply::NotFound),
            ("VERSION 1.6.18", Reply::Version),
            ("SERVER_ERROR object too large for cache", Reply::TooLarge),
            ("SERVER_ERROR out of memory storing object", Reply::OutOfMemory),
            ("ERROR", Reply::Failed("ERROR".into())),
        ] {
            assert_eq!(
                take(&Expected::Line, format!("{line}\r\nrest").as_bytes()).unwrap(),
                Some((reply, 4))
            );
        }
        assert_eq!(take(&Expected::Line, b"STOR").unwrap(), None);
        assert!(take(&Expected::Line, b"VALUE a 0 1\r\nx\r\n").is_err());
        assert!(take(&Expected::Line, b"STORED\n").is_err());
    }

    #[test]
    fn what_is_not_a_complaint_is_never_quoted() {
        let error = take(&Expected::Line, b"my secret value\r\n").unwrap_err();
        assert!(!format!("{error}{error:?}").contains("secret"));
    }

    #[test]
    fn an_item_is_whole_and_of_the_key_asked_for() {
        let whole = b"VALUE k 0 5 77\r\na\r\nb\0\r\nEND\r\nrest";
        let reply = Reply::Item(Some((Bytes::from_static(b"a\r\nb\0"), 77)));
        assert_eq!(take(&item("k"), whole).unwrap(), Some((reply, 4)));
        for cut in 0..whole.len() - 4 {
            assert_eq!(take(&item("k"), &whole[..cut]).unwrap(), None, "{cut}");
        }
        assert!(take(&item("other"), whole).is_err());
        assert!(take(&item("k"), b"VALUE k 0 4 77\r\na\r\nb\0\r\nEND\r\n").is_err());
        assert!(take(&item("k"), b"VALUE k 0 99999999999 77\r\n").is_err());
        assert_eq!(take(&item("k"), b"END\r\n").unwrap(), Some((Reply::Item(None), 0)));
    }

    #[test]
    fn the_limit_is_found_among_the_settings() {
        let settings = b"STAT maxbytes 1\r\nSTAT item_size_max 1048576\r\nSTAT x y\r\nEND\r\n";
        assert_eq!(take(&Expected::Settings, settings).unwrap(), Some((Reply::Settings(Some(1_048_576)), 0)));
        assert_eq!(take(&Expected::Settings, &settings[..30]).unwrap(), None);
        assert_eq!(take(&Expected::Settings, b"ERROR\r\n").unwrap(), Some((Reply::Settings(None), 0)));
        let refused = take(&Expected::Settings, b"CLIENT_ERROR unauthenticated\r\n").unwrap();
        assert_eq!(refused, Some((Reply::Failed("CLIENT_ERROR unauthenticated".into()), 0)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(input in prop::collection::vec(any::<u8>(), 0..200), text in "(VALUE k 0 [0-9]{1,20} [0-9]{1,20}\r\n)?") {
            let input = [text.as_bytes(), &input].concat();
            for expected in [Expected::Line, item("k"), Expected::Settings] {
                // What it says is in the tests above; here, that it says something.
                drop(take(&expected, &input));
            }
        }
    }
}
