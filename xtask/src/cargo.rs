//! Runs cargo, and knows where things are.

use anyhow::{Context, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the checkout")
}

/// Where cargo builds.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A cargo command in the root of the checkout.
///
/// `cargo xtask` runs us with variables about our own package. Build scripts such as ring's look at them, so cargo would
/// compile those and everything above them again, each time it is run from here and each time it is not.
pub fn command(args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ABOUT_US.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Beginnings of the names of variables that cargo sets for the program it runs.
const ABOUT_US: [&str; 5] = [
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_PRIMARY_",
];

/// Runs cargo; what it says goes to standard error, because standard output is for results.
pub fn run(what: &str, args: &[&str]) -> anyhow::Result<()> {
    let status = command(args)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot {what}: cargo cannot be started"))?;
    if !status.success() {
        bail!("cannot {what}: `cargo {}` failed with {status}", args.join(" "));
    }
    Ok(())
}

/// Runs cargo and reads its standard output, one JSON document a line; the rest goes to standard error.
pub fn messages(what: &str, args: &[&str]) -> anyhow::Result<Vec<Value>> {
    let output = command(args)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot {what}: cargo cannot be started"))?;
    if !output.status.success() {
        bail!(
            "cannot {what}: `cargo {}` failed with {}",
            args.join(" "),
            output.status
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

/// What `cargo metadata` says, with the dependency graph for this machine.
pub fn metadata() -> anyhow::Result<Value> {
    let target = host_target()?;
    let args = ["metadata", "--format-version", "1", "--filter-platform", &target];
    let mut documents = messages("read the workspace's metadata", &args)?;
    documents.pop().context("cargo metadata said nothing")
}

/// This machine's target triple.
pub fn host_target() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .current_dir(root())
        .output()
        .context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).to_string();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_string())
}
