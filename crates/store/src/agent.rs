//! The registry of agents.

use crate::{
    catalogue::{
        AGENT_BEST, AGENT_DEREGISTER, AGENT_ENROL, AGENT_GET, AGENT_HEARTBEAT, AGENT_LIST, AGENT_PROBE_CLAIM,
        AGENT_PROBE_RECORD, AGENT_QUEUE, AGENT_REGISTER, AGENT_REPORT, AGENT_SEARCH,
    },
    db::{Db, DbError, Param},
    page::{Page, rows_wanted},
    row,
};
use chrono::{DateTime, Utc};
use guildhall_domain::agent::{Agent, AgentCard, AgentStatus, AgentSummary};
use serde::Deserialize;
use serde_json::{Value, json};

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegisterOutcome {
    /// The agent is new, or its card has changed.
    Registered,
    /// The card was known; the agent was heard of again.
    Refreshed,
}

/// The answer to a registration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Registered {
    /// What happened.
    pub outcome: RegisterOutcome,
    /// The agent now.
    pub agent: Agent,
}

/// Registers a card of the fleet's own, or notes that the agent is there; it is live for `ttl_s` seconds (1 to 86,400).
pub async fn register<D: Db>(db: &D, card: &AgentCard, ttl_s: i64) -> Result<Registered, DbError> {
    let card = serde_json::to_value(card).map_err(|error| DbError::decode(format!("agent card: {error}")))?;
    row::one(db, &AGENT_REGISTER, &[Param::json(&card), Param::Int(ttl_s)]).await
}

/// What became of a remote agent's registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrolOutcome {
    /// The agent is new.
    Registered,
    /// It was there before.
    Updated,
    /// The id is one of the fleet's own.
    Reserved,
}

/// The answer to a remote agent's registration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Enrolled {
    /// What happened.
    pub outcome: EnrolOutcome,
    /// The agent now; nothing when the id is reserved.
    pub agent: Option<Agent>,
}

/// Registers or updates the remote agent `id` on behalf of `by`. `options` may have `url`, `project`, `max_concurrency`,
/// `max_queue`, `liveness` (`heartbeat` or `probe`), `probe_url` and `status`.
pub async fn enrol<D: Db>(
    db: &D,
    id: &str,
    card: &Value,
    ttl_s: i64,
    options: &Value,
    by: &str,
) -> Result<Enrolled, DbError> {
    let params = [
        Param::text(id),
        Param::json(card),
        Param::Int(ttl_s),
        Param::json(options),
        Param::text(by),
    ];
    row::one(db, &AGENT_ENROL, &params).await
}

/// What a heartbeat found.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Heartbeat {
    /// The lease is prolonged.
    Ok {
        /// What the agent is now; a heartbeat changes neither busy nor draining.
        status: AgentStatus,
        /// When the lease runs out.
        expires_at: DateTime<Utc>,
        /// How long a lease lasts, in seconds.
        ttl_s: u32,
    },
    /// There is no such agent: it registers again.
    NotFound,
}

/// Prolongs the agent's lease. `load_percent` is 0 to 100; what is `None` stays as it was.
pub async fn heartbeat<D: Db>(
    db: &D,
    id: &str,
    in_flight: Option<i64>,
    load_percent: Option<i64>,
) -> Result<Heartbeat, DbError> {
    let params = [
        Param::text(id),
        Param::OptInt(in_flight),
        Param::OptInt(load_percent),
    ];
    row::one(db, &AGENT_HEARTBEAT, &params).await
}

#[derive(Deserialize)]
struct ReportRow {
    agent: Option<Agent>,
}

/// Notes what the agent says of itself: `active`, `busy` or `draining`. Nothing when there is no such agent.
pub async fn report<D: Db>(db: &D, id: &str, status: AgentStatus) -> Result<Option<Agent>, DbError> {
    let params = [Param::text(id), Param::text(status.as_str())];
    let row: ReportRow = row::one(db, &AGENT_REPORT, &params).await?;
    Ok(row.agent)
}

/// The agent, if it ever registered.
pub async fn get<D: Db>(db: &D, id: &str) -> Result<Option<Agent>, DbError> {
    row::optional(db, &AGENT_GET, &[Param::text(id)]).await
}

/// The agent with its card exactly as it was registered.
pub async fn get_raw<D: Db>(db: &D, id: &str) -> Result<Option<Value>, DbError> {
    row::optional(db, &AGENT_GET, &[Param::text(id)]).await
}

