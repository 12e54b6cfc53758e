//! `guildhall requests broadcast` and `broadcasts show`: one question to many agents.

use super::{read, requests};
use crate::context::Context;
use crate::error::Result;
use crate::format;
use crate::http::{Api, segment};
use crate::output::say;
use crate::table::{Cell, draw};
use serde::Deserialize;
use serde_json::{Value, json};

/// What to ask of whom.
#[derive(Clone, Debug, clap::Args)]
pub struct Broadcast {
    /// The skill's id
    pub skill: String,
    /// The skill's input, a JSON object
    #[arg(long, default_value = "{}", value_name = "JSON")]
    pub input: String,
    /// Whom: every live agent with the skill, or all
    #[arg(long, default_value = "skill", value_parser = ["skill", "all"], value_name = "WHOM")]
    pub to: String,
    /// Leave these agents out
    #[arg(long, value_name = "AGENT", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// low, normal, high or urgent
    #[arg(long, default_value = "normal")]
    pub priority: String,
    /// Seconds until the requests time out
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub timeout: u32,
}

/// What to do with broadcasts.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Broadcasts {
    /// Show a broadcast with the answers that there are
    Show {
        /// Its id
        id: String,
    },
}

#[derive(Deserialize)]
struct Sent {
    id: String,
    skill: String,
    requester: String,
    to: String,
    targets: u64,
    open: u64,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    request_id: String,
    agent: Option<String>,
    state: String,
    result: Option<Value>,
    error: Option<Value>,
}

/// Asks, and prints the id alone, for scripts.
pub async fn submit(context: &Context, api: &Api, asked: &Broadcast) -> Result<()> {
    let what = "send the broadcast";
    let body = json!({
        "skill": asked.skill, "input": requests::input(what, &asked.input)?, "to": asked.to, "exclude": asked.exclude,
        "priority": asked.priority, "timeout_s": asked.timeout,
    });
    let value = api.post(what, "/v1/requests/broadcasts", &body).await?;
    if context.output.json {
        return context.output.document("guildhall.broadcast.v1", value);
    }
    let sent: Sent = read("read the broadcast", value)?;
    say(&format!(
        "{} agents were asked; guildhall requests broadcasts show {}",
        sent.targets, sent.id
    ));
    context.output.line(&sent.id)
}

/// Shows it.
pub async fn show(context: &Context, api: &Api, id: &str) -> Result<()> {
    let output = &context.output;
    let path = format!("/v1/requests/broadcasts/{}", segment(id));
    let value = api.get("show the broadcast", &path).await?;
    if output.json {
        return output.document("guildhall.broadcast.v1", value);
    }
    let sent: Sent = read("read the broadcast", value)?;
    output.line(&format!(
        "{}  {} to {} ({}), asked by {}: {} open",
        sent.id, sent.skill, sent.to, sent.targets, sent.requester, sent.open
    ))?;
    let rows: Vec<Vec<Cell>> = sent
        .answers
        .iter()
        .map(|answer| {
            vec![
                answer.agent.as_deref().unwrap_or("").into(),
                Cell::toned(answer.state.as_str(), format::tone(&answer.state)),
                format::short_id(&answer.request_id).into(),
                told(answer).into(),
            ]
        })
        .collect();
    output.write(&draw(output, &["AGENT", "STATE", "REQUEST", "ANSWER"], &rows))
}

fn told(answer: &Answer) -> String {
    match (&answer.error, &answer.result) {
        (Some(error), None) => format::error_line(error),
        (_, Some(result)) => match result["summary"].as_str() {
            Some(summary) => summary.to_owned(),
            None => result.to_string(),
        },
        (None, None) => String::new(),
    }
}
