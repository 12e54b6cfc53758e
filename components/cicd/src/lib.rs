//! The cicd agent: runs the repository's own checks on one commit, one after the other, each exactly once; says what the
//! recorded outcomes come to; has a commit deployed by a run of its own.

mod deploy;

use guildhall_guest::{
    GuestResponse, Request, Router,
    agent::{self, AgentCall},
    common,
    domain::{Code, request::AgentError},
    repository, store,
};
use guildhall_skills::{
    cards,
    ci::{self, CheckOutcome, Recorded},
    inputs::{self, RunChecks, RunPipeline, ValidateBuild},
    tools,
};
use serde::Deserialize;
use serde_json::{Value, json};
use spin_sdk::http_service;
use std::time::Duration;

const NAME: &str = "cicd";
/// The workspace ends a check at its own time limit; this only ends the wait for a workspace that hangs itself.
const CHECK_LIMIT: Duration = Duration::from_secs(3_600);

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let card = agent::card(
        NAME,
        "Runs the checks that a repository names in its guildhall.toml, and reports what came of them.",
        cards::cicd(),
    );
    agent::routes(Router::new().without_ticker(), card, answer)
        .serve(request)
        .await
}

async fn answer(call: AgentCall) -> Result<Value, AgentError> {
    match call.skill.as_str() {
        "run_checks" => run_checks(&call, inputs::read(&call.skill, &call.input)?).await,
        "run_pipeline" => run_pipeline(&call).await,
        "validate_build" => validate_build(&call).await,
        "deploy_artifact" => deploy::deploy_artifact(&call).await,
        "get_status" => common::get_status(&call, NAME).await,
        _ => Err(call.unknown_skill()),
    }
}

/// `run_checks` at the tip of a branch. A later attempt may find the branch moved; it then checks the newer commit, and
/// says which.
async fn run_pipeline(call: &AgentCall) -> Result<Value, AgentError> {
    let input: RunPipeline = inputs::read(&call.skill, &call.input)?;
    let branch = repository::base(call, input.branch.as_ref()).await?;
    let revision = repository::resolve(call, &branch).await?;
    let pipeline = input.pipeline_name.clone();
    let mut result = run_checks(call, input.at(revision)).await?;
    result["pipeline_name"] = json!(pipeline);
    result["branch"] = json!(branch);
    Ok(result)
}

async fn run_checks(call: &AgentCall, input: RunChecks) -> Result<Value, AgentError> {
    let names = match input.checks {
        Some(names) => names,
        None => all_checks(call).await?,
    };
    let workspace = call.tools().limit(CHECK_LIMIT);
    let (mut results, mut outcomes) = (Vec::new(), Vec::new());
    for name in &names {
        // The commit is in the key, so that a branch that moved between attempts gets checks of its own.
        let effect = match call.skill.as_str() {
            "run_pipeline" => format!("{name}@{}", input.revision),
            _ => name.clone(),
        };
        let arguments = json!({
            "revision": input.revision,
            "check": name,
            "idempotency_key": call.effect_key(&effect),
        });
        let result = workspace
            .call("check_run", arguments)
            .await
            .map_err(tools::retry_what_passes)?;
        outcomes.push(CheckOutcome::deserialize(&result).map_err(repository::unexpected)?);
        results.push(result);
    }
    let summed = ci::summarise(&outcomes);
    Ok(json!({
        "status": summed.status,
        "revision": input.revision,
        "checks": results,
        "summary": summed.summary,
    }))
}

async fn validate_build(call: &AgentCall) -> Result<Value, AgentError> {
    let input: ValidateBuild = inputs::read(&call.skill, &call.input)?;
    let revision = repository::resolve(call, &input.build_id).await?;
    let configured = all_checks(call).await?;
    let rows = store::request::check_results(&call.db(), &revision)
        .await
        .map_err(|error| agent::failed(error.into()))?;
    let recorded: Result<Vec<Recorded>, _> = rows.iter().map(Recorded::deserialize).collect();
    let recorded = recorded.map_err(|error| {
        repository::refused(
            Code::Internal,
            format!("A recorded outcome cannot be read: {error}."),
            "Are database and components of the same version? `guildhall doctor` tells.",
        )
    })?;
    let mut result = json!(ci::validate(&configured, &recorded, &revision));
    result["build_id"] = json!(revision);
    result["checks"] = json!(recorded);
    Ok(result)
}

async fn all_checks(call: &AgentCall) -> Result<Vec<String>, AgentError> {
    let repository = repository::describe(call).await?;
    if repository.checks.is_empty() {
        let (code, hint) = match repository.configured {
            true => (
                Code::ConfigurationInvalid,
                "Add [checks.NAME] with command = [\"...\"] to it.",
            ),
            false => (
                Code::RepositoryNotConfigured,
                "Commit a guildhall.toml that names checks to the base branch.",
            ),
        };
        return Err(repository::refused(
            code,
            format!(
                "{} names no checks in guildhall.toml on {}.",
                repository.name, repository.base_branch
            ),
            hint,
        ));
    }
    Ok(repository.checks)
}
