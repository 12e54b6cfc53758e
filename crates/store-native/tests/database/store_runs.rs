//! The store's calls about workflows, runs that wait, their calls and their events, against a real database.

use crate::store::{advance, claim, db, document};
use crate::support::migrated;
use guildhall_domain::id::RunId;
use guildhall_domain::run::RunStatus;
use guildhall_store::event::PublishOutcome;
use guildhall_store::run::{NewRun, NoteOutcome, RunOf, SignalOutcome, StartOutcome};
use guildhall_store::run_call::{FinishOutcome, RenewOutcome};
use guildhall_store::workflow::PutOutcome;
use guildhall_store::{event, ops, run, run_call, workflow};
use guildhall_store_native::NativeDb;
use serde_json::{Value, json};
use uuid::Uuid;

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
