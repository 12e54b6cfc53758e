//! Every skill that the original platform's request types became, asked for as anybody asks: `POST /v1/requests`, which
//! the dispatcher hands on as `POST /agent-request`.

use crate::target::{admin, hall};
use anyhow::{Context, Result};
use guildhall_testkit::Client;
use serde_json::{Value, json};
use std::time::Duration;

/// Asks one agent for a skill and gives the request at its end.
pub async fn ask(client: &Client, agent: &str, skill: &str, input: Value) -> Result<Value> {
    let body = json!({"agent": agent, "skill": skill, "input": input, "max_attempts": 2, "timeout_s": 120});
    let headers = [("content-type", "application/json"), ("prefer", "wait=60")];
    let client = client.timeout(Duration::from_secs(90));
    // Agents register within seconds of the start; until then nobody has the skill.
    for _ in 0..100 {
        let bytes = body.to_string().into_bytes();
        let reply = client.send("POST", "/v1/requests", &headers, bytes).await?;
        if reply.code().as_deref() == Some("unknown_skill") {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        }
        let mut request = reply.json();
        anyhow::ensure!(
            request["id"].is_string(),
            "{agent} {skill}: {} {}",
            reply.status,
            reply.text()
        );
        while request["finished_at"].is_null() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let id = request["id"].as_str().unwrap_or_default().to_owned();
            request = client.get(&format!("/v1/requests/{id}")).await?.json();
        }
        return Ok(request);
    }
    anyhow::bail!("nobody offers {skill}")
}

