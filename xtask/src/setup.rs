//! Installs what is missing, and says so first.

use crate::cargo;
use anyhow::{Context, bail};
use guildhall_provision::install::{self, Need};
use std::process::Command;

/// What components are built for.
pub const WASM_TARGET: &str = "wasm32-wasip2";

/// Makes sure of the wasm target, Postgres and Redis; with `tests`, of the SQL test tools too.
pub fn ensure(tests: bool) -> anyhow::Result<()> {
    ensure_target()?;
    let mut needs = vec![Need::Postgres, Need::Redis];
    if tests {
        needs.push(Need::SqlTests);
    }
    install::ensure(&needs, &mut |line| eprintln!("{line}"))?;
    Ok(())
}

/// Makes sure that components can be compiled.
pub fn ensure_target() -> anyhow::Result<()> {
    if has_target()? {
        return Ok(());
    }
    eprintln!("installing the Rust target {WASM_TARGET} with rustup");
    let status = Command::new("rustup")
        .args(["target", "add", WASM_TARGET])
        .current_dir(cargo::root())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`rustup target add {WASM_TARGET}` failed with {status}"),
        Err(error) => Err(error).context(format!(
            "the Rust target {WASM_TARGET} is missing, and rustup cannot be started; install Rust from https://rustup.rs"
        )),
    }
}

/// The target is there when rustc finds its standard library.
fn has_target() -> anyhow::Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM_TARGET])
        .current_dir(cargo::root())
        .output()
        .context("cannot start rustc; install Rust from https://rustup.rs")?;
    let dir = String::from_utf8_lossy(&output.stdout).trim().to_string();
    Ok(output.status.success() && std::path::Path::new(&dir).is_dir())
}
