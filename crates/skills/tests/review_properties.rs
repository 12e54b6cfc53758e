//! What holds for any diff: no panic, bounded output, no credential in the answer, and speed on a large one.

#[path = "review/support.rs"]
mod support;

use std::sync::LazyLock;

use guildhall_skills::review::{Options, Verdict, redact, review};
use proptest::prelude::*;

static CASES: LazyLock<Vec<(String, String, String)>> = LazyLock::new(support::cases);

/// A diff that adds these lines to one file.
fn adding(path: &str, lines: &[String]) -> String {
    let body: String = lines.iter().map(|line| format!("+{line}\n")).collect();
    format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{} @@\n{body}",
        lines.len()
    )
}

const PATHS: &[&str] = &[
    "src/a.rs",
    "migrations/1.sql",
    "Dockerfile",
    ".github/workflows/ci.yml",
    "k8s/a.yaml",
    "main.tf",
    "compose.yml",
    "a.py",
    "policy.json",
    "tests/a.test.ts",
    "guildhall.toml",
    "Cargo.lock",
    "a.md",
];

/// Pieces that the rules look for, to be put together in any order.
const PIECES: &[&str] = &[
    "password",
    " = ",
    "\"",
    "'",
    "://u:p",
    "@h.x",
    "<<FAKE_AWS_KEY_ID>>",
    "<<FAKE_RANDOM>>",
    "<<FAKE_JWT>>",
    "<<FAKE_PEM_BEGIN>>",
    "create ",
    "index",
    " on ",
    "alter table ",
    "a",
    ".",
    ",",
    "(",
    ")",
    "drop ",
    "column ",
    "$$",
    "$x$",
    "do ",
    "as ",
    ";",
    "/*",
    "*/",
    "--",
    "FROM ",
    "USER root",
    "ENV ",
    "\\",
    "RUN ",
    "uses: ",
    "run: |",
    "- ",
    "  ",
    "${{ ",
    "github.head_ref",
    " }}",
    "image: ",
    "kind: Secret",
    "data:",
    "add:",
    "---",
    "resource ",
    "{",
    "}",
    "[",
    "]",
    "cidr_blocks",
    "\"0.0.0.0/0\"",
    "#[test]",
    "fn ",
    "é",
    "\u{202E}",
    "\u{0}",
    "\t",
    "curl x | sh",
    "<<<<<<< ",
    "Action",
    "\"*\"",
    ":",
    "=",
    "`",
    "%",
    "\r",
    "from_port",
    "0",
    "type",
    "not null",
];

fn line() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES).prop_map(support::with_fakes);
    prop_oneof![4 => prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat()), 1 => "[^\n]{0,40}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_diff_makes_a_rule_panic(path in prop::sample::select(PATHS), lines in prop::collection::vec(line(), 1..40), most in 0..6u32) {
        let text = adding(path, &lines);
        let found = review(&text, &Options { max_findings: most, ..Options::default() });
        let found = found.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(found.findings.len() <= most as usize);
        prop_assert_eq!(found.lines_added as usize, lines.len());
        for finding in &found.findings {
            prop_assert!(finding.line.is_none_or(|line| line >= 1 && line as usize <= lines.len()), "{:?}", finding);
            prop_assert!(finding.excerpt.chars().count() <= 170, "{:?}", finding);
        }
        let sorted = found.findings.windows(2).all(|pair| pair[0].severity >= pair[1].severity);
        prop_assert!(sorted);
        prop_assert_eq!(&found, &review(&text, &Options { max_findings: most, ..Options::default() }).expect("it was read before"));
    }

    #[test]
    fn no_change_to_an_example_makes_the_review_panic(seed in any::<prop::sample::Index>(), at in 0.0..1.0f64, text in ".{0,6}", cut in 0..8usize) {
        let (_, _, case) = seed.get(&CASES);
        let place = |at: f64| (0..=(case.len() as f64 * at) as usize).rev().find(|at| case.is_char_boundary(*at)).unwrap_or(0);
        let (from, mut to) = (place(at), (place(at) + cut).min(case.len()));
        while !case.is_char_boundary(to) {
            to += 1;
        }
        let _ = review(&format!("{}{text}{}", &case[..from], &case[to..]), &Options::default());
    }

    #[test]
    fn no_credential_survives_in_an_answer(
        path in prop::sample::select(PATHS),
        fake in prop::sample::select(support::fakes()),
        before in "[ -~]{0,30}[ =:\"'(]",
        after in "[ \"';,)][ -~]{0,30}",
        far in prop::bool::ANY,
    ) {
        let padding = if far { "lorem ipsum ".repeat(400) } else { String::new() };
        let line = format!("{padding}{before}{}{after}", fake.1);
        let lines = [line.clone(), format!("<<<<<<< {line}"), format!("ENV API_TOKEN={line}")];
        let text = adding(path, &lines);
        let found = review(&text, &Options::default()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let json = serde_json::to_string(&found).expect("a review is JSON");
        for secret in support::secrets_in(&fake.1).iter().filter(|secret| secret.len() >= 20) {
            prop_assert!(!json.contains(secret.as_str()), "{}", json);
            prop_assert!(!redact(&line).contains(secret.as_str()));
        }
    }

    #[test]
    fn redacting_keeps_ordinary_text(text in "([a-z]{1,9} ){0,12}") {
        prop_assert_eq!(redact(&text), text);
    }
}

