//! Files that must survive a crash at any instant: written beside, synced, renamed, and the directory synced.

use crate::error::{ToolError, ToolResult};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file name for an arbitrary key: no key can escape the directory or collide by letter case.
pub fn name_of(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}

/// Writes `value` as JSON so that after any crash the file holds either the old or the new value, entirely.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let temporary = directory.join(format!(".{}.tmp", uuid::Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(directory)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary); // It may not exist; the write's own error is the one to report.
    }
    written
}

/// Reads what [`write_json`] wrote; `None` when there is no such file. A damaged file is an error, never "nothing".
pub fn read_json<T: DeserializeOwned>(path: &Path) -> ToolResult<Option<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(ToolError::internal(
                &format!("cannot read {}", path.display()),
                error,
            ));
        }
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| ToolError::internal(&format!("{} is damaged", path.display()), error))
}

/// An exclusive lock that holds between threads and between processes, and ends with its owner.
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits for the lock.
    pub fn acquire(path: &Path) -> ToolResult<Self> {
        let file = open_lock(path)?;
        file.lock()
            .map_err(|error| ToolError::internal(&format!("cannot lock {}", path.display()), error))?;
        Ok(Self { _file: file })
    }

    /// Takes the lock when nobody holds it.
    pub fn try_acquire(path: &Path) -> ToolResult<Option<Self>> {
        let file = open_lock(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(ToolError::internal(
                &format!("cannot lock {}", path.display()),
                error,
            )),
        }
    }
}

fn open_lock(path: &Path) -> ToolResult<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| ToolError::internal(&format!("cannot open the lock file {}", path.display()), error))
}

/// Makes a directory that only this user may enter, and gives its path back.
pub fn private_directory(path: PathBuf) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    Ok(path)
}

/// The present in milliseconds since 1970, for records that people read; nothing is decided by it.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The same instant as RFC 3339 in UTC.
pub fn rfc3339(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_record_is_an_error_and_a_missing_one_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.json");
        assert_eq!(read_json::<i64>(&path).unwrap(), None);
        write_json(&path, &7).unwrap();
        assert_eq!(read_json::<i64>(&path).unwrap(), Some(7));
        fs::write(&path, b"{").unwrap();
        assert_eq!(read_json::<i64>(&path).unwrap_err().code, "internal");
    }

    #[test]
    fn a_lock_excludes_threads_of_the_same_process_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = FileLock::acquire(&path).unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        drop(held);
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
    }
}
