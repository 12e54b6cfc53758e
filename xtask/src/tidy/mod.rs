//! Rules of the checkout that can be checked by looking at it.

pub mod edges;
pub mod errors;
pub mod files;
pub mod profiles;
pub mod wasm;

use crate::cargo;
use std::process::ExitCode;

/// Checks everything; exit code 1 when something is wrong.
pub fn run() -> anyhow::Result<ExitCode> {
    let mut wrong = Vec::new();
    for (what, args) in [
        ("formatting", &["fmt", "--all", "--check"][..]),
        (
            "lints",
            &["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"][..],
        ),
    ] {
        eprintln!("checking {what}");
        if let Err(error) = cargo::run(&format!("pass the {what}"), args) {
            wrong.push(error.to_string());
        }
    }
    wrong.extend(files::too_long()?);
    wrong.extend(files::unfinished()?);
    wrong.extend(edges::forbidden()?);
    wrong.extend(edges::impure()?);
    wrong.extend(errors::mismatches()?);
    wrong.extend(profiles::missing()?);
    for line in &wrong {
        println!("{line}");
    }
    println!("tidy: {} things are wrong", wrong.len());
    Ok(ExitCode::from(u8::from(!wrong.is_empty())))
}
