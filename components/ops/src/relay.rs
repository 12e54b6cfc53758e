//! The relay: publishes committed events to Redis, after the fact and at least once. Redis being away costs nobody
//! but listeners: events wait in the outbox and are claimed again, later each time.

use futures::stream::{self, StreamExt};
use guildhall_guest::{
    GuestDb, chain, hint, log, random_u64,
    store::outbox::{self, OutboxEvent, PublishedOutcome},
    time::{Backoff, monotonic_ns, timeout},
};
use spin_sdk::redis::Connection;
use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

/// Events per claim, and for how long they are this relay's.
const BATCH: u32 = 200;
/// How many messages are on their way at the same time; they are handed to Redis in order on one connection.
const PIPELINE: usize = 32;
const LEASE_S: i64 = 15;
/// The most time for each message: `spin:redis` has no limits of its own.
const LIMIT: Duration = Duration::from_secs(2);

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static NOT_BEFORE_NS: Cell<u64> = const { Cell::new(0) };
    static REDIS: log::Once = log::Once::default();
    static BACKOFF: RefCell<Backoff> =
        RefCell::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(30)));
}

/// Publishes what waits, in the background, unless that is going on or Redis has just failed.
pub fn start(worker: &str) {
    if monotonic_ns() < NOT_BEFORE_NS.get() || RUNNING.replace(true) {
        return;
    }
    let worker = worker.to_owned();
    chain::spawn(async move {
        match run(&worker).await {
            Ok(()) => {
                BACKOFF.with_borrow_mut(|backoff| backoff.reset());
                REDIS.with(|redis| redis.recovered(|| "events reach Redis again".into()));
            }
            Err(why) => {
                let pause = BACKOFF.with_borrow_mut(|backoff| backoff.pause(random_u64()));
                NOT_BEFORE_NS.set(monotonic_ns() + pause.as_nanos() as u64);
                REDIS.with(|redis| redis.failing(|| format!("events wait in the outbox: {why}")));
            }
        }
        RUNNING.set(false);
    });
}

async fn run(worker: &str) -> Result<(), String> {
    // Connected before anything is claimed, so that an absent Redis does not push events' next attempt away.
    let redis = hint::connect().await?;
    loop {
        let events = outbox::claim(&GuestDb, worker, BATCH, LEASE_S)
            .await
            .map_err(|error| error.to_string())?;
        if events.is_empty() {
            return Ok(());
        }
        let (last, trouble) = publish_all(&redis, &events).await;
        if let Some(last) = last {
            let told = outbox::published(&GuestDb, last, worker)
                .await
                .map_err(|error| error.to_string())?;
            if told == PublishedOutcome::Stale {
                return Ok(());
            }
        }
        if let Some(why) = trouble {
            return Err(why);
        }
    }
}

/// Publishes in order. Gives the position of the last event before which none failed, and what went wrong after it.
async fn publish_all<'e>(redis: &Connection, events: &'e [OutboxEvent]) -> (Option<&'e str>, Option<String>) {
    let mut last = None;
    let mut pending = stream::iter(events)
        .map(|event| async move { (event, publish(redis, event).await) })
        .buffered(PIPELINE);
    while let Some((event, outcome)) = pending.next().await {
        match outcome {
            Ok(()) => last = Some(event.position.as_str()),
            Err(why) => return (last, Some(why)),
        }
    }
    (last, None)
}

async fn publish(redis: &Connection, event: &OutboxEvent) -> Result<(), String> {
    let message =
        serde_json::to_vec(&event.event).map_err(|error| format!("event {}: {error}", event.position))?;
    match timeout(LIMIT, redis.publish(&event.channel, message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("publishing failed: {error}")),
        Err(_) => Err(format!("Redis did not take a message within {LIMIT:?}")),
    }
}
