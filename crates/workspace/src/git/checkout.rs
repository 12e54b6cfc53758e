//! A fresh checkout of one commit. It is a repository of its own which borrows the objects of the real one: whatever
//! a command does with git in there, it cannot move a branch, read the configuration or touch the checkout of the user.

use super::process::GitCommand;
use super::{Git, expect_success};
use crate::error::{ToolError, ToolResult};
use std::fs;
use std::path::Path;

impl Git {
    /// Fills `directory`, which must not exist, with the files of a commit; HEAD is that commit, on no branch.
    pub fn materialise(&self, revision: &str, directory: &Path) -> ToolResult<()> {
        let failed = |error: std::io::Error| {
            ToolError::internal(
                &format!("cannot make the checkout {}", directory.display()),
                error,
            )
        };
        fs::create_dir(directory).map_err(failed)?;
        let format = if revision.len() == 64 { "sha256" } else { "sha1" };
        let run = |args: &[&str]| {
            let command = GitCommand::in_directory(directory).env("GIT_CEILING_DIRECTORIES", directory);
            expect_success(
                "cannot make the checkout",
                command.args(args.iter().copied()).run()?,
            )
        };
        let object_format = format!("--object-format={format}");
        run(&[
            "init",
            "--quiet",
            "--template=",
            "--initial-branch=detached",
            &object_format,
            ".",
        ])?;
        let git_dir = directory.join(".git");
        fs::create_dir_all(git_dir.join("objects/info")).map_err(failed)?;
        let objects = self.common_dir().join("objects");
        fs::write(
            git_dir.join("objects/info/alternates"),
            format!("{}\n", objects.display()),
        )
        .map_err(failed)?;
        let shallow = self.common_dir().join("shallow");
        if shallow.exists() {
            fs::copy(shallow, git_dir.join("shallow")).map_err(failed)?;
        }
        run(&[
            "checkout",
            "--quiet",
            "--force",
            "--no-recurse-submodules",
            "--detach",
            revision,
        ])?;
        Ok(())
    }
}
