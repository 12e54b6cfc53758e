//! What comes over Redis. Every replica receives every message, one at a time, and none is acknowledged: so a request
//! is stored once by its event id, a doorbell is only a hint, and nothing here may take long or crash.

#![expect(unsafe_code, reason = "the component's export, which redis_subscriber writes")]

use bytes::Bytes;
use guildhall_guest::{
    GuestDb, Trace,
    client::Call,
    cloud_event::{Message, classify},
    domain::{Problem, request::NewRequest},
    log, random_u64,
    schema::{self, Submission},
    store::{
        DbError, DbErrorKind,
        event::{self, AcceptOutcome},
    },
    time::{Backoff, sleep},
    vars,
};
use serde_json::{Value, json};
use spin_sdk::redis_subscriber;
use std::{convert::Infallible, time::Duration};

/// How often a request is offered to a database that cannot be reached, over about two seconds; then it is lost, as
/// any message is while nobody listens. Whoever must be sure uses `POST /v1/requests`.
const ATTEMPTS: usize = 4;

#[redis_subscriber]
async fn on_message(message: Bytes) -> Result<(), Infallible> {
    let ring = match classify(&message) {
        Message::Doorbell => true,
        Message::Request(event) => accept(&event).await,
        Message::Invalid(why) => {
            log::warn(format!("ignored a message of {} bytes: {why}", message.len()));
            false
        }
    };
    if ring && let Err(why) = wake().await {
        log::warn(format!("could not ring the hall (its ticker will notice): {why}"));
    }
    Ok(())
}

/// Stores the request. Gives whether there is new work.
async fn accept(event: &Value) -> bool {
    let name = format!("event {} of {}", event["id"], event["source"]);
    // The same rules as at POST /v1/requests, by the same code.
    let data = match serde_json::from_value::<NewRequest>(event["data"].clone()) {
        Ok(data) => data,
        Err(error) => {
            refuse(event, &name, &format!("data is no request: {error}")).await;
            return false;
        }
    };
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(1));
    for attempt in 1..=ATTEMPTS {
        let accepted = schema::submit(
            &data.skill,
            data.agent.as_deref(),
            &data.input,
            |digest| async move {
                let accepted = event::accept(&GuestDb, event, digest.as_deref())
                    .await
                    .map_err(Trouble::Db)?;
                Ok(match accepted {
                    event::Accepted {
                        outcome: AcceptOutcome::SchemaChanged,
                        input_schema: Some(schema),
                        schema_digest: Some(digest),
                        ..
                    } => Submission::Schema { schema, digest },
                    accepted => Submission::Done(accepted),
                })
            },
        )
        .await;
        match accepted {
            Ok(accepted) => {
                if accepted.outcome == AcceptOutcome::Invalid {
                    log::warn(format!("refused {name}: {}", accepted.detail.unwrap_or_default()));
                }
                return accepted.outcome == AcceptOutcome::Accepted;
            }
            Err(Trouble::Problem(problem)) => {
                refuse(event, &name, &problem.detail).await;
                return false;
            }
            Err(Trouble::Db(error)) if error.kind == DbErrorKind::Unavailable && attempt < ATTEMPTS => {
                sleep(backoff.pause(random_u64())).await;
            }
            Err(Trouble::Db(error)) => {
                log::warn(format!("lost {name} after {attempt} attempts: {error}"));
                return false;
            }
        }
    }
    false
}

/// Why an event was not accepted.
enum Trouble {
    Problem(Problem),
    Db(DbError),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Trouble {
        Trouble::Problem(problem)
    }
}

/// Tells listeners, since the sender waits for no answer. Every replica does, so it may be told more than once.
async fn refuse(event: &Value, name: &str, why: &str) {
    log::warn(format!("refused {name}: {why}"));
    if let Err(error) = event::refuse(&GuestDb, event, why).await {
        log::warn(format!("could not tell that {name} was refused: {error}"));
    }
}

/// Components with a Redis trigger cannot call their siblings, so the bell is rung at the front door.
async fn wake() -> Result<(), String> {
    let explain = |problem: Problem| problem.detail;
    let url = vars::required("public_url").await.map_err(explain)?;
    let token = vars::required("internal_token").await.map_err(explain)?;
    let call = Call::post_json(format!("{}/internal/wake", url.trim_end_matches('/')), &json!({}));
    let answer = call
        .bearer(&token)
        .trace(&Trace::fresh())
        .limit(Duration::from_secs(3))
        .send()
        .await;
    guildhall_guest::chain::accepted(answer)
}
