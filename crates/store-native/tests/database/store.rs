//! Every call of the store against a real database: that what SQL answers is what the types expect.

use crate::support::{card, migrated, prepared};
use guildhall_domain::agent::{Agent, AgentStatus};
use guildhall_domain::approval::{ApprovalState, Decision};
use guildhall_domain::id::{ApprovalId, RequestId, RunId};
use guildhall_domain::lock::{LockMode, LockOutcome};
use guildhall_domain::request::{AgentError, Fence, NewRequest, Priority, RequestState};
use guildhall_domain::run::{EntryKind, RunStatus};
use guildhall_domain::scope::Scope;
use guildhall_domain::token::{Principal, PrincipalKind};
use guildhall_domain::{Code, Problem};
use guildhall_store::approval::{ConsumeOutcome, DecideOutcome};
use guildhall_store::chat::{ChatRole, RecordOutcome};
use guildhall_store::event::AcceptOutcome;
use guildhall_store::lock::Claim;
use guildhall_store::request::{CompleteOutcome, FailOutcome, RenewOutcome, SubmitOutcome};
use guildhall_store::run::{
    AdvanceOutcome, Advanced, CancelOutcome, ChatTurn, ClaimedRun, NewRun, RunOf, StartOutcome,
};
use guildhall_store::token::{RevokeOutcome, Verified};
use guildhall_store::{
    DbErrorKind, Idempotency, SCHEMA_VERSION, agent, approval, chat, event, lock, ops, outbox, request, run,
    token,
};
use guildhall_store_native::{NativeDb, NativeDbOptions};
use guildhall_testkit::Database;
use serde_json::{Value, json};
use uuid::Uuid;

pub fn db(database: &Database) -> NativeDb {
    NativeDb::new(database.config().clone(), NativeDbOptions::default()).expect("a pool")
}

fn person(name: &str) -> Principal {
    Principal {
        agent_id: None,
        name: name.into(),
        kind: PrincipalKind::Person,
        scopes: vec![Scope::Admin],
    }
}

/// A document that does nothing.
pub fn document(name: &str, version: &str) -> Value {
    json!({"document": {"dsl": "1.0.3", "namespace": "tests", "name": name, "version": version}, "do": []})
}

fn nobody() -> Uuid {
    Uuid::from_u128(7)
}

/// The run that has waited longest.
pub async fn claim(db: &NativeDb) -> ClaimedRun {
    let claimed = run::claim(db, "worker", 30, &[]).await.expect("claims");
    claimed.expect("is due")
}

/// Applies commands to a claimed run.
pub async fn advance(db: &NativeDb, run: &ClaimedRun, commands: &Value) -> Advanced {
    let state = json!({"status": "running"});
    let (epoch, position) = (run.epoch, run.journal_position);
    run::advance(
        db,
        run.run_id,
        epoch,
        position,
        Some(&state),
        commands,
        &json!([]),
    )
    .await
    .expect("advances")
}

