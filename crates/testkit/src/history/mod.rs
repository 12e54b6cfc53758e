//! Checks of histories: what was recorded while faults happened, held against what was promised.
//!
//! Every check is a pure function over records in memory. It gives how many things it looked at, so that a caller can
//! refuse a history that shows nothing, or the first [`Violation`] with the shortest part of the history that shows it.
//! Times are microseconds of one clock.

pub mod events;
pub mod locks;
pub mod queue;
pub mod requests;
pub mod routing;

use std::fmt;

/// A promise that a history breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub rule: &'static str,
    /// What is wrong.
    pub why: String,
    /// The records that show it, in their order.
    pub excerpt: Vec<String>,
}

/// What a check gives: how many things it looked at.
pub type Checked = Result<usize, Violation>;

impl Violation {
    fn new(rule: &'static str, why: impl Into<String>) -> Violation {
        Violation {
            rule,
            why: why.into(),
            excerpt: Vec::new(),
        }
    }

    fn show<T: fmt::Debug>(mut self, records: impl IntoIterator<Item = T>) -> Violation {
        self.excerpt
            .extend(records.into_iter().map(|record| format!("{record:?}")));
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not hold: {}", self.rule, self.why)?;
        self.excerpt
            .iter()
            .try_for_each(|record| write!(f, "\n    {record}"))
    }
}

impl std::error::Error for Violation {}
