//! Remote agents, discovery, cards and ARD over HTTP.

use crate::target::{admin, hall};
use anyhow::{Context, Result};
use guildhall_testkit::{Client, Reply};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(crate) fn card(name: &str, skills: &[&str]) -> Value {
    let skills: Vec<Value> = skills
        .iter()
        .map(|id| {
            json!({"id": id, "name": id.replace('_', " "), "description": format!("Can {}.", id.replace('_', " ")),
                "tags": ["e2e", id.split('_').next().unwrap_or(id)], "examples": ["one", "two"],
                "inputSchema": {"type": "object"}})
        })
        .collect();
    json!({"name": name, "description": "A remote agent of a test.", "version": "1.0.0", "skills": skills,
        "supportedInterfaces": [{"url": "https://agents.example.com/a2a", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}],
        "capabilities": {}, "defaultInputModes": ["application/json"], "defaultOutputModes": ["application/json"],
        "provider": {"organization": "Tests", "url": "https://example.com"}})
}

/// A client whose token is bound to the agent `id`.
pub(crate) async fn bound(id: &str) -> Result<Client> {
    let admin = admin().await?;
    let body = json!({"principal": format!("agent.{id}"), "kind": "service", "scopes": ["agents:register"],
        "agent_id": id, "ttl_s": 600});
    let reply = admin.post("/v1/tokens", &body).await?;
    let secret = reply.json()["token"].as_str().map(str::to_string);
    Ok(admin.token(secret.with_context(|| reply.text())?))
}

pub(crate) async fn put(client: &Client, path: &str, body: &Value) -> Result<Reply> {
    let headers = [("content-type", "application/json")];
    client
        .send("PUT", path, &headers, body.to_string().into_bytes())
        .await
}

async fn ids(client: &Client, query: &str) -> Result<Vec<String>> {
    let reply = client.get(&format!("/v1/agents?{query}")).await?;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    let items = reply.json()["items"].as_array().cloned().unwrap_or_default();
    Ok(items
        .iter()
        .filter_map(|agent| agent["id"].as_str().map(str::to_owned))
        .collect())
}

#[tokio::test]
async fn a_remote_agent_lives_its_life() -> Result<()> {
    let admin = admin().await?;
    let agent = bound("e2e-life").await?;
    let body = json!({"card": card("Life", &["juggle_things", "tidy_up"]), "ttl_s": 2});
    let reply = put(&agent, "/v1/agents/e2e-life", &body).await?;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.json()["status"], "active");
    assert_eq!(put(&agent, "/v1/agents/e2e-life", &body).await?.status, 200);
    let best = admin.get("/v1/agents/best?skill=juggle_things").await?;
    assert_eq!(best.json()["agent"]["id"], "e2e-life", "{}", best.text());

    let busy = put(&agent, "/v1/agents/e2e-life/status", &json!({"status": "busy"})).await?;
    assert_eq!(
        (busy.status, busy.json()["status"].as_str()),
        (200, Some("busy")),
        "{}",
        busy.text()
    );
    let beat = agent
        .post(
            "/v1/agents/e2e-life/heartbeat",
            &json!({"in_flight": 2, "load": 0.5}),
        )
        .await?;
    assert_eq!(
        beat.json()["status"],
        "busy",
        "a heartbeat leaves busy: {}",
        beat.text()
    );
    for wrong in ["offline", "suspect", "asleep"] {
        let reply = put(&agent, "/v1/agents/e2e-life/status", &json!({"status": wrong})).await?;
        assert_eq!(reply.status, 400, "{wrong}: {}", reply.text());
    }

    // Unheard of for its time to live: nobody is sent to it, and it is told of.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let shown = admin.get("/v1/agents/e2e-life").await?.json();
        let found = ids(&admin, "skill=juggle_things").await?;
        if shown["status"] == "suspect" || shown["status"] == "offline" {
            assert!(ids(&admin, "skill=juggle_things").await?.is_empty());
        } else {
            assert!(found.len() <= 1);
        }
        if shown["status"] == "offline" {
            break;
        }
        assert!(Instant::now() < deadline, "it never went offline: {shown:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(
        agent
            .post("/v1/agents/e2e-life/heartbeat", &json!({}))
            .await?
            .status,
        200
    );
    assert_eq!(admin.get("/v1/agents/e2e-life").await?.json()["status"], "busy");
    let gone = agent
        .send("DELETE", "/v1/agents/e2e-life", &[], Vec::new())
        .await?;
    assert_eq!(gone.status, 204, "{}", gone.text());
    let again = agent.post("/v1/agents/e2e-life/heartbeat", &json!({})).await?;
    assert_eq!((again.status, again.code().as_deref()), (404, Some("not_found")));
    Ok(())
}

