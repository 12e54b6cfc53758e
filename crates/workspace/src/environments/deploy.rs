//! Deploying and rolling back: the same steps towards different revisions.

use super::service::{self, ServiceStarted};
use super::{Deployment, HISTORY_MAX, Held};
use crate::commands::{self, CommandOutcome, Status, Stopping};
use crate::config::{CommandSpec, Environment};
use crate::durable;
use crate::effects::{Attempt, Ended};
use crate::error::{ToolError, ToolResult};
use crate::git::Git;
use crate::workspace::{Launch, remove_tree};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Deploy this commit.
    Deploy(String),
    /// Go back to what was deployed before.
    Rollback,
}

/// A deployment to carry out.
pub struct DeployRequest<'a> {
    /// The environment's name.
    pub name: &'a str,
    /// What the base branch says of it.
    pub environment: &'a Environment,
    /// What is to be done.
    pub action: Action,
    /// The lock's fencing token, for the command to hand on.
    pub fencing_token: u64,
    /// The repository.
    pub git: &'a Git,
    /// Set when the server stops.
    pub stopping: &'a Stopping,
}

/// What came of a deployment or a rollback.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deployed {
    /// The environment.
    pub environment: String,
    /// How the command ended; the deployment counts only when it passed.
    #[serde(flatten)]
    pub outcome: CommandOutcome,
    /// The commit id that was to be deployed.
    pub revision: String,
    /// The commit id that was deployed before. After a deployment, a rollback would go to it.
    pub previous_revision: Option<String>,
    /// The service that was started from the release; null when none is configured or the command did not pass.
    pub service: Option<ServiceStarted>,
}

/// What the command left in a release directory.
#[derive(Serialize, Deserialize)]
struct Released {
    /// The directory's name among the releases.
    release: String,
    outcome: CommandOutcome,
}

impl Held {
    /// Runs the command in a fresh release directory, makes it the current deployment when it passes, and starts the
    /// service from it.
    pub fn deploy(
        &mut self,
        request: &DeployRequest<'_>,
        attempt: &Attempt<'_>,
    ) -> ToolResult<Ended<Deployed>> {
        if let Some(done) = self.done_before(attempt.key) {
            // An earlier attempt came as far as the record; at most the service is missing.
            attempt.found_done("command")?;
            let is_current = self
                .record
                .current
                .as_ref()
                .is_some_and(|current| current.idempotency_key == attempt.key);
            let service = match is_current {
                true => self.start_service(request, &done, attempt, false)?,
                false => None, // Others have deployed since; what runs is theirs.
            };
            return Ok(Ended::Durably(deployed(request.name, &done, service)));
        }
        let (revision, spec) = self.target(request)?;
        let earlier: Option<Released> = attempt.recorded("command")?;
        let released = match earlier.filter(|earlier| self.can_go_on(earlier)) {
            Some(earlier) => {
                attempt.found_done("command")?;
                earlier
            }
            None => self.release(request, spec, &revision, attempt)?,
        };
        let previous_revision = self.previous_revision(&revision, &request.action);
        let deployment = Deployment {
            revision,
            release: released.release,
            idempotency_key: attempt.key.to_owned(),
            deployed_at_ms: durable::now_ms(),
            outcome: released.outcome,
            previous_revision,
        };
        match deployment.outcome.status {
            Status::Passed => {}
            Status::NotStarted => return Ok(Ended::Openly(deployed(request.name, &deployment, None))),
            _ => return Ok(Ended::Durably(deployed(request.name, &deployment, None))),
        }
        self.make_current(deployment.clone(), &request.action)?;
        let service = self.start_service(request, &deployment, attempt, true)?;
        self.prune();
        Ok(Ended::Durably(deployed(request.name, &deployment, service)))
    }

    /// Runs the command in a fresh release directory, which stays only when the command passes.
    fn release(
        &mut self,
        request: &DeployRequest<'_>,
        spec: &CommandSpec,
        revision: &str,
        attempt: &Attempt<'_>,
    ) -> ToolResult<Released> {
        let release = format!(
            "{}-{}-{}",
            &revision[..12],
            &durable::name_of(attempt.key)[..12],
            attempt.number
        );
        let directory = self.subdirectory("releases")?.join(&release);
        remove_tree(&directory)
            .and_then(|()| fs::create_dir_all(self.directory.join("releases")))
            .map_err(|error| ToolError::internal("cannot clear the release directory", error))?;
        request.git.materialise(revision, &directory)?;
        let released = self.run(request, spec, revision, &release, attempt);
        let passed = released
            .as_ref()
            .is_ok_and(|released| released.outcome.status == Status::Passed);
        if !passed && let Err(error) = remove_tree(&directory) {
            tracing::warn!(path = %directory.display(), %error, "cannot remove a release that was not deployed");
        }
        released
    }

    /// Whether what an earlier attempt's command left is still all there.
    fn can_go_on(&self, earlier: &Released) -> bool {
        let directory = self.directory.join("releases").join(&earlier.release);
        earlier.outcome.status != Status::Passed || directory.is_dir()
    }

    /// The deployment that an effect brought about, if it is still remembered.
    fn done_before(&self, key: &str) -> Option<Deployment> {
        let mut known = self.record.current.iter().chain(&self.record.history);
        known
            .find(|deployment| deployment.idempotency_key == key)
            .cloned()
    }

