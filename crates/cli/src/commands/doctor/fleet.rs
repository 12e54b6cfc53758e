//! What the fleet must have: a database of the right schema, Redis, agents, a workspace.

use super::Finding;
use crate::context::Context;
use crate::database;
use crate::error::{CliError, Exit, Result};
use crate::http::Api;
use guildhall_domain::agent::AgentSummary;
use guildhall_provision::fleet::Credentials;
use guildhall_store_native::{NativeDb, NativeDbOptions};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Looks at the fleet that the context names.
pub async fn look(context: &Context, database_url: Option<String>) -> Result<Vec<Finding>> {
    let known = context.credentials();
    let api = context.api()?;
    let mut findings = vec![
        database(database_url, known.as_ref()).await,
        redis(known.as_ref()).await,
    ];
    let reachable = fleet(&api).await;
    let is_up = reachable.verdict == super::Verdict::Ok;
    findings.push(reachable);
    if is_up {
        findings.push(ready(&api).await);
        findings.extend(agents(&api, context.token()?.is_some()).await);
    } else {
        for check in ["ready", "token", "agents"] {
            findings.push(Finding::skipped(check, "the fleet has to be reachable first"));
        }
    }
    findings.extend(workspace(known.as_ref()).await);
    Ok(findings)
}

async fn database(given: Option<String>, known: Option<&Credentials>) -> Finding {
    let check = "database";
    let Some(url) = given.or_else(|| {
        known
            .map(|known| known.database.clone())
            .filter(|url| !url.is_empty())
    }) else {
        return Finding::skipped(
            check,
            "none is known; `guildhall up` starts a private one, or give --database-url",
        );
    };
    let config = match database::parse(&url) {
        Ok(config) => config,
        Err(error) => return broken(check, &error),
    };
    let (host, port) = database::address(&config);
    let version = async {
        let db = NativeDb::new(config, NativeDbOptions::default())?;
        guildhall_store::ops::schema_version(&db).await
    };
    match version.await {
        Ok(found) if found.version == guildhall_store::SCHEMA_VERSION => Finding::ok(
            check,
            format!("reachable at {host}:{port}, schema version {}", found.version),
        ),
        Ok(found) => {
            let treatment = match found.version < guildhall_store::SCHEMA_VERSION {
                true => "guildhall migrate",
                false => "use the version of guildhall that made the database, or a later one",
            };
            let wanted = guildhall_store::SCHEMA_VERSION;
            Finding::failed(
                check,
                format!(
                    "the schema has version {}, this program wants {wanted}",
                    found.version
                ),
                treatment,
            )
        }
        Err(error) => {
            let problem = guildhall_domain::Problem::from(error);
            let treatment = problem
                .hint
                .unwrap_or_else(|| "start it, or correct --database-url; then `guildhall migrate`".into());
            Finding::failed(check, format!("at {host}:{port}: {}", problem.detail), treatment)
        }
    }
}

async fn redis(known: Option<&Credentials>) -> Finding {
    let check = "doorbell";
    let Some(url) = known
        .map(|known| known.redis.as_str())
        .filter(|url| !url.is_empty())
    else {
        return Finding::skipped(check, "no Redis is known; `guildhall up` starts a private one");
    };
    match ping(url).await {
        Ok(()) => Finding::ok(check, "Redis answers"),
        Err(why) => Finding::warning(
            check,
            format!("Redis does not answer: {why}"),
            "start it again; until then everything goes on, up to a second later",
        ),
    }
}

async fn ping(url: &str) -> std::result::Result<(), String> {
    let url = url::Url::parse(url).map_err(|error| error.to_string())?;
    if url.scheme() == "rediss" {
        return Err("it speaks TLS, which the doctor does not try".into());
    }
    let address = (
        url.host_str().unwrap_or("127.0.0.1").to_string(),
        url.port().unwrap_or(6379),
    );
    let exchange = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let login = url.password().map(|password| match url.username() {
            "" => format!("AUTH {password}\r\n"),
            user => format!("AUTH {user} {password}\r\n"),
        });
        stream
            .write_all(format!("{}PING\r\n", login.unwrap_or_default()).as_bytes())
            .await?;
        let mut answer = Vec::new();
        let mut chunk = [0u8; 256];
        while !answer.ends_with(b"+PONG\r\n") && !answer.starts_with(b"-") {
            match stream.read(&mut chunk).await? {
                0 => break,
                read => answer.extend_from_slice(&chunk[..read]),
            }
        }
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).trim().to_string())
    };
    let answer = tokio::time::timeout(Duration::from_secs(3), exchange)
        .await
        .map_err(|_| "no answer within 3 s".to_string())?
        .map_err(|error| error.to_string())?;
    if answer.ends_with("+PONG") {
        Ok(())
    } else {
        Err(answer)
    }
}

async fn fleet(api: &Api) -> Finding {
    match api.send("GET", "/livez", None).await {
        Ok(answer) if answer.status == 200 => Finding::ok("fleet", format!("reachable at {}", api.base())),
        Ok(answer) => Finding::failed(
            "fleet",
            format!("{} answers HTTP {} to /livez", api.base(), answer.status),
            "is that really a Guildhall? name the right one with --url",
        ),
        Err(error) => Finding::failed(
            "fleet",
            format!("not reachable at {}: {}", api.base(), error.causes.join(": ")),
            "start one with `guildhall up --repo PATH`, or name another with --url",
        ),
    }
}

