//! `guildhall runs`: what became of what was asked for.

use super::{Paging, items, next_page, read, start, watch};
use crate::context::Context;
use crate::error::Result;
use crate::format::{self, short_id, spelled};
use crate::http::Api;
use crate::ids;
use crate::output::{Output, Tone, say};
use crate::table::{Cell, draw, draw_plain};
use crate::tree::{self, What};
use guildhall_domain::run::{Run, RunStatus};
use serde_json::{Value, json};

/// What to do with runs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Runs {
    /// List runs, the newest first
    List {
        /// Only runs that stand here
        #[arg(long, value_parser = ["pending", "running", "waiting", "suspended", "completed", "faulted", "cancelled"], value_name = "STATUS")]
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
    /// Start a run of a workflow
    Start(start::Start),
    /// Show a run's journal: everything that it was told, in order
    Journal {
        /// The run's id, or its beginning
        run: String,
    },
    /// Hold a run: what is under way ends, nothing begins
    Pause {
        /// The run's id, or its beginning
        run: String,
    },
    /// Let a run that is held go on
    Resume {
        /// The run's id, or its beginning
        run: String,
    },
    /// Send a run an event that it may wait for
    Signal {
        /// The run's id, or its beginning
        run: String,
        /// The event's type
        #[arg(long, value_name = "TYPE")]
        r#type: String,
        /// The event's data, as JSON; @FILE reads it from a file
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        /// The event's source, a URI
        #[arg(long, value_name = "URI")]
        source: Option<String>,
        /// The event's subject
        #[arg(long, value_name = "TEXT")]
        subject: Option<String>,
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
        Runs::Start(given) => start::run(context, given).await,
        Runs::Journal { run } => journal(&api, output, &run).await,
        Runs::Pause { run } => tell(&api, output, &run, "pause", &json!({})).await,
        Runs::Resume { run } => tell(&api, output, &run, "resume", &json!({})).await,
        Runs::Signal {
            run,
            r#type,
            data,
            source,
            subject,
        } => {
            let mut event = json!({ "type": r#type });
            if let Some(data) = data {
                event["data"] = start::value("signal the run", "--data", &data)?;
                event["datacontenttype"] = "application/json".into();
            }
            for (name, given) in [("source", source), ("subject", subject)] {
                if let Some(given) = given {
                    event[name] = given.into();
                }
            }
            tell(&api, output, &run, "signal", &event).await
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
    tell_journal(output, &document["journal"])
}

async fn journal(api: &Api, output: &Output, given: &str) -> Result<()> {
    let id = ids::resolve(api, "run", "/v1/runs", given).await?;
    let entries = read_journal(api, &id).await?;
    if output.json {
        return output.document("guildhall.journal.v1", json!({ "run_id": id, "items": entries }));
    }
    tell_journal(output, &entries)
}

fn tell_journal(output: &Output, entries: &Value) -> Result<()> {
    for entry in entries.as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let position = entry["position"].as_i64().unwrap_or_default();
        let kind = match &entry["data"]["event"] {
            Value::String(event) if entry["kind"] == "event" => event.clone(),
            _ => text(&entry["kind"]),
        };
        let (at, step) = (text(&entry["at"]), text(&entry["step"]));
        output.line(format!("  {position:>4}  {at}  {kind} {step}").trim_end())?;
    }
    Ok(())
}

/// Pauses, resumes or signals a run.
async fn tell(api: &Api, output: &Output, given: &str, verb: &str, body: &Value) -> Result<()> {
    let id = ids::resolve(api, "run", "/v1/runs", given).await?;
    let what = format!("{verb} the run");
    let answer = api.post(&what, &format!("/v1/runs/{id}/{verb}"), body).await?;
    if output.json {
        return output.document("guildhall.run_told.v1", answer);
    }
    output.line(&format!("run {id} is told: {verb}"))
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
    let rows: Vec<Vec<Cell>> = tree::lines(run)
        .into_iter()
        .map(|line| {
            let name = format!("  {}{}", "  ".repeat(line.depth), line.name);
            match line.what {
                What::Step(step) => vec![
                    name.into(),
                    Cell::toned(&step.status, format::tone(&step.status)),
                    format::step_actor(step).into(),
                    format::step_time(step).into(),
                    format::step_result(step).into(),
                ],
                What::Planned | What::Around => {
                    let mark = if line.what == What::Planned { "planned" } else { "" };
                    vec![
                        name.into(),
                        Cell::toned(mark, Some(Tone::Dim)),
                        "".into(),
                        "".into(),
                        "".into(),
                    ]
                }
            }
        })
        .collect();
    text.push_str(&draw_plain(output, &rows));
    if let Some(error) = run.error.as_ref().filter(|_| run.status == RunStatus::Faulted) {
        text.push_str(&format!("  stopped: {}\n", format::error_line(error)));
    }
    text
}
