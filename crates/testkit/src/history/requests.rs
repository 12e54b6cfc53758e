//! Requests: accepted once, worked on by one at a time, ended.

use super::{Checked, Violation};
use std::collections::{BTreeMap, BTreeSet};

/// An answer to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The requester's key: whatever says that two submissions are the same.
    pub key: String,
    /// The id that the answer gave.
    pub request: String,
}

/// A request as it is stored in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub request: String,
    /// The requester's key.
    pub key: String,
    /// Where it stands.
    pub state: String,
    /// Whether that is an end.
    pub ended: bool,
    /// The lease under which it ended.
    pub epoch: i64,
    /// The lease that the kept result says it was made under.
    pub result_epoch: Option<i64>,
}

/// A call of the agent, as the agent saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The request's id.
    pub request: String,
    /// The lease.
    pub epoch: i64,
    /// What the agent does the same thing only once under.
    pub effect_key: String,
}

/// However often something was submitted, and whatever was lost on the way: one request, and one effect.
pub fn one_effect_per_key(accepted: &[Accepted], stored: &[Stored], executions: &[Execution]) -> Checked {
    const RULE: &str = "one effect per idempotency key";
    let mut request_of: BTreeMap<&str, &Stored> = BTreeMap::new();
    for row in stored {
        if let Some(twin) = request_of.insert(&row.key, row) {
            return Err(
                Violation::new(RULE, format!("the key `{}` has two requests", row.key)).show([twin, row]),
            );
        }
    }
    for answer in accepted {
        if request_of
            .get(answer.key.as_str())
            .is_none_or(|row| row.request != answer.request)
        {
            return Err(Violation::new(
                RULE,
                format!("what was answered for `{}` is not what is stored", answer.key),
            )
            .show([answer])
            .show(request_of.get(answer.key.as_str())));
        }
    }
    let mut effect_of: BTreeMap<&str, &Execution> = BTreeMap::new();
    let mut called: BTreeSet<(&str, i64)> = BTreeSet::new();
    for call in executions {
        let first = effect_of.entry(&call.request).or_insert(call);
        if first.effect_key != call.effect_key {
            return Err(Violation::new(RULE, "two attempts would have two effects").show([*first, call]));
        }
        if !called.insert((&call.request, call.epoch)) {
            let twins = executions
                .iter()
                .filter(|other| (&other.request, other.epoch) == (&call.request, call.epoch));
            return Err(Violation::new(RULE, "one lease was worked on twice").show(twins));
        }
    }
    Ok(request_of.len())
}

/// What was accepted is still there, and has ended.
pub fn every_accepted_request_ends(accepted: &[Accepted], stored: &[Stored]) -> Checked {
    const RULE: &str = "every accepted request ends";
    let rows: BTreeMap<&str, &Stored> = stored.iter().map(|row| (row.request.as_str(), row)).collect();
    for answer in accepted {
        if !rows.contains_key(answer.request.as_str()) {
            return Err(Violation::new(RULE, "one was accepted and is not there").show([answer]));
        }
    }
    if let Some(row) = stored.iter().find(|row| !row.ended) {
        return Err(Violation::new(RULE, format!("one is still {}", row.state)).show([row]));
    }
    Ok(stored.len())
}

/// A result that was kept is that of the attempt that held the request, and that attempt was made.
pub fn no_late_result(stored: &[Stored], executions: &[Execution]) -> Checked {
    const RULE: &str = "a late answer is refused";
    let made: BTreeSet<(&str, i64)> = executions
        .iter()
        .map(|call| (call.request.as_str(), call.epoch))
        .collect();
    let mut results = 0;
    for row in stored {
        let Some(epoch) = row.result_epoch else { continue };
        results += 1;
        if epoch != row.epoch || !made.contains(&(row.request.as_str(), epoch)) {
            let calls = executions.iter().filter(|call| call.request == row.request);
            return Err(Violation::new(
                RULE,
                format!("the result of lease {epoch} was kept under {}", row.epoch),
            )
            .show([row])
            .show(calls));
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(key: &str, request: &str) -> Accepted {
        Accepted {
            key: key.into(),
            request: request.into(),
        }
    }

    fn stored(key: &str, request: &str) -> Stored {
        Stored {
            request: request.into(),
            key: key.into(),
            state: "succeeded".into(),
            ended: true,
            epoch: 2,
            result_epoch: Some(2),
        }
    }

    fn call(request: &str, epoch: i64) -> Execution {
        Execution {
            request: request.into(),
            epoch,
            effect_key: format!("request/{request}"),
        }
    }

    #[test]
    fn several_attempts_of_one_request_are_fine() {
        let answers = [accepted("k", "r"), accepted("k", "r")];
        let calls = [call("r", 1), call("r", 2)];
        assert_eq!(one_effect_per_key(&answers, &[stored("k", "r")], &calls), Ok(1));
        assert_eq!(every_accepted_request_ends(&answers, &[stored("k", "r")]), Ok(1));
        assert_eq!(no_late_result(&[stored("k", "r")], &calls), Ok(1));
    }

    #[test]
    fn a_second_request_answer_or_effect_is_found() {
        let rows = [stored("k", "r"), stored("k", "s")];
        assert!(one_effect_per_key(&[], &rows, &[]).is_err());
        assert!(one_effect_per_key(&[accepted("k", "other")], &rows[..1], &[]).is_err());
        assert!(one_effect_per_key(&[accepted("lost", "r")], &rows[..1], &[]).is_err());
        let mut calls = [call("r", 1), call("r", 2)];
        calls[1].effect_key = "another".into();
        assert!(one_effect_per_key(&[], &rows[..1], &calls).is_err());
    }

    #[test]
    fn a_lease_that_is_worked_on_twice_is_found() {
        let violation =
            one_effect_per_key(&[], &[stored("k", "r")], &[call("r", 1), call("r", 1)]).unwrap_err();
        assert_eq!(violation.excerpt.len(), 2, "{violation}");
    }

    #[test]
    fn what_is_lost_or_never_ends_is_found() {
        assert!(every_accepted_request_ends(&[accepted("k", "r")], &[]).is_err());
        let open = Stored {
            ended: false,
            state: "leased".into(),
            ..stored("k", "r")
        };
        let violation = every_accepted_request_ends(&[], &[open]).unwrap_err();
        assert!(violation.why.contains("still leased"), "{violation}");
    }

    #[test]
    fn a_result_of_another_lease_or_of_none_is_found() {
        let late = Stored {
            result_epoch: Some(1),
            ..stored("k", "r")
        };
        assert!(no_late_result(&[late], &[call("r", 1), call("r", 2)]).is_err());
        assert!(no_late_result(&[stored("k", "r")], &[call("r", 1)]).is_err());
    }
}
