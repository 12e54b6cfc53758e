//! `guildhall chat`: asks the orchestrator in plain words.

use super::watch;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::http::Api;
use crate::output::{Output, say};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Read, Write};

/// What to say.
#[derive(Clone, Debug, clap::Args)]
pub struct Chat {
    /// The message; `-` reads it from standard input. Without one, a conversation begins
    message: Vec<String>,
    /// Continue this conversation
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Follow the run that the message starts
    #[arg(long)]
    watch: bool,
}

/// Does it.
pub async fn run(context: &Context, chat: Chat) -> Result<()> {
    let api = context.api()?;
    let output = &context.output;
    let message = match chat.message.join(" ") {
        text if text == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| {
                CliError::new("cannot read the message from standard input").cause(&error)
            })?;
            text
        }
        text => text,
    };
    if message.trim().is_empty() {
        if !std::io::stdin().is_terminal() {
            return Err(CliError::new("there is no message")
                .hint("guildhall chat \"review, test and deploy branch my-branch\""));
        }
        return converse(&api, output, chat.session).await;
    }
    let answer = ask(&api, &message, chat.session.as_deref()).await?;
    show(output, &answer)?;
    match answer["run_id"].as_str().filter(|_| chat.watch) {
        Some(run) => watch::follow(&api, output, run, None).await,
        None => Ok(()),
    }
}

async fn ask(api: &Api, message: &str, session: Option<&str>) -> Result<Value> {
    let mut body = json!({ "message": message.trim() });
    if let Some(session) = session {
        body["session_id"] = session.into();
    }
    api.post("ask the orchestrator", "/chat", &body).await
}

/// A line in, an answer out, until the end of input.
async fn converse(api: &Api, output: &Output, mut session: Option<String>) -> Result<()> {
    say("ask for what you want done; Ctrl-D ends");
    loop {
        eprint!("> ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        let read = std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| CliError::new("cannot read from the terminal").cause(&error))?;
        if read == 0 {
            return Ok(());
        }
        if line.trim().is_empty() {
            continue;
        }
        match ask(api, &line, session.as_deref()).await {
            Ok(answer) => {
                session = answer["session_id"].as_str().map(str::to_string).or(session);
                show(output, &answer)?;
            }
            // One refused message does not end the conversation.
            Err(error) => say(&error.render(false)),
        }
    }
}

fn show(output: &Output, answer: &Value) -> Result<()> {
    if output.json {
        return output.document("guildhall.chat.v1", answer.clone());
    }
    output.line(answer["message"].as_str().unwrap_or_default())?;
    if let Some(run) = answer["run_id"].as_str() {
        let steps: Vec<&str> = answer["plan"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|step| step["step"].as_str())
            .collect();
        output.line(&format!("run {run}: {}", steps.join(" → ")))?;
    }
    let planner = &answer["planner"];
    if let Some(kind) = planner["kind"].as_str() {
        let reason = planner["reason"]
            .as_str()
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default();
        let risk = answer["risk"]["tier"]
            .as_str()
            .map(|tier| format!(", risk: {tier}"))
            .unwrap_or_default();
        say(&format!("planned by {kind}{reason}{risk}"));
    }
    for suggestion in answer["suggestions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        say(&format!("  {suggestion}"));
    }
    if let Some(session) = answer["session_id"].as_str() {
        say(&format!("  to go on: guildhall chat --session {} …", session));
    }
    Ok(())
}
