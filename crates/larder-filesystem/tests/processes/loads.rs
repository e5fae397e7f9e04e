//! Loads through a `Cache` in four processes, beside deletes, clears and direct writes.
//!
//! Loads are fenced within a process. Across processes this examines what a store alone can promise: no value is ever
//! torn, mixed with another, or of another key, and no operation fails.

use std::{process::ExitCode, time::Duration};

use larder_core::{Cache, Error, Result};
use larder_filesystem::FileSystemStore;
use libtest_mimic::Failed;

use crate::support::{number, path, runtime, start};

const STEPS: usize = 400;
const KEYS: usize = 6;

/// Text that names its key and repeats one mark, long enough to take several blocks.
fn text(key: usize, mark: usize) -> String {
    format!("{key:04}:{}", format!("{mark:08}").repeat(3_000))
}

fn check(key: usize, seen: &str) {
    let marks = &seen[5..];
    assert!(seen.starts_with(&format!("{key:04}:")), "another key's value: {}", &seen[..5]);
    assert!(
        marks.len() == 24_000 && marks.as_bytes().chunks(8).all(|mark| mark == &marks.as_bytes()[..8]),
        "torn"
    );
}

pub(crate) fn child() -> ExitCode {
    let number = number();
    runtime().block_on(async {
        let store =
            FileSystemStore::builder(path()).operation_timeout(Duration::from_secs(30)).open().await.unwrap();
        // More than usual: the processes fight for one disk and few processors.
        let cache = Cache::builder(store).operation_timeout(Duration::from_secs(30)).build().unwrap();
        let tasks: Vec<_> = (0..4).map(|task| tokio::spawn(work(cache.clone(), number * 4 + task))).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
    ExitCode::SUCCESS
}

async fn work(cache: Cache, worker: usize) -> Result<()> {
    let cleared = cache.namespace("cleared")?;
    for step in 0..STEPS {
        let key = (step * 7 + worker) % KEYS;
        let mark = worker * STEPS + step;
        let name = key.to_string();
        match (step + worker) % 11 {
            0 => drop(cache.delete(&name).await?),
            1 => cache.set(&name, text(key, mark)).await?,
            2 => cleared.clear().await?,
            3 => {
                let seen = cleared
                    .get_or_load(&name, move || async move { Ok::<_, Error>(text(key, mark)) })
                    .await?;
                check(key, &seen);
            }
            _ => {
                let seen =
                    cache.get_or_load(&name, move || async move { Ok::<_, Error>(text(key, mark)) }).await?;
                check(key, &seen);
            }
        }
    }
    Ok(())
}

pub(crate) fn race() -> std::result::Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let path = home.path().join("cache");
    let children: Vec<_> = (0..4).map(|number| start("loader", &path, number)).collect();
    for mut child in children {
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("a process failed: {status}").into());
        }
    }
    runtime().block_on(async {
        let cache = Cache::new(FileSystemStore::builder(&path).open().await?);
        for key in 0..KEYS {
            if let Some(seen) = cache.get::<String>(&key.to_string()).await? {
                check(key, &seen);
            }
        }
        Ok(())
    })
}
