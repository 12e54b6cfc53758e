//! Runtime expressions (dsl.md, "Runtime Expressions"): jq, by the crates of jaq, made pure and bounded.
//!
//! What would depend on the world (`now`, `env`, `input`, local time zones) is not there. Every evaluation has a budget
//! (see [`meter`]): loops, sizes and depths are counted by a filter that [`instrument`] weaves into the program, so
//! that no expression runs for ever or fills the memory. An expression gives exactly one value; none counts as `null`.

mod instrument;
mod meter;
mod program;
mod template;
mod value;

pub use program::{Scope, check, evaluate};
pub use template::{Text, TextPart, evaluate_template, parse_text, strip};

use std::fmt;

/// Most bytes of one expression.
pub const MAX_EXPRESSION_BYTES: usize = 16 << 10;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// The expression.
    pub expression: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.expression.chars().take(200).collect();
        write!(f, "`{shown}`: {}", self.reason)
    }
}

impl std::error::Error for ExpressionError {}

/// How values other than expressions are read (dsl-reference.md, "Evaluate").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Only what stands in `${ }` is evaluated.
    #[default]
    Strict,
    /// Every text is evaluated; what cannot be is that text.
    Loose,
}

#[cfg(test)]
mod tests;
