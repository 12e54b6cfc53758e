//! What this machine must have.

use super::Finding;
use guildhall_provision::{find, install};
use std::process::Command;

/// Looks at the programs that a fleet is started from, and built with.
pub fn look() -> Vec<Finding> {
    vec![target(), git(), postgres(), redis()]
}

/// The target is needed to build components, so its absence matters only in a checkout.
fn target() -> Finding {
    let check = "wasm target";
    if !std::path::Path::new("components").is_dir() {
        return Finding::skipped(check, "not in a checkout; components are built elsewhere");
    }
    match Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output()
    {
        Ok(output)
            if String::from_utf8_lossy(&output.stdout)
                .lines()
                .any(|line| line == "wasm32-wasip2") =>
        {
            Finding::ok(check, "wasm32-wasip2 is installed")
        }
        Ok(_) => Finding::failed(
            check,
            "wasm32-wasip2 is not installed",
            "rustup target add wasm32-wasip2",
        ),
        Err(error) => Finding::warning(
            check,
            format!("cannot ask rustup: {error}"),
            "install Rust by rustup (https://rustup.rs), or add the target wasm32-wasip2 as your toolchain does",
        ),
    }
}

fn git() -> Finding {
    match Command::new("git").arg("--version").output() {
        Ok(output) if output.status.success() => {
            Finding::ok("git", String::from_utf8_lossy(&output.stdout).trim().to_string())
        }
        _ => Finding::failed(
            "git",
            "git cannot be run",
            "install git: the workspace tools read repositories with it",
        ),
    }
}

fn postgres() -> Finding {
    match find::postgres(None) {
        Ok(found) => Finding::ok(
            "postgres",
            format!("{} in {}", found.version, found.dir.display()),
        ),
        Err(error) => Finding::warning(
            "postgres",
            format!("{}: {}", error.what, error.cause.unwrap_or_default()),
            format!("give `guildhall up --database-url URL`, or {}", install::hint()),
        ),
    }
}

fn redis() -> Finding {
    match find::redis() {
        Ok(path) => Finding::ok("redis", path.display().to_string()),
        Err(error) => Finding::warning(
            "redis",
            format!("{}: {}", error.what, error.cause.unwrap_or_default()),
            format!("give `guildhall up --redis-url URL`, or {}", install::hint()),
        ),
    }
}
