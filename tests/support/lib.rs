//! What the end-to-end and fault tests share: a fleet over a small repository, people with tokens, and waiting.

pub mod hall;
pub mod repository;

pub use hall::{Hall, RunView};
pub use repository::{Pace, Repository};
