//! The main job: review, test, approve, deploy, document.

use crate::target::{hall, with_scopes};
use anyhow::{Context, Result};
use serde_json::json;

#[tokio::test]
async fn a_good_change_is_reviewed_tested_approved_deployed_and_documented() -> Result<()> {
    let Some(hall) = hall("a_good_change").await? else {
        return Ok(());
    };
    let run_id = hall
        .ask("review, test and deploy branch good-change to production")
        .await?;
    let approval = hall.approval(&run_id).await?;

    let head = hall.repository.git(&["rev-parse", "good-change"])?;
    let shown = hall
        .approver
        .get(&format!("/v1/approvals/{approval}"))
        .await?
        .json();
    assert_eq!(
        shown["action"]["head_revision"],
        json!(head),
        "the approval shows what would be deployed: {shown:#}"
    );
    assert_eq!(shown["risk"]["tier"], "high");
    let before = hall.repository.deployments()?;
    assert!(
        !before.iter().any(|line| line.contains(&run_id)),
        "nothing is deployed before the approval"
    );

    hall.approve(&approval).await?;
    let run = hall.ended(&run_id).await?;
    assert_eq!(run.status(), "completed", "{:#}", run.0);
    assert_eq!(run.steps(), ["review", "test", "approve", "deploy", "document"]);

    let review = &run.step("review").context("a review")?["result"];
    assert_eq!(review["verdict"], "approve", "{review:#}");
    let checks = &run.step("test").context("a test")?["result"]["checks"];
    assert_eq!(checks[0]["exit_code"], 0);
    assert!(
        checks[0]["output_tail"]
            .as_str()
            .is_some_and(|tail| tail.contains("value is 42")),
        "{checks:#}"
    );
    assert!(checks[0]["duration_ms"].is_u64());

    let deploy = &run.step("deploy").context("a deploy")?["result"];
    let merged = hall.repository.git(&["rev-parse", "main"])?;
    assert!(
        hall.repository
            .git(&["merge-base", "--is-ancestor", &head, "main"])
            .is_ok(),
        "the change is merged"
    );
    assert_eq!(deploy["health"]["healthy"], true, "{deploy:#}");
    assert!(
        deploy["lock"]["fencing_token"]
            .as_i64()
            .is_some_and(|token| token > 0)
    );
    let deployments = hall.repository.deployments()?;
    assert_eq!(
        deployments.len(),
        before.len() + 1,
        "one deployment: {deployments:?}"
    );
    assert!(
        hall.repository
            .git(&[
                "merge-base",
                "--is-ancestor",
                deploy["revision"].as_str().unwrap_or(""),
                &merged
            ])
            .is_ok()
    );

    let document = &run.step("document").context("a document")?["result"];
    let branch = document["branch"].as_str().context("a branch")?;
    let log = hall
        .repository
        .git(&["show", &format!("{branch}:CHANGELOG.md")])?;
    assert!(
        log.contains("good-change") || log.contains("Work on"),
        "the change log tells of the change: {log}"
    );
    assert!(
        hall.held_deployment_locks().await?.is_empty(),
        "the lock is released"
    );

    let late = hall
        .approver
        .post(
            &format!("/v1/approvals/{approval}/reject"),
            &json!({ "reason": "too late" }),
        )
        .await?;
    assert_eq!(
        (late.status, late.code().as_deref()),
        (409, Some("already_decided"))
    );
    Ok(())
}

