//! `POST /v1/runs`: of a workflow that was uploaded, or of a document that comes along.

use crate::{document::Given, workflows};
use guildhall_guest::{
    Ctx, Handled, Reply, chain,
    domain::{Code, Problem, workflow::WorkflowRef},
    http::{StatusCode, header},
    store::run::{self, NewRun, RunOf, StartOutcome},
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    definition: Option<Given>,
    workflow: Option<WorkflowRef>,
    title: Option<String>,
    #[serde(default = "nothing")]
    input: Value,
}

fn nothing() -> Value {
    json!({})
}

pub(crate) async fn start(mut ctx: Ctx) -> Handled {
    let (body, once) = ctx.json_once::<Start>().await?;
    let read = body.definition.as_ref().map(Given::definition).transpose()?;
    let digest = read.as_ref().map(|definition| definition.digest());
    let (what, usual) = match (&read, &digest, &body.workflow) {
        (Some(definition), Some(digest), None) => (
            RunOf::Document {
                definition: &definition.source,
                digest,
            },
            definition
                .document
                .title
                .clone()
                .unwrap_or_else(|| definition.reference()),
        ),
        (None, _, Some(wanted)) => (
            RunOf::Workflow {
                namespace: &wanted.namespace,
                name: &wanted.name,
                version: &wanted.version,
            },
            format!("{}/{}@{}", wanted.namespace, wanted.name, wanted.version),
        ),
        _ => {
            return Err(Problem::new(
                Code::InvalidBody,
                "Exactly one of `definition` and `workflow` must be given.",
            )
            .hint("docs/api.md shows both."));
        }
    };
    let title = title(body.title.as_deref(), usual)?;
    let new = NewRun {
        what,
        input: &body.input,
        title: &title,
        requester: &ctx.principal()?.name,
        idempotency: once.as_ref().map(|once| once.as_store()),
        chat: None,
    };
    let started = run::start(&ctx.db(), new).await?;
    let status = match (started.outcome, &once, &body.workflow) {
        (StartOutcome::Started, _, _) => {
            // The answer does not wait for the first step; the run is safe in the database already.
            chain::poke("workflows", ctx.trace());
            StatusCode::CREATED
        }
        (StartOutcome::Conflict, Some(once), _) => return Err(once.conflict()),
        (StartOutcome::UnknownWorkflow, _, Some(wanted)) => {
            return Err(workflows::unknown(wanted, Code::UnknownWorkflow));
        }
        _ => StatusCode::OK,
    };
    let Some(run) = started.run else {
        return Err(Problem::new(
            Code::Internal,
            "The run was started but could not be shown.",
        ));
    };
    Ok(Reply::json_status(status, &run).header(header::LOCATION, format!("/v1/runs/{}", run.id)))
}

fn title(given: Option<&str>, usual: String) -> Result<String, Problem> {
    match given.map(str::trim) {
        None => Ok(usual.chars().take(200).collect()),
        Some(title) if (1..=200).contains(&title.chars().count()) => Ok(title.to_owned()),
        Some(_) => Err(Problem::new(
            Code::InvalidBody,
            "`title` must be 1 to 200 characters.",
        )),
    }
}
