//! What makes a read followed by a write of one key exact, against other tasks and other processes of this machine.

use std::{
    fs::{File, TryLockError},
    io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use larder_core::{Clock, SystemClock};

use crate::{files, trash::Trash};

/// Into how many groups namespaces fall, and keys within a group. A change means another layout: processes must agree.
const GROUPS: usize = 16;
const STRIPES: usize = 16;
/// How long to rest before another try, at first and at most.
const RESTS: (Duration, Duration) = (Duration::from_micros(20), Duration::from_micros(500));

/// Which lock is for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(usize);

impl Slot {
    /// From a hash of the namespace and one of the key.
    pub(crate) fn new(namespace: u8, key: u8) -> Self {
        Self(usize::from(namespace) % GROUPS * STRIPES + usize::from(key) % STRIPES)
    }
}

/// One lock for each part of the keys: a locked file, and before it a mutex, so that tasks of this process queue for it
/// instead of asking again and again. Readers take none. What stands in the place of a file and is none is moved away.
///
/// Whoever writes a key holds one at a time; `clear` alone takes all of a namespace's group, in order.
#[derive(Debug)]
pub(crate) struct Locks {
    directory: PathBuf,
    trash: Trash,
    queues: [Mutex<()>; GROUPS * STRIPES],
    patience: Duration,
    clock: SystemClock,
}

/// A held lock. Closing the file gives it back, as does the end of the process.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    _file: File,
    _queue: Option<MutexGuard<'a, ()>>,
}

impl Locks {
    pub(crate) fn new(directory: PathBuf, trash: Trash, patience: Duration) -> Self {
        Self {
            directory,
            trash,
            queues: [const { Mutex::new(()) }; GROUPS * STRIPES],
            patience,
            clock: SystemClock::new(),
        }
    }

    /// Held until nobody else can write a key of this slot.
    pub(crate) fn lock(&self, slot: Slot) -> io::Result<Held<'_>> {
        // It guards no data of its own: whoever panicked under it left whole files.
        let queue = self.queues[slot.0].lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Held { _file: self.lock_file(slot.0)?, _queue: Some(queue) })
    }

    /// Held until nobody else can write any key in the group of a namespace.
    pub(crate) fn lock_group(&self, namespace: u8) -> io::Result<Vec<Held<'_>>> {
        let first = usize::from(namespace) % GROUPS * STRIPES;
        (first..first + STRIPES)
            .map(|number| Ok(Held { _file: self.lock_file(number)?, _queue: None }))
            .collect()
    }

    /// Opened each time: locks belong to an open file, and an open file for each is a lot.
    fn lock_file(&self, number: usize) -> io::Result<File> {
        let file = files::open_or_make(&self.directory.join(format!("{number:02x}")), &self.trash)?;
        wait_for(&self.clock, self.patience, || file.try_lock())?;
        Ok(file)
    }
}

/// Tries until it has the lock or the time is up: the holder may be a process that was stopped.
pub(crate) fn wait_for(
    clock: &dyn Clock,
    patience: Duration,
    attempt: impl Fn() -> Result<(), TryLockError>,
) -> io::Result<()> {
    let mut began = None;
    let mut rest = RESTS.0;
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(cause)) => return Err(cause),
            Err(TryLockError::WouldBlock) => {}
        }
        let now = clock.now();
        if now.saturating_since(*began.get_or_insert(now)) >= patience {
            return Err(io::ErrorKind::TimedOut.into());
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "on a thread that may block, for a lock without a queue"
        )]
        thread::sleep(rest);
        rest = (rest * 2).min(RESTS.1);
    }
}
