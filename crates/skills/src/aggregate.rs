//! Putting the results of several requests together.

use crate::review::Severity;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most failures that are listed.
const FAILURES_MAX: usize = 10;
/// Most findings that are listed.
const FINDINGS_MAX: usize = 200;

/// What one result comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Succeeded,
    /// It was done, and what it says is no: a blocking review, a failed check.
    Negative,
    Failed,
    /// It has not ended.
    Open,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Negative => "negative",
            Outcome::Failed => "failed",
            Outcome::Open => "open",
        }
    }
}

/// Merges results: requests as the API shows them, answers of a broadcast, or bare results of skills. Each counts once;
/// findings that several name at the same place are listed once, with everybody who named them.
pub fn aggregate(results: &[Value]) -> Value {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    let mut findings: BTreeMap<(String, String, u64), (Value, BTreeSet<String>)> = BTreeMap::new();
    for (index, item) in results.iter().enumerate() {
        let result = inner(item);
        let outcome = outcome(item, result);
        *counts.entry(outcome.as_str()).or_default() += 1;
        let who = who(item, index);
        if matches!(outcome, Outcome::Failed | Outcome::Negative) && failures.len() < FAILURES_MAX {
            failures.push(json!({
                "index": index, "from": who, "outcome": outcome.as_str(), "code": item["error"]["code"],
                "detail": detail(item, result),
            }));
        }
        for finding in result["findings"].as_array().into_iter().flatten() {
            let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            let key = (text("file"), text("rule"), finding["line"].as_u64().unwrap_or(0));
            let entry = findings
                .entry(key)
                .or_insert_with(|| (finding.clone(), BTreeSet::new()));
            if severity(finding) > severity(&entry.0) {
                entry.0 = finding.clone();
            }
            entry.1.insert(who.clone());
        }
    }
    let worst = findings
        .values()
        .filter_map(|(finding, _)| severity(finding))
        .max();
    let total = findings.len();
    let mut listed: Vec<(Value, BTreeSet<String>)> = findings.into_values().collect();
    // A stable sort: within a severity they stay by file, rule and line.
    listed.sort_by_key(|(finding, _)| std::cmp::Reverse(severity(finding)));
    let listed: Vec<Value> = listed
        .into_iter()
        .take(FINDINGS_MAX)
        .map(|(mut finding, from)| {
            if let Some(finding) = finding.as_object_mut() {
                finding.insert("from".into(), json!(from));
            }
            finding
        })
        .collect();
    let spoken: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let most = worst.map_or_else(String::new, |worst| format!(", the worst {}", worst.as_str()));
    json!({
        "by": "rules",
        "results": results.len(),
        "counts": counts,
        "worst_severity": worst,
        "failures": failures,
        "findings": listed,
        "findings_total": total,
        "truncated": total > FINDINGS_MAX,
        "summary": format!("{} results: {}; {total} different findings{most}.", results.len(), spoken.join(", ")),
    })
}

/// The skill's own result inside a request, or the thing itself.
fn inner(item: &Value) -> &Value {
    match item.get("result") {
        Some(result) if result.is_object() => result,
        _ => item,
    }
}

fn is_request(item: &Map<String, Value>) -> bool {
    item.contains_key("state") || item.contains_key("error")
}

fn outcome(item: &Value, result: &Value) -> Outcome {
    let state = item["state"].as_str().unwrap_or_default();
    match state {
        "queued" | "leased" => return Outcome::Open,
        "failed" | "rejected" | "timed_out" | "cancelled" | "dead" => return Outcome::Failed,
        _ => {}
    }
    let failed =
        item.as_object().is_some_and(is_request) && item["error"].is_object() && state != "succeeded";
    if failed {
        return Outcome::Failed;
    }
    let negative = result["verdict"] == "block"
        || result["healthy"] == false
        || ["failed", "incomplete", "unhealthy"]
            .iter()
            .any(|status| result["status"] == **status);
    match negative {
        true => Outcome::Negative,
        false => Outcome::Succeeded,
    }
}

fn who(item: &Value, index: usize) -> String {
    let named = ["agent", "skill", "request_id", "id"]
        .iter()
        .find_map(|key| item[*key].as_str());
    named.map_or_else(
        || format!("result {index}"),
        |name| name.chars().take(200).collect(),
    )
}

fn detail(item: &Value, result: &Value) -> String {
    let said = item["error"]["detail"].as_str().or(result["summary"].as_str());
    said.unwrap_or("no reason was given").chars().take(500).collect()
}

fn severity(finding: &Value) -> Option<Severity> {
    serde_json::from_value(finding["severity"].clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finding(rule: &str, line: u64, severity: &str) -> Value {
        json!({"rule": rule, "file": "a.rs", "line": line, "severity": severity, "message": "m"})
    }

    #[test]
    fn results_of_every_kind_are_counted_and_findings_merged() {
        let results = [
            json!({"state": "succeeded", "agent": "code-review", "error": null,
                "result": {"verdict": "block", "summary": "Blocked.", "findings": [finding("x", 1, "high"), finding("y", 2, "low")]}}),
            json!({"verdict": "comment", "findings": [finding("x", 1, "critical")]}),
            json!({"state": "dead", "skill": "run_checks", "error": {"code": "unreachable", "detail": "no reply"}}),
            json!({"state": "queued"}),
            json!({"status": "passed", "summary": "1 check passed."}),
            json!({"status": "failed", "summary": "1 of 1 check did not pass."}),
        ];
        let all = aggregate(&results);
        assert_eq!(
            all["counts"],
            json!({"succeeded": 2, "negative": 2, "failed": 1, "open": 1})
        );
        assert_eq!(
            (&all["worst_severity"], &all["findings_total"]),
            (&json!("critical"), &json!(2))
        );
        assert_eq!(all["findings"][0]["from"], json!(["code-review", "result 1"]));
        let codes: Vec<_> = all["failures"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|f| &f["outcome"])
            .collect();
        assert_eq!(codes, ["negative", "failed", "negative"]);
        assert_eq!(all["failures"][1]["code"], "unreachable");
        assert_eq!(
            all["summary"],
            "6 results: 1 failed, 2 negative, 1 open, 2 succeeded; 2 different findings, the worst critical."
        );
    }

    fn any_result() -> impl Strategy<Value = Value> {
        let state = prop_oneof![
            Just(json!(null)),
            Just(json!("dead")),
            Just(json!("queued")),
            Just(json!("succeeded"))
        ];
        let findings = proptest::collection::vec(("[ab]", 0u64..3, "(low|high|odd)"), 0..4);
        (state, findings, any::<bool>()).prop_map(|(state, findings, bare)| {
            let findings: Vec<_> = findings
                .iter()
                .map(|(rule, line, severity)| finding(rule, *line, severity))
                .collect();
            match bare {
                true => json!({"findings": findings}),
                false => json!({"state": state, "result": {"findings": findings}}),
            }
        })
    }

    proptest! {
        #[test]
        fn each_counts_once_and_order_does_not_matter(mut results in proptest::collection::vec(any_result(), 1..8)) {
            let all = aggregate(&results);
            let counted: u64 = all["counts"].as_object().into_iter().flat_map(|c| c.values()).filter_map(Value::as_u64).sum();
            prop_assert_eq!(counted, results.len() as u64);
            results.reverse();
            let reversed = aggregate(&results);
            for key in ["counts", "worst_severity", "findings_total"] {
                prop_assert_eq!(&all[key], &reversed[key]);
            }
        }
    }
}
