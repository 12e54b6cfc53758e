//! One repository and one state directory: what all tools share.

use crate::commands::{CommandRun, Stopping};
use crate::config::{self, Configuration};
use crate::durable::{self, FileLock};
use crate::effects::{Effects, Fences};
use crate::environments::Environments;
use crate::error::{ToolError, ToolResult};
use crate::git::{Git, names};
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Branches that are taken for the base when nobody names one.
const USUAL_BASES: &[&str] = &["main", "master"];

/// The tools over one repository. Cheap calls run at once, effects under the locks of the state directory; all
/// methods block.
pub struct Workspace {
    /// The repository.
    pub(crate) git: Git,
    /// What was done, durably.
    pub(crate) effects: Effects,
    /// The highest fencing tokens.
    pub(crate) fences: Fences,
    /// Where revisions were deployed to.
    pub(crate) environments: Environments,
    /// Set when the server stops.
    pub(crate) stopping: Stopping,
    base_branch: Option<String>,
    path: PathBuf,
    worktrees: PathBuf,
    cache: PathBuf,
}

/// The base branch as it is now, with what it allows.
pub(crate) struct Base {
    /// Its name.
    pub branch: String,
    /// The commit it is at.
    pub revision: String,
    /// Its `guildhall.toml`, when it has one.
    pub configuration: Option<Configuration>,
}

impl Workspace {
    /// Opens a repository with its state. The state directory is made when it does not exist; it belongs to one
    /// repository. `base_branch` overrides what the repository says. Errors say what to do.
    pub fn open(repository: &Path, state_dir: &Path, base_branch: Option<String>) -> anyhow::Result<Self> {
        let git = Git::open(repository).map_err(anyhow::Error::new)?;
        if let Some(branch) = &base_branch {
            names::check_branch(branch)?;
        }
        let made = durable::private_directory(state_dir.to_owned())
            .with_context(|| format!("cannot make the state directory {}", state_dir.display()))?;
        let state_dir = made.canonicalize()?;
        claim(&state_dir, git.common_dir())?;
        let worktrees = durable::private_directory(state_dir.join("worktrees"))?;
        sweep(&worktrees)?;
        Ok(Self {
            effects: Effects::open(&state_dir)?,
            fences: Fences::open(&state_dir)?,
            environments: Environments::open(&state_dir)?,
            cache: durable::private_directory(state_dir.join("cache"))?,
            stopping: Stopping::default(),
            path: repository.canonicalize()?,
            git,
            base_branch,
            worktrees,
        })
    }

    /// The path that the workspace was opened with, made absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The base branch and its configuration, read anew from the committed file at its head. Neither a work tree nor
    /// any other branch has a say.
    pub(crate) fn base(&self) -> ToolResult<Base> {
        if let Some(branch) = &self.base_branch {
            return self.base_at(branch);
        }
        let base = self.base_at(&self.usual_base()?)?;
        let Some(named) = base
            .configuration
            .as_ref()
            .and_then(|configuration| configuration.base.clone())
        else {
            return Ok(base);
        };
        if named == base.branch {
            return Ok(base);
        }
        // The usual branch may point to the real one, once; that one must then stand by itself.
        let next = self.base_at(&named)?;
        match next
            .configuration
            .as_ref()
            .and_then(|configuration| configuration.base.as_deref())
        {
            Some(again) if again == named => Ok(next),
            _ => Err(ToolError::new(
                "configuration_invalid",
                format!(
                    "{} on {} says base = {named:?}, but {named} does not say so of itself",
                    config::FILE,
                    base.branch
                ),
                format!(
                    "Commit the same {} with base = {named:?} on {named}.",
                    config::FILE
                ),
            )),
        }
    }

    /// The base branch and its configuration; an error when it has none.
    pub(crate) fn configured(&self) -> ToolResult<(Base, Configuration)> {
        let base = self.base()?;
        match base.configuration.clone() {
            Some(configuration) => Ok((base, configuration)),
            None => Err(ToolError::new(
                "repository_not_configured",
                format!("the base branch {} has no {}", base.branch, config::FILE),
                format!(
                    "Commit a {} to {}; docs/workspace.md describes it.",
                    config::FILE,
                    base.branch
                ),
            )),
        }
    }

    fn usual_base(&self) -> ToolResult<String> {
        for branch in USUAL_BASES {
            if self.git.branch_head(branch)?.is_some() {
                return Ok((*branch).to_owned());
            }
        }
        self.git.head_branch()?.ok_or_else(|| {
            ToolError::new(
                "unknown_branch",
                "the repository has neither main nor master, and HEAD names no branch",
                "Start the workspace with --base BRANCH.",
            )
        })
    }

    fn base_at(&self, branch: &str) -> ToolResult<Base> {
        let revision = self
            .git
            .branch_head(branch)?
            .ok_or_else(|| names::unknown_branch(branch))?;
        let text = self.git.text_at(&revision, config::FILE)?;
        let configuration = text.map(|text| Configuration::parse(&text, branch)).transpose()?;
        Ok(Base {
            branch: branch.to_owned(),
            revision,
            configuration,
        })
    }

