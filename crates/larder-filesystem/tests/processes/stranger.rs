//! A process of another user. It can be started by root alone.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use larder_core::{CacheStore, ErrorKind, Expiry, Namespace, Value};
use larder_filesystem::FileSystemStore;
use libtest_mimic::Failed;

use crate::support::{command, key, path, runtime};

/// The user `nobody`, by custom.
const NOBODY: u32 = 65_534;

fn text(value: Option<Value>) -> Option<Vec<u8>> {
    value.map(|value| value.to_wire().unwrap()[1..].to_vec())
}

/// What it does in which directory is told by the directory's name.
pub(crate) fn child() -> ExitCode {
    let (path, began) = (path(), Instant::now());
    runtime().block_on(async {
        let opened = FileSystemStore::builder(&path).open().await;
        match path.file_name().unwrap().to_str().unwrap() {
            "closed" => {
                let error = opened.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert!(
                    error.to_string().contains("this process may not use the store's directory"),
                    "{error}"
                );
                assert!(!error.is_retryable());
            }
            "readable" => {
                let store = opened.unwrap();
                assert_eq!(text(store.get(&key("k")).await.unwrap()).unwrap(), b"old");
                for result in [
                    store.set(&key("k"), Value::Bytes("new".into()), Expiry::Never).await,
                    store.delete(&key("k")).await.map(drop),
                    store.clear(&Namespace::root()).await,
                ] {
                    assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
                }
                assert_eq!(text(store.get(&key("k")).await.unwrap()).unwrap(), b"old");
            }
            "unreadable files" => {
                let store = opened.unwrap();
                for name in ["small", "large"] {
                    assert!(store.get(&key(name)).await.unwrap().is_none(), "{name}");
                    store.set(&key(name), Value::Bytes("new".into()), Expiry::Never).await.unwrap();
                    assert_eq!(text(store.get(&key(name)).await.unwrap()).unwrap(), b"new");
                }
            }
            other => panic!("{other}"),
        }
    });
    assert!(began.elapsed() < Duration::from_secs(10));
    ExitCode::SUCCESS
}

fn is_root(home: &Path) -> bool {
    let file = home.join("whose");
    fs::write(&file, "").is_ok_and(|()| chown(&file, Some(NOBODY), None).is_ok())
}

pub(crate) fn refused() -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    // Others must get as far as the store.
    fs::set_permissions(home.path(), Permissions::from_mode(0o755))?;
    if !is_root(home.path()) {
        #[expect(clippy::print_stderr, reason = "a test that cannot run says why")]
        {
            eprintln!("skipped: only root can start a process of another user");
        }
        return Ok(());
    }
    // Where it was built others may not look.
    let program = home.path().join("program");
    fs::copy(std::env::current_exe()?, &program)?;
    fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    for name in ["closed", "readable", "unreadable files"] {
        let path = home.path().join(name);
        runtime().block_on(async {
            let store = FileSystemStore::builder(&path).open().await?;
            for (name, value) in
                [("k", "old".to_owned()), ("small", "old".to_owned()), ("large", "old".repeat(100_000))]
            {
                store.set(&key(name), Value::Bytes(value.into()), Expiry::Never).await?;
            }
            Ok::<_, Failed>(())
        })?;
        // All but the mode of the directory itself is as the umask has it.
        match name {
            "readable" => fs::set_permissions(&path, Permissions::from_mode(0o755))?,
            "unreadable files" => give_away(&path)?,
            _ => {}
        }
        let status = command(&program, "stranger", &path, 0)
            .uid(NOBODY)
            .gid(NOBODY)
            .current_dir("/")
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("{name}: {status}").into());
        }
    }
    Ok(())
}

/// All directories, and no file below `spaces`: those stay root's, who alone may read them.
fn give_away(path: &Path) -> std::io::Result<()> {
    chown(path, Some(NOBODY), Some(NOBODY))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            give_away(&entry.path())?;
        } else if path.iter().any(|part| part == "spaces") {
            fs::set_permissions(entry.path(), Permissions::from_mode(0o600))?;
        } else {
            chown(entry.path(), Some(NOBODY), Some(NOBODY))?;
        }
    }
    Ok(())
}
