//! Writers killed at a random moment.

use std::{
    env, fs,
    io::Read,
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use larder_core::{CacheStore, Clock as _, Expiry, Key, Namespace, SystemClock, Value};
use larder_filesystem::FileSystemStore;
use libtest_mimic::Failed;

use crate::support::{count, key, path, runtime, start};

/// `<kills>x<values>`, for more than the usual: `LARDER_KILLS=20x10000`.
const EXAM: &str = "LARDER_KILLS";
/// Of most values, and of every eighth: those lie in the index, these in a file of their own.
const SIZES: [usize; 2] = [100_000, 300_000];

fn plan() -> (usize, usize) {
    let Ok(plan) = env::var(EXAM) else { return (3, 400) };
    let (kills, values) = plan.split_once('x').expect("LARDER_KILLS is <kills>x<values>");
    (kills.parse().expect("a number of kills"), values.parse().expect("a number of values"))
}

fn is_large(number: usize) -> bool {
    number % 8 == 7
}

fn size(number: usize) -> usize {
    SIZES[usize::from(is_large(number))]
}

/// A value that shows whose it is and whether it is whole.
fn value(number: usize, round: u8) -> Vec<u8> {
    let mut bytes = vec![round; size(number)];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    bytes
}

pub(crate) fn child() -> ExitCode {
    let values = plan().1;
    runtime().block_on(async {
        let store = FileSystemStore::builder(path()).max_bytes(64 << 30).open().await.unwrap();
        // One of each size.
        for number in [0, 7] {
            let first = Value::Bytes(value(number, 0).into());
            store.set(&key(&number.to_string()), first, Expiry::Never).await.unwrap();
        }
        fs::write(path().with_extension("ready"), "").unwrap();
        for round in 0.. {
            let writes = (0..values).map(|number| {
                let value = Value::Bytes(value(number, round).into());
                (key(&number.to_string()), value, Expiry::Never)
            });
            for entry in writes {
                store.set(&entry.0, entry.1, entry.2).await.unwrap();
            }
        }
    });
    ExitCode::SUCCESS
}

fn random_millis(below: u64) -> Result<Duration, Failed> {
    let mut bytes = [0; 8];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(Duration::from_millis(u64::from_be_bytes(bytes) % below))
}

/// Starts a writer and kills it while it writes.
fn kill_one(path: &Path) -> Result<(), Failed> {
    let ready = path.with_extension("ready");
    if ready.exists() {
        fs::remove_file(&ready)?;
    }
    // In the exam a whole round takes some seconds.
    let longest = if env::var_os(EXAM).is_some() { 3_000 } else { 300 };
    let lives = random_millis(longest)?;
    let mut child = start("writer", path, 0);
    while !ready.exists() {
        thread::sleep(Duration::from_millis(1));
        if let Some(status) = child.try_wait()? {
            return Err(format!("the writer ended by itself: {status}").into());
        }
    }
    thread::sleep(lives);
    child.kill().and_then(|()| child.wait())?;
    Ok(())
}

/// Every key that is listed must be readable and whole. How many there are, and how many of them are large.
async fn check(store: &FileSystemStore) -> Result<(usize, usize), Failed> {
    let keys = store.keys(&Namespace::root()).await?;
    let mut large = 0;
    for key in &keys {
        let Some(Value::Bytes(seen)) = store.get(key).await? else {
            return Err(format!("{key:?} is listed and not readable").into());
        };
        let number: usize = key.text().unwrap().parse()?;
        large += usize::from(is_large(number));
        if seen.len() != size(number)
            || seen[..8] != (number as u64).to_be_bytes()
            || seen[8..].iter().any(|byte| *byte != seen[8])
        {
            return Err(format!("{key:?} is torn").into());
        }
    }
    Ok((keys.len(), large))
}

/// Waits until the background has made true what it must.
async fn eventually(limit: Duration, is_true: impl Fn() -> bool) -> bool {
    let clock = SystemClock::new();
    let began = Instant::now();
    while began.elapsed() < limit {
        if is_true() {
            return true;
        }
        clock.sleep(Duration::from_millis(10)).await;
    }
    is_true()
}

fn temporary(path: &Path) -> usize {
    count(path, "tmp")
}

pub(crate) fn kill_and_reopen() -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let path = home.path().join("cache");
    let mut leftovers = 0;
    for _ in 0..plan().0 {
        kill_one(&path)?;
        leftovers += temporary(&path);
        runtime().block_on(async {
            let store = FileSystemStore::builder(&path).max_bytes(64 << 30).open().await?;
            let left = temporary(&path);
            if left > 0 {
                return Err(Failed::from(format!("{left} temporary files after opening alone")));
            }
            let (kept, large) = check(&store).await?;
            if large == 0 || kept == large {
                return Err("nothing was kept".into());
            }
            let files = || (count(&path, "index-v5"), count(&path, "content-v2"));
            if !eventually(Duration::from_secs(20), || files() == (kept, large)).await {
                return Err(format!("{:?} files for {kept} entries, {large} of them large", files()).into());
            }
            store
                .set(&Key::new(&Namespace::root(), "0")?, Value::Bytes(value(0, 1).into()), Expiry::Never)
                .await?;
            Ok(())
        })?;
    }
    #[expect(clippy::print_stderr, reason = "says what was proven")]
    {
        // Shown where the test is run by hand: that there was something to clean.
        eprintln!("{leftovers} temporary files of killed writers were removed");
    }
    Ok(())
}

/// Another process has the directory open: what the dead left goes when it is old, with the next sweep.
pub(crate) fn kill_beside_others() -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let path = home.path().join("cache");
    runtime().block_on(async {
        let builder =
            FileSystemStore::builder(&path).max_bytes(64 << 30).sweep_every(Duration::from_millis(50));
        let store = builder.open().await?;
        kill_one(&path)?;
        check(&store).await?;
        // What a writer that was killed some time ago would have left.
        let data = path.join("spaces/1_/data");
        let old = std::time::SystemTime::now() - Duration::from_hours(1);
        let content = data.join("content-v2/xxh3/ab/cd/ef0123456789abcdef0123456789");
        fs::create_dir_all(content.parent().unwrap())?;
        for left in [data.join("tmp/.tmpleft"), content.clone()] {
            fs::write(&left, "half")?;
            fs::File::options().write(true).open(&left)?.set_modified(old)?;
        }
        let fresh = data.join("tmp/.tmpfresh");
        fs::write(&fresh, "half")?;
        let gone =
            eventually(Duration::from_secs(10), || !data.join("tmp/.tmpleft").exists() && !content.exists());
        if !gone.await {
            return Err("old leftovers stayed".into());
        }
        if !fresh.exists() {
            return Err("a file that a living writer may be writing was removed".into());
        }
        check(&store).await?;
        Ok(())
    })
}
