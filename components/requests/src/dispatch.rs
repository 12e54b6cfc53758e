//! Hands due requests to agents, keeps their leases while the agents work, and reports what became of them.

use futures::future::{Either, LocalBoxFuture, select};
use guildhall_guest::{
    GuestDb, Trace, chain,
    client::{Answer, CallError},
    domain::{
        Code,
        nesting::{MAX_NESTING, too_deep},
        request::{AgentError, AgentReply, Request, RequestState},
    },
    drain::{Guard, Places},
    egress::{self, Fetched, Signed},
    log, random_u64,
    store::{
        DbError, DbErrorKind,
        request::{self, ClaimedRequest, CompleteOutcome, FailOutcome, RenewOutcome},
    },
    time::{Backoff, monotonic_ns, sleep},
};
use std::{future::Future, pin::pin, rc::Rc, time::Duration};

/// Seconds a claim holds; renewed every third of it, so that a dead dispatcher's request is retaken soon.
pub const LEASE_S: i64 = 10;
/// How many agents one instance waits for at the same time.
const PLACES: usize = 12;
/// The most time one attempt may take. The request's own deadline, which the database watches, is usually earlier.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Most bytes of an agent's reply.
const MAX_REPLY: usize = 16 * 1024 * 1024;
/// The most time for an answer of an agent outside the fleet.
const REMOTE_LIMIT: Duration = Duration::from_secs(300);

thread_local! {
    static GUARD: Rc<Guard> = Rc::default();
    static PLACES_HERE: Rc<Places> = Places::new(PLACES);
    static WORKER: String = format!("requests-{:016x}", random_u64());
}

/// This instance's name as a worker, when it has room for one more request at once.
pub fn worker_with_room() -> Option<String> {
    (PLACES_HERE.with(|places| places.free()) > 0).then(|| WORKER.with(String::clone))
}

/// Claims due requests while there is room and sends each on in a task of its own; returns when none is due or there
/// is no room. Each task looks again when it has finished, so that no room stays unused.
pub fn drain(trace: Trace) -> LocalBoxFuture<'static, ()> {
    Box::pin(async move {
        let Some(turn) = GUARD.with(Guard::enter) else {
            return;
        };
        let places = PLACES_HERE.with(Rc::clone);
        while places.free() > 0 {
            let claimed = request::claim(
                &GuestDb,
                &WORKER.with(String::clone),
                places.free() as u32,
                LEASE_S,
            )
            .await;
            match claimed {
                Ok(claimed) if claimed.is_empty() && turn.called_again() => {}
                Ok(claimed) if claimed.is_empty() => return,
                Ok(claimed) => {
                    for request in claimed {
                        start(request, trace.clone());
                    }
                }
                Err(error) => {
                    log::warn(format!(
                        "could not claim requests (the ticker will try again): {error}"
                    ));
                    return;
                }
            }
        }
    })
}

/// How an attempt ended the request.
pub struct End {
    state: RequestState,
    reply: AgentReply,
    agent: String,
    attempt: i32,
    finished_at: chrono::DateTime<chrono::Utc>,
}

impl End {
    /// The request as it stands after this end.
    pub fn apply(self, request: &mut Request) {
        request.state = self.state;
        request.agent = Some(self.agent);
        request.attempt = self.attempt;
        request.finished_at = Some(self.finished_at);
        match self.reply {
            AgentReply::Succeeded { result } => request.result = Some(result),
            AgentReply::Failed { error } => request.error = Some(error),
        }
        request.letter = (request.state == RequestState::Dead).then(|| "open".into());
    }
}

/// Sends a claimed request on in a task of its own, and looks for more when that is done.
fn start(claimed: ClaimedRequest, trace: Trace) {
    let attempt = run(claimed, trace);
    chain::spawn(async move {
        attempt.await;
    });
}

/// Sends a claimed request on, then looks for more in the background. Gives how the request ended; `None` when this
/// attempt did not end it.
pub fn run(claimed: ClaimedRequest, trace: Trace) -> LocalBoxFuture<'static, Option<End>> {
    let place = PLACES_HERE.with(Rc::clone).take();
    Box::pin(async move {
        let trace = Trace {
            traceparent: claimed.traceparent.clone().or(trace.traceparent),
            ..trace
        };
        let end = dispatch(claimed, &trace).await;
        drop(place);
        chain::spawn(drain(trace));
        end
    })
}

async fn dispatch(claimed: ClaimedRequest, trace: &Trace) -> Option<End> {
    let id = claimed.request.request_id;
    let reply = match select(pin!(ask(&claimed, trace)), pin!(keep_lease(&claimed))).await {
        Either::Left((reply, _)) => reply,
        Either::Right((why, _)) => {
            log::warn(format!(
                "stopped waiting for {} on request {id}: {why}",
                claimed.agent
            ));
            return None;
        }
    };
    match report(&claimed, &reply).await {
        Ok(Told::Stale) => {
            log::warn(format!(
                "dropped the late reply of {} to request {id}",
                claimed.agent
            ));
            None
        }
        Ok(told) => {
            if claimed.request.run_id.is_some() {
                chain::poke("workflows", trace);
            }
            match told {
                Told::Ended(state, Some(finished_at)) => Some(End {
                    state,
                    reply,
                    agent: claimed.agent,
                    attempt: claimed.request.attempt,
                    finished_at,
                }),
                _ => None,
            }
        }
        Err(error) => {
            log::warn(format!(
                "could not report what {} made of request {id}; it is tried again when its lease has run out: {error}",
                claimed.agent
            ));
            None
        }
    }
}

