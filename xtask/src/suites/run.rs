//! Runs the test programs of a suite one after the other, and tells how they did.

use super::catalogue::{self, Program, Suite};
use super::libtest::{self, Counts};
use super::watch::{self, Ended};
use super::{Ground, package_dir};
use crate::cargo;
use anyhow::Context;
use std::io::{IsTerminal, Write};
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs a suite; the error is that a program could not even be started.
pub fn suite(
    suite: Suite,
    programs: &[Program],
    ground: &Ground,
    filter: Option<&str>,
) -> anyhow::Result<Counts> {
    let mut total = Counts::default();
    let own: Vec<&Program> = programs.iter().filter(|program| program.suite == suite).collect();
    if own.is_empty() {
        eprintln!("{}: there are no tests yet", suite.name());
    }
    let at_once = if suite.mostly_waits() { own.len().max(1) } else { 1 };
    for (number, together) in own.chunks(at_once).enumerate() {
        let names: Vec<&str> = together.iter().map(|program| program.name.as_str()).collect();
        let through = (number * at_once + together.len()).min(own.len());
        progress(&format!(
            "{} {through}/{}: {}",
            suite.name(),
            own.len(),
            names.join(", ")
        ));
        let begun = Instant::now();
        let ended: Vec<anyhow::Result<(Ended, Instant)>> = std::thread::scope(|scope| {
            let running: Vec<_> = together
                .iter()
                .map(|program| scope.spawn(|| Ok((one(program, ground, filter)?, Instant::now()))))
                .collect();
            let joined = running.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined
                .map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        for (program, ended) in together.iter().zip(ended) {
            let (ended, at) = ended.with_context(|| format!("cannot run {}", program.name))?;
            total.add(tell(suite, &program.name, &ended, at - begun));
        }
    }
    if suite == Suite::Unit && filter.is_none() {
        let packages = catalogue::documented(programs);
        if !packages.is_empty() {
            progress(&format!("{}: documentation", suite.name()));
            let begun = Instant::now();
            // All of them at once: another selection of packages would compile the dependencies with other features.
            let mut args = vec!["test", "--quiet", "--doc"];
            args.extend(packages.iter().flat_map(|package| ["-p", package.as_str()]));
            let output = finish(&mut cargo::command(&args), ground)?;
            total.add(tell(suite, "documentation", &output, begun.elapsed()));
        }
    }
    Ok(total)
}

fn one(program: &Program, ground: &Ground, filter: Option<&str>) -> anyhow::Result<Ended> {
    let mut command = Command::new(&program.executable);
    command.arg("--show-output").args(filter);
    command.current_dir(package_dir(&program.manifest));
    command.env("CARGO_MANIFEST_DIR", package_dir(&program.manifest));
    command.env("CARGO_PKG_NAME", &program.package);
    finish(&mut command, ground)
}

fn finish(command: &mut Command, ground: &Ground) -> anyhow::Result<Ended> {
    command.envs(ground.env.iter().map(|(name, value)| (name, value)));
    watch::run(command, &std::env::temp_dir(), watch::STALL_LIMIT)
}

/// Prints how a program did, and everything it said when it failed.
fn tell(suite: Suite, name: &str, output: &Ended, took: Duration) -> Counts {
    let text = &output.stdout;
    let counted = libtest::counts(text);
    let mut counts = counted.unwrap_or_default();
    if counted.is_none() || (!output.status.success() && counts.failed == 0) {
        // It died (a crash, an abort) before it could count.
        counts.failed += 1;
    }
    counts.failed += usize::from(!output.complaints.is_empty() && counts.failed == 0);
    clear_progress();
    let ran = counts.passed + counts.failed + counts.skipped > 0;
    if counts.failed > 0 {
        eprintln!("{text}\n{}", output.stderr);
        for complaint in &output.complaints {
            eprintln!("{}: {name}: {complaint}", suite.name());
        }
        eprintln!(
            "{}: {name} FAILED ({}): {} failed",
            suite.name(),
            output.status,
            counts.failed
        );
    } else if ran {
        eprintln!(
            "{}: {name}: {} passed in {:.1} s",
            suite.name(),
            counts.passed,
            took.as_secs_f64()
        );
        for note in libtest::notes(text) {
            eprintln!("  {note}");
        }
    }
    counts
}

/// One line that is overwritten, on terminals only.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\u{1b}[K{text}");
        let _ = std::io::stderr().flush();
    }
}

fn clear_progress() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\u{1b}[K");
    }
}
