//! What an application does at one node.

use std::{
    io,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::{Either, select};
use larder_core::{Cache, EntryOptions, ErrorKind, Loaded, Result, Source};

use super::{
    executor::{Owner, dawdle},
    setup::{LOAD_TIMEOUT, LONG, PATIENCE, ROWS, SHORT, STALE, TAGGED},
    world::{Read, Seen, World},
};

#[derive(Clone)]
pub(super) struct Client {
    pub(super) world: Arc<World>,
    pub(super) node: usize,
    pub(super) owner: Owner,
    pub(super) rows: Cache,
    pub(super) plain: Cache,
}

impl Client {
    pub(super) async fn run(self, operations: u64) {
        let (world, dice) = (&self.world, self.world.dice());
        for _ in 0..operations {
            dawdle(dice).await;
            if dice.chance(30) {
                world.time().sleep(dice.millis(0, 40)).await;
            }
            let row = dice.pick(ROWS);
            match dice.below(100) {
                0..41 => drop(self.read(row).await),
                41..45 => self.read_two(row).await,
                45..48 => self.refresh(row).await,
                48..51 => self.read_and_go_away(row).await,
                51..54 => self.look(row).await,
                54..57 => drop(self.fine("an expire", self.rows.expire(row.to_string()).await)),
                57 if world.setup.mixed => self.read_as_text(row).await,
                57..72 => self.update(row).await,
                72..78 => self.update_tagged().await,
                78..81 => self.update_two(row).await,
                81..84 => self.update_all().await,
                84..90 => self.count().await,
                90..94 => self.claim().await,
                _ => self.set_and_get().await,
            }
        }
    }

    /// While nothing is wrong, nothing fails.
    fn fine<T>(&self, what: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let node = self.node;
                self.world.count(format!("{what} fails"));
                self.world.note(format_args!("node {node}: {what} failed: {error} ({:?})", error.kind()));
                if self.world.setup.is_calm() {
                    self.world.violated("nothing fails while nothing is wrong", format!("{what}: {error:?}"));
                }
                None
            }
        }
    }

    /// Whether there was an answer.
    pub(super) async fn read(&self, row: usize) -> bool {
        let (began, floor) = (self.world.time().now(), self.world.row(row).floor);
        self.world.note(format_args!("node {}: reads row {row}, at {floor} or later", self.node));
        let client = self.clone();
        let load = move || async move { client.load_late(row).await };
        let (key, timeout) = (row.to_string(), self.options(row));
        let read = if self.world.dice().chance(70) {
            self.rows.get_or_load_with(key, timeout, load).await
        } else {
            self.rows.get_or_load_scoped_with(key, timeout, load).await
        };
        // A load fails where the database does, or takes too long.
        let read = match read {
            Err(error) if error.kind() == ErrorKind::Load && !self.world.setup.is_calm() => {
                self.world.count("a load fails".to_owned());
                self.world.note(format_args!("node {}: no row {row}: {error}", self.node));
                return false;
            }
            read => self.fine("a read", read),
        };
        if let Some(read) = &read {
            let (seen, source) = (**read.value(), read.source());
            self.world.check(&Read { node: self.node, began, floor, seen, source });
        }
        read.is_some()
    }

    /// How long a row is kept, fresh and stale, and its tag.
    fn options(&self, row: usize) -> EntryOptions {
        let dice = self.world.dice();
        let mut options = EntryOptions::new().timeout(if dice.chance(50) { SHORT } else { LONG });
        if dice.chance(30) {
            options = options.stale_while_revalidate(STALE);
        }
        if dice.chance(50) {
            options = options.stale_if_error(STALE);
        }
        if dice.chance(30) {
            options = options.soft_timeout(PATIENCE);
        }
        match TAGGED.iter().position(|tagged| *tagged == row) {
            Some(0) => options.tag("tag"),
            Some(_) => options.late_tags(true),
            None => options,
        }
    }

    /// The load of a row, which has its tag at the latest at its end.
    async fn load_late(&self, row: usize) -> Result<Loaded<Seen>, io::Error> {
        let loaded = Loaded::new(self.load(row).await?);
        Ok(if row == TAGGED[1] { loaded.tag("tag") } else { loaded })
    }

    /// Reads rows in one call; their tags are all known.
    async fn read_two(&self, row: usize) {
        let rows = [row, (row + 1) % ROWS].map(|row| row % TAGGED[0]);
        let began = self.world.time().now();
        let floors = rows.map(|row| self.world.row(row).floor);
        let client = self.clone();
        let load = move |keys: Vec<String>| {
            let client = client.clone();
            async move {
                let mut found = std::collections::HashMap::new();
                for key in keys {
                    let row = key.parse().expect("keys are numbers");
                    found.insert(key, client.load(row).await?);
                }
                Ok::<_, io::Error>(found)
            }
        };
        let options = self.options(rows[0]);
        let found = self.rows.get_or_load_many_with(rows.map(|row| row.to_string()), options, load).await;
        for (floor, read) in floors.into_iter().zip(found) {
            match read {
                Err(error) if error.kind() == ErrorKind::Load && !self.world.setup.is_calm() => {}
                read => {
                    if let Some(read) = self.fine("a batch", read).flatten() {
                        let (seen, source) = (**read.value(), read.source());
                        self.world.check(&Read { node: self.node, began, floor, seen, source });
                    }
                }
            }
        }
    }

    /// Loads a row whatever is there: what is loaded is as new as the call.
    async fn refresh(&self, row: usize) {
        let (began, newest) = (self.world.time().now(), self.world.row(row));
        let client = self.clone();
        let load = move || async move { client.load_late(row).await };
        let read = self.rows.refresh(row.to_string(), self.options(row), load).await;
        match read {
            Err(error) if error.kind() == ErrorKind::Load && !self.world.setup.is_calm() => {}
            read => {
                let Some(read) = self.fine("a refresh", read) else { return };
                let (seen, source) = (**read.value(), read.source());
                let stale = matches!(source, Source::Stale { .. });
                let floor = if stale { newest.floor } else { newest.version };
                self.world.check(&Read { node: self.node, began, floor, seen, source });
            }
        }
    }

    /// Another part of the application uses the same key for something else.
    async fn read_as_text(&self, row: usize) {
        let load = || async { Ok::<_, io::Error>("a text".to_owned()) };
        let read = self.rows.get_or_load_with(row.to_string(), SHORT, load).await;
        if let Some(text) = self.fine("a text", read) {
            assert_eq!(text.as_str(), "a text");
        }
    }

    async fn load(&self, row: usize) -> Result<Seen, io::Error> {
        let (world, dice) = (&self.world, self.world.dice());
        let load = world.begin_load(self.node, row);
        for half in 0..2 {
            dawdle(dice).await;
            match dice.below(100) {
                0..40 => world.time().sleep(dice.millis(0, 15)).await,
                40 if world.weather() > 0 => world.time().sleep(LOAD_TIMEOUT + dice.millis(0, 500)).await,
                _ => {}
            }
            if half == 0 && world.database_is_away.load(Ordering::Relaxed) {
                return Err(io::Error::other("the database is away"));
            }
        }
        let seen = Seen { row, version: world.row(row).version, load };
        dawdle(dice).await;
        if dice.chance(40) {
            world.time().sleep(dice.millis(0, 15)).await;
        }
        world.end_load(self.node, seen);
        Ok(seen)
    }

    async fn read_and_go_away(&self, row: usize) {
        let patience = self.world.time().sleep(self.world.dice().millis(0, 10));
        if let Either::Right(_) = select(pin!(self.read(row)), patience).await {
            self.world.note(format_args!("node {}: who read row {row} is gone", self.node));
        }
    }

    /// Reads what is there, without a load.
    async fn look(&self, row: usize) {
        let (began, floor) = (self.world.time().now(), self.world.row(row).floor);
        let found = self.fine("a get", self.rows.get::<Seen>(row.to_string()).await).flatten();
        if let Some(seen) = found {
            let source = Source::Hit;
            self.world.check(&Read { node: self.node, began, floor, seen: *seen, source });
        }
    }

    async fn update(&self, row: usize) {
        let version = self.world.commit(row, self.owner);
        dawdle(self.world.dice()).await;
        if self.fine("a delete", self.rows.delete(row.to_string()).await).is_some() {
            self.world.acknowledge(row, version);
        }
    }

    async fn update_two(&self, row: usize) {
        let rows = [row, (row + 1) % ROWS];
        let versions = rows.map(|row| self.world.commit(row, self.owner));
        let results = self.rows.delete_many(rows.map(|row| row.to_string())).await;
        for ((row, version), result) in rows.into_iter().zip(versions).zip(results) {
            if self.fine("a delete_many", result).is_some() {
                self.world.acknowledge(row, version);
            }
        }
    }

    async fn update_tagged(&self) {
        let versions = TAGGED.map(|row| self.world.commit(row, self.owner));
        dawdle(self.world.dice()).await;
        if self.fine("an invalidate_tags", self.rows.invalidate_tags(["tag"]).await).is_some() {
            for (row, version) in TAGGED.into_iter().zip(versions) {
                self.world.acknowledge(row, version);
            }
        }
    }

    async fn update_all(&self) {
        let versions: Vec<u64> = (0..ROWS).map(|row| self.world.commit(row, self.owner)).collect();
        if self.fine("a clear", self.rows.clear().await).is_some() {
            for (row, version) in versions.into_iter().enumerate() {
                self.world.acknowledge(row, version);
            }
        }
    }

    async fn count(&self) {
        self.world.counted.fetch_add(1, Ordering::Relaxed);
        let sum = self.fine("an increment", self.plain.increment("count", 1).await);
        if let Some(sum) = sum.filter(|sum| *sum > self.world.counted.load(Ordering::Relaxed)) {
            self.world.violated("no increment counts twice", format!("{sum}"));
        }
    }

    async fn claim(&self) {
        let lock = self.world.dice().below(8);
        let key = format!("lock {lock}");
        if self.fine("an add", self.plain.add_with(key, self.node.to_string(), Duration::from_hours(1)).await)
            == Some(true)
        {
            let mut winners = self.world.winners.lock().unwrap();
            let won = winners.entry(lock).or_default();
            *won += 1;
            // An add of unknown outcome is deleted, whoever's it was.
            if *won > 1 && self.world.setup.is_calm() {
                self.world.violated("an add has one winner", format!("lock {lock}"));
            }
        }
    }

    async fn set_and_get(&self) {
        let key = format!("value {}", self.world.dice().below(3));
        self.fine("a set", self.plain.set(&key, format!("of node {}", self.node)).await);
        self.fine("a get", self.plain.get::<String>(&key).await);
    }
}
