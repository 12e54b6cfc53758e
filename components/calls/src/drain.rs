//! Claims due calls, performs each in a task of its own, keeps its lease meanwhile, and reports what became of it.

use crate::outside::{self, Outside};
use futures::future::{Either, LocalBoxFuture, select};
use guildhall_flow::engine::{Action, Fence, Problem, Standard};
use guildhall_guest::{
    GuestDb, Trace, chain,
    domain::request,
    drain::{Guard, Places},
    log, random_u64,
    store::{
        DbError, DbErrorKind,
        run_call::{self, ClaimedCall, FinishOutcome, RenewOutcome},
    },
    time::{Backoff, monotonic_ns, sleep},
};
use guildhall_outbound::{Call, Kept, perform};
use serde_json::Value;
use std::{future::Future, pin::pin, rc::Rc, time::Duration};

/// Seconds a claim holds; renewed every third of it, so that a dead worker's call is made again soon.
const LEASE_S: i64 = 10;
/// How many calls one instance makes at the same time.
const PLACES: usize = 12;

thread_local! {
    static GUARD: Rc<Guard> = Rc::default();
    static PLACES_HERE: Rc<Places> = Places::new(PLACES);
    static WORKER: String = format!("calls-{:016x}", random_u64());
    static KEPT: Rc<Kept> = Rc::default();
}

/// Claims due calls while there is room and performs each in a task of its own; returns when none is due or there is no
/// room. Each task looks again when it has finished, so that no room stays unused.
pub fn drain(trace: Trace) -> LocalBoxFuture<'static, ()> {
    Box::pin(async move {
        let Some(turn) = GUARD.with(Guard::enter) else {
            return;
        };
        let places = PLACES_HERE.with(Rc::clone);
        while places.free() > 0 {
            let room = places.free() as i64;
            match run_call::claim(&GuestDb, &WORKER.with(String::clone), room, LEASE_S).await {
                Ok(claimed) if claimed.is_empty() && turn.called_again() => {}
                Ok(claimed) if claimed.is_empty() => return,
                Ok(claimed) => {
                    for call in claimed {
                        let (place, trace) = (places.take(), trace.clone());
                        chain::spawn(async move {
                            make(&call, &trace).await;
                            drop(place);
                            drain(trace).await;
                        });
                    }
                }
                Err(error) => {
                    log::warn(format!(
                        "could not claim calls (the ticker will try again): {error}"
                    ));
                    return;
                }
            }
        }
    })
}

async fn make(claimed: &ClaimedCall, trace: &Trace) {
    let of = || format!("the call at {} of run {}", claimed.step, claimed.run_id);
    let answer = match select(pin!(ask(claimed)), pin!(keep_lease(claimed))).await {
        Either::Left((answer, _)) => answer,
        // Whoever has cancelled it wants no answer; whoever has it now makes it anew under the same key.
        Either::Right((why, _)) => return log::warn(format!("gave up {}: {why}", of())),
    };
    let outcome = match &answer {
        Ok(output) => Ok(output.clone()),
        Err(problem) => Err(problem.to_value()),
    };
    match again_while_away(|| finish(claimed, &outcome)).await {
        Ok(FinishOutcome::Finished) => chain::poke("workflows", trace),
        Ok(FinishOutcome::Stale) => log::warn(format!("dropped the late answer to {}", of())),
        Err(error) => log::warn(format!(
            "could not report {}; it is made again when its lease has run out: {error}",
            of()
        )),
    }
}

async fn ask(claimed: &ClaimedCall) -> Result<Value, Problem> {
    let action: Action = serde_json::from_value(claimed.action.clone()).map_err(|error| {
        let detail = format!("The call cannot be read, which is a fault of the hall: {error}.");
        Problem::standard(Standard::Runtime, detail)
    })?;
    let secrets = outside::secrets()
        .await
        .map_err(|why| Problem::standard(Standard::Configuration, why))?;
    let kept = KEPT.with(Rc::clone);
    let fence = |fence: &request::Fence| Fence {
        lock: fence.lock.clone(),
        token: fence.token,
    };
    let fences: Vec<Fence> = claimed.fences.iter().map(fence).collect();
    let call = Call {
        action: &action,
        key: &claimed.key,
        fences: &fences,
    };
    perform(&Outside, &secrets, &kept, call).await
}

async fn finish(claimed: &ClaimedCall, outcome: &Result<Value, Value>) -> Result<FinishOutcome, DbError> {
    let ClaimedCall {
        run_id, seq, epoch, ..
    } = claimed;
    run_call::finish(&GuestDb, *run_id, *seq, *epoch, outcome.as_ref()).await
}

/// Renews the lease every third of it. Gives why it is no longer ours, and never anything else.
async fn keep_lease(claimed: &ClaimedCall) -> &'static str {
    let lease = Duration::from_secs(LEASE_S as u64);
    let mut renewed_ns = monotonic_ns();
    let mut pause = lease / 3;
    loop {
        sleep(pause).await;
        let asked_ns = monotonic_ns();
        match run_call::renew(&GuestDb, claimed.run_id, claimed.seq, claimed.epoch, LEASE_S).await {
            Ok(RenewOutcome::Renewed) => {
                renewed_ns = asked_ns;
                pause = lease / 3;
            }
            Ok(RenewOutcome::Stale) => return "it was cancelled, or its lease is another's now",
            Err(error) => {
                log::warn(format!(
                    "could not renew the lease of the call at {} of run {}: {error}",
                    claimed.step, claimed.run_id
                ));
                if monotonic_ns().saturating_sub(renewed_ns) > lease.as_nanos() as u64 {
                    return "its lease has run out while the database could not be reached";
                }
                pause = Duration::from_secs(1).min(lease / 3);
            }
        }
    }
}

/// Tells the database until it can be reached, or the lease has run out. Twice does no harm, for the epoch tells.
async fn again_while_away<T, F>(attempt: impl Fn() -> F) -> Result<T, DbError>
where
    F: Future<Output = Result<T, DbError>>,
{
    let give_up_ns = monotonic_ns() + Duration::from_secs(LEASE_S as u64).as_nanos() as u64;
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        match attempt().await {
            Err(error) if error.kind == DbErrorKind::Unavailable && monotonic_ns() < give_up_ns => {
                sleep(backoff.pause(random_u64())).await;
            }
            outcome => return outcome,
        }
    }
}
