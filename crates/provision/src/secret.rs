//! Files with secrets in them.

use crate::error::{Attempt, Error, Result};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Replaces a file that only its owner may read, so that a reader sees the old or the new content.
pub fn write(file: &Path, text: &str) -> Result<()> {
    let what = || format!("cannot write {}", file.display());
    let new = file.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let mut handle = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .attempt(what)?;
    handle.write_all(text.as_bytes()).attempt(what)?;
    handle.sync_all().attempt(what)?;
    std::fs::rename(&new, file).attempt(what)
}

/// A random secret of 192 bits as hex: needs no quoting in URLs, key=value words and configuration files.
pub fn random() -> Result<String> {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(|error| Error::new("cannot make a secret").cause(error))?;
    Ok(hex::encode(bytes))
}
