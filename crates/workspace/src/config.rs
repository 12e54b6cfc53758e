//! `guildhall.toml`: what a repository allows. Parsing is strict, because a misspelt limit is no limit.

use crate::error::{ToolError, ToolResult};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the file at the root of the base branch.
pub const FILE: &str = "guildhall.toml";
/// The longest wall time a command may be given, in seconds.
const TIMEOUT_MAX_S: u64 = 24 * 60 * 60;

/// A whole `guildhall.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The version of the format: 1.
    pub version: u32,
    /// The branch that changes are merged into; it must be the branch that the file was read from.
    pub base: Option<String>,
    /// What can be checked, by name.
    #[serde(default)]
    pub checks: BTreeMap<String, Check>,
    /// Where can be deployed, by name.
    #[serde(default)]
    pub environments: BTreeMap<String, Environment>,
    /// Where documents are.
    #[serde(default)]
    pub docs: Docs,
}

/// A command of the repository: program and arguments, never a shell line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// The program and its arguments. A program with a slash is meant relative to the root of the checkout; one
    /// without is looked up in PATH.
    pub command: Vec<String>,
    /// The wall time after which the command and all it started are stopped, in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// The variables handed on from the server's environment. Without them a command sees PATH and GUILDHALL_* only.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// Variables with fixed values; `${GUILDHALL_…}` in a value is replaced.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// A named check.
pub type Check = CommandSpec;

/// How much a mistake costs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Real users depend on it.
    Production,
    /// Like production, for rehearsal.
    Staging,
    /// For one developer or one team.
    Development,
}

/// A place that a revision can be deployed to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// How much a mistake costs there.
    pub risk: Risk,
    /// Deploys the checked-out revision.
    pub deploy: CommandSpec,
    /// Undoes a deployment; without it, the previous revision is deployed again.
    pub rollback: Option<CommandSpec>,
    /// A process that the workspace starts from the deployed release and watches.
    pub service: Option<Service>,
}

/// A supervised process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The program and its arguments, run from the release's directory.
    pub command: Vec<String>,
    /// The variables handed on from the server's environment.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// Variables with fixed values.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// An `http://` URL on the loopback interface which answers 2xx when all is well.
    pub health: Option<String>,
    /// How long the service may take to become healthy, in seconds.
    #[serde(default = "default_health_timeout_s")]
    pub health_timeout_s: u64,
    /// How long the service may take to end when it is asked to, in seconds; then it is killed.
    #[serde(default = "default_stop_timeout_s")]
    pub stop_timeout_s: u64,
}

/// Where documents are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Docs {
    /// The change log's path.
    pub changelog: Option<String>,
}

fn default_timeout_s() -> u64 {
    300
}
fn default_health_timeout_s() -> u64 {
    30
}
fn default_stop_timeout_s() -> u64 {
    10
}

impl Configuration {
    /// Reads the text of a `guildhall.toml`; `origin` names the branch in messages. Every mistake is an error of code
    /// `configuration_invalid` that says where and what.
    pub fn parse(text: &str, origin: &str) -> ToolResult<Self> {
        let invalid = |why: String| {
            ToolError::new(
                "configuration_invalid",
                format!("{FILE} on {origin} is not valid: {why}"),
                "Mend the file on the base branch; docs/workspace.md describes the format.",
            )
        };
        let parsed: Self =
            toml::from_str(text).map_err(|error| invalid(error.to_string().trim_end().to_owned()))?;
        parsed.check().map_err(invalid)?;
        Ok(parsed)
    }

    /// The check of this name.
    pub fn check_named(&self, name: &str) -> ToolResult<&Check> {
        self.checks
            .get(name)
            .ok_or_else(|| unknown("unknown_check", "check", name, self.checks.keys()))
    }

    /// The environment of this name.
    pub fn environment_named(&self, name: &str) -> ToolResult<&Environment> {
        self.environments.get(name).ok_or_else(|| {
            unknown(
                "unknown_environment",
                "environment",
                name,
                self.environments.keys(),
            )
        })
    }

    fn check(&self) -> Result<(), String> {
        if self.version != 1 {
            return Err(format!(
                "version = {} is not known; this Guildhall knows version = 1",
                self.version
            ));
        }
        for (name, check) in &self.checks {
            check_name(name, "checks")?;
            check.check(&format!("checks.{name}"))?;
        }
        for (name, environment) in &self.environments {
            check_name(name, "environments")?;
            environment.deploy.check(&format!("environments.{name}.deploy"))?;
            if let Some(rollback) = &environment.rollback {
                rollback.check(&format!("environments.{name}.rollback"))?;
            }
            if let Some(service) = &environment.service {
                service.check(&format!("environments.{name}.service"))?;
            }
        }
        if let Some(changelog) = &self.docs.changelog {
            crate::git::names::check_path(changelog)
                .map_err(|error| format!("docs.changelog: {}", error.message))?;
        }
        Ok(())
    }
}

impl CommandSpec {
    fn check(&self, place: &str) -> Result<(), String> {
        check_argv(&self.command, place)?;
        check_seconds(self.timeout_s, &format!("{place}.timeout_s"))?;
        check_variables(&self.pass_env, &self.env, place)
    }
}

impl Service {
    fn check(&self, place: &str) -> Result<(), String> {
        check_argv(&self.command, place)?;
        check_variables(&self.pass_env, &self.env, place)?;
        check_seconds(self.health_timeout_s, &format!("{place}.health_timeout_s"))?;
        check_seconds(self.stop_timeout_s, &format!("{place}.stop_timeout_s"))?;
        match &self.health {
            Some(health) => crate::environments::health::target(health)
                .map(drop)
                .map_err(|why| format!("{place}.health: {why}")),
            None => Ok(()),
        }
    }
}

