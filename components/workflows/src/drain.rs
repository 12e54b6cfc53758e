//! Works off due runs: claim, fold, advance, until nothing is due.

use crate::turn::{self, Known};
use futures::future::join_all;
use guildhall_guest::{
    GuestDb, Trace, chain,
    drain::Guard,
    log, random_u64,
    store::{
        DbError, DbErrorKind,
        run::{self, AdvanceOutcome, ClaimedRun},
    },
};
use std::rc::Rc;

/// Seconds a claim holds; an advance takes milliseconds, so a dead worker delays a run by no more than this.
const LEASE_S: i64 = 5;
/// How many runs one instance advances at the same time.
const LANES: usize = 4;

thread_local! {
    static GUARD: Rc<Guard> = Rc::default();
    static WORKER: String = format!("workflows-{:016x}", random_u64());
}

/// Advances every due run. Returns at once when this instance is at it already; that loop then looks once more.
pub async fn drain(trace: &Trace) {
    let Some(turn) = GUARD.with(Guard::enter) else {
        return;
    };
    loop {
        match claim().await {
            // The first claim alone tells that there is nothing: an idle wake-up costs one statement.
            Ok(Some(first)) => {
                let lanes =
                    (0..LANES).zip(std::iter::once(Some(first)).chain(std::iter::repeat_with(|| None)));
                join_all(lanes.map(|(_, first)| lane(first, trace))).await;
            }
            Ok(None) if turn.called_again() => {}
            Ok(None) => return,
            // That run is leased, so the next claim is of another: nobody waits for one that cannot be read.
            Err(error) if matches!(error.kind, DbErrorKind::Decode) => unreadable(&error),
            Err(error) => {
                log::warn(format!(
                    "could not claim a run (the ticker will try again): {error}"
                ));
                return;
            }
        }
    }
}

fn unreadable(error: &DbError) {
    log::warn(format!(
        "a run was claimed that cannot be read, it is tried again: {error}"
    ));
}

/// A claimed run, and the definitions that were known when it was claimed.
struct Claim {
    run: ClaimedRun,
    known: Known,
}

async fn claim() -> Result<Option<Claim>, DbError> {
    let known = Known::now();
    let run = run::claim(&GuestDb, &WORKER.with(String::clone), LEASE_S, &known.digests()).await?;
    Ok(run.map(|run| Claim { run, known }))
}

async fn lane(first: Option<Claim>, trace: &Trace) {
    let mut claimed = first;
    loop {
        if let Some(claim) = claimed.take() {
            advance(claim, trace).await;
        }
        match claim().await {
            Ok(Some(claim)) => claimed = Some(claim),
            Ok(None) => return,
            Err(error) if matches!(error.kind, DbErrorKind::Decode) => unreadable(&error),
            Err(error) => {
                log::warn(format!(
                    "could not claim a run (the ticker will try again): {error}"
                ));
                return;
            }
        }
    }
}

async fn advance(claim: Claim, trace: &Trace) {
    let Claim { run, known } = claim;
    let (run_id, epoch, position) = (run.run_id, run.epoch, run.journal_position);
    let turn = match turn::take(run, &known) {
        Ok(turn) => turn,
        Err(error) => {
            log::warn(format!("what run {run_id} came to is not JSON: {error}"));
            return;
        }
    };
    let advanced = run::advance(
        &GuestDb,
        run_id,
        epoch,
        position,
        turn.state.as_ref(),
        &turn.commands,
        &turn.lifecycle,
    );
    match advanced.await {
        // Other runs that are due now are claimed by this very loop.
        Ok(advanced) if advanced.outcome == AdvanceOutcome::Advanced => {
            if advanced.requests_queued > 0 {
                chain::poke("requests", trace);
            }
            if advanced.calls_queued > 0 {
                chain::poke("calls", trace);
            }
        }
        // Cancelled meanwhile, or the turn took longer than its lease, and somebody else has it.
        Ok(advanced) => log::info(format!(
            "run {run_id} moved on without this turn: {:?}",
            advanced.status
        )),
        // Its lease runs out and the next claim takes it from where the journal stands.
        Err(error) => log::warn(format!("could not advance run {run_id}: {error}")),
    }
}
