//! Operations that read and then write, by four processes at once.

use std::{process::ExitCode, time::Duration};

use larder_core::{CacheStore, Expiry, Value};
use larder_filesystem::FileSystemStore;
use libtest_mimic::Failed;

use crate::support::{key, number, path, runtime, start};

const STEPS: usize = 300;
const PROCESSES: usize = 4;

pub(crate) fn child() -> ExitCode {
    let number = number();
    runtime().block_on(async {
        let store =
            FileSystemStore::builder(path()).operation_timeout(Duration::from_secs(30)).open().await.unwrap();
        for step in 0..STEPS {
            store.increment(&key("counter"), 1, Expiry::Never).await.unwrap();
            let claim = key(&format!("claim {step}"));
            if store
                .add(&claim, Value::Int(i64::try_from(number).unwrap()), Expiry::Never)
                .await
                .unwrap()
                .is_some()
            {
                store.increment(&key("claims"), 1, Expiry::Never).await.unwrap();
            }
            // Another counter, by comparing versions.
            loop {
                let Some((Value::Int(seen), version)) = store.get_versioned(&key("versioned")).await.unwrap()
                else {
                    store.add(&key("versioned"), Value::Int(0), Expiry::Never).await.unwrap();
                    continue;
                };
                let next = Value::Int(seen + 1);
                if store.replace(&key("versioned"), &version, next, Expiry::Never).await.unwrap().is_some() {
                    break;
                }
            }
        }
    });
    ExitCode::SUCCESS
}

pub(crate) fn exact() -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let path = home.path().join("cache");
    let children: Vec<_> = (0..PROCESSES).map(|number| start("counter", &path, number)).collect();
    for mut child in children {
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("a process failed: {status}").into());
        }
    }
    runtime().block_on(async {
        let store = FileSystemStore::builder(&path).open().await?;
        for (name, wanted) in
            [("counter", PROCESSES * STEPS), ("claims", STEPS), ("versioned", PROCESSES * STEPS)]
        {
            let seen = store.get(&key(name)).await?;
            if !matches!(seen, Some(Value::Int(count)) if count == i64::try_from(wanted)?) {
                return Err(format!("{name}: {seen:?}, wanted {wanted}").into());
            }
        }
        Ok(())
    })
}