async fn ready(api: &Api) -> Finding {
    match api.send("GET", "/readyz", None).await {
        Ok(answer) if answer.status == 200 => Finding::ok("ready", "it says that it is ready"),
        Ok(answer) => {
            let detail = answer.json["detail"]
                .as_str()
                .unwrap_or(answer.text.trim())
                .to_string();
            let hint = answer.json["hint"]
                .as_str()
                .unwrap_or("look into logs/ in the state directory")
                .to_string();
            Finding::failed("ready", detail, hint)
        }
        Err(error) => broken("ready", &error),
    }
}

/// One question answers two: whether the token is good, and who is there.
async fn agents(api: &Api, has_token: bool) -> Vec<Finding> {
    let page = match api.get("list the agents", "/v1/agents?limit=200").await {
        Ok(page) => page,
        Err(error) if error.exit == Exit::Failure => {
            let treatment = match has_token {
                true => {
                    "ask an administrator for a new one: guildhall token create --principal YOU --scope …"
                }
                false => "set GUILDHALL_TOKEN, or run where `guildhall up` keeps its state directory",
            };
            return vec![
                Finding::failed("token", error.causes.join(": "), treatment),
                Finding::skipped("agents", "a good token is needed first"),
            ];
        }
        Err(error) => {
            return vec![
                broken("token", &error),
                Finding::skipped("agents", "cannot be asked for"),
            ];
        }
    };
    let agents: Vec<AgentSummary> = serde_json::from_value(page["items"].clone()).unwrap_or_default();
    let (live, gone): (Vec<&AgentSummary>, Vec<&AgentSummary>) =
        agents.iter().partition(|agent| agent.status.takes_work());
    let names = |agents: &[&AgentSummary]| {
        agents
            .iter()
            .map(|agent| agent.id.clone())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let token = Finding::ok("token", "the fleet takes it");
    let agents = match (live.len(), gone.len()) {
        (0, 0) => Finding::failed(
            "agents",
            "none is registered",
            "wait some seconds; then look into logs/ops.log",
        ),
        (0, _) => Finding::failed(
            "agents",
            format!("all are offline: {}", names(&gone)),
            "look into logs/ops.log",
        ),
        (_, 0) => Finding::ok("agents", names(&live)),
        (_, _) => Finding::warning(
            "agents",
            format!("offline: {}; live: {}", names(&gone), names(&live)),
            "look into their logs",
        ),
    };
    vec![token, agents]
}

async fn workspace(known: Option<&Credentials>) -> Vec<Finding> {
    let Some(known) = known.filter(|known| !known.workspace_url.is_empty()) else {
        return vec![
            Finding::skipped(
                "workspace",
                "none is known; `guildhall up --repo PATH` starts one",
            ),
            Finding::skipped("repository", "there is no workspace"),
        ];
    };
    match describe(&known.workspace_url, &known.workspace_token).await {
        Err(error) => vec![
            Finding::failed(
                "workspace",
                format!(
                    "not reachable at {}: {}",
                    known.workspace_url,
                    error.causes.join(": ")
                ),
                "`guildhall up` restarts it by itself; look into logs/workspace.log",
            ),
            Finding::skipped("repository", "the workspace has to be reachable first"),
        ],
        Ok(answer) => {
            vec![
                Finding::ok("workspace", format!("reachable at {}", known.workspace_url)),
                repository(&answer),
            ]
        }
    }
}

/// Calls the tool `repository_describe`.
async fn describe(url: &str, token: &str) -> Result<Value> {
    const PROTOCOL: &str = "2025-11-25";
    let message = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": { "name": "repository_describe", "arguments": {} },
    });
    let api = Api::new(url, Some(token.to_string()))?.header("mcp-protocol-version", PROTOCOL);
    let answer = api.send("POST", "/mcp", Some(&message)).await?;
    if answer.status == 200 {
        return Ok(answer.json);
    }
    Err(CliError::new("cannot ask the workspace").because(format!(
        "HTTP {}: {}",
        answer.status,
        answer.text.trim()
    )))
}

fn repository(answer: &Value) -> Finding {
    let check = "repository";
    let result = &answer["result"];
    let content = &result["structuredContent"];
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_string();
    if answer["error"].is_object() {
        return Finding::failed(
            check,
            text(&answer["error"], "message"),
            "are workspace and guildhall of one version?",
        );
    }
    if result["isError"].as_bool() == Some(true) {
        return Finding::failed(check, text(content, "message"), text(content, "hint"));
    }
    if content["configured"] == json!(false) {
        let base = text(content, "base_branch");
        return Finding::failed(
            check,
            format!("there is no guildhall.toml on its base branch {base}"),
            "commit one that names the checks and environments: docs/workspace.md",
        );
    }
    let names = |field: &str| {
        let items = content[field].as_array().map(Vec::as_slice).unwrap_or_default();
        let name = |item: &Value| item["name"].as_str().or(item.as_str()).map(str::to_string);
        items.iter().filter_map(name).collect::<Vec<_>>().join(", ")
    };
    Finding::ok(
        check,
        format!(
            "checks: {}; environments: {}",
            or_none(names("checks")),
            or_none(names("environments"))
        ),
    )
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".into() } else { text }
}

fn broken(check: &'static str, error: &CliError) -> Finding {
    let found = std::iter::once(error.what.clone())
        .chain(error.causes.clone())
        .collect::<Vec<_>>()
        .join(": ");
    Finding::failed(
        check,
        found,
        error
            .hint
            .clone()
            .unwrap_or_else(|| "look into logs/ in the state directory".into()),
    )
}
