//! How a command fails: what was attempted, why, what to do next, and with which exit code.

use guildhall_domain::Problem;
use serde_json::{Value, json};
use std::fmt;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// An expected failure: the thing asked for is refused, absent, or turned out badly.
    Failure,
    /// The command could not be carried out, or was not understood.
    Error,
    /// Nobody reads the output any more; that is no failure.
    NobodyReads,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::NobodyReads => 0,
            Exit::Failure => 1,
            Exit::Error => 2,
        }
    }
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    /// What was attempted.
    pub what: String,
    /// Why it failed, the nearest cause first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// The fleet's stable error code, when the fleet refused.
    pub code: Option<String>,
    /// The exit code.
    pub exit: Exit,
}

/// What commands return.
pub type Result<T> = std::result::Result<T, CliError>;

impl CliError {
    /// An error that ends with exit code 2.
    pub fn new(what: impl Into<String>) -> Self {
        CliError {
            what: what.into(),
            causes: Vec::new(),
            hint: None,
            code: None,
            exit: Exit::Error,
        }
    }

    /// An expected failure: exit code 1.
    pub fn failure(what: impl Into<String>) -> Self {
        CliError {
            exit: Exit::Failure,
            ..CliError::new(what)
        }
    }

    /// Adds a cause, and that cause's own causes.
    pub fn cause(mut self, cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(error) = next {
            let text = error.to_string();
            // Many libraries repeat the source in their own message; once is enough.
            if !self.causes.iter().any(|known| known.contains(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds a cause in words.
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A refusal by the fleet. What the caller could have known beforehand (4xx) is a failure, the rest an error.
    pub fn problem(what: impl Into<String>, problem: Problem) -> Self {
        let exit = if problem.status < 500 {
            Exit::Failure
        } else {
            Exit::Error
        };
        CliError {
            what: what.into(),
            causes: vec![problem.detail],
            hint: problem.hint,
            code: Some(problem.code),
            exit,
        }
    }

    /// The layout that every command uses on standard error.
    pub fn render(&self, colour: bool) -> String {
        let paint = |text: &str, code: &str| match colour {
            true => format!("\u{1b}[1;{code}m{text}\u{1b}[0m"),
            false => text.to_string(),
        };
        let mut text = format!("{} {}", paint("error:", "31"), self.what);
        if let Some(code) = &self.code {
            text.push_str(&format!(" [{code}]"));
        }
        for cause in &self.causes {
            text.push_str(&format!("\n  caused by: {}", cause.replace('\n', "\n    ")));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!(
                "\n{} {}",
                paint("hint:", "36"),
                hint.replace('\n', "\n  ")
            ));
        }
        if let Some(code) = self
            .code
            .as_deref()
            .filter(|code| guildhall_domain::Code::parse(code).is_some())
        {
            text.push_str(&format!("\n  see docs/errors/{code}.md"));
        }
        text
    }

    /// The same for machines.
    pub fn to_json(&self) -> Value {
        json!({
            "kind": "guildhall.error.v1",
            "error": self.what,
            "caused_by": self.causes,
            "hint": self.hint,
            "code": self.code,
        })
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for CliError {}

impl From<guildhall_provision::Error> for CliError {
    fn from(error: guildhall_provision::Error) -> Self {
        CliError {
            what: error.what,
            causes: error.cause.into_iter().collect(),
            hint: error.hint,
            code: None,
            exit: Exit::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guildhall_domain::Code;

    #[test]
    fn a_refusal_shows_code_cause_hint_and_page() {
        let problem = Problem::new(Code::NotFound, "there is no run 7").hint("guildhall runs list");
        let error = CliError::problem("cannot show the run", problem);
        assert_eq!(
            error.render(false),
            "error: cannot show the run [not_found]\n  caused by: there is no run 7\nhint: guildhall runs list\n  \
             see docs/errors/not_found.md"
        );
        assert_eq!(error.exit.code(), 1);
    }

    #[test]
    fn causes_are_listed_once_each() {
        let inner = std::io::Error::other("connection refused");
        let error = CliError::new("cannot reach the fleet")
            .cause(&inner)
            .cause(&inner);
        assert_eq!(error.causes, ["connection refused"]);
        assert_eq!(error.exit.code(), 2);
    }
}
