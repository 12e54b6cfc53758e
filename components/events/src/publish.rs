//! `POST /v1/events`: a CloudEvent from outside, for every run that waits for one like it.

use guildhall_guest::{
    Ctx, Handled, Reply, chain, cloud_event,
    domain::{Code, Problem},
    http::StatusCode,
    store::event::{self, PublishOutcome},
};
use serde_json::{Value, json};

pub(crate) async fn publish(mut ctx: Ctx) -> Handled {
    let cloud_event: Value = ctx.json().await?;
    if let Some(wrong) = cloud_event::misfit(&cloud_event) {
        return Err(refuse(&wrong));
    }
    let published = event::publish(&ctx.db(), &cloud_event, &ctx.principal()?.name).await?;
    let (status, outcome) = match published.outcome {
        PublishOutcome::Accepted => (StatusCode::ACCEPTED, "accepted"),
        PublishOutcome::Duplicate => (StatusCode::OK, "duplicate"),
        PublishOutcome::Invalid => {
            return Err(refuse(published.detail.as_deref().unwrap_or("it was refused")));
        }
    };
    if published.delivered > 0 {
        chain::poke("workflows", ctx.trace());
    }
    Ok(Reply::json_status(
        status,
        &json!({"outcome": outcome, "delivered": published.delivered}),
    ))
}

fn refuse(wrong: &str) -> Problem {
    Problem::new(
        Code::InvalidBody,
        format!("The body is not a CloudEvent that can be taken: {wrong}."),
    )
    .hint(
        "For example: {\"specversion\": \"1.0\", \"id\": \"build-17\", \"source\": \"/ci/main\", \
         \"type\": \"com.example.build.finished\", \"data\": {}}.",
    )
}
