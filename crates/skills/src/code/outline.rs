//! Declarations, lines and marks of a text.

use super::rules::{regex, rules};
use super::said::{doc, shorten, signature};
use super::{Language, mask};
use regex::Regex;
use serde::Serialize;
use std::sync::LazyLock;

/// The structure of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outline {
    /// Its language.
    pub language: Language,
    /// How many lines of which kind.
    pub lines: Lines,
    /// Its functions and methods, in their order.
    pub functions: Vec<Function>,
    /// Its types, traits, classes, tables and the like.
    pub types: Vec<Item>,
    /// What it names of other modules, in their order, each once.
    pub imports: Vec<String>,
    /// Notes of unfinished work in comments.
    pub marks: Vec<Mark>,
}

/// Lines by kind; a line with code and a comment is a code line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// All of them.
    pub total: usize,
    /// With code.
    pub code: usize,
    /// With nothing but a comment (or the inside of a string).
    pub comment: usize,
    /// With nothing.
    pub blank: usize,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Where it begins, from 1.
    pub line: usize,
    /// How many lines it has.
    pub lines: usize,
    /// Whether others may use it, as far as the declaration says.
    pub public: bool,
    /// Its declaration in one line, without the body.
    pub signature: String,
    /// What the comment before it (or its docstring) says.
    pub doc: Option<String>,
    /// One, and one more for each branch: an estimate.
    pub complexity: usize,
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What it is, such as `struct` or `class`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Where it begins, from 1.
    pub line: usize,
    /// Whether others may use it, as far as the declaration says.
    pub public: bool,
    /// What the comment before it says.
    pub doc: Option<String>,
}

/// A note of unfinished work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// Its line, from 1.
    pub line: usize,
    /// The line's text, shortened, without credentials.
    pub text: String,
}

/// Reads the structure of a text.
pub fn outline(text: &str, language: Language) -> Outline {
    let masked = mask(text, language);
    let lines: Vec<&str> = text.lines().collect();
    let bare: Vec<&str> = masked.lines().collect();
    let mut found = Outline {
        language,
        lines: count(&lines, &bare),
        functions: Vec::new(),
        types: Vec::new(),
        imports: Vec::new(),
        marks: marks(&lines, &bare),
    };
    if !language.has_functions() {
        return found;
    }
    let rules = rules(language);
    for (at, line) in bare.iter().enumerate() {
        // What an import names is a string in some languages, so it is read from the text itself.
        let import = rules
            .import
            .captures(lines[at])
            .filter(|_| !line.trim().is_empty());
        if let Some(import) = import
            && let Some(path) = import.name("path").or(import.name("other"))
        {
            let path = path.as_str().trim_matches(['"', '\'', '<', '>']).to_owned();
            if !found.imports.contains(&path) {
                found.imports.push(path);
            }
            continue;
        }
        if let Some(function) = rules.function.captures(line) {
            let Some(name) = function.name("name").or(function.name("other")) else {
                continue;
            };
            let declared_by_shape = matches!(language, Language::C | Language::Java);
            if declared_by_shape && KEYWORDS.contains(&name.as_str()) {
                continue;
            }
            let end = end_of(&bare, at, language);
            let branches: usize = bare[at..end]
                .iter()
                .map(|line| rules.branch.find_iter(line).count())
                .sum();
            found.functions.push(Function {
                name: name.as_str().to_owned(),
                line: at + 1,
                lines: end - at,
                public: is_public(
                    language,
                    function.name("pub").map(|said| said.as_str()),
                    name.as_str(),
                ),
                signature: signature(&lines, &bare, at, language),
                doc: doc(&lines, at, language),
                complexity: 1 + branches,
            });
        } else if let Some(kind) = rules.kind.captures(line) {
            let name = kind.name("name").map_or("", |name| name.as_str());
            found.types.push(Item {
                kind: kind
                    .name("kind")
                    .map_or("type", |kind| kind.as_str())
                    .to_lowercase(),
                name: name.to_owned(),
                line: at + 1,
                public: is_public(language, kind.name("pub").map(|said| said.as_str()), name),
                doc: doc(&lines, at, language),
            });
        }
    }
    found
}

/// Words that stand where a function's name could, in languages whose functions no word announces.
const KEYWORDS: &[&str] = &[
    "if", "for", "while", "switch", "catch", "return", "new", "else", "do", "try",
];

fn is_public(language: Language, said: Option<&str>, name: &str) -> bool {
    match language {
        // What is public within the crate is not for others.
        Language::Rust => said.is_some_and(|said| said.trim() == "pub"),
        Language::Java | Language::Javascript | Language::Typescript => said.is_some(),
        Language::Go => name.starts_with(char::is_uppercase),
        Language::Python => !name.starts_with('_'),
        _ => true,
    }
}

fn count(lines: &[&str], bare: &[&str]) -> Lines {
    let mut counted = Lines {
        total: lines.len(),
        ..Lines::default()
    };
    for (line, bare) in lines.iter().zip(bare) {
        match (line.trim().is_empty(), bare.trim().is_empty()) {
            (true, _) => counted.blank += 1,
            (false, true) => counted.comment += 1,
            (false, false) => counted.code += 1,
        }
    }
    counted
}

/// Lines whose comment holds one of the usual words, spelled in capitals.
fn marks(lines: &[&str], bare: &[&str]) -> Vec<Mark> {
    static MARK: LazyLock<Regex> = LazyLock::new(|| {
        // Put together here, so that this file holds no mark itself.
        regex(&format!(
            r"\b(?:{}|{}|HACK)\b",
            ["TO", "DO"].concat(),
            ["FIX", "ME"].concat()
        ))
    });
    let marked = |at: &usize| MARK.is_match(lines[*at]) && !MARK.is_match(bare[*at]);
    let shown = |at: usize| Mark {
        line: at + 1,
        text: shorten(crate::review::redact(lines[at].trim()).as_str()),
    };
    (0..lines.len().min(bare.len()))
        .filter(marked)
        .map(shown)
        .collect()
}

/// The line after the last one of what is declared at `at`.
fn end_of(bare: &[&str], at: usize, language: Language) -> usize {
    match language {
        Language::Python => {
            let indent = |line: &str| line.len() - line.trim_start().len();
            let own = indent(bare[at]);
            let header = (at..bare.len())
                .find(|i| bare[*i].trim_end().ends_with(':'))
                .unwrap_or(at);
            let stop =
                (header + 1..bare.len()).find(|i| !bare[*i].trim().is_empty() && indent(bare[*i]) <= own);
            let stop = stop.unwrap_or(bare.len());
            // Blank lines at the end belong to nobody.
            (at + 1..=stop)
                .rev()
                .find(|i| !bare[*i - 1].trim().is_empty())
                .unwrap_or(at + 1)
        }
        Language::Sql => {
            let end =
                (at..bare.len()).find(|i| bare[*i].trim_end().ends_with("$$;") || bare[*i].trim() == "end;");
            end.map_or(bare.len(), |i| i + 1)
        }
        _ => by_braces(bare, at),
    }
}

fn by_braces(bare: &[&str], at: usize) -> usize {
    let (mut depth, mut begun) = (0i64, false);
    for (number, line) in bare.iter().enumerate().skip(at) {
        for character in line.chars() {
            match character {
                '{' => {
                    depth += 1;
                    begun = true;
                }
                '}' => depth -= 1,
                // A declaration without a body.
                ';' if !begun && depth == 0 => return number + 1,
                _ => {}
            }
            if begun && depth <= 0 {
                return number + 1;
            }
        }
    }
    bare.len()
}
