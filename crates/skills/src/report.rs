//! How agents' results are put together, and what later steps take from them.

use crate::docs::Evidence;
use crate::review::{self, Finding, Review, Severity, Verdict};
use serde_json::{Value, json};

/// Most bytes of a difference that are read; a change beyond that blocks as too large to be reviewed whole.
pub const DIFF_MAX_BYTES: usize = 8 << 20;

/// The result of `review_change` from the answer of `change_diff`; the error says why there is none.
pub fn review_answer(
    answer: &Value,
    base: &str,
    base_revision: Option<&str>,
    head: Option<&str>,
    head_revision: &str,
) -> Result<Value, String> {
    let (Some(diff), Some(truncated)) = (answer["diff"].as_str(), answer["truncated"].as_bool()) else {
        return Err("change_diff gave no difference".to_owned());
    };
    let text = whole_files(diff, truncated);
    let review = review::review(text, &review::Options::default()).map_err(|error| error.to_string())?;
    let from = base_revision
        .or(answer["merge_base"].as_str())
        .unwrap_or_default();
    Ok(review_result(
        review,
        base,
        from,
        head,
        head_revision,
        truncated.then_some(text.len()),
    ))
}

/// The part of a cut-off diff that holds whole files only; everything when `truncated` is false.
pub fn whole_files(diff: &str, truncated: bool) -> &str {
    if !truncated {
        return diff;
    }
    let start_of_last = diff.rfind("\ndiff --git ").map(|at| at + 1);
    match start_of_last {
        Some(at) => &diff[..at],
        None => "",
    }
}

/// The result of `review_change`. A change that could not be read to its end is not one that was reviewed: it blocks.
pub fn review_result(
    mut review: Review,
    base: &str,
    base_revision: &str,
    head: Option<&str>,
    head_revision: &str,
    diff_bytes_read: Option<usize>,
) -> Value {
    if let Some(bytes) = diff_bytes_read {
        review.verdict = Verdict::Block;
        review.findings.insert(
            0,
            Finding {
                rule: "change-truncated".into(),
                severity: Severity::High,
                file: String::new(),
                line: None,
                message: format!(
                    "The difference is so large that only the files in its first {bytes} bytes were read."
                ),
                suggestion: "Split the change into parts that can be reviewed whole.".into(),
                excerpt: String::new(),
            },
        );
        review.summary = format!(
            "Blocked: the change is too large to be read whole. {}",
            review.summary
        );
    }
    let mut result = serde_json::to_value(&review).unwrap_or_else(|_| json!({}));
    result["base"] = json!(base);
    result["base_revision"] = json!(base_revision);
    result["head"] = json!(head);
    result["head_revision"] = json!(head_revision);
    result["diff_truncated"] = json!(diff_bytes_read.is_some());
    result
}

/// What the results of earlier steps say for the change log; what is not there, or is for another commit, is left out.
pub fn evidence(
    head_revision: &str,
    review: Option<&Value>,
    checks: Option<&Value>,
    deployment: Option<&Value>,
) -> Evidence {
    let summary = |result: &Value| {
        let summary = result["summary"].as_str()?.trim().trim_end_matches('.');
        (!summary.is_empty()).then(|| summary.to_owned())
    };
    Evidence {
        review: review
            .filter(|result| result["head_revision"] == head_revision)
            .and_then(summary)
            .map(|summary| format!("review: {summary}")),
        checks: checks
            .filter(|result| result["revision"] == head_revision && result["status"] == "passed")
            .and_then(summary),
        deployment: deployment
            .filter(|result| result["head_revision"] == head_revision)
            .and_then(|result| {
                let environment = result["environment"].as_str()?;
                let revision: String = result["revision"].as_str()?.chars().take(12).collect();
                Some(format!("deployed to {environment} as {revision}"))
            }),
    }
}

/// The last five lines of an output on one line, at most 400 characters of them.
pub fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let text = lines[lines.len().saturating_sub(5)..].join(" | ");
    match text.char_indices().rev().nth(399) {
        Some((at, _)) if at > 0 => format!("…{}", &text[at..]),
        _ if text.is_empty() => "(nothing)".to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_off_diff_keeps_its_whole_files() {
        let diff = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -0,0 +1 @@\n+x\ndiff --git a/b b/b\n--- a/b\n";
        assert_eq!(whole_files(diff, false), diff);
        let whole = whole_files(diff, true);
        assert!(whole.ends_with("+x\n"), "{whole}");
        assert!(review::review(whole, &review::Options::default()).is_ok());
        assert_eq!(whole_files("diff --git a/a b/a\n+cut", true), "");
    }

    #[test]
    fn a_change_that_was_not_read_whole_blocks() {
        let read = |bytes| {
            let review = review::review("", &review::Options::default()).expect("an empty diff");
            review_result(review, "main", &"a".repeat(40), Some("x"), &"b".repeat(40), bytes)
        };
        let whole = read(None);
        assert_eq!(
            (&whole["verdict"], &whole["diff_truncated"]),
            (&json!("approve"), &json!(false))
        );
        let cut = read(Some(100));
        assert_eq!(
            (&cut["verdict"], &cut["diff_truncated"]),
            (&json!("block"), &json!(true))
        );
        assert_eq!(cut["findings"][0]["rule"], "change-truncated");
        assert!(
            cut["summary"]
                .as_str()
                .is_some_and(|summary| summary.contains("too large"))
        );
    }

    #[test]
    fn the_end_of_an_output_is_short() {
        assert_eq!(last_lines("\n \n"), "(nothing)");
        assert_eq!(last_lines("a\nb\n\nc\nd\ne\nf\n"), "b | c | d | e | f");
        let long = last_lines(&"é".repeat(1_000));
        assert_eq!((long.chars().count(), long.starts_with('…')), (401, true));
    }

    #[test]
    fn evidence_is_of_the_same_commit() {
        let (good, other) = ("b".repeat(40), "c".repeat(40));
        let review = json!({"head_revision": good, "summary": "No findings."});
        let checks =
            json!({"revision": good, "status": "passed", "summary": "1 check passed in 2 ms: test."});
        let deployment =
            json!({"head_revision": good, "environment": "production", "revision": "d".repeat(40)});
        let found = evidence(&good, Some(&review), Some(&checks), Some(&deployment));
        assert_eq!(found.review.as_deref(), Some("review: No findings"));
        assert_eq!(found.checks.as_deref(), Some("1 check passed in 2 ms: test"));
        assert_eq!(
            found.deployment.as_deref(),
            Some("deployed to production as dddddddddddd")
        );
        assert_eq!(
            evidence(&other, Some(&review), Some(&checks), Some(&deployment)),
            Evidence::default()
        );
        assert_eq!(
            evidence(&good, None, Some(&json!({"status": "passed"})), None),
            Evidence::default()
        );
    }
}
