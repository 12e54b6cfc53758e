//! A small git repository with branches of every kind, for tests. Needs only git, sh and the `tiny-service` binary.

use anyhow::{Context, Result, ensure};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

/// Where a test's repository is and what its service listens on.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The work tree.
    pub path: PathBuf,
    /// The port of the deployed service.
    pub service_port: u16,
    /// One line per run of the deploy command: `ENVIRONMENT REVISION IDEMPOTENCY_KEY`.
    pub deployments_log: PathBuf,
}

/// How the repository's commands behave.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long the check and the deploy command take, as `sleep` reads it.
    pub command_s: &'static str,
    /// The check's time limit.
    pub check_timeout_s: u32,
}

impl Pace {
    /// As quick as commands can be.
    pub const QUICK: Pace = Pace {
        command_s: "0",
        check_timeout_s: 20,
    };
    /// Slow enough that a kill meets a command under way.
    pub const KILLABLE: Pace = Pace {
        command_s: "0.15",
        check_timeout_s: 20,
    };
}

/// A credential that only looks like one; put together here so that no file of ours holds it.
fn fake_aws_key() -> String {
    ["AK", "IA", "QYLPMN5HHHFPZAM2"].concat()
}

impl Repository {
    /// Makes the repository under `dir` with `main`, `good-change`, `second-change`, `leaked-credential`,
    /// `broken-test`, `hanging-check`, `sick-release` and `huge-change` (a diff of more than 50,000 lines).
    pub fn create(dir: &Path, service_binary: &Path, pace: Pace) -> Result<Repository> {
        let path = dir.join("repository");
        std::fs::create_dir_all(path.join("ops"))?;
        let deployments_log = dir.join("deployments.log");
        let service_port = free_port()?;
        let repository = Repository {
            path,
            service_port,
            deployments_log,
        };
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        repository.write("guildhall.toml", &repository.configuration(pace))?;
        repository.write("value.txt", "42\n")?;
        repository.write("state.txt", "well\n")?;
        repository.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n")?;
        let sleep = pace.command_s;
        repository.script(
            "ops/check",
            &format!(
                "sleep {sleep}\nif [ -e hang ]; then sleep 600; fi\nvalue=$(cat value.txt)\n\
                 if [ \"$value\" != 42 ]; then echo \"value is $value, expected 42\" >&2; exit 1; fi\necho \"value is 42\"\n"
            ),
        )?;
        repository.script(
            "ops/deploy",
            &format!(
                "set -e\nsleep {sleep}\ncp state.txt \"$GUILDHALL_STATE_DIR/release.txt\"\n\
                 echo \"$GUILDHALL_ENVIRONMENT $GUILDHALL_REVISION $GUILDHALL_IDEMPOTENCY_KEY\" >> {}\necho released\n",
                repository.deployments_log.display()
            ),
        )?;
        let service = format!("exec '{}' {service_port}\n", service_binary.display());
        repository.script("ops/service", &service)?;
        repository.commit("Begin")?;
        repository.branch("good-change", &[("notes.txt", "a note\n")])?;
        repository.branch("second-change", &[("more.txt", "another note\n")])?;
        let key = fake_aws_key();
        repository.branch(
            "leaked-credential",
            &[("settings.ini", &format!("aws_access_key_id = {key}\n"))],
        )?;
        repository.branch("broken-test", &[("value.txt", "41\n")])?;
        repository.branch("hanging-check", &[("hang", "yes\n")])?;
        repository.branch("sick-release", &[("state.txt", "sick\n")])?;
        let huge: String = (0..50_500)
            .map(|n| format!("line {n} of a very long file\n"))
            .collect();
        repository.branch("huge-change", &[("huge.txt", &huge)])?;
        Ok(repository)
    }

    fn configuration(&self, pace: Pace) -> String {
        let deploy = r#"deploy = { command = ["ops/deploy"], timeout_s = 30 }"#;
        format!(
            "version = 1\nbase = \"main\"\n\n\
             [checks.test]\ncommand = [\"ops/check\"]\ntimeout_s = {timeout}\n\n\
             [environments.production]\nrisk = \"production\"\n{deploy}\n\n\
             [environments.production.service]\n\
             command = [\"ops/service\"]\n\
             health = \"http://127.0.0.1:{port}/healthz\"\nhealth_timeout_s = 5\n\n\
             [environments.staging]\nrisk = \"staging\"\n{deploy}\n\n\
             [docs]\nchangelog = \"CHANGELOG.md\"\n",
            timeout = pace.check_timeout_s,
            port = self.service_port,
        )
    }

    /// Adds a branch off `main` with one commit that writes `files`; goes back to `main`.
    pub fn branch(&self, name: &str, files: &[(&str, &str)]) -> Result<()> {
        self.git(&["checkout", "--quiet", "-b", name, "main"])?;
        for (path, content) in files {
            self.write(path, content)?;
        }
        self.commit(&format!("Work on {name}"))?;
        self.git(&["checkout", "--quiet", "main"])?;
        Ok(())
    }

    fn commit(&self, message: &str) -> Result<()> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        Ok(())
    }

    fn write(&self, path: &str, content: &str) -> Result<()> {
        std::fs::write(self.path.join(path), content).with_context(|| format!("cannot write {path}"))
    }

    fn script(&self, path: &str, body: &str) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        self.write(path, &format!("#!/bin/sh\n{body}"))?;
        std::fs::set_permissions(self.path.join(path), std::fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Runs git in the work tree and gives its standard output.
    pub fn git(&self, args: &[&str]) -> Result<String> {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=Test",
                "-c",
                "user.email=test@example.com",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(args)
            .current_dir(&self.path)
            .output()
            .context("cannot start git")?;
        ensure!(
            output.status.success(),
            "git {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    }

    /// The lines of the deployments log.
    pub fn deployments(&self) -> Result<Vec<String>> {
        match std::fs::read_to_string(&self.deployments_log) {
            Ok(text) => Ok(text.lines().map(str::to_string).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).context("cannot read the deployments log"),
        }
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
