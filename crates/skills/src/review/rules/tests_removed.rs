//! Tests that are removed or switched off. The one place where removed lines raise findings.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::secrets::compile;
use crate::review::Severity::{Low, Medium};
use crate::review::diff::{Change, Line, LineKind};
use crate::review::redact::redact;
use crate::review::sink::{Report, Sink};
use crate::review::source::{NewLine, Source};
use crate::review::{Category, RuleInfo, Severity};

const fn rule(
    id: &'static str,
    title: &'static str,
    severity: Severity,
    description: &'static str,
) -> RuleInfo {
    RuleInfo {
        id,
        title,
        severity,
        category: Category::Tests,
        description,
    }
}

#[rustfmt::skip]
pub(super) const RULES: &[RuleInfo] = &[
    rule("tests-file-deleted", "Test file deleted", Medium, "A file with tests is deleted, and its tests do not appear elsewhere in the change."),
    rule("tests-removed", "Test removed", Medium, "A test is removed and does not appear elsewhere in the change."),
    rule("tests-assertions-removed", "Assertions removed", Low, "A test keeps its name and loses assertions."),
    rule("tests-skipped", "Test switched off", Medium, "A test is marked to be skipped or ignored."),
    rule("tests-focused", "Only one test runs", Medium, "A test is marked to run alone, which silently switches the others off."),
];

/// A test's declaration: a group is its name, or else the match ends at the quote before its name.
static DECLARATION: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"^\s*(?:async\s+)?def (test[A-Za-z0-9_]*)\(",
        r"|^func ((?:Test|Benchmark|Fuzz)[A-Za-z0-9_]*)\(",
        r#"|^\s*(?:it|test)(?:\.each\([ -~]*\))?\(\s*["'`]"#,
        r#"|^\s*(?:it|test|specify) ["']"#,
    ))
});

static FUNCTION: LazyLock<Regex> =
    LazyLock::new(|| compile(r"(?:fn|void|fun|func) +`?([A-Za-z0-9_ ]+)`?\s*(?:<[ -=?-~]*>)?\("));

static ASSERTION: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^\s*(?:(?:prop_)?assert[a-zA-Z_]*!?[ (.]|self\.assert|expect\(|require\.[A-Z]|t\.(?:Error|Fatal)|Assert\.|should\.)",
    )
});

/// Words one of which is in whatever [`SKIPPED`] and [`FOCUSED`] match: most lines need no regex at all.
const SKIPPED_WORDS: &[&str] = &[
    "kip",
    "gnore",
    "isabled",
    "xit(",
    "xdescribe(",
    "xtest(",
    ".todo(",
    ".fixme(",
];
const FOCUSED_WORDS: &[&str] = &[".only(", "fit(", "fdescribe(", "fcontext("];

static SKIPPED: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"^\s*#\[ignore\b|^\s*@pytest\.mark\.skip\b|^\s*@(?:unittest\.)?skip\(|\bpytest\.skip\(",
        r"|^\s*(?:it|test|describe|context)\.skip\(|^\s*x(?:it|describe|test)\(|^\s*(?:it|test)\.(?:todo|fixme)\(",
        r"|^\s*t\.Skip(?:Now|f)?\(|^\s*@(?:Disabled|Ignore)\b|^\s*\[(?:Ignore|Fact\(Skip)|^\s*\(?Skip = ",
    ))
});

