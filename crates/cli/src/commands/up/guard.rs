//! One fleet per state directory: a lock that goes with the process, however it ends.

use crate::error::{CliError, Result};
use guildhall_provision::fleet::{self, Running};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The state directory while it is ours. Dropped, it is free again.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the directory when needed and takes it; refuses when another fleet has it.
    pub fn take(path: &Path) -> Result<StateDir> {
        let cannot = |what: &str, error: std::io::Error| {
            CliError::new(format!("cannot {what} the state directory {}", path.display()))
                .cause(&error)
                .hint("name another with --state-dir")
        };
        std::fs::create_dir_all(path.join("run")).map_err(|error| cannot("make", error))?;
        std::fs::create_dir_all(path.join("logs")).map_err(|error| cannot("make", error))?;
        // As root the database runs as another user, who has to pass through; secrets are closed one by one.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
            .map_err(|error| cannot("set the mode of", error))?;
        let path = path.canonicalize().map_err(|error| cannot("find", error))?;
        let file = path.join("run/up.lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file)
            .map_err(|error| cannot("lock", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(taken(&path)),
            Err(std::fs::TryLockError::Error(error)) => return Err(cannot("lock", error)),
        }
        // What a killed fleet said about itself is no longer true.
        let _ = std::fs::remove_file(fleet::running_file(&path));
        Ok(StateDir { path, _lock: lock })
    }

    /// The directory's canonical path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the state directory's `cache` lead to a directory that fleets share.
    pub fn share_cache(&self, shared: &Path) -> Result<()> {
        let own = self.path.join("cache");
        let cannot = |error: std::io::Error| {
            CliError::new(format!("cannot use {} for compiled components", shared.display())).cause(&error)
        };
        std::fs::create_dir_all(shared).map_err(cannot)?;
        let shared = shared.canonicalize().map_err(cannot)?;
        if own.canonicalize().is_ok_and(|existing| existing == shared) {
            return Ok(());
        }
        if own.is_dir() && !own.is_symlink() {
            // What an earlier start compiled here can be compiled again.
            std::fs::remove_dir_all(&own).map_err(cannot)?;
        }
        let _ = std::fs::remove_file(&own);
        std::os::unix::fs::symlink(&shared, &own).map_err(cannot)
    }

    /// Tells others what runs here.
    pub fn announce(&self, running: &Running) -> Result<()> {
        let text = serde_json::to_string(running)
            .map_err(|error| CliError::new("cannot write JSON").cause(&error))?;
        Ok(guildhall_provision::secret::write(
            &fleet::running_file(&self.path),
            &text,
        )?)
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(fleet::running_file(&self.path));
    }
}

fn taken(path: &Path) -> CliError {
    let who = fleet::running(path).map_or("another process".to_string(), |running| {
        format!("process {} at {}", running.pid, running.url)
    });
    let stop = fleet::running(path).map_or(String::new(), |running| {
        format!("stop it with `kill {}`, or ", running.pid)
    });
    CliError::failure(format!("a fleet already runs on {}", path.display()))
        .because(format!("{who} holds its lock"))
        .hint(format!(
            "{stop}start a second fleet with --state-dir OTHER --listen 127.0.0.1:0"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fleets_share_a_cache_also_after_having_one_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::take(&dir.path().join("state")).unwrap();
        std::fs::create_dir(state.path().join("cache")).unwrap();
        std::fs::write(state.path().join("cache/old"), "x").unwrap();
        for shared in ["one", "one", "two"] {
            state.share_cache(&dir.path().join(shared)).unwrap();
            std::fs::write(state.path().join("cache/file"), "x").unwrap();
            assert!(dir.path().join(shared).join("file").exists());
        }
    }

    #[test]
    fn a_state_directory_has_one_fleet_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::take(dir.path()).unwrap();
        let running = Running {
            pid: 7,
            url: "http://127.0.0.1:1".into(),
            ready: true,
            children: Default::default(),
        };
        first.announce(&running).unwrap();
        let refused = StateDir::take(dir.path()).unwrap_err();
        assert_eq!(refused.exit.code(), 1);
        assert!(
            refused.render(false).contains("process 7 at http://127.0.0.1:1"),
            "{refused}"
        );
        drop(first);
        StateDir::take(dir.path()).unwrap();
        assert!(fleet::running(dir.path()).is_none());
    }
}
