//! The workflow engine against the specification's conformance kit, its examples and schema, and against itself.

mod behaviour;
mod conformance;
mod drive;
mod features;
mod random;
mod specification;
mod validation;
mod waiting;
mod world;
