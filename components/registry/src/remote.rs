//! Remote agents: they register, say that they are there, and take themselves out. Each does so for itself alone.

use crate::discover::unknown;
use guildhall_guest::{
    Ctx, Handled, Reply,
    domain::{Code, Problem, agent::AgentStatus, card, scope::Scope},
    http::StatusCode,
    store::agent::{self, DeregisterOutcome, EnrolOutcome, Heartbeat},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The agent of the path, when the caller's token is bound to it; an administrator may act for any.
fn own<'a>(ctx: &'a Ctx, also: Option<Scope>) -> Result<&'a str, Problem> {
    let id = ctx.param("id")?;
    let principal = ctx.principal()?;
    let bound = principal.agent_id.as_deref();
    let may = match bound {
        Some(bound) => bound == id,
        None => {
            principal.scopes.contains(&Scope::Admin)
                || also.is_some_and(|scope| principal.scopes.contains(&scope))
        }
    };
    if may {
        return Ok(id);
    }
    let detail = match bound {
        Some(bound) => format!(
            "The token of `{}` is bound to the agent `{bound}`, not to `{id}`.",
            principal.name
        ),
        None => format!("The token of `{}` is bound to no agent.", principal.name),
    };
    Err(Problem::new(Code::Forbidden, detail).hint(format!(
        "Use the agent's own: `guildhall token create --agent {id} --scope agents:register ...`."
    )))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrol {
    card: Value,
    #[serde(default = "default_ttl")]
    ttl_s: i64,
    url: Option<String>,
    project: Option<String>,
    max_concurrency: Option<i64>,
    max_queue: Option<i64>,
    liveness: Option<String>,
    health_url: Option<String>,
    #[serde(default)]
    probe: bool,
    status: Option<AgentStatus>,
}

/// Two heartbeats of 30 s, so that one may be lost.
fn default_ttl() -> i64 {
    60
}

/// `PUT /v1/agents/{id}`
pub async fn enrol(mut ctx: Ctx) -> Handled {
    let body: Enrol = ctx.json().await?;
    let id = own(&ctx, None)?;
    let refuse =
        |why: String| Problem::new(Code::InvalidBody, why).hint("docs/registry.md shows a registration.");
    card::check_id(id).map_err(|why| Problem::new(Code::InvalidParameter, format!("{why}.")))?;
    let typed = card::check(&body.card).map_err(|why| refuse(format!("{why}.")))?;
    for url in [&body.url, &body.health_url].into_iter().flatten() {
        card::check_url(url).map_err(|why| refuse(format!("{why}.")))?;
    }
    if body.project.as_ref().is_some_and(|project| {
        !(1..=200).contains(&project.chars().count()) || project.chars().any(char::is_control)
    }) {
        return Err(refuse(
            "`project` must be 1 to 200 characters without control characters.".into(),
        ));
    }
    let url = body
        .url
        .unwrap_or_else(|| typed.supported_interfaces[0].url.clone());
    let probed = body.probe || body.health_url.is_some() || body.liveness.as_deref() == Some("probe");
    let health = body
        .health_url
        .unwrap_or_else(|| format!("{}/.well-known/agent-card.json", url.trim_end_matches('/')));
    let options = json!({
        "url": url, "project": body.project, "max_concurrency": body.max_concurrency,
        "max_queue": body.max_queue, "liveness": body.liveness, "probe_url": probed.then_some(health),
        "status": body.status,
    });
    let enrolled = agent::enrol(
        &ctx.db(),
        id,
        &body.card,
        body.ttl_s,
        &options,
        &ctx.principal()?.name,
    )
    .await?;
    match (enrolled.outcome, enrolled.agent) {
        (EnrolOutcome::Registered, Some(agent)) => Ok(Reply::json_status(StatusCode::CREATED, &agent)),
        (EnrolOutcome::Updated, Some(agent)) => Ok(Reply::json(&agent)),
        _ => Err(Problem::new(
            Code::Conflict,
            format!("`{id}` is one of the fleet's own agents."),
        )
        .hint("Register under another id.")),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beat {
    in_flight: Option<i64>,
    load: Option<f64>,
}

/// `POST /v1/agents/{id}/heartbeat`
pub async fn heartbeat(mut ctx: Ctx) -> Handled {
    let body: Beat = ctx.json_or_default().await?;
    let id = own(&ctx, None)?;
    if body.load.is_some_and(|load| !(0.0..=1.0).contains(&load)) {
        return Err(Problem::new(
            Code::InvalidBody,
            "`load` must be a number from 0 to 1.",
        ));
    }
    let percent = body.load.map(|load| (load * 100.0).round() as i64);
    match agent::heartbeat(&ctx.db(), id, body.in_flight, percent).await? {
        Heartbeat::Ok {
            status,
            expires_at,
            ttl_s,
        } => Ok(Reply::json(
            &json!({"id": id, "status": status, "expires_at": expires_at, "ttl_s": ttl_s}),
        )),
        Heartbeat::NotFound => Err(unknown(id)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    status: AgentStatus,
}

/// `PUT /v1/agents/{id}/status`
pub async fn report(mut ctx: Ctx) -> Handled {
    let body: Report = ctx.json().await?;
    let id = own(&ctx, None)?;
    if matches!(body.status, AgentStatus::Suspect | AgentStatus::Offline) {
        return Err(
            Problem::new(Code::InvalidBody, "`status` must be active, busy or draining.").hint(
                "Whether an agent is there is decided by its heartbeats; DELETE /v1/agents/{id} takes it out.",
            ),
        );
    }
    match agent::report(&ctx.db(), id, body.status).await? {
        Some(agent) => Ok(Reply::json(&agent)),
        None => Err(unknown(id)),
    }
}

/// `DELETE /v1/agents/{id}`
pub async fn deregister(ctx: Ctx) -> Handled {
    let id = own(&ctx, Some(Scope::AgentsWrite))?;
    match agent::deregister(&ctx.db(), id, &ctx.principal()?.name).await? {
        DeregisterOutcome::Deregistered => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        DeregisterOutcome::NotFound => Err(unknown(id)),
    }
}
