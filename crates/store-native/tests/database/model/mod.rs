//! The same commands against the database and against a model of it: every answer and every row must agree.

mod case;
mod command;
mod letters;
mod locks;
mod machine;
mod run_locks;
mod runs;

use crate::support::prepared;
use guildhall_testkit::Database;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Client;

/// Command lists tried, each up to this long.
const CASES: u32 = 30;
const COMMANDS: usize = 300;

/// Answers without which a run of this test has shown little.
const MUST_BE_SEEN: &[&str] = &[
    "approval_consume consumed",
    "approval_consume mismatch",
    "approval_consume stale",
    "approval_decide already_decided",
    "approval_decide decided",
    "approval_decide not_eligible",
    "broadcast_submit accepted",
    "broadcast_submit conflict",
    "broadcast_submit exists",
    "broadcast_submit nobody",
    "callback_report delivered",
    "callback_report failed",
    "callback_report retry",
    "callback_report stale",
    "lock_acquire acquired",
    "lock_acquire deadlock",
    "lock_acquire held",
    "lock_acquire stale",
    "lock_acquire waiting",
    "lock_acquire_all acquired",
    "lock_acquire_all held",
    "lock_acquire_all waiting",
    "lock_force_release forced",
    "lock_release left",
    "lock_release released",
    "lock_release stale",
    "lock_renew renewed",
    "lock_renew stale",
    "lock_wait_cancel timed_out",
    "lock_wait_status acquired",
    "lock_wait_status deadlock",
    "lock_wait_status waiting",
    "request_complete completed",
    "request_discard discarded",
    "request_discard no_letter",
    "request_retry no_letter",
    "request_retry retried",
    "request_complete stale",
    "request_fail failed",
    "request_fail retry",
    "request_renew renewed",
    "request_renew stale",
    "event_publish accepted",
    "event_publish duplicate",
    "run_advance advanced",
    "run_advance stale",
    "run_call_finish finished",
    "run_call_finish stale",
    "run_call_renew renewed",
    "run_call_renew stale",
    "run_cancel cancelled",
    "run_pause accepted",
];

/// Faults that a hasty change could bring into a function: what is taken out, and what stands there instead.
const FAULTS: &[(&str, &str, &str)] = &[
    (
        "approval_consume",
        "or v_approval.action_hash is distinct from guildhall.action_hash(p_action)",
        "",
    ),
    ("approval_decide", "p_kind is distinct from 'person' or", ""),
    (
        "lock_blockers",
        "p_mode = 'exclusive' or g.mode = 'exclusive'",
        "p_mode = 'exclusive' and g.mode = 'exclusive'",
    ),
    (
        "lock_blockers",
        "w.priority > p_priority or (w.priority = p_priority and (p_ticket is null or w.ticket < p_ticket))",
        "p_ticket is not null and w.ticket < p_ticket",
    ),
    (
        "lock_blockers",
        "or (g.resource >= p_resource || '/' and g.resource < p_resource || '0')",
        "",
    ),
    ("broadcast_submit", "and not v_excluded ? l.agent_id", ""),
    ("callback_claim", "and c.next_wake_at <= v_now", ""),
    ("callback_report", "or v_callback.epoch <> p_epoch", ""),
    ("lock_collect", "where g.expires_at > v_now", ""),
    (
        "lock_cycle",
        "or (b.by_ticket is null and n.holder = b.by_holder",
        "or (false",
    ),
    ("lock_release", "g.fencing_token = p_token and", ""),
    (
        "lock_settle",
        "order by x.priority desc, x.ticket",
        "order by x.ticket",
    ),
    ("lock_settle", "least(v_waiter.ttl_s, 5)", "v_waiter.ttl_s"),
    (
        "lock_wait",
        "order by w.priority, w.born_at desc",
        "order by w.priority desc, w.born_at desc",
    ),
    (
        "lock_wait_act",
        "perform guildhall.lock_give_up(v_waiter, 'timed_out', null, v_now);",
        "",
    ),
    (
        "request_claim",
        "order by r.queue_at, r.id",
        "order by r.created_at, r.id",
    ),
    (
        "request_complete",
        "elsif v_request.state = 'leased' and v_request.epoch = p_epoch",
        "elsif v_request.state = 'leased'",
    ),
    (
        "request_discard",
        "set letter = 'discarded'",
        "set letter = 'retried'",
    ),
    ("request_renew", "and v_request.lease_expires_at > v_now", ""),
    ("run_advance", "or v_run.lease_expires_at <= v_now", ""),
    (
        "lock_cycle",
        "and n.run_fences @> jsonb_build_array(jsonb_build_object('lock', b.by_resource))",
        "and false",
    ),
    (
        "request_finish",
        "v_request.run_id is not null and p_tell_run",
        "v_request.run_id is not null",
    ),
    ("run_call_claim", "c.lease_expires_at <= v_now", "true"),
    ("run_call_finish", "v_call.epoch is distinct from p_epoch or", ""),
    ("run_call_renew", "and v_call.lease_expires_at > v_now", ""),
    (
        "run_claim",
        "least(r.next_wake_at, v_now + make_interval(secs => p_lease_s))",
        "r.next_wake_at",
    ),
    (
        "run_claim",
        "order by h.at, h.rank, h.id",
        "order by h.rank, h.id",
    ),
    ("run_due", "v_since < v_told.at", "false"),
    (
        "run_finish",
        "and r.parent_seq is not null and r.finished_at is null",
        "and false",
    ),
    (
        "run_release",
        "perform guildhall.lock_settle(v_roots, p_now);",
        "",
    ),
];

