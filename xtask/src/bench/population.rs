//! Ten thousand agents for the registry, and what is asked of them.

use super::floor_sql::connect;
use anyhow::Context;
use serde_json::{Value, json};

/// How many agents there are.
pub const AGENTS: usize = 10_000;
/// How many skills each offers.
const SKILLS_EACH: usize = 5;
/// How many skills there are; each is offered by 50 agents.
const SKILLS: usize = 1_000;
/// How many agents a page has.
pub const PAGE: i64 = 10;

/// Subjects of skills, so that words tell some agents from others.
const SUBJECTS: [&str; 10] = [
    "ledger", "kernel", "poster", "harbour", "turbine", "orchard", "glacier", "lantern", "compass", "violin",
];

/// What one discovery asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who has the skill.
    Skill(String),
    /// Who fits the words.
    Words(String),
}

impl Question {
    /// The `number`th question of a worker that begins anywhere: every second is for words.
    pub fn number(number: u64) -> Question {
        let skill = (number.wrapping_mul(7_919) % SKILLS as u64) as usize;
        if number.is_multiple_of(2) {
            Question::Skill(skill_id(skill))
        } else {
            Question::Words(format!("{} {}", subject(skill), skill))
        }
    }

    /// As a path of the API.
    pub fn path(&self) -> String {
        match self {
            Question::Skill(id) => format!("/v1/agents?skill={id}&limit={PAGE}"),
            Question::Words(words) => format!("/v1/agents?q={}&limit={PAGE}", words.replace(' ', "%20")),
        }
    }

    /// As `agent_search` takes it.
    pub fn query(&self) -> Value {
        match self {
            Question::Skill(id) => json!({"skill": id}),
            Question::Words(words) => json!({"q": words}),
        }
    }
}

/// The id of the `number`th agent.
pub fn agent_id(number: usize) -> String {
    format!("bench-agent-{:05}", number % AGENTS)
}

fn skill_id(number: usize) -> String {
    format!("bench-skill-{number:04}")
}

fn subject(skill: usize) -> &'static str {
    SUBJECTS[skill % SUBJECTS.len()]
}

fn card(number: usize) -> Value {
    let skills: Vec<Value> = (0..SKILLS_EACH)
        .map(|nth| {
            let skill = (number * SKILLS_EACH + nth) % SKILLS;
            json!({
                "id": skill_id(skill),
                "name": format!("Work on the {} {skill}", subject(skill)),
                "description": format!("Inspects and mends the {} of section {skill}.", subject(skill)),
                "tags": ["bench", subject(skill)],
            })
        })
        .collect();
    json!({
        "name": agent_id(number),
        "description": "An agent that is only looked for.",
        "version": "1.0.0",
        "supportedInterfaces": [{
            "url": format!("https://{}.example/a2a", agent_id(number)),
            "protocolBinding": "HTTP+JSON",
            "protocolVersion": "1.0",
        }],
        "defaultInputModes": ["application/json"],
        "defaultOutputModes": ["application/json"],
        "capabilities": {"streaming": false, "pushNotifications": false},
        "skills": skills,
    })
}

/// Registers every agent in the database, for a day; those that are there already are only kept alive.
pub async fn register(database_url: &str) -> anyhow::Result<()> {
    let client = connect(database_url).await?;
    client
        .batch_execute("set statement_timeout = 0")
        .await
        .context("cannot lift the statement timeout")?;
    // The store's own function, once for each card of an array.
    for start in (0..AGENTS).step_by(500) {
        let cards: Value = (start..(start + 500).min(AGENTS)).map(card).collect();
        client
            .execute(
                "select guildhall.agent_register(c.value, $2::bigint) from jsonb_array_elements($1::jsonb) c",
                &[&cards, &86_400_i64],
            )
            .await
            .context("cannot register the agents to look for")?;
    }
    client
        .batch_execute("vacuum analyze")
        .await
        .context("cannot vacuum after registering")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_skill_is_offered_by_as_many_agents() {
        let mut offered = BTreeMap::new();
        for number in 0..AGENTS {
            for skill in card(number)["skills"].as_array().unwrap() {
                *offered
                    .entry(skill["id"].as_str().unwrap().to_owned())
                    .or_insert(0) += 1;
            }
        }
        assert_eq!(offered.len(), SKILLS);
        assert!(
            offered
                .values()
                .all(|count| *count == AGENTS * SKILLS_EACH / SKILLS)
        );
    }

    #[test]
    fn questions_name_what_there_is_and_alternate() {
        let (mut skills, mut words) = (0, 0);
        for number in 0..1_000 {
            match Question::number(number) {
                Question::Skill(id) => {
                    assert!((0..SKILLS).any(|skill| skill_id(skill) == id), "{id}");
                    skills += 1;
                }
                Question::Words(_) => words += 1,
            }
        }
        assert_eq!((skills, words), (500, 500));
        assert_eq!(
            Question::Words("ledger 7".into()).path(),
            "/v1/agents?q=ledger%207&limit=10"
        );
    }
}
