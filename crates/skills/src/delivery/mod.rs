//! From a task and what is true of the repository to a workflow document and its input, with pinned revisions.

mod document;
mod facts;

pub use facts::{Environment, Facts, FactsError, Repository, resolved};

use crate::infra::deploy_action;
use crate::planning::{Missing, Operations, Task};
use guildhall_domain::{Code, Problem};
use guildhall_flow::validate;
use guildhall_policy::{Action, Assessment, EnvironmentRisk, Operation, assess};
use serde::Serialize;
use serde_json::Value;

/// One step as the plan is shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// The task's name in the document.
    pub step: String,
    /// The skill that is asked for; `approval` for a person's decision.
    pub skill: String,
    /// What it is there for.
    pub why: String,
}

/// A plan that can be started.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One line for people.
    pub title: String,
    /// What will run: a workflow document (docs/workflows-dsl.md).
    pub definition: Value,
    /// The document's digest.
    pub digest: String,
    /// What the run is given: the change, and where it is to go.
    pub input: Value,
    /// The riskiest action of the plan, assessed.
    pub risk: Assessment,
    /// The steps, in order.
    pub steps: Vec<PlannedStep>,
    /// What was decided for the requester, in sentences.
    pub notes: Vec<String>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Something has to be said first.
    Ask {
        /// What is missing.
        missing: Vec<Missing>,
        /// The question.
        question: String,
    },
    /// The repository does not allow it.
    Problem(Box<Problem>),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal::Problem(Box::new(problem))
    }
}

/// Plans a task. The revisions of `facts` are pinned: what is reviewed and tested is what is deployed.
pub fn plan(task: &Task, facts: &Facts) -> Result<Plan, Refusal> {
    let mut notes = Vec::new();
    let operations = task.operations;
    if (operations.test || operations.deploy) && !facts.configured {
        return Err(Problem::new(
            Code::RepositoryNotConfigured,
            format!(
                "`{}` cannot be tested or deployed: {} has no guildhall.toml on its branch {}.",
                task.head, facts.repository, facts.base
            ),
        )
        .hint("Commit a guildhall.toml there that names checks and environments; docs/workspace.md describes it.")
        .into());
    }
    if operations.test && facts.checks.is_empty() {
        return Err(Problem::new(
            Code::ConfigurationInvalid,
            format!(
                "`{}` cannot be tested: guildhall.toml of {} names no check.",
                task.head, facts.repository
            ),
        )
        .hint("Add a check to guildhall.toml on the base branch: [checks.NAME] with command = [\"...\"].")
        .into());
    }
    let environment = match operations.deploy {
        true => Some(environment(task, facts, &mut notes)?),
        false => None,
    };
    let action = match &environment {
        Some((name, risk)) => {
            deploy_action(&facts.repository, name, *risk, &facts.base, &facts.head_revision)
        }
        None => harmless_action(operations, facts),
    };
    let risk = assess(&action);
    if facts.head_revision == facts.base_revision {
        notes.push(format!(
            "`{}` holds nothing that {} does not have already, so there is no change to review.",
            task.head, facts.base
        ));
    }
    let name = environment.as_ref().map(|(name, _)| name.as_str());
    let drafted = document::draft(operations, facts, name, &action, &risk);
    let title = Task {
        environment: name.map(str::to_owned),
        base: task.base.as_ref().map(|_| facts.base.clone()),
        ..task.clone()
    }
    .title();
    let definition = validate::check_value(&drafted.document).map_err(|findings| {
        let detail = format!("The plan is not a workflow that can be run: {findings}.");
        Refusal::from(Problem::new(Code::Internal, detail))
    })?;
    Ok(Plan {
        title,
        digest: definition.digest(),
        definition: drafted.document,
        input: drafted.input,
        risk,
        steps: drafted.steps,
        notes,
    })
}

/// The riskiest thing that a task without a deployment does.
fn harmless_action(operations: Operations, facts: &Facts) -> Action {
    let operation = match (operations.document, operations.test) {
        (true, _) => Operation::Document,
        (_, true) => Operation::Check,
        _ => Operation::Review,
    };
    Action {
        operation,
        repository: facts.repository.clone(),
        environment: None,
        environment_risk: None,
        base: Some(facts.base.clone()),
        head_revision: Some(facts.head_revision.clone()),
    }
}

/// The environment that is meant: the one that is named, or the only one there is.
fn environment(
    task: &Task,
    facts: &Facts,
    notes: &mut Vec<String>,
) -> Result<(String, EnvironmentRisk), Refusal> {
    let names: Vec<&String> = facts.environments.keys().collect();
    let found = |name: &String| facts.environments.get(name).map(|risk| (name.clone(), *risk));
    match (&task.environment, names.as_slice()) {
        (_, []) => Err(Problem::new(
            Code::UnknownEnvironment,
            format!(
                "`{}` cannot be deployed: guildhall.toml of {} names no environment.",
                task.head, facts.repository
            ),
        )
        .hint("Add one to guildhall.toml on the base branch: [environments.NAME] with risk and deploy.")
        .into()),
        (Some(wanted), names) => {
            if let Some(environment) = found(wanted) {
                return Ok(environment);
            }
            let alike: Vec<&&String> = names
                .iter()
                .filter(|name| same_environment(name, wanted))
                .collect();
            if let [one] = alike.as_slice()
                && let Some(environment) = found(one)
            {
                notes.push(format!("`{wanted}` was read as the environment `{one}`."));
                return Ok(environment);
            }
            Err(Problem::new(
                Code::UnknownEnvironment,
                format!("{} has no environment `{wanted}`.", facts.repository),
            )
            .hint(format!(
                "guildhall.toml has {}.",
                crate::planning::list(names, "and")
            ))
            .into())
        }
        (None, [one]) => {
            notes.push(format!(
                "`{one}` is the only environment of {}, so it is meant.",
                facts.repository
            ));
            found(one).ok_or_else(|| Problem::new(Code::Internal, "An environment got lost.").into())
        }
        (None, several) => Err(Refusal::Ask {
            missing: vec![Missing::Environment],
            question: format!(
                "Where shall `{}` be deployed: {}? For example: `deploy {} to {}`.",
                task.head,
                crate::planning::list(several, "or"),
                task.head,
                several[0]
            ),
        }),
    }
}

/// Whether two names are usual spellings of one environment.
fn same_environment(one: &str, other: &str) -> bool {
    let usual = |name: &str| match name.to_lowercase().as_str() {
        "prod" | "production" | "live" => "production".to_owned(),
        "stage" | "staging" => "staging".to_owned(),
        "dev" | "development" => "development".to_owned(),
        other => other.to_owned(),
    };
    usual(one) == usual(other)
}