#[tokio::test]
async fn nobody_takes_over_anothers_entry() -> Result<()> {
    let (owner, thief) = (bound("e2e-owner").await?, bound("e2e-thief").await?);
    let body = json!({"card": card("Owner", &["own_things"])});
    assert_eq!(put(&owner, "/v1/agents/e2e-owner", &body).await?.status, 201);
    let stolen = json!({"card": card("Thief", &["own_things"])});
    for reply in [
        put(&thief, "/v1/agents/e2e-owner", &stolen).await?,
        put(
            &thief,
            "/v1/agents/e2e-owner/status",
            &json!({"status": "draining"}),
        )
        .await?,
        thief.post("/v1/agents/e2e-owner/heartbeat", &json!({})).await?,
        thief
            .send("DELETE", "/v1/agents/e2e-owner", &[], Vec::new())
            .await?,
    ] {
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (403, Some("forbidden")),
            "{}",
            reply.text()
        );
    }
    let shown = admin().await?.get("/v1/agents/e2e-owner/card").await?.json();
    assert_eq!(shown["name"], "Owner");
    // The fleet's own entries are nobody's, not even an administrator's to register.
    let reply = put(&admin().await?, "/v1/agents/cicd", &stolen).await?;
    assert_eq!(reply.status, 400, "{}", reply.text());
    let body =
        json!({"principal": "x", "kind": "service", "scopes": ["agents:register"], "agent_id": "cicd"});
    assert_eq!(admin().await?.post("/v1/tokens", &body).await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn a_card_that_is_none_is_refused_with_its_place() -> Result<()> {
    let agent = bound("e2e-card").await?;
    for (pointer, value, part) in [
        (
            "/skills/0/inputSchema",
            json!({"type": "words"}),
            "`type` names no JSON type",
        ),
        (
            "/supportedInterfaces/0/url",
            json!("https://u:p@example.com"),
            "credentials",
        ),
        ("/skills/0/tags", json!([]), "tags"),
    ] {
        let mut card = card("Card", &["a_skill"]);
        *card.pointer_mut(pointer).context("there")? = value;
        let reply = put(&agent, "/v1/agents/e2e-card", &json!({"card": card})).await?;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (400, Some("invalid_body")),
            "{}",
            reply.text()
        );
        assert!(reply.text().contains(part), "{}", reply.text());
    }
    Ok(())
}

