//! Readers of the stream of events, who come again behind the last event that they saw, at whichever host.

use crate::{cluster::Cluster, record::Record};
use anyhow::{Context, Result, ensure};
use guildhall_testkit::{
    history::events::{Event, position},
    seed::rng,
};
use rand::Rng;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a stream may be silent before its reader goes to another host.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long reading what is left may take once everything has settled.
const LAST_PATIENCE: Duration = Duration::from_secs(60);

/// Reads from the first event until the position that the record tells in the end.
pub async fn read(cluster: Arc<Cluster>, record: Arc<Record>, number: usize) -> Result<()> {
    let mut rng = rng(&format!("reader {number}"));
    let http = reqwest::Client::builder().build()?;
    let mut last = "0-0".to_owned();
    let mut asked_to_end: Option<Instant> = None;
    loop {
        if let Some(until) = record.until() {
            if position(&last).is_some_and(|last| last >= until) {
                return Ok(());
            }
            let begun = asked_to_end.get_or_insert_with(Instant::now);
            ensure!(
                begun.elapsed() < LAST_PATIENCE,
                "a reader stands at {last} and never comes to {until:?}"
            );
        }
        let (url, token) = cluster.any_url(&mut rng);
        let stream = http
            .get(format!("{url}/v1/events"))
            .bearer_auth(token)
            .header("accept", "text/event-stream")
            .header("last-event-id", &last)
            .send();
        let mut seen = Vec::new();
        // Readers go away by themselves too, now and then.
        let leave = Instant::now() + Duration::from_millis(rng.random_range(500..9000));
        if let Ok(Ok(mut answer)) = tokio::time::timeout(PATIENCE, stream).await
            && answer.status() == 200
        {
            let mut text = String::new();
            while let Ok(Ok(Some(chunk))) = tokio::time::timeout(PATIENCE, answer.chunk()).await {
                text.push_str(std::str::from_utf8(&chunk).unwrap_or_default());
                while let Some(end) = text.find("\n\n") {
                    let piece: String = text.drain(..end + 2).collect();
                    if let Some((at, event)) = parse(&piece)? {
                        seen.push(event);
                        last = at;
                    }
                }
                let at_the_end = record.until().is_some_and(|until| position(&last) >= Some(until));
                if Instant::now() > leave || at_the_end {
                    break;
                }
            }
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        if !seen.is_empty() {
            record.lists().read.push(seen);
        }
    }
}

/// An event of the stream with its position; `None` for comments and the like.
fn parse(piece: &str) -> Result<Option<(String, Event)>> {
    let field = |name: &str| piece.lines().find_map(|line| line.strip_prefix(name));
    let (Some(id), Some(data)) = (field("id: "), field("data: ")) else {
        return Ok(None);
    };
    let data: serde_json::Value = serde_json::from_str(data).context("an event is not JSON")?;
    let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
    let event = Event {
        position: position(id).with_context(|| format!("{id} is no position"))?,
        subject: text("subject"),
        id: text("id"),
    };
    Ok(Some((id.to_owned(), event)))
}
