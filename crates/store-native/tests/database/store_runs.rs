//! The store's calls about workflows, runs that wait, their calls and their events, against a real database.

use crate::store::{db, document, nobody, person};
use crate::support::{card, migrated};
use guildhall_domain::approval::{ApprovalState, Decision};
use guildhall_domain::id::RunId;
use guildhall_domain::request::Fence;
use guildhall_domain::run::{EntryKind, RunStatus};
use guildhall_domain::token::Principal;
use guildhall_store::approval::{ConsumeOutcome, DecideOutcome};
use guildhall_store::chat::ChatRole;
use guildhall_store::event::PublishOutcome;
use guildhall_store::request::CompleteOutcome;
use guildhall_store::run::{
    AdvanceOutcome, Advanced, CancelOutcome, ChatTurn, ClaimedRun, NewRun, NoteOutcome, RunOf, SignalOutcome,
    StartOutcome,
};
use guildhall_store::run_call::{FinishOutcome, RenewOutcome};
use guildhall_store::workflow::PutOutcome;
use guildhall_store::{
    Idempotency, agent, approval, chat, event, ops, outbox, request, run, run_call, workflow,
};
use guildhall_store_native::NativeDb;
use serde_json::{Value, json};
use uuid::Uuid;

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

fn digest(letter: &str) -> String {
    letter.repeat(64)
}

async fn put(db: &NativeDb, version: &str, letter: &str) -> PutOutcome {
    let put = workflow::put(db, &document("child", version), "source", &digest(letter), "ada").await;
    put.expect("puts").outcome
}

