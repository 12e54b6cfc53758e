//! Clients of locks: they wait in the queue, write under their token, give the lock back, or forget to.

use crate::{
    cluster::Cluster,
    record::{Record, now_us},
};
use guildhall_testkit::{Client, history::locks::Section, postgres, seed::rng};
use rand::{Rng, rngs::StdRng};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Seconds that a grant lasts.
const TTL_S: i64 = 2;
/// Who is careful begins nothing when less than this is left of his lease, in microseconds.
const MARGIN_US: i64 = 300_000;
/// What is wanted in order; each attempt has a holder of its own, so that the queue is the plain one.
const IN_ORDER: [&str; 2] = ["chaos-queue:0", "chaos-queue:1"];
/// A tree, in which locks of one name exclude those of others, and some are shared.
const TREE: [&str; 3] = ["chaos-tree:t", "chaos-tree:t/x", "chaos-tree:t/y"];
/// Words and ranks.
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "urgent"];

/// A guarded write inside of Postgres. The moment is taken before the guard looks.
const GUARDED: &str = "
    with moment as materialized (select clock_timestamp() as at)
    insert into chaos.writes (resource, token, at)
    select $1, $2, moment.at from moment where guildhall.lock_guard($1, $2)";

struct Grant {
    resource: &'static str,
    holder: String,
    token: i64,
    expires_us: i64,
    exclusive: bool,
}

/// Takes locks until the clients are to stop.
pub async fn work(cluster: Arc<Cluster>, record: Arc<Record>, number: usize) {
    let mut rng = rng(&format!("locker {number}"));
    let mut attempt = 0;
    while record.goes_on() {
        attempt += 1;
        let in_order = rng.random_bool(0.7);
        let (resource, holder) = if in_order {
            (
                IN_ORDER[rng.random_range(0..IN_ORDER.len())],
                format!("locker-{number}.{attempt}"),
            )
        } else {
            (TREE[rng.random_range(0..TREE.len())], format!("locker-{number}"))
        };
        match acquire(&cluster, &record, resource, &holder, in_order, &mut rng).await {
            Some(grant) => hold(&cluster, &record, grant, &mut rng).await,
            None => tokio::time::sleep(Duration::from_millis(rng.random_range(50..400))).await,
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..60))).await;
    }
}

fn path(resource: &str, verb: &str) -> String {
    format!(
        "/v1/locks/{}/{verb}",
        resource.replace(':', "%3A").replace('/', "%2F")
    )
}

fn microseconds(time: &Value) -> Option<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(time.as_str()?).ok()?;
    Some(time.timestamp_micros())
}

/// `None` when there is no lock, or when nobody knows.
async fn acquire(
    cluster: &Cluster,
    record: &Record,
    resource: &'static str,
    holder: &str,
    in_order: bool,
    rng: &mut StdRng,
) -> Option<Grant> {
    let exclusive = in_order || rng.random_bool(0.6);
    let priority = [1, 1, 1, 2, 3][rng.random_range(0..5)];
    // The reason carries the rank: the history of grants does not keep it.
    let body = json!({"holder": holder, "ttl_s": TTL_S, "wait_s": rng.random_range(0..8), "reason": format!("{priority}"),
        "priority": PRIORITIES[priority], "mode": if exclusive { "exclusive" } else { "shared" },
        "announce": rng.random_bool(0.5)});
    let reply = cluster.any(rng).post(&path(resource, "acquire"), &body).await;
    let lock = match reply {
        Ok(reply) if reply.status == 200 => reply.json()["lock"].clone(),
        Ok(reply) if reply.status == 409 => {
            record.count("locks: not to be had");
            return None;
        }
        _ => {
            record.count("locks: nobody knows");
            return None;
        }
    };
    record.count("locks: taken");
    let stored = lock["holder"].as_str().unwrap_or_default();
    assert!(
        stored.ends_with(&format!("/{holder}")) && lock["resource"] == resource,
        "`{holder}` asked for `{resource}` and was told that it has the lock of another: {lock}"
    );
    Some(Grant {
        resource,
        holder: holder.to_owned(),
        token: lock["fencing_token"].as_i64()?,
        expires_us: microseconds(&lock["expires_at"])?,
        exclusive,
    })
}

async fn hold(cluster: &Cluster, record: &Record, grant: Grant, rng: &mut StdRng) {
    if grant.exclusive && rng.random_bool(0.05) {
        // Goes on as if nothing had happened long after its time is up, as a process that was stopped would.
        let until_us = grant.expires_us + rng.random_range(0..1_500_000);
        let pause = u64::try_from(until_us - now_us()).unwrap_or(0);
        tokio::time::sleep(Duration::from_micros(pause)).await;
        record.count("locks: acted upon too late");
        write(cluster, record, &grant).await;
        return;
    }
    if now_us() + MARGIN_US < grant.expires_us {
        let from_us = now_us();
        if grant.exclusive {
            write(cluster, record, &grant).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..25))).await;
        let to_us = now_us();
        // A machine that is too busy may have held us up; then the lease was over, and nothing was promised.
        if grant.exclusive && to_us < grant.expires_us {
            record.lists().sections.push(Section {
                resource: grant.resource.to_owned(),
                party: grant.holder.clone(),
                from_us,
                to_us,
            });
        }
    }
    let client = cluster.any(rng);
    if rng.random_bool(0.15) {
        let body = json!({"holder": grant.holder, "fencing_token": grant.token, "ttl_s": TTL_S});
        let _ = client.post(&path(grant.resource, "renew"), &body).await;
    }
    if rng.random_bool(0.95) {
        release(&client, &grant).await;
    }
}

async fn release(client: &Client, grant: &Grant) {
    let body = json!({"holder": grant.holder, "fencing_token": grant.token});
    // Whatever is answered, or not: the lock falls free, now or when its time is up.
    let _ = client.post(&path(grant.resource, "release"), &body).await;
}

/// Writes what the lock guards: outside of Postgres, and inside.
async fn write(cluster: &Cluster, record: &Record, grant: &Grant) {
    record.write(grant.resource, grant.token);
    if let Ok(client) = postgres::connect(cluster.database.config()).await {
        // An error means that nobody knows whether it was written; the table tells in the end.
        let _ = client.execute(GUARDED, &[&grant.resource, &grant.token]).await;
    }
}
