//! What the infrastructure agent knows: the action that an approval binds, the order of a deployment,
//! and files that describe a service.

mod action;
mod generate;
mod health;
mod machine;

pub use action::{deploy_action, deployment_lock, rollback_action};
pub use generate::{INSTRUCTIONS, Made, Provider, ServiceFacts, make, read_answer};
pub use health::{Verdict, verdict};
pub use machine::{Deployment, Event, Outcome, Step};