/// A runtime, and a session with a database to itself.
struct Bench {
    runtime: Runtime,
    client: Client,
    database: Option<Database>,
}

impl Bench {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (database, client) = runtime.block_on(async {
            let database = prepared().await;
            let client = database.client().await.expect("connects");
            client.batch_execute(case::PREPARE).await.expect("prepares");
            (database, client)
        });
        Bench {
            runtime,
            client,
            database: Some(database),
        }
    }

    fn execute(&self, sql: &str) {
        let done = self.runtime.block_on(self.client.batch_execute(sql));
        done.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }

    /// Tries command lists until one is answered otherwise than by the model.
    fn try_lists(&self, cases: u32, shrink: u32, seen: &case::Seen) -> Result<(), String> {
        let mut seed = [0u8; 32];
        seed[..8].copy_from_slice(&guildhall_testkit::seed().to_le_bytes());
        seed[8..16].copy_from_slice(
            &seen
                .lock()
                .expect("no panic holds it")
                .values()
                .map(|n| u64::from(*n))
                .sum::<u64>()
                .to_le_bytes(),
        );
        let config = Config {
            cases,
            max_shrink_iters: shrink,
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
        let commands = proptest::collection::vec(command::command(), 1..COMMANDS);
        let result = runner.run(&commands, |commands| {
            self.try_list(&commands, seen).map_err(TestCaseError::fail)
        });
        result.map_err(|error| error.to_string())
    }

    fn try_list(&self, commands: &[command::Command], seen: &case::Seen) -> Result<(), String> {
        self.runtime.block_on(async {
            // Each list has the database to itself: nothing of it is kept, even when it panicked.
            self.client
                .batch_execute("rollback; begin")
                .await
                .expect("begins");
            let result = case::run(&self.client, commands, seen).await;
            self.client.batch_execute("rollback").await.expect("rolls back");
            result
        })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Dropping a database waits for its sessions, which the runtime has to drive.
        let database = self.database.take();
        let _ = self
            .runtime
            .block_on(async { tokio::task::spawn_blocking(move || drop(database)).await });
    }
}

#[test]
fn database_and_model_agree() {
    let (bench, seen) = (Bench::new(), case::Seen::default());
    let mut unseen = MUST_BE_SEEN.to_vec();
    // What needs four right commands in a row, chance would bring too seldom.
    for circle in [command::a_waiter_gives_way(), command::a_newcomer_gives_way()] {
        bench
            .try_list(&circle, &seen)
            .unwrap_or_else(|why| panic!("{why}"));
    }
    // One round nearly always shows everything; a seed that does not gets more lists, not a pass.
    for _ in 0..4 {
        bench
            .try_lists(CASES, 2000, &seen)
            .unwrap_or_else(|why| panic!("{why}"));
        unseen.retain(|answer| !seen.lock().expect("no panic holds it").contains_key(*answer));
        if unseen.is_empty() {
            return;
        }
    }
    panic!("never seen: {unseen:?}, of {seen:#?}");
}

/// How many databases are tried at the same time.
const BENCHES: usize = 2;

#[test]
fn the_model_notices_faults() {
    // Each takes every second fault, on a database of its own: a fault stays until it was noticed.
    let share = |number: usize| {
        let bench = Bench::new();
        for fault in FAULTS.iter().skip(number).step_by(BENCHES) {
            notices(&bench, fault);
        }
    };
    std::thread::scope(|threads| {
        for number in 0..BENCHES {
            threads.spawn(move || share(number));
        }
    });
}

fn notices(bench: &Bench, (function, taken_out, instead): &(&str, &str, &str)) {
    let row = bench
        .runtime
        .block_on(bench.client.query_one(
            "select pg_get_functiondef(p.oid) from pg_proc p
             where p.pronamespace = 'guildhall'::regnamespace and p.proname = $1",
            &[function],
        ))
        .expect("the function is there");
    let good: String = row.get(0);
    let bad = good.replacen(taken_out, instead, 1);
    assert_ne!(good, bad, "{function} no longer says `{taken_out}`");
    bench.execute(&bad);
    let result = bench.try_lists(10 * CASES, 0, &case::Seen::default());
    bench.execute(&format!("rollback; {good}"));
    assert!(
        result.is_err(),
        "{function} without `{taken_out}` was not noticed"
    );
}
