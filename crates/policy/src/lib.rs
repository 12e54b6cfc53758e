//! How risky an action is and who must agree to it, as pure functions.
//!
//! Operations and environments are typed; what is not known counts as high, never as low. The text of a change, of a
//! comment or of a model's answer is no input here, so it cannot lower a risk.

mod action;
mod assess;

pub use action::{Action, EnvironmentRisk, Operation};
pub use assess::{Assessment, Factor, Tier, assess};
