//! Standard output is for data and nothing else. Colour only on terminals, and never needed to understand.

use crate::error::{CliError, Exit, Result};
use serde_json::Value;
use std::io::{IsTerminal, Write};

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A colour, by what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Ended well.
    Good,
    /// Ended badly.
    Bad,
    /// Waits for somebody.
    Waiting,
    /// Less important.
    Dim,
    /// A heading.
    Strong,
}

/// Where a command writes its data.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Whether documents are wanted instead of text.
    pub json: bool,
    /// Whether standard output is coloured.
    pub colour: bool,
    /// Whether standard output is a terminal.
    pub terminal: bool,
}

impl Output {
    /// Decides from the flags, the environment and the terminal.
    pub fn new(json: bool, choice: ColourChoice) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Output {
            json,
            colour: !json && wants_colour(choice, terminal),
            terminal,
        }
    }

    /// How many columns there are: those of the terminal, those that COLUMNS names, else as many as are needed.
    pub fn columns(&self) -> usize {
        let given = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        let measured = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        match self.terminal {
            true => given.or_else(measured).unwrap_or(80),
            false => given.unwrap_or(usize::MAX),
        }
    }

    /// Writes text and a line end.
    pub fn line(&self, text: &str) -> Result<()> {
        self.write(&format!("{text}\n"))
    }

    /// Writes text as it is.
    pub fn write(&self, text: &str) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::BrokenPipe => CliError {
                    exit: Exit::NobodyReads,
                    ..CliError::new("nobody reads the output")
                },
                _ => CliError::new("cannot write to standard output").cause(&error),
            })
    }

    /// Writes a document with its type, for example `guildhall.run.v1`. The value is an object.
    pub fn document(&self, kind: &str, mut value: Value) -> Result<()> {
        if let Value::Object(fields) = &mut value {
            fields.insert("kind".into(), kind.into());
        }
        self.line(&value.to_string())
    }

    /// Colours text, if colours are wanted.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Waiting => "33",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_string()
        }
    }
}

/// Whether a stream is coloured.
pub fn wants_colour(choice: ColourChoice, terminal: bool) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto => terminal && !refused && !dumb,
    }
}

/// Says something to people, on standard error.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
