//! Remote agents: they register, are heard of or not, work, and write down what they were called for.

use crate::{cluster::Cluster, record::Record};
use anyhow::Result;
use guildhall_testkit::{Client, Stub, history::requests::Execution, seed::rng};
use rand::Rng;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How many there are. The first is always heard of; the others fall silent now and then.
pub const AGENTS: usize = 4;
/// What all of them can do.
pub const SKILL: &str = "chaos_work";

/// Where all of them are reached. Most calls succeed at once; some take long, some fail.
pub async fn start(record: Arc<Record>) -> Result<Stub> {
    Stub::start(move |received| {
        let record = record.clone();
        async move {
            let call = received.json();
            let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
            record.lists().executions.push(Execution {
                request: text("request_id"),
                epoch: call["epoch"].as_i64().unwrap_or_default(),
                effect_key: text("idempotency_key"),
            });
            // By chance, but not by the seed: the calls come in no order that a seed could repeat.
            let fate = rand::random_range(0..100);
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..40))).await;
            // Longer than a lease, so that it has to be renewed meanwhile.
            let begun = Instant::now();
            while fate < 4 && record.goes_on() && begun.elapsed() < Duration::from_secs(11) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            match fate {
                90.. => (503, json!({"detail": "not now"})),
                _ => (
                    200,
                    json!({"status": "succeeded", "result": {"epoch": call["epoch"]}}),
                ),
            }
        }
    })
    .await
}

fn registration(url: &str, number: usize, ttl_s: i64) -> Value {
    json!({"ttl_s": ttl_s, "max_concurrency": 3, "card": {
        "name": format!("Chaos {number}"), "description": "An agent of a test.", "version": "1",
        "supportedInterfaces": [{"url": format!("{url}/{number}"), "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}],
        "capabilities": {}, "defaultInputModes": ["application/json"], "defaultOutputModes": ["application/json"],
        "skills": [{"id": SKILL, "name": "Work", "description": "Works.", "tags": ["chaos"],
            "inputSchema": {"type": "object", "required": ["key"]}}]}})
}

async fn put(client: &Client, path: &str, body: &Value) -> bool {
    let headers = [("content-type", "application/json")];
    let reply = client
        .send("PUT", path, &headers, body.to_string().into_bytes())
        .await;
    reply.is_ok_and(|reply| (200..300).contains(&reply.status))
}

/// The life of one of them, for ever.
pub async fn live(cluster: Arc<Cluster>, record: Arc<Record>, url: String, number: usize) {
    let mut rng = rng(&format!("agent {number}"));
    let id = format!("chaos-{number}");
    let path = format!("/v1/agents/{id}");
    let ttl_s = if number == 0 { 10 } else { 2 };
    let body = registration(&url, number, ttl_s);
    let mut registered = false;
    loop {
        if !registered {
            registered = put(&cluster.any(&mut rng), &path, &body).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(200..900))).await;
        let client = cluster.any(&mut rng).timeout(Duration::from_secs(2));
        if number > 0 && rng.random_bool(0.1) {
            record.count("agents: fell silent");
            tokio::time::sleep(Duration::from_millis(rng.random_range(2000..5000))).await;
        } else if number > 0 && rng.random_bool(0.1) {
            let status = ["active", "busy", "draining"][rng.random_range(0..3)];
            put(&client, &format!("{path}/status"), &json!({"status": status})).await;
        } else if number > 0 && rng.random_bool(0.03) {
            let _ = client.send("DELETE", &path, &[], Vec::new()).await;
            registered = false;
        } else if let Ok(reply) = client.post(&format!("{path}/heartbeat"), &json!({})).await {
            registered = reply.status != 404;
        }
    }
}
