//! Who the database and Redis run as. Postgres refuses to run as root, so root hands them to an unprivileged user.

use crate::error::{Attempt, Error, Result};
use crate::os;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user that a private instance runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunAs {
    /// As ourselves.
    Own,
    /// As another user, because we are root.
    Other {
        /// The user's name.
        name: String,
        /// The user's id.
        uid: u32,
        /// The user's main group.
        gid: u32,
    },
}

impl RunAs {
    /// Ourselves, or when we are root `postgres` if there is such a user, else `nobody`.
    pub fn detect() -> Result<RunAs> {
        if os::effective_uid() != 0 {
            return Ok(RunAs::Own);
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(RunAs::named)
            .ok_or_else(|| {
                Error::new("cannot find an unprivileged user to run Postgres as")
                    .cause("this runs as root, and there is neither a user `postgres` nor `nobody`")
                    .hint("useradd --system postgres, or run as an ordinary user")
            })
    }

    fn named(name: &str) -> Option<RunAs> {
        let id = |flag: &str| -> Option<u32> {
            let output = Command::new("id").args([flag, name]).output().ok()?;
            output
                .status
                .success()
                .then(|| String::from_utf8_lossy(&output.stdout).trim().parse().ok())?
        };
        let (uid, gid) = (id("-u")?, id("-g")?);
        (uid != 0).then(|| RunAs::Other {
            name: name.into(),
            uid,
            gid,
        })
    }

    /// Makes `command` run as this user.
    pub fn apply(&self, command: &mut Command) {
        if let RunAs::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
    }

    /// Makes a directory (with parents) that this user owns and nobody else may enter.
    pub fn make_private_dir(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir).attempt(|| format!("cannot make the directory {}", dir.display()))?;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
            .attempt(|| format!("cannot set the mode of {}", dir.display()))?;
        self.give(dir)
    }

    /// Hands a file or directory (not its content) to this user.
    pub fn give(&self, path: &Path) -> Result<()> {
        match self {
            RunAs::Own => Ok(()),
            RunAs::Other { name, uid, gid } => chown(path, Some(*uid), Some(*gid))
                .attempt(|| format!("cannot give {} to the user {name}", path.display())),
        }
    }

    /// Where an instance of `state_dir` may live: in it when this user can reach it, else below /var/lib/guildhall
    /// (root with a state directory under a closed home such as /root).
    pub fn home_below(&self, state_dir: &Path, name: &str) -> Result<PathBuf> {
        let state_dir = state_dir
            .canonicalize()
            .attempt(|| format!("cannot find the state directory {}", state_dir.display()))?;
        match self {
            RunAs::Other { uid, gid, .. } if !can_enter(&state_dir, *uid, *gid) => {
                let base = PathBuf::from("/var/lib/guildhall");
                std::fs::create_dir_all(&base).attempt(|| format!("cannot make {}", base.display()))?;
                let key = fingerprint(&state_dir.to_string_lossy());
                Ok(base.join(format!("{key:016x}-{name}")))
            }
            _ => Ok(state_dir.join(name)),
        }
    }
}

/// Whether a user may pass through every directory down to `dir`.
fn can_enter(dir: &Path, uid: u32, gid: u32) -> bool {
    dir.ancestors()
        .filter(|ancestor| !ancestor.as_os_str().is_empty())
        .all(|ancestor| {
            ancestor.metadata().is_ok_and(|meta| {
                let bit = match () {
                    () if meta.uid() == uid => 0o100,
                    () if meta.gid() == gid => 0o010,
                    () => 0o001,
                };
                meta.mode() & bit != 0
            })
        })
}

/// FNV-1a: the same directory gets the same home after a restart.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_parent_sends_the_home_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("closed/state");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let meta = inner.metadata().unwrap();
        let stranger = meta.uid() + 4_000;
        assert!(can_enter(&inner, stranger, meta.gid() + 4_000));
        std::fs::set_permissions(inner.parent().unwrap(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!can_enter(&inner, stranger, meta.gid() + 4_000));
        assert!(can_enter(&inner, meta.uid(), meta.gid()));
    }

    #[test]
    fn fingerprints_are_stable() {
        assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
        assert_ne!(fingerprint("/a"), fingerprint("/b"));
    }
}
