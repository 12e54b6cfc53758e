//! A file of the diff as rules see it: its path, its traits and the new side of each hunk.

use super::Severity;
use super::diff::{Change, FileDiff, Hunk, LineKind};
use super::path::{Traits, extension, file_name};
use super::sink::Report;

/// A file of the diff with what rules ask for again and again.
pub(crate) struct Source<'a> {
    pub file: &'a FileDiff,
    pub path: &'a str,
    pub lower_path: String,
    pub traits: Traits,
}

/// One line of the new side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewLine<'a> {
    pub number: u32,
    pub added: bool,
    /// Inside a module of tests that stands in the middle of a source file.
    pub in_tests: bool,
    /// Without a carriage return at the end.
    pub text: &'a str,
}

impl<'a> Source<'a> {
    pub fn new(file: &'a FileDiff) -> Self {
        let path = file.path();
        Source {
            file,
            path,
            lower_path: path.to_ascii_lowercase(),
            traits: Traits::of(path),
        }
    }

    /// True when the diff shows the whole new file, so that something missing is really missing.
    pub fn whole(&self) -> bool {
        self.file.change == Change::Added && !self.file.binary
    }

    /// The last part of the path, in lower case.
    pub fn name(&self) -> &str {
        file_name(&self.lower_path)
    }

    /// The extension, in lower case.
    pub fn extension(&self) -> &str {
        extension(&self.lower_path)
    }

    /// The added lines, with numbers of the new side.
    pub fn added(&self) -> impl Iterator<Item = NewLine<'a>> + use<'a> {
        let (file, rust) = (self.file, self.extension() == "rs");
        file.hunks
            .iter()
            .flat_map(move |hunk| new_side(hunk, rust))
            .filter(|line| line.added)
    }

    /// The new side of each hunk: context and added lines.
    pub fn regions(&self) -> impl Iterator<Item = Vec<NewLine<'a>>> + use<'a> {
        let (file, rust) = (self.file, self.extension() == "rs");
        file.hunks.iter().map(move |hunk| new_side(hunk, rust).collect())
    }

    /// A report about one line.
    pub fn at(
        &self,
        rule: &'static str,
        severity: Severity,
        line: NewLine<'a>,
        message: impl Into<String>,
        suggestion: &'static str,
    ) -> Report<'a> {
        Report {
            rule,
            severity,
            file: self.path,
            line: Some(line.number),
            message: message.into(),
            suggestion: suggestion.into(),
            text: line.text,
            focus: 0..0,
            secret: false,
        }
    }

    /// A report about the file as a whole.
    pub fn whole_file(
        &self,
        rule: &'static str,
        severity: Severity,
        message: impl Into<String>,
        suggestion: &'static str,
    ) -> Report<'a> {
        Report {
            rule,
            severity,
            file: self.path,
            line: None,
            message: message.into(),
            suggestion: suggestion.into(),
            text: "",
            focus: 0..0,
            secret: false,
        }
    }
}

/// The new side of a hunk. In Rust, tests stand beside the code, so their module is told apart from it: from
/// its header, or the one that git shows for the hunk, to the brace that closes it.
fn new_side(hunk: &Hunk, rust: bool) -> impl Iterator<Item = NewLine<'_>> {
    let mut in_tests = rust && hunk.section.starts_with("mod test");
    let mut marked = false;
    hunk.lines.iter().filter_map(move |line| {
        let number = line.new_line?;
        let text = line.content();
        if rust {
            let opens = text.starts_with("mod ") && text.ends_with('{');
            in_tests = (in_tests && text != "}") || (marked && opens);
            marked = text.starts_with("#[cfg(test)]") || (marked && text.starts_with("#["));
        }
        Some(NewLine {
            number,
            added: line.kind == LineKind::Added,
            in_tests,
            text,
        })
    })
}
