//! The command line.

use crate::commands::{
    agents::Agents, approvals::Approvals, chat::Chat, doctor::Doctor, events::Events, locks::Locks,
    migrate::Migrate, requests::Requests, runs::Runs, token::Token, up::Up, workflows::Workflows,
    workspace::WorkspaceCommand,
};
use crate::context::Global;

/// A fleet of software-delivery agents that you can trust with a real system.
///
/// Data goes to standard output, everything else to standard error. Exit codes: 0 all is well, 1 an expected failure
/// (refused, not found, the run was stopped), 2 an error or wrong usage.
#[derive(Debug, clap::Parser)]
#[command(
    name = "guildhall",
    bin_name = "guildhall",
    version,
    max_term_width = 100,
    propagate_version = true
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Start a fleet on this machine and keep it running
    Up(Box<Up>),
    /// Find and explain what is missing or broken
    Doctor(Doctor),
    /// Ask for something in plain words
    Chat(Chat),
    /// Runs: list, show, start, watch, journal, pause, resume, signal, cancel
    #[command(subcommand)]
    Runs(Runs),
    /// Requests: list, show, submit, cancel, dead-letters, retry, discard, broadcast, broadcasts
    #[command(subcommand)]
    Requests(Requests),
    /// Events: list, follow
    #[command(subcommand)]
    Events(Events),
    /// Approvals: list, show, approve, reject
    #[command(subcommand)]
    Approvals(Approvals),
    /// Agents: find, show, register, report
    #[command(subcommand)]
    Agents(Agents),
    /// Locks: list, show, history, graph, statistics, contention, acquire, renew, release, force-release
    #[command(subcommand)]
    Locks(Locks),
    /// Workflows: validate, plan, put, list, show, run
    #[command(subcommand)]
    Workflows(Workflows),
    /// Serve the agents' tools over one git repository (MCP, loopback only)
    Workspace(WorkspaceCommand),
    /// Bring a database up to this version's schema
    Migrate(Migrate),
    /// API tokens: create, list, revoke
    #[command(subcommand)]
    Token(Token),
    /// Print a script with tab completion for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
