//! Every operation, with every step on files failing once: what it then says must be true.

use std::{
    fmt::Debug,
    fs, io,
    path::Path,
    sync::{Arc, Mutex, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use larder_core::{
    Clock as _, ErrorKind, Expiry, Key, ManualClock, Namespace, Result, Timestamp, Value, Version,
};

use crate::{
    accountant::Accountant,
    config::{Bounds, Durability},
    directory::Directory,
    engine::Engine,
    faults::{Moment, with_hook},
    files,
    layout::{Layout, MAX_INLINE},
    locks::Locks,
    random::{OsRandom, Random},
    trash::Trash,
};

const PATIENCE: Duration = Duration::from_secs(1);

fn engine(path: &Path, durability: Durability) -> Result<Engine> {
    let random: Arc<dyn Random> = Arc::new(OsRandom);
    Ok(Engine {
        layout: Layout::new(path, durability, Arc::clone(&random)),
        locks: Locks::new(path.join("locks"), Trash::new(path, Arc::clone(&random)), PATIENCE),
        accountant: Accountant::new(Bounds { max_entries: 100, max_bytes: 1 << 30 }),
        directory: Directory::open(path, durability, &random, PATIENCE)?,
        clock: Arc::new(ManualClock::default()),
        random,
        events: OnceLock::new(),
        closing: AtomicBool::new(false),
        trouble: Mutex::new(None),
    })
}

/// In memory where that can be had: thousands of flushes to a disk take their time and show nothing here.
fn home() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Whoever opens a store alone waits for the next tick of the file system's clock: spared here, where it is not alone.
fn opened_by_another(path: &Path) -> fs::File {
    fs::create_dir(path).unwrap();
    fs::write(path.join("larder.store"), "Larder file store, layout 1\n").unwrap();
    let presence = fs::File::create(path.join("lock")).unwrap();
    presence.lock_shared().unwrap();
    presence
}

fn key() -> Key {
    Key::new(&Namespace::root(), "k").unwrap()
}

fn wire(text: &str) -> Bytes {
    Value::Bytes(text.to_owned().into()).to_wire().unwrap()
}

/// What is to be seen of the key.
#[derive(Clone, Debug, PartialEq)]
struct Seen(Option<(Vec<u8>, Version)>, Option<Expiry>);

fn look(engine: &Engine) -> Seen {
    let found = engine.get(&key()).unwrap();
    let found = found.map(|(value, version)| (value.to_wire().unwrap().to_vec(), version));
    Seen(found, engine.expiry(&key()).unwrap())
}

type Operation = Box<dyn Fn(&Engine) -> Result<()>>;

/// What is done before, and what is done while the file system fails.
struct Case {
    name: &'static str,
    before: Option<Bytes>,
    operation: Operation,
}

fn case(
    name: &'static str,
    before: Option<&Bytes>,
    operation: impl Fn(&Engine) -> Result<()> + 'static,
) -> Case {
    Case { name, before: before.cloned(), operation: Box::new(operation) }
}

fn cases() -> Vec<Case> {
    let (small, large) = (wire("old"), wire(&"old".repeat(MAX_INLINE / 3 + 1)));
    let (new, new_large) = (wire("new"), wire(&"new".repeat(MAX_INLINE / 3 + 1)));
    let counter = Value::Int(5).to_wire().unwrap();
    let mut cases = vec![case("increment", Some(&counter), |engine| {
        engine.increment(&key(), 1, Timestamp::MAX).map(drop)
    })];
    for before in [None, Some(&small), Some(&large)] {
        for wire in [new.clone(), new_large.clone()] {
            let [set, add, replace] = [wire.clone(), wire.clone(), wire];
            cases.push(case("set", before, move |engine| engine.set(&key(), &set, Timestamp::MAX)));
            cases.push(case("add", before, move |engine| engine.add(&key(), &add, Timestamp::MAX).map(drop)));
            cases.push(case("replace", before, move |engine| {
                let Some((_, version)) = engine.get(&key())? else { return Ok(()) };
                engine.replace(&key(), &version, &replace, Timestamp::MAX).map(drop)
            }));
        }
        cases.push(case("delete", before, |engine| engine.delete(&key()).map(drop)));
        cases.push(case("set, over already", before, |engine| {
            engine.set(&key(), &wire("new"), Timestamp::from_nanos(1))
        }));
        cases.push(case("touch", before, |engine| {
            engine.touch(&key(), Timestamp::from_nanos(u64::MAX / 2)).map(drop)
        }));
        cases.push(case("touch, over already", before, |engine| {
            engine.touch(&key(), Timestamp::from_nanos(1)).map(drop)
        }));
        cases.push(case("clear", before, |engine| engine.clear(&Namespace::root()).map(drop)));
        cases.push(case("get", before, |engine| engine.get(&key()).map(drop)));
        cases.push(case("has", before, |engine| engine.has(&key()).map(drop)));
        cases.push(case("len", before, |engine| engine.len().map(drop)));
    }
    cases
}

/// Calls the operation with its first step failing, then with its second, until one run meets no fault.
fn at_each_step(case: &Case, durability: Durability, fault: fn(&Path) -> Fault, judge: impl Fn(&Run<'_>)) {
    for step in 0.. {
        let home = home();
        let path = home.path().join("c");
        let _other = opened_by_another(&path);
        let engine = engine(&path, durability).unwrap();
        if let Some(before) = &case.before {
            engine.set(&key(), before, Timestamp::MAX).unwrap();
        }
        let seen = look(&engine);
        let mut fault = fault(&path);
        let (mut count, struck) = (0, Arc::new(AtomicBool::new(false)));
        let was_struck = Arc::clone(&struck);
        let hook = move |moment| {
            let is_now = count == step;
            count += 1;
            if !is_now {
                return Ok(());
            }
            was_struck.store(true, std::sync::atomic::Ordering::Relaxed);
            fault(moment)
        };
        let result = with_hook(hook, || (case.operation)(&engine));
        if !struck.load(std::sync::atomic::Ordering::Relaxed) {
            result.unwrap();
            return;
        }
        judge(&Run { case, step, path: &path, engine: &engine, before: seen, result });
    }
}

type Fault = Box<dyn FnMut(Moment) -> io::Result<()>>;

/// How an operation ended one of whose steps failed.
struct Run<'a> {
    case: &'a Case,
    step: usize,
    path: &'a Path,
    engine: &'a Engine,
    before: Seen,
    result: Result<()>,
}

impl Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Case { name, before, .. } = self.case;
        let len = before.as_ref().map(Bytes::len);
        write!(f, "{name} over {len:?} bytes, step {}: {:?}", self.step, self.result)
    }
}

