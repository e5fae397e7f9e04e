//! The suite, by four processes on one directory at once.

use std::process::ExitCode;

use larder_conformance::Suite;
use larder_filesystem::FileSystemStore;
use libtest_mimic::Failed;

use crate::support::{path, start};

pub(crate) fn child() -> ExitCode {
    let path = path();
    larder_conformance::run([Suite::new(move || {
        let path = path.clone();
        async move { Ok(FileSystemStore::builder(path).open().await?) }
    })])
}

pub(crate) fn four_processes() -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let children: Vec<_> = (0..4).map(|number| start("suite", &home.path().join("cache"), number)).collect();
    for mut child in children {
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("one of four: {status}").into());
        }
    }
    Ok(())
}
