use super::{line, object};
use crate::Operation;
use guildhall_domain::{
    Code,
    agent::{Agent, AgentStatus, AgentSummary},
    scope::Scope,
};
use serde_json::{Value, json};

/// The headers of answers that may be kept.
const KEPT: &[(&str, &str)] = &[
    ("ETag", "Changes with the document."),
    ("Cache-Control", "How long it may be kept."),
];

fn words(about: &'static str) -> Value {
    json!({"type": "string", "description": about, "maxLength": 500, "pattern": "^[^\\u0000]*$"})
}

fn id() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,99}$"})
}

/// An A2A 1.0 card as it must be to be registered (crates/domain/src/card.rs checks more).
fn card() -> Value {
    let modes = json!({"type": "array", "minItems": 1, "maxItems": 20,
        "items": {"type": "string", "pattern": "^[^\\u0000/]+/[^\\u0000]+$", "maxLength": 200}});
    json!({
        "type": "object",
        "required": ["name", "description", "version", "supportedInterfaces", "capabilities", "defaultInputModes",
            "defaultOutputModes", "skills"],
        "properties": {
            "name": super::text(200),
            "description": super::text(4000),
            "version": super::text(100),
            "supportedInterfaces": {"type": "array", "minItems": 1, "maxItems": 20, "items": {
                "type": "object",
                "required": ["url", "protocolBinding", "protocolVersion"],
                "properties": {
                    "url": {"type": "string", "format": "uri"},
                    "protocolBinding": super::text(200),
                    "protocolVersion": super::text(20),
                },
            }},
            "capabilities": {"type": "object"},
            "defaultInputModes": modes.clone(),
            "defaultOutputModes": modes,
            "skills": {"type": "array", "minItems": 1, "maxItems": 100, "items": {
                "type": "object",
                "required": ["id", "name", "description", "tags"],
                "properties": {
                    "id": {"type": "string", "pattern": "^[A-Za-z0-9._:/-]{1,100}$"},
                    "name": super::text(200),
                    "description": super::text(4000),
                    "tags": {"type": "array", "minItems": 1, "maxItems": 50, "items": super::text(100)},
                },
            }},
        },
    })
}

fn registration() -> Value {
    let url = json!({"type": ["string", "null"], "format": "uri"});
    let most = json!({"type": ["integer", "null"], "minimum": 1, "maximum": 10_000});
    object(
        &["card"],
        json!({
            "card": card(),
            "ttl_s": {"type": "integer", "minimum": 1, "maximum": 86_400, "default": 60},
            "url": url.clone(),
            "project": {"anyOf": [line(200), {"type": "null"}]},
            "max_concurrency": most.clone(),
            "max_queue": most,
            "liveness": {"enum": ["heartbeat", "probe", null]},
            "health_url": url,
            "probe": {"type": "boolean", "default": false},
            "status": {"enum": ["active", "busy", "draining", null]},
        }),
    )
}

fn example() -> Value {
    json!({
        "card": {
            "name": "Load tester", "description": "Runs load tests.", "version": "1.0",
            "supportedInterfaces": [{"url": "https://agents.example.com/load", "protocolVersion": "1.0",
                "protocolBinding": "https://guildhall.dev/bindings/agent-request/v1"}],
            "capabilities": {}, "defaultInputModes": ["application/json"], "defaultOutputModes": ["application/json"],
            "skills": [{"id": "load_test", "name": "Load test", "description": "Measures a service.", "tags": ["test"]}],
        },
        "ttl_s": 60,
    })
}

fn entries(list: &str, required: &[&str]) -> Value {
    let mut properties = json!({
        "pageToken": {"type": "string"},
        "referrals": {"type": "array"},
    });
    properties[list] = json!({"type": "array", "items": {
        "type": "object",
        "required": ["identifier", "displayName", "type"],
    }});
    json!({"type": "object", "required": required, "properties": properties})
}

