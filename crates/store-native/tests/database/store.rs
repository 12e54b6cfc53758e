//! Every call of the store against a real database: that what SQL answers is what the types expect.

use crate::support::{card, migrated, prepared};
use guildhall_domain::agent::{Agent, AgentStatus};
use guildhall_domain::approval::Decision;
use guildhall_domain::id::{ApprovalId, RequestId};
use guildhall_domain::lock::{LockMode, LockOutcome};
use guildhall_domain::request::{AgentError, NewRequest, Priority, RequestState};
use guildhall_domain::run::RunStatus;
use guildhall_domain::scope::Scope;
use guildhall_domain::token::{Principal, PrincipalKind};
use guildhall_domain::{Code, Problem};
use guildhall_store::approval::{ConsumeOutcome, DecideOutcome};
use guildhall_store::chat::RecordOutcome;
use guildhall_store::event::AcceptOutcome;
use guildhall_store::lock::Claim;
use guildhall_store::request::{FailOutcome, SubmitOutcome};
use guildhall_store::run::{CancelOutcome, NewRun, RunOf};
use guildhall_store::token::{RevokeOutcome, Verified};
use guildhall_store::{
    DbErrorKind, Idempotency, SCHEMA_VERSION, agent, approval, chat, event, lock, ops, request, run, token,
};
use guildhall_store_native::{NativeDb, NativeDbOptions};
use guildhall_testkit::Database;
use serde_json::{Value, json};
use uuid::Uuid;

pub fn db(database: &Database) -> NativeDb {
    NativeDb::new(database.config().clone(), NativeDbOptions::default()).expect("a pool")
}

pub fn person(name: &str) -> Principal {
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

pub fn nobody() -> Uuid {
    Uuid::from_u128(7)
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
