//! A session of PostgreSQL, version 3 of its protocol: startup without a password, and simple queries.

use anyhow::{Context, Result, bail};

use super::{Endpoint, Stream};
use std::time::Duration;

/// Text of each column of each row; `None` is NULL.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

#[derive(Debug)]
pub(crate) struct Session(Box<dyn Stream>);

impl Session {
    pub(crate) fn open(endpoint: &Endpoint, user: &str, database: &str, within: Duration) -> Result<Self> {
        let mut session = Self(endpoint.connect(within).context("cannot connect")?);
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        for word in ["user", user, "database", database, ""] {
            body.extend_from_slice(word.as_bytes());
            body.push(0);
        }
        session.send(None, &body)?;
        session.read_until_ready()?;
        Ok(session)
    }

    /// Runs the statements, and returns all their rows.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Rows> {
        let mut body = sql.as_bytes().to_vec();
        body.push(0);
        self.send(Some(b'Q'), &body)?;
        self.read_until_ready()
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> Result<()> {
        let mut message: Vec<u8> = kind.into_iter().collect();
        message
            .extend_from_slice(&u32::try_from(body.len() + 4).context("too long a message")?.to_be_bytes());
        message.extend_from_slice(body);
        self.0.write_all(&message).context("cannot send")
    }

    fn read_until_ready(&mut self) -> Result<Rows> {
        let mut rows = Vec::new();
        let mut error = None;
        loop {
            let mut head = [0; 5];
            if let Err(end) = self.0.read_exact(&mut head) {
                // A refused session ends with its reason, and without a ready.
                return Err(error.unwrap_or_else(|| anyhow::Error::from(end).context("no answer")));
            }
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let length = length.checked_sub(4).context("a message shorter than its own length")?;
            let mut body = vec![0; usize::try_from(length)?];
            self.0.read_exact(&mut body).context("the connection ended in a message")?;
            match head[0] {
                b'D' => rows.push(row(&body).context("a row that ends too early")?),
                b'E' => error = Some(anyhow::anyhow!("PostgreSQL said: {}", complaint(&body))),
                b'R' if body != [0; 4] => bail!("PostgreSQL wants a password of a user it should trust"),
                b'Z' => return error.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }
}

fn row(mut body: &[u8]) -> Option<Vec<Option<String>>> {
    let columns = u16::from_be_bytes(body.split_off(..2)?.try_into().ok()?);
    let column = |_| {
        let length = i32::from_be_bytes(body.split_off(..4)?.try_into().ok()?);
        let Ok(length) = usize::try_from(length) else { return Some(None) };
        Some(Some(String::from_utf8_lossy(body.split_off(..length)?).into_owned()))
    };
    (0..columns).map(column).collect()
}

/// The message among the fields of an error.
fn complaint(body: &[u8]) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let message = fields.find_map(|field| field.strip_prefix(b"M"));
    String::from_utf8_lossy(message.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_complaints_are_read() {
        let body = [&[0, 3][..], &2_u32.to_be_bytes(), b"ab", &(-1_i32).to_be_bytes(), &0_u32.to_be_bytes()]
            .concat();
        assert_eq!(row(&body).unwrap(), [Some("ab".to_owned()), None, Some(String::new())]);
        assert_eq!(row(&body[..7]), None);
        assert_eq!(complaint(b"SFATAL\0C57P03\0Mstarting up\0\0"), "starting up");
    }
}