fn ends_with(events: &[outbox::OutboxEvent], kind: &str) -> bool {
    events.last().is_some_and(|event| event.event.kind == kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_from_chat_to_completion() {
    let database = migrated().await;
    let db = db(&database);
    agent::register(&db, &card("code-review", &["review_change"]), 60)
        .await
        .expect("registers");
    agent::register(&db, &card("infrastructure", &["deploy_service"]), 60)
        .await
        .expect("registers");

    let (definition, digest) = (document("deliver-change", "1.0.0"), "d".repeat(64));
    let input = json!({"change": "good-change"});
    let new = NewRun {
        what: RunOf::Document {
            definition: &definition,
            digest: &digest,
        },
        input: &input,
        title: "ship it",
        requester: "ada",
        idempotency: Some(Idempotency {
            key: "k",
            fingerprint: "f",
        }),
        chat: Some(ChatTurn {
            session_id: "s",
            message: "please",
            reply: "gladly",
        }),
    };
    let first = run::start(&db, new).await.expect("starts");
    assert_eq!(first.outcome, StartOutcome::Started);
    let id = first.run.expect("a run").id;
    assert_eq!(
        run::start(&db, new).await.expect("starts").outcome,
        StartOutcome::Exists
    );
    let other = NewRun {
        idempotency: Some(Idempotency {
            key: "k",
            fingerprint: "g",
        }),
        ..new
    };
    assert_eq!(
        run::start(&db, other).await.expect("starts").outcome,
        StartOutcome::Conflict
    );
    let foreign = NewRun {
        requester: "eve",
        idempotency: None,
        ..new
    };
    assert_eq!(
        run::start(&db, foreign).await.expect("starts").outcome,
        StartOutcome::NotYours
    );

    // A review, with its agent's result.
    let tick = ops::tick(&db, "ticker", 5).await.expect("ticks");
    assert!(tick.leader && tick.runs_due && tick.outbox_due && !tick.requests_due);
    let claimed = claim(&db).await;
    assert!(run::claim(&db, "w", 30, &[]).await.expect("claims").is_none());
    assert_eq!(
        (&claimed.definition, &claimed.input, &claimed.state),
        (&Some(definition), &input, &None)
    );
    assert!(claimed.events.is_empty());
    let review = json!([{"action": "agent", "step": "/do/0/review", "seq": 1, "attempt": 1, "key": "k", "skill": "review_change",
        "agent": null, "input": {"base": "main"}, "timeout_ms": 600_000, "priority": null}]);
    let advanced = advance(&db, &claimed, &review).await;
    assert_eq!(
        (advanced.requests_queued, advanced.status),
        (1, Some(RunStatus::Waiting))
    );
    let stale = advance(&db, &claimed, &review).await;
    assert_eq!(stale.outcome, AdvanceOutcome::Stale);
    let work = request::claim(&db, "d", 10, 30).await.expect("claims").remove(0);
    assert_eq!(
        (work.agent.as_str(), work.lease_ms, work.request.epoch),
        ("code-review", 30_000, 1)
    );
    assert_eq!(work.request.idempotency_key, format!("{id}/do/0/review"));
    let request_id = work.request.request_id;
    assert_eq!(
        request::renew(&db, request_id, 1, 30).await.expect("renews"),
        RenewOutcome::Renewed
    );
    assert_eq!(
        request::renew(&db, request_id, 2, 30).await.expect("answers"),
        RenewOutcome::Stale
    );
    let result = json!({"summary": "binary \u{0} and all", "verdict": "approve"});
    let completed = request::complete(&db, request_id, 1, &result)
        .await
        .expect("a NUL does no harm");
    assert_eq!(completed.outcome, CompleteOutcome::Completed);
    assert_eq!(
        request::complete(&db, request_id, 9, &result)
            .await
            .expect("answers")
            .outcome,
        CompleteOutcome::Stale
    );

    // An approval, and a deployment under it.
    let action = json!({"deploy": "v1", "n": 1.5, "to": {"b": 1, "a": 2}});
    let claimed = claim(&db).await;
    assert_eq!(claimed.state, Some(json!({"status": "running"})));
    assert_eq!(
        (
            &claimed.events[0]["event"],
            &claimed.events[0]["output"]["verdict"]
        ),
        (&json!("completed"), &json!("approve"))
    );
    let ask = json!([{"action": "approval", "step": "/do/1/approve", "seq": 2, "attempt": 1, "key": "k", "proposal": action,
        "summary": "ship v1", "risk": {"tier": "high"}, "expires_ms": 60_000}]);
    advance(&db, &claimed, &ask).await;
    let pending = approval::list(&db, Some(ApprovalState::Pending), None, 10)
        .await
        .expect("lists");
    let approval_id = pending.items[0].id;
    assert_eq!(pending.items[0].summary.as_deref(), Some("ship v1"));
    let decide = |who: Principal| {
        let db = db.clone();
        async move { approval::decide(&db, approval_id, &who, Decision::Approve, Some("fine")).await }
    };
    assert_eq!(
        decide(person("ada")).await.expect("answers").outcome,
        DecideOutcome::NotEligible
    );
    let decided = decide(person("bob")).await.expect("decides");
    assert_eq!(decided.outcome, DecideOutcome::Decided);
    assert_eq!(decided.approval.expect("it").decided_by.as_deref(), Some("bob"));
    assert_eq!(
        decide(person("eve")).await.expect("answers").outcome,
        DecideOutcome::AlreadyDecided
    );
    let claimed = claim(&db).await;
    let deploy = json!([{"action": "agent", "step": "/do/2/deploy", "seq": 3, "attempt": 1, "key": "k", "skill": "deploy_service",
        "input": {}, "fences": [{"lock": "deployment:staging", "token": 7}]}]);
    advance(&db, &claimed, &deploy).await;
    let work = request::claim(&db, "d", 10, 30)
        .await
        .expect("claims")
        .remove(0)
        .request;
    assert_eq!(
        work.fences,
        [Fence {
            lock: "deployment:staging".into(),
            token: 7
        }]
    );
    let consume = |action: Value, epoch: i64| {
        let db = db.clone();
        async move {
            approval::consume(&db, approval_id, &action, work.request_id, epoch)
                .await
                .expect("answers")
                .outcome
        }
    };
    assert_eq!(
        consume(json!({"deploy": "v2"}), 1).await,
        ConsumeOutcome::Mismatch
    );
    assert_eq!(consume(action.clone(), 2).await, ConsumeOutcome::Stale);
    assert_eq!(
        consume(json!({"to": {"a": 2, "b": 1}, "n": 1.5, "deploy": "v1"}), 1).await,
        ConsumeOutcome::Consumed
    );
    assert_eq!(consume(action, 1).await, ConsumeOutcome::Consumed);
    request::complete(&db, work.request_id, 1, &json!({"summary": "deployed"}))
        .await
        .expect("completes");

    let claimed = claim(&db).await;
    let end = json!([{"action": "complete", "step": "", "seq": 4, "attempt": 1, "key": "k", "output": {"ok": true}}]);
    let advanced = advance(&db, &claimed, &end).await;
    assert_eq!(advanced.status, Some(RunStatus::Completed));
    let finished = run::get(&db, id).await.expect("reads").expect("is there");
    assert_eq!(finished.output, Some(json!({"ok": true})));
    let steps: Vec<_> = finished
        .steps
        .iter()
        .map(|step| (step.name.as_str(), step.skill.as_str(), step.status.as_str()))
        .collect();
    assert_eq!(
        steps,
        [
            ("review", "review_change", "completed"),
            ("approve", "approval", "completed"),
            ("deploy", "deploy_service", "completed")
        ]
    );
    assert_eq!(
        finished.steps[0]
            .result
            .as_ref()
            .and_then(|result| result["summary"].as_str()),
        Some("binary \u{FFFD} and all")
    );
    assert_eq!(
        (finished.input, finished.digest),
        (input.clone(), Some(digest.clone()))
    );
    let page = run::journal(&db, id, 0, 3).await.expect("reads");
    assert_eq!((page.items.len(), page.next.as_deref()), (3, Some("3")));
    assert_eq!(page.items[0].kind, EntryKind::RunStarted);
    assert!(
        matches!(&page.items[1].kind, EntryKind::Event { step: Some(step), data } if step == "/do/0/review" && data["seq"] == 1),
        "{page:?}"
    );
    let rest = run::journal(&db, id, 3, 100).await.expect("reads");
    assert!(matches!(
        rest.items.last().expect("entries").kind,
        EntryKind::RunCompleted { .. }
    ));
    assert_eq!(rest.next, None);
    assert_eq!(
        run::list(&db, Some(RunStatus::Completed), None, 1)
            .await
            .expect("lists")
            .items[0]
            .id,
        id
    );
    let cancelled = run::cancel(&db, id, "ada", "late").await.expect("answers");
    assert_eq!(cancelled.outcome, CancelOutcome::AlreadyEnded);
    assert!(run::get(&db, RunId(nobody())).await.expect("reads").is_none());

    let said = chat::history(&db, "s", "ada", 10).await.expect("reads");
    assert_eq!(
        (said[0].role, said[1].content.as_str(), said[1].run_id),
        (ChatRole::User, "gladly", Some(id))
    );
    assert!(
        chat::history(&db, "s", "eve", 10)
            .await
            .expect("reads")
            .is_empty()
    );

    // What it told on the way goes out, once. The last of it is read as soon as no older transaction of the server (other
    // tests have theirs) could still come before it.
    let mut events = outbox::claim(&db, "relay", 100, 30).await.expect("claims");
    while !ends_with(&events, "dev.guildhall.run.completed.v1") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        events = outbox::claim(&db, "relay", 100, 30).await.expect("claims");
    }
    let kinds: Vec<_> = events.iter().map(|event| event.event.kind.as_str()).collect();
    assert_eq!(
        (kinds[0], kinds[kinds.len() - 1]),
        ("dev.guildhall.run.started.v1", "dev.guildhall.run.completed.v1"),
        "{kinds:?}"
    );
    assert_eq!(
        outbox::published(&db, &events[events.len() - 1].position, "relay")
            .await
            .expect("moves"),
        outbox::PublishedOutcome::Advanced
    );
    assert!(
        outbox::claim(&db, "relay", 100, 30)
            .await
            .expect("claims")
            .is_empty()
    );

    let figures = ops::metrics(&db).await.expect("reads");
    let text = ops::exposition(&figures);
    assert!(
        text.contains("guildhall_runs{status=\"completed\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("# TYPE guildhall_request_duration_seconds histogram\n"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_locks_tokens_and_the_rest() {
    let database = prepared().await;
    let db = db(&database);
    let new = NewRequest {
        skill: "fly".into(),
        agent: None,
        input: json!({}),
        timeout_s: 600,
        max_attempts: 2,
        priority: Priority::High,
        source: None,
        correlation_id: None,
        causation_id: None,
        callback_url: None,
    };
    let none = request::Offer::default();
    let submitted = request::submit(&db, &new, "ada", None, &none)
        .await
        .expect("answers");
    assert_eq!(
        (submitted.outcome, submitted.request),
        (SubmitOutcome::UnknownSkill, None)
    );
    let registered = agent::register(&db, &card("a", &["fly"]), 60)
        .await
        .expect("registers");
    assert_eq!(registered.agent.status, AgentStatus::Active);
    let key = Some(Idempotency {
        key: "k",
        fingerprint: "f",
    });
    let submitted = request::submit(&db, &new, "ada", key, &none)
        .await
        .expect("answers");
    assert_eq!(submitted.outcome, SubmitOutcome::SchemaChanged);
    assert_eq!(submitted.input_schema, Some(json!(true)));
    let digest = submitted.schema_digest.expect("a digest");
    let offer = request::Offer {
        schema_digest: Some(&digest),
        ..none
    };
    let submitted = request::submit(&db, &new, "ada", key, &offer)
        .await
        .expect("submits");
    let id = submitted.request.expect("a request").id;
    assert_eq!(
        request::submit(&db, &new, "ada", key, &offer)
            .await
            .expect("answers")
            .outcome,
        SubmitOutcome::Exists
    );
    request::claim(&db, "w", 1, 30).await.expect("claims");
    let error = AgentError {
        code: "unreachable".into(),
        detail: "d".into(),
        hint: None,
        retryable: true,
    };
    assert_eq!(
        request::fail(&db, id, 1, &error).await.expect("fails").outcome,
        FailOutcome::Retry
    );
    let waiting = request::get(&db, id).await.expect("reads").expect("is there");
    assert_eq!(
        (waiting.state, waiting.error),
        (RequestState::Queued, Some(error))
    );
    let cancelled = request::cancel(&db, id, "ada", "enough").await.expect("cancels");
    assert_eq!(cancelled.outcome, CancelOutcome::Cancelled);
    let page = request::list(&db, Some(RequestState::Cancelled), None, None, 10)
        .await
        .expect("lists");
    assert_eq!(page.items[0].id, id);
    assert!(
        request::get(&db, RequestId(nobody()))
            .await
            .expect("reads")
            .is_none()
    );

    let event = json!({"specversion": "1.0", "id": "1", "source": "/ci", "type": "dev.guildhall.request.v1",
        "data": {"skill": "fly", "input": {}}});
    let accepted = event::accept(&db, &event, Some(&digest)).await.expect("accepts");
    let again = event::accept(&db, &event, Some(&digest)).await.expect("answers");
    assert_eq!(
        (accepted.outcome, again.outcome),
        (AcceptOutcome::Accepted, AcceptOutcome::Duplicate)
    );
    assert_eq!(accepted.request_id, again.request_id);
    let invalid = event::accept(&db, &json!("x"), None).await.expect("answers");
    assert_eq!(invalid.outcome, AcceptOutcome::Invalid);

    let listed = agent::list(&db, Some("fly"), Some(AgentStatus::Active), None, 10)
        .await
        .expect("lists");
    let agents: Vec<Agent> = listed.items;
    assert_eq!(agents[0].card, card("a", &["fly"]));
    assert!(agent::get(&db, "nobody").await.expect("reads").is_none());
    assert_eq!(
        agent::deregister(&db, "a", "ada").await.expect("answers"),
        agent::DeregisterOutcome::Deregistered
    );

    let taken = lock::acquire(
        &db,
        "r",
        LockMode::Exclusive,
        None,
        &Claim::now("h", None, 30, "x"),
    )
    .await
    .expect("acquires");
    assert_eq!(
        (taken.outcome, taken.lock.fencing_token),
        (LockOutcome::Acquired, 1)
    );
    assert!(lock::check(&db, "r", 1).await.expect("answers"));
    assert_eq!(
        lock::acquire(
            &db,
            "r",
            LockMode::Exclusive,
            None,
            &Claim::now("i", None, 30, "x")
        )
        .await
        .expect("answers")
        .outcome,
        LockOutcome::Held
    );
    assert_eq!(
        lock::renew(&db, "r", "h", 1, 60).await.expect("renews").outcome,
        LockOutcome::Renewed
    );
    assert_eq!(
        lock::release(&db, "r", "h", 2).await.expect("answers").outcome,
        LockOutcome::Stale
    );
    assert_eq!(
        lock::release(&db, "r", "h", 1).await.expect("releases").outcome,
        LockOutcome::Released
    );
    assert_eq!(
        lock::get(&db, "r")
            .await
            .expect("reads")
            .expect("is there")
            .lock
            .holder,
        None
    );
    assert_eq!(
        lock::list(&db, None, 10, None).await.expect("lists").items.len(),
        1
    );

    let hash = "ab".repeat(32);
    let info = token::create(&db, &hash, &person("ada"), Some(60), "cli")
        .await
        .expect("creates");
    match token::verify(&db, &hash).await.expect("answers") {
        Verified::Ok {
            principal,
            remaining_ms,
        } => {
            assert_eq!((principal, remaining_ms), (person("ada"), Some(60_000)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        token::list(&db).await.expect("lists"),
        std::slice::from_ref(&info)
    );
    assert_eq!(
        token::revoke(&db, info.id, "cli").await.expect("revokes"),
        RevokeOutcome::Revoked
    );
    assert_eq!(
        token::verify(&db, &hash).await.expect("answers"),
        Verified::Revoked
    );
    assert_eq!(
        token::verify(&db, "00").await.expect("answers"),
        Verified::Unknown
    );

    let recorded = chat::record(&db, "s", "ada", "hi", "hello", None)
        .await
        .expect("records");
    assert_eq!(recorded, RecordOutcome::Recorded);
    let consumed = approval::consume(&db, ApprovalId(nobody()), &json!({}), id, 1)
        .await
        .expect("answers");
    assert_eq!(
        (consumed.outcome, consumed.approval),
        (ConsumeOutcome::Mismatch, None)
    );
    let decided = approval::decide(&db, ApprovalId(nobody()), &person("bob"), Decision::Reject, None).await;
    assert_eq!(decided.expect("answers").outcome, DecideOutcome::NotFound);
    assert!(
        approval::get(&db, ApprovalId(nobody()))
            .await
            .expect("reads")
            .is_none()
    );

    assert_eq!(agent::queue(&db, "nobody").await.expect("answers"), None);
    let recorded = request::check_results(&db, &"a".repeat(40)).await;
    assert!(recorded.expect("answers").is_empty());

    let ready = ops::readiness(&db).await.expect("answers");
    assert_eq!((ready.ok, ready.schema_version), (true, SCHEMA_VERSION));
    assert_eq!(
        ops::schema_version(&db).await.expect("answers").version,
        SCHEMA_VERSION
    );
    let (definition, digest) = (document("deliver", "1.0.0"), "d".repeat(64));
    let new = NewRun {
        what: RunOf::Document {
            definition: &definition,
            digest: &digest,
        },
        input: &json!({}),
        title: "ship it",
        requester: "ada",
        idempotency: None,
        chat: None,
    };
    let run_id = run::start(&db, new).await.expect("starts").run.expect("a run").id;
    let cancelled = run::cancel(&db, run_id, "ada", "enough").await.expect("cancels");
    assert_eq!(cancelled.run.expect("it").status, RunStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_what_to_do() {
    let database = migrated().await;
    let good = db(&database);
    let error = lock::acquire(
        &good,
        "",
        LockMode::Exclusive,
        None,
        &Claim::now("h", None, 30, "x"),
    )
    .await
    .expect_err("no name");
    assert_eq!(
        error.kind,
        DbErrorKind::Sql {
            sqlstate: "GH001".into()
        }
    );
    assert_eq!(Problem::from(error).code, Code::InvalidParameter.as_str());

    let server = guildhall_testkit::Postgres::shared().await.expect("runs");
    let empty = server.empty_database().await.expect("an empty database");
    let error = ops::readiness(&db(&empty)).await.expect_err("no schema");
    assert_eq!(error.code(), Code::SchemaMismatch);

    let options = NativeDbOptions::default();
    let nowhere = NativeDb::from_url("host=127.0.0.1 port=1 user=x dbname=x", options).expect("a pool");
    let error = ops::readiness(&nowhere).await.expect_err("nobody listens");
    assert_eq!(error.code(), Code::DatabaseUnavailable);

    // A broken connection: what may be repeated is, on a new one.
    run::claim(&good, "w", 30, &[]).await.expect("connects");
    server.disconnect_all(database.name()).await.expect("disconnects");
    ops::readiness(&good).await.expect("is tried again");
}
