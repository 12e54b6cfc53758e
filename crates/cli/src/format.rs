//! Values as people read them.

use crate::output::Tone;
use chrono::{DateTime, Utc};
use guildhall_domain::run::StepView;
use serde_json::Value;

/// The first part of an id. Commands take any unambiguous beginning of an id, so this is enough to go on with.
pub fn short_id(id: &str) -> String {
    id.chars().take(8).collect()
}

/// `0.3 s`, `12.0 s`, `3 min`, `2.5 h`, `4 d`.
pub fn duration(ms: i64) -> String {
    match ms.max(0) {
        ms @ 0..60_000 => format!("{:.1} s", ms as f64 / 1e3),
        ms @ 60_000..3_600_000 => format!("{} min", ms / 60_000),
        ms @ 3_600_000..172_800_000 => format!("{:.1} h", ms as f64 / 3.6e6),
        ms => format!("{} d", ms / 86_400_000),
    }
}

/// How long ago, or how far ahead, by this machine's clock.
pub fn relative(at: DateTime<Utc>) -> String {
    let ms = Utc::now().signed_duration_since(at).num_milliseconds();
    if ms >= 0 {
        format!("{} ago", duration(ms))
    } else {
        format!("in {}", duration(-ms))
    }
}

/// The colour of a status or state.
pub fn tone(status: &str) -> Option<Tone> {
    match status {
        "completed" | "active" | "approved" | "succeeded" | "ok" | "free" => Some(Tone::Good),
        "faulted" | "failed" | "rejected" | "dead" | "timed_out" | "expired" | "revoked" => Some(Tone::Bad),
        "busy" | "draining" | "suspect" | "suspended" | "waiting" | "pending" | "running" | "held"
        | "warning" => Some(Tone::Waiting),
        "cancelled" | "offline" | "skipped" | "planned" => Some(Tone::Dim),
        _ => None,
    }
}

/// A status as JSON spells it.
pub fn spelled<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|text| text.as_str().map(str::to_string))
        .unwrap_or_default()
}

/// How long a step took, or has taken so far.
pub fn step_time(step: &StepView) -> String {
    let end = step.finished_at.unwrap_or_else(Utc::now);
    duration(end.signed_duration_since(step.started_at).num_milliseconds())
}

/// Who did a step: the agent, or the person who decided.
pub fn step_actor(step: &StepView) -> String {
    let decided = step
        .result
        .as_ref()
        .and_then(|result| result["decided_by"].as_str());
    step.agent
        .clone()
        .or(decided.map(str::to_string))
        .unwrap_or_else(|| "-".into())
}

/// What came of a step, in one line.
pub fn step_result(step: &StepView) -> String {
    if let Some(error) = &step.error {
        return error_line(error);
    }
    match (&step.result, step.status.as_str()) {
        (Some(result), _) => result_line(result),
        (None, "waiting") if step.skill == "approval" => "waits for a person's decision".into(),
        (None, _) if step.child_run_id.is_some() => {
            let child = step.child_run_id.map(|id| id.to_string()).unwrap_or_default();
            format!("run {}", short_id(&child))
        }
        (None, _) if step.attempts > 1 => format!("attempt {}", step.attempts),
        (None, _) => String::new(),
    }
}

fn result_line(result: &Value) -> String {
    if let Some(summary) = result["summary"].as_str() {
        return summary.to_string();
    }
    if let Some(decision) = result["decision"].as_str().or(result["state"].as_str()) {
        let reason = result["reason"]
            .as_str()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        return format!("{decision}{reason}");
    }
    match result {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `detail [code]`, as errors of runs, steps and requests have them.
pub fn error_line(error: &Value) -> String {
    let detail = error["detail"]
        .as_str()
        .or(error["title"].as_str())
        .unwrap_or_default();
    match error["code"].as_str() {
        Some(code) if detail.is_empty() => format!("[{code}]"),
        Some(code) => format!("{detail} [{code}]"),
        None if detail.is_empty() => error.to_string(),
        None => detail.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_keep_to_what_matters() {
        for (ms, text) in [
            (-5, "0.0 s"),
            (340, "0.3 s"),
            (59_949, "59.9 s"),
            (61_000, "1 min"),
            (9_000_000, "2.5 h"),
            (4 * 86_400_000, "4 d"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn errors_show_detail_and_code() {
        assert_eq!(error_line(&json!({"code": "x", "detail": "why"})), "why [x]");
        assert_eq!(error_line(&json!({"code": "x"})), "[x]");
    }
}
