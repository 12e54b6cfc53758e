//! Finds the system's Postgres and Redis binaries.

use crate::error::{Error, Result};
use crate::install;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version of Postgres that the schema works on.
pub const OLDEST_POSTGRES: u32 = 13;

/// A directory with `postgres` and `initdb` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresBinaries {
    /// The directory.
    pub dir: PathBuf,
    /// The major version, for example 15.
    pub major: u32,
    /// The version as the binary tells it, for example `15.18`.
    pub version: String,
}

impl PostgresBinaries {
    /// The path of one of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The Postgres to use: of major version `wanted` (that of an existing data directory), else the first found.
pub fn postgres(wanted: Option<u32>) -> Result<PostgresBinaries> {
    let found: Vec<PostgresBinaries> = postgres_dirs().iter().filter_map(|dir| inspect(dir)).collect();
    let suitable = |binaries: &&PostgresBinaries| match wanted {
        Some(major) => binaries.major == major,
        None => binaries.major >= OLDEST_POSTGRES,
    };
    if let Some(binaries) = found.iter().find(suitable) {
        return Ok(binaries.clone());
    }
    let seen: Vec<String> = found
        .iter()
        .map(|b| format!("{} in {}", b.version, b.dir.display()))
        .collect();
    let cause = match (wanted, seen.is_empty()) {
        (Some(major), _) => {
            format!(
                "the data directory was made by Postgres {major}; found: {}",
                none_or(&seen)
            )
        }
        (None, true) => "neither PATH, pg_config nor the usual places have `postgres` and `initdb`".into(),
        (None, false) => format!(
            "at least version {OLDEST_POSTGRES} is needed; found: {}",
            seen.join(", ")
        ),
    };
    Err(Error::new("cannot find Postgres")
        .cause(cause)
        .hint(install::hint()))
}

fn none_or(seen: &[String]) -> String {
    if seen.is_empty() {
        "none".into()
    } else {
        seen.join(", ")
    }
}

/// `redis-server` or `valkey-server`.
pub fn redis() -> Result<PathBuf> {
    let named = std::env::var_os("GUILDHALL_REDIS_SERVER").map(PathBuf::from);
    let dirs = path_dirs().into_iter().chain(
        [
            "/usr/bin",
            "/usr/sbin",
            "/usr/local/bin",
            "/opt/homebrew/bin",
            "/opt/local/bin",
        ]
        .map(PathBuf::from),
    );
    let candidates = dirs.flat_map(|dir| [dir.join("redis-server"), dir.join("valkey-server")]);
    named
        .into_iter()
        .chain(candidates)
        .find(|path| is_executable(path))
        .ok_or_else(|| {
            Error::new("cannot find Redis")
                .cause("neither `redis-server` nor `valkey-server` is in PATH or the usual places")
                .hint(install::hint())
        })
}

fn path_dirs() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Every directory that may hold Postgres, the most deliberate first.
fn postgres_dirs() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = std::env::var_os("GUILDHALL_POSTGRES_BIN")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    for dir in path_dirs() {
        // A link such as /usr/local/bin/postgres leads to the directory that also has the other programs.
        if let Ok(real) = dir.join("postgres").canonicalize() {
            dirs.extend(real.parent().map(Path::to_path_buf));
        }
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        dirs.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for (parent, prefix, below) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ] {
        dirs.extend(
            versions_below(Path::new(parent), prefix)
                .into_iter()
                .map(|dir| dir.join(below)),
        );
    }
    dirs.extend(["/usr/bin", "/usr/local/bin", "/usr/local/pgsql/bin"].map(PathBuf::from));
    dirs
}

/// Sub-directories whose name begins with `prefix`, the highest version number first.
fn versions_below(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let number = |path: &PathBuf| -> u32 {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().to_string())
            .unwrap_or_default();
        name.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap_or(0)
    };
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    dirs.sort_by_key(|path| std::cmp::Reverse(number(path)));
    dirs
}

fn inspect(dir: &Path) -> Option<PostgresBinaries> {
    if !is_executable(&dir.join("initdb")) {
        return None;
    }
    let output = Command::new(dir.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let (major, version) = parse_version(&String::from_utf8_lossy(&output.stdout))?;
    Some(PostgresBinaries {
        dir: dir.to_path_buf(),
        major,
        version,
    })
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → (15, "15.18").
fn parse_version(text: &str) -> Option<(u32, String)> {
    let version = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_each_vendor_writes_them() {
        for (text, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 17beta2\n", Some(17)),
            ("postgres (PostgreSQL) 9.6.24\n", Some(9)),
            ("", None),
            ("command not found", None),
        ] {
            assert_eq!(parse_version(text).map(|(major, _)| major), major, "{text:?}");
        }
    }

    #[test]
    fn a_major_version_that_nobody_has_is_explained() {
        let error = postgres(Some(3)).unwrap_err();
        assert!(error.to_string().contains("made by Postgres 3"), "{error}");
        assert!(error.hint.is_some());
    }

    #[test]
    fn newer_versions_come_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["9", "13", "16"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let names: Vec<String> = versions_below(dir.path(), "")
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().to_string())
            .collect();
        assert_eq!(names, ["16", "13", "9"]);
    }
}
