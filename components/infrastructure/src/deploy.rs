//! `deploy_service`: the state machine of `guildhall_skills::infra`, with each step really done.

use crate::{authorise::authorise, error, held::Held, repository, tool};
use guildhall_guest::{
    agent::{self, AgentCall},
    domain::{Code, request::AgentError},
};
use guildhall_skills::{
    delivery::Environment,
    infra::{self, Deployment, Event, Outcome, Step, Verdict},
    inputs::{self, DeployService},
    report,
};
use serde_json::{Value, json};

pub(crate) async fn deploy_service(call: &AgentCall) -> Result<Value, AgentError> {
    let input: DeployService = inputs::read(&call.skill, &call.input)?;
    let repository = repository(call).await?;
    let environment = repository
        .environment(&input.environment)
        .map_err(|problem| agent::failed(*problem))?
        .clone();
    let action = infra::deploy_action(
        &repository.name,
        &environment.name,
        environment.risk,
        &input.base,
        &input.head_revision,
    );
    let mut work = Work {
        call,
        input,
        environment,
        done: Done::default(),
    };
    let mut deployment = Deployment::new();

    authorise(call, &action, work.input.approval_id).await?;
    deployment.observe(Event::Succeeded);
    let resource = infra::deployment_lock(&work.environment.name);
    let mut held = Held::acquire(call, resource, &work.reason()).await?;
    deployment.observe(Event::Succeeded);
    work.done.fencing_token = held.fencing_token;

    while !matches!(deployment.step(), Step::Release | Step::Done) {
        let event = held
            .during(work.carry_out(deployment.step()))
            .await
            .unwrap_or(Event::LockLost);
        deployment.set_can_roll_back(work.done.previous_revision.is_some());
        deployment.observe(event);
    }
    held.release().await;
    deployment.observe(Event::Succeeded);
    work.conclude(deployment.outcome())
}

/// What has come of the steps so far.
#[derive(Default)]
struct Done {
    fencing_token: i64,
    /// The revision of the base that holds the change.
    revision: Option<String>,
    merge: Value,
    deployment: Value,
    previous_revision: Option<String>,
    health: Value,
    unhealthy: Option<String>,
    rollback: Value,
    /// The error of the step that failed.
    error: Option<AgentError>,
}

struct Work<'a> {
    call: &'a AgentCall,
    input: DeployService,
    environment: Environment,
    done: Done,
}

