//! `/v1/workflows`: documents, kept for ever under namespace, name and version.

use crate::document::Given;
use guildhall_flow::{dsl::Definition, plan};
use guildhall_guest::{
    Ctx, Handled, Reply,
    domain::{Code, Problem, workflow::WorkflowRef},
    http::{StatusCode, header},
    store::workflow::{self, PutOutcome},
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    definition: Given,
}

/// The problem of a workflow that was never uploaded.
pub(crate) fn unknown(wanted: &WorkflowRef, code: Code) -> Problem {
    Problem::new(
        code,
        format!(
            "There is no workflow {}/{} of version {}.",
            wanted.namespace, wanted.name, wanted.version
        ),
    )
    .hint("GET /v1/workflows lists those there are; POST /v1/workflows uploads one.")
}

pub(crate) async fn list(ctx: Ctx) -> Handled {
    let namespace = ctx.query("namespace")?;
    let after = ctx.query("after")?;
    if let Some(after) = &after
        && after.split('/').count() != 3
    {
        return Err(Problem::new(
            Code::InvalidParameter,
            format!("The query parameter `after` cannot be `{after}`: it is a `next` of an earlier page."),
        ));
    }
    let page = workflow::list(&ctx.db(), namespace.as_deref(), after.as_deref(), ctx.limit()?).await?;
    Ok(Reply::json(&page))
}

pub(crate) async fn show(ctx: Ctx) -> Handled {
    let wanted = reference(&ctx)?;
    let found = workflow::get(&ctx.db(), &wanted.namespace, &wanted.name, &wanted.version).await?;
    match found {
        Some(workflow) => Ok(Reply::json(&workflow)),
        None => Err(unknown(&wanted, Code::NotFound)),
    }
}

fn reference(ctx: &Ctx) -> Result<WorkflowRef, Problem> {
    Ok(WorkflowRef {
        namespace: ctx.param("namespace")?.to_owned(),
        name: ctx.param("name")?.to_owned(),
        version: ctx.param("version")?.to_owned(),
    })
}

pub(crate) async fn post(mut ctx: Ctx) -> Handled {
    let body: Body = ctx.json().await?;
    let definition = body.definition.definition()?;
    refuse_schedule(&definition)?;
    keep(&ctx, &body.definition, &definition).await
}

pub(crate) async fn put(mut ctx: Ctx) -> Handled {
    let path = reference(&ctx)?;
    let body: Body = ctx.json().await?;
    let definition = body.definition.definition()?;
    refuse_schedule(&definition)?;
    let own = &definition.document;
    if (own.namespace.as_str(), own.name.as_str(), own.version.as_str())
        != (path.namespace.as_str(), path.name.as_str(), path.version.as_str())
    {
        return Err(Problem::new(
            Code::InvalidBody,
            format!(
                "The document is {}, the path says {}/{}@{}.",
                definition.reference(),
                path.namespace,
                path.name,
                path.version
            ),
        )
        .hint("Send it to the path of its own namespace, name and version, or to POST /v1/workflows."));
    }
    keep(&ctx, &body.definition, &definition).await
}

/// Only what the fleet will do may be kept as if it did it.
fn refuse_schedule(definition: &Definition) -> Result<(), Problem> {
    match definition.schedule {
        None => Ok(()),
        Some(_) => Err(Problem::new(
            Code::WorkflowInvalid,
            "The workflow has a `schedule`, and the fleet starts no run by itself.",
        )
        .hint("Leave `schedule` out and start runs from outside, for example by cron: `guildhall workflows run NAMESPACE/NAME`.")),
    }
}

async fn keep(ctx: &Ctx, given: &Given, definition: &Definition) -> Handled {
    let (digest, by) = (definition.digest(), &ctx.principal()?.name);
    let put = workflow::put(&ctx.db(), &definition.source, &given.source(), &digest, by).await?;
    let status = match put.outcome {
        PutOutcome::Created => StatusCode::CREATED,
        PutOutcome::Exists => StatusCode::OK,
        PutOutcome::Conflict => {
            return Err(Problem::new(
                Code::Conflict,
                format!(
                    "{} is there already, with another content.",
                    definition.reference()
                ),
            )
            .hint("A version never changes once it is uploaded: give the document a higher version."));
        }
    };
    let own = &definition.document;
    let place = format!("/v1/workflows/{}/{}/{}", own.namespace, own.name, own.version);
    Ok(Reply::json_status(status, &put.workflow).header(header::LOCATION, place))
}

/// Whether a document can be run. What is wrong with it is the answer, not an error.
pub(crate) async fn validate(mut ctx: Ctx) -> Handled {
    let body: Body = ctx.json().await?;
    Ok(Reply::json(&match body.definition.read() {
        Ok(definition) => json!({
            "valid": true,
            "workflow": definition.reference(),
            "digest": definition.digest(),
            "findings": [],
        }),
        Err(findings) => {
            let has_lines = matches!(body.definition, Given::Text(_));
            let findings: Vec<Value> = findings
                .0
                .iter()
                .map(|finding| {
                    json!({
                        "code": finding.code,
                        "pointer": finding.pointer,
                        "line": has_lines.then_some(finding.at.line),
                        "column": has_lines.then_some(finding.at.column),
                        "message": finding.message,
                    })
                })
                .collect();
            json!({"valid": false, "workflow": null, "digest": null, "findings": findings})
        }
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    definition: Option<Given>,
    workflow: Option<WorkflowRef>,
}

/// What a workflow may touch, without doing anything.
pub(crate) async fn plan(mut ctx: Ctx) -> Handled {
    let body: PlanBody = ctx.json().await?;
    let definition = match (body.definition, body.workflow) {
        (Some(given), None) => given.definition()?,
        (None, Some(wanted)) => {
            let found = workflow::get(&ctx.db(), &wanted.namespace, &wanted.name, &wanted.version).await?;
            let Some(found) = found else {
                return Err(unknown(&wanted, Code::UnknownWorkflow));
            };
            Given::Value(found.definition).definition()?
        }
        _ => {
            return Err(Problem::new(
                Code::InvalidBody,
                "Exactly one of `definition` and `workflow` must be given.",
            ));
        }
    };
    Ok(Reply::json(&plan::plan(&definition)))
}
