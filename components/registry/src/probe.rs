//! Asking remote agents whether they are there. Who is due is claimed in Postgres, each under an epoch, so that any
//! number of replicas ask each agent once.

use futures::future::join_all;
use guildhall_guest::{
    GuestDb, Trace, chain,
    egress::{self, Errand, Fetched},
    log,
    store::agent::{self, Probe},
};
use std::{cell::Cell, collections::BTreeMap};

/// How many are asked side by side.
const BATCH: u32 = 16;
/// The most time for one, and the most bytes that it may answer.
const LIMIT_MS: u64 = 5_000;
const MAX_BYTES: usize = 256 * 1024;

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Asks all that are due, in the background, unless this instance is at it.
pub fn start() {
    if RUNNING.replace(true) {
        return;
    }
    chain::spawn(async {
        loop {
            match agent::claim_probes(&GuestDb, BATCH).await {
                Ok(due) if due.is_empty() => break,
                Ok(due) => {
                    join_all(due.iter().map(ask)).await;
                }
                Err(error) => {
                    log::warn(format!(
                        "no probes could be claimed (the ticker will ask again): {error}"
                    ));
                    break;
                }
            }
        }
        RUNNING.set(false);
    });
}

async fn ask(probe: &Probe) {
    let errand = Errand {
        url: probe.url.clone(),
        method: "GET".into(),
        headers: BTreeMap::from([("accept".to_owned(), "application/json".to_owned())]),
        body: None,
        limit_ms: LIMIT_MS,
        max_bytes: MAX_BYTES,
        want_body: false,
    };
    let (ok, detail) = match egress::fetch(&errand, &Trace::fresh()).await {
        Fetched::Answered {
            status, elapsed_ms, ..
        } => (
            (200..300).contains(&status),
            format!("answered {status} in {elapsed_ms} ms"),
        ),
        Fetched::Refused { reason, detail } => (false, format!("not visited, {reason}: {detail}")),
        Fetched::Failed { reason, detail } => (false, format!("{reason}: {detail}")),
    };
    if let Err(error) = agent::record_probe(&GuestDb, probe, ok, &detail).await {
        log::warn(format!(
            "the probe of {} is not recorded: {error}",
            probe.agent_id
        ));
    }
}
