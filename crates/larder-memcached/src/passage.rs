//! The answer to a multi-get on its way to the client crate, which makes room for whatever length a server names, and
//! takes what lies behind the end for the beginning of its next answer.

use std::io;

use crate::replies::{LARGEST_VALUE, LONGEST_LINE, number, out_of_step};

/// Looks at what passes, and lets through one answer to its end, and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    next: Next,
    /// What there is of a line that came in pieces.
    line: Vec<u8>,
}

/// What has to come next.
#[derive(Clone, Copy, Debug, Default)]
enum Next {
    /// Nothing was asked for, or all of it is there.
    #[default]
    Nothing,
    /// A line: `VALUE <key> <flags> <bytes>`, or `END`.
    Line,
    /// So many bytes of a value.
    Value(usize),
    /// What stands between a value and the next line.
    LineEnd(&'static [u8]),
}

impl Passage {
    /// A question was asked: one answer may pass.
    pub(crate) fn open(&mut self) {
        self.next = Next::Line;
        self.line.clear();
    }

    /// How many of these bytes belong to the answer. Anything but an answer is an error.
    pub(crate) fn let_through(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match self.next {
                Next::Nothing => break,
                Next::Line => self.take_line(rest)?,
                Next::Value(left) => {
                    let taken = left.min(rest.len());
                    self.next = value(left - taken);
                    taken
                }
                Next::LineEnd(left) => {
                    let taken = left.len().min(rest.len());
                    if rest[..taken] != left[..taken] {
                        return Err(out_of_step());
                    }
                    self.next = if taken == left.len() { Next::Line } else { Next::LineEnd(&left[taken..]) };
                    taken
                }
            };
            rest = &rest[taken..];
        }
        Ok(bytes.len() - rest.len())
    }

    fn take_line(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        if self.line.len() + taken > LONGEST_LINE {
            return Err(out_of_step());
        }
        if end.is_some() && self.line.is_empty() {
            self.next = after(&bytes[..taken])?;
            return Ok(taken);
        }
        self.line.extend_from_slice(&bytes[..taken]);
        if end.is_some() {
            self.next = after(&self.line)?;
            self.line.clear();
        }
        Ok(taken)
    }
}

fn value(left: usize) -> Next {
    if left == 0 { Next::LineEnd(b"\r\n") } else { Next::Value(left) }
}

/// What comes behind this line.
fn after(line: &[u8]) -> io::Result<Next> {
    if line == b"END\r\n" {
        return Ok(Next::Nothing);
    }
    length(line).filter(|length| *length <= LARGEST_VALUE).map(value).ok_or_else(out_of_step)
}

/// The number of bytes that a line says will follow.
fn length(line: &[u8]) -> Option<usize> {
    let words = line.strip_prefix(b"VALUE ")?;
    let key = words.iter().position(|byte| *byte == b' ')?;
    let (_flags, words) = number(&words[key..])?;
    let (length, end) = number(words)?;
    (end == b"\r\n").then(|| usize::try_from(length).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &[u8] =
        b"VALUE k 0 5\r\na\r\nb\0\r\nVALUE empty 4294967295 0\r\n\r\nVALUE l 0 5\r\nEND\r\n\r\nEND\r\n";

    fn open() -> Passage {
        let mut passage = Passage::default();
        passage.open();
        passage
    }

    #[test]
    fn one_answer_passes_and_nothing_behind_it() {
        for behind in ["", "END\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n", "s"] {
            let all = [ANSWER, behind.as_bytes()].concat();
            for cut in 0..all.len() {
                let mut passage = open();
                let first = passage.let_through(&all[..cut]).unwrap();
                assert_eq!(first, cut.min(ANSWER.len()), "{cut}");
                assert_eq!(passage.let_through(&all[cut..]).unwrap(), ANSWER.len() - first, "{cut}");
            }
        }
        let mut closed = Passage::default();
        assert_eq!(closed.let_through(ANSWER).unwrap(), 0);
    }

    #[test]
    fn what_is_no_answer_does_not_pass() {
        let endless = vec![b'x'; LONGEST_LINE + 1];
        for wrong in [
            &b"VALUE k 0 1073741825\r\n"[..],
            b"VALUE k 0 1000000000000000\r\n",
            b"VALUE k 0 99999999999999999999\r\n",
            b"VALUE k 0 -1\r\n",
            b"VALUE k 0 5 6\r\n",
            b"VALUE k 0 1\r\nxy\r\n",
            b"VALUE k 0 5\n",
            b"STORED\r\n",
            b"END\n",
            b"\n",
            &endless,
        ] {
            assert!(open().let_through(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
            let mut in_pieces = open();
            assert!(wrong.chunks(1).any(|byte| in_pieces.let_through(byte).is_err()));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6)) {
            let mut passage = open();
            for part in [&b"VALUE k 0 70\r\n"[..]].into_iter().chain(parts.iter().map(Vec::as_slice)) {
                match passage.let_through(part) {
                    Ok(passed) => prop_assert!(passed <= part.len()),
                    Err(_) => break,
                }
            }
        }
    }
}
