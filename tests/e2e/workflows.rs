//! Workflows as documents: uploaded once and for ever, checked, planned.

use crate::{
    flow::{self, begin, document, upload},
    registry::put,
    target::{admin, with_scopes},
};
use anyhow::Result;
use serde_json::{Value, json};

const TASKS: &str = "do:\n- greet: {set: {greeting: '${ \"hello \" + .name }'}}\n";

#[tokio::test]
async fn a_version_of_a_workflow_never_changes() -> Result<()> {
    let admin = admin().await?;
    let text = document("keeps", TASKS);
    let first = admin.post("/v1/workflows", &json!({"definition": text})).await?;
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!(first.header("location"), Some("/v1/workflows/e2e/keeps/1.0.0"));
    let again = admin.post("/v1/workflows", &json!({"definition": text})).await?;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(again.json()["digest"], first.json()["digest"]);
    // The same content, written as an object, is the same.
    let object = json!({
        "document": {"dsl": "1.0.3", "namespace": "e2e", "name": "keeps", "version": "1.0.0"},
        "do": [{"greet": {"set": {"greeting": "${ \"hello \" + .name }"}}}],
    });
    let path = "/v1/workflows/e2e/keeps/1.0.0";
    let as_object = put(&admin, path, &json!({"definition": object})).await?;
    assert_eq!(as_object.status, 200, "{}", as_object.text());
    let other = document("keeps", "do:\n- greet: {set: {greeting: hi}}\n");
    let changed = put(&admin, path, &json!({"definition": other})).await?;
    assert_eq!(
        (changed.status, changed.code().as_deref()),
        (409, Some("conflict"))
    );
    let elsewhere = put(
        &admin,
        "/v1/workflows/e2e/other/1.0.0",
        &json!({"definition": text}),
    )
    .await?;
    assert_eq!(
        (elsewhere.status, elsewhere.code().as_deref()),
        (400, Some("invalid_body"))
    );

    let shown = admin.get(path).await?;
    assert_eq!(shown.status, 200, "{}", shown.text());
    assert_eq!(shown.json()["source"], text, "as it was written");
    assert_eq!(shown.json()["definition"], object);
    Ok(())
}

