//! The repository that chat asks about: two commits, and a branch that changes one line.

use anyhow::{Context, bail};
use std::{path::Path, process::Command};

/// What to ask of it in chat: one review of a one-line change, the least work that starts a run.
pub const MESSAGE: &str = "review branch tiny";

/// Makes the repository in `dir`, which must not exist yet.
pub fn make(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    git(dir, &["init", "--quiet", "--initial-branch=main"])?;
    write(dir, "guildhall.toml", "version = 1\nbase = \"main\"\n")?;
    write(dir, "README.md", "# Tiny\n\nA repository for measuring.\n")?;
    commit(dir, "Begin")?;
    git(dir, &["checkout", "--quiet", "-b", "tiny"])?;
    write(dir, "README.md", "# Tiny\n\nA repository for measuring speed.\n")?;
    commit(dir, "Say what is measured")?;
    git(dir, &["checkout", "--quiet", "main"])
}

fn write(dir: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn commit(dir: &Path, message: &str) -> anyhow::Result<()> {
    git(dir, &["add", "."])?;
    git(dir, &["commit", "--quiet", "--message", message])
}

/// Runs git as nobody in particular: the user's own settings (signing, hooks, templates) must not matter.
fn git(dir: &Path, args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args([
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@localhost",
            "-c",
            "commit.gpgSign=false",
        ])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .context("cannot start git")?;
    if !output.status.success() {
        bail!(
            "git {} failed: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_differs_by_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let repository = dir.path().join("repository");
        make(&repository).unwrap();
        let output = Command::new("git")
            .arg("-C")
            .arg(&repository)
            .args(["diff", "--numstat", "main", "tiny"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "1\t1\tREADME.md\n");
        let error = git(&repository, &["checkout", "no-such-branch"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("no-such-branch"), "{error}");
    }
}
