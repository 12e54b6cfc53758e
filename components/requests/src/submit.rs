//! Accepting a request, and waiting for its end when the caller prefers to.

use crate::dispatch::{self, LEASE_S};
use futures::future::{Either, select};
use guildhall_guest::{
    Ctx, Handled, Reply, chain, db,
    domain::{
        Code, Problem,
        request::{NewRequest, Request},
    },
    http::{HeaderName, StatusCode, header},
    schema::{self, Submission},
    store::request::{self, Offer, SubmitOutcome, Submitted},
    time::{monotonic_ns, sleep},
};
use std::{pin::pin, time::Duration};

/// Most seconds that a caller may wait.
const MAX_WAIT_S: u64 = 60;
/// How often a waiter looks itself: soon at first, at least once a second.
const LOOKS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// `POST /v1/requests`.
pub async fn submit(mut ctx: Ctx) -> Handled {
    let wait = prefer_wait(&ctx)?;
    let (body, once) = ctx.json_once::<NewRequest>().await?;
    check(&body)?;
    let requester = ctx.principal()?.name.clone();
    let (db, trace) = (ctx.db(), ctx.trace().clone());
    let began_ns = monotonic_ns();
    let worker = wait.and_then(|_| dispatch::worker_with_room());
    let submitted = schema::submit(&body.skill, body.agent.as_deref(), &body.input, |digest| {
        let (body, once, requester, trace, worker) = (&body, &once, &requester, &trace, worker.as_deref());
        async move {
            let offer = Offer {
                schema_digest: digest.as_deref(),
                traceparent: trace.traceparent.as_deref(),
                worker: worker.map(|worker| (worker, LEASE_S)),
                waiter: None,
            };
            let idempotency = once.as_ref().map(|once| once.as_store());
            let submitted = request::submit(&db, body, requester, idempotency, &offer).await?;
            Ok::<_, Problem>(match submitted {
                Submitted {
                    outcome: SubmitOutcome::SchemaChanged,
                    input_schema: Some(schema),
                    schema_digest: Some(digest),
                    ..
                } => Submission::Schema { schema, digest },
                submitted => Submission::Done(submitted),
            })
        }
    })
    .await?;
    let refusal = match submitted.outcome {
        SubmitOutcome::Conflict => match &once {
            Some(once) => Some(once.conflict()),
            None => Some(Problem::new(
                Code::Internal,
                "A key conflicts that was not given.",
            )),
        },
        SubmitOutcome::UnknownSkill => Some(unknown_skill(&body)),
        SubmitOutcome::QueueFull => Some(
            Problem::new(
                Code::QueueFull,
                format!(
                    "As many requests for `{}` wait as may; this one was not accepted.",
                    body.skill
                ),
            )
            .hint("Send it again after Retry-After seconds, with the same Idempotency-Key."),
        ),
        SubmitOutcome::Overloaded => Some(
            Problem::new(
                Code::Overloaded,
                "More requests are open than can be kept; this one was not accepted.",
            )
            .hint("Send it again after Retry-After seconds, with the same Idempotency-Key."),
        ),
        _ => None,
    };
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    let Some(mut request) = submitted.request else {
        return Err(Problem::new(
            Code::Internal,
            "The request was accepted but could not be shown.",
        ));
    };
    if let Some(claimed) = submitted.claimed {
        // Dispatched by this very task: tasks of an instance cannot wake each other.
        let attempt = dispatch::run(claimed, trace);
        match select(attempt, pin!(sleep(left(wait, began_ns)))).await {
            Either::Left((Some(end), _)) => end.apply(&mut request),
            Either::Left((None, _)) => {}
            // The caller's patience is over; the attempt goes on.
            Either::Right((_, attempt)) => chain::spawn(async move {
                attempt.await;
            }),
        }
    } else if submitted.outcome == SubmitOutcome::Accepted {
        // The answer does not wait for the agent; the request is safe in the database already.
        chain::poke("requests", &trace);
    }
    await_end(&db, &mut request, wait, began_ns).await;
    let status = match (request.finished_at, submitted.outcome) {
        (Some(_), _) if wait.is_some() => StatusCode::OK,
        (_, SubmitOutcome::Exists) => StatusCode::OK,
        (None, _) if wait.is_some() => StatusCode::ACCEPTED,
        _ => StatusCode::CREATED,
    };
    let reply =
        Reply::json_status(status, &request).header(header::LOCATION, format!("/v1/requests/{}", request.id));
    Ok(match wait {
        Some(wait) => reply.header(
            HeaderName::from_static("preference-applied"),
            format!("wait={}", wait.as_secs()),
        ),
        None => reply,
    })
}

