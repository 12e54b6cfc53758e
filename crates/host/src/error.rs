//! What can be wrong before or while an application runs, told so that a person can fix it.

use std::fmt;

/// What sort of thing went wrong; for callers that react to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A manifest or runtime configuration file cannot be read or is not TOML.
    Unreadable,
    /// The manifest breaks Spin's own rules.
    InvalidManifest,
    /// Spin knows this feature and this host does not offer it.
    Unsupported,
    /// A variable has no value, no declaration or a malformed name.
    Variable,
    /// A `{{ template }}` cannot be parsed or names an undeclared variable.
    Template,
    /// An entry of `allowed_outbound_hosts` is malformed or points nowhere.
    AllowedHost,
    /// A route cannot be parsed or is claimed twice.
    Route,
    /// A component's file is missing, is no component, or lacks what its trigger needs.
    Component,
    /// The address to listen on cannot be had.
    Listen,
    /// The Redis server of a trigger cannot be reached or has gone away.
    Redis,
    /// The operating system or the WebAssembly runtime refused something.
    Runtime,
}

/// A failure with its place, its cause and, where one is known, the next step.
#[derive(Clone, Debug)]
pub struct HostError {
    kind: ErrorKind,
    place: String,
    cause: String,
    hint: Option<String>,
}

impl HostError {
    /// An error of `kind` at `place` (such as `spin.toml [component.bus] source`) because of `cause`.
    pub(crate) fn new(kind: ErrorKind, place: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            kind,
            place: place.into(),
            cause: cause.into(),
            hint: None,
        }
    }

    /// The same error with advice on what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Where it is: the file and the key, or the thing that was attempted.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Why it failed, without the place and the advice.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What to do about it, where that is known.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.cause)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for HostError {}

/// The result of everything that can fail with a [`HostError`].
pub type Result<T, E = HostError> = std::result::Result<T, E>;