/// Asks the agent. Whatever is not a reply with status 200 counts as a lost attempt.
async fn ask(claimed: &ClaimedRequest, trace: &Trace) -> AgentReply {
    let body = match serde_json::to_value(&claimed.request) {
        Ok(body) => body,
        Err(error) => return lost(claimed, format!("the request is not JSON: {error}")),
    };
    if claimed.is_remote == Some(true) {
        return ask_remote(claimed, &body, trace).await;
    }
    match chain::post(&claimed.agent, "/agent-request", &body, trace, LONGEST, MAX_REPLY).await {
        Ok(Answer {
            status: 200, body, ..
        }) => reply(claimed, &body),
        Ok(answer) => lost(claimed, format!("it answered with HTTP status {}", answer.status)),
        Err(CallError { why, .. }) => lost(claimed, why),
    }
}

/// Asks an agent outside the fleet, by way of the one component that may call out.
async fn ask_remote(claimed: &ClaimedRequest, body: &serde_json::Value, trace: &Trace) -> AgentReply {
    let base = claimed.url.as_deref().unwrap_or_default().trim_end_matches('/');
    let call = Signed {
        url: format!("{base}/agent-request"),
        body: body.to_string(),
        signed_for: format!("agent/{}", claimed.agent),
        limit: REMOTE_LIMIT,
        want_body: true,
    };
    match egress::post_signed(call, trace).await {
        Fetched::Answered {
            status: 200, body, ..
        } => reply(claimed, body.as_deref().unwrap_or_default().as_bytes()),
        Fetched::Answered { status, .. } => lost(claimed, format!("it answered with HTTP status {status}")),
        Fetched::Refused { reason, detail } => match lost(claimed, format!("{reason}: {detail}")) {
            // The hall itself will not call this address, however often it is tried.
            AgentReply::Failed { mut error } => {
                error.retryable = false;
                AgentReply::Failed { error }
            }
            reply => reply,
        },
        Fetched::Failed { reason, detail } => lost(claimed, format!("{reason}: {detail}")),
    }
}

/// What an agent said with status 200.
fn reply(claimed: &ClaimedRequest, body: &[u8]) -> AgentReply {
    if too_deep(body) {
        return lost(
            claimed,
            format!("its reply is nested deeper than {MAX_NESTING} levels"),
        );
    }
    match serde_json::from_slice(body) {
        Ok(reply) => reply,
        Err(error) => lost(claimed, format!("its reply cannot be read: {error}")),
    }
}

fn lost(claimed: &ClaimedRequest, why: String) -> AgentReply {
    AgentReply::Failed {
        error: AgentError {
            code: Code::Unreachable.as_str().into(),
            detail: format!(
                "The agent {} gave no reply to {}: {why}.",
                claimed.agent, claimed.request.skill
            ),
            hint: Some("The agent's log says more; the request is tried again.".into()),
            retryable: true,
        },
    }
}

/// Renews the lease every third of it. Gives why it is no longer ours, and never anything else.
async fn keep_lease(claimed: &ClaimedRequest) -> &'static str {
    let lease = Duration::from_millis(claimed.lease_ms.max(3) as u64);
    let mut renewed_ns = monotonic_ns();
    let mut pause = lease / 3;
    loop {
        sleep(pause).await;
        let asked_ns = monotonic_ns();
        match request::renew(
            &GuestDb,
            claimed.request.request_id,
            claimed.request.epoch,
            LEASE_S,
        )
        .await
        {
            Ok(RenewOutcome::Renewed) => {
                renewed_ns = asked_ns;
                pause = lease / 3;
            }
            Ok(RenewOutcome::Stale) => return "its lease is another's now, or it has ended",
            Err(error) => {
                log::warn(format!(
                    "could not renew the lease of request {}: {error}",
                    claimed.request.request_id
                ));
                if monotonic_ns().saturating_sub(renewed_ns) > lease.as_nanos() as u64 {
                    return "its lease has run out while the database could not be reached";
                }
                pause = Duration::from_secs(1).min(lease / 3);
            }
        }
    }
}

/// What the database made of a report.
enum Told {
    Ended(RequestState, Option<chrono::DateTime<chrono::Utc>>),
    Later,
    Stale,
}

/// Tells the database. Gives whether it counted: a reply under an old lease does not. While the database cannot be
/// reached it is told again, until the lease has run out; telling it twice does no harm, for the epoch tells.
async fn report(claimed: &ClaimedRequest, reply: &AgentReply) -> Result<Told, DbError> {
    let (id, epoch) = (claimed.request.request_id, claimed.request.epoch);
    match reply {
        AgentReply::Succeeded { result } => {
            let told = again_while_away(|| request::complete(&GuestDb, id, epoch, result)).await?;
            Ok(match told.outcome {
                CompleteOutcome::Completed => Told::Ended(RequestState::Succeeded, told.finished_at),
                CompleteOutcome::Stale => Told::Stale,
            })
        }
        AgentReply::Failed { error } => {
            let told = again_while_away(|| request::fail(&GuestDb, id, epoch, error)).await?;
            Ok(match told.outcome {
                FailOutcome::Failed => Told::Ended(RequestState::Failed, told.finished_at),
                FailOutcome::Rejected => Told::Ended(RequestState::Rejected, told.finished_at),
                FailOutcome::Dead => Told::Ended(RequestState::Dead, told.finished_at),
                FailOutcome::Retry => Told::Later,
                FailOutcome::Stale => Told::Stale,
            })
        }
    }
}

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
