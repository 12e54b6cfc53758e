//! Schemathesis (PyPI) against the fleet's own `/openapi.json`: examples, coverage, fuzzing and stateful sequences. No
//! answer may be a 5xx, undocumented, or of another shape than documented.
//!
//! `GUILDHALL_SEED` repeats a run; `GUILDHALL_FUZZ_S` sets how long it may go on (default 90 s).

use anyhow::{Context, Result, ensure};
use guildhall_tests::{Hall, Pace};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A version that is known to work; another may check something new, which is then our business to look at.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// What is checked. The documented request schemas cannot say everything that is refused (a cron expression, a card's
/// size), so that refusing what a schema permits is no error; accepting what it forbids is.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance,response_headers_conformance,unsupported_method,ignored_auth";

/// The program, installed once into a directory outside the checkout; `None` where PyPI cannot be reached.
fn schemathesis() -> Result<Option<PathBuf>> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    let venv = cache.join("guildhall").join(SCHEMATHESIS.replace("==", "-"));
    let program = venv.join("bin/schemathesis");
    if program.exists() {
        return Ok(Some(program));
    }
    let run = |command: &mut Command| -> bool {
        let status = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let installed = run(Command::new("python3").args(["-m", "venv"]).arg(&venv))
        && run(Command::new(venv.join("bin/pip")).args(["install", "--quiet", SCHEMATHESIS]));
    if !installed {
        // Half an installation would pass for one next time.
        let _ = std::fs::remove_dir_all(&venv);
        return Ok(None);
    }
    ensure!(program.exists(), "pip installed no {}", program.display());
    Ok(Some(program))
}

#[tokio::test]
async fn the_openapi_document_is_kept() -> Result<()> {
    let Some(program) = schemathesis()? else {
        println!("skipped: {SCHEMATHESIS} cannot be installed with python3 and PyPI here");
        return Ok(());
    };
    let seconds = std::env::var("GUILDHALL_FUZZ_S").unwrap_or_else(|_| "90".into());
    let seed = guildhall_testkit::seed();
    let service = Path::new(env!("CARGO_BIN_EXE_tiny-service"));
    let hall = Hall::start("strict", Pace::QUICK, service, &[]).await?;
    let token = hall.admin_token("fuzz").await?;
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(format!("{}/openapi.json", hall.fleet.url()))
        .args(["--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--max-time", &seconds, "--max-examples", "25"])
        .args(["--seed", &(seed % u64::from(u32::MAX)).to_string()])
        .args([
            "--request-timeout",
            "90",
            "--continue-on-failure",
            "--warnings",
            "off",
        ])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .env("NO_COLOR", "1")
        .current_dir(hall.fleet.state_dir())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await?
        .context("cannot start Schemathesis")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "seed {seed}, {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{text}");
    Ok(())
}
