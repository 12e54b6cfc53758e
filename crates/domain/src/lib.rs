//! Ids, states, error codes and wire types: no IO, clock, randomness or async.
//!
//! Everything that crosses a boundary (HTTP body, SQL row, Redis message) has its type here, so that a field has
//! one name in SQL, Rust, JSON, CLI and docs.

pub mod agent;
pub mod approval;
pub mod card;
pub mod egress;
pub mod event;
pub mod id;
pub mod lock;
pub mod nesting;
pub mod problem;
pub mod request;
pub mod run;
pub mod scope;
pub mod token;
pub mod workflow;

pub use problem::{Code, Problem};
