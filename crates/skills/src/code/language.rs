//! Which language a text is in.

use serde::Serialize;

/// A language whose declarations are known, or at least its comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Language {
    Rust,
    Python,
    Javascript,
    Typescript,
    Go,
    Java,
    C,
    Shell,
    Sql,
    Toml,
    Yaml,
    Json,
    Markdown,
    Text,
}

impl Language {
    /// The names that callers may give.
    pub const NAMES: [&'static str; 14] = [
        "rust",
        "python",
        "javascript",
        "typescript",
        "go",
        "java",
        "c",
        "shell",
        "sql",
        "toml",
        "yaml",
        "json",
        "markdown",
        "text",
    ];

    /// The language of a name, in any case; `None` when it is not known.
    pub fn named(name: &str) -> Option<Language> {
        Some(match name.to_ascii_lowercase().as_str() {
            "rust" | "rs" => Language::Rust,
            "python" | "py" => Language::Python,
            "javascript" | "js" => Language::Javascript,
            "typescript" | "ts" => Language::Typescript,
            "go" | "golang" => Language::Go,
            "java" => Language::Java,
            "c" | "c++" | "cpp" => Language::C,
            "shell" | "sh" | "bash" => Language::Shell,
            "sql" => Language::Sql,
            "toml" => Language::Toml,
            "yaml" | "yml" => Language::Yaml,
            "json" => Language::Json,
            "markdown" | "md" => Language::Markdown,
            "text" => Language::Text,
            _ => return None,
        })
    }

    /// The name, as [`Language::named`] reads it.
    pub fn as_str(self) -> &'static str {
        Language::NAMES[self as usize]
    }

    /// The language of a file by its name, else by its first line.
    pub fn of(path: &str, text: &str) -> Language {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "rs" => Language::Rust,
            "py" | "pyi" => Language::Python,
            "js" | "mjs" | "cjs" | "jsx" => Language::Javascript,
            "ts" | "tsx" | "mts" => Language::Typescript,
            "go" => Language::Go,
            "java" | "kt" => Language::Java,
            "c" | "h" | "cc" | "cpp" | "hpp" => Language::C,
            "sh" | "bash" => Language::Shell,
            "sql" => Language::Sql,
            "toml" => Language::Toml,
            "yaml" | "yml" => Language::Yaml,
            "json" => Language::Json,
            "md" | "markdown" => Language::Markdown,
            _ => Language::by_first_line(text),
        }
    }

    fn by_first_line(text: &str) -> Language {
        match text.lines().next().unwrap_or_default() {
            first if !first.starts_with("#!") => Language::Text,
            first if first.contains("python") => Language::Python,
            first if first.contains("node") => Language::Javascript,
            first if first.contains("sh") => Language::Shell,
            _ => Language::Text,
        }
    }

    /// The language that a text without a name is most likely in: the one whose declarations it has most of.
    pub fn guess(text: &str) -> Language {
        let by_line = Language::by_first_line(text);
        if by_line != Language::Text {
            return by_line;
        }
        let candidates = [
            (
                Language::Rust,
                &["fn ", "pub ", "impl ", "let ", "use ", "-> "][..],
            ),
            (Language::Python, &["def ", "import ", "from ", "class ", "self."]),
            (Language::Go, &["func ", "package ", ":= ", "import ("]),
            (Language::Java, &["public ", "private ", "import java", "void "]),
            (Language::Javascript, &["function ", "const ", "=> ", "require("]),
            (Language::C, &["#include", "int ", "void ", "struct "]),
            (
                Language::Sql,
                &["select ", "create table", "insert into", "alter table"],
            ),
        ];
        let count = |words: &[&str]| -> usize { words.iter().map(|word| text.matches(word).count()).sum() };
        let scored = candidates
            .iter()
            .map(|(language, words)| (count(words), *language));
        // The first of equals, which the order above puts first.
        let best = scored.rev().max_by_key(|(score, _)| *score);
        best.filter(|(score, _)| *score >= 2)
            .map_or(Language::Text, |(_, language)| language)
    }

    /// What a comment to the end of the line begins with.
    pub(super) fn line_comments(self) -> &'static [&'static str] {
        match self {
            Language::Rust
            | Language::Javascript
            | Language::Typescript
            | Language::Go
            | Language::Java
            | Language::C => &["//"],
            Language::Python | Language::Shell | Language::Toml | Language::Yaml => &["#"],
            Language::Sql => &["--"],
            Language::Json | Language::Markdown | Language::Text => &[],
        }
    }

    /// Whether `/* … */` is a comment.
    pub(super) fn has_block_comments(self) -> bool {
        matches!(
            self,
            Language::Rust
                | Language::Javascript
                | Language::Typescript
                | Language::Go
                | Language::Java
                | Language::C
                | Language::Sql
        )
    }

    /// What strings are put between.
    pub(super) fn quotes(self) -> &'static [char] {
        match self {
            // A single quote begins a lifetime as often as a character.
            Language::Rust => &['"'],
            Language::Javascript | Language::Typescript => &['"', '\'', '`'],
            Language::Go => &['"', '`'],
            Language::Python
            | Language::Java
            | Language::C
            | Language::Shell
            | Language::Toml
            | Language::Yaml => &['"', '\''],
            Language::Sql => &['\''],
            Language::Json => &['"'],
            Language::Markdown | Language::Text => &[],
        }
    }

    /// Whether declarations and their bodies are known.
    pub fn has_functions(self) -> bool {
        !matches!(
            self,
            Language::Toml | Language::Yaml | Language::Json | Language::Markdown | Language::Text
        )
    }
}
