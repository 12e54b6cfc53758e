//! `guildhall agents`: who is there, what they can do, and remote agents that register themselves.

use super::{Paging, items, next_page, read};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::format::{self, spelled};
use crate::http::segment;
use crate::output::say;
use crate::table::{Cell, draw, draw_plain};
use guildhall_domain::agent::{Agent, AgentSummary};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What to do with agents.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Agents {
    /// List the agents and their skills
    List {
        /// Only agents that fit
        #[command(flatten)]
        filter: Filter,
        /// Which part of the list
        #[command(flatten)]
        paging: Paging,
    },
    /// Search the skills of the live agents for words, perhaps misspelt
    Search {
        /// The words
        #[arg(required = true)]
        words: Vec<String>,
        /// Only agents that fit
        #[command(flatten)]
        filter: Filter,
        /// Which part of the list
        #[command(flatten)]
        paging: Paging,
    },
    /// Show an agent and what it can do
    Show {
        /// The agent's id, for example code-review
        agent: String,
    },
    /// Print an agent's card as JSON
    Card {
        /// The agent's id
        agent: String,
    },
    /// Register or update a remote agent; its token is made by `guildhall token create --agent ID --scope agents:register`
    Register {
        /// The agent's id
        agent: String,
        /// A file with its A2A 1.0 card
        #[arg(long, value_name = "FILE")]
        card: PathBuf,
        /// How long it counts as there after a heartbeat, in seconds
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        ttl: u32,
        /// The project that it works for [default: any]
        #[arg(long, value_name = "PROJECT")]
        project: Option<String>,
        /// What a probe gets; without it the agent is not probed
        #[arg(long, value_name = "URL")]
        health_url: Option<String>,
        /// Good probes count as heartbeats
        #[arg(long, requires = "health_url")]
        live_by_probes: bool,
    },
    /// Say once that a remote agent is there
    Heartbeat {
        /// The agent's id
        agent: String,
        /// How many requests it works on
        #[arg(long, value_name = "N")]
        in_flight: Option<u32>,
        /// How loaded it is, 0 to 1
        #[arg(long, value_name = "LOAD")]
        load: Option<f64>,
    },
    /// Say whether a remote agent wants work
    Status {
        /// The agent's id
        agent: String,
        /// What it is now
        #[arg(value_parser = ["active", "busy", "draining"])]
        status: String,
    },
    /// Take an agent out of the registry
    Deregister {
        /// The agent's id
        agent: String,
    },
}

/// Which agents.
#[derive(Clone, Debug, clap::Args)]
pub struct Filter {
    /// Only those that offer this skill
    #[arg(long, value_name = "SKILL")]
    skill: Option<String>,
    /// Only those with a skill that has all these tags
    #[arg(long, value_delimiter = ',', value_name = "TAG")]
    tag: Vec<String>,
    /// Only those with a skill that has one of these tags
    #[arg(long, value_delimiter = ',', value_name = "TAG")]
    any_tag: Vec<String>,
    /// live, any, active, busy, draining, suspect or offline [default: live for searches, any otherwise]
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only those of this project, and those of none
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
}

impl Filter {
    fn path(self, q: Option<String>, paging: &Paging) -> String {
        let tags = |tags: Vec<String>| (!tags.is_empty()).then(|| tags.join(","));
        let query = paging.query(&[
            ("skill", self.skill),
            ("tag", tags(self.tag)),
            ("any_tag", tags(self.any_tag)),
            ("status", self.status),
            ("project", self.project),
            ("q", q),
        ]);
        format!("/v1/agents{query}")
    }
}

