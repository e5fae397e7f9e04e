//! What the operations on one key are in commands and scripts.

use bytes::Bytes;
use fred::types::{Value as Answer, config::Server};
use futures_util::future;
use larder_core::{Expiry, Key, Result, Value, Version};

use crate::{
    command::{self, Command},
    deadline::Deadline,
    engine::{self, Engine},
    error::{self, Effect},
    lane::Lane,
    scripts, survey,
    trust::Trust,
    wire::{self, Found, TELLING},
};

/// How often an operation begins again because something came between its steps.
const TRIES: u32 = 3;

impl Engine {
    /// The entry under a key, if there is one that may be served.
    #[inline]
    pub(crate) async fn find(&self, key: &Key) -> Result<Option<Found>> {
        let lane = &*self.lane();
        if !self.settings.distrusts {
            let bytes = self.read(lane, self.key(key)).await?;
            return Ok(bytes.and_then(|bytes| Found::new(bytes, None)));
        }
        Box::pin(self.find_trusted(lane, key)).await
    }

    pub(crate) async fn find_trusted(&self, lane: &Lane, key: &Key) -> Result<Option<Found>> {
        let deadline = self.deadline();
        let mut trust = self.trust(lane, &deadline).await?;
        for _ in 0..TRIES {
            let bytes = self.read_again(lane, self.key(key), &deadline).await?;
            if !trust.holds(lane) {
                trust = self.trust(lane, &deadline).await?;
                continue;
            }
            let Some(bytes) = bytes else { return Ok(None) };
            match Found::new(bytes.clone(), trust.mark) {
                // Another process may have learned of a new run before this one did.
                None if trust.is_old(self) && Found::new(bytes, None).is_some() => {
                    trust = self.ask(lane, &deadline).await?;
                }
                found => return Ok(found),
            }
        }
        Err(error::restless())
    }

    /// Reads in what is left of an operation's time.
    async fn read_again(&self, lane: &Lane, key: Bytes, deadline: &Deadline<'_>) -> Result<Option<Bytes>> {
        match self.exec(lane, Effect::None, deadline, Command::Get(key)).await {
            Ok(answer) => Ok(answer.into_bytes()),
            Err(error) => engine::absent_or(error),
        }
    }

    /// The entry's head and digits, or whatever lies there; `None` where that is no string.
    pub(crate) async fn look(
        &self,
        lane: &Lane,
        key: &Bytes,
        deadline: &Deadline<'_>,
    ) -> Result<Option<Bytes>> {
        let last = i64::try_from(TELLING - 1).expect("a small number");
        let command = Command::new("GETRANGE", key.clone()).arg(0_i64).arg(last);
        match self.exec(lane, Effect::None, deadline, command).await {
            Ok(answer) => Ok(Some(answer.into_bytes().unwrap_or_default())),
            Err(error) => engine::absent_or(error),
        }
    }

    pub(crate) async fn holds_entry(
        &self,
        lane: &Lane,
        key: Bytes,
        trust: &Trust,
        deadline: &Deadline<'_>,
    ) -> Result<bool> {
        let seen = self.look(lane, &key, deadline).await?;
        Ok(trust.holds(lane) && seen.is_some_and(|bytes| Found::new(bytes, trust.mark).is_some()))
    }

    pub(crate) async fn has(&self, key: &Key) -> Result<bool> {
        let (lane, deadline) = (&*self.lane(), self.deadline());
        let trust = self.trust(lane, &deadline).await?;
        self.holds_entry(lane, self.key(key), &trust, &deadline).await
    }

    pub(crate) async fn add(&self, key: &Key, value: &Value, expiry: Expiry) -> Result<Option<Version>> {
        let (key, deadline) = (self.key(key), self.deadline());
        let lane = &*self.write_lane(&key);
        for _ in 0..TRIES {
            if !expiry.is_past()
                && let Some(head) = self.store(lane, key.clone(), value, expiry, true, &deadline).await?
            {
                return Ok(Some(head.version()));
            }
            let trust = self.trust(lane, &deadline).await?;
            let seen = self.look(lane, &key, &deadline).await?;
            let (head, entry) = self.entry(trust.mark, value)?;
            let seen = match seen {
                // Not there, and not to be there.
                Some(seen) if seen.is_empty() && expiry.is_past() => return Ok(Some(head.version())),
                Some(seen) if Found::new(seen.clone(), trust.mark).is_some() => return Ok(None),
                Some(seen) => seen,
                None => Bytes::from_static(b"!"),
            };
            let arguments = replacement(seen, entry, expiry, head.bytes());
            let won = self.run(lane, &deadline, &scripts::TAKE_OVER, &key, arguments).await?;
            if is_done(lane, &won)? {
                self.confirm(lane, &trust, &key, &deadline).await?;
                return Ok(Some(head.version()));
            }
        }
        // Whatever it is, it is not this caller's.
        Ok(None)
    }