#[tokio::test]
async fn a_leaked_credential_is_stopped_at_review_and_not_shown() -> Result<()> {
    let Some(hall) = hall("a_leaked_credential").await? else {
        return Ok(());
    };
    let run_id = hall
        .ask("review, test and deploy branch leaked-credential to production")
        .await?;
    let run = hall.ended(&run_id).await?;
    assert_eq!(
        (run.status(), run.fault()),
        ("faulted", "review_blocked"),
        "{:#}",
        run.0
    );
    assert_eq!(run.steps(), ["review"], "nothing else was begun");
    let findings = &run.step("review").context("a review")?["result"]["findings"];
    let found = findings
        .as_array()
        .into_iter()
        .flatten()
        .find(|f| f["file"] == "settings.ini");
    let found = found.with_context(|| format!("a finding in settings.ini: {findings:#}"))?;
    assert_eq!(found["line"], 1);
    assert!(found["suggestion"].as_str().is_some_and(|text| !text.is_empty()));
    let secret = ["AK", "IA", "QYLPMN5HHHFPZAM2"].concat();
    assert!(
        !run.0.to_string().contains(&secret),
        "the credential itself must not be repeated"
    );
    Ok(())
}

#[tokio::test]
async fn a_broken_test_is_stopped_with_its_output() -> Result<()> {
    let Some(hall) = hall("a_broken_test").await? else {
        return Ok(());
    };
    let run_id = hall
        .ask("review, test and deploy branch broken-test to production")
        .await?;
    let run = hall.ended(&run_id).await?;
    assert_eq!(
        (run.status(), run.fault()),
        ("faulted", "checks_failed"),
        "{:#}",
        run.0
    );
    let check = &run.step("test").context("a test")?["result"]["checks"][0];
    assert_eq!(check["exit_code"], 1);
    assert!(
        check["output_tail"]
            .as_str()
            .is_some_and(|tail| tail.contains("value is 41, expected 42"))
    );
    Ok(())
}

#[tokio::test]
async fn a_check_that_hangs_is_ended_and_counts_as_failed() -> Result<()> {
    let Some(hall) = hall("a_check_that_hangs").await? else {
        return Ok(());
    };
    let run_id = hall.ask("run the tests on branch hanging-check").await?;
    let run = hall.ended(&run_id).await?;
    assert_eq!(
        (run.status(), run.fault()),
        ("faulted", "checks_failed"),
        "{:#}",
        run.0
    );
    assert_eq!(
        run.step("test").context("a test")?["result"]["checks"][0]["status"],
        "timed_out"
    );
    Ok(())
}

#[tokio::test]
async fn a_diff_of_fifty_thousand_lines_is_reviewed() -> Result<()> {
    let Some(hall) = hall("a_diff_of_fifty_thousand_lines").await? else {
        return Ok(());
    };
    let run_id = hall.ask("review branch huge-change").await?;
    let run = hall.ended(&run_id).await?;
    let review = run.step("review").context("a review")?;
    assert_eq!(review["status"], "completed", "{:#}", run.0["error"]);
    let lines = review["result"]["lines_added"].as_u64();
    let truncated = !review["result"]["truncated"].is_null();
    assert!(
        lines == Some(50_500) || truncated,
        "all lines are read, or it says that not all were"
    );
    Ok(())
}

#[tokio::test]
async fn a_release_that_is_not_healthy_faults_the_run_and_frees_the_lock() -> Result<()> {
    let Some(hall) = hall("a_release_that_is_not_healthy").await? else {
        return Ok(());
    };
    let run_id = hall
        .ask("review, test and deploy branch sick-release to staging")
        .await?;
    // Staging has no service in this repository, so the sick release can only be seen in production.
    assert_eq!(hall.ended(&run_id).await?.status(), "completed");
    let run_id = hall
        .ask("review, test and deploy branch sick-release to production")
        .await?;
    let approval = hall.approval(&run_id).await?;
    hall.approve(&approval).await?;
    let run = hall.ended(&run_id).await?;
    assert_eq!(
        (run.status(), run.fault()),
        ("faulted", "service_unhealthy"),
        "{:#}",
        run.0
    );
    assert!(
        hall.held_deployment_locks().await?.is_empty(),
        "the lock is released"
    );
    Ok(())
}

