//! `cargo xtask`: builds, tests, shows and measures the project, and installs what that needs.

mod bench;
pub mod build;
pub mod cargo;
mod demo;
mod setup;
mod suites;
pub mod tidy;

use clap::Parser;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Install what is missing: the wasm target, Postgres, Redis
    Setup {
        /// What the tests need too
        #[arg(long)]
        tests: bool,
    },
    /// Build every component that spin.toml names, and the guildhall program
    Build(build::Build),
    /// Build, start a fleet, do the main job on a real repository, prove it
    Demo(demo::Demo),
    /// Build and start a fleet; the arguments are those of `guildhall up`
    Up {
        /// Arguments of `guildhall up`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run all test suites, or those named
    Test(suites::Test),
    /// Measure a fleet; the arguments are those of the bench
    #[command(disable_help_flag = true)]
    Bench {
        /// Arguments of the bench; --help lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Check formatting, lints, file sizes, dependencies and error pages
    Tidy,
}

/// The whole program. Exit codes: 0 all is well, 1 something was found wrong, 2 it could not be done.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            let _ = answer.print();
            return ExitCode::from(if answer.use_stderr() { 2 } else { 0 });
        }
    };
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::from(2)
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Setup { tests } => setup::ensure(tests).map(|()| ExitCode::SUCCESS),
        Command::Build(build) => build.run().map(|()| ExitCode::SUCCESS),
        Command::Demo(demo) => demo.run(),
        Command::Up { args } => up(args),
        Command::Test(test) => test.run(),
        Command::Bench { args } => bench::run(args),
        Command::Tidy => tidy::run(),
    }
}

/// Builds, then becomes `guildhall up`, so that signals reach it and nothing stands between.
fn up(args: Vec<String>) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    if !args.iter().any(|arg| arg == "--help" || arg == "-h") {
        setup::ensure(false)?;
    }
    let program = build::all()?;
    let error = std::process::Command::new(&program).arg("up").args(args).exec();
    Err(anyhow::Error::new(error).context(format!("cannot start {}", program.display())))
}

/// The layout that every command of the project uses for errors.
fn report(error: &anyhow::Error) {
    let mut hint = None;
    let mut causes = Vec::new();
    for cause in error.chain() {
        match cause.downcast_ref::<guildhall_provision::Error>() {
            Some(error) => {
                causes.push(error.what.clone());
                causes.extend(error.cause.clone());
                hint = error.hint.clone();
            }
            None => causes.push(cause.to_string()),
        }
    }
    let mut causes = causes.into_iter();
    eprintln!("error: {}", causes.next().unwrap_or_default());
    for cause in causes {
        eprintln!("  caused by: {}", cause.replace('\n', "\n    "));
    }
    if let Some(hint) = hint {
        eprintln!("hint: {}", hint.replace('\n', "\n  "));
    }
}