/// What the disk answers where it fails: nothing is known of what it did, even after it did it.
#[cfg(unix)]
fn broken(_: &Path) -> Fault {
    Box::new(|_| Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())))
}

/// What a disk answers that is full: nothing was done.
fn full(_: &Path) -> Fault {
    Box::new(|moment| match moment {
        Moment::Before | Moment::BeforeFlush => Err(io::ErrorKind::StorageFull.into()),
        // Which need no space.
        Moment::BeforeRemoval | Moment::After => Ok(()),
    })
}

fn what_it_says_is_true(run: &Run<'_>) {
    let after = look(run.engine);
    if let Err(error) = &run.result {
        assert!(error.downcast_ref::<io::Error>().is_some(), "{run:?}");
        match error.kind() {
            ErrorKind::Unavailable => assert_eq!(after, run.before, "{run:?}"),
            ErrorKind::Ambiguous => assert!(!error.is_retryable(), "{run:?}"),
            _ => panic!("{run:?}"),
        }
    }
    // Whole, old or new, and nothing else.
    if let Seen(Some((value, _)), _) = &after {
        let is_old = run.before.0.as_ref().is_some_and(|(old, _)| old == value);
        let is_new = [wire("new"), wire(&"new".repeat(MAX_INLINE / 3 + 1)), Value::Int(6).to_wire().unwrap()];
        assert!(is_old || is_new.iter().any(|new| new == value), "{run:?}");
    }
    // It works again.
    if let Err(error) = run.engine.set(&key(), &wire("next"), Timestamp::MAX) {
        panic!("{run:?}, and then: {error:?}");
    }
    assert_eq!(look(run.engine).0.unwrap().0, wire("next"));
    assert_eq!(run.engine.len().unwrap(), 1, "{run:?}");
}

#[test]
fn where_the_disk_fails_what_is_said_is_true() {
    for durability in [Durability::None, Durability::Data] {
        for case in cases() {
            at_each_step(&case, durability, broken, what_it_says_is_true);
        }
    }
}

#[test]
fn where_the_disk_is_full_nothing_was_done() {
    for case in cases() {
        at_each_step(&case, Durability::None, full, |run| {
            if let Err(error) = &run.result {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{run:?}");
            }
            what_it_says_is_true(run);
            assert_eq!(files::list(&run.path.join("spaces/1_/data/tmp")).unwrap().len(), 0, "{run:?}");
        });
    }
}

