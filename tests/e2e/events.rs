//! The stream of events: filters, and going on behind the last one.

use crate::target::{admin, with_scopes};
use anyhow::{Context, Result, ensure};
use guildhall_testkit::Client;
use serde_json::{Value, json};
use std::time::Duration;

/// An open stream.
struct Stream {
    answer: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(url: &str, token: &str, query: &str, last: Option<&str>) -> Result<Stream> {
        let mut request = reqwest::Client::new()
            .get(format!("{url}/v1/events{query}"))
            .bearer_auth(token)
            .header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let mut answer = request.send().await?;
        ensure!(answer.status() == 200, "{}", answer.text().await?);
        ensure!(answer.headers()["content-type"] == "text/event-stream");
        // What was open before the first piece came sees everything that happens from now on.
        let first = answer.chunk().await?.context("the stream began with nothing")?;
        let text = String::from_utf8(first.to_vec())?;
        Ok(Stream { answer, text })
    }

    /// The next event, with its `id:`.
    async fn next(&mut self) -> Result<(String, Value)> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let piece: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| piece.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                    let event: Value = serde_json::from_str(data)?;
                    ensure!(field("event: ") == event["type"].as_str(), "{piece}");
                    return Ok((id.to_owned(), event));
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.answer.chunk())
                .await
                .context("no event came")??;
            let chunk = chunk.context("the stream ended")?;
            self.text.push_str(std::str::from_utf8(&chunk)?);
        }
    }
}

/// Takes a lock and gives it back, both told of.
async fn lock(client: &Client, resource: &str) -> Result<()> {
    let path = format!("/v1/locks/{}", resource.replace(':', "%3A"));
    let body = json!({"holder": "h", "ttl_s": 60, "reason": "a test", "announce": true});
    let taken = client.post(&format!("{path}/acquire"), &body).await?;
    ensure!(taken.status == 200, "{}", taken.text());
    let body = json!({"holder": "h", "fencing_token": taken.json()["lock"]["fencing_token"]});
    ensure!(client.post(&format!("{path}/release"), &body).await?.status == 200);
    Ok(())
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap_or_default()
}

async fn reader() -> Result<(String, String, Client)> {
    let admin = admin().await?;
    let (_, token) = with_scopes("e2e.events", "service", &["runs:read"], 600).await?;
    Ok((admin.base().to_owned(), token, admin))
}

#[tokio::test]
async fn a_stream_goes_on_behind_the_last_event_that_was_seen() -> Result<()> {
    let (url, token, admin) = reader().await?;
    let query = "?type=dev.guildhall.lock.&subject=e2e%3Astream";
    let mut stream = Stream::open(&url, &token, query, None).await?;
    lock(&admin, "e2e:elsewhere").await?;
    lock(&admin, "e2e:stream").await?;
    let (first, event) = stream.next().await?;
    assert_eq!(kind(&event), "dev.guildhall.lock.acquired.v1");
    assert_eq!(event["subject"], "e2e:stream");
    drop(stream);
    // What happens while nobody listens is not lost, and what was seen does not come again.
    lock(&admin, "e2e:stream").await?;
    let mut stream = Stream::open(&url, &token, query, Some(&first)).await?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (id, event) = stream.next().await?;
        assert_eq!(event["subject"], "e2e:stream");
        seen.push((id, event));
    }
    let tokens: Vec<(&str, i64)> = seen
        .iter()
        .map(|(_, event)| {
            (
                kind(event),
                event["data"]["fencing_token"].as_i64().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        tokens,
        [
            ("dev.guildhall.lock.released.v1", 1),
            ("dev.guildhall.lock.acquired.v1", 2),
            ("dev.guildhall.lock.released.v1", 2)
        ]
    );
    // Pages give the same events at the same positions.
    let page = admin
        .get(&format!("/v1/events{query}&after={first}"))
        .await?
        .json();
    let items = page["items"].as_array().cloned().unwrap_or_default();
    assert_eq!(items.len(), 3, "{page:#}");
    for (item, (id, event)) in items.iter().zip(&seen) {
        assert_eq!(
            (item["position"].as_str(), &item["event"]),
            (Some(id.as_str()), event)
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_has_only_what_was_asked_for() -> Result<()> {
    let (url, token, admin) = reader().await?;
    let query = "?type=dev.guildhall.lock.released&subject=e2e%3Afiltered";
    let mut stream = Stream::open(&url, &token, query, None).await?;
    for resource in ["e2e:filtered", "e2e:other", "e2e:filtered"] {
        lock(&admin, resource).await?;
    }
    for token in [1, 2] {
        let (_, event) = stream.next().await?;
        assert_eq!(kind(&event), "dev.guildhall.lock.released.v1");
        assert_eq!(
            (&event["subject"], &event["data"]["fencing_token"]),
            (&json!("e2e:filtered"), &json!(token))
        );
    }
    // From a moment on: everything since, also what was before the stream was opened.
    let since = "2020-01-01T00:00:00Z";
    let mut stream = Stream::open(&url, &token, &format!("{query}&since={since}"), None).await?;
    assert_eq!(stream.next().await?.1["data"]["fencing_token"], 1);
    Ok(())
}

#[tokio::test]
async fn a_stream_that_cannot_be_given_is_a_problem() -> Result<()> {
    let (_, _, admin) = reader().await?;
    let headers = [("accept", "text/event-stream")];
    for (query, last, status) in [
        ("?after=x", None, 400),
        ("", Some("not-a-position"), 400),
        ("?since=yesterday", None, 400),
    ] {
        let mut headers = headers.to_vec();
        headers.extend(last.map(|last| ("last-event-id", last)));
        let reply = admin
            .send("GET", &format!("/v1/events{query}"), &headers, Vec::new())
            .await?;
        assert_eq!(reply.status, status, "{query} {last:?}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    }
    let (narrow, _) = with_scopes("e2e.narrow", "service", &["locks:read"], 600).await?;
    let reply = narrow.send("GET", "/v1/events", &headers, Vec::new()).await?;
    assert_eq!(reply.status, 403, "{}", reply.text());
    Ok(())
}
