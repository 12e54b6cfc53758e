//! Every rule by its examples. A case is a diff under `tests/review/RULE/`: before the first file header,
//! `expect: PATH:LINE SEVERITY` names a finding of the rule (`-` for no line or no file), and `options: JSON`
//! sets options. A positive case gives exactly the findings that it names, a negative one gives none.

#[path = "review/support.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use guildhall_skills::review::diff::{Change, LineKind, parse};
use guildhall_skills::review::{Options, Severity, Verdict, review, review_diff, rules};

use support::{cases, entries, name, secrets_in};

/// The findings that a case names, and its options.
fn header(text: &str) -> (BTreeSet<String>, Options) {
    let mut expected = BTreeSet::new();
    let mut options = Options::default();
    for line in text.lines().take_while(|line| !line.starts_with("diff --git ")) {
        if let Some(finding) = line.strip_prefix("expect: ") {
            expected.insert(finding.to_owned());
        } else if let Some(json) = line.strip_prefix("options: ") {
            options = serde_json::from_str(json).expect("options are valid");
        } else {
            panic!("neither `expect: ` nor `options: `: {line}");
        }
    }
    (expected, options)
}

/// Checks one case; gives what is wrong with it.
fn check(rule: &str, case: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let (expected, options) = header(text);
    if case.starts_with("positive-") == expected.is_empty() || !case.ends_with(".diff") {
        wrong.push("a positive-*.diff expects findings, a negative-*.diff none".to_owned());
    }
    let review = match review(text, &options) {
        Ok(review) => review,
        Err(error) => return vec![error.to_string()],
    };
    let found: BTreeSet<String> = review
        .findings
        .iter()
        .filter(|finding| finding.rule == rule)
        .map(|finding| {
            let line = finding.line.map_or("-".to_owned(), |line| line.to_string());
            let file = if finding.file.is_empty() {
                "-"
            } else {
                &finding.file
            };
            format!("{file}:{line} {}", finding.severity.as_str())
        })
        .collect();
    if found != expected {
        wrong.push(format!("expected {expected:?}, found {found:?}"));
    }
    let json = serde_json::to_string(&review).expect("a review is JSON");
    if let Some(secret) = secrets_in(text)
        .iter()
        .find(|secret| json.contains(secret.as_str()))
    {
        wrong.push(format!("the review shows {secret}"));
    }
    if json.contains('\u{202E}') {
        wrong.push("the review shows a character that reorders its text".to_owned());
    }
    if review
        .findings
        .iter()
        .any(|finding| finding.message.is_empty() || finding.suggestion.is_empty())
    {
        wrong.push("a finding says nothing".to_owned());
    }
    wrong
}

#[test]
fn every_example_gives_what_it_says() {
    let mut failures = Vec::new();
    for (rule, case, text) in cases() {
        failures.extend(
            check(&rule, &case, &text)
                .into_iter()
                .map(|wrong| format!("{rule}/{case}: {wrong}")),
        );
    }
    assert!(
        failures.is_empty(),
        "{} of the cases fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_rule_has_examples_of_both_kinds_and_every_example_a_rule() {
    let mut kinds: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (rule, case, _) in cases() {
        let counts = kinds.entry(rule).or_default();
        if case.starts_with("positive-") {
            counts.0 += 1
        } else {
            counts.1 += 1
        }
    }
    for rule in rules() {
        let (positive, negative) = kinds.remove(rule.id).unwrap_or_default();
        assert!(
            positive > 0 && negative > 0,
            "{}: {positive} positive, {negative} negative examples",
            rule.id
        );
    }
    assert!(kinds.is_empty(), "examples without a rule: {:?}", kinds.keys());
}

#[test]
fn every_rule_has_a_page_and_every_page_a_rule() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules");
    let index = fs::read_to_string(folder.join("README.md")).expect("docs/rules/README.md lists the rules");
    let mut pages: BTreeSet<String> = entries(&folder).iter().map(|path| name(path)).collect();
    pages.remove("README.md");
    for rule in rules() {
        assert!(
            pages.remove(&format!("{}.md", rule.id)),
            "docs/rules/{}.md is missing",
            rule.id
        );
        let page = fs::read_to_string(folder.join(format!("{}.md", rule.id))).expect("the page can be read");
        let title = format!("# {}\n", rule.title);
        let line = format!("`{}` · {} · {}", rule.id, rule.severity.as_str(), category(rule));
        assert!(
            page.starts_with(&title),
            "{}: the page begins with {title:?}",
            rule.id
        );
        assert!(
            page.contains(&line),
            "{}: the page has the line {line:?}",
            rule.id
        );
        for part in ["## Why", "## How to fix", "## When to ignore"] {
            assert!(page.contains(part), "{}: the page has no part {part:?}", rule.id);
        }
        assert!(
            index.contains(&format!("[{0}]({0}.md)", rule.id)),
            "docs/rules/README.md does not list {}",
            rule.id
        );
    }
    assert!(pages.is_empty(), "pages without a rule: {pages:?}");
}

fn category(rule: &guildhall_skills::review::RuleInfo) -> String {
    serde_json::to_value(rule.category)
        .expect("a category is JSON")
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn rule_ids_are_unique_and_made_of_words() {
    let ids: BTreeSet<&str> = rules().iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules().len());
    for rule in rules() {
        assert!(
            rule.id
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            "{}",
            rule.id
        );
        assert!(
            rule.description.ends_with('.') && !rule.title.ends_with('.'),
            "{}",
            rule.id
        );
    }
}

/// What was there before is not this change's doing: with every added line turned into context, only rules
/// about removed lines and whole files may speak.
#[test]
fn lines_that_are_not_added_raise_nothing() {
    const WITHOUT_LINES: &[&str] = &[
        "tests-",
        "change-guildhall-toml",
        "change-submodule",
        "change-binary",
        "change-mixed-generated",
    ];
    for (rule, case, text) in cases() {
        let mut diff = parse(&text).expect("a case is a diff");
        for file in &mut diff.files {
            if file.change == Change::Added && !file.binary {
                file.change = Change::Modified;
                file.old_path = file.new_path.clone();
            }
            for line in file.hunks.iter_mut().flat_map(|hunk| &mut hunk.lines) {
                if line.kind == LineKind::Added {
                    line.kind = LineKind::Context;
                    line.old_line = line.new_line;
                }
            }
        }
        for finding in review_diff(&diff, &header(&text).1).findings {
            let allowed = WITHOUT_LINES.iter().any(|start| finding.rule.starts_with(start));
            assert!(allowed, "{rule}/{case}: {finding:?} about lines that are not new");
        }
    }
}

#[test]
fn the_verdict_follows_the_worst_finding_and_the_options() {
    let change = |line: &str| format!("--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,0 +1 @@\n+{line}\n");
    let verdict =
        |line: &str, options: &Options| review(&change(line), options).expect("it is a diff").verdict;
    let strict = Options {
        block_at: Severity::Low,
        ..Options::default()
    };
    let off = Options {
        disabled_rules: vec!["code-debug-leftover".into()],
        ..Options::default()
    };
    assert_eq!(verdict("fn good() {}", &strict), Verdict::Approve);
    assert_eq!(verdict("    dbg!(x);", &Options::default()), Verdict::Comment);
    assert_eq!(verdict("    dbg!(x);", &strict), Verdict::Block);
    assert_eq!(verdict("    dbg!(x);", &off), Verdict::Approve);
    assert_eq!(verdict("<<<<<<< HEAD", &Options::default()), Verdict::Block);
}