#[tokio::test]
async fn only_another_person_may_approve_and_a_refusal_ends_the_run() -> Result<()> {
    let Some(hall) = hall("only_another_person_may_approve").await? else {
        return Ok(());
    };
    let run_id = hall.ask("deploy branch second-change to production").await?;
    let approval = hall.approval(&run_id).await?;
    let approve = format!("/v1/approvals/{approval}/approve");

    let own = hall.requester.post(&approve, &json!({})).await?;
    assert_eq!(
        (own.status, own.code().as_deref()),
        (403, Some("not_eligible")),
        "{}",
        own.text()
    );
    let (robot, _) = with_scopes("robot", "service", &["approvals:decide"], 600).await?;
    let machine = robot.post(&approve, &json!({})).await?;
    assert_eq!(
        (machine.status, machine.code().as_deref()),
        (403, Some("not_eligible")),
        "{}",
        machine.text()
    );
    let (reader, _) = with_scopes("eve", "person", &["approvals:read"], 600).await?;
    let unscoped = reader.post(&approve, &json!({})).await?;
    assert_eq!(
        (unscoped.status, unscoped.code().as_deref()),
        (403, Some("forbidden"))
    );

    let refused = hall
        .approver
        .post(
            &format!("/v1/approvals/{approval}/reject"),
            &json!({ "reason": "not today" }),
        )
        .await?;
    assert_eq!(refused.status, 200, "{}", refused.text());
    let run = hall.ended(&run_id).await?;
    assert_eq!(
        (run.status(), run.fault()),
        ("faulted", "authorization"),
        "{:#}",
        run.0
    );
    assert!(
        run.0["error"]["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("not today"))
    );
    assert!(
        !hall
            .repository
            .deployments()?
            .iter()
            .any(|line| line.contains(&run_id))
    );
    Ok(())
}

#[tokio::test]
async fn a_plan_without_an_approval_step_cannot_deploy_to_production() -> Result<()> {
    let Some(hall) = hall("a_plan_without_an_approval_step").await? else {
        return Ok(());
    };
    let head = hall.repository.git(&["rev-parse", "good-change"])?;
    let deploy = json!({ "call": "agent", "with": { "skill": "deploy_service", "attempts": 1,
        "input": { "environment": "production", "base": "main", "head_revision": head } } });
    let document = json!({ "dsl": "1.0.3", "namespace": "e2e", "name": "shortcut", "version": "1.0.0" });
    let definition = json!({ "document": document, "do": [{ "deploy": deploy }] });
    let body = json!({ "title": "a shortcut", "definition": definition });
    let reply = hall.requester.post("/v1/runs", &body).await?;
    assert!(
        [200, 201, 202].contains(&reply.status),
        "{} {}",
        reply.status,
        reply.text()
    );
    let body = reply.json();
    let id = body["id"]
        .as_str()
        .or(body["run"]["id"].as_str())
        .or(body["run_id"].as_str())
        .context("a run id")?;
    let run = hall.ended(id).await?;
    assert_eq!(
        (run.status(), run.fault()),
        ("faulted", "approval_required"),
        "{:#}",
        run.0
    );
    assert!(
        !hall
            .repository
            .deployments()?
            .iter()
            .any(|line| line.contains(id))
    );
    Ok(())
}

#[tokio::test]
async fn the_same_idempotency_key_starts_one_run() -> Result<()> {
    let Some(hall) = hall("the_same_idempotency_key").await? else {
        return Ok(());
    };
    let send = |message: &'static str| async move {
        let body = json!({ "message": message }).to_string().into_bytes();
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "one-review"),
        ];
        hall.requester.send("POST", "/chat", &headers, body).await
    };
    let first = send("review branch good-change").await?.json();
    let second = send("review branch good-change").await?.json();
    assert!(first["run_id"].is_string(), "{first:#}");
    assert_eq!(first["run_id"], second["run_id"]);
    let other = send("review branch second-change").await?;
    assert_eq!(
        (other.status, other.code().as_deref()),
        (422, Some("idempotency_conflict")),
        "{}",
        other.text()
    );
    Ok(())
}
