//! Agentic Resource Discovery (ards-project/ard-spec, v0.9): `POST /ard/search` and `GET /ard/agents`.

use guildhall_guest::{
    Ctx, Handled, Reply,
    ard::{Publisher, entry},
    domain::Problem,
    http::StatusCode,
    store::agent::{self, Search},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const AGENT_CARD: &str = "application/a2a-agent-card+json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    query: Query,
    #[serde(default)]
    federation: Federation,
    #[serde(rename = "pageSize", default = "ten")]
    page_size: i64,
    #[serde(rename = "pageToken")]
    page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    text: String,
    #[serde(default)]
    filter: Map<String, Value>,
}

/// This registry knows no others, so every mode gives its own entries.
#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Federation {
    #[default]
    Auto,
    Referrals,
    None,
}

fn ten() -> i64 {
    10
}

/// An error as ARD's schema has it.
fn refuse(message: impl Into<String>) -> Reply {
    let body = json!({"errorCode": "INVALID_ARGUMENT", "message": message.into()});
    Reply::json_status(StatusCode::BAD_REQUEST, &body)
}

/// The values of a filter: one string or an array of them.
fn values(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

/// What a filter asks for: a search, or the knowledge that nothing here fits.
fn filtered(query: &Query) -> Result<Option<Search>, String> {
    let mut search = Search {
        q: Some(query.text.clone()),
        card: true,
        ..Search::default()
    };
    for (field, value) in &query.filter {
        let wanted = values(value)
            .ok_or_else(|| format!("the filter `{field}` must be a string or an array of strings"))?;
        match field.as_str() {
            "type" => {
                if !wanted.iter().any(|kind| kind == AGENT_CARD) {
                    return Ok(None);
                }
            }
            "tags" => search.any_tags = wanted,
            "capabilities" => match wanted.as_slice() {
                [skill] => search.skill = Some(skill.clone()),
                _ => return Err("the filter `capabilities` takes one skill".into()),
            },
            other => {
                return Err(format!(
                    "there is no filter `{other}` here; there are type, tags and capabilities"
                ));
            }
        }
    }
    Ok(Some(search))
}

/// `POST /ard/search`
pub async fn search(mut ctx: Ctx) -> Handled {
    let bytes = ctx.bytes().await?;
    let body: Body = match serde_json::from_slice(&bytes) {
        Ok(body) => body,
        Err(error) => return Ok(refuse(format!("the request cannot be used: {error}"))),
    };
    if body.query.text.trim().is_empty() || body.query.text.len() > 500 {
        return Ok(refuse("`query.text` must have 1 to 500 bytes"));
    }
    let Ok(limit @ 1..=100) = u32::try_from(body.page_size) else {
        return Ok(refuse("`pageSize` must be 1 to 100"));
    };
    let search = match filtered(&body.query) {
        Ok(Some(search)) => search,
        Ok(None) => return Ok(Reply::json(&json!({"results": []}))),
        Err(why) => return Ok(refuse(why)),
    };
    let publisher = Publisher::of_this_fleet().await?;
    let page = match page(&ctx, &search, body.page_token.as_deref(), limit).await? {
        Ok(page) => page,
        Err(reply) => return Ok(reply),
    };
    let results: Vec<Value> = page
        .items
        .iter()
        .map(|agent| {
            let mut entry = entry(&publisher, agent);
            entry["score"] = json!(agent.matched.as_ref().map_or(0, |matched| matched.score));
            entry["source"] = json!(publisher.registry());
            entry
        })
        .collect();
    let mut answer = json!({"results": results});
    if let Federation::Referrals = body.federation {
        answer["referrals"] = json!([]);
    }
    if let Some(next) = page.next {
        answer["pageToken"] = json!(next);
    }
    Ok(Reply::json(&answer))
}

/// `GET /ard/agents`
pub async fn list(ctx: Ctx) -> Handled {
    for unsupported in ["filter", "orderBy"] {
        if ctx.query(unsupported)?.is_some() {
            return Ok(refuse(format!(
                "`{unsupported}` is not supported; the list is in the order of identifiers"
            )));
        }
    }
    let limit = match ctx.query("pageSize")?.unwrap_or_else(|| "20".into()).parse() {
        Ok(limit @ 1..=100) => limit,
        _ => return Ok(refuse("`pageSize` must be 1 to 100")),
    };
    let search = Search {
        status: Some("live".into()),
        card: true,
        ..Search::default()
    };
    let publisher = Publisher::of_this_fleet().await?;
    let token = ctx.query("pageToken")?;
    let page = match page(&ctx, &search, token.as_deref(), limit).await? {
        Ok(page) => page,
        Err(reply) => return Ok(reply),
    };
    let items: Vec<Value> = page.items.iter().map(|agent| entry(&publisher, agent)).collect();
    let mut answer = json!({"items": items});
    if let Some(next) = page.next {
        answer["pageToken"] = json!(next);
    }
    Ok(Reply::json(&answer))
}

type Agents = guildhall_guest::store::Page<guildhall_guest::domain::agent::AgentSummary>;

async fn page(
    ctx: &Ctx,
    search: &Search,
    token: Option<&str>,
    limit: u32,
) -> Result<Result<Agents, Reply>, Problem> {
    match agent::search(&ctx.db(), search, token, limit).await {
        Ok(page) => Ok(Ok(page)),
        Err(error) => {
            let problem = Problem::from(error);
            match problem.status {
                400 => Ok(Err(refuse(problem.detail))),
                _ => Err(problem),
            }
        }
    }
}
