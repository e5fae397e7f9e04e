//! What a server answers to the commands that the client crate does not read answers to.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};

/// What the next answer on a connection belongs to.
#[derive(Debug)]
pub(crate) enum Expected {
    /// One line.
    Line,
    /// The answer to `get` of the one key that is asked for so.
    Value,
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
    /// The bytes.
    Value(Option<Bytes>),
    /// The bytes and the number of this state of them.
    Item(Option<(Bytes, u64)>),
    /// The largest item, where the server said it.
    Settings(Option<usize>),
}

/// Longer lines than this are no answers.
pub(crate) const LONGEST_LINE: usize = 2_048;
/// How much of a server's complaint is passed on.
const LONGEST_COMPLAINT: usize = 120;
/// Values up to this size are copied out of the buffer they were read into, so that a small one that is kept does not keep
/// all of it.
const COPIED: usize = 2_048;
/// What memcached can be configured to take at most.
pub(crate) const LARGEST_VALUE: usize = 1 << 30;
/// A server has a few kilobytes of settings.
const MOST_SETTINGS: usize = 64 * 1024;

impl Expected {
    /// Takes the answer off the front of what was read; `None` while it is not complete. Anything but an answer of this
    /// shape is an error, after which nothing on this connection can be trusted.
    pub(crate) fn take(&self, asked: &str, input: &mut BytesMut) -> io::Result<Option<Reply>> {
        match self {
            Self::Line => {
                let Some((line, length)) = line(input)? else { return Ok(None) };
                let reply = of_line(line)?;
                input.advance(length);
                Ok(Some(reply))
            }
            Self::Value => take_item(asked, false, input),
            Self::Item(key) => take_item(key, true, input),
            Self::Settings => take_settings(input),
        }
    }
}

pub(crate) fn out_of_step() -> io::Error {
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

/// `VALUE <key> <flags> <bytes> <cas>`, the bytes, `END`; or only `END`. Without the last number where it was not asked for.
fn take_item(key: &str, numbered: bool, input: &mut BytesMut) -> io::Result<Option<Reply>> {
    const AFTER: &[u8] = b"\r\nEND\r\n";
    let Some((head, length, cas)) = item_head(key, numbered, input) else {
        return take_other(numbered, input);
    };
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
    let item = if length <= COPIED {
        let item = Bytes::copy_from_slice(&input[head..head + length]);
        input.advance(whole);
        item
    } else {
        let mut item = input.split_to(whole).freeze();
        item.advance(head);
        item.truncate(length);
        item
    };
    Ok(Some(if numbered { Reply::Item(Some((item, cas))) } else { Reply::Value(Some(item)) }))
}

/// The length of the first line, the length of the value and the number of its state, where the input begins with a whole
/// line of that kind for this key.
fn item_head(key: &str, numbered: bool, input: &[u8]) -> Option<(usize, u64, u64)> {
    let words = input.strip_prefix(b"VALUE ")?.strip_prefix(key.as_bytes())?;
    let (_flags, words) = number(words)?;
    let (length, words) = number(words)?;
    let (cas, words) = if numbered { number(words)? } else { (0, words) };
    let rest = words.strip_prefix(b"\r\n")?;
    Some((input.len() - rest.len(), length, cas))
}

/// A space and a number, and what comes behind.
pub(crate) fn number(input: &[u8]) -> Option<(u64, &[u8])> {
    let input = input.strip_prefix(b" ")?;
    let digits = input.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let sum = input[..digits].iter().try_fold(0, add)?;
    (digits > 0).then(|| (sum, &input[digits..]))
}

/// What else may answer a question for an item: that there is none, or a complaint; or it is not complete.
fn take_other(numbered: bool, input: &mut BytesMut) -> io::Result<Option<Reply>> {
    let Some((line, head)) = line(input)? else { return Ok(None) };
    let reply = match line {
        b"END" if numbered => Reply::Item(None),
        b"END" => Reply::Value(None),
        _ => Reply::Failed(complaint(line).ok_or_else(out_of_step)?),
    };
    input.advance(head);
    Ok(Some(reply))
}

/// Lines of `STAT <name> <value>`, then `END`; a server or proxy that does not know the command complains in one line.
fn take_settings(input: &mut BytesMut) -> io::Result<Option<Reply>> {
    let (mut at, mut limit) = (0, None);
    loop {
        let Some((line, length)) = line(&input[at..])? else { return Ok(None) };
        at += length;
        if at > MOST_SETTINGS {
            return Err(out_of_step());
        }
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
        Ok(expected.take("k", &mut input)?.map(|reply| (reply, input.len())))
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
        assert!(take(&Expected::Settings, &b"STAT x y\r\n".repeat(10_000)).is_err());
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