    /// What will have been there before: for a deployment, what a rollback would go to.
    fn previous_revision(&self, revision: &str, action: &Action) -> Option<String> {
        let again = matches!(action, Action::Deploy(_)) && self.is_current(revision);
        let previous = if again {
            self.record.history.last()
        } else {
            self.record.current.as_ref()
        };
        previous.map(|deployment| deployment.revision.clone())
    }

    fn is_current(&self, revision: &str) -> bool {
        self.record
            .current
            .as_ref()
            .is_some_and(|current| current.revision == revision)
    }

    fn target<'a>(&self, request: &DeployRequest<'a>) -> ToolResult<(String, &'a CommandSpec)> {
        let environment = request.environment;
        match &request.action {
            Action::Deploy(revision) => Ok((revision.clone(), &environment.deploy)),
            Action::Rollback => {
                let previous = self.record.history.last().ok_or_else(|| {
                    ToolError::new(
                        "nothing_to_roll_back",
                        format!(
                            "nothing was deployed to {} before what is there now",
                            request.name
                        ),
                        "Deploy a revision that is known to be good.",
                    )
                })?;
                Ok((
                    previous.revision.clone(),
                    environment.rollback.as_ref().unwrap_or(&environment.deploy),
                ))
            }
        }
    }

    fn run(
        &self,
        request: &DeployRequest<'_>,
        spec: &CommandSpec,
        revision: &str,
        release: &str,
        attempt: &Attempt<'_>,
    ) -> ToolResult<Released> {
        let mut own = self.own_variables(request.name, revision)?;
        own.push(("GUILDHALL_IDEMPOTENCY_KEY", attempt.key.into()));
        own.push((
            "GUILDHALL_FENCING_TOKEN",
            request.fencing_token.to_string().into(),
        ));
        if let Some(current) = &self.record.current {
            own.push(("GUILDHALL_PREVIOUS_REVISION", current.revision.clone().into()));
        }
        if matches!(request.action, Action::Rollback) {
            own.push(("GUILDHALL_ROLLBACK", "1".into()));
        }
        let directory = self.directory.join("releases").join(release);
        let command = Launch::from(spec).command(&directory, &own, spec.timeout_s);
        attempt.recorded_step(
            "command",
            || {
                Ok(Released {
                    release: release.to_owned(),
                    outcome: commands::run(&command, request.stopping)?,
                })
            },
            |released| released.outcome.status.as_str().to_owned(),
            |released| released.outcome.status != Status::NotStarted,
        )
    }

    pub(super) fn own_variables(
        &self,
        name: &str,
        revision: &str,
    ) -> ToolResult<Vec<(&'static str, OsString)>> {
        Ok(vec![
            ("GUILDHALL_ENVIRONMENT", name.into()),
            ("GUILDHALL_REVISION", revision.into()),
            ("GUILDHALL_STATE_DIR", self.subdirectory("state")?.into()),
        ])
    }

    fn make_current(&mut self, deployment: Deployment, action: &Action) -> ToolResult<()> {
        match action {
            // The same revision once more is nothing that one could go back to.
            Action::Deploy(revision) if self.is_current(revision) => {}
            Action::Deploy(_) => self.record.history.extend(self.record.current.take()),
            Action::Rollback => drop(self.record.history.pop()),
        }
        let surplus = self.record.history.len().saturating_sub(HISTORY_MAX);
        self.record.history.drain(..surplus);
        self.record.current = Some(deployment);
        self.save()
    }

    fn start_service(
        &mut self,
        request: &DeployRequest<'_>,
        deployment: &Deployment,
        attempt: &Attempt<'_>,
        restart: bool,
    ) -> ToolResult<Option<ServiceStarted>> {
        let Some(configured) = &request.environment.service else {
            // The service of an earlier deployment has no place in this one.
            if let Some(old) = self.record.service.take() {
                attempt.step(
                    "service_stop",
                    || service::stop(&old, service::STOP_LIMIT),
                    |()| "stopped".into(),
                )?;
                self.save()?;
            }
            return Ok(None);
        };
        if !restart && let Some(running) = self.record.service.as_ref().filter(|record| record.is_running()) {
            return Ok(Some(ServiceStarted::already(running)));
        }
        self.restart_service(request.name, configured, deployment, attempt)
            .map(Some)
    }

    /// Removes releases that nothing can need any more. What cannot be removed is tried again next time.
    fn prune(&self) {
        let needed: BTreeSet<&str> = self
            .record
            .current
            .iter()
            .map(|deployment| deployment.release.as_str())
            .chain(self.record.service.iter().map(|service| service.release.as_str()))
            .collect();
        let Ok(releases) = fs::read_dir(self.directory.join("releases")) else {
            return;
        };
        for release in releases.flatten() {
            if !needed.contains(release.file_name().to_string_lossy().as_ref())
                && let Err(error) = remove_tree(&release.path())
            {
                tracing::warn!(path = %release.path().display(), %error, "cannot remove an old release");
            }
        }
    }
}

fn deployed(name: &str, deployment: &Deployment, service: Option<ServiceStarted>) -> Deployed {
    Deployed {
        environment: name.to_owned(),
        outcome: deployment.outcome.clone(),
        revision: deployment.revision.clone(),
        previous_revision: deployment.previous_revision.clone(),
        service,
    }
}
