//! Faults against the coordination core: three fleets on one Postgres and one Redis, and a history of what happened.
//!
//! While hosts are killed and stopped, sessions ended, Postgres crashed, and Redis silenced, doubled, shuffled and killed,
//! clients take locks and write under them, submit requests twice, publish events thrice, and agents come and go. Then the
//! faults end, everything must come to its end, and the history is held against what docs/locks.md, docs/requests.md and
//! docs/registry.md promise.
//!
//! `GUILDHALL_SEED` repeats the choices of a run, `GUILDHALL_CHAOS_S` sets how long the faults last (default 30 s).
//! `GUILDHALL_CHAOS_SQL` is run on the database first: break a function by it and see that the checks notice.

mod agents;
mod cluster;
mod faults;
mod lockers;
mod readers;
mod record;
mod requesters;
mod verdict;

use anyhow::{Context, Result};
use cluster::Cluster;
use record::Record;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

const LOCKERS: usize = 8;
const REQUESTERS: usize = 3;
const READERS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_promised_holds_under_faults() -> Result<()> {
    let seed = guildhall_testkit::seed();
    let seconds: u64 = std::env::var("GUILDHALL_CHAOS_S")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(30);
    let record = Arc::new(Record::default());
    let agents = agents::start(record.clone()).await?;
    let cluster = Arc::new(Cluster::start(agents.address()).await?);
    let supervisor = cluster.supervise();

    let mut steady = JoinSet::new();
    for number in 0..agents::AGENTS {
        steady.spawn(agents::live(
            cluster.clone(),
            record.clone(),
            agents.url(),
            number,
        ));
    }
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        readers.spawn(readers::read(cluster.clone(), record.clone(), number));
    }
    let mut clients = JoinSet::new();
    for number in 0..LOCKERS {
        clients.spawn(lockers::work(cluster.clone(), record.clone(), number));
    }
    for number in 0..REQUESTERS {
        clients.spawn(requesters::ask(cluster.clone(), record.clone(), number));
    }
    clients.spawn(requesters::publish(cluster.clone(), record.clone()));

    let done = faults::run(&cluster, &record, Duration::from_secs(seconds)).await?;
    record.stop_clients();
    while let Some(client) = clients.join_next().await {
        client.context("a client of the test failed")?;
    }
    let settled = verdict::settle(&cluster).await;
    record.stop_readers(verdict::last_position(&cluster).await?);
    while let Some(reader) = readers.join_next().await {
        reader.context("a reader of the test failed")??;
    }
    supervisor.abort();
    steady.shutdown().await;

    let verdict = match settled {
        Ok(()) => verdict::judge(&cluster, &record).await,
        // What hangs is most likely named by one of the checks, so they come first.
        Err(why) => verdict::judge(&cluster, &record).await.and(Err(why)),
    };
    verdict.with_context(|| format!("seed {seed}; the faults were:\n    {}", done.join("\n    ")))
}
