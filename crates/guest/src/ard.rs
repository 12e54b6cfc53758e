//! Catalog entries of Agentic Resource Discovery, and the manifest that leads to them.

use crate::vars;
use guildhall_domain::{Problem, agent::AgentSummary};
use serde_json::{Value, json};

/// Who publishes: the host of `public_url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    url: String,
    domain: String,
}

impl Publisher {
    /// This fleet, as the variable `public_url` names it.
    pub async fn of_this_fleet() -> Result<Publisher, Problem> {
        Ok(Publisher::new(&vars::required("public_url").await?))
    }

    fn new(public_url: &str) -> Publisher {
        let url = public_url.trim_end_matches('/').to_owned();
        let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let host = authority.split(['/', ':', '[']).next().unwrap_or_default();
        // A fleet that is reached by an IPv6 address has no domain to be known by.
        let domain = if host.is_empty() {
            "localhost".to_owned()
        } else {
            host.to_ascii_lowercase()
        };
        Publisher { url, domain }
    }

    /// The registry's own address.
    pub fn registry(&self) -> String {
        format!("{}/ard", self.url)
    }

    fn name(&self, namespace: &str, name: &str) -> String {
        format!("urn:air:{}:{namespace}:{name}", self.domain)
    }
}

/// An agent as a catalog entry.
pub fn entry(publisher: &Publisher, agent: &AgentSummary) -> Value {
    let mut entry = json!({
        "identifier": publisher.name("agent", &agent.id),
        "displayName": agent.name.as_deref().unwrap_or(&agent.id),
        "type": "application/a2a-agent-card+json",
        "url": format!("{}/agents/{}/.well-known/agent-card.json", publisher.url, agent.id),
        "capabilities": agent.skills,
        "metadata": {"status": agent.status.as_str()},
    });
    if let Some(description) = &agent.description {
        entry["description"] = json!(description);
    }
    if let Some(version) = &agent.version {
        entry["version"] = json!(version);
    }
    let skills = agent.card.as_ref().and_then(|card| card["skills"].as_array());
    let texts = |field: &str| -> Vec<&str> {
        let lists = skills
            .into_iter()
            .flatten()
            .filter_map(|skill| skill[field].as_array());
        lists.flatten().filter_map(Value::as_str).collect()
    };
    let mut tags = texts("tags");
    tags.sort_unstable();
    tags.dedup();
    if !tags.is_empty() {
        entry["tags"] = json!(tags);
    }
    let queries = texts("examples");
    if queries.len() >= 2 {
        entry["representativeQueries"] = json!(&queries[..queries.len().min(5)]);
    }
    entry
}

/// The manifest: this registry, the fleet's card, and its live agents.
pub fn manifest(publisher: &Publisher, agents: &[AgentSummary]) -> Value {
    let mut entries = vec![
        json!({
            "identifier": publisher.name("registry", "guildhall"),
            "displayName": "Guildhall's registry of agents",
            "type": "application/ai-registry+json",
            "url": publisher.registry(),
            "description": "Search and list of the agents that are registered with this fleet.",
        }),
        json!({
            "identifier": publisher.name("agent", "guildhall"),
            "displayName": "Guildhall",
            "type": "application/a2a-agent-card+json",
            "url": format!("{}/.well-known/agent-card.json", publisher.url),
            "description": "A fleet of software-delivery agents.",
        }),
    ];
    entries.extend(agents.iter().map(|agent| entry(publisher, agent)));
    json!({"specVersion": "1.0", "host": {"displayName": "Guildhall"}, "entries": entries})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_is_the_host() {
        for (url, domain) in [
            ("https://hall.example.com/", "hall.example.com"),
            ("http://127.0.0.1:3000", "127.0.0.1"),
            ("http://[::1]:3000", "localhost"),
        ] {
            assert_eq!(Publisher::new(url).domain, domain);
        }
    }
}
