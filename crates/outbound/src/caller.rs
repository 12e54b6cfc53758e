//! Performing one call.

use crate::{
    LIMIT_MS, MAX_ANSWER,
    address::Address,
    documents::Documents,
    oauth::Tokens,
    problems::{Outcome, failed},
    redact::Redactor,
    secrets::Secrets,
    wire::{Request, Response, Wire},
};
use guildhall_flow::engine::{Action, Fence, Problem};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What is kept from one call to the next: documents and tokens, for as long as they are good.
#[derive(Debug, Default)]
pub struct Kept {
    pub(crate) documents: Documents,
    pub(crate) tokens: Tokens,
}

/// What a run asks for.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The action.
    pub action: &'a Action,
    /// The command's idempotency key.
    pub key: &'a str,
    /// The locks that the run holds around the step.
    pub fences: &'a [Fence],
}

/// Performs a call. The answer is what the engine expects of its action; the error is one of the standard types.
pub async fn perform<W: Wire>(
    wire: &W,
    secrets: &Secrets,
    kept: &Kept,
    call: Call<'_>,
) -> Result<Value, Problem> {
    let caller = Caller {
        fences: call.fences,
        ..Caller::new(wire, secrets, kept, call.key)
    };
    match caller.action(call.action).await {
        Ok(output) => Ok(caller.redactor.value(output)),
        Err(problem) => Err(Problem {
            detail: problem.detail.map(|detail| caller.redactor.text(&detail)),
            ..problem
        }),
    }
}

/// Whoever performs one call.
pub(crate) struct Caller<'a, W> {
    pub wire: &'a W,
    pub secrets: &'a Secrets,
    pub kept: &'a Kept,
    pub redactor: Redactor,
    /// The locks that the run holds around the step.
    pub fences: &'a [Fence],
    key: &'a str,
}

impl<'a, W: Wire> Caller<'a, W> {
    pub fn new(wire: &'a W, secrets: &'a Secrets, kept: &'a Kept, key: &'a str) -> Self {
        Caller {
            wire,
            secrets,
            kept,
            redactor: Redactor::default(),
            fences: &[],
            key,
        }
    }

    async fn action(&self, action: &Action) -> Outcome<Value> {
        match action {
            Action::Http { .. } => self.http(action).await,
            Action::OpenApi { .. } => self.openapi(action).await,
            Action::A2a { .. } => self.a2a(action).await,
            Action::Mcp { .. } => self.mcp(action).await,
            Action::Function { .. } => self.function(action).await,
            _ => Err(not_outbound()),
        }
    }

    /// The idempotency key, in characters and a length that any service takes.
    pub fn key(&self) -> String {
        match self.key.len() <= 200 && self.key.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => self.key.to_owned(),
            false => format!("sha256-{}", hex::encode(Sha256::digest(self.key.as_bytes()))),
        }
    }

    /// A request without headers and body.
    pub fn request(&self, method: &str, address: &Address) -> Request {
        Request {
            method: method.to_owned(),
            uri: address.to_string(),
            headers: vec![(
                "user-agent".into(),
                concat!("guildhall/", env!("CARGO_PKG_VERSION")).into(),
            )],
            body: Vec::new(),
            limit_ms: LIMIT_MS,
            max_answer: MAX_ANSWER,
        }
    }

    /// Sends a request as it is.
    pub async fn exchange(&self, address: &Address, request: Request) -> Outcome<Response> {
        let (method, limit, most) = (request.method.clone(), request.limit_ms, request.max_answer);
        let sent = self.wire.send(request).await;
        sent.map_err(|failure| failed(failure, &method, address, limit, most))
    }
}

/// What nobody outside is asked for.
pub(crate) fn not_outbound() -> Problem {
    crate::problems::runtime(
        "This is no call to a service outside; that it came here is a fault of the hall.",
    )
}
