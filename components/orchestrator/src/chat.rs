//! `POST /chat` and the history of a session.

use crate::{
    draft,
    planner::{self, Planner},
    questions,
};
use guildhall_guest::{
    Ctx, Handled, Reply, chain,
    domain::{Code, Problem, run::Run},
    http::{StatusCode, header},
    random_32,
    store::{
        Idempotency,
        chat::{self, ChatMessage, ChatRole, RecordOutcome},
        run::{self, ChatTurn, NewRun, RunOf, StartOutcome},
    },
};
use guildhall_skills::{
    delivery::{Plan, Refusal},
    planning::{Intent, MAX_MESSAGE_BYTES, Missing, Understanding},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How many messages of a session are looked at for what a short answer refers to.
const HISTORY: u32 = 6;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    message: String,
    session_id: Option<String>,
}

/// One message as it was asked.
struct Asked {
    message: String,
    session_id: String,
    requester: String,
    key: Option<String>,
    fingerprint: String,
}

pub(crate) async fn post(mut ctx: Ctx) -> Handled {
    let body: Body = ctx.json().await?;
    let given_session = body.session_id.is_some();
    let asked = asked(&ctx, body)?;
    let (understanding, planner) = understand(&ctx, &asked, given_session).await?;
    match &understanding.intent {
        Intent::Deliver { task } => match draft::draft(ctx.trace(), task).await {
            Ok(plan) => start(&ctx, &asked, &understanding, &planner, plan).await,
            Err(Refusal::Ask { missing, question }) => {
                let intent = Intent::Unclear {
                    missing,
                    question: question.clone(),
                };
                answer(
                    &ctx,
                    &asked,
                    &Understanding {
                        intent,
                        ..understanding
                    },
                    &planner,
                    question,
                    vec![],
                )
                .await
            }
            Err(Refusal::Problem(problem)) => Err(*problem),
        },
        intent => {
            let (text, suggestions) = questions::answer(&ctx, intent).await?;
            answer(&ctx, &asked, &understanding, &planner, text, suggestions).await
        }
    }
}

pub(crate) async fn history(ctx: Ctx) -> Handled {
    let (session, principal) = (ctx.param("session_id")?, ctx.principal()?);
    let messages = chat::history(&ctx.db(), session, &principal.name, ctx.limit()?).await?;
    Ok(Reply::json(&json!({"session_id": session, "messages": messages})))
}

fn asked(ctx: &Ctx, body: Body) -> Result<Asked, Problem> {
    let message = body.message.trim().to_owned();
    let refuse = |detail: String| {
        Err(Problem::new(Code::InvalidBody, detail)
            .hint("For example: {\"message\": \"review branch my-change\"}."))
    };
    if message.is_empty() {
        return refuse("`message` is empty.".to_owned());
    }
    if message.len() > MAX_MESSAGE_BYTES {
        return refuse(format!(
            "`message` has {} bytes; at most {MAX_MESSAGE_BYTES} are taken.",
            message.len()
        ));
    }
    if message.contains('\0') {
        return refuse("`message` holds a NUL character.".to_owned());
    }
    if let Some(session) = &body.session_id
        && !((1..=100).contains(&session.len()) && session.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return refuse("`session_id` must be 1 to 100 visible ASCII characters.".to_owned());
    }
    let requester = ctx.principal()?.name.clone();
    let key = ctx.idempotency_key()?;
    let digest = |parts: &[&str]| hex::encode(Sha256::digest(json!(parts).to_string()));
    let fingerprint = digest(&["chat", &message, body.session_id.as_deref().unwrap_or_default()]);
    // The same keyed request without a session has to get into the same new one again.
    let session_id = body.session_id.unwrap_or_else(|| match &key {
        Some(key) => digest(&[&requester, key])[..32].to_owned(),
        None => hex::encode(&random_32()[..16]),
    });
    Ok(Asked {
        message,
        session_id,
        requester,
        key,
        fingerprint,
    })
}

/// Understands the message; a short answer together with what was said before it.
async fn understand(ctx: &Ctx, asked: &Asked, in_session: bool) -> Result<(Understanding, Planner), Problem> {
    let mut messages: Vec<ChatMessage> = Vec::new();
    let alone = guildhall_skills::planning::understand(&asked.message);
    if in_session && matches!(alone.intent, Intent::Unclear { .. }) {
        messages = chat::history(&ctx.db(), &asked.session_id, &asked.requester, HISTORY).await?;
    }
    // What has started a run is done with: a later word must not start it again.
    let earlier: Vec<&str> = messages
        .iter()
        .rev()
        .take_while(|message| message.run_id.is_none())
        .filter(|message| message.role == ChatRole::User)
        .map(|message| message.content.as_str())
        .collect();
    Ok(planner::understand(ctx.trace(), &asked.message, &earlier).await)
}