#[tokio::test]
async fn discovery_ranks_explains_and_pages() -> Result<()> {
    let admin = admin().await?;
    for n in 0..7 {
        let id = format!("e2e-find-{n}");
        let body = json!({"card": card("Find", &["catalogue_butterflies"]), "project": (n == 6).then_some("lepidoptera")});
        assert_eq!(
            put(&bound(&id).await?, &format!("/v1/agents/{id}"), &body)
                .await?
                .status,
            201
        );
    }
    let reply = admin
        .get("/v1/agents?q=butterfly%20catalogues&limit=1")
        .await?
        .json();
    assert_eq!(
        reply["items"][0]["match"]["skill"], "catalogue_butterflies",
        "{reply:#}"
    );
    assert_eq!(reply["items"][0]["match"]["field"], "name");
    let reply = admin.get("/v1/agents?q=buterflies&limit=1").await?.json();
    assert_eq!(reply["items"][0]["match"]["field"], "similar_word", "{reply:#}");
    for query in [
        "skill=catalogue_butterflies",
        "q=butterflies",
        "tag=e2e,catalogue",
    ] {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page = admin
                .get(&format!("/v1/agents?{query}&limit=2{after}"))
                .await?
                .json();
            let items = page["items"].as_array().cloned().unwrap_or_default();
            all.extend(items.iter().filter_map(|a| a["id"].as_str().map(str::to_owned)));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let wanted: Vec<String> = (0..7).map(|n| format!("e2e-find-{n}")).collect();
        assert_eq!(all, wanted, "{query}");
    }
    assert_eq!(
        ids(&admin, "skill=catalogue_butterflies&project=other")
            .await?
            .len(),
        6
    );
    for bad in ["after=zz", "status=asleep", "fields=all", "limit=0"] {
        assert_eq!(
            admin.get(&format!("/v1/agents?{bad}")).await?.status,
            400,
            "{bad}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn cards_can_be_kept() -> Result<()> {
    let nobody = admin().await?.token("");
    for path in [
        "/.well-known/agent-card.json",
        "/.well-known/ard.json",
        "/agents/cicd/.well-known/agent-card.json",
        "/v1/agents/cicd/card",
    ] {
        let reply = nobody.get(path).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let etag = reply.header("etag").context("an ETag")?.to_owned();
        assert_eq!(
            reply.header("cache-control"),
            Some("public, max-age=60"),
            "{path}"
        );
        let known = nobody
            .send("GET", path, &[("if-none-match", &etag)], Vec::new())
            .await?;
        assert_eq!((known.status, known.body.len()), (304, 0), "{path}");
        if path.contains("card") {
            let changed = reply.header("last-modified").context("Last-Modified")?.to_owned();
            let known = nobody
                .send("GET", path, &[("if-modified-since", &changed)], Vec::new())
                .await?;
            assert_eq!(known.status, 304, "{path}");
            for field in [
                "name",
                "description",
                "version",
                "supportedInterfaces",
                "capabilities",
                "defaultInputModes",
                "defaultOutputModes",
                "skills",
            ] {
                assert!(!reply.json()[field].is_null(), "{path} lacks {field}");
            }
        }
    }
    Ok(())
}

/// The rules of ards-project/ard-spec's conformance test (v0.9), as a list of what does not hold of an entry.
fn broken_rules(entry: &Value) -> Vec<&'static str> {
    let mut broken = Vec::new();
    let mut rule = |holds: bool, what: &'static str| {
        if !holds {
            broken.push(what);
        }
    };
    let parts: Vec<&str> = entry["identifier"]
        .as_str()
        .unwrap_or_default()
        .split(':')
        .collect();
    let plain = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    rule(
        parts.len() >= 4 && parts[..2] == ["urn", "air"] && parts[2..].iter().all(plain),
        "identifier is urn:air:...",
    );
    rule(
        entry["displayName"].as_str().is_some_and(|name| !name.is_empty()),
        "displayName",
    );
    rule(
        entry["type"].as_str().is_some_and(|kind| kind.contains('/')),
        "type",
    );
    rule(
        entry.get("url").is_some() != entry.get("data").is_some(),
        "exactly one of url and data",
    );
    if let Some(queries) = entry.get("representativeQueries") {
        let count = queries.as_array().map_or(0, Vec::len);
        rule((2..=5).contains(&count), "2 to 5 representativeQueries");
    }
    let known = [
        "identifier",
        "displayName",
        "type",
        "url",
        "data",
        "description",
        "tags",
        "capabilities",
        "representativeQueries",
        "version",
        "updatedAt",
        "metadata",
        "trustManifest",
        "score",
        "source",
    ];
    rule(
        entry
            .as_object()
            .is_some_and(|o| o.keys().all(|k| known.contains(&k.as_str()))),
        "known members",
    );
    broken
}

