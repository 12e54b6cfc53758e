//! What an agent says of its own work.

use serde_json::{Value, json};

/// Adds the sentence for people to what the database has on an agent's queue.
pub fn told(mut queue: Value) -> Value {
    let count = |name: &str| queue[name].as_u64().unwrap_or(0);
    let ended: u64 = queue["ended_last_hour"]
        .as_object()
        .into_iter()
        .flat_map(|states| states.values())
        .filter_map(Value::as_u64)
        .sum();
    let oldest = queue["oldest_open_age_s"].as_f64().filter(|age| *age > 0.0);
    let oldest = oldest.map_or_else(String::new, |age| format!(", the oldest since {age:.0} s"));
    let failures = queue["last_errors"].as_array().map_or(0, Vec::len);
    let failures = match failures {
        0 => String::new(),
        1 => " 1 error is listed.".to_owned(),
        _ => format!(" {failures} errors are listed."),
    };
    let summary = format!(
        "{} is {}: {} waiting, {} at work{oldest}; {ended} ended in the last hour.{failures}",
        queue["agent"].as_str().unwrap_or("The agent"),
        queue["status"].as_str().unwrap_or("unknown"),
        count("queued"),
        count("leased"),
    );
    queue["summary"] = json!(summary);
    queue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_told_in_a_sentence() {
        let queue = json!({
            "agent": "cicd", "status": "active", "queued": 2, "leased": 1, "oldest_open_age_s": 12.4,
            "ended_last_hour": {"succeeded": 3, "failed": 1}, "last_errors": [{"code": "x"}],
        });
        assert_eq!(
            told(queue)["summary"],
            "cicd is active: 2 waiting, 1 at work, the oldest since 12 s; 4 ended in the last hour. 1 error is listed."
        );
        let idle = json!({"agent": "cicd", "status": "active", "queued": 0, "leased": 0, "oldest_open_age_s": 0,
            "ended_last_hour": {}, "last_errors": []});
        assert_eq!(
            told(idle)["summary"],
            "cicd is active: 0 waiting, 0 at work; 0 ended in the last hour."
        );
    }
}
