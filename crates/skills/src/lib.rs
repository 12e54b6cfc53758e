//! What each agent knows how to do, as pure functions.

pub mod aggregate;
pub mod answers;
pub mod cards;
pub mod ci;
pub mod code;
pub mod config;
pub mod delivery;
pub mod docs;
pub mod generate;
pub mod implement;
pub mod infra;
pub mod inputs;
pub mod planning;
pub mod report;
pub mod review;
pub mod status;
pub mod tools;
