//! The workspace tools: a native MCP server over one local git repository.
//!
//! Reads come from git objects at a named revision, so neither the dirt of a work tree nor its symlinks matter.
//! Commands are those that `guildhall.toml` **of the base branch** names; they run without a shell, in a fresh
//! checkout of one exact commit, and die with the server. Every effect carries an idempotency key and has one
//! outcome, however often it is asked for and whenever the server dies.
//!
//! Rooms, downwards: [`serve`] (HTTP and MCP) → tools (shapes and schemas) → git, commands, environments →
//! effects (what happened, durably). `docs/workspace.md` tells users about the tools and the file.

mod commands;
mod config;
mod durable;
mod effects;
mod environments;
mod error;
mod git;
mod server;
mod tools;
mod workspace;

pub use config::{Check, CommandSpec, Configuration, Environment, Risk, Service};
pub use error::ToolError;
pub use server::{RunningWorkspace, WorkspaceOptions, serve};
pub use workspace::Workspace;
