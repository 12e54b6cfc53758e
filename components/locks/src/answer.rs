//! Outcomes as problems.

use guildhall_guest::domain::{
    Code, Problem,
    lock::{Blocker, Lock},
};
use serde_json::{Value, json};

/// Another has it, or waits in front.
pub(crate) fn held(what: &str, blockers: &[Blocker], waited_s: i64) -> Problem {
    let why = match blockers.first() {
        Some(first) if first.waiting => format!("`{}` waits for `{}` in front", first.holder, first.resource),
        Some(first) => format!(
            "`{}` is held by `{}` until {}",
            first.resource,
            first.holder,
            first.expires_at.map(|at| at.to_rfc3339()).unwrap_or_default()
        ),
        None => "somebody had it all the time".into(),
    };
    let problem = if waited_s > 0 {
        Problem::new(
            Code::LockHeld,
            format!("{what} was not to be had within {waited_s} s: when the wait began, {why}."),
        )
        .hint(
            "Try again, wait longer (`wait_s` up to 60), or see GET /v1/locks/graph for who waits for whom.",
        )
    } else {
        Problem::new(Code::LockHeld, format!("{what} cannot be had now: {why}."))
            .hint("Wait in the queue by `wait_s`, or try again after that time.")
    };
    problem.with("blockers", json!(blockers))
}

/// The caller is the one of a cycle that gives way.
pub(crate) fn deadlock(what: &str, cycle: Option<Value>) -> Problem {
    let hops = cycle.as_ref().and_then(Value::as_array).map_or(0, Vec::len);
    Problem::new(
        Code::Deadlock,
        format!("Waiting for {what} would never end: {hops} waiters wait for each other in a circle."),
    )
    .hint(
        "Release what you hold and begin again; take locks that belong together in one call, POST /v1/locks.",
    )
    .with("cycle", cycle.unwrap_or_default())
}

/// Holder or token are not the current ones.
pub(crate) fn stale(what: &str, locks: &[Lock]) -> Problem {
    Problem::new(
        Code::StaleToken,
        format!("Holder and fencing token are not the current ones of {what}, or the lease has run out."),
    )
    .hint("Stop the work that the lock guarded; acquire again before going on.")
    .with("locks", json!(locks))
}

/// The database answered what this call cannot bring about.
pub(crate) fn unexpected(outcome: impl std::fmt::Debug) -> Problem {
    Problem::new(
        Code::Internal,
        format!("The database answered {outcome:?}, which this call does not have."),
    )
}
