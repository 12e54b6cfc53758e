//! The guildhall command, run as the people in the story would.

use anyhow::{Context, bail};
use guildhall_provision::Fleet;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Somebody with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Asks for work.
    Requester,
    /// Another person, who decides.
    Approver,
    /// Looks after the fleet.
    Admin,
}

/// The program and everybody's tokens.
pub struct Guildhall {
    program: PathBuf,
    url: String,
    admin: String,
    requester: String,
    approver: String,
}

/// The requester's name.
pub const REQUESTER: &str = "rea";
/// The approver's name.
pub const APPROVER: &str = "ada";

impl Guildhall {
    /// Makes tokens for the people of the story.
    pub fn new(program: &Path, fleet: &Fleet) -> anyhow::Result<Guildhall> {
        let mut guildhall = Guildhall {
            program: program.to_path_buf(),
            url: fleet.url().to_string(),
            admin: fleet.credentials()?.admin_token,
            requester: String::new(),
            approver: String::new(),
        };
        guildhall.requester = guildhall.token(REQUESTER, "chat,runs:read,approvals:read,approvals:decide")?;
        guildhall.approver = guildhall.token(APPROVER, "runs:read,approvals:read,approvals:decide")?;
        Ok(guildhall)
    }

    fn token(&self, principal: &str, scopes: &str) -> anyhow::Result<String> {
        let args = [
            "token",
            "create",
            "--principal",
            principal,
            "--scope",
            scopes,
            "--ttl",
            "1h",
        ];
        let answer = self.json(Who::Admin, &args)?;
        Ok(answer["token"]
            .as_str()
            .context("the new token is not in the answer")?
            .to_string())
    }

    fn output(&self, who: Who, args: &[&str]) -> anyhow::Result<Output> {
        let token = match who {
            Who::Requester => &self.requester,
            Who::Approver => &self.approver,
            Who::Admin => &self.admin,
        };
        Command::new(&self.program)
            .args(args)
            .env("GUILDHALL_URL", &self.url)
            .env("GUILDHALL_TOKEN", token)
            .env("NO_COLOR", "1")
            .output()
            .with_context(|| format!("cannot start {}", self.program.display()))
    }

    /// Runs a command with `--json` and reads its document.
    pub fn json(&self, who: Who, args: &[&str]) -> anyhow::Result<Value> {
        let output = self.output(who, &[args, &["--json"]].concat())?;
        if !output.status.success() {
            bail!(
                "guildhall {} failed ({}): {}",
                args.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("guildhall {} printed no JSON", args.join(" ")))
    }

    /// Runs a command that is to be refused; gives what it said, or `None` when it was not refused.
    pub fn refusal(&self, who: Who, args: &[&str]) -> anyhow::Result<Option<String>> {
        let output = self.output(who, args)?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        Ok((output.status.code() == Some(1)).then_some(said))
    }

    /// Runs a command and gives what it printed; errors when it fails.
    pub fn text(&self, who: Who, args: &[&str]) -> anyhow::Result<String> {
        let output = self.output(who, args)?;
        if !output.status.success() {
            bail!(
                "guildhall {} failed ({}): {}",
                args.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    }
}