fn unknown<'a>(
    code: &'static str,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> ToolError {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let hint = match known.as_slice() {
        [] => format!("{FILE} on the base branch has none; add one there."),
        known => format!("{FILE} on the base branch has: {}.", known.join(", ")),
    };
    ToolError::new(code, format!("there is no {what} called {name:?}"), hint)
}

fn check_name(name: &str, place: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fine) {
        return Err(format!(
            "[{place}]: the name {name:?} must be 1 to 64 of a-z, A-Z, 0-9, - and _"
        ));
    }
    Ok(())
}

fn check_argv(argv: &[String], place: &str) -> Result<(), String> {
    match argv.first() {
        None => {
            return Err(format!(
                "{place}.command is empty; name the program and its arguments"
            ));
        }
        Some(program) if program.is_empty() => {
            return Err(format!("{place}.command begins with an empty string"));
        }
        Some(program) if program.contains('/') => crate::git::names::check_path(program).map_err(|_| {
            format!("{place}.command: {program:?} must be a program in PATH, or a path inside the repository")
        })?,
        Some(_) => {}
    }
    if argv.iter().any(|argument| argument.contains('\0')) {
        return Err(format!("{place}.command holds a NUL character"));
    }
    Ok(())
}

fn check_seconds(seconds: u64, place: &str) -> Result<(), String> {
    if (1..=TIMEOUT_MAX_S).contains(&seconds) {
        return Ok(());
    }
    Err(format!(
        "{place} = {seconds} is not between 1 and {TIMEOUT_MAX_S} seconds"
    ))
}

fn check_variables(pass: &[String], fixed: &BTreeMap<String, String>, place: &str) -> Result<(), String> {
    for name in pass.iter().chain(fixed.keys()) {
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(fine) || name.starts_with("GUILDHALL_") {
            return Err(format!(
                "{place}: {name:?} is not a variable it may set: letters, digits and _, and not GUILDHALL_*"
            ));
        }
    }
    if fixed.values().any(|value| value.contains('\0')) {
        return Err(format!("{place}.env holds a NUL character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
version = 1
base = "main"
[checks.test]
command = ["cargo", "test", "--offline"]
timeout_s = 300
pass_env = ["HOME", "CARGO_HOME"]
[environments.production]
risk = "production"
deploy = { command = ["ops/deploy"], timeout_s = 300, pass_env = [] }
rollback = { command = ["ops/rollback"] }
[environments.production.service]
command = ["ops/serve"]
health = "http://127.0.0.1:8123/healthz"
health_timeout_s = 30
[docs]
changelog = "CHANGELOG.md"
"#;

    fn refused(text: &str) -> String {
        let error = Configuration::parse(text, "main").expect_err(text);
        assert_eq!(error.code, "configuration_invalid");
        error.message
    }

    #[test]
    fn the_documented_example_is_read() {
        let configuration = Configuration::parse(WHOLE, "main").unwrap();
        assert_eq!(configuration.check_named("test").unwrap().timeout_s, 300);
        let production = configuration.environment_named("production").unwrap();
        assert_eq!(production.risk, Risk::Production);
        assert_eq!(
            production.rollback.as_ref().unwrap().timeout_s,
            default_timeout_s()
        );
        assert_eq!(
            configuration.check_named("lint").unwrap_err().code,
            "unknown_check"
        );
        assert!(
            configuration
                .environment_named("x")
                .unwrap_err()
                .hint
                .contains("production")
        );
    }

    #[test]
    fn an_unknown_key_names_its_line() {
        let message = refused("version = 1\n[checks.test]\ncommand = [\"true\"]\ntimeout = 5\n");
        assert!(
            message.contains("line 4") && message.contains("timeout"),
            "{message}"
        );
    }

    #[test]
    fn each_mistake_is_refused_with_its_place() {
        for (text, part) in [
            ("base = 'main'", "version"),
            ("version = 2", "version = 2"),
            ("version = 1\n[checks.t]\ncommand = 'cargo test'", "line 3"),
            (
                "version = 1\n[checks.t]\ncommand = []",
                "checks.t.command is empty",
            ),
            (
                "version = 1\n[checks.t]\ncommand = ['/bin/sh']",
                "inside the repository",
            ),
            (
                "version = 1\n[checks.t]\ncommand = ['../x']",
                "inside the repository",
            ),
            (
                "version = 1\n[checks.t]\ncommand = ['true']\ntimeout_s = 0",
                "timeout_s = 0",
            ),
            (
                "version = 1\n[checks.t]\ncommand = ['true']\npass_env = ['A=B']",
                "A=B",
            ),
            (
                "version = 1\n[checks.t]\ncommand = ['true']\nenv = { GUILDHALL_X = '1' }",
                "GUILDHALL_X",
            ),
            ("version = 1\n[checks.\"../t\"]\ncommand = ['true']", "../t"),
            (
                "version = 1\n[environments.p]\nrisk = 'high'\ndeploy = { command = ['true'] }",
                "high",
            ),
            ("version = 1\n[docs]\nchangelog = '/etc/passwd'", "docs.changelog"),
        ] {
            let message = refused(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn only_loopback_health_is_allowed() {
        for health in [
            "http://example.org/",
            "https://127.0.0.1/",
            "http://10.0.0.1/",
            "http://user@127.0.0.1/",
            "x",
        ] {
            let text = format!(
                "version = 1\n[environments.p]\nrisk = 'staging'\ndeploy = {{ command = ['true'] }}\n\
                 [environments.p.service]\ncommand = ['x']\nhealth = '{health}'"
            );
            assert!(
                refused(&text).contains("environments.p.service.health"),
                "{health}"
            );
        }
    }
}
