//! Calls to sibling components (service chaining) and work that goes on after the answer.

use crate::{
    client::{Answer, Call, CallError, Cause},
    log,
    trace::Trace,
    vars,
};
use serde_json::{Value, json};
use std::{future::Future, time::Duration};

/// Goes on with `work` after the handler has answered. The instance is kept until it is done.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    spin_sdk::wit_bindgen::spawn(work);
}

/// A POST of JSON to a sibling with the internal token.
pub async fn post(
    component: &str,
    path: &str,
    body: &Value,
    trace: &Trace,
    limit: Duration,
    max_answer: usize,
) -> Result<Answer, CallError> {
    let url = format!("http://{component}.spin.internal{path}");
    let token = vars::required("internal_token")
        .await
        .map_err(|problem| CallError {
            target: format!("POST {url}"),
            why: problem.detail,
            sent: false,
            cause: Cause::Other,
        })?;
    Call::post_json(url, body)
        .bearer(&token)
        .trace(trace)
        .limit(limit)
        .max_answer(max_answer)
        .send()
        .await
}

/// Tells a sibling to look for due work, after the answer. A lost poke is logged and made good by the ticker within
/// a second.
pub fn poke(component: &'static str, trace: &Trace) {
    let trace = trace.clone();
    spawn(async move {
        if let Err(why) = wake(component, &trace).await {
            log::warn(format!("could not wake {component} (the ticker will): {why}"));
        }
    });
}

/// Tells a sibling to look for due work, now. An error says what was called and why it failed.
pub async fn wake(component: &str, trace: &Trace) -> Result<(), String> {
    accepted(
        post(
            component,
            "/internal/wake",
            &json!({}),
            trace,
            Duration::from_secs(5),
            65_536,
        )
        .await,
    )
}

/// Starts the ticker unless the instance of `ops` that is reached runs it already.
pub async fn seed_ticker() -> Result<(), String> {
    accepted(
        post(
            "ops",
            "/internal/tick",
            &json!({}),
            &Trace::fresh(),
            Duration::from_secs(5),
            65_536,
        )
        .await,
    )
}

/// Takes any 2xx for yes.
pub fn accepted(outcome: Result<Answer, CallError>) -> Result<(), String> {
    match outcome {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status)),
        Err(error) => Err(error.to_string()),
    }
}