static FOCUSED: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^\s*(?:it|test|describe|context)\.only\(|^\s*f(?:it|describe|context)\("));

/// What tests a file's lines lost and gained.
struct Tests<'a> {
    source: &'a Source<'a>,
    removed: Vec<(String, &'a Line)>,
    /// How many tests the file gained under new names: as many removed ones may only have been renamed.
    fresh: usize,
}

pub(super) fn apply<'a>(files: &'a [Source<'a>], sink: &mut Sink<'a>) {
    let mut added: HashSet<String> = HashSet::new();
    let mut losses: Vec<Tests<'a>> = Vec::new();
    for source in files
        .iter()
        .filter(|source| !source.traits.generated && !source.traits.lock && may_hold_tests(source))
    {
        let removed = declared(source, LineKind::Removed);
        let gained: Vec<String> = declared(source, LineKind::Added)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let old: HashSet<&str> = removed.iter().map(|(name, _)| name.as_str()).collect();
        let fresh = gained.iter().filter(|name| !old.contains(name.as_str())).count();
        added.extend(gained);
        if !removed.is_empty() || source.file.change == Change::Deleted {
            losses.push(Tests {
                source,
                removed,
                fresh,
            });
        }
        switched_off(source, sink);
        if source.traits.test || source.extension() == "rs" {
            assertions(source, sink);
        }
    }
    for loss in &losses {
        removed(loss, &added, sink);
    }
}

fn may_hold_tests(source: &Source<'_>) -> bool {
    const CODE: &[&str] = &[
        "rs", "go", "py", "rb", "js", "ts", "tsx", "jsx", "mjs", "cjs", "java", "kt", "cs", "php", "ex",
        "exs", "scala", "swift", "sql", "vue",
    ];
    CODE.contains(&source.extension())
}

/// The tests that lines of this kind declare, by name, where each stands.
fn declared<'a>(source: &Source<'a>, kind: LineKind) -> Vec<(String, &'a Line)> {
    let by_attribute = matches!(source.extension(), "rs" | "java" | "kt" | "cs");
    let mut found = Vec::new();
    let file = source.file;
    for hunk in &file.hunks {
        let mut attribute = false;
        for line in hunk
            .lines
            .iter()
            .filter(|line| line.kind == kind || (by_attribute && line.kind == LineKind::Context))
        {
            let text = line.content();
            if by_attribute {
                let trimmed = text.trim_start();
                if is_test_attribute(trimmed) {
                    attribute = true;
                } else if attribute
                    && let Some(name) = FUNCTION.captures(text).and_then(|groups| groups.get(1))
                {
                    attribute = false;
                    if line.kind == kind {
                        found.push((name.as_str().to_owned(), line));
                    }
                } else if !(trimmed.starts_with(['#', '@', '[', '/']) || trimmed.is_empty()) {
                    attribute = false;
                }
            } else if (source.traits.test || source.extension() == "py")
                && text.contains(['(', '"', '\''])
                && let Some(groups) = DECLARATION.captures(text)
            {
                let end = groups.get(0).map_or(0, |whole| whole.end());
                let quoted = || text[end..].split(['"', '\'', '`']).next();
                let name = groups
                    .iter()
                    .skip(1)
                    .flatten()
                    .next()
                    .map(|group| group.as_str())
                    .or_else(quoted);
                found.push((name.unwrap_or("").to_owned(), line));
            }
        }
    }
    found
}

fn is_test_attribute(text: &str) -> bool {
    (text.starts_with("#[")
        && (text.contains("test]") || text.contains("test(") || text.starts_with("#[rstest")))
        || ["@Test", "@ParameterizedTest", "[Fact", "[Theory", "[Test"]
            .iter()
            .any(|mark| text.starts_with(mark))
}

fn removed<'a>(loss: &Tests<'a>, added: &HashSet<String>, sink: &mut Sink<'a>) {
    let source = loss.source;
    let gone: Vec<&(String, &Line)> = loss
        .removed
        .iter()
        .filter(|(name, _)| !added.contains(name))
        .collect();
    if source.file.change == Change::Deleted {
        // A deleted file whose tests all went elsewhere has moved; without any known test its name decides.
        let held_tests =
            !gone.is_empty() || (loss.removed.is_empty() && source.traits.test && !is_data(source));
        if held_tests {
            let count = match gone.len() {
                0 => String::new(),
                1 => " with 1 test".to_owned(),
                n => format!(" with {n} tests"),
            };
            sink.report(source.whole_file(
                "tests-file-deleted",
                Medium,
                format!("A test file{count} is deleted."),
                "Say in the change why what it covered no longer needs a test, or move the tests.",
            ));
        }
        return;
    }
    if gone.len() <= loss.fresh {
        return;
    }
    for (name, line) in gone {
        let name: String = redact(name).chars().take(120).collect();
        sink.report(old_side(
            source,
            "tests-removed",
            Medium,
            line,
            format!("The test `{name}` is removed."),
            "Keep it, or say in the change why what it covered is gone.",
        ));
    }
}

fn is_data(source: &Source<'_>) -> bool {
    ["fixture", "testdata", "mock", "snapshot", "golden"]
        .iter()
        .any(|word| source.lower_path.contains(word))
}

fn old_side<'a>(
    source: &Source<'a>,
    rule: &'static str,
    severity: Severity,
    line: &'a Line,
    message: String,
    suggestion: &'static str,
) -> Report<'a> {
    let place = NewLine {
        number: 0,
        added: false,
        in_tests: false,
        text: line.content(),
    };
    Report {
        line: line.old_line,
        ..source.at(rule, severity, place, message, suggestion)
    }
}

/// Hunks that take assertions out and put none in, while the tests around them stay.
fn assertions<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    let file = source.file;
    if file.change == Change::Deleted {
        return;
    }
    for hunk in &file.hunks {
        let asserts = |kind: LineKind| {
            hunk.lines.iter().filter(move |line| {
                line.kind == kind && line.text.contains(['(', '.']) && ASSERTION.is_match(line.content())
            })
        };
        let lost: Vec<&Line> = asserts(LineKind::Removed).collect();
        let gained = asserts(LineKind::Added).count();
        let whole_test_gone = hunk.lines.iter().any(|line| {
            line.kind == LineKind::Removed
                && (is_test_attribute(line.text.trim_start()) || DECLARATION.is_match(line.content()))
        });
        if let Some(first) = lost.first().filter(|_| gained < lost.len() && !whole_test_gone) {
            let count = lost.len() - gained;
            let what = if count == 1 {
                "An assertion is".to_owned()
            } else {
                format!("{count} assertions are")
            };
            let message = format!("{what} taken out of a test that stays: it passes and says less.");
            sink.report(old_side(
                source,
                "tests-assertions-removed",
                Low,
                first,
                message,
                "Keep the assertion, or replace it by one about the new behaviour.",
            ));
        }
    }
}

fn switched_off<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    let in_tests = source.traits.test || matches!(source.extension(), "rs" | "py");
    if !in_tests {
        return;
    }
    for line in source.added() {
        let holds = |words: &[&str]| words.iter().any(|word| line.text.contains(word));
        if holds(SKIPPED_WORDS) && SKIPPED.is_match(line.text) {
            sink.report(source.at(
                "tests-skipped",
                // In a new file nothing that ran before is lost.
                if source.whole() { Low } else { Medium },
                line,
                "A test is switched off.",
                "Repair it, or delete it and say why; a skipped test is forgotten.",
            ));
        }
        if source.traits.test && holds(FOCUSED_WORDS) && FOCUSED.is_match(line.text) {
            sink.report(source.at(
                "tests-focused",
                Medium,
                line,
                "A test is marked to run alone, so all others are left out.",
                "Take the mark out before merging.",
            ));
        }
    }
}
