//! Workflows: what a document of the Serverless Workflow DSL means, without doing any of it.
//!
//! Pure and total: the same definition and events always give the same commands, and no input makes it panic.
//!
//! [`validate::parse`] reads a document (docs/workflows-dsl.md), [`plan::plan`] tells what it may touch,
//! [`engine::Engine`] runs it and [`schedule::next_due`] tells when it runs by itself. The caller hands the engine's commands to
//! the SQL function `run_advance`, which applies them under the run's epoch in one statement.

pub mod dsl;
pub mod engine;
pub mod expression;
pub mod plan;
pub mod schedule;
pub mod validate;
pub mod yaml;

mod schema;
