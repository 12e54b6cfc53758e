//! Works off due runs: claim, interpret, advance, until nothing is due.

use futures::future::join_all;
use guildhall_flow::{Command, Definition, next};
use guildhall_guest::{
    GuestDb, Trace, chain,
    domain::Code,
    drain::Guard,
    log, random_u64,
    store::{
        DbError,
        run::{self, AdvanceOutcome, ClaimedRun},
    },
};
use serde_json::{Value, json};
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
            Err(error) => {
                log::warn(format!(
                    "could not claim a run (the ticker will try again): {error}"
                ));
                return;
            }
        }
    }
}

async fn claim() -> Result<Option<ClaimedRun>, DbError> {
    run::claim(&GuestDb, &WORKER.with(String::clone), LEASE_S).await
}

async fn lane(first: Option<ClaimedRun>, trace: &Trace) {
    let mut claimed = first;
    loop {
        if let Some(run) = claimed.take() {
            advance(run, trace).await;
        }
        match claim().await {
            Ok(Some(run)) => claimed = Some(run),
            Ok(None) => return,
            Err(error) => {
                log::warn(format!(
                    "could not claim a run (the ticker will try again): {error}"
                ));
                return;
            }
        }
    }
}

async fn advance(run: ClaimedRun, trace: &Trace) {
    let commands = match commands(&run) {
        Ok(commands) => commands,
        Err(error) => {
            log::warn(format!(
                "the commands of run {} are not JSON: {error}",
                run.run_id
            ));
            return;
        }
    };
    match run::advance(&GuestDb, run.run_id, run.epoch, run.journal_position, &commands).await {
        Ok(advanced) => {
            if advanced.outcome == AdvanceOutcome::Advanced && advanced.requests_queued > 0 {
                chain::poke("requests", trace);
            }
        }
        // Its lease runs out and the next claim takes it from where the journal stands.
        Err(error) => log::warn(format!("could not advance run {}: {error}", run.run_id)),
    }
}

/// What is to be done, as `run_advance` takes it. A definition that cannot be read ends the run, for it would never
/// become readable.
fn commands(run: &ClaimedRun) -> serde_json::Result<Value> {
    let commands = match serde_json::from_value::<Definition>(run.definition.clone()) {
        Ok(definition) => next(&definition, &run.journal),
        Err(error) => vec![Command::Fault {
            error: json!({
                "code": Code::ConfigurationInvalid.as_str(),
                "title": "The run's definition cannot be read",
                "detail": error.to_string(),
                "step": null,
            }),
        }],
    };
    serde_json::to_value(commands)
}
