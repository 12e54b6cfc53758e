//! The clockwork: one leased leader in the whole fleet looks once a second for what is due and wakes whoever does it.
//!
//! Any request to any component keeps it wound up: the loop runs in an instance of this component after the answer to
//! whoever asked for it. Postgres's lease decides who leads; the loops of other instances and replicas stand by for
//! a few seconds, long enough to outlive a dead leader's lease, and end, so that standing by costs next to nothing.

use crate::relay;
use guildhall_guest::{
    GuestDb, Trace, chain,
    domain::agent::FLEET,
    log, random_u64,
    store::ops,
    time::{Backoff, monotonic_ns, sleep},
};
use serde_json::json;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    time::Duration,
};

const PERIOD: Duration = Duration::from_secs(1);
/// How long a leader that died stays in office.
const LEASE_S: i64 = 5;
/// Pause of a loop that does not lead, and how often it finds another leading before it ends: over 6 s together, more
/// than [`LEASE_S`].
const STANDBY: Duration = Duration::from_millis(2200);
const STANDBY_TRIES: u32 = 3;
/// A loop that has never led gives up on an unreachable database after so many attempts; the next request to the
/// fleet starts another. One that led keeps trying.
const NEVER_LED_TRIES: u32 = 5;
/// After this time the leader hands over, so that no instance lives for ever.
const TERM: Duration = Duration::from_secs(600);
/// Heartbeats: agents count as live for 30 s after one.
const HEARTBEAT: Duration = Duration::from_secs(10);

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static DATABASE: log::Once = log::Once::default();
    static SILENT: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

/// Starts the loop in this instance, after the answer, unless it runs already. `worker` is the name of a leader that
/// hands its lease over.
pub fn start(worker: Option<String>) {
    if !RUNNING.replace(true) {
        // Whoever was handed the lease leads already.
        let led = worker.is_some();
        let worker = worker.unwrap_or_else(|| format!("ticker-{:016x}", random_u64()));
        chain::spawn(run(worker, led));
    }
}

async fn run(worker: String, mut led: bool) {
    let began_ns = monotonic_ns();
    let mut heartbeat_ns = 0;
    let mut standby = 0;
    let mut failures = 0;
    let mut backoff = Backoff::new(PERIOD, Duration::from_secs(10));
    loop {
        let tick_ns = monotonic_ns();
        match ops::tick(&GuestDb, &worker, LEASE_S).await {
            Ok(tick) => {
                failures = 0;
                backoff.reset();
                DATABASE
                    .with(|database| database.recovered(|| "the ticker reaches the database again".into()));
                if !tick.leader {
                    standby += 1;
                    if standby >= STANDBY_TRIES {
                        break;
                    }
                    sleep(STANDBY).await;
                    continue;
                }
                if !led {
                    log::info(format!("{worker} leads"));
                }
                (led, standby) = (true, 0);
                serve(tick, &worker);
                if tick_ns >= heartbeat_ns {
                    heartbeat_ns = tick_ns + nanoseconds(HEARTBEAT);
                    FLEET.into_iter().for_each(heartbeat);
                }
                if tick_ns - began_ns > nanoseconds(TERM) && hand_over(&worker).await {
                    return;
                }
                let spent = Duration::from_nanos(monotonic_ns() - tick_ns);
                sleep(PERIOD.saturating_sub(spent)).await;
            }
            Err(error) => {
                failures += 1;
                DATABASE.with(|database| {
                    database
                        .failing(|| format!("the ticker cannot ask the database and keeps trying: {error}"));
                });
                if !led && failures >= NEVER_LED_TRIES {
                    break;
                }
                sleep(backoff.pause(random_u64())).await;
            }
        }
    }
    RUNNING.set(false);
}

/// Wakes whoever has something to do, without waiting: a slow component must not cost the leader its lease.
fn serve(tick: ops::Tick, worker: &str) {
    let trace = Trace::fresh();
    if tick.runs_due {
        chain::poke("workflows", &trace);
    }
    if tick.requests_due || tick.callbacks_due {
        chain::poke("requests", &trace);
    }
    if tick.calls_due {
        chain::poke("calls", &trace);
    }
    if tick.probes_due {
        chain::poke("registry", &trace);
    }
    if tick.outbox_due {
        relay::start(worker);
    }
}

/// Asks an agent to register itself. Logs when one falls silent and when it answers again.
fn heartbeat(agent: &'static str) {
    chain::spawn(async move {
        let limit = Duration::from_secs(5);
        let answer = chain::post(
            agent,
            "/internal/heartbeat",
            &json!({}),
            &Trace::fresh(),
            limit,
            65_536,
        )
        .await;
        match chain::accepted(answer) {
            Ok(()) => {
                if SILENT.with_borrow_mut(|silent| silent.remove(agent)) {
                    log::info(format!("the agent {agent} answers again"));
                }
            }
            Err(why) => {
                if SILENT.with_borrow_mut(|silent| silent.insert(agent)) {
                    log::warn(format!(
                        "the agent {agent} does not register, so it gets no work: {why}"
                    ));
                }
            }
        }
    });
}

/// Lets another instance (or this one afresh) lead on under the same name. Gives whether it took over.
async fn hand_over(worker: &str) -> bool {
    RUNNING.set(false);
    let body = json!({"worker": worker});
    let limit = Duration::from_secs(2);
    let answer = chain::post("ops", "/internal/tick", &body, &Trace::fresh(), limit, 65_536).await;
    match chain::accepted(answer) {
        Ok(()) => true,
        // Someone may have started a loop here meanwhile; then this one is one too many.
        Err(_) => RUNNING.replace(true),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}
