//! The patterns by which declarations are found.

use super::Language;
use regex::Regex;
use std::sync::LazyLock;

/// How declarations of a language begin.
pub(super) struct Rules {
    pub(super) function: Regex,
    pub(super) kind: Regex,
    pub(super) import: Regex,
    pub(super) branch: Regex,
}

pub(super) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern compiles")
}

/// The patterns of a language; those of SQL for what has none of its own.
pub(super) fn rules(language: Language) -> &'static Rules {
    macro_rules! rules {
        ($function:literal, $kind:literal, $import:literal, $branch:literal) => {{
            static RULES: LazyLock<Rules> = LazyLock::new(|| Rules {
                function: regex($function),
                kind: regex($kind),
                import: regex($import),
                branch: regex($branch),
            });
            &RULES
        }};
    }
    match language {
        Language::Rust => rules!(
            r#"^\s*(?P<pub>pub(?:\([^)]*\))?\s+)?(?:default\s+|const\s+|async\s+|unsafe\s+|extern\s+"[^"]*"\s+)*fn\s+(?P<name>\w+)"#,
            r"^\s*(?P<pub>pub(?:\([^)]*\))?\s+)?(?P<kind>struct|enum|trait|union|type|mod)\s+(?P<name>\w+)",
            r"^\s*(?:pub\s+)?use\s+(?P<path>[\w:]+)",
            r"\b(?:if|while|for|loop)\b|=>|&&|\|\||\?"
        ),
        Language::Python => rules!(
            r"^\s*(?:async\s+)?def\s+(?P<name>\w+)",
            r"^\s*(?P<kind>class)\s+(?P<name>\w+)",
            r"^\s*(?:from\s+(?P<path>[\w.]+)\s+import|import\s+(?P<other>[\w.]+))",
            r"\b(?:if|elif|while|for|except|case|and|or)\b"
        ),
        Language::Javascript | Language::Typescript => rules!(
            r"^\s*(?P<pub>export\s+(?:default\s+)?)?(?:async\s+)?(?:function\s*\*?\s*(?P<name>\w+)|(?:const|let|var)\s+(?P<other>\w+)\s*=\s*(?:async\s*)?(?:\([^)]*\)|\w+)\s*(?::[^=]+)?=>)",
            r"^\s*(?P<pub>export\s+(?:default\s+)?)?(?:abstract\s+)?(?P<kind>class|interface|enum|type)\s+(?P<name>\w+)",
            r#"^\s*(?:import\b.*?|const\b.*?require\()\s*(?P<path>["'][^"']*["'])"#,
            r"\b(?:if|while|for|case|catch)\b|&&|\|\||\?"
        ),
        Language::Go => rules!(
            r"^func\s+(?:\([^)]*\)\s*)?(?P<name>\w+)",
            r"^type\s+(?P<name>\w+)\s+(?P<kind>struct|interface|\w+)",
            r#"^(?:import\s+|\s+)(?:\w+\s+)?(?P<path>"[^"]*")\s*$"#,
            r"\b(?:if|for|case|select)\b|&&|\|\|"
        ),
        Language::Java => rules!(
            r"^\s*(?P<pub>public\s+)?(?:(?:private|protected|static|final|abstract|synchronized|default|override|suspend)\s+)*(?:fun\s+(?P<name>\w+)|[\w<>\[\],.?]+\s+(?P<other>\w+)\s*\([^;=]*\)\s*(?:throws\s+[\w.,\s]+)?\{)",
            r"^\s*(?P<pub>public\s+)?(?:(?:private|protected|static|final|abstract|sealed|data)\s+)*(?P<kind>class|interface|enum|record|object)\s+(?P<name>\w+)",
            r"^\s*import\s+(?:static\s+)?(?P<path>[\w.]+)",
            r"\b(?:if|while|for|case|catch)\b|&&|\|\||\?"
        ),
        Language::C => rules!(
            r"^(?:static\s+|inline\s+|extern\s+|const\s+)*[A-Za-z_][\w\s*&:<>]*?[\s*&](?P<name>\w+)\s*\([^;]*$",
            r"^\s*(?:typedef\s+)?(?P<kind>struct|union|enum|class)\s+(?P<name>\w+)\s*\{?\s*$",
            r#"^\s*#\s*include\s+(?P<path>[<"][^>"]*[>"])"#,
            r"\b(?:if|while|for|case)\b|&&|\|\||\?"
        ),
        Language::Shell => rules!(
            r"^\s*(?:function\s+(?P<name>[\w-]+)|(?P<other>[\w-]+)\s*\(\s*\))",
            r"^(?P<kind>\x00)(?P<name>\x00)",
            r"^\s*(?:source|\.)\s+(?P<path>\S+)",
            r"\b(?:if|elif|while|until|for)\b|&&|\|\||;;"
        ),
        _ => rules!(
            r"(?i)^\s*create\s+(?:or\s+replace\s+)?(?:function|procedure)\s+(?P<name>[\w.]+)",
            r"(?i)^\s*create\s+(?:or\s+replace\s+)?(?:unique\s+)?(?P<kind>table|view|materialized view|index|type|trigger)\s+(?:if\s+not\s+exists\s+)?(?P<name>[\w.]+)",
            r"^(?P<path>\x00)",
            r"(?i)\b(?:if|elsif|while|for|loop|when)\b"
        ),
    }
}
