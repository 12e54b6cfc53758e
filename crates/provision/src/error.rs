//! Errors for people: what was attempted, why it failed, what to do next.

use std::fmt;

/// Why something could not be provided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What was attempted.
    pub what: String,
    /// Why it failed, if more is known.
    pub cause: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that says what was attempted.
    pub fn new(what: impl Into<String>) -> Self {
        Error {
            what: what.into(),
            cause: None,
            hint: None,
        }
    }

    /// Adds why it failed.
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Turns an IO error into one that says what was attempted.
pub(crate) trait Attempt<T> {
    /// `what` is the attempt, for example `cannot write /x/y`.
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Attempt<T> for std::io::Result<T> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::new(what()).cause(error))
    }
}
