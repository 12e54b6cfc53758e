//! Going where others say: everything that leaves for an address which an agent or a caller gave goes through the
//! component `egress`, which looks at the address first.

use crate::{chain, signature, trace::Trace};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// Most bytes of an answer to a signed POST.
const SIGNED_MAX_BYTES: usize = 1024 * 1024;

/// One call to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errand {
    /// Where.
    pub url: String,
    /// How: GET, HEAD, POST, PUT or DELETE.
    pub method: String,
    /// Headers to send.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body to send, if any.
    #[serde(default)]
    pub body: Option<String>,
    /// The most time for all of it.
    pub limit_ms: u64,
    /// The most bytes of answer; a longer one is a failure.
    pub max_bytes: usize,
    /// Whether the answer's body is wanted.
    #[serde(default)]
    pub want_body: bool,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Fetched {
    /// Somebody answered, with whatever status; a redirect is an answer and is not followed.
    Answered {
        /// The HTTP status.
        status: u16,
        /// How long it took.
        elapsed_ms: u64,
        /// The body, when it was wanted.
        body: Option<String>,
    },
    /// Nobody went: the address is not one to visit.
    Refused {
        /// One word for programs.
        reason: String,
        /// The reason in words.
        detail: String,
    },
    /// Nothing complete came back. With `not_reached` nobody has seen the request.
    Failed {
        /// `not_reached` or `no_answer`.
        reason: String,
        /// The reason in words.
        detail: String,
    },
}

impl Fetched {
    /// A refusal.
    pub fn refused(reason: &str, detail: impl Into<String>) -> Fetched {
        Fetched::Refused {
            reason: reason.into(),
            detail: detail.into(),
        }
    }
}

/// A POST of JSON to make in somebody's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Where to.
    pub url: String,
    /// The JSON.
    pub body: String,
    /// Whose key signs it.
    pub signed_for: String,
    /// The most time it may take.
    pub limit: Duration,
    /// Whether the answer's body is wanted.
    pub want_body: bool,
}

/// Sends the component `egress` on a signed POST, with the trace that the work belongs to.
pub async fn post_signed(post: Signed, trace: &Trace) -> Fetched {
    let secret = match signature::secret().await {
        Ok(secret) => secret,
        Err(problem) => {
            return Fetched::Failed {
                reason: "not_reached".into(),
                detail: problem.detail,
            };
        }
    };
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let key = signature::key_of(&secret, &post.signed_for);
    let mut headers = BTreeMap::from([
        ("content-type".to_owned(), "application/json".to_owned()),
        (
            signature::SIGNATURE.to_owned(),
            signature::sign(&key, seconds, post.body.as_bytes()),
        ),
    ]);
    if let Some(traceparent) = &trace.traceparent {
        headers.insert("traceparent".into(), traceparent.clone());
    }
    let errand = Errand {
        url: post.url,
        method: "POST".into(),
        headers,
        body: Some(post.body),
        limit_ms: u64::try_from(post.limit.as_millis()).unwrap_or(u64::MAX),
        max_bytes: SIGNED_MAX_BYTES,
        want_body: post.want_body,
    };
    fetch(&errand, trace).await
}

/// Sends the component `egress` on an errand.
pub async fn fetch(errand: &Errand, trace: &Trace) -> Fetched {
    let failed = |reason: &str, detail: String| Fetched::Failed {
        reason: reason.into(),
        detail,
    };
    let body = json!(errand);
    // The errand's own limit is kept over there; this one is for an egress that does not answer at all.
    let limit = Duration::from_millis(errand.limit_ms) + Duration::from_secs(2);
    // JSON spells some bytes with six characters.
    let most = errand.max_bytes.saturating_mul(6) + 65_536;
    match chain::post("egress", "/internal/fetch", &body, trace, limit, most).await {
        Ok(answer) if answer.status == 200 => serde_json::from_slice(&answer.body).unwrap_or_else(|error| {
            failed(
                "no_answer",
                format!("the component egress answers nonsense: {error}"),
            )
        }),
        Ok(answer) => {
            let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let why = told["detail"].as_str().unwrap_or("it does not say why");
            failed(
                "not_reached",
                format!("the component egress answers {}: {why}", answer.status),
            )
        }
        Err(error) => failed(
            if error.sent { "no_answer" } else { "not_reached" },
            error.to_string(),
        ),
    }
}