#[test]
fn an_increment_that_may_have_counted_is_ambiguous() {
    let kinds = Mutex::new(Vec::new());
    let case = &cases()[0];
    assert_eq!(case.name, "increment");
    at_each_step(case, Durability::Data, broken, |run| {
        let seen = run.engine.get(&key()).unwrap().unwrap().0;
        let counted = matches!(seen, Value::Int(6));
        let kind = run.result.as_ref().err().map(larder_core::Error::kind);
        assert!(!counted || kind != Some(ErrorKind::Unavailable), "{run:?}");
        kinds.lock().unwrap().push((counted, kind));
    });
    let kinds = kinds.into_inner().unwrap();
    assert!(kinds.contains(&(true, Some(ErrorKind::Ambiguous))), "{kinds:?}");
    assert!(kinds.contains(&(false, Some(ErrorKind::Unavailable))), "{kinds:?}");
}

#[test]
fn a_directory_removed_at_any_moment_is_an_error_or_gone_and_can_be_opened_anew() {
    for case in cases() {
        let vanish = |path: &Path| -> Fault {
            let path = path.to_owned();
            Box::new(move |_| {
                fs::remove_dir_all(&path).unwrap();
                Ok(())
            })
        };
        at_each_step(&case, Durability::None, vanish, |run| {
            if let Err(error) = &run.result {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{run:?}");
            }
            assert!(!run.path.exists(), "nothing comes back: {run:?}");
            let error = run.engine.get(&key()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{run:?}");
            let error = run.engine.set(&key(), &wire("next"), Timestamp::MAX).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{run:?}");
            let anew = engine(run.path, Durability::None).unwrap();
            run.engine.set(&key(), &wire("next"), Timestamp::MAX).unwrap();
            assert_eq!(look(&anew).0.unwrap().0, wire("next"), "{run:?}");
        });
    }
}

/// As `rm -rf` is that a writer gets in the way of: it fails, and the mark is gone.
#[test]
fn a_directory_that_lost_its_mark_takes_no_writes_and_says_why() {
    for case in cases() {
        let unmark = |path: &Path| -> Fault {
            let mark = path.join("larder.store");
            Box::new(move |_| fs::remove_file(&mark))
        };
        at_each_step(&case, Durability::None, unmark, |run| {
            if let Err(error) = &run.result {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{run:?}");
            }
            let error = run.engine.set(&key(), &wire("next"), Timestamp::MAX).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{run:?}");
            if run.path.exists() {
                let error = engine(run.path, Durability::None).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config, "{run:?}");
                assert!(error.to_string().contains("what is left of a Larder store"), "{error}");
            }
        });
    }
}

/// How often something is flushed to the disk.
fn flushes<T>(job: impl FnOnce() -> T) -> (usize, T) {
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let hook = move |moment| {
        *counted.lock().unwrap() += usize::from(moment == Moment::BeforeFlush);
        Ok(())
    };
    let result = with_hook(hook, job);
    let count = *count.lock().unwrap();
    (count, result)
}

#[test]
fn what_marks_a_directory_survives_a_power_loss_as_what_is_in_it() {
    for (durability, expected) in [(Durability::None, [1, 0, 0]), (Durability::Data, [3, 2, 2])] {
        let home = home();
        let path = home.path().join("c");
        // The mark, then the directory and the one that it is in.
        let (made, _engine) = flushes(|| engine(&path, durability).unwrap());
        let (opened, engine) = flushes(|| engine(&path, durability).unwrap());
        engine.set(&key(), &wire("v"), Timestamp::MAX).unwrap();
        // What stays where a foreign file is in it has to say that its entries are gone.
        fs::write(path.join("spaces/1_/mine"), "mine").unwrap();
        let (cleared, _) = flushes(|| engine.clear(&Namespace::root()).unwrap());
        assert_eq!([made, opened, cleared], expected, "{durability:?}");
    }
}

#[test]
fn what_ends_while_it_is_read_is_a_miss() {
    for value in [wire("v"), wire(&"v".repeat(MAX_INLINE + 1))] {
        for step in 0..6 {
            let home = home();
            let clock = ManualClock::default();
            let mut engine = engine(&home.path().join("c"), Durability::None).unwrap();
            engine.clock = Arc::new(clock.clone());
            engine.set(&key(), &value, Expiry::After(PATIENCE).deadline(engine.clock.now())).unwrap();
            let (mut count, moved) = (0, clock.clone());
            let hook = move |_| {
                if count == step {
                    moved.advance(PATIENCE);
                }
                count += 1;
                Ok(())
            };
            let found = with_hook(hook, || engine.get(&key())).unwrap();
            let is_over = clock.now() >= ManualClock::default().now().saturating_add(PATIENCE);
            assert_eq!(found.is_none(), is_over, "step {step} of {} bytes", value.len());
        }
    }
}
