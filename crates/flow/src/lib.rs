//! What a step of a run may do: definition and history in, commands out.
//!
//! Pure and total: the same definition and history always give the same commands, and no input makes it panic.
//!
//! [`validate::parse`] reads a workflow in the Serverless Workflow DSL (docs/workflows-dsl.md), [`plan::plan`] tells what
//! it may touch, [`engine::Engine`] runs it and [`schedule::next_due`] tells when it runs by itself.
//!
//! [`next`] interprets the hall's own plans, a list of steps. The caller hands its commands to the SQL function
//! `run_advance`, which applies them under the run's epoch in one statement.

pub mod dsl;
pub mod engine;
pub mod expression;
pub mod plan;
pub mod schedule;
pub mod validate;
pub mod yaml;

mod schema;

mod definition;
mod interpreter;

pub use definition::{AgentCall, ApprovalCall, Call, Definition, DefinitionError, Requirement, Step};
pub use interpreter::{Command, next};