    pub(crate) async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: &Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let (key, deadline) = (self.key(key), self.deadline());
        let lane = &*self.write_lane(&key);
        let trust = self.trust(lane, &deadline).await?;
        let (head, entry) = self.entry(trust.mark, value)?;
        let Some(expected) = wire::expected(version, trust.mark) else { return Ok(None) };
        let arguments = replacement(expected, entry, expiry, head.bytes());
        let won = self.run(lane, &deadline, &scripts::REPLACE, &key, arguments).await?;
        if !is_done(lane, &won)? {
            return Ok(None);
        }
        self.confirm(lane, &trust, &key, &deadline).await?;
        Ok(Some(head.version()))
    }

    pub(crate) async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        let (key, deadline) = (self.key(key), self.deadline());
        let lane = &*self.write_lane(&key);
        let trust = self.trust(lane, &deadline).await?;
        let head = wire::Head::new(trust.mark, self.nonces.next());
        let arguments = vec![
            Answer::Bytes(wire::trusted(trust.mark)),
            Answer::Bytes(head.of_counter()),
            Answer::from(delta.to_string()),
            Answer::from(command::millis_text(expiry)),
        ];
        let sum = self.run(lane, &deadline, &scripts::INCREMENT, &key, arguments).await?;
        // The server answers with digits; a client may have made a number of them.
        let sum = match sum {
            Answer::Integer(sum) => Some(sum),
            Answer::String(_) | Answer::Bytes(_) => sum.as_str().and_then(|digits| digits.parse().ok()),
            _ => None,
        };
        let sum = sum.ok_or_else(|| engine::confused(lane))?;
        self.confirm(lane, &trust, &key, &deadline).await?;
        Ok(sum)
    }

    pub(crate) async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        let (key, deadline) = (self.key(key), self.deadline());
        let lane = &*self.write_lane(&key);
        if expiry.is_past() {
            return self.remove(lane, key, &deadline).await;
        }
        let trust = self.trust(lane, &deadline).await?;
        let (name, millis) = match command::millis(expiry) {
            Some(millis) => ("PEXPIRE", Some(Answer::Integer(millis))),
            None => ("PERSIST", None),
        };
        let touched = self.on_entry(lane, &deadline, &trust, Effect::Possible, name, &key, millis).await?;
        let is_there = match touched {
            // Where only some entries are trusted: there is none.
            Answer::Null if trust.mark.is_some() => false,
            // `PERSIST` answers 0 also where there was nothing to take away.
            Answer::Integer(0) if name == "PERSIST" => {
                self.holds_entry(lane, key.clone(), &trust, &deadline).await?
            }
            answer => is_done(lane, &answer)?,
        };
        self.confirm(lane, &trust, &key, &deadline).await?;
        Ok(is_there)
    }

    pub(crate) async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        let (lane, deadline, key) = (&*self.lane(), self.deadline(), self.key(key));
        let trust = self.trust(lane, &deadline).await?;
        let left = self.on_entry(lane, &deadline, &trust, Effect::None, "PTTL", &key, None).await?;
        Ok(left.as_i64().filter(|_| trust.holds(lane)).and_then(command::left))
    }

    /// A command on a key, and only on an entry that may be served where not all may.
    #[expect(clippy::too_many_arguments, reason = "one place, and each of them is another thing")]
    pub(crate) async fn on_entry(
        &self,
        lane: &Lane,
        deadline: &Deadline<'_>,
        trust: &Trust,
        effect: Effect,
        name: &'static str,
        key: &Bytes,
        argument: Option<Answer>,
    ) -> Result<Answer> {
        if trust.mark.is_none() {
            let command = Command::new(name, key.clone());
            let command = match argument {
                Some(argument) => command.arg(argument),
                None => command,
            };
            return self.exec(lane, effect, deadline, command).await;
        }
        let mut arguments = vec![Answer::Bytes(wire::trusted(trust.mark)), Answer::from(name)];
        arguments.extend(argument);
        self.run(lane, deadline, &scripts::GUARDED, key, arguments).await
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        self.ping_over(&self.lane(), &self.deadline()).await
    }

    /// Asks the server, or all primaries of a cluster, to answer: whatever was sent over these connections before has run then.
    pub(crate) async fn ping_over(&self, lane: &Lane, deadline: &Deadline<'_>) -> Result<()> {
        for _ in 0..TRIES {
            lane.ready(Effect::None, deadline).await?;
            let servers = if self.topology.is_cluster() {
                survey::primaries(lane).into_iter().map(Some).collect()
            } else {
                vec![None]
            };
            if servers.is_empty() {
                return Err(lane.down());
            }
            let ping = |server: &Option<Server>| {
                let server = server.clone();
                async move { self.exec_at(lane, deadline, server.as_ref(), Command::bare("PING")).await }
            };
            let answers = future::try_join_all(servers.iter().map(ping)).await?;
            if answers.iter().all(Option::is_some) {
                return Ok(());
            }
        }
        Err(error::restless())
    }
}

/// What a command that changed one thing or nothing answers.
fn is_done(lane: &Lane, answer: &Answer) -> Result<bool> {
    match answer {
        Answer::Integer(1) => Ok(true),
        Answer::Integer(0) => Ok(false),
        _ => Err(engine::confused(lane)),
    }
}

/// The arguments of the scripts that store where something certain lies.
fn replacement(seen: Bytes, entry: Bytes, expiry: Expiry, head: Bytes) -> Vec<Answer> {
    vec![
        Answer::Bytes(seen),
        Answer::Bytes(entry),
        Answer::from(command::millis_text(expiry)),
        Answer::Bytes(head),
    ]
}