#[tokio::test]
async fn ard_holds_its_rules() -> Result<()> {
    let admin = admin().await?;
    let agent = bound("e2e-ard").await?;
    let body = json!({"card": card("Ard", &["forecast_weather"])});
    assert_eq!(put(&agent, "/v1/agents/e2e-ard", &body).await?.status, 201);
    for path in ["/.well-known/ard.json", "/.well-known/ai-catalog.json"] {
        let manifest = admin.token("").get(path).await?.json();
        assert_eq!(manifest["specVersion"], "1.0");
        let entries = manifest["entries"].as_array().context("entries")?;
        assert!(
            entries
                .iter()
                .any(|entry| entry["type"] == "application/ai-registry+json")
        );
        for entry in entries {
            assert_eq!(broken_rules(entry), Vec::<&str>::new(), "{entry:#}");
        }
    }
    // The very query of the official test: there are no MCP servers here, which is an answer.
    let query = json!({"query": {"text": "weather forecast tools", "filter": {"type": ["application/mcp-server-card+json"]}},
        "federation": "none", "pageSize": 2});
    let reply = admin.post("/ard/search", &query).await?;
    assert_eq!((reply.status, reply.json()), (200, json!({"results": []})));
    let query = json!({"query": {"text": "weather forecast tools"}, "pageSize": 2});
    let reply = admin.post("/ard/search", &query).await?;
    let results = reply.json()["results"]
        .as_array()
        .cloned()
        .with_context(|| reply.text())?;
    assert_eq!(
        results.first().map(|r| r["capabilities"][0].clone()),
        Some(json!("forecast_weather"))
    );
    for result in &results {
        assert_eq!(broken_rules(result), Vec::<&str>::new(), "{result:#}");
        assert!(
            result["score"].as_u64().is_some_and(|score| score <= 100),
            "{result:#}"
        );
        assert!(
            result["source"]
                .as_str()
                .is_some_and(|source| source.ends_with("/ard"))
        );
    }
    let first = admin.get("/ard/agents?pageSize=2").await?.json();
    assert_eq!(first["items"].as_array().map(Vec::len), Some(2));
    for item in first["items"].as_array().context("items")? {
        assert_eq!(broken_rules(item), Vec::<&str>::new(), "{item:#}");
    }
    let token = first["pageToken"].as_str().context("a pageToken")?;
    let second = admin
        .get(&format!("/ard/agents?pageSize=2&pageToken={token}"))
        .await?
        .json();
    assert_ne!(first["items"][0], second["items"][0]);
    for bad in [
        json!({}),
        json!({"query": {"text": ""}}),
        json!({"query": {"text": "x"}, "pageSize": 0}),
        json!({"query": {"text": "x", "filter": {"nonsense": "x"}}}),
        json!({"query": {"text": "x"}, "pageToken": "zz"}),
    ] {
        let reply = admin.post("/ard/search", &bad).await?;
        assert_eq!(
            (reply.status, &reply.json()["errorCode"]),
            (400, &json!("INVALID_ARGUMENT")),
            "{bad}"
        );
    }
    assert_eq!(
        admin.post("/ard/explore", &json!({})).await?.status,
        404,
        "explore is optional and not here"
    );
    Ok(())
}

#[tokio::test]
async fn a_probe_does_not_go_where_others_point() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let agent = bound("e2e-ssrf").await?;
    let body = json!({"card": card("Ssrf", &["point_inwards"]), "liveness": "probe", "ttl_s": 600,
        "health_url": format!("http://127.0.0.1:{port}/secret")});
    assert_eq!(put(&agent, "/v1/agents/e2e-ssrf", &body).await?.status, 201);
    let admin = admin().await?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let shown = admin.get("/v1/agents/e2e-ssrf").await?.json();
        if shown["status"] == "suspect" {
            let detail = shown["probe_detail"].as_str().unwrap_or_default();
            assert!(detail.contains("scheme_not_allowed"), "{shown:#}");
            break;
        }
        assert!(Instant::now() < deadline, "it was never probed: {shown:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let knocked = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
    assert!(knocked.is_err(), "somebody went there");
    assert!(ids(&admin, "skill=point_inwards").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_fleet_comes_back_after_the_registry_was_emptied() -> Result<()> {
    let Some(_) = hall("the_fleet_comes_back_after_the_registry_was_emptied").await? else {
        return Ok(());
    };
    let admin = admin().await?;
    let reply = admin
        .send("DELETE", "/v1/agents/documentation", &[], Vec::new())
        .await?;
    assert!(reply.status == 204 || reply.status == 404, "{}", reply.text());
    let deadline = Instant::now() + Duration::from_secs(60);
    while admin.get("/v1/agents/documentation").await?.json()["status"] != "active" {
        assert!(Instant::now() < deadline, "it does not come back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
