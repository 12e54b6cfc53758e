//! Tells the ends of requests to the URLs that their requesters gave: signed, again with growing pauses, with a bound.

use guildhall_guest::{
    GuestDb, Trace, chain,
    drain::Guard,
    egress::{self, Fetched, Signed},
    log, random_u64,
    store::callback::{self, Attempt, ClaimedCallback},
};
use std::{rc::Rc, time::Duration};

const BATCH: u32 = 8;
const LIMIT: Duration = Duration::from_secs(10);
/// Longer than a call may take.
const LEASE_S: i64 = 30;

thread_local! {
    static GUARD: Rc<Guard> = Rc::default();
}

/// Works off the callbacks that are due.
pub async fn drain(trace: Trace) {
    let Some(_turn) = GUARD.with(Guard::enter) else {
        return;
    };
    let worker = format!("callbacks-{:016x}", random_u64());
    loop {
        match callback::claim(&GuestDb, &worker, BATCH, LEASE_S).await {
            Ok(due) if due.is_empty() => return,
            Ok(due) => {
                futures::future::join_all(due.into_iter().map(|due| tell(due, &trace))).await;
            }
            Err(error) => {
                log::warn(format!(
                    "could not claim callbacks (the ticker will try again): {error}"
                ));
                return;
            }
        }
    }
}

async fn tell(due: ClaimedCallback, trace: &Trace) {
    let trace = Trace {
        traceparent: due.event["traceparent"].as_str().map(str::to_owned),
        ..trace.clone()
    };
    let call = Signed {
        url: due.url,
        body: due.event.to_string(),
        signed_for: due.requester,
        limit: LIMIT,
        want_body: false,
    };
    let attempt = match egress::post_signed(call, &trace).await {
        Fetched::Answered { status, .. } if (200..300).contains(&status) => Attempt::Delivered,
        Fetched::Answered { status, .. } => Attempt::Retry(format!("it answered with HTTP status {status}")),
        Fetched::Refused { reason, detail } => Attempt::Refused(format!("{reason}: {detail}")),
        Fetched::Failed { reason, detail } => Attempt::Retry(format!("{reason}: {detail}")),
    };
    if let Err(error) = callback::report(&GuestDb, due.request_id, due.epoch, &attempt).await {
        log::warn(format!(
            "could not report the callback of request {}; it is made again: {error}",
            due.request_id
        ));
    }
}

/// Starts working them off after the answer.
pub fn start(trace: Trace) {
    chain::spawn(drain(trace));
}
