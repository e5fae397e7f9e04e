//! Installing what is missing, on Debian and as root.

use std::fmt;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use larder_testbed::programs::{self, Program};

const NEEDED: &[Program] =
    &[programs::REDIS, programs::MEMCACHED, programs::INITDB, programs::POSTGRES, programs::PGBOUNCER];

/// Asked by packages before they start their own services; 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Packages that are missing and cannot be installed from here.
#[derive(Debug)]
pub(crate) struct NotInstalled(Vec<&'static str>);

impl fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packages = self.0.join(" ");
        write!(f, "the tests need servers that are not installed; as root, run: apt-get install {packages}")
    }
}

impl std::error::Error for NotInstalled {}

/// Installs the packages of missing programs, if there are any and we may.
pub(crate) fn what_is_missing() -> Result<()> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let apt = ["/usr/bin/apt-get", "/bin/apt-get"].into_iter().find(|path| Path::new(path).exists());
    let Some(apt) = apt.filter(|_| rustix::process::geteuid().is_root()) else {
        return Err(NotInstalled(packages).into());
    };
    eprintln!("installing {}", packages.join(" "));
    let _policy = Policy::forbid_services()?;
    // What a fresh machine knows of packages may be nothing, or too old to fetch.
    apt_get(apt, &["update", "--quiet"])?;
    let words = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt_get(apt, &[&words, &packages[..]].concat())?;
    let packages = missing();
    if packages.is_empty() { Ok(()) } else { Err(NotInstalled(packages).into()) }
}

fn missing() -> Vec<&'static str> {
    let mut packages: Vec<_> =
        NEEDED.iter().filter_map(|program| Some(program.find().err()?.package())).collect();
    packages.dedup();
    packages
}

fn apt_get(program: &str, words: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
    // The variables of tests go by the output, so this goes where errors go.
    command.stdout(std::io::stderr());
    // Who interrupts us shall not leave a package half installed.
    command.process_group(0);
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        bail!("apt-get {} ended with {status}", words.join(" "));
    }
    Ok(())
}

/// While it lives, packages that are installed do not start their services. A policy that somebody else made is left as
/// it is.
struct Policy {
    is_ours: bool,
}

impl Policy {
    fn forbid_services() -> Result<Self> {
        let is_ours = !Path::new(POLICY).exists();
        if is_ours {
            std::fs::write(POLICY, "#!/bin/sh\nexit 101\n")
                .with_context(|| format!("cannot write {POLICY}"))?;
            std::fs::set_permissions(POLICY, Permissions::from_mode(0o755)).context(POLICY)?;
        }
        Ok(Self { is_ours })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = std::fs::remove_file(POLICY)
        {
            eprintln!("cannot remove {POLICY}, which keeps services from being started: {error}");
        }
    }
}
