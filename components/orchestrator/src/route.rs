//! `route_request`: who would get a request, and why. The registry decides, as it does for real requests.

use guildhall_guest::{
    agent::{self, AgentCall},
    domain::{Code, request::AgentError},
    store::agent as registry,
};
use guildhall_skills::inputs::{self, RouteRequest};
use serde_json::{Value, json};

/// How many agents are named besides the best.
const CANDIDATES: u32 = 10;

pub(crate) async fn route_request(call: &AgentCall) -> Result<Value, AgentError> {
    let input: RouteRequest = inputs::read(&call.skill, &call.input)?;
    let db = call.db();
    let project = input.project.as_deref();
    let failed = |error: guildhall_guest::store::DbError| agent::failed(error.into());
    let mut skill = input.capability.trim().to_owned();
    let mut matched = json!({"field": "id", "skill": skill});
    let mut best = registry::best(&db, &skill, &[], project).await.map_err(failed)?;
    if best.is_none() {
        let search = registry::Search {
            q: Some(input.capability.clone()),
            status: Some("live".into()),
            project: input.project.clone(),
            ..registry::Search::default()
        };
        let found = registry::search(&db, &search, None, 1).await.map_err(failed)?;
        let found = found.items.first().map(|found| json!(found));
        if let Some(id) = found.as_ref().and_then(|found| found["match"]["skill"].as_str()) {
            best = registry::best(&db, id, &[], project).await.map_err(failed)?;
            skill = id.to_owned();
            matched = found
                .as_ref()
                .map(|found| found["match"].clone())
                .unwrap_or_default();
        }
    }
    let Some(best) = best else {
        return Err(AgentError {
            code: Code::UnknownSkill.as_str().into(),
            detail: format!("No live agent can do `{}`.", input.capability),
            hint: Some("GET /v1/agents shows who is there and has which skills.".into()),
            retryable: false,
        });
    };
    let search = registry::Search {
        skill: Some(skill.clone()),
        status: Some("live".into()),
        project: input.project.clone(),
        ..registry::Search::default()
    };
    let others = registry::search(&db, &search, None, CANDIDATES)
        .await
        .map_err(failed)?;
    let others: Vec<&str> = others.items.iter().map(|found| found.id.as_str()).collect();
    let chosen = best["agent"]["id"].as_str().unwrap_or_default();
    Ok(json!({
        "agent": chosen,
        "skill": skill,
        "match": matched,
        "rank": best["rank"],
        "reason": best["reason"],
        "candidates": others,
        "summary": format!(
            "{chosen} would get {skill}: of {} live with it, it finished {} of its late requests and its load is {}.",
            others.len(),
            best["reason"]["success"],
            best["reason"]["load"]
        ),
    }))
}
