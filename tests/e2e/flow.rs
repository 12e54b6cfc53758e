//! Workflows that run in the fleet: what the tests of them share.

use crate::{
    registry::{bound, card, put},
    target::TRUSTED,
};
use anyhow::{Context, Result, bail, ensure};
use guildhall_testkit::{Client, Stub};
use guildhall_tests::RunView;
use serde_json::{Value, json};
use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// No test asserts less; this only ends a hang.
const PATIENCE: Duration = Duration::from_secs(90);

/// A remote agent whose answers a test makes. It has one skill, of its own name with `_` for `-`.
pub(crate) struct Agent {
    _stub: Stub,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Agent {
    /// Answers each request with what `answer` makes of it: a result, or an error.
    pub(crate) async fn start<F, W>(id: &str, answer: F) -> Result<Agent>
    where
        F: Fn(Value) -> W + Send + Sync + 'static,
        W: Future<Output = Result<Value, Value>> + Send + 'static,
    {
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let log = asked.clone();
        let stub = Stub::start_at(TRUSTED, move |request| {
            let body = request.json();
            log.lock().expect("no panic holds it").push(body.clone());
            let answered = answer(body);
            async move {
                match answered.await {
                    Ok(result) => (200, json!({"status": "succeeded", "result": result})),
                    Err(error) => (200, json!({"status": "failed", "error": error})),
                }
            }
        })
        .await?;
        let body = json!({"card": card(id, &[&id.replace('-', "_")]), "ttl_s": 300, "url": stub.url(),
            "max_concurrency": 8});
        let reply = put(&bound(id).await?, &format!("/v1/agents/{id}"), &body).await?;
        ensure!(reply.status == 201, "{}", reply.text());
        Ok(Agent { _stub: stub, asked })
    }

    /// The inputs that it was asked with, in order.
    pub(crate) fn inputs(&self) -> Vec<Value> {
        let asked = self.asked.lock().expect("no panic holds it");
        asked.iter().map(|request| request["input"].clone()).collect()
    }

    /// The idempotency keys that it was asked with, in order.
    pub(crate) fn keys(&self) -> Vec<Value> {
        let asked = self.asked.lock().expect("no panic holds it");
        asked
            .iter()
            .map(|request| request["idempotency_key"].clone())
            .collect()
    }
}

/// A document named `name` of the namespace `e2e`, with these tasks and what else belongs to it.
pub(crate) fn document(name: &str, rest: &str) -> String {
    format!("document: {{dsl: 1.0.3, namespace: e2e, name: {name}, version: 1.0.0}}\n{rest}")
}

/// Starts a run of a document.
pub(crate) async fn start(client: &Client, definition: &str, input: Value) -> Result<String> {
    begin(client, &json!({"definition": definition, "input": input})).await
}

/// Starts a run by a whole body.
pub(crate) async fn begin(client: &Client, body: &Value) -> Result<String> {
    let reply = client.post("/v1/runs", body).await?;
    ensure!(reply.status == 201, "{} {}", reply.status, reply.text());
    Ok(reply.json()["id"].as_str().context("an id")?.to_owned())
}

/// Uploads a document.
pub(crate) async fn upload(client: &Client, definition: &str) -> Result<Value> {
    let reply = client
        .post("/v1/workflows", &json!({"definition": definition}))
        .await?;
    ensure!(
        [200, 201].contains(&reply.status),
        "{} {}",
        reply.status,
        reply.text()
    );
    Ok(reply.json())
}

/// The run as it is now.
pub(crate) async fn show(client: &Client, id: &str) -> Result<RunView> {
    let reply = client.get(&format!("/v1/runs/{id}")).await?;
    ensure!(reply.status == 200, "run {id}: {} {}", reply.status, reply.text());
    Ok(RunView(reply.json()))
}

/// Waits until `ready` says so of the run.
pub(crate) async fn until(
    client: &Client,
    id: &str,
    what: &str,
    ready: impl Fn(&RunView) -> bool,
) -> Result<RunView> {
    let begun = Instant::now();
    loop {
        let run = show(client, id).await?;
        if ready(&run) {
            return Ok(run);
        }
        if run.ended() || begun.elapsed() > PATIENCE {
            bail!("run {id} never was {what}: {:#}", run.0);
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// The run at its end.
pub(crate) async fn ended(client: &Client, id: &str) -> Result<RunView> {
    until(client, id, "at its end", RunView::ended).await
}

/// The output of a run that has to end well.
pub(crate) async fn output(client: &Client, id: &str) -> Result<Value> {
    let run = ended(client, id).await?;
    ensure!(run.status() == "completed", "{:#}", run.0);
    Ok(run.0["output"].clone())
}

/// The runs that a run started, the newest first.
pub(crate) async fn children(client: &Client, parent: &str) -> Result<Vec<Value>> {
    let page = client.get("/v1/runs?limit=200").await?.json();
    let items = page["items"].as_array().cloned().unwrap_or_default();
    Ok(items
        .into_iter()
        .filter(|run| run["parent_run_id"] == parent)
        .collect())
}

/// Says a verb to a run: pause, resume, signal, cancel.
pub(crate) async fn tell(client: &Client, id: &str, verb: &str, body: &Value) -> Result<()> {
    let reply = client.post(&format!("/v1/runs/{id}/{verb}"), body).await?;
    ensure!(
        [200, 202].contains(&reply.status),
        "{verb}: {} {}",
        reply.status,
        reply.text()
    );
    Ok(())
}
