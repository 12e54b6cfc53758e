//! `guildhall events`: the record of every state change, as it was or as it comes.

use super::read;
use crate::context::Context;
use crate::error::{CliError, Exit, Result};
use crate::format;
use crate::http::{Api, segment};
use crate::output::{Output, say};
use crate::sse;
use crate::table::{Cell, draw};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long to wait before coming again after the stream broke off.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the fleet may be away before following is given up.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// What to do with events.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Events {
    /// List events in their order
    List {
        /// Which events
        #[command(flatten)]
        filter: Filter,
        /// Most events to list
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200), value_name = "N")]
        limit: u32,
    },
    /// Print events as they come, until stopped; comes again by itself where it was cut off
    Follow {
        /// Which events
        #[command(flatten)]
        filter: Filter,
        /// Stop after this many
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
}

/// Which events.
#[derive(Clone, Debug, clap::Args)]
pub struct Filter {
    /// Only types that begin so, for example dev.guildhall.request
    #[arg(long = "type", value_name = "PREFIX")]
    pub kind: Option<String>,
    /// Only about this run, request, agent or lock
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    /// Only from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only behind this position, which an earlier list or --json named
    #[arg(long, value_name = "POSITION")]
    pub after: Option<String>,
}

impl Filter {
    fn query(&self, limit: Option<u32>) -> String {
        let limit = limit.map(|limit| limit.to_string());
        let pairs = [
            ("limit", &limit),
            ("type", &self.kind),
            ("subject", &self.subject),
            ("since", &self.since),
            ("after", &self.after),
        ];
        let given = pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let written: Vec<String> = given
            .map(|(name, value)| format!("{name}={}", segment(value)))
            .collect();
        match written.is_empty() {
            true => String::new(),
            false => format!("?{}", written.join("&")),
        }
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Placed>,
    next: Option<String>,
    more: bool,
}

#[derive(Deserialize)]
struct Placed {
    event: CloudEvent,
}

#[derive(Deserialize)]
struct CloudEvent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    subject: Option<String>,
    time: DateTime<Utc>,
    #[serde(default)]
    data: Value,
}

/// Does it.
pub async fn run(context: &Context, command: Events) -> Result<()> {
    let api = context.api()?;
    match command {
        Events::List { filter, limit } => list(context, &api, &filter, limit).await,
        Events::Follow { filter, count } => follow(&context.output, &api, &filter, count).await,
    }
}

async fn list(context: &Context, api: &Api, filter: &Filter, limit: u32) -> Result<()> {
    let (what, output) = ("list the events", &context.output);
    let page = api
        .get(what, &format!("/v1/events{}", filter.query(Some(limit))))
        .await?;
    if output.json {
        return output.document("guildhall.events.v1", page);
    }
    let page: Page = read(what, page)?;
    let rows: Vec<Vec<Cell>> = page
        .items
        .iter()
        .map(|placed| {
            let event = &placed.event;
            vec![
                event.time.format("%Y-%m-%d %H:%M:%S").to_string().into(),
                short(&event.kind).into(),
                event.subject.as_deref().unwrap_or("").into(),
                told(&event.data).into(),
            ]
        })
        .collect();
    output.write(&draw(output, &["TIME (UTC)", "TYPE", "SUBJECT", "WHAT"], &rows))?;
    if rows.is_empty() {
        say("there are none");
    }
    if let (true, Some(next)) = (page.more, page.next) {
        say(&format!("there are more: guildhall events list --after {next}"));
    }
    Ok(())
}

/// Prints what comes. The stream ends by itself after some minutes, and breaks when the fleet goes away; the next one
/// begins behind the last event that was printed, so that none is missed and none comes twice.
async fn follow(output: &Output, api: &Api, filter: &Filter, count: Option<u64>) -> Result<()> {
    let what = "follow the events";
    let path = format!("/v1/events{}", filter.query(None));
    let (mut last, mut left) = (None::<String>, count);
    let mut away_since: Option<Instant> = None;
    while left != Some(0) {
        let broken = match api.follow(what, &path, last.as_deref()).await {
            Err(error) if error.exit == Exit::Failure => return Err(error),
            Err(error) => error,
            Ok(mut stream) => {
                if away_since.take().is_some() {
                    say("the fleet is back");
                }
                let mut reader = sse::Reader::default();
                loop {
                    match stream.next().await {
                        Ok(Some(piece)) => {
                            for event in reader.take(&piece) {
                                print(output, &event)?;
                                last = Some(event.id);
                                left = left.map(|left| left - 1);
                                if left == Some(0) {
                                    return Ok(());
                                }
                            }
                        }
                        Ok(None) => {
                            break CliError::new(format!("cannot {what}")).because("the stream ended");
                        }
                        Err(error) => break error,
                    }
                }
            }
        };
        let since = *away_since.get_or_insert_with(Instant::now);
        if since.elapsed() > AWAY_MAX {
            return Err(broken);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn print(output: &Output, event: &sse::Event) -> Result<()> {
    let value: Value = serde_json::from_str(&event.data)
        .map_err(|error| CliError::new("cannot read an event").because(error.to_string()))?;
    if output.json {
        return output.document(
            "guildhall.event.v1",
            json!({"position": event.id, "event": value}),
        );
    }
    let event: CloudEvent = read("read an event", value)?;
    let line = format!(
        "{}  {:<24} {}  {}",
        event.time.format("%H:%M:%S%.3f"),
        short(&event.kind),
        event.subject.as_deref().unwrap_or("-"),
        told(&event.data)
    );
    output.line(line.trim_end())
}

/// A type without what all of the fleet's have in common.
fn short(kind: &str) -> &str {
    let kind = kind.strip_prefix("dev.guildhall.").unwrap_or(kind);
    kind.strip_suffix(".v1").unwrap_or(kind)
}

/// The little of an event's data that fits beside it.
fn told(data: &Value) -> String {
    let named = ["skill", "agent", "step", "status", "holder"].iter();
    let mut parts: Vec<String> = named
        .filter_map(|key| Some(format!("{key} {}", data[*key].as_str()?)))
        .collect();
    if data["error"].is_object() {
        parts.push(format::error_line(&data["error"]));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_is_asked_for() {
        let mut filter = Filter {
            kind: None,
            subject: None,
            since: None,
            after: None,
        };
        assert_eq!(filter.query(None), "");
        filter.since = Some("2026-11-25T12:00:00+01:00".into());
        assert_eq!(
            filter.query(Some(5)),
            "?limit=5&since=2026-11-25T12%3A00%3A00%2B01%3A00"
        );
    }

    #[test]
    fn an_event_is_told_in_a_line() {
        assert_eq!(short("dev.guildhall.request.queued.v1"), "request.queued");
        assert_eq!(short("com.example.x"), "com.example.x");
        let data = json!({"skill": "fly", "agent": null, "error": {"code": "x", "detail": "no"}});
        assert_eq!(told(&data), "skill fly, no [x]");
    }
}
