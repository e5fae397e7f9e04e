//! The operations, as jobs that block.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use larder_core::{
    Clock, Error, ErrorKind, Expiry, Key, Namespace, Result, StoreEvents, Timestamp, Value, Version,
};

use crate::{
    accountant::Accountant,
    directory::Directory,
    error::{self, Refusal},
    layout::{Facts, Layout, Listed, Place, Record},
    locks::Locks,
    random::Random,
};

/// How often a read follows an entry that is being replaced, before it takes the lock.
const CHASES: usize = 8;

/// Everything a job needs.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) layout: Layout,
    pub(crate) locks: Locks,
    pub(crate) accountant: Accountant,
    pub(crate) directory: Directory,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) events: OnceLock<Arc<dyn StoreEvents>>,
    pub(crate) closing: AtomicBool,
    /// What the background met last.
    pub(crate) trouble: Mutex<Option<Error>>,
}

/// What a record led to.
enum Opened {
    Whole(Found),
    /// It ended while it was read.
    Ended,
    /// The value is not there whole.
    Broken,
}

/// An entry that was read whole.
struct Found {
    value: Value,
    record: Record,
}

impl Engine {
    pub(crate) fn get(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        let place = self.layout.place(key);
        let Some(found) = self.read(&place, key).map_err(error::refused)? else { return Ok(None) };
        Ok(Some((found.value, version(&found.record)?)))
    }

    pub(crate) fn has(&self, key: &Key) -> Result<bool> {
        let place = self.layout.place(key);
        let Some(record) = self.live(&place, key).map_err(error::refused)? else { return Ok(false) };
        if self.layout.has_value(&place, &record).map_err(error::refused)? {
            return Ok(true);
        }
        // It may have been replaced meanwhile.
        Ok(self.get(key)?.is_some())
    }

    pub(crate) fn set(&self, key: &Key, wire: &Bytes, ends: Timestamp) -> Result<()> {
        self.locked(key, |place| {
            let old = self.layout.find(place, key)?;
            self.put(place, key, wire, ends, old.as_ref()).map(drop)
        })?;
        self.make_room();
        Ok(())
    }

    pub(crate) fn delete(&self, key: &Key) -> Result<bool> {
        self.locked(key, |place| {
            let old = self.layout.find(place, key)?;
            let was_there = match &old {
                Some(record) => record.deadline > self.clock.now() && self.layout.has_value(place, record)?,
                None => false,
            };
            self.take_out(place, key, old.as_ref())?;
            Ok(was_there)
        })
    }

    pub(crate) fn add(&self, key: &Key, wire: &Bytes, ends: Timestamp) -> Result<Option<Version>> {
        let added = self.locked(key, |place| {
            if self.read_locked(place, key)?.is_some() {
                return Ok(None);
            }
            let old = self.layout.find(place, key)?;
            self.put(place, key, wire, ends, old.as_ref()).map(Some)
        })?;
        self.make_room();
        added.map(|record| version(&record)).transpose()
    }

    pub(crate) fn replace(
        &self,
        key: &Key,
        seen: &Version,
        wire: &Bytes,
        ends: Timestamp,
    ) -> Result<Option<Version>> {
        let replaced = self.locked(key, |place| match self.layout.find(place, key)? {
            Some(old)
                if old.version == seen.as_bytes()
                    && old.deadline > self.clock.now()
                    && self.layout.has_value(place, &old)? =>
            {
                self.put(place, key, wire, ends, Some(&old)).map(Some)
            }
            _ => Ok(None),
        })?;
        self.make_room();
        replaced.map(|record| version(&record)).transpose()
    }

    pub(crate) fn increment(&self, key: &Key, delta: i64, ends: Timestamp) -> Result<i64> {
        let counted = self.locked(key, |place| {
            let found = self.read_locked(place, key)?;
            let (sum, deadline) = match &found {
                None => (Some(delta), ends),
                Some(Found { value: Value::Int(count), record }) => {
                    (count.checked_add(delta), record.deadline)
                }
                Some(_) => return Ok(Err(ErrorKind::WrongType)),
            };
            let Some(sum) = sum else { return Ok(Err(ErrorKind::Overflow)) };
            let wire = Value::Int(sum).to_wire().map_err(io::Error::other)?;
            let old = match found {
                Some(found) => Some(found.record),
                None => self.layout.find(place, key)?,
            };
            self.put(place, key, &wire, deadline, old.as_ref())?;
            Ok(Ok(sum))
        })?;
        self.make_room();
        counted.map_err(|kind| match kind {
            ErrorKind::Overflow => Error::new(kind, "the counter would leave the range of a 64-bit integer"),
            _ => Error::new(kind, "`increment` on a value that is not a counter"),
        })
    }