async fn start(db: &NativeDb, version: &str) -> run::Started {
    let what = RunOf::Workflow {
        namespace: "tests",
        name: "child",
        version,
    };
    let new = NewRun {
        what,
        input: &json!({"n": 1}),
        title: "t",
        requester: "ada",
        idempotency: None,
        chat: None,
    };
    run::start(db, new).await.expect("answers")
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
        request::RenewOutcome::Renewed
    );
    assert_eq!(
        request::renew(&db, request_id, 2, 30).await.expect("answers"),
        request::RenewOutcome::Stale
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
async fn versions_of_a_workflow() {
    let database = migrated().await;
    let db = db(&database);
    assert_eq!(put(&db, "1.0.0", "a").await, PutOutcome::Created);
    assert_eq!(put(&db, "1.0.0", "a").await, PutOutcome::Exists);
    assert_eq!(put(&db, "1.0.0", "b").await, PutOutcome::Conflict);
    assert_eq!(put(&db, "1.1.0-rc.1", "c").await, PutOutcome::Created);
    let latest = workflow::get(&db, "tests", "child", "latest")
        .await
        .expect("reads");
    let latest = latest.expect("is there");
    assert_eq!(
        (
            latest.workflow.version.as_str(),
            latest.source.as_str(),
            &latest.definition
        ),
        ("1.0.0", "source", &document("child", "1.0.0"))
    );
    let none = workflow::get(&db, "tests", "child", "9.0.0")
        .await
        .expect("reads");
    assert!(none.is_none());
    let page = workflow::list(&db, Some("tests"), None, 1).await.expect("lists");
    assert_eq!(page.next.as_deref(), Some("tests/child/1.0.0"));
    let rest = workflow::list(&db, None, page.next.as_deref(), 10)
        .await
        .expect("lists");
    assert_eq!(
        (rest.items[0].version.as_str(), rest.items.len(), rest.next),
        ("1.1.0-rc.1", 1, None)
    );

    let unknown = start(&db, "9.0.0").await;
    assert_eq!(
        (unknown.outcome, unknown.run),
        (StartOutcome::UnknownWorkflow, None)
    );
    let run = start(&db, "latest").await.run.expect("a run");
    let of = run.workflow.expect("a workflow");
    assert_eq!((of.name.as_str(), of.version.as_str()), ("child", "1.0.0"));
    assert_eq!(run.definition, document("child", "1.0.0"));
    let known = run::claim(&db, "w", 30, &[digest("a")])
        .await
        .expect("claims")
        .expect("is due");
    assert_eq!(
        (known.run_id, known.definition, known.input),
        (run.id, None, json!({"n": 1}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_calls_listens_and_waits() {
    let database = migrated().await;
    let db = db(&database);
    put(&db, "1.0.0", "a").await;
    let id = start(&db, "1.0.0").await.run.expect("a run").id;
    let command = |action: &str, seq: i64, more: Value| {
        let mut command =
            json!({"step": format!("/do/{seq}/s"), "seq": seq, "attempt": 1, "key": "k", "action": action});
        command
            .as_object_mut()
            .expect("it is")
            .extend(more.as_object().expect("it is").clone());
        command
    };
    let commands = json!([
        command("http", 1, json!({"method": "GET"})),
        command("subscribe", 2, json!({"filters": [{"type": "a.b"}]})),
        command("timer", 3, json!({"at": "2999-01-01T00:00:00Z"})),
        command(
            "start_child",
            4,
            json!({"namespace": "tests", "name": "child", "version": "latest", "input": {}, "wait": true})
        ),
    ]);
    let advanced = advance(&db, &claim(&db).await, &commands).await;
    assert_eq!(
        (advanced.calls_queued, advanced.runs_due, advanced.status),
        (1, 1, Some(RunStatus::Waiting))
    );

    let tick = ops::tick(&db, "t", 5).await.expect("ticks");
    assert!(tick.runs_due && tick.calls_due);
    let call = run_call::claim(&db, "w", 10, 30).await.expect("claims").remove(0);
    assert_eq!(
        (call.run_id, call.seq, call.epoch, &call.action, call.fences.len()),
        (id, 1, 1, &json!({"action": "http", "method": "GET"}), 0)
    );
    let renew = async |epoch| run_call::renew(&db, id, 1, epoch, 30).await.expect("answers");
    assert_eq!(
        (renew(1).await, renew(2).await),
        (RenewOutcome::Renewed, RenewOutcome::Stale)
    );
    let finish = async |epoch, result| {
        run_call::finish(&db, id, 1, epoch, result)
            .await
            .expect("answers")
    };
    let (answer, error) = (json!({"statusCode": 200}), json!({"type": "x", "status": 500}));
    assert_eq!(finish(2, Ok(&answer)).await, FinishOutcome::Stale);
    assert_eq!(finish(1, Ok(&answer)).await, FinishOutcome::Finished);
    assert_eq!(finish(1, Err(&error)).await, FinishOutcome::Stale);

    let cloud_event = json!({"specversion": "1.0", "type": "a.b", "source": "s", "id": "1"});
    let published = event::publish(&db, &cloud_event, "bob").await.expect("publishes");
    assert_eq!(
        (published.outcome, published.delivered),
        (PublishOutcome::Accepted, 1)
    );
    let again = event::publish(&db, &cloud_event, "bob").await.expect("answers");
    assert_eq!(again.outcome, PublishOutcome::Duplicate);
    let invalid = event::publish(&db, &json!({}), "bob").await.expect("answers");
    assert_eq!(
        (invalid.outcome, invalid.detail.is_some()),
        (PublishOutcome::Invalid, true)
    );
    let signal = run::signal(&db, id, &cloud_event, "bob").await.expect("signals");
    assert_eq!(signal.outcome, SignalOutcome::Accepted);
    assert_eq!(
        run::pause(&db, id, "bob").await.expect("pauses"),
        NoteOutcome::Accepted
    );
    assert_eq!(
        run::resume(&db, id, "bob").await.expect("resumes"),
        NoteOutcome::Accepted
    );
    let nobody = RunId(Uuid::from_u128(7));
    assert_eq!(
        run::pause(&db, nobody, "bob").await.expect("answers"),
        NoteOutcome::NotFound
    );

    // The child has waited longest, then comes the parent with all that happened.
    let child = claim(&db).await;
    let end = json!([command("complete", 9, json!({"output": {"y": 2}}))]);
    advance(&db, &child, &end).await;
    let told = claim(&db).await;
    let events: Vec<_> = told
        .events
        .iter()
        .map(|event| event["event"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        (told.run_id, events),
        (
            id,
            vec![
                "completed",
                "delivered",
                "delivered",
                "pause",
                "resume",
                "completed"
            ]
        )
    );
    let shown = run::get(&db, id).await.expect("reads").expect("is there");
    let kinds: Vec<_> = shown
        .steps
        .iter()
        .map(|step| (step.kind.as_str(), step.status.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("http", "completed"),
            ("listen", "waiting"),
            ("wait", "waiting"),
            ("workflow", "completed")
        ]
    );
    assert_eq!(shown.steps[3].child_run_id, Some(child.run_id));
    let child = run::get(&db, child.run_id)
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(child.parent_run_id, Some(id));
    let ended = run::resume(&db, child.id, "bob").await.expect("answers");
    assert_eq!(ended, NoteOutcome::Ended);

    // A suspended run says so, and is listed as such.
    let suspended = json!({"status": "suspended"});
    let (epoch, position, none) = (told.epoch, told.journal_position, json!([]));
    run::advance(&db, id, epoch, position, Some(&suspended), &none, &none)
        .await
        .expect("advances");
    let page = run::list(&db, Some(RunStatus::Suspended), None, 10)
        .await
        .expect("lists");
    assert_eq!(
        (page.items[0].id, page.items[0].status),
        (id, RunStatus::Suspended)
    );
}