#[tokio::test]
async fn the_latest_version_is_the_highest_release() -> Result<()> {
    let admin = admin().await?;
    for version in ["1.9.0", "1.10.0", "2.0.0-rc.1"] {
        let text = document("ages", TASKS).replace("1.0.0", version);
        upload(&admin, &text).await?;
    }
    let latest = admin.get("/v1/workflows/e2e/ages/latest").await?.json();
    assert_eq!(latest["version"], "1.10.0", "{latest:#}");
    let page = admin.get("/v1/workflows?namespace=e2e&limit=200").await?.json();
    let versions: Vec<&Value> = page["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|workflow| workflow["name"] == "ages")
        .map(|workflow| &workflow["version"])
        .collect();
    assert_eq!(versions.len(), 3, "{page:#}");
    // Page by page gives the same.
    let (mut after, mut seen) = (String::new(), 0);
    loop {
        let page = admin
            .get(&format!("/v1/workflows?namespace=e2e&limit=1{after}"))
            .await?
            .json();
        seen += page["items"].as_array().map_or(0, Vec::len);
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", next.replace('/', "%2F")),
            None => break,
        }
    }
    assert!(seen >= 3, "{seen}");
    let reference = json!({"namespace": "e2e", "name": "ages"});
    let body = json!({"workflow": reference, "input": {"name": "you"}, "title": "by reference"});
    let id = begin(&admin, &body).await?;
    let run = flow::ended(&admin, &id).await?;
    assert_eq!(run.0["output"], json!({"greeting": "hello you"}), "{:#}", run.0);
    assert_eq!(
        (&run.0["workflow"], &run.0["title"], &run.0["input"]),
        (
            &json!({"namespace": "e2e", "name": "ages", "version": "1.10.0"}),
            &json!("by reference"),
            &json!({"name": "you"})
        )
    );
    assert_eq!(run.0["digest"], latest["digest"]);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_document_is_told_with_its_line() -> Result<()> {
    let admin = admin().await?;
    let wrong = document(
        "wrong",
        "do:\n- a: {run: {shell: {command: ls}}}\n- b: {set: '${ .. | }'}\n",
    );
    for path in ["/v1/workflows", "/v1/workflows/plan", "/v1/runs"] {
        let reply = admin.post(path, &json!({"definition": wrong})).await?;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (422, Some("workflow_invalid")),
            "{path}: {}",
            reply.text()
        );
        let errors = reply.json()["errors"].clone();
        assert_eq!(errors[0]["pointer"], "/do/0/a/run/shell", "{errors:#}");
        let detail = errors[0]["detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with("line 3, column"), "{detail}");
        assert!(
            errors[1]["detail"]
                .as_str()
                .is_some_and(|d| d.starts_with("line 4")),
            "{errors:#}"
        );
    }
    let checked = admin
        .post("/v1/workflows/validate", &json!({"definition": wrong}))
        .await?;
    assert_eq!(checked.status, 200);
    let found = checked.json();
    assert_eq!(
        (&found["valid"], &found["workflow"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        (&found["findings"][0]["code"], &found["findings"][0]["line"]),
        (&json!("unsupported"), &json!(3))
    );
    let good = document("good", TASKS);
    let checked = admin
        .post("/v1/workflows/validate", &json!({"definition": good}))
        .await?
        .json();
    assert_eq!(
        (&checked["valid"], &checked["workflow"]),
        (&json!(true), &json!("e2e/good@1.0.0"))
    );
    Ok(())
}

#[tokio::test]
async fn a_plan_tells_what_a_workflow_may_touch() -> Result<()> {
    let admin = admin().await?;
    let text = document(
        "touches",
        "do:\n- a: {call: agent, with: {skill: check_health}, metadata: {locks: ['e2e:plan']}}\n",
    );
    let plan = admin
        .post("/v1/workflows/plan", &json!({"definition": text}))
        .await?;
    assert_eq!(plan.status, 200, "{}", plan.text());
    upload(&admin, &text).await?;
    let reference = json!({"workflow": {"namespace": "e2e", "name": "touches", "version": "1.0.0"}});
    let same = admin.post("/v1/workflows/plan", &reference).await?;
    assert_eq!(same.json(), plan.json());
    assert_eq!(plan.json()["agents"][0]["name"], "check_health");
    assert_eq!(plan.json()["locks"][0]["name"], "e2e:plan");
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_or_not_clear_is_refused() -> Result<()> {
    let admin = admin().await?;
    let nowhere = json!({"namespace": "e2e", "name": "nowhere"});
    for path in ["/v1/runs", "/v1/workflows/plan"] {
        let reply = admin.post(path, &json!({"workflow": nowhere})).await?;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (422, Some("unknown_workflow")),
            "{path}"
        );
        for body in [
            json!({}),
            json!({"workflow": nowhere, "definition": document("x", TASKS)}),
            json!({"workflow": "e2e/nowhere"}),
            json!({"definition": 7}),
            json!({"definition": document("x", TASKS), "more": 1}),
        ] {
            let reply = admin.post(path, &body).await?;
            let code = if body["definition"] == 7 {
                (422, "workflow_invalid")
            } else {
                (400, "invalid_body")
            };
            assert_eq!(
                (reply.status, reply.code().as_deref()),
                (code.0, Some(code.1)),
                "{path} {body}"
            );
        }
    }
    for (path, status, code) in [
        ("/v1/workflows/e2e/nowhere/1.0.0", 404, "not_found"),
        ("/v1/workflows/e2e/nowhere/latest", 404, "not_found"),
        ("/v1/workflows?after=x", 400, "invalid_parameter"),
        ("/v1/workflows?limit=0", 400, "invalid_parameter"),
    ] {
        let reply = admin.get(path).await?;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (status, Some(code)),
            "{path}"
        );
    }
    let nobody = "00000000-0000-0000-0000-000000000000";
    for verb in ["pause", "resume", "signal", "cancel"] {
        let body = if verb == "signal" {
            json!({"type": "x"})
        } else {
            json!({})
        };
        let reply = admin.post(&format!("/v1/runs/{nobody}/{verb}"), &body).await?;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (404, Some("not_found")),
            "{verb}"
        );
    }
    let id = flow::start(&admin, &document("brief", TASKS), json!({"name": "x"})).await?;
    flow::ended(&admin, &id).await?;
    for verb in ["pause", "resume", "signal", "cancel"] {
        let body = if verb == "signal" {
            json!({"type": "x"})
        } else {
            json!({})
        };
        let reply = admin.post(&format!("/v1/runs/{id}/{verb}"), &body).await?;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (409, Some("conflict")),
            "{verb}"
        );
    }
    for body in [json!({}), json!({"type": ""}), json!({"type": 1}), json!([])] {
        let reply = admin.post(&format!("/v1/runs/{id}/signal"), &body).await?;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (400, Some("invalid_body")),
            "{body}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn each_route_wants_its_scope() -> Result<()> {
    let (nobody, _) = with_scopes("e2e.no-flows", "service", &["agents:read"], 600).await?;
    let id = "00000000-0000-0000-0000-000000000000";
    let run = |verb: &str| format!("/v1/runs/{id}/{verb}");
    for (method, path, scope) in [
        ("GET", "/v1/workflows".to_owned(), "runs:read"),
        ("POST", "/v1/workflows".to_owned(), "runs:write"),
        ("POST", "/v1/workflows/validate".to_owned(), "runs:read"),
        ("POST", "/v1/workflows/plan".to_owned(), "runs:read"),
        ("GET", "/v1/workflows/a/b/1.0.0".to_owned(), "runs:read"),
        ("PUT", "/v1/workflows/a/b/1.0.0".to_owned(), "runs:write"),
        ("POST", run("pause"), "runs:write"),
        ("POST", run("resume"), "runs:write"),
        ("POST", run("signal"), "runs:write"),
        ("POST", "/v1/events".to_owned(), "events:write"),
    ] {
        let headers = [("content-type", "application/json")];
        let reply = nobody.send(method, &path, &headers, b"{}".to_vec()).await?;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (403, Some("forbidden")),
            "{method} {path}"
        );
        assert!(reply.text().contains(scope), "{method} {path}: {}", reply.text());
    }
    Ok(())
}
