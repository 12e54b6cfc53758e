//! Asks the fleet whether it is ready: that also starts its ticker again, should it have stopped.

use crate::error::{CliError, Result};
use crate::http::Api;
use crate::output::say;
use std::time::{Duration, Instant};

/// How often a fleet that runs is asked.
pub const EVERY: Duration = Duration::from_secs(5);
/// How long a fleet may take to become ready after its start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Waits until the fleet at `url` says that it is ready.
pub async fn wait(url: &str) -> Result<()> {
    let api = Api::new(url, None)?;
    let begun = Instant::now();
    loop {
        let reason = match look(&api).await {
            None => return Ok(()),
            Some(reason) => reason,
        };
        if begun.elapsed() > START_LIMIT {
            return Err(CliError::new("the fleet does not become ready")
                .because(format!("after {} s: {reason}", START_LIMIT.as_secs()))
                .hint("look into logs/ in the state directory"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `None` when it is ready, else why not.
async fn look(api: &Api) -> Option<String> {
    match tokio::time::timeout(EVERY, api.send("GET", "/readyz", None)).await {
        Ok(Ok(answer)) if answer.status == 200 => None,
        Ok(Ok(answer)) => {
            let detail = answer.json["detail"].as_str().map(str::to_string);
            Some(detail.unwrap_or_else(|| format!("HTTP {} {}", answer.status, answer.text.trim())))
        }
        Ok(Err(error)) => Some(error.causes.join(": ")),
        Err(_) => Some("it does not answer".into()),
    }
}

/// Asks for ever; says when the answer changes.
pub async fn keep_asking(url: String) {
    let Ok(api) = Api::new(&url, None) else { return };
    let mut ready = true;
    let mut misses = 0;
    loop {
        tokio::time::sleep(EVERY).await;
        match look(&api).await {
            None => {
                if !ready {
                    say("the fleet is ready again");
                }
                (ready, misses) = (true, 0);
            }
            Some(reason) => {
                misses += 1;
                // One miss may be a moment of load; two in a row are worth a line.
                if ready && misses >= 2 {
                    say(&format!("the fleet is not ready: {reason}"));
                    ready = false;
                }
            }
        }
    }
}
