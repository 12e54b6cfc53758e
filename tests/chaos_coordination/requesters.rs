//! Clients of requests: each asks several times for the same thing, over HTTP and over Redis.

use crate::{agents::SKILL, cluster::Cluster, record::Record};
use guildhall_testkit::{history::requests::Accepted, seed::rng};
use rand::Rng;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// Seconds until a request times out: within this after the faults, everything has ended.
pub const TIMEOUT_S: u64 = 20;

/// Submits requests until the clients are to stop, each under one key up to three times, to any of the hosts.
pub async fn ask(cluster: Arc<Cluster>, record: Arc<Record>, number: usize) {
    let mut rng = rng(&format!("requester {number}"));
    let mut asked = 0;
    while record.goes_on() {
        asked += 1;
        let key = format!("http-{number}-{asked}");
        let priority = ["low", "normal", "high", "urgent"][rng.random_range(0..4)];
        let body = json!({"skill": SKILL, "input": {"key": key}, "timeout_s": TIMEOUT_S, "max_attempts": 5,
            "priority": priority})
        .to_string()
        .into_bytes();
        let mut copies = tokio::task::JoinSet::new();
        for copy in 0..rng.random_range(1..=3) {
            let client = cluster.any(&mut rng);
            let (key, body, record) = (key.clone(), body.clone(), record.clone());
            let wait = rng.random_bool(0.3);
            let pause = Duration::from_millis(copy * rng.random_range(0..200));
            copies.spawn(async move {
                tokio::time::sleep(pause).await;
                let mut headers = vec![
                    ("content-type", "application/json"),
                    ("idempotency-key", key.as_str()),
                ];
                if wait {
                    headers.push(("prefer", "wait=2"));
                }
                match client.send("POST", "/v1/requests", &headers, body).await {
                    Ok(reply) if (200..300).contains(&reply.status) => {
                        let request = reply.json()["id"].as_str().unwrap_or_default().to_owned();
                        record.lists().accepted.push(Accepted { key, request });
                    }
                    _ => record.count("requests: nobody knows"),
                }
            });
        }
        while copies.join_next().await.is_some() {}
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..400))).await;
    }
}

/// Publishes CloudEvents until the clients are to stop, each up to three times.
pub async fn publish(cluster: Arc<Cluster>, record: Arc<Record>) {
    let mut rng = rng("publisher");
    let mut published = 0;
    while record.goes_on() {
        published += 1;
        let id = format!("event-{published}");
        let event =
            json!({"specversion": "1.0", "type": "dev.guildhall.request.v1", "source": "/chaos", "id": id,
            "data": {"skill": SKILL, "input": {"key": id}, "timeout_s": TIMEOUT_S, "max_attempts": 5}})
            .to_string();
        for _ in 0..rng.random_range(1..=3) {
            // While Redis is away nobody hears it; that is no acceptance.
            if let Ok(redis) = cluster.redis.try_read() {
                let _ = redis.publish("guildhall.requests", event.as_bytes()).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..500))).await;
    }
}