    /// A fresh checkout of a commit, removed when the value is dropped.
    pub(crate) fn worktree(&self, revision: &str) -> ToolResult<Worktree> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let lock_path = self.worktrees.join(format!("{name}.lock"));
        let lock = FileLock::acquire(&lock_path)?;
        let worktree = Worktree {
            path: self.worktrees.join(name),
            lock_path,
            _lock: lock,
        };
        self.git.materialise(revision, &worktree.path)?;
        Ok(worktree)
    }

    /// A directory for files that live as long as a call.
    pub(crate) fn scratch(&self) -> &Path {
        &self.worktrees
    }

    /// A directory that all runs of this check share.
    pub(crate) fn cache_directory(&self, check: &str) -> ToolResult<PathBuf> {
        durable::private_directory(self.cache.join(check))
            .map_err(|error| ToolError::internal("cannot make the cache directory", error))
    }
}

/// The parts of `guildhall.toml` that say how a process is started.
pub(crate) struct Launch<'a> {
    /// Program and arguments.
    pub argv: &'a [String],
    /// The variables handed on from the server.
    pub pass_env: &'a [String],
    /// The variables with fixed values.
    pub env: &'a std::collections::BTreeMap<String, String>,
}

impl Launch<'_> {
    /// The environment: PATH, what the file passes on or sets, and the given `GUILDHALL_*`; nothing else.
    pub fn environment(&self, own: &[(&str, OsString)]) -> Vec<(String, OsString)> {
        let inherited = std::iter::once("PATH").chain(self.pass_env.iter().map(String::as_str));
        let mut environment: Vec<(String, OsString)> = inherited
            .filter_map(|name| std::env::var_os(name).map(|value| (name.to_owned(), value)))
            .collect();
        for (name, value) in self.env {
            let mut value = value.clone();
            for (own_name, own_value) in own {
                value = value.replace(&format!("${{{own_name}}}"), &own_value.to_string_lossy());
            }
            environment.retain(|(existing, _)| existing != name);
            environment.push((name.clone(), value.into()));
        }
        environment.extend(
            own.iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        environment
    }

    /// The command to run in `directory`.
    pub fn command(&self, directory: &Path, own: &[(&str, OsString)], timeout_s: u64) -> CommandRun {
        CommandRun {
            argv: self.argv.to_vec(),
            directory: directory.to_owned(),
            environment: self.environment(own),
            time_limit: Duration::from_secs(timeout_s),
        }
    }
}

impl<'a> From<&'a config::CommandSpec> for Launch<'a> {
    fn from(spec: &'a config::CommandSpec) -> Self {
        Self {
            argv: &spec.command,
            pass_env: &spec.pass_env,
            env: &spec.env,
        }
    }
}

impl<'a> From<&'a config::Service> for Launch<'a> {
    fn from(service: &'a config::Service) -> Self {
        Self {
            argv: &service.command,
            pass_env: &service.pass_env,
            env: &service.env,
        }
    }
}

/// A checkout that is removed with this value.
pub(crate) struct Worktree {
    /// Where it is.
    pub path: PathBuf,
    lock_path: PathBuf,
    _lock: FileLock,
}

impl Drop for Worktree {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a checkout; the next start tries again");
            return;
        }
        let _ = fs::remove_file(&self.lock_path); // Without its checkout the lock file means nothing.
    }
}

/// Removes a directory with all that is in it, also what a command made read-only.
pub(crate) fn remove_tree(path: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            make_writable(path)?;
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

fn make_writable(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

/// A state directory belongs to the repository that used it first: keys of two repositories must not meet.
fn claim(state_dir: &Path, common_dir: &Path) -> anyhow::Result<()> {
    let path = state_dir.join("repository.json");
    let mine = common_dir.to_string_lossy().into_owned();
    match durable::read_json::<String>(&path)? {
        None => durable::write_json(&path, &mine).context("cannot write the state directory")?,
        Some(owner) if owner == mine => {}
        Some(owner) => bail!(
            "the state directory {} belongs to the repository {owner}, not to {mine}; give each repository its own",
            state_dir.display()
        ),
    }
    Ok(())
}

/// Removes checkouts whose owner died. A checkout in use is locked by its owner, perhaps in another process.
fn sweep(worktrees: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(worktrees)? {
        let path = entry?.path();
        // The temporary index of a commit lives for moments; an old one lost its owner.
        let is_index = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("index-"));
        let age = path
            .metadata()
            .and_then(|about| about.modified())
            .ok()
            .and_then(|at| at.elapsed().ok());
        if is_index && age.is_some_and(|age| age > Duration::from_secs(3600)) {
            fs::remove_file(&path)?;
        }
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        if is_lock && let Ok(Some(_free)) = FileLock::try_acquire(&path) {
            remove_tree(&path.with_extension(""))?;
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
