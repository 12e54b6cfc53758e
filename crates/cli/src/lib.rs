//! The `guildhall` command: starts a fleet on one machine, and is every person's way to talk to one.

pub mod args;
pub mod commands;
pub mod context;
pub mod database;
pub mod error;
pub mod format;
pub mod http;
pub mod ids;
pub mod output;
pub mod secret;
pub mod sse;
pub mod table;
pub mod tree;

use args::{Cli, Command};
use clap::Parser;
use context::Context;
use error::{CliError, Exit, Result};
use std::io::IsTerminal;
use std::process::ExitCode;

/// The whole program: reads the arguments, does it, reports, gives the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and versions are answers (0, standard output), the rest is wrong usage (2, standard error).
        Err(answer) => {
            let _ = answer.print();
            return ExitCode::from(if answer.use_stderr() { 2 } else { 0 });
        }
    };
    let global = cli.global.clone();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error, global.json, global.color);
            ExitCode::from(error.exit.code())
        }
    }
}

fn report(error: &CliError, json: bool, colour: output::ColourChoice) {
    match error.exit {
        Exit::NobodyReads => {}
        _ if json => output::say(&error.to_json().to_string()),
        _ => output::say(&error.render(output::wants_colour(colour, std::io::stderr().is_terminal()))),
    }
}

fn start(cli: Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new("cannot start").cause(&error))?;
    let context = Context::new(cli.global);
    runtime.block_on(dispatch(&context, cli.command))
}

async fn dispatch(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Up(up) => commands::up::run(context, *up).await,
        Command::Doctor(doctor) => commands::doctor::run(context, doctor).await,
        Command::Chat(chat) => commands::chat::run(context, chat).await,
        Command::Runs(runs) => commands::runs::run(context, runs).await,
        Command::Approvals(approvals) => commands::approvals::run(context, approvals).await,
        Command::Agents(agents) => commands::agents::run(context, agents).await,
        Command::Requests(requests) => commands::requests::run(context, requests).await,
        Command::Events(events) => commands::events::run(context, events).await,
        Command::Locks(locks) => commands::locks::run(context, locks).await,
        Command::Workflows(workflows) => commands::workflows::run(context, workflows).await,
        Command::Workspace(workspace) => commands::workspace::run(context, workspace).await,
        Command::Migrate(migrate) => commands::migrate::run(context, migrate).await,
        Command::Token(token) => commands::token::run(context, token).await,
        Command::Completions { shell } => commands::completions::run(context, shell),
    }
}

/// Sends what the host and the workspace have to report to standard error. RUST_LOG chooses how much.
pub(crate) fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,guildhall=info"));
    let colour = output::wants_colour(output::ColourChoice::Auto, std::io::stderr().is_terminal());
    // A second call (in tests) finds a subscriber installed, which is as good.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .try_init();
}