    pub(crate) fn touch(&self, key: &Key, ends: Timestamp) -> Result<bool> {
        self.locked(key, |place| {
            let Some(old) = self.live(place, key)? else { return Ok(false) };
            if !self.layout.has_value(place, &old)? {
                return Ok(false);
            }
            let facts = self.facts(ends)?;
            if ends <= self.clock.now() {
                self.take_out(place, key, Some(&old))?;
                return Ok(true);
            }
            // The order of eviction is that of writes, and this is none.
            let facts = Facts { written: old.written, ..facts };
            let Some(record) = self.layout.retime(place, key, &old, facts)? else { return Ok(false) };
            self.accountant.record(key, &record);
            Ok(true)
        })
    }

    pub(crate) fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        let place = self.layout.place(key);
        let Some(record) = self.live(&place, key).map_err(error::refused)? else { return Ok(None) };
        let record = if self.layout.has_value(&place, &record).map_err(error::refused)? {
            Some(record)
        } else {
            // It may have been replaced meanwhile.
            self.read(&place, key).map_err(error::refused)?.map(|found| found.record)
        };
        Ok(record.map(|record| Expiry::until(record.deadline, self.clock.now())))
    }

    /// What was counted up to the mark that is returned is gone, and not yet [forgotten](Self::after_clear).
    pub(crate) fn clear(&self, namespace: &Namespace) -> Result<u64> {
        let mark = self.accountant.mark();
        let spaces = self.directory.check().and_then(|()| self.layout.spaces_in(namespace));
        let mut is_begun = false;
        // One namespace after the other: writers of the rest go on.
        for space in spaces.map_err(error::refused)? {
            let clear = || {
                let _locks = self.locks.lock_group(space.group)?;
                self.layout.clear(&space)
            };
            is_begun |= clear().map_err(|refusal| refusal.after(is_begun))?;
        }
        Ok(mark)
    }

    pub(crate) fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        self.each_live(namespace, |key| keys.push(key))?;
        Ok(keys)
    }

    pub(crate) fn len(&self) -> Result<u64> {
        let mut count = 0;
        self.each_live(&Namespace::root(), |_| count += 1)?;
        Ok(count)
    }

    /// What a clear leaves to be done behind: it is to be seen at once, however much there was.
    pub(crate) fn after_clear(&self, namespace: &Namespace, mark: u64) -> Result<()> {
        self.accountant.forget_all(namespace, mark);
        self.layout.empty_trash(&|| self.go_on()).map_err(error::refused)
    }

    /// Whether the store is still wanted: long jobs ask now and then.
    pub(crate) fn go_on(&self) -> io::Result<()> {
        if self.closing.load(Ordering::Relaxed) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    /// Takes out an entry whose value is not there, or counts what stands in its place by now.
    pub(crate) fn recount(&self, key: &Key) -> Result<(), Refusal> {
        let place = self.layout.place(key);
        let _lock = self.locks.lock(place.slot)?;
        match self.layout.find(&place, key)? {
            Some(record) if self.layout.has_value(&place, &record)? => self.accountant.record(key, &record),
            Some(record) => self.take_out(&place, key, Some(&record))?,
            None => self.accountant.forget(key),
        }
        Ok(())
    }

    /// Keeps what the background met last, to be shown by `Debug`; the next sweep tries again.
    pub(crate) fn note(&self, result: Result<()>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = result.err();
    }

    fn each_live(&self, namespace: &Namespace, mut visit: impl FnMut(Key)) -> Result<()> {
        let walked = self.layout.walk(namespace.as_str(), &mut |_, listed| {
            self.go_on()?;
            if let Listed::Entry(key, record) = listed
                && namespace.contains(&key)
                && record.deadline > self.clock.now()
            {
                visit(key);
            }
            Ok(())
        });
        walked.and_then(|()| self.directory.check()).map_err(error::refused)
    }

    /// Runs a read and a write of one key with nobody in between.
    fn locked<T>(&self, key: &Key, job: impl FnOnce(&Place) -> Result<T, Refusal>) -> Result<T> {
        let place = self.layout.place(key);
        let run = || {
            let _lock = self.locks.lock(place.slot)?;
            // Where the directory was removed in part, writing would fill it again.
            self.directory.check()?;
            job(&place)
        };
        run().map_err(Error::from)
    }

    /// The record of an unexpired entry.
    fn live(&self, place: &Place, key: &Key) -> io::Result<Option<Record>> {
        let record = self.layout.find(place, key)?.filter(|record| record.deadline > self.clock.now());
        self.answer(record)
    }

    /// As [`live`](Self::live), with what of the value was read along.
    fn live_whole(&self, place: &Place, key: &Key) -> io::Result<Option<(Record, Option<Bytes>)>> {
        let found = self.layout.find_whole(place, key)?;
        self.answer(found.filter(|(record, _)| record.deadline > self.clock.now()))
    }

    /// A miss in a directory that is gone would be a lie.
    fn answer<T>(&self, found: Option<T>) -> io::Result<Option<T>> {
        if found.is_none() {
            self.directory.check()?;
        }
        Ok(found)
    }

    /// The unexpired entry; what is there but not whole is taken out.
    fn read(&self, place: &Place, key: &Key) -> io::Result<Option<Found>> {
        let mut last = None;
        for _ in 0..CHASES {
            let Some((record, inline)) = self.live_whole(place, key)? else { return Ok(None) };
            match self.open(place, key, record, inline)? {
                Opened::Whole(found) => return Ok(Some(found)),
                Opened::Ended => return Ok(None),
                Opened::Broken => {}
            }
            // The same line twice and no value: nobody is replacing it.
            if last.replace(record) == Some(record) {
                break;
            }
        }
        let repair = || {
            let _lock = self.locks.lock(place.slot)?;
            self.read_locked(place, key)
        };
        // Where nothing can be repaired, a miss it is all the same; the next write, or sweep, meets it again.
        Ok(repair().unwrap_or_default())
    }

    /// As [`read`](Self::read), with the lock held.
    fn read_locked(&self, place: &Place, key: &Key) -> Result<Option<Found>, Refusal> {
        let Some((record, inline)) = self.live_whole(place, key)? else { return Ok(None) };
        match self.open(place, key, record, inline)? {
            Opened::Whole(found) => Ok(Some(found)),
            Opened::Ended => Ok(None),
            Opened::Broken => {
                self.take_out(place, key, Some(&record))?;
                Ok(None)
            }
        }
    }

    fn open(&self, place: &Place, key: &Key, record: Record, inline: Option<Bytes>) -> io::Result<Opened> {
        let Some(wire) = self.layout.value(place, key, &record, inline)? else { return Ok(Opened::Broken) };
        let Ok(value) = Value::from_wire(wire) else { return Ok(Opened::Broken) };
        // Reading may have taken its time.
        let is_live = record.deadline > self.clock.now();
        Ok(if is_live { Opened::Whole(Found { value, record }) } else { Opened::Ended })
    }

    /// Writes an entry; one that is over already only takes away what was there.
    fn put(
        &self,
        place: &Place,
        key: &Key,
        wire: &Bytes,
        deadline: Timestamp,
        old: Option<&Record>,
    ) -> Result<Record, Refusal> {
        let facts = self.facts(deadline)?;
        if deadline <= self.clock.now() {
            self.take_out(place, key, old)?;
            return Ok(Record::unwritten(facts));
        }
        let record = self.layout.write(place, key, wire, facts, old)?;
        self.accountant.record(key, &record);
        Ok(record)
    }

    fn take_out(&self, place: &Place, key: &Key, old: Option<&Record>) -> Result<(), Refusal> {
        self.layout.remove(place, old)?;
        self.accountant.forget(key);
        Ok(())
    }

    fn facts(&self, deadline: Timestamp) -> io::Result<Facts> {
        let written = self.clock.now().as_nanos() / 1_000_000;
        Ok(Facts { version: self.random.nonce()?, deadline, written })
    }
}

fn version(record: &Record) -> Result<Version> {
    Version::new(&record.version)
}