/// Does it.
pub async fn run(context: &Context, command: Agents) -> Result<()> {
    let api = context.api()?;
    match command {
        Agents::List { filter, paging } => {
            list(context, filter.path(None, &paging), "guildhall agents list").await
        }
        Agents::Search {
            words,
            filter,
            paging,
        } => {
            let again = format!("guildhall agents search {}", words.join(" "));
            list(context, filter.path(Some(words.join(" ")), &paging), &again).await
        }
        Agents::Show { agent } => show(context, &agent).await,
        Agents::Card { agent } => {
            let path = format!("/v1/agents/{}/card", segment(&agent));
            let card = api.get("read the card", &path).await?;
            context.output.line(&format!("{card:#}"))
        }
        Agents::Register {
            agent,
            card,
            ttl,
            project,
            health_url,
            live_by_probes,
        } => {
            let cannot = |why: String| CliError::new("cannot register the agent").because(why);
            let text = std::fs::read_to_string(&card)
                .map_err(|error| cannot(format!("{} cannot be read: {error}", card.display())))?;
            let card: Value = serde_json::from_str(&text)
                .map_err(|error| cannot(format!("{} is not JSON: {error}", card.display())))?;
            let body = json!({
                "card": card, "ttl_s": ttl, "project": project, "health_url": health_url,
                "liveness": live_by_probes.then_some("probe"),
            });
            let path = format!("/v1/agents/{}", segment(&agent));
            let value = api.put("register the agent", &path, &body).await?;
            told(
                context,
                value,
                &format!("agent {agent} is registered; it is live for {ttl} s after each heartbeat"),
            )
        }
        Agents::Heartbeat {
            agent,
            in_flight,
            load,
        } => {
            let path = format!("/v1/agents/{}/heartbeat", segment(&agent));
            let body = json!({"in_flight": in_flight, "load": load});
            let value = api.post("send a heartbeat", &path, &body).await?;
            let text = format!(
                "agent {agent} is {} until {}",
                value["status"], value["expires_at"]
            )
            .replace('"', "");
            told(context, value, &text)
        }
        Agents::Status { agent, status } => {
            let path = format!("/v1/agents/{}/status", segment(&agent));
            let value = api
                .put("set the status", &path, &json!({"status": status}))
                .await?;
            told(context, value, &format!("agent {agent} is {status}"))
        }
        Agents::Deregister { agent } => {
            let path = format!("/v1/agents/{}", segment(&agent));
            api.delete("deregister the agent", &path).await?;
            told(
                context,
                json!({"id": agent}),
                &format!("agent {agent} is out of the registry"),
            )
        }
    }
}

fn told(context: &Context, value: Value, text: &str) -> Result<()> {
    if context.output.json {
        return context
            .output
            .document("guildhall.agent.v1", json!({ "agent": value }));
    }
    context.output.line(text)
}

async fn list(context: &Context, path: String, again: &str) -> Result<()> {
    let what = "list the agents";
    let output = &context.output;
    let page = context.api()?.get(what, &path).await?;
    if output.json {
        return output.document("guildhall.agents.v1", page);
    }
    let agents: Vec<AgentSummary> = items(what, &page)?;
    let found = agents.iter().any(|agent| agent.matched.is_some());
    let rows: Vec<Vec<Cell>> = agents
        .iter()
        .map(|agent| {
            let status = spelled(&agent.status);
            let last = match &agent.matched {
                Some(found) => format!(
                    "{} ({}, {})",
                    found.skill,
                    found.field.replace('_', " "),
                    found.score
                ),
                None => agent.skills.join(", "),
            };
            vec![
                agent.id.as_str().into(),
                Cell::toned(&status, format::tone(&status)),
                format::relative(agent.heartbeat_at).into(),
                last.into(),
            ]
        })
        .collect();
    let last = if found { "MATCH" } else { "SKILLS" };
    output.write(&draw(output, &["AGENT", "STATUS", "HEARD OF", last], &rows))?;
    if rows.is_empty() {
        say("no agent fits; the fleet's own register within seconds of its start");
    }
    next_page(&page, again);
    Ok(())
}

async fn show(context: &Context, agent: &str) -> Result<()> {
    let output = &context.output;
    let what = "show the agent";
    let value = context
        .api()?
        .get(what, &format!("/v1/agents/{}", segment(agent)))
        .await?;
    if output.json {
        return output.document("guildhall.agent.v1", json!({ "agent": value }));
    }
    let agent: Agent = read(what, value)?;
    let status = spelled(&agent.status);
    let painted = format::tone(&status).map_or(status.clone(), |tone| output.paint(tone, &status));
    output.line(&format!(
        "agent {}  {painted}, version {}",
        agent.id, agent.card.version
    ))?;
    output.line(&format!("  {}", agent.card.description))?;
    output.line(&format!(
        "  last heard of {}, {} in flight",
        format::relative(agent.heartbeat_at),
        agent.in_flight
    ))?;
    if let Some(detail) = &agent.probe_detail {
        output.line(&format!("  last probe: {detail}"))?;
    }
    let rows: Vec<Vec<Cell>> = agent
        .card
        .skills
        .iter()
        .map(|skill| {
            vec![
                format!("  {}", skill.id).into(),
                skill.description.as_str().into(),
            ]
        })
        .collect();
    output.write(&draw_plain(output, &rows))
}
