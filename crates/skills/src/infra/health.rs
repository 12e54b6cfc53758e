//! Whether the answer of `service_health` means that a deployment is well.

use serde_json::Value;

/// What the health of a service says about a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The deployed revision runs and is well.
    Healthy,
    /// It does not, for this reason.
    Unhealthy(String),
}

/// Judges the answer of `service_health` to a deployment of `revision`. A service that is well but runs another
/// revision is not this deployment's success: an earlier attempt may have rolled back already.
pub fn verdict(health: &Value, revision: &str) -> Verdict {
    if health["healthy"] != true {
        let status = health["status"]
            .as_u64()
            .map(|status| format!("it answered {status}"));
        let reason = health["reason"]
            .as_str()
            .filter(|reason| !reason.is_empty())
            .map(str::to_owned);
        return Verdict::Unhealthy(
            reason
                .or(status)
                .unwrap_or_else(|| "it did not answer".to_owned()),
        );
    }
    match health["revision"].as_str() {
        Some(running) if running != revision => Verdict::Unhealthy(format!(
            "the service runs {} instead of {}",
            running.get(..12).unwrap_or(running),
            revision.get(..12).unwrap_or(revision)
        )),
        _ => Verdict::Healthy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_deployed_revision_counts() {
        let table = [
            (json!({"healthy": true, "revision": "a1"}), Verdict::Healthy),
            (json!({"healthy": true}), Verdict::Healthy),
            (
                json!({"healthy": true, "revision": "b2"}),
                Verdict::Unhealthy("the service runs b2 instead of a1".into()),
            ),
            (
                json!({"healthy": false, "reason": "connection refused"}),
                Verdict::Unhealthy("connection refused".into()),
            ),
            (
                json!({"healthy": false, "status": 500}),
                Verdict::Unhealthy("it answered 500".into()),
            ),
            (json!({}), Verdict::Unhealthy("it did not answer".into())),
            (
                json!({"healthy": "yes"}),
                Verdict::Unhealthy("it did not answer".into()),
            ),
        ];
        for (health, wanted) in table {
            assert_eq!(verdict(&health, "a1"), wanted, "{health}");
        }
    }
}
