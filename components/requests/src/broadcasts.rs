//! Broadcasts: one question to many agents.

use guildhall_guest::{
    Ctx, Handled, Reply, chain,
    domain::{Code, Problem, request::NewBroadcast},
    http::{StatusCode, header},
    schema::{self, Submission},
    store::{
        broadcast::{self, BroadcastOutcome, Broadcasted},
        request::Offer,
    },
};

/// `POST /v1/requests/broadcasts`.
pub async fn submit(mut ctx: Ctx) -> Handled {
    let (body, once) = ctx.json_once::<NewBroadcast>().await?;
    if !body.input.is_object() {
        return Err(Problem::new(Code::InvalidBody, "`input` must be a JSON object."));
    }
    let requester = ctx.principal()?.name.clone();
    let (db, trace) = (ctx.db(), ctx.trace().clone());
    let sent = schema::submit(&body.skill, None, &body.input, |digest| {
        let (body, once, requester, trace) = (&body, &once, &requester, &trace);
        async move {
            let offer = Offer {
                schema_digest: digest.as_deref(),
                traceparent: trace.traceparent.as_deref(),
                ..Offer::default()
            };
            let idempotency = once.as_ref().map(|once| once.as_store());
            let sent = broadcast::submit(&db, body, requester, idempotency, &offer).await?;
            Ok::<_, Problem>(match sent {
                Broadcasted {
                    outcome: BroadcastOutcome::SchemaChanged,
                    input_schema: Some(schema),
                    schema_digest: Some(digest),
                    ..
                } => Submission::Schema { schema, digest },
                sent => Submission::Done(sent),
            })
        }
    })
    .await?;
    let status = match (sent.outcome, &once) {
        (BroadcastOutcome::Accepted, _) => {
            chain::poke("requests", &trace);
            StatusCode::CREATED
        }
        (BroadcastOutcome::Exists, _) => StatusCode::OK,
        (BroadcastOutcome::Conflict, Some(once)) => return Err(once.conflict()),
        (BroadcastOutcome::UnknownSkill, _) => {
            return Err(Problem::new(
                Code::UnknownSkill,
                format!("No live agent offers the skill `{}`.", body.skill),
            )
            .hint("GET /v1/agents shows who has which skills."));
        }
        (BroadcastOutcome::Nobody, _) => {
            return Err(Problem::new(
                Code::Conflict,
                "Every live agent that could be asked is excluded.",
            ));
        }
        (BroadcastOutcome::Overloaded, _) => {
            return Err(Problem::new(
                Code::Overloaded,
                "More requests are open than can be kept; nobody was asked.",
            ));
        }
        _ => return Err(Problem::new(Code::Internal, "The broadcast has no outcome.")),
    };
    let Some(broadcast) = sent.broadcast else {
        return Err(Problem::new(Code::Internal, "The broadcast cannot be shown."));
    };
    let location = format!(
        "/v1/requests/broadcasts/{}",
        broadcast["id"].as_str().unwrap_or_default()
    );
    Ok(Reply::json_status(status, &broadcast).header(header::LOCATION, location))
}

/// `GET /v1/requests/broadcasts/{id}`.
pub async fn show(ctx: Ctx) -> Handled {
    let id = ctx.param("id")?;
    match broadcast::get(&ctx.db(), id).await? {
        Some(broadcast) => Ok(Reply::json(&broadcast)),
        None => Err(Problem::new(
            Code::NotFound,
            format!("There is no broadcast {id}."),
        )),
    }
}
