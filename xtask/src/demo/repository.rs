//! The demo's repository: a base, a good change, a leaked credential, a broken test, a second good change.

use super::{git, service};
use anyhow::Context;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The repository and what is around it.
pub struct Repository {
    /// The work tree.
    pub path: PathBuf,
    /// One line for each deployment: time, revision, idempotency key.
    pub deployments_log: PathBuf,
    /// Where the deployed service listens.
    pub port: u16,
}

impl Repository {
    /// Makes it in `dir`.
    pub fn make(dir: &Path) -> anyhow::Result<Repository> {
        let repository = Repository {
            path: dir.join("greeter"),
            deployments_log: dir.join("deployments.log"),
            port: guildhall_provision::port::pick(None)?,
        };
        std::fs::create_dir_all(&repository.path)
            .with_context(|| format!("cannot make {}", repository.path.display()))?;
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        let log = repository.deployments_log.display().to_string();
        repository.write("Cargo.toml", service::CARGO_TOML)?;
        repository.write("Cargo.lock", service::CARGO_LOCK)?;
        repository.write("src/lib.rs", service::LIB_RS)?;
        repository.write("src/main.rs", service::MAIN_RS)?;
        repository.write("ops/deploy", service::DEPLOY)?;
        repository.write("guildhall.toml", &service::configuration(repository.port, &log))?;
        repository.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n")?;
        repository.write(".gitignore", "/target\n/bin\n")?;
        repository.commit("Greet people by name")?;
        repository.branch("good-change", "Greet politely when it is late", |repository| {
            repository.edit("src/lib.rs", GREETING, &format!("{POLITE_GREETING}{GREETING}"))?;
            repository.edit("src/lib.rs", LAST_TEST, &format!("{POLITE_TEST}{LAST_TEST}"))
        })?;
        repository.branch("leaked-credential", "Read greetings from the bucket", |repository| {
            let key = fake_key();
            repository.write("src/storage.rs", &format!("//! Where greetings are kept.\n\n/// The account.\npub const ACCOUNT: &str = \"{key}\";\n"))?;
            repository.edit("src/lib.rs", "//! What the greeter answers.\n", "//! What the greeter answers.\n\npub mod storage;\n")
        })?;
        repository.branch("broken-test", "Shorten the greeting", |repository| {
            repository.edit(
                "src/lib.rs",
                "format!(\"hello, {name}\\n\")",
                "format!(\"hi, {name}\\n\")",
            )
        })?;
        repository.branch("second-good-change", "Allow longer names", |repository| {
            repository.edit("src/lib.rs", "at most 40 of them", "at most 60 of them")?;
            repository.edit("src/lib.rs", "(1..=40)", "(1..=60)")?;
            repository.edit(
                "src/lib.rs",
                MIDDLE_TEST,
                &format!("{LONG_NAME_TEST}{MIDDLE_TEST}"),
            )
        })?;
        Ok(repository)
    }

    /// Runs git in the work tree.
    pub fn git(&self, args: &[&str]) -> anyhow::Result<String> {
        git::run(&self.path, args)
    }

    /// The lines of the deployments log.
    pub fn deployments(&self) -> anyhow::Result<Vec<String>> {
        match std::fs::read_to_string(&self.deployments_log) {
            Ok(text) => Ok(text.lines().map(str::to_string).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).context("cannot read the deployments log"),
        }
    }

    fn branch(
        &self,
        name: &str,
        message: &str,
        change: impl FnOnce(&Repository) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.git(&["checkout", "--quiet", "-b", name, "main"])?;
        change(self)?;
        self.commit(message)?;
        self.git(&["checkout", "--quiet", "main"])?;
        Ok(())
    }

    fn commit(&self, message: &str) -> anyhow::Result<()> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let what = || format!("cannot write {}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(what)?;
        }
        std::fs::write(&path, text).with_context(what)?;
        let mode = if name == "ops/deploy" { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).with_context(what)
    }

    fn edit(&self, name: &str, from: &str, to: &str) -> anyhow::Result<()> {
        let text =
            std::fs::read_to_string(self.path.join(name)).with_context(|| format!("cannot read {name}"))?;
        anyhow::ensure!(
            text.matches(from).count() == 1,
            "{from:?} is not in {name} exactly once"
        );
        self.write(name, &text.replace(from, to))
    }
}

const GREETING: &str = "/// A greeting for a name.\n";
const POLITE_GREETING: &str = "/// A greeting for the evening, from six o'clock on.\npub fn greeting_at(name: &str, hour: u8) -> String {\n    \
if hour >= 18 {\n        format!(\"good evening, {name}\\n\")\n    } else {\n        greeting(name)\n    }\n}\n\n";
const MIDDLE_TEST: &str = "    #[test]\n    fn refuses_what_is_no_name() {";
const LAST_TEST: &str = "    #[test]\n    fn knows_its_routes_and_methods() {";
const POLITE_TEST: &str = "    #[test]\n    fn is_polite_in_the_evening() {\n        \
assert_eq!(greeting_at(\"ada\", 17), \"hello, ada\\n\");\n        \
assert_eq!(greeting_at(\"ada\", 18), \"good evening, ada\\n\");\n    }\n\n";
const LONG_NAME_TEST: &str = "    #[test]\n    fn long_names_have_a_limit() {\n        \
assert!(is_name(&\"a\".repeat(60)));\n        assert!(!is_name(&\"a\".repeat(61)));\n    }\n\n";

/// A credential that only looks like one; put together here, so that no file of ours holds it.
pub fn fake_key() -> String {
    ["AK", "IA", "QYLPMN5HHHFPZAM2"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_branch_is_one_commit_on_the_base() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::make(dir.path()).unwrap();
        for branch in [
            "good-change",
            "leaked-credential",
            "broken-test",
            "second-good-change",
        ] {
            assert_eq!(
                repository
                    .git(&["rev-list", "--count", &format!("main..{branch}")])
                    .unwrap(),
                "1"
            );
        }
        assert!(repository.git(&["status", "--porcelain"]).unwrap().is_empty());
        let leak = repository.git(&["diff", "main", "leaked-credential"]).unwrap();
        assert!(leak.contains(&fake_key()));
        assert!(repository.deployments().unwrap().is_empty());
        repository
            .git(&["merge-tree", "--write-tree", "good-change", "second-good-change"])
            .expect("both can be merged");
    }
}