/// Starts the planned run and keeps the conversation, in one statement.
async fn start(
    ctx: &Ctx,
    asked: &Asked,
    understanding: &Understanding,
    planner: &Planner,
    plan: Plan,
) -> Handled {
    let text = text(&plan, understanding);
    let new = NewRun {
        what: RunOf::Document {
            definition: &plan.definition,
            digest: &plan.digest,
        },
        input: &plan.input,
        title: &plan.title,
        requester: &asked.requester,
        idempotency: asked.key.as_deref().map(|key| Idempotency {
            key,
            fingerprint: &asked.fingerprint,
        }),
        chat: Some(ChatTurn {
            session_id: &asked.session_id,
            message: &asked.message,
            reply: &text,
        }),
    };
    let started = run::start(&ctx.db(), new).await?;
    let run = match (started.outcome, started.run) {
        (StartOutcome::Started | StartOutcome::Exists, Some(run)) => run,
        (StartOutcome::NotYours, _) => return Err(not_yours(&asked.session_id)),
        (StartOutcome::Conflict, _) => {
            let detail = "The Idempotency-Key was used for another message before; nothing was started.";
            return Err(
                Problem::new(Code::IdempotencyConflict, detail).hint("Use a new key for a new message.")
            );
        }
        (StartOutcome::UnknownWorkflow, _) | (_, None) => {
            return Err(Problem::new(
                Code::Internal,
                "A run was started but could not be shown.",
            ));
        }
    };
    chain::poke("workflows", ctx.trace());
    let reply = accepted(asked, understanding, planner, &plan, &run, text);
    Ok(Reply::json_status(StatusCode::ACCEPTED, &reply)
        .header(header::LOCATION, format!("/v1/runs/{}", run.id)))
}

fn accepted(
    asked: &Asked,
    understanding: &Understanding,
    planner: &Planner,
    plan: &Plan,
    run: &Run,
    text: String,
) -> Value {
    let mut suggestions = vec![
        format!("guildhall runs watch {}", run.id),
        format!("guildhall runs show {}", run.id),
    ];
    if plan.risk.approval_required {
        suggestions.push("guildhall approvals list".to_owned());
    }
    let mut reply = base(asked, understanding, planner, text, suggestions);
    reply["run_id"] = json!(run.id);
    reply["title"] = json!(run.title);
    reply["risk"] = json!(plan.risk);
    reply["plan"] = json!(plan.steps);
    reply["notes"] = json!([understanding.notes.as_slice(), plan.notes.as_slice()].concat());
    reply
}

fn text(plan: &Plan, understanding: &Understanding) -> String {
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.step.as_str()).collect();
    let mut text = format!("Started: {}. Steps: {}.", plan.title, steps.join(", "));
    if plan.risk.approval_required {
        text.push_str(" Before it deploys, the run waits for the approval of another person.");
    }
    for note in understanding.notes.iter().chain(&plan.notes) {
        text.push(' ');
        text.push_str(note);
    }
    if !understanding.ignored.is_empty() {
        text.push_str(&format!(" Not used: {}.", understanding.ignored.join(", ")));
    }
    text
}

/// Answers without starting anything, and keeps the conversation.
async fn answer(
    ctx: &Ctx,
    asked: &Asked,
    understanding: &Understanding,
    planner: &Planner,
    text: String,
    suggestions: Vec<String>,
) -> Handled {
    let recorded = chat::record(
        &ctx.db(),
        &asked.session_id,
        &asked.requester,
        &asked.message,
        &text,
        None,
    )
    .await?;
    if recorded == RecordOutcome::NotYours {
        return Err(not_yours(&asked.session_id));
    }
    let mut reply = base(asked, understanding, planner, text, suggestions);
    if let Intent::Unclear { missing, .. } = &understanding.intent {
        reply["missing"] = json!(missing as &Vec<Missing>);
    }
    Ok(Reply::json(&reply))
}

fn base(
    asked: &Asked,
    understanding: &Understanding,
    planner: &Planner,
    text: String,
    suggestions: Vec<String>,
) -> Value {
    json!({
        "session_id": asked.session_id,
        "message": text,
        "intent": understanding.intent.name(),
        "understood": understanding.intent,
        "planner": planner,
        "notes": understanding.notes,
        "ignored": understanding.ignored,
        "suggestions": suggestions,
    })
}

fn not_yours(session: &str) -> Problem {
    Problem::new(
        Code::Forbidden,
        format!("The chat session `{session}` was begun by another principal."),
    )
    .hint("Leave `session_id` out to begin a session of your own.")
}
