//! Locks over HTTP.

use crate::target::{admin, with_scopes};
use anyhow::Result;
use guildhall_testkit::{Client, Reply};
use serde_json::{Value, json};

fn path(resource: &str, verb: &str) -> String {
    format!(
        "/v1/locks/{}/{verb}",
        resource.replace(':', "%3A").replace('/', "%2F")
    )
}

async fn acquire(client: &Client, resource: &str, holder: &str, more: Value) -> Result<Reply> {
    let mut body = json!({"holder": holder, "ttl_s": 60, "reason": "a test"});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    client.post(&path(resource, "acquire"), &body).await
}

fn token(reply: &Reply) -> Value {
    reply.json()["lock"]["fencing_token"].clone()
}

#[tokio::test]
async fn a_release_hands_over_to_who_waits() -> Result<()> {
    let admin = admin().await?;
    let first = acquire(&admin, "e2e:handover", "a", json!({})).await?;
    assert_eq!(first.status, 200, "{}", first.text());
    let waiting = {
        let admin = admin.clone();
        tokio::spawn(async move { acquire(&admin, "e2e:handover", "b", json!({"wait_s": 30})).await })
    };
    loop {
        let details = admin.get("/v1/locks/e2e%3Ahandover").await?.json();
        if details["waiters"]
            .as_array()
            .is_some_and(|waiters| waiters.len() == 1)
        {
            break;
        }
        if waiting.is_finished() {
            let answer = waiting.await??;
            panic!(
                "it should wait, and was answered {} {}",
                answer.status,
                answer.text()
            );
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let graph = admin.get("/v1/locks/graph").await?.json();
    let edges = graph["edges"].as_array().cloned().unwrap_or_default();
    assert!(
        edges.iter().any(|edge| edge["waits_for"] == "e2e:handover"),
        "{graph:#}"
    );
    let newcomer = acquire(&admin, "e2e:handover/below", "c", json!({"mode": "shared"})).await?;
    assert_eq!(
        (newcomer.status, newcomer.code().as_deref()),
        (409, Some("lock_held")),
        "{}",
        newcomer.text()
    );
    let body = json!({"holder": "a", "fencing_token": token(&first)});
    let released = admin.post(&path("e2e:handover", "release"), &body).await?;
    assert_eq!(released.status, 200, "{}", released.text());
    let second = waiting.await??;
    assert_eq!(second.status, 200, "{}", second.text());
    assert!(
        token(&second).as_i64() > token(&first).as_i64(),
        "{}",
        second.text()
    );
    let again = admin.post(&path("e2e:handover", "release"), &body).await?;
    assert_eq!(again.code().as_deref(), Some("stale_fencing_token"));
    Ok(())
}

#[tokio::test]
async fn a_wait_in_vain_ends_and_names_who_was_in_the_way() -> Result<()> {
    let admin = admin().await?;
    let held = acquire(&admin, "e2e:vain", "a", json!({})).await?;
    assert_eq!(held.status, 200, "{}", held.text());
    let vain = acquire(&admin, "e2e:vain", "b", json!({"wait_s": 1})).await?;
    assert_eq!(vain.code().as_deref(), Some("lock_held"), "{}", vain.text());
    assert!(
        vain.json()["blockers"][0]["holder"]
            .as_str()
            .is_some_and(|holder| holder.ends_with("/a")),
        "{}",
        vain.text()
    );
    let history = admin.get("/v1/locks/history?resource=e2e%3Avain").await?.json();
    assert_eq!(history["items"][0]["ended_how"], "timed_out", "{history:#}");
    Ok(())
}

#[tokio::test]
async fn a_deadlock_is_told_with_its_cycle() -> Result<()> {
    let admin = admin().await?;
    // Holders of this test alone: those of another that wait for each other would belong to the circle.
    for (resource, holder) in [("e2e:left", "circle-a"), ("e2e:right", "circle-b")] {
        let reply = acquire(&admin, resource, holder, json!({})).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let wish = json!({"wait_s": 10});
    let (one, other) = tokio::join!(
        acquire(&admin, "e2e:right", "circle-a", wish.clone()),
        acquire(&admin, "e2e:left", "circle-b", wish),
    );
    let replies = [one?, other?];
    let told: Vec<_> = replies
        .iter()
        .filter(|reply| reply.code().as_deref() == Some("deadlock"))
        .collect();
    assert_eq!(told.len(), 1, "one gives way: {replies:#?}");
    assert_eq!(told[0].status, 409);
    assert_eq!(
        told[0].json()["cycle"].as_array().map(Vec::len),
        Some(2),
        "{}",
        told[0].text()
    );
    Ok(())
}

#[tokio::test]
async fn several_locks_come_together_or_not_at_all() -> Result<()> {
    let admin = admin().await?;
    let wish = |holder: &str| {
        json!({"holder": holder, "ttl_s": 60, "reason": "a test",
        "locks": [{"resource": "e2e:set/b"}, {"resource": "e2e:set/a", "mode": "shared"}]})
    };
    let taken = admin.post("/v1/locks", &wish("a")).await?;
    assert_eq!(taken.status, 200, "{}", taken.text());
    let keys: Vec<Value> = taken.json()["locks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|lock| json!({"resource": lock["resource"], "fencing_token": lock["fencing_token"]}))
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(
        admin.post("/v1/locks", &wish("b")).await?.code().as_deref(),
        Some("lock_held")
    );
    let renewal = json!({"holder": "a", "ttl_s": 60, "locks": keys});
    assert_eq!(admin.post("/v1/locks/renew", &renewal).await?.status, 200);
    let release = json!({"holder": "a", "locks": keys});
    assert_eq!(admin.post("/v1/locks/release", &release).await?.status, 200);
    assert_eq!(
        admin.post("/v1/locks/release", &release).await?.code().as_deref(),
        Some("stale_fencing_token")
    );
    Ok(())
}

#[tokio::test]
async fn a_lock_is_taken_away_by_admins_only() -> Result<()> {
    let admin = admin().await?;
    let (worker, _) = with_scopes("worker", "service", &["locks:read", "locks:write"], 600).await?;
    let taken = acquire(&worker, "e2e:forced", "w", json!({})).await?;
    assert_eq!(taken.status, 200, "{}", taken.text());
    let reason = json!({"reason": "its holder is gone"});
    let path = path("e2e:forced", "force-release");
    assert_eq!(
        worker.post(&path, &reason).await?.code().as_deref(),
        Some("forbidden")
    );
    let forced = admin.post(&path, &reason).await?;
    assert_eq!(forced.json()["outcome"], "forced", "{}", forced.text());
    assert_eq!(admin.post(&path, &reason).await?.json()["outcome"], "free");
    for route in ["statistics?hours=1", "contention", "history", "graph"] {
        let reply = worker.get(&format!("/v1/locks/{route}")).await?;
        assert_eq!(reply.status, 200, "{route}: {}", reply.text());
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_locked_is_refused() -> Result<()> {
    let admin = admin().await?;
    for (resource, more) in [
        ("history", json!({})),
        ("e2e:x", json!({"wait_s": 61})),
        ("e2e:x", json!({"run_id": "00000000-0000-0000-0000-000000000000"})),
    ] {
        let reply = acquire(&admin, resource, "a", more).await?;
        assert_eq!(
            reply.code().as_deref(),
            Some("invalid_parameter"),
            "{resource}: {}",
            reply.text()
        );
    }
    let reply = acquire(&admin, "e2e:x", "a", json!({"mode": "both"})).await?;
    assert_eq!(reply.code().as_deref(), Some("invalid_body"), "{}", reply.text());
    Ok(())
}
