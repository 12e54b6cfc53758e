//! `guildhall requests`: ask an agent for a skill, see what became of it, and see to what came to nothing.

use super::{Paging, broadcasts, items, next_page, read};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::format;
use crate::http::{Api, segment};
use crate::output::say;
use crate::table::{Cell, draw};
use guildhall_domain::request::Request;
use serde_json::{Value, json};

/// What to do with requests.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Requests {
    /// List requests, newest first
    List {
        /// Only those in this state
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// Which part of the list
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a request with its result or error
    Show {
        /// Its id
        id: String,
    },
    /// Ask whoever has a skill, or one agent; prints the request's id
    Submit(Submit),
    /// Withdraw a request
    Cancel(Decision),
    /// List requests of no run that came to nothing and wait for somebody
    DeadLetters {
        /// Which part of the list
        #[command(flatten)]
        paging: Paging,
    },
    /// Give a dead letter a new life; prints the new request's id
    Retry(Decision),
    /// Let a dead letter go
    Discard(Decision),
    /// Ask many agents at once; prints the broadcast's id
    Broadcast(broadcasts::Broadcast),
    /// Broadcasts: show
    #[command(subcommand)]
    Broadcasts(broadcasts::Broadcasts),
}

/// What to ask.
#[derive(Clone, Debug, clap::Args)]
pub struct Submit {
    /// The skill's id
    pub skill: String,
    /// The skill's input, a JSON object
    #[arg(long, default_value = "{}", value_name = "JSON")]
    pub input: String,
    /// Only this agent
    #[arg(long)]
    pub agent: Option<String>,
    /// low, normal, high or urgent
    #[arg(long, default_value = "normal")]
    pub priority: String,
    /// Seconds until it times out
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub timeout: u32,
}

/// A request and why something is done with it.
#[derive(Clone, Debug, clap::Args)]
pub struct Decision {
    /// Its id
    pub id: String,
    /// Why
    #[arg(long)]
    pub reason: Option<String>,
}

/// Does it.
pub async fn run(context: &Context, command: Requests) -> Result<()> {
    let api = context.api()?;
    match command {
        Requests::List { state, paging } => {
            let path = format!("/v1/requests{}", paging.query(&[("state", state)]));
            list(
                context,
                &api,
                "list the requests",
                &path,
                "guildhall requests list",
            )
            .await
        }
        Requests::DeadLetters { paging } => {
            let path = format!("/v1/requests/dead-letters{}", paging.query(&[]));
            let again = "guildhall requests dead-letters";
            list(context, &api, "list the dead letters", &path, again).await
        }
        Requests::Show { id } => {
            let value = api
                .get("show the request", &format!("/v1/requests/{}", segment(&id)))
                .await?;
            show(context, value)
        }
        Requests::Submit(asked) => {
            let what = "submit the request";
            let input = input(what, &asked.input)?;
            let body = json!({
                "skill": asked.skill, "input": input, "agent": asked.agent, "priority": asked.priority,
                "timeout_s": asked.timeout,
            });
            made(context, api.post(what, "/v1/requests", &body).await?)
        }
        Requests::Cancel(decision) => {
            let value = decide(&api, "cancel the request", "cancel", &decision).await?;
            done(context, value, &format!("{} is withdrawn", decision.id))
        }
        Requests::Retry(decision) => made(
            context,
            decide(&api, "retry the dead letter", "retry", &decision).await?,
        ),
        Requests::Discard(decision) => {
            let value = decide(&api, "discard the dead letter", "discard", &decision).await?;
            done(context, value, &format!("{} is let go", decision.id))
        }
        Requests::Broadcast(asked) => broadcasts::submit(context, &api, &asked).await,
        Requests::Broadcasts(broadcasts::Broadcasts::Show { id }) => {
            broadcasts::show(context, &api, &id).await
        }
    }
}

/// The input of a skill as it stands on the command line.
pub(crate) fn input(what: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        CliError::new(format!("cannot {what}"))
            .because(format!("--input is not JSON: {error}"))
            .hint("for example --input '{\"environment\": \"staging\"}'")
    })
}

async fn decide(api: &Api, what: &str, verb: &str, decision: &Decision) -> Result<Value> {
    let path = format!("/v1/requests/{}/{verb}", segment(&decision.id));
    api.post(what, &path, &json!({ "reason": decision.reason })).await
}

/// The id alone, for scripts.
fn made(context: &Context, value: Value) -> Result<()> {
    if context.output.json {
        return context.output.document("guildhall.request.v1", value);
    }
    let request: Request = read("read the request", value)?;
    context.output.line(&request.id.to_string())
}

fn done(context: &Context, value: Value, told: &str) -> Result<()> {
    if context.output.json {
        return context.output.document("guildhall.request.v1", value);
    }
    say(told);
    Ok(())
}

async fn list(context: &Context, api: &Api, what: &str, path: &str, again: &str) -> Result<()> {
    let output = &context.output;
    let page = api.get(what, path).await?;
    if output.json {
        return output.document("guildhall.requests.v1", page);
    }
    let requests: Vec<Request> = items(what, &page)?;
    let rows: Vec<Vec<Cell>> = requests
        .iter()
        .map(|request| {
            let state = format::spelled(&request.state);
            vec![
                request.id.to_string().into(),
                Cell::toned(state.as_str(), format::tone(&state)),
                request.skill.as_str().into(),
                request.agent.as_deref().unwrap_or("").into(),
                format::relative(request.created_at).into(),
                why(request).into(),
            ]
        })
        .collect();
    output.write(&draw(
        output,
        &["REQUEST", "STATE", "SKILL", "AGENT", "CREATED", "ERROR"],
        &rows,
    ))?;
    if rows.is_empty() {
        say("there are none");
    }
    next_page(&page, again);
    Ok(())
}

fn why(request: &Request) -> String {
    let error = request.error.as_ref();
    error
        .map(|error| format!("{} [{}]", error.detail, error.code))
        .unwrap_or_default()
}

fn show(context: &Context, value: Value) -> Result<()> {
    let output = &context.output;
    if output.json {
        return output.document("guildhall.request.v1", value);
    }
    let request: Request = read("read the request", value)?;
    let state = format::spelled(&request.state);
    let mut lines = vec![
        format!("{}  {state}", request.id),
        format!("skill     {}", request.skill),
        format!(
            "agent     {}",
            request.agent.as_deref().unwrap_or("whoever has it")
        ),
        format!("asked by  {}", request.requester),
        format!("attempts  {} of {}", request.attempt, request.max_attempts),
        format!("created   {}", request.created_at.to_rfc3339()),
        format!("deadline  {}", request.deadline_at.to_rfc3339()),
    ];
    if let Some(finished_at) = request.finished_at {
        lines.push(format!("finished  {}", finished_at.to_rfc3339()));
    }
    if let Some(letter) = &request.letter {
        lines.push(format!("letter    {letter}"));
    }
    if request.error.is_some() {
        lines.push(format!("error     {}", why(&request)));
    }
    if let Some(result) = &request.result {
        lines.push(format!("result    {result:#}"));
    }
    output.line(&lines.join("\n"))
}
