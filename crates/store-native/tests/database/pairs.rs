//! Which functions can meet on the same rows, and whether tests/isolation shows what comes of it.

use crate::{interleavings::cases, support::migrated};
use std::collections::{BTreeMap, BTreeSet};

/// Functions that change something, with the rows that they change or lock and that another call may have at the same
/// time. A row that a call makes under an id of its own meets nobody: so who tells a run something does not meet it.
const CHANGE: &[(&str, &[&str])] = &[
    ("agent_deregister", &["agent"]),
    ("agent_enrol", &["agent"]),
    ("agent_heartbeat", &["agent"]),
    ("agent_probe_claim", &["agent"]),
    ("agent_probe_record", &["agent"]),
    ("agent_register", &["agent"]),
    ("agent_report", &["agent"]),
    ("agent_score", &["agent"]),
    ("agent_sweep", &["agent"]),
    ("approval_consume", &["approval", "request"]),
    ("approval_decide", &["approval"]),
    ("approval_sweep", &["approval"]),
    ("broadcast_submit", &["key of a broadcast"]),
    ("callback_claim", &["callback"]),
    ("callback_report", &["callback"]),
    ("event_accept", &["id of an event from outside"]),
    ("event_publish", &["id of an event from outside"]),
    ("lock_acquire", &["root of a lock"]),
    ("lock_acquire_all", &["root of a lock"]),
    ("lock_force_release", &["root of a lock"]),
    ("lock_guard", &["root of a lock"]),
    ("lock_release", &["root of a lock"]),
    ("lock_release_all", &["root of a lock"]),
    ("lock_renew", &["root of a lock"]),
    ("lock_renew_all", &["root of a lock"]),
    ("lock_sweep", &["root of a lock"]),
    ("lock_token_raise", &["root of a lock"]),
    ("lock_wait_cancel", &["root of a lock"]),
    ("lock_wait_status", &["root of a lock"]),
    ("outbox_claim", &["relay"]),
    ("outbox_published", &["relay"]),
    ("request_cancel", &["request"]),
    ("request_claim", &["request", "slot of an agent"]),
    ("request_complete", &["request"]),
    ("request_discard", &["request"]),
    ("request_fail", &["request"]),
    ("request_renew", &["request"]),
    ("request_retry", &["request"]),
    ("request_submit", &["key of a request", "slot of an agent"]),
    ("request_sweep", &["request"]),
    (
        "run_advance",
        &["run", "request", "approval", "call", "root of a lock"],
    ),
    ("run_call_claim", &["call"]),
    ("run_call_finish", &["call"]),
    ("run_call_renew", &["call"]),
    (
        "run_cancel",
        &["run", "request", "approval", "call", "root of a lock"],
    ),
    ("run_claim", &["run"]),
    ("run_start", &["key of a run"]),
    ("ticker_tick", &["ticker"]),
    ("workflow_put", &["version of a workflow"]),
];

/// Functions that a caller runs and that meet nobody, each with the reason.
const MEET_NOBODY: &[(&[&str], &str)] = &[
    (&["event_refuse"], "adds an event under an id of its own"),
    (
        &["run_pause", "run_resume", "run_signal"],
        "adds to the run's inbox under an id of its own",
    ),
    (
        &["chat_record", "token_create"],
        "adds a row; who repeats it gets an error or another row",
    ),
    (
        &["token_revoke"],
        "sets what is not set yet; the second finds it set",
    ),
    (
        &[
            "token_verify",
            "token_list",
            "check_results",
            "schema_version",
            "metrics",
            "readiness",
        ],
        "reads",
    ),
    (
        &[
            "agent_best",
            "agent_get",
            "agent_list",
            "agent_queue",
            "agent_search",
            "approval_get",
            "approval_list",
            "broadcast_get",
            "chat_history",
            "event_list",
            "lock_check",
            "lock_contention",
            "lock_get",
            "lock_graph",
            "lock_history_list",
            "lock_list",
            "lock_statistics",
            "request_get",
            "request_letters",
            "request_list",
            "run_get",
            "run_journal",
            "run_list",
            "workflow_get",
            "workflow_list",
        ],
        "reads",
    ),
];

/// Pairs that have a row in common by the list above and cannot meet on it, each with the reason.
const CANNOT_MEET: &[(&str, &[&str], &str)] = &[
    (
        "approval_consume",
        &["request_discard", "request_retry"],
        "a letter belongs to no run, and an approval to one",
    ),
    (
        "run_advance",
        &["request_discard", "request_retry"],
        "a letter belongs to no run",
    ),
    (
        "run_cancel",
        &["request_discard", "request_retry"],
        "a letter belongs to no run",
    ),
];

/// Those of `names` that a call is about.
fn named<'a>(sql: &str, names: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let called: BTreeSet<&str> = sql
        .split("guildhall.")
        .skip(1)
        .filter_map(|rest| rest.split('(').next())
        .collect();
    names
        .iter()
        .copied()
        .filter(|name| called.contains(name))
        .collect()
}

fn pair<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    (one.min(other), one.max(other))
}

#[test]
fn every_pair_that_can_meet_is_shown() {
    let names: BTreeSet<&str> = CHANGE.iter().map(|(name, _)| *name).collect();
    let mut shown = BTreeSet::new();
    for (_, case) in cases() {
        for one in named(&case.a, &names) {
            shown.extend(named(&case.b, &names).into_iter().map(|other| pair(one, other)));
        }
    }
    let mut excused = BTreeMap::new();
    for (one, others, why) in CANNOT_MEET {
        excused.extend(others.iter().map(|other| (pair(one, other), *why)));
    }
    let mut missing = Vec::new();
    for (place, (one, rows)) in CHANGE.iter().enumerate() {
        for (other, others) in &CHANGE[place..] {
            let common: Vec<&&str> = rows.iter().filter(|row| others.contains(row)).collect();
            if common.is_empty() {
                continue;
            }
            let is_shown = shown.contains(&pair(one, other));
            let is_excused = excused.remove(&pair(one, other)).is_some();
            if !is_shown && !is_excused {
                missing.push(format!("{one} and {other} on a {common:?}"));
            }
            assert!(
                !(is_shown && is_excused),
                "{one} and {other} are said not to meet, and are shown to"
            );
        }
    }
    assert!(
        missing.is_empty(),
        "tests/isolation has nothing on these pairs, and CANNOT_MEET no reason why they cannot meet: {missing:#?}"
    );
    assert!(excused.is_empty(), "nobody needs a reason for {excused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_that_is_called_is_in_a_list() {
    let listed: BTreeSet<&str> = CHANGE
        .iter()
        .map(|(name, _)| *name)
        .chain(MEET_NOBODY.iter().flat_map(|(names, _)| names.iter().copied()))
        .collect();
    let called: BTreeSet<&str> = guildhall_store::catalogue::CATALOGUE
        .iter()
        .map(|statement| statement.function())
        .collect();
    let unlisted: Vec<_> = called.difference(&listed).collect();
    assert!(
        unlisted.is_empty(),
        "CHANGE or MEET_NOBODY should say what {unlisted:?} touch"
    );
    let database = migrated().await;
    let client = database.client().await.expect("connects");
    for name in listed {
        let there = client
            .query_one(
                "select exists (select from pg_proc p where p.pronamespace = 'guildhall'::regnamespace and p.proname = $1)",
                &[&name],
            )
            .await
            .expect("pg_proc can be read");
        assert!(there.get::<_, bool>(0), "there is no {name}");
    }
}