/// 50,000 lines of everything that costs: each rule's words, on files of each kind.
fn large() -> String {
    let kinds = [
        (
            "rs",
            "    let token = \"value\"; // password = os.environ(\"X\") https://a.b/c",
        ),
        (
            "sql",
            "alter table orders add column note text, drop column hint; update a set b = 'c';",
        ),
        (
            "yaml",
            "        - image: registry.corp.net/web:latest # hostNetwork: true",
        ),
        ("tf", "  cidr_blocks = [\"0.0.0.0/0\"]"),
        (
            "py",
            "    assert total == compute(1, 2, key='abc', secret=load('x'))",
        ),
    ];
    kinds
        .iter()
        .map(|(extension, line)| adding(&format!("k8s/big.{extension}"), &vec![(*line).to_owned(); 10_000]))
        .collect()
}

#[test]
fn a_diff_of_fifty_thousand_lines_gives_a_short_answer_that_says_what_it_left_out() {
    let found = review(&large(), &Options::default()).expect("it is a diff");
    assert_eq!(
        (found.lines_added, found.files_reviewed, found.verdict),
        (50_000, 5, Verdict::Block)
    );
    assert!(found.findings.len() <= 100);
    let left_out = found.truncated.expect("not everything is listed");
    assert!(left_out.contains("left out"), "{left_out}");
    let json = serde_json::to_string(&found.findings).expect("findings are JSON");
    assert!(json.len() < 100_000, "{} bytes", json.len());
}

#[test]
fn one_line_of_megabytes_is_cut_to_a_short_excerpt() {
    let random = support::fakes()
        .into_iter()
        .find(|(name, _)| name == "<<FAKE_GITHUB_CLASSIC>>")
        .expect("it is known")
        .1;
    let line = format!("{}{random}{}", "x=1;".repeat(500_000), ";y=2".repeat(500_000));
    let found = review(&adding("dist/bundle.js", &[line]), &Options::default()).expect("it is a diff");
    assert_eq!(
        found
            .findings
            .iter()
            .map(|finding| finding.rule.as_str())
            .collect::<Vec<_>>(),
        ["secret-github-token"]
    );
    assert!(found.findings[0].excerpt.len() < 300 && !found.findings[0].excerpt.contains(&random));
}

#[test]
fn an_empty_diff_is_approved_and_a_text_that_is_no_diff_is_refused() {
    let empty = review("", &Options::default()).expect("nothing is a diff of nothing");
    assert_eq!(
        (empty.verdict, empty.findings.len(), empty.files_reviewed),
        (Verdict::Approve, 0, 0)
    );
    assert!(review("please approve this change", &Options::default()).is_err());
}
