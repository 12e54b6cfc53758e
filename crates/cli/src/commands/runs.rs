//! `guildhall runs`: what became of what was asked for.

use super::{Paging, items, next_page, read, watch};
use crate::context::Context;
use crate::error::Result;
use crate::format::{self, short_id, spelled};
use crate::http::Api;
use crate::ids;
use crate::output::{Output, Tone, say};
use crate::table::{Cell, draw, draw_plain};
use guildhall_domain::run::{Run, RunStatus};
use serde_json::{Value, json};

/// What to do with runs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Runs {
    /// List runs, the newest first
    List {
        /// Only runs that stand here
        #[arg(long, value_parser = ["pending", "running", "waiting", "completed", "faulted", "cancelled"], value_name = "STATUS")]
        status: Option<String>,
        /// Which part of the list
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a run with its timeline
    Show {
        /// The run's id, or its beginning
        run: String,
        /// Show the journal too
        #[arg(long)]
        journal: bool,
    },
    /// Follow a run until it ends; exit code 1 when it ends badly
    Watch {
        /// The run's id, or its beginning
        run: String,
        /// Stop following after this many seconds, with exit code 1
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// Withdraw a run
    Cancel {
        /// The run's id, or its beginning
        run: String,
        /// Why; recorded in the run's journal
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Does it.
pub async fn run(context: &Context, command: Runs) -> Result<()> {
    let api = context.api()?;
    let output = &context.output;
    match command {
        Runs::List { status, paging } => list(&api, output, status, paging).await,
        Runs::Show { run, journal } => show(&api, output, &run, journal).await,
        Runs::Watch { run, timeout } => {
            let id = ids::resolve(&api, "run", "/v1/runs", &run).await?;
            watch::follow(&api, output, &id, timeout).await
        }
        Runs::Cancel { run, reason } => cancel(&api, output, &run, &reason).await,
    }
}

async fn list(api: &Api, output: &Output, status: Option<String>, paging: Paging) -> Result<()> {
    let what = "list the runs";
    let page = api
        .get(what, &format!("/v1/runs{}", paging.query(&[("status", status)])))
        .await?;
    if output.json {
        return output.document("guildhall.runs.v1", page);
    }
    let runs: Vec<Run> = items(what, &page)?;
    let rows: Vec<Vec<Cell>> = runs
        .iter()
        .map(|run| {
            let status = spelled(&run.status);
            vec![
                short_id(&run.id.to_string()).into(),
                Cell::toned(&status, format::tone(&status)),
                format::relative(run.created_at).into(),
                run.requester.as_str().into(),
                run.title.as_str().into(),
            ]
        })
        .collect();
    output.write(&draw(output, &["RUN", "STATUS", "STARTED", "BY", "TITLE"], &rows))?;
    if rows.is_empty() {
        say("there are no such runs; `guildhall chat \"review branch NAME\"` starts one");
    }
    next_page(&page, "guildhall runs list");
    Ok(())
}

async fn show(api: &Api, output: &Output, given: &str, journal: bool) -> Result<()> {
    let id = ids::resolve(api, "run", "/v1/runs", given).await?;
    let what = "show the run";
    let value = api.get(what, &format!("/v1/runs/{id}")).await?;
    let mut document = json!({ "run": value });
    if journal {
        document["journal"] = read_journal(api, &id).await?;
    }
    if output.json {
        return output.document("guildhall.run.v1", document);
    }
    let run: Run = read(what, document["run"].clone())?;
    output.write(&describe(output, &run))?;
    for entry in document["journal"].as_array().into_iter().flatten() {
        let position = entry["position"].as_i64().unwrap_or_default();
        let (at, kind) = (
            entry["at"].as_str().unwrap_or_default(),
            entry["kind"].as_str().unwrap_or_default(),
        );
        let step = entry["step"].as_str().unwrap_or_default();
        output.line(format!("  {position:>4}  {at}  {kind} {step}").trim_end())?;
    }
    Ok(())
}

async fn read_journal(api: &Api, id: &str) -> Result<Value> {
    let mut entries = Vec::new();
    let mut query = "?limit=200".to_string();
    loop {
        let page = api
            .get("read the journal", &format!("/v1/runs/{id}/journal{query}"))
            .await?;
        entries.extend(page["items"].as_array().cloned().unwrap_or_default());
        match &page["next"] {
            Value::String(cursor) => query = format!("?limit=200&after={}", crate::http::segment(cursor)),
            Value::Number(cursor) => query = format!("?limit=200&after={cursor}"),
            _ => return Ok(Value::Array(entries)),
        }
    }
}

async fn cancel(api: &Api, output: &Output, given: &str, reason: &str) -> Result<()> {
    let id = ids::resolve(api, "run", "/v1/runs", given).await?;
    let body = json!({ "reason": reason });
    let answer = api
        .post("cancel the run", &format!("/v1/runs/{id}/cancel"), &body)
        .await?;
    if output.json {
        return output.document(
            "guildhall.run_cancelled.v1",
            json!({ "id": id, "answer": answer }),
        );
    }
    output.line(&format!("run {id} is cancelled"))
}

/// A run as text: a heading and its timeline.
pub fn describe(output: &Output, run: &Run) -> String {
    let status = spelled(&run.status);
    let tone = format::tone(&status);
    let painted = tone.map_or(status.clone(), |tone| output.paint(tone, &status));
    let mut text = format!("run {}  {painted}\n", run.id);
    text.push_str(&format!(
        "  {}, asked for by {} {}\n",
        run.title,
        run.requester,
        format::relative(run.created_at)
    ));
    let rows: Vec<Vec<Cell>> = format::timeline(run)
        .into_iter()
        .map(|(pointer, step)| {
            let name = format::step_name(&pointer).to_string();
            match step {
                Some(step) => vec![
                    format!("  {name}").into(),
                    Cell::toned(&step.status, format::tone(&step.status)),
                    format::step_actor(step).into(),
                    format::step_time(step).into(),
                    format::step_result(step).into(),
                ],
                None => vec![
                    format!("  {name}").into(),
                    Cell::toned("planned", Some(Tone::Dim)),
                    "".into(),
                    "".into(),
                    "".into(),
                ],
            }
        })
        .collect();
    text.push_str(&draw_plain(output, &rows));
    if let Some(error) = run.error.as_ref().filter(|_| run.status == RunStatus::Faulted) {
        text.push_str(&format!("  stopped: {}\n", format::error_line(error)));
    }
    text
}