/// What is left of the time to wait.
fn left(wait: Option<Duration>, began_ns: u64) -> Duration {
    let spent = Duration::from_nanos(monotonic_ns().saturating_sub(began_ns));
    wait.unwrap_or_default().saturating_sub(spent)
}

/// Waits until the request has ended, as long as `wait` allows; then `request` is as it stands.
async fn await_end(
    db: &guildhall_guest::GuestDb,
    request: &mut Request,
    wait: Option<Duration>,
    began_ns: u64,
) {
    let mut pause = LOOKS.0;
    while request.finished_at.is_none() && !left(wait, began_ns).is_zero() {
        let sleeping = pause.min(left(wait, began_ns));
        sleep(sleeping.min(db::REST_AFTER)).await;
        if sleeping > db::REST_AFTER {
            db::rest();
            sleep(sleeping - db::REST_AFTER).await;
        }
        pause = (pause * 2).min(LOOKS.1);
        // Trouble with one look is no trouble: the next one is near, and the request goes on regardless.
        if let Ok(Some(now)) = request::get(db, request.id).await {
            *request = now;
        }
    }
}

/// The seconds of `Prefer: wait=N` (RFC 7240); `None` when it is not there.
fn prefer_wait(ctx: &Ctx) -> Result<Option<Duration>, Problem> {
    let mut wait = None;
    for value in ctx.headers().get_all("prefer") {
        for preference in value.to_str().unwrap_or_default().split(',') {
            let token = preference.split(';').next().unwrap_or_default();
            if let Some((name, seconds)) = token.split_once('=')
                && name.trim().eq_ignore_ascii_case("wait")
                && wait.is_none()
            {
                wait = Some(match seconds.trim().trim_matches('"').parse() {
                    Ok(seconds @ 0..=MAX_WAIT_S) => Duration::from_secs(seconds),
                    _ => {
                        return Err(Problem::new(
                            Code::InvalidParameter,
                            format!(
                                "`Prefer: wait={seconds}` cannot be kept; it may be 0 to {MAX_WAIT_S} seconds."
                            ),
                        ));
                    }
                });
            }
        }
    }
    Ok(wait.filter(|wait| !wait.is_zero()))
}

fn unknown_skill(body: &NewRequest) -> Problem {
    let detail = match &body.agent {
        Some(agent) => format!("The agent `{agent}` offers no skill `{}`.", body.skill),
        None => format!("No agent offers the skill `{}`.", body.skill),
    };
    Problem::new(Code::UnknownSkill, detail).hint("GET /v1/agents shows who has which skills.")
}

fn check(new: &NewRequest) -> Result<(), Problem> {
    let refuse = |what: &str| Err(Problem::new(Code::InvalidBody, what));
    if !(1..=100).contains(&new.skill.len()) {
        return refuse("`skill` must be 1 to 100 characters.");
    }
    if !new.input.is_object() {
        return refuse("`input` must be a JSON object.");
    }
    if !(1..=86_400).contains(&new.timeout_s) {
        return refuse("`timeout_s` must be 1 to 86400 seconds.");
    }
    if !(1..=20).contains(&new.max_attempts) {
        return refuse("`max_attempts` must be 1 to 20.");
    }
    for (name, value) in [
        ("source", &new.source),
        ("correlation_id", &new.correlation_id),
        ("causation_id", &new.causation_id),
    ] {
        if value
            .as_ref()
            .is_some_and(|text| !(1..=200).contains(&text.chars().count()))
        {
            return Err(Problem::new(
                Code::InvalidBody,
                format!("`{name}` must be 1 to 200 characters."),
            ));
        }
    }
    if let Some(url) = &new.callback_url {
        if !(url.starts_with("https://") || url.starts_with("http://")) || url.len() > 2000 {
            return refuse("`callback_url` must be an http or https URL of at most 2000 characters.");
        }
    }
    Ok(())
}
