//! What makes a read followed by a write of one key exact, against other tasks and other processes of this machine.

use std::{
    fs::{File, TryLockError},
    io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use larder_core::{Clock, SystemClock, Timestamp};

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
        let began = self.clock.now();
        // It guards no data of its own: whoever panicked under it left whole files.
        let queue = self.queues[slot.0].lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Held { _file: self.lock_file(slot.0, began)?, _queue: Some(queue) })
    }

    /// Held until nobody else can write any key in the group of a namespace.
    pub(crate) fn lock_group(&self, namespace: u8) -> io::Result<Vec<Held<'_>>> {
        let first = usize::from(namespace) % GROUPS * STRIPES;
        (first..first + STRIPES)
            .map(|number| Ok(Held { _file: self.lock_file(number, self.clock.now())?, _queue: None }))
            .collect()
    }

    /// Opened each time: locks belong to an open file, and an open file for each is a lot. What was waited for may have been
    /// removed, as old files in `/tmp` are, and others may lock the one made since.
    fn lock_file(&self, number: usize, began: Timestamp) -> io::Result<File> {
        let path = self.directory.join(format!("{number:02x}"));
        loop {
            let file = files::open_or_make(&path, &self.trash)?;
            wait_for(&self.clock, began, self.patience, || file.try_lock())?;
            if files::is_at(&file, &path)? {
                return Ok(file);
            }
        }
    }
}

/// Tries until it has the lock or the time since `began` is up: the holder may be a process that was stopped. Whoever has
/// queued for so long that nobody waits for it any more tries once.
pub(crate) fn wait_for(
    clock: &dyn Clock,
    began: Timestamp,
    patience: Duration,
    attempt: impl Fn() -> Result<(), TryLockError>,
) -> io::Result<()> {
    let mut rest = RESTS.0;
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(cause)) => return Err(cause),
            Err(TryLockError::WouldBlock) => {}
        }
        if clock.now().saturating_since(began) >= patience {
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

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;
    use crate::random::OsRandom;

    #[cfg(unix)]
    #[test]
    fn a_lock_whose_file_was_removed_while_it_was_waited_for_is_not_held() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("locks")).unwrap();
        let process = || {
            let trash = Trash::new(home.path(), std::sync::Arc::new(OsRandom));
            Locks::new(home.path().join("locks"), trash, Duration::from_secs(30))
        };
        let (first, second, third, slot) = (process(), process(), process(), Slot(5));
        let held = first.lock(slot).unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let held = second.lock(slot).unwrap();
                sender.send(()).unwrap();
                drop(held);
            });
            // Time to open the file that is about to go.
            assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err());
            std::fs::remove_file(home.path().join("locks/05")).unwrap();
            let held_by_third = third.lock(slot).unwrap();
            drop(held);
            assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err(), "two hold it");
            drop(held_by_third);
            receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        });
    }
}
