//! What every agent component has in common: its card, `POST /agent-request` and `POST /internal/heartbeat`.
//!
//! ```text
//! #[http_service]
//! async fn handle(request: Request) -> GuestResponse {
//!     agent::routes(Router::new().without_ticker(), card(), answer).serve(request).await
//! }
//!
//! async fn answer(call: AgentCall) -> Result<Value, AgentError> {
//!     match call.skill.as_str() {
//!         "review_change" => review(call.input()?, &call.tools()).await,
//!         _ => Err(call.unknown_skill()),
//!     }
//! }
//! ```

use crate::{
    auth::Access,
    ctx::Ctx,
    db::GuestDb,
    reply::Reply,
    router::{Handled, Router},
    tools::Tools,
    trace::Trace,
};
use guildhall_domain::{
    Code, Problem,
    agent::{AGENT_REQUEST_BINDING, AgentCapabilities, AgentCard, AgentInterface, Skill},
    request::{AgentError, AgentReply, AgentRequest},
};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{future::Future, ops::Deref, rc::Rc};

/// How long an agent counts as there after a heartbeat, in seconds. `ops` asks for one every 10 s.
pub const HEARTBEAT_TTL_S: i64 = 30;

/// A card of a fleet agent that is reached by chaining.
pub fn card(name: &str, description: &str, skills: Vec<Skill>) -> AgentCard {
    AgentCard {
        name: name.into(),
        description: description.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        supported_interfaces: vec![AgentInterface {
            url: format!("http://{name}.spin.internal"),
            protocol_binding: AGENT_REQUEST_BINDING.into(),
            protocol_version: "1.0".into(),
        }],
        capabilities: AgentCapabilities::default(),
        default_input_modes: vec!["application/json".into()],
        default_output_modes: vec!["application/json".into()],
        skills,
    }
}

/// One request to an agent; reads like the [`AgentRequest`] it holds.
#[derive(Clone, Debug)]
pub struct AgentCall {
    request: AgentRequest,
    trace: Trace,
}

impl Deref for AgentCall {
    type Target = AgentRequest;
    fn deref(&self) -> &AgentRequest {
        &self.request
    }
}

impl AgentCall {
    /// The request itself.
    pub fn request(&self) -> &AgentRequest {
        &self.request
    }

    /// The ids to carry on.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The workspace's tools.
    pub fn tools(&self) -> Tools {
        Tools::workspace(&self.trace)
    }

    /// The database.
    pub fn db(&self) -> GuestDb {
        GuestDb
    }

    /// The skill's input as a type; the error says what does not fit and is final.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, AgentError> {
        serde_json::from_value(self.request.input.clone()).map_err(|error| AgentError {
            code: Code::InvalidInput.as_str().into(),
            detail: format!("The input of {} does not fit: {error}.", self.request.skill),
            hint: Some("The agent's card has the skill's input schema.".into()),
            retryable: false,
        })
    }

    /// A key for one effect of this request, the same in every attempt. `effect` tells the request's effects apart.
    pub fn effect_key(&self, effect: &str) -> String {
        format!("{}/{effect}", self.request.idempotency_key)
    }

    /// The error for a skill that the agent does not have.
    pub fn unknown_skill(&self) -> AgentError {
        AgentError {
            code: Code::UnknownSkill.as_str().into(),
            detail: format!("This agent has no skill `{}`.", self.request.skill),
            hint: Some("GET /v1/agents shows who has which skills.".into()),
            retryable: false,
        }
    }
}

/// A failure inside an agent as its answer. What is temporary (the database away, too much at once, a collaborator
/// unreachable) is worth another attempt.
pub fn failed(problem: Problem) -> AgentError {
    let temporary = [
        Code::DatabaseUnavailable,
        Code::Overloaded,
        Code::Unreachable,
        Code::SchemaMismatch,
    ];
    AgentError {
        retryable: temporary.iter().any(|code| code.as_str() == problem.code),
        code: problem.code,
        detail: problem.detail,
        hint: problem.hint,
    }
}

/// Adds an agent's routes: `POST /agent-request` answers with what `answer` gives, always with status 200 as the
/// dispatcher wants it; `GET /.well-known/agent-card.json` shows the card; `POST /internal/heartbeat` registers it.
pub fn routes<F, R>(router: Router, card: AgentCard, answer: F) -> Router
where
    F: Fn(AgentCall) -> R + 'static,
    R: Future<Output = Result<Value, AgentError>> + 'static,
{
    let card = Rc::new(card);
    let (shown, registered, offered) = (card.clone(), card.clone(), card);
    let answer = Rc::new(answer);
    router
        .get("/.well-known/agent-card.json", Access::Open, move |_| {
            let reply = Reply::json(&*shown);
            async move { Ok(reply) }
        })
        .post("/internal/heartbeat", Access::Internal, move |ctx| {
            heartbeat(ctx, registered.clone())
        })
        .post("/agent-request", Access::Internal, move |ctx| {
            request(ctx, offered.clone(), answer.clone())
        })
}

async fn heartbeat(ctx: Ctx, card: Rc<AgentCard>) -> Handled {
    guildhall_store::agent::register(&ctx.db(), &card, HEARTBEAT_TTL_S).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

async fn request<F, R>(mut ctx: Ctx, card: Rc<AgentCard>, answer: Rc<F>) -> Handled
where
    F: Fn(AgentCall) -> R + 'static,
    R: Future<Output = Result<Value, AgentError>> + 'static,
{
    let request: AgentRequest = ctx.json().await?;
    let call = AgentCall {
        request,
        trace: ctx.trace().clone(),
    };
    let outcome = if card.skills.iter().any(|skill| skill.id == call.skill) {
        answer(call).await
    } else {
        Err(call.unknown_skill())
    };
    Ok(Reply::json(&match outcome {
        Ok(result) => AgentReply::Succeeded { result },
        Err(error) => AgentReply::Failed { error },
    }))
}
