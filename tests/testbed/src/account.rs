//! The user that servers run as: memcached and initdb refuse root.

use anyhow::{Context, Result};

/// An unprivileged user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// `nobody` when we are root; `None` when we are not, and servers run as we do.
    pub(crate) fn for_servers() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let account = Self::find(&users, "nobody");
        account.map(Some).context("servers refuse root, and /etc/passwd has no user `nobody` to run them as")
    }

    fn find(users: &str, name: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(Self { uid, gid })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\nnobody2:x:7:7::/:\nnobody:x:65534:65533:nobody:/:/sbin/nologin\n";
        assert_eq!(Account::find(users, "nobody"), Some(Account { uid: 65534, gid: 65533 }));
        assert_eq!(Account::find(users, "no"), None);
        assert_eq!(Account::find("nobody:x:many:1::/:", "nobody"), None);
    }
}