/// The result of a request that succeeds.
async fn result(client: &Client, agent: &str, skill: &str, input: Value) -> Result<Value> {
    let request = ask(client, agent, skill, input).await?;
    assert_eq!(request["state"], "succeeded", "{agent} {skill}: {request:#}");
    assert!(
        request["result"]["summary"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{request:#}"
    );
    Ok(request["result"].clone())
}

const SOURCE: &str = "//! A shop.\n\n/// Adds up.\npub fn total(items: &[u8]) -> usize {\n    let mut sum = 0;\n    for item in items \
                      {\n        if *item > 0 {\n            sum += 1;\n        }\n    }\n    sum\n}\n\nfn hidden() {}\n";

/// A branch with source and configuration, made by the skill that commits files.
async fn sample(client: &Client, branch: &str) -> Result<String> {
    let own = format!("notes/{branch}.md");
    let files = json!([
        {"path": own, "content": "So that no two samples are one commit.\n"},
        {"path": "src/shop.rs", "content": SOURCE},
        {"path": "config/app.toml", "content": "# The app.\n[server]\nport = 80 # plain\n"},
        {"path": "config/app.yaml", "content": "server:\n  port: 80\n"},
        {"path": "README.md", "content": "# Shop\n\n## Usage\n\nOld.\n\n## Licence\n\nMIT\n"},
    ]);
    let input = json!({"branch": branch, "base": "main", "files": files, "message": "Add a sample"});
    let made = result(client, "feature-dev", "apply_change", input).await?;
    Ok(made["revision"].as_str().context("a revision")?.to_owned())
}

#[tokio::test]
async fn every_agent_tells_its_own_queue() -> Result<()> {
    let admin = admin().await?;
    for agent in [
        "orchestrator",
        "feature-dev",
        "code-review",
        "infrastructure",
        "cicd",
        "documentation",
    ] {
        let status = result(&admin, agent, "get_status", json!({})).await?;
        assert_eq!(
            (status["agent"].as_str(), status["status"].as_str()),
            (Some(agent), Some("active"))
        );
        // The request itself is at work while it is answered.
        assert!(
            status["leased"].as_u64().is_some_and(|count| count >= 1),
            "{status:#}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_orchestrator_plans_routes_and_puts_together() -> Result<()> {
    let Some(hall) = hall("the_orchestrator_plans").await? else {
        return Ok(());
    };
    let admin = hall.fleet.admin();
    let words = "review and test branch good-change";
    let planned = result(&admin, "orchestrator", "plan_task", json!({"message": words})).await?;
    let decomposed = result(
        &admin,
        "orchestrator",
        "decompose_task",
        json!({"task_description": words}),
    )
    .await?;
    assert_eq!(planned["plan"], decomposed["plan"], "one idea, two names");
    assert_eq!(decomposed["plan"].as_array().map(Vec::len), Some(2));

    let routed = result(
        &admin,
        "orchestrator",
        "route_request",
        json!({"capability": "run_checks"}),
    )
    .await?;
    assert_eq!(
        (routed["agent"].as_str(), routed["skill"].as_str()),
        (Some("cicd"), Some("run_checks"))
    );
    assert!(routed["reason"]["success"].is_number(), "{routed:#}");
    let by_words = result(
        &admin,
        "orchestrator",
        "route_request",
        json!({"capability": "change-log entry"}),
    )
    .await?;
    assert_eq!(by_words["agent"], "documentation", "{by_words:#}");
    let nobody = ask(
        &admin,
        "orchestrator",
        "route_request",
        json!({"capability": "zzyzx"}),
    )
    .await?;
    assert_eq!(
        (nobody["state"].as_str(), nobody["error"]["code"].as_str()),
        (Some("rejected"), Some("unknown_skill"))
    );

    let leak = json!({"file_path": "settings.ini", "changes": format!("key = {}\n", ["AK", "IA", "QYLPMN5HHHFPZAM2"].concat())});
    let review = ask(&admin, "code-review", "review_code", leak).await?;
    let findings = &review["result"]["findings"];
    let results = json!({"results": [review, review, {"status": "passed", "summary": "fine"}]});
    let all = result(&admin, "orchestrator", "aggregate_results", results).await?;
    assert_eq!(all["counts"], json!({"negative": 2, "succeeded": 1}), "{all:#}");
    assert_eq!(
        all["findings_total"],
        json!(findings.as_array().map(Vec::len)),
        "each once: {all:#}"
    );
    assert_eq!(all["worst_severity"], findings[0]["severity"], "{all:#}");
    Ok(())
}

#[tokio::test]
async fn code_is_reviewed_and_explained_by_rules() -> Result<()> {
    let Some(hall) = hall("code_is_reviewed").await? else {
        return Ok(());
    };
    let admin = hall.fleet.admin();
    let secret = ["AK", "IA", "QYLPMN5HHHFPZAM2"].concat();
    let diff = format!("--- a/settings.ini\n+++ b/settings.ini\n@@ -0,0 +1 @@\n+key = {secret}\n");
    for (skill, input) in [
        (
            "review_code",
            json!({"file_path": "settings.ini", "changes": format!("key = {secret}\n")}),
        ),
        (
            "review_code",
            json!({"file_path": "settings.ini", "changes": diff}),
        ),
        ("static_analysis", json!({"diff": diff})),
    ] {
        let review = result(&admin, "code-review", skill, input).await?;
        assert_eq!(
            (review["verdict"].as_str(), review["by"].as_str()),
            (Some("block"), Some("rules")),
            "{review:#}"
        );
        assert!(
            !review.to_string().contains(&secret),
            "the credential is not repeated"
        );
    }
    let python = result(
        &admin,
        "code-review",
        "static_analysis",
        json!({"diff": diff, "language": "python"}),
    )
    .await?;
    assert_eq!(
        (python["verdict"].as_str(), python["files_reviewed"].as_u64()),
        (Some("approve"), Some(0))
    );
    let broken = ask(&admin, "code-review", "static_analysis", json!({"diff": "hello"})).await?;
    assert_eq!(
        (broken["state"].as_str(), broken["error"]["code"].as_str()),
        (Some("rejected"), Some("invalid_input"))
    );

    let by_branch = result(
        &admin,
        "code-review",
        "review_pr",
        json!({"head": "leaked-credential"}),
    )
    .await?;
    assert_eq!(
        (by_branch["verdict"].as_str(), by_branch["base"].as_str()),
        (Some("block"), Some("main"))
    );
    let by_number = ask(
        &admin,
        "code-review",
        "review_pr",
        json!({"repo_url": "https://example.com/x", "pr_number": 7}),
    )
    .await?;
    assert_eq!(by_number["error"]["code"], "not_configured", "{by_number:#}");
    assert!(
        by_number["error"]["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("head"))
    );

    let revision = sample(&admin, "e2e-explained").await?;
    for agent in ["code-review", "documentation"] {
        let input = json!({"path": "src/shop.rs", "revision": "e2e-explained"});
        let explained = result(&admin, agent, "explain_code", input).await?;
        assert_eq!(
            (explained["by"].as_str(), &explained["revision"]),
            (Some("rules"), &json!(revision)),
            "{explained:#}"
        );
        assert_eq!(explained["functions"][0]["name"], "total");
        assert_eq!(explained["functions"][0]["complexity"], 3, "{explained:#}");
        assert!(explained["explanation"].is_null(), "no model, no prose");
    }
    let given = result(
        &admin,
        "code-review",
        "explain_code",
        json!({"code": SOURCE, "detail_level": "brief"}),
    )
    .await?;
    assert_eq!(
        (given["language"].as_str(), given["lines"]["total"].as_u64()),
        (Some("rust"), Some(14))
    );
    let missing = ask(
        &admin,
        "code-review",
        "explain_code",
        json!({"path": "no/such.rs"}),
    )
    .await?;
    assert_eq!(
        (missing["state"].as_str(), missing["error"]["code"].as_str()),
        (Some("failed"), Some("not_found"))
    );
    Ok(())
}

#[tokio::test]
async fn configuration_changes_are_committed_to_a_branch_of_their_own() -> Result<()> {
    let Some(hall) = hall("configuration_changes").await? else {
        return Ok(());
    };
    let admin = hall.fleet.admin();
    sample(&admin, "e2e-configured").await?;
    for (path, expected) in [
        ("config/app.toml", "# The app.\n[server]\nport = 8080 # plain"),
        ("config/app.yaml", "server:\n  port: 8080"),
    ] {
        let input = json!({"path": path, "config_key": "server.port", "config_value": 8080, "base": "e2e-configured"});
        let set = result(&admin, "infrastructure", "update_config", input).await?;
        let branch = set["branch"].as_str().context("a branch")?;
        assert!(branch.starts_with("guildhall/config-"), "{set:#}");
        assert_eq!(set["previous"], "80");
        assert_eq!(
            hall.repository.git(&["show", &format!("{branch}:{path}")])?,
            expected
        );
        let stat = hall
            .repository
            .git(&["diff", "--numstat", "e2e-configured", branch])?;
        assert_eq!(stat, format!("1\t1\t{path}"), "one line of one file changed");
    }
    let same = json!({"path": "config/app.toml", "config_key": "server.port", "config_value": 80, "base": "e2e-configured"});
    assert_eq!(
        result(&admin, "infrastructure", "update_config", same).await?["changed"],
        false
    );
    let before = hall.repository.git(&[
        "for-each-ref",
        "--format=%(refname)",
        "refs/heads/guildhall/config-*",
    ])?;
    for (key, value, code) in [
        ("database.password", json!("hunter2"), "invalid_input"),
        ("server", json!(1), "invalid_input"),
        ("a..b", json!(1), "invalid_input"),
    ] {
        let input = json!({"path": "config/app.toml", "config_key": key, "config_value": value, "base": "e2e-configured"});
        let refused = ask(&admin, "infrastructure", "update_config", input).await?;
        assert_eq!(refused["error"]["code"], code, "{refused:#}");
        assert!(
            !refused["error"].to_string().contains("hunter2"),
            "the value is not repeated"
        );
    }
    let hostile = json!({"path": "../outside.toml", "config_key": "a", "config_value": 1});
    let hostile = ask(&admin, "infrastructure", "update_config", hostile).await?;
    assert_eq!(
        (hostile["state"].as_str(), hostile["error"]["code"].as_str()),
        (Some("rejected"), Some("invalid_input"))
    );
    let after = hall.repository.git(&[
        "for-each-ref",
        "--format=%(refname)",
        "refs/heads/guildhall/config-*",
    ])?;
    assert_eq!(before, after, "what is refused makes no branch");
    Ok(())
}

#[tokio::test]
async fn infrastructure_files_come_from_facts_and_services_are_asked() -> Result<()> {
    let Some(hall) = hall("infrastructure_files").await? else {
        return Ok(());
    };
    let admin = hall.fleet.admin();
    for (provider, says) in [("compose", "services:"), ("kubernetes", "kind: Deployment")] {
        let service = json!({"name": "shop", "image": "registry.example.com/shop:1.4.2", "port": 8080});
        let input = json!({"provider": provider, "service": service});
        let made = result(&admin, "infrastructure", "generate_infrastructure", input).await?;
        assert_eq!(made["by"], "rules");
        assert!(
            made["content"]
                .as_str()
                .is_some_and(|text| text.contains(says) && text.contains("8080")),
            "{made:#}"
        );
    }
    let health = ask(
        &admin,
        "infrastructure",
        "health_check",
        json!({"services": ["production", "nowhere"]}),
    )
    .await?;
    let services = &health["result"]["services"];
    assert_eq!(services[1]["error"]["code"], "unknown_environment", "{health:#}");
    assert_eq!(services[0]["environment"], "production");
    let alone = ask(
        &admin,
        "infrastructure",
        "check_health",
        json!({"environment": "nowhere"}),
    )
    .await?;
    assert_eq!(alone["error"]["code"], "unknown_environment", "{alone:#}");
    Ok(())
}

#[tokio::test]
async fn pipelines_run_and_builds_are_judged_by_what_was_recorded() -> Result<()> {
    let Some(hall) = hall("pipelines_run").await? else {
        return Ok(());
    };
    let admin = hall.fleet.admin();
    let revision = sample(&admin, "e2e-built").await?;
    let build = json!({"build_id": revision});
    let unknown = result(&admin, "cicd", "validate_build", build.clone()).await?;
    assert_eq!(
        (unknown["status"].as_str(), &unknown["missing"]),
        (Some("incomplete"), &json!(["test"])),
        "{unknown:#}"
    );
    let ran = result(
        &admin,
        "cicd",
        "run_pipeline",
        json!({"pipeline_name": "all", "branch": "e2e-built"}),
    )
    .await?;
    assert_eq!(
        (ran["status"].as_str(), &ran["revision"]),
        (Some("passed"), &json!(revision)),
        "{ran:#}"
    );
    assert!(
        ran["checks"][0]["output_tail"]
            .as_str()
            .is_some_and(|tail| tail.contains("value is 42"))
    );
    let good = result(&admin, "cicd", "validate_build", build).await?;
    assert_eq!(
        (good["status"].as_str(), good["checks"][0]["exit_code"].as_i64()),
        (Some("passed"), Some(0)),
        "{good:#}"
    );

    let bad = hall.repository.git(&["rev-parse", "broken-test"])?;
    let ran = result(
        &admin,
        "cicd",
        "run_pipeline",
        json!({"pipeline_name": "test", "branch": "broken-test"}),
    )
    .await?;
    assert_eq!(ran["status"], "failed");
    let judged = result(&admin, "cicd", "validate_build", json!({"build_id": bad})).await?;
    assert_eq!(
        (judged["status"].as_str(), &judged["failed"]),
        (Some("failed"), &json!(["test"])),
        "{judged:#}"
    );
    let nothing = ask(
        &admin,
        "cicd",
        "run_pipeline",
        json!({"pipeline_name": "no-such-check"}),
    )
    .await?;
    assert_eq!(nothing["state"], "failed", "{nothing:#}");
    Ok(())
}

#[tokio::test]
async fn an_artifact_is_deployed_by_a_run_with_its_gates() -> Result<()> {
    let Some(hall) = hall("an_artifact_is_deployed").await? else {
        return Ok(());
    };
    let admin = hall.fleet.admin();
    let revision = sample(&admin, "e2e-artifact").await?;
    let input = json!({"artifact_id": revision, "environment": "staging"});
    let deployed = result(&admin, "cicd", "deploy_artifact", input).await?;
    let run = hall.ended(deployed["run_id"].as_str().context("a run")?).await?;
    assert_eq!(run.status(), "completed", "{:#}", run.0);
    assert_eq!(run.steps(), ["review", "test", "deploy"]);
    let input = json!({"artifact_id": revision, "environment": "production"});
    let risky = result(&admin, "cicd", "deploy_artifact", input).await?;
    let names: Vec<_> = risky["plan"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|step| step["step"].as_str())
        .collect();
    assert_eq!(
        names,
        ["review", "test", "approve", "deploy"],
        "another person decides: {risky:#}"
    );
    let nowhere = json!({"artifact_id": revision, "environment": "nowhere"});
    let nowhere = ask(&admin, "cicd", "deploy_artifact", nowhere).await?;
    assert_eq!(nowhere["error"]["code"], "unknown_environment", "{nowhere:#}");
    Ok(())
}

#[tokio::test]
async fn documents_come_from_the_code_and_a_readme_gets_its_section() -> Result<()> {
    let Some(hall) = hall("documents_come_from_the_code").await? else {
        return Ok(());
    };
    let admin = hall.fleet.admin();
    sample(&admin, "e2e-documented").await?;
    for path in ["src", "src/shop.rs"] {
        let input = json!({"path": path, "revision": "e2e-documented"});
        let docs = result(&admin, "documentation", "generate_docs", input).await?;
        let text = docs["markdown"].as_str().context("Markdown")?;
        assert!(
            text.contains("pub fn total(items: &[u8]) -> usize") && text.contains("Adds up."),
            "{text}"
        );
        assert!(!text.contains("hidden") && docs["by"] == "rules");
    }
    let given = json!({"code": SOURCE, "path": "shop.rs", "format": "json"});
    let given = result(&admin, "documentation", "generate_docs", given).await?;
    assert_eq!(
        given["reference"][0]["functions"][0]["name"], "total",
        "{given:#}"
    );

    let input = json!({"section": "Usage", "content": "New.", "base": "e2e-documented"});
    let put = result(&admin, "documentation", "update_readme", input).await?;
    let branch = put["branch"].as_str().context("a branch")?;
    assert_eq!(put["outcome"], "replaced");
    let text = hall.repository.git(&["show", &format!("{branch}:README.md")])?;
    assert_eq!(text, "# Shop\n\n## Usage\n\nNew.\n\n## Licence\n\nMIT");
    let input = json!({"section": "Usage", "content": "## Other\n\nx", "base": "e2e-documented"});
    let refused = ask(&admin, "documentation", "update_readme", input).await?;
    assert_eq!(
        (refused["state"].as_str(), refused["error"]["code"].as_str()),
        (Some("rejected"), Some("invalid_input"))
    );
    Ok(())
}

#[tokio::test]
async fn without_a_model_what_needs_one_says_what_to_set() -> Result<()> {
    let Some(hall) = hall("without_a_model").await? else {
        return Ok(());
    };
    let admin = hall.fleet.admin();
    let feature = json!({"description": "x", "branch": "e2e-feature"});
    for (agent, skill, input) in [
        ("feature-dev", "implement_feature", feature.clone()),
        ("feature-dev", "implement_and_review", feature),
        ("feature-dev", "generate_code", json!({"requirements": "x"})),
        ("feature-dev", "refactor_code", json!({"code": "x"})),
        (
            "infrastructure",
            "generate_infrastructure",
            json!({"provider": "terraform", "description": "x"}),
        ),
    ] {
        let request = ask(&admin, agent, skill, input).await?;
        let error = &request["error"];
        assert_eq!(
            (request["state"].as_str(), error["code"].as_str()),
            (Some("failed"), Some("not_configured")),
            "{skill}"
        );
        let hint = error["hint"].as_str().unwrap_or_default();
        assert!(
            hint.contains("llm_api_key") && hint.contains("llm_model"),
            "{skill}: {error:#}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn every_refusal_has_a_code_of_its_own() -> Result<()> {
    let Some(hall) = hall("every_refusal").await? else {
        return Ok(());
    };
    let admin = hall.fleet.admin();
    result(&admin, "cicd", "get_status", json!({})).await?;
    let body = json!({"skill": "no_such_skill", "input": {}});
    let unknown = admin.post("/v1/requests", &body).await?;
    assert_eq!(
        (unknown.status, unknown.code().as_deref()),
        (422, Some("unknown_skill"))
    );
    let body = json!({"skill": "get_status", "agent": "cicd", "input": {"agent": "other"}});
    let wrong = admin.post("/v1/requests", &body).await?;
    assert_eq!(
        (wrong.status, wrong.code().as_deref()),
        (422, Some("invalid_input")),
        "{}",
        wrong.text()
    );
    let hanging = hall.repository.git(&["rev-parse", "hanging-check"])?;
    let body =
        json!({"skill": "run_checks", "input": {"revision": hanging}, "timeout_s": 1, "max_attempts": 1});
    let mut late = admin.post("/v1/requests", &body).await?.json();
    while late["finished_at"].is_null() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let id = late["id"].as_str().context("an id")?.to_owned();
        late = admin.get(&format!("/v1/requests/{id}")).await?.json();
    }
    assert_eq!(
        (late["state"].as_str(), late["error"]["code"].as_str()),
        (Some("timed_out"), Some("timed_out")),
        "{late:#}"
    );
    let outside = admin.post("/agent-request", &json!({})).await?;
    assert_eq!(
        (outside.status, outside.code().as_deref()),
        (404, Some("unknown_route")),
        "agents have no public route"
    );
    Ok(())
}
