//! Bad input gets a clear 4xx and changes nothing.

use crate::target::{admin, hall, service_binary, with_scopes};
use anyhow::Result;
use guildhall_testkit::Reply;
use guildhall_tests::{Hall, Pace};
use serde_json::json;

/// The answer is a problem (RFC 9457) of this status and code, and says something.
fn assert_problem(reply: &Reply, status: u16, code: &str) {
    let body = reply.json();
    assert_eq!(
        (reply.status, body["code"].as_str()),
        (status, Some(code)),
        "{}",
        reply.text()
    );
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(body["status"], json!(status));
    for field in ["type", "title", "detail"] {
        assert!(
            body[field].as_str().is_some_and(|text| !text.is_empty()),
            "no {field}: {body:#}"
        );
    }
    assert_eq!(
        reply.header("content-length"),
        Some(reply.body.len().to_string().as_str())
    );
}

#[tokio::test]
async fn an_unknown_route_is_not_found() -> Result<()> {
    let admin = admin().await?;
    for path in ["/nowhere", "/v1/nowhere", "/v1/runs/a/b/c/d", "/internal/nowhere"] {
        assert_problem(&admin.get(path).await?, 404, "unknown_route");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_method_names_the_right_ones() -> Result<()> {
    let admin = admin().await?;
    for (method, path, allowed) in [
        ("GET", "/chat", "POST"),
        ("DELETE", "/v1/agents", "GET"),
        ("PUT", "/v1/runs", "GET"),
    ] {
        let reply = admin.send(method, path, &[], Vec::new()).await?;
        assert_problem(&reply, 405, "method_not_allowed");
        assert!(
            reply.header("allow").is_some_and(|allow| allow.contains(allowed)),
            "{method} {path}: {:?}",
            reply.headers
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_foreign_or_expired_token_is_refused() -> Result<()> {
    let admin = admin().await?;
    let body = json!({ "message": "review branch good-change" });
    for (token, code) in [
        ("", "unauthenticated"),
        ("guildhall_not-one-of-ours", "unauthenticated"),
    ] {
        let reply = admin.token(token).post("/chat", &body).await?;
        assert_problem(&reply, 401, code);
        assert!(
            reply
                .header("www-authenticate")
                .is_some_and(|value| value.starts_with("Bearer"))
        );
    }
    let (brief, _) = with_scopes("brief", "person", &["runs:read"], 1).await?;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    assert_problem(&brief.get("/v1/runs").await?, 401, "token_expired");
    Ok(())
}

#[tokio::test]
async fn a_token_without_the_scope_is_refused_by_name() -> Result<()> {
    let (reader, _) = with_scopes("reader", "person", &["agents:read"], 600).await?;
    assert_eq!(reader.get("/v1/agents").await?.status, 200);
    for (method, path, scope) in [
        ("POST", "/chat", "chat"),
        ("GET", "/v1/runs", "runs:read"),
        ("POST", "/v1/runs", "runs:write"),
        ("GET", "/v1/approvals", "approvals:read"),
        ("GET", "/v1/locks", "locks:read"),
        ("POST", "/v1/locks/x/acquire", "locks:write"),
        ("GET", "/metrics", "metrics:read"),
        ("GET", "/v1/tokens", "admin"),
    ] {
        let reply = reader
            .send(
                method,
                path,
                &[("content-type", "application/json")],
                b"{}".to_vec(),
            )
            .await?;
        assert_problem(&reply, 403, "forbidden");
        assert!(
            reply.text().contains(scope),
            "{method} {path} names {scope}: {}",
            reply.text()
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_revoked_token_stops_working() -> Result<()> {
    let admin = admin().await?;
    let (brief, _) = with_scopes("leaver", "person", &["runs:read"], 600).await?;
    assert_eq!(brief.get("/v1/runs").await?.status, 200);
    let tokens = admin.get("/v1/tokens?limit=200").await?.json();
    let items = tokens["items"].as_array().cloned().unwrap_or_default();
    let id = items
        .iter()
        .find(|token| token["principal"] == "leaver" && token["revoked_at"].is_null());
    let id = id
        .and_then(|token| token["id"].as_str())
        .unwrap_or_default()
        .to_string();
    let gone = admin.delete(&format!("/v1/tokens/{id}")).await?;
    assert!(
        [200, 204].contains(&gone.status),
        "{} {}",
        gone.status,
        gone.text()
    );
    // A component remembers a good token for at most five seconds.
    tokio::time::sleep(std::time::Duration::from_millis(5500)).await;
    assert_problem(&brief.get("/v1/runs").await?, 401, "unauthenticated");
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_not_the_wanted_json_is_refused() -> Result<()> {
    let admin = admin().await?;
    let json_type = [("content-type", "application/json")];
    for body in [
        "",
        "{",
        "[]",
        "{\"message\": 7}",
        "{\"message\": \"hi\", \"mesage\": 1}",
        "\u{feff}{}",
    ] {
        let reply = admin
            .send("POST", "/chat", &json_type, body.as_bytes().to_vec())
            .await?;
        assert_problem(&reply, 400, "invalid_body");
    }
    let reply = admin
        .send("POST", "/chat", &json_type, vec![0xff, 0xfe, 0x00])
        .await?;
    assert_problem(&reply, 400, "invalid_body");
    let definition = json!({ "name": "x", "version": "1", "do": [] });
    let body = json!({ "title": "x", "definition": definition });
    assert_problem(&admin.post("/v1/runs", &body).await?, 422, "workflow_invalid");
    assert_problem(&admin.get("/v1/runs/not-a-uuid").await?, 400, "invalid_parameter");
    assert_problem(&admin.get("/v1/runs?limit=many").await?, 400, "invalid_parameter");
    assert_problem(
        &admin.get("/v1/runs/00000000-0000-0000-0000-000000000000").await?,
        404,
        "not_found",
    );
    Ok(())
}

#[tokio::test]
async fn a_body_of_two_megabytes_is_refused() -> Result<()> {
    let admin = admin().await?;
    let body = json!({ "message": "x".repeat(2 * 1024 * 1024) })
        .to_string()
        .into_bytes();
    let reply = admin
        .send("POST", "/chat", &[("content-type", "application/json")], body)
        .await?;
    assert_problem(&reply, 413, "body_too_large");
    Ok(())
}

#[tokio::test]
async fn an_unknown_branch_is_named_and_starts_nothing() -> Result<()> {
    let Some(hall) = hall("an_unknown_branch").await? else {
        return Ok(());
    };
    let reply = hall
        .requester
        .post("/chat", &json!({ "message": "review branch no-such-branch" }))
        .await?;
    assert_problem(&reply, 422, "unknown_branch");
    assert!(reply.text().contains("no-such-branch"));
    let runs = hall.requester.get("/v1/runs?limit=200").await?;
    assert!(!runs.text().contains("no-such-branch"), "nothing was started");
    for branch in ["--upload-pack=x", "$(id)", "../../etc/passwd", "good-change;id"] {
        let reply = hall
            .requester
            .post(
                "/chat",
                &json!({ "message": format!("review branch \"{branch}\"") }),
            )
            .await?;
        assert!(reply.json()["run_id"].is_null(), "{branch}: {}", reply.text());
        assert!(reply.status < 500, "{branch}: {}", reply.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_without_guildhall_toml_is_told_what_to_add() -> Result<()> {
    let hall = Hall::start("strict", Pace::QUICK, service_binary(), &[]).await?;
    hall.repository.git(&["rm", "--quiet", "guildhall.toml"])?;
    hall.repository
        .git(&["commit", "--quiet", "--message", "Forget the configuration"])?;
    let reply = hall
        .requester
        .post(
            "/chat",
            &json!({ "message": "run the tests on branch good-change" }),
        )
        .await?;
    assert_problem(&reply, 422, "repository_not_configured");
    assert!(reply.text().contains("guildhall.toml"));
    Ok(())
}