impl Work<'_> {
    fn short_head(&self) -> &str {
        self.input.head_revision.get(..12).unwrap_or_default()
    }

    fn reason(&self) -> String {
        format!("deploy {} to {}", self.short_head(), self.environment.name)
    }

    /// Does one step. An error is kept for the conclusion.
    async fn carry_out(&mut self, step: Step) -> Event {
        let outcome = match step {
            Step::Merge => self.merge().await,
            Step::Deploy => self.deploy().await,
            Step::CheckHealth | Step::VerifyRollback => self.check_health(step).await,
            Step::Rollback => self.roll_back().await,
            Step::Authorise | Step::Lock | Step::Release | Step::Done => Ok(true),
        };
        match outcome {
            Ok(true) => Event::Succeeded,
            Ok(false) => Event::Failed,
            Err(error) if error.code == Code::StaleToken.as_str() => Event::LockLost,
            Err(error) => {
                let event = if error.retryable {
                    Event::Interrupted
                } else {
                    Event::Failed
                };
                self.done.error = Some(error);
                event
            }
        }
    }

    /// The arguments that every change carries: which effect of which request, under which lock.
    fn guarded(&self, effect: &str, mut arguments: Value) -> Value {
        arguments["idempotency_key"] = json!(self.call.effect_key(effect));
        arguments["fencing_token"] = json!(self.done.fencing_token);
        arguments["resource"] = json!(infra::deployment_lock(&self.environment.name));
        arguments
    }

    async fn merge(&mut self) -> Result<bool, AgentError> {
        let message = format!(
            "Merge {} into {}\n\nReviewed, tested and deployed by Guildhall.",
            self.short_head(),
            self.input.base
        );
        let arguments = self.guarded(
            "merge",
            json!({"base": self.input.base, "head_revision": self.input.head_revision, "message": message}),
        );
        self.done.merge = tool(self.call, "change_merge", arguments).await?;
        self.done.revision = self.done.merge["revision"].as_str().map(str::to_owned);
        match self.done.revision {
            Some(_) => Ok(true),
            None => Err(error(Code::ToolFailed, "change_merge gave no revision.".to_owned()).into()),
        }
    }

    async fn deploy(&mut self) -> Result<bool, AgentError> {
        let arguments = self.guarded(
            "deploy",
            json!({"environment": self.environment.name, "revision": self.done.revision}),
        );
        self.done.deployment = tool(self.call, "environment_deploy", arguments).await?;
        self.done.previous_revision = self.done.deployment["previous_revision"]
            .as_str()
            .map(str::to_owned);
        Ok(self.done.deployment["status"] == "passed")
    }

    async fn check_health(&mut self, step: Step) -> Result<bool, AgentError> {
        if !self.environment.has_service {
            return Ok(true);
        }
        let named = json!({"environment": self.environment.name});
        let mut health = tool(self.call, "service_health", named.clone()).await?;
        if step == Step::CheckHealth && self.done.deployment["replayed"] == true && health["pid"].is_null() {
            // An earlier attempt started the service, and what ended that attempt may have ended the service with it.
            // That says nothing of the change, so it is started once more before it is judged.
            let effect = format!("restart/{}", self.call.request().attempt);
            let arguments = self.guarded(&effect, named.clone());
            tool(self.call, "service_restart", arguments).await?;
            health = tool(self.call, "service_health", named).await?;
        }
        let (wanted, rolled_back) = match step {
            Step::VerifyRollback => (&self.done.previous_revision, true),
            _ => (&self.done.revision, false),
        };
        let verdict = infra::verdict(&health, wanted.as_deref().unwrap_or_default());
        if !rolled_back {
            self.done.health = health;
            if let Verdict::Unhealthy(reason) = &verdict {
                self.done.unhealthy = Some(reason.clone());
            }
        }
        Ok(verdict == Verdict::Healthy)
    }

    async fn roll_back(&mut self) -> Result<bool, AgentError> {
        let arguments = self.guarded("rollback", json!({"environment": self.environment.name}));
        self.done.rollback = tool(self.call, "environment_rollback", arguments).await?;
        Ok(self.done.rollback["status"] == "passed")
    }

    /// The result, or the error that says what is the case now.
    fn conclude(self, outcome: Option<Outcome>) -> Result<Value, AgentError> {
        let (done, name, head) = (&self.done, &self.environment.name, self.short_head());
        match outcome {
            Some(Outcome::Deployed) => Ok(self.result()),
            Some(Outcome::LockLost) => Err(error(
                Code::StaleToken,
                format!(
                    "The lock of {name} was lost while {head} was being deployed; nothing more was touched."
                ),
            )
            .hint("It is tried again by itself, under a new lock.")
            .retryable()
            .into()),
            Some(Outcome::Unhealthy { restored }) => {
                let why = done
                    .unhealthy
                    .clone()
                    .or_else(|| done.error.as_ref().map(|error| error.detail.clone()));
                let then = match (restored, &done.rollback) {
                    (true, _) => "What was deployed before is back and well.".to_owned(),
                    (false, Value::Null) => "There was nothing to roll back to.".to_owned(),
                    (false, _) => "The rollback did not bring a healthy service back.".to_owned(),
                };
                let detail = format!(
                    "{head} was deployed to {name}, but its service is not well: {}. {then}",
                    why.as_deref()
                        .unwrap_or("no reason was given")
                        .trim_end_matches('.')
                );
                Err(error(Code::ServiceUnhealthy, detail)
                    .hint("The service's log tells more; the change is merged, so mend it with a new change or revert it.")
                    .into())
            }
            Some(Outcome::DeployFailed) if done.error.is_none() => {
                let tail: String =
                    report::last_lines(done.deployment["output_tail"].as_str().unwrap_or_default());
                let detail = format!(
                    "The deploy command for {name} ended with status {} ({}). What was deployed before still is. Its output \
                     ends: {tail}",
                    done.deployment["status"].as_str().unwrap_or("unknown"),
                    done.deployment["exit_code"]
                        .as_i64()
                        .map_or("no exit code".into(), |code| format!("exit code {code}")),
                );
                Err(error(Code::DeployFailed, detail)
                    .hint("Mend the command or what it needs, then ask for the deployment again.")
                    .into())
            }
            _ => Err(self.done.error.unwrap_or_else(|| {
                error(
                    Code::Internal,
                    "The deployment ended without an outcome.".to_owned(),
                )
                .into()
            })),
        }
    }

    fn result(&self) -> Value {
        let (done, name) = (&self.done, &self.environment.name);
        let revision = done.revision.as_deref().unwrap_or_default();
        let health = match self.environment.has_service {
            true => "its service is well",
            false => "it has no service to check",
        };
        json!({
            "environment": name,
            "base": self.input.base,
            "head_revision": self.input.head_revision,
            "revision": revision,
            "merge": done.merge,
            "deployment": done.deployment,
            "health": done.health,
            "lock": {"resource": infra::deployment_lock(name), "fencing_token": done.fencing_token},
            "summary": format!("Merged and deployed {} to {name}; {health}.", revision.get(..12).unwrap_or(revision)),
        })
    }
}
