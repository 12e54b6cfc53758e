//! Git, as a program run with nothing of the user's environment: no hooks, aliases, pagers, prompts or transports.

mod checkout;
mod commit;
mod diff;
mod files;
mod merge;
pub mod names;
mod process;
mod revisions;
mod search;

pub use commit::{CommitRequest, Committed, FileChange};
pub use diff::{ChangeDescription, Diff};
pub use files::{FileContent, FileList};
pub use merge::{MergeRequest, Merged};
pub use revisions::Resolved;
pub use search::Matches;

use crate::error::{ToolError, ToolResult};
use process::{GitCommand, Output};
use std::path::{Path, PathBuf};

/// One repository, addressed by its git directory.
#[derive(Clone, Debug)]
pub struct Git {
    git_dir: PathBuf,
    /// The directory that holds objects, refs and work trees of all linked checkouts.
    common_dir: PathBuf,
}

impl Git {
    /// Opens the repository at or above `path`, bare or not. Errors say what to do.
    pub fn open(path: &Path) -> ToolResult<Self> {
        let not_a_repository = |why: &str| {
            ToolError::new(
                "not_found",
                format!("{} is not a git repository: {why}", path.display()),
                "Give the path of a local git repository.",
            )
        };
        let path = path
            .canonicalize()
            .map_err(|error| not_a_repository(&error.to_string()))?;
        let output = GitCommand::in_directory(&path)
            .args([
                "rev-parse",
                "--path-format=absolute",
                "--absolute-git-dir",
                "--git-common-dir",
            ])
            .run()?;
        if !output.success() {
            return Err(not_a_repository(output.stderr.trim()));
        }
        let text = output.text();
        let mut lines = text.lines();
        let (Some(git_dir), Some(common_dir)) = (lines.next(), lines.next()) else {
            return Err(not_a_repository("git rev-parse answered nothing"));
        };
        Ok(Self {
            git_dir: git_dir.into(),
            common_dir: common_dir.into(),
        })
    }

    /// The directory that all work trees share; it identifies the repository.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The repository's name for people: its directory's name.
    pub fn name(&self) -> String {
        let directory = match self.common_dir.file_name() {
            Some(name) if name == ".git" => self.common_dir.parent().and_then(Path::file_name),
            name => name,
        };
        let name = directory.unwrap_or_default().to_string_lossy();
        name.strip_suffix(".git").unwrap_or(&name).to_owned()
    }

    fn command(&self) -> GitCommand {
        GitCommand::in_git_dir(&self.git_dir)
    }

    /// Runs a git command that has no reason to fail, and gives its output as text.
    fn expect<'a>(&self, attempted: &str, args: impl IntoIterator<Item = &'a str>) -> ToolResult<String> {
        Ok(expect_success(attempted, self.command().args(args).run()?)?.text())
    }
}

fn expect_success(attempted: &str, output: Output) -> ToolResult<Output> {
    if output.success() {
        return Ok(output);
    }
    Err(ToolError::internal(attempted, output.failure()))
}
