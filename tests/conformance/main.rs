//! Other people's test suites for the standards spoken.

#[path = "../../crates/flow/tests/suite/features.rs"]
mod features;
mod openapi;
mod serverless_workflow;