pub(super) fn operations() -> Vec<Operation> {
    let new = |method, path, id, summary, scope| Operation::new(method, path, "agents", id, summary, scope);
    let read = |path, name, summary| new("get", path, name, summary, Scope::AgentsRead);
    let own = |method, path, name, summary| {
        new(method, path, name, summary, Scope::AgentsRegister).path("id", "The agent's id.", id())
    };
    let public = |path, name, summary| read(path, name, summary).open();
    let statuses = ["active", "busy", "draining", "suspect", "offline", "live", "any"];
    let _: AgentStatus = AgentStatus::Active;
    vec![
        read("/v1/agents", "findAgents", "Agents by skill, tags, words, status or project, best match first")
            .query("skill", "Only agents with this skill.", words("A skill's id."))
            .query("tag", "Only agents whose skills have all of these tags.", words("A comma list."))
            .query("any_tag", "Only agents whose skills have one of these tags.", words("A comma list."))
            .query("q", "Words to look for.", words("Plain words."))
            .query("status", "Only agents of this status.", json!({"enum": statuses}))
            .query("project", "Only agents of this project.", words("A project's id."))
            .query("fields", "Adds each agent's card.", json!({"enum": ["card"]}))
            .query(
                "limit",
                "Items in the page.",
                json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 20}),
            )
            .query("after", "The `next` of the page before.", json!({"type": "string"}))
            .reply(200, "A page of agents.", |schemas| schemas.page::<AgentSummary>()),
        read("/v1/agents/best", "bestAgent", "The live agent that is best placed for a skill")
            .required_query("skill", "The skill's id.", words("A skill's id."))
            .query("tag", "Only agents whose skills have all of these tags.", words("A comma list."))
            .query("project", "Only agents of this project.", words("A project's id."))
            .reply(200, "The agent, its rank and why.", |_| {
                json!({"type": "object", "required": ["agent", "rank", "reason"]})
            })
            .problem(Code::NotFound),
        read("/v1/agents/{id}", "getAgent", "An agent with its card")
            .path("id", "The agent's id.", json!({"type": "string"}))
            .reply(200, "The agent.", |schemas| schemas.of::<Agent>()),
        public("/v1/agents/{id}/card", "getAgentCard", "An agent's A2A card")
            .path("id", "The agent's id.", json!({"type": "string"}))
            .reply_as(200, "The card.", "application/json", |_| card(), KEPT)
            .empty(304, "The caller has this version."),
        public(
            "/agents/{id}/.well-known/agent-card.json",
            "getAgentWellKnownCard",
            "An agent's A2A card, where A2A clients look for it",
        )
        .path("id", "The agent's id.", json!({"type": "string"}))
        .reply_as(200, "The card.", "application/json", |_| card(), KEPT)
        .empty(304, "The caller has this version."),
        own("put", "/v1/agents/{id}", "registerAgent", "Register or update the remote agent of the token")
            .body(registration(), example())
            .reply(201, "Registered.", |schemas| schemas.of::<Agent>())
            .reply(200, "Updated.", |schemas| schemas.of::<Agent>())
            .problem(Code::Conflict),
        own("post", "/v1/agents/{id}/heartbeat", "heartbeatAgent", "Say that the agent is there")
            .optional_body(
                object(
                    &[],
                    json!({
                        "in_flight": {"type": ["integer", "null"], "minimum": 0, "maximum": 1_000_000},
                        "load": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
                    }),
                ),
                json!({"in_flight": 2, "load": 0.4}),
            )
            .reply(200, "Until when it counts as there.", |_| {
                object(
                    &["id", "status", "expires_at", "ttl_s"],
                    json!({
                        "id": {"type": "string"},
                        "status": {"type": "string"},
                        "expires_at": {"type": "string", "format": "date-time"},
                        "ttl_s": {"type": "integer"},
                    }),
                )
            }),
        own("put", "/v1/agents/{id}/status", "reportAgentStatus", "Say whether the agent wants work")
            .body(
                object(&["status"], json!({"status": {"enum": ["active", "busy", "draining"]}})),
                json!({"status": "draining"}),
            )
            .reply(200, "The agent.", |schemas| schemas.of::<Agent>()),
        own("delete", "/v1/agents/{id}", "deregisterAgent", "Take the agent out of the registry")
            .empty(204, "It is gone."),
        new("post", "/ard/search", "ardSearch", "Search, as Agentic Resource Discovery has it", Scope::AgentsRead)
            .body(
                object(
                    &["query"],
                    json!({
                        "query": object(&["text"], json!({"text": super::text(500), "filter": {"type": "object"}})),
                        "federation": {"enum": ["auto", "referrals", "none"]},
                        "pageSize": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
                        "pageToken": {"type": ["string", "null"]},
                    }),
                ),
                json!({"query": {"text": "review a change"}}),
            )
            .reply(200, "Entries with their scores.", |_| entries("results", &["results"]))
            .other_refusal(400, "ARD's own error.", |_| ard_error()),
        read("/ard/agents", "ardAgents", "The list, as Agentic Resource Discovery has it")
            .query("pageSize", "Items in the page.", json!({"type": "integer", "minimum": 1, "maximum": 100}))
            .query("pageToken", "The `pageToken` of the page before.", json!({"type": "string"}))
            .reply(200, "Entries.", |_| entries("items", &["items"]))
            .other_refusal(400, "ARD's own error.", |_| ard_error()),
        public("/.well-known/agent-card.json", "getFleetCard", "The fleet's A2A card, with its live agents' skills")
            .reply_as(200, "The card.", "application/json", |_| card(), KEPT)
            .empty(304, "The caller has this version."),
        public("/.well-known/ard.json", "getArdManifest", "The fleet's ARD manifest")
            .reply_as(200, "The manifest.", "application/json", |_| manifest(), KEPT)
            .empty(304, "The caller has this version."),
        public("/.well-known/ai-catalog.json", "getAiCatalog", "The same under its older name")
            .reply_as(200, "The manifest.", "application/json", |_| manifest(), KEPT)
            .empty(304, "The caller has this version."),
    ]
}

fn manifest() -> Value {
    json!({"type": "object", "required": ["specVersion", "entries"]})
}

fn ard_error() -> Value {
    object(
        &["errorCode", "message"],
        json!({"errorCode": {"type": "string"}, "message": {"type": "string"}}),
    )
}