/// Agents with their cards by id, optionally only those with a skill or of a status, after the id `after`.
pub async fn list<D: Db>(
    db: &D,
    skill: Option<&str>,
    status: Option<AgentStatus>,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Agent>, DbError> {
    let params = [
        Param::opt_text(skill),
        Param::opt_text(status.map(AgentStatus::as_str)),
        Param::opt_text(after),
        Param::Int(rows_wanted(limit)),
    ];
    let agents = row::all(db, &AGENT_LIST, &params).await?;
    Ok(Page::cut(agents, limit, |agent: &Agent| agent.id.clone()))
}

/// What a search asks for; what is empty does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// A skill's id.
    pub skill: Option<String>,
    /// Tags that one skill must all have.
    pub tags: Vec<String>,
    /// Tags of which one skill must have one.
    pub any_tags: Vec<String>,
    /// Words, perhaps misspelt.
    pub q: Option<String>,
    /// `live` (active or busy), `any` or a status. By default a search is for live ones and a plain list for all.
    pub status: Option<String>,
    /// Agents of this project, and those for any.
    pub project: Option<String>,
    /// Whether cards are wanted.
    pub card: bool,
}

impl Search {
    fn json(&self) -> Value {
        let mut query = json!({"card": self.card});
        let texts = [
            ("skill", &self.skill),
            ("q", &self.q),
            ("status", &self.status),
            ("project", &self.project),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                query[name] = json!(text);
            }
        }
        for (name, tags) in [("tags", &self.tags), ("any_tags", &self.any_tags)] {
            if !tags.is_empty() {
                query[name] = json!(tags);
            }
        }
        query
    }
}

#[derive(Deserialize)]
struct Found {
    #[serde(flatten)]
    agent: AgentSummary,
    at: String,
}

/// Agents that fit, best match first; `after` is the `next` of the page before.
pub async fn search<D: Db>(
    db: &D,
    search: &Search,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<AgentSummary>, DbError> {
    let after = match after {
        None => None,
        Some(cursor) => Some(unhex(cursor).ok_or_else(|| {
            DbError::sql(
                "GH001",
                format!("after must be the next of a page, not `{cursor}`"),
            )
        })?),
    };
    let params = [
        Param::json(&search.json()),
        Param::opt_text(after),
        Param::Int(rows_wanted(limit)),
    ];
    let found: Vec<Found> = row::all(db, &AGENT_SEARCH, &params).await?;
    let page = Page::cut(found, limit, |found: &Found| hex(&found.at));
    Ok(Page {
        items: page.items.into_iter().map(|found| found.agent).collect(),
        next: page.next,
    })
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<String> {
    if text.len() % 2 == 1 || text.len() > 2000 || !text.is_ascii() {
        return None;
    }
    let bytes = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes).ok()
}

/// The live agent that is best placed to use a skill now, with `rank` and `reason`.
pub async fn best<D: Db>(
    db: &D,
    skill: &str,
    tags: &[String],
    project: Option<&str>,
) -> Result<Option<Value>, DbError> {
    let params = [
        Param::text(skill),
        Param::OptJson((!tags.is_empty()).then(|| json!(tags))),
        Param::opt_text(project),
    ];
    row::optional(db, &AGENT_BEST, &params).await
}

/// What waits for the agent, is at work and ended of late, with its last errors; nothing for an unknown agent.
pub async fn queue<D: Db>(db: &D, id: &str) -> Result<Option<Value>, DbError> {
    row::optional(db, &AGENT_QUEUE, &[Param::text(id)]).await
}

/// What became of a deregistration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeregisterOutcome {
    /// The agent is no longer in the registry.
    Deregistered,
    /// It was not there.
    NotFound,
}

/// Takes the agent out of the registry on behalf of `by`. Work that it has already been given goes on under its lease.
pub async fn deregister<D: Db>(db: &D, id: &str, by: &str) -> Result<DeregisterOutcome, DbError> {
    row::one(db, &AGENT_DEREGISTER, &[Param::text(id), Param::text(by)]).await
}

/// An agent to be asked whether it is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Probe {
    /// Which agent.
    pub agent_id: String,
    /// What to get.
    pub url: String,
    /// What to report under.
    pub epoch: i64,
}

/// Takes up to `limit` (1 to 100) probes that are due.
pub async fn claim_probes<D: Db>(db: &D, limit: u32) -> Result<Vec<Probe>, DbError> {
    row::all(db, &AGENT_PROBE_CLAIM, &[Param::Int(i64::from(limit))]).await
}

/// Notes how a probe ended; whether the note was taken (not when another probe has begun meanwhile).
pub async fn record_probe<D: Db>(db: &D, probe: &Probe, ok: bool, detail: &str) -> Result<bool, DbError> {
    let detail: String = detail.chars().take(500).collect();
    let params = [
        Param::text(&probe.agent_id),
        Param::Int(probe.epoch),
        Param::Bool(ok),
        Param::text(detail),
    ];
    let outcome: String = row::one(db, &AGENT_PROBE_RECORD, &params).await?;
    Ok(outcome == "recorded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_journey() {
        for text in ["skill 100 0 a", "all 52 7 d\u{e9}j\u{e0} vu"] {
            assert_eq!(unhex(&hex(text)).as_deref(), Some(text));
        }
        for bad in ["a", "zz", "\u{e9}\u{e9}", "ff"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_empty_search_asks_for_nothing() {
        assert_eq!(Search::default().json(), json!({"card": false}));
    }
}
