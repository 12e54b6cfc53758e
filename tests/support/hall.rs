//! A running fleet with a repository, a requester and an approver.

use crate::repository::{Pace, Repository};
use anyhow::{Context, Result, bail, ensure};
use guildhall_testkit::{Client, Fleet, janitor::Janitor};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// How long any one run may take before a test gives up on it. No test asserts less; this only ends a hang.
const PATIENCE: Duration = Duration::from_secs(180);

/// A fleet, its repository, and people.
pub struct Hall {
    /// The fleet; dropped first.
    pub fleet: Fleet,
    /// Asks for things.
    pub requester: Client,
    /// Another person, who decides.
    pub approver: Client,
    /// What the fleet works on.
    pub repository: Repository,
    _dir: Janitor,
}

/// A run as the API shows it.
#[derive(Clone, Debug)]
pub struct RunView(pub Value);

impl RunView {
    /// `completed`, `faulted`, …
    pub fn status(&self) -> &str {
        self.0["status"].as_str().unwrap_or("")
    }

    /// The fault's code, or the empty string.
    pub fn fault(&self) -> &str {
        self.0["error"]["code"].as_str().unwrap_or("")
    }

    /// Whether nothing more will happen.
    pub fn ended(&self) -> bool {
        ["completed", "faulted", "cancelled"].contains(&self.status())
    }

    /// The latest step of this name.
    pub fn step(&self, name: &str) -> Option<&Value> {
        self.0["steps"]
            .as_array()?
            .iter()
            .rfind(|step| step["name"] == name)
    }

    /// Names of the steps begun, in order.
    pub fn steps(&self) -> Vec<&str> {
        let steps = self.0["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
        steps.iter().filter_map(|step| step["name"].as_str()).collect()
    }
}

impl Hall {
    /// Starts a fleet in `mode` over a fresh repository; `args` are further arguments of `guildhall up`, or environment
    /// variables where a name does not begin with `--`.
    pub async fn start(mode: &str, pace: Pace, service_binary: &Path, args: &[(&str, &str)]) -> Result<Hall> {
        let dir = Janitor::new("guildhall-hall-")?;
        let repository = Repository::create(dir.dir(), service_binary, pace)?;
        let path = repository.path.display().to_string();
        let fleet = Fleet::start(|options| {
            let options = options.with("--mode", mode).with("--repo", path);
            args.iter()
                .fold(options, |options, (name, value)| match name.starts_with("--") {
                    true => options.with(name, *value),
                    false => options.env(name, *value),
                })
        })
        .await?;
        let requester = fleet.client(
            "rea",
            "person",
            &[
                "chat",
                "runs:read",
                "runs:write",
                "approvals:read",
                "approvals:decide",
            ],
        );
        let requester = requester.await?;
        let approver = fleet
            .client(
                "ada",
                "person",
                &["runs:read", "approvals:read", "approvals:decide"],
            )
            .await?;
        Ok(Hall {
            fleet,
            requester,
            approver,
            repository,
            _dir: dir,
        })
    }

    /// A new token with every scope, in clear.
    pub async fn admin_token(&self, principal: &str) -> Result<String> {
        let body = json!({"principal": principal, "kind": "service", "scopes": ["admin"], "ttl_s": 3600});
        let reply = self.fleet.admin().post("/v1/tokens", &body).await?;
        let token = reply.json()["token"].as_str().map(str::to_string);
        token.with_context(|| format!("cannot make a token: {} {}", reply.status, reply.text()))
    }

    /// Says `message` and gives the id of the run that it started.
    pub async fn ask(&self, message: &str) -> Result<String> {
        let reply = self
            .requester
            .post("/chat", &json!({ "message": message }))
            .await?;
        let body = reply.json();
        let run = body["run_id"].as_str().map(str::to_string);
        run.with_context(|| format!("{message:?} started no run: {} {}", reply.status, reply.text()))
    }

    /// Reads a run.
    pub async fn run(&self, id: &str) -> Result<RunView> {
        let reply = self.requester.get(&format!("/v1/runs/{id}")).await?;
        ensure!(reply.status == 200, "run {id}: {} {}", reply.status, reply.text());
        Ok(RunView(reply.json()))
    }

    /// Reads a run's whole journal.
    pub async fn journal(&self, id: &str) -> Result<Vec<Value>> {
        let reply = self
            .requester
            .get(&format!("/v1/runs/{id}/journal?limit=200"))
            .await?;
        ensure!(
            reply.status == 200,
            "journal of {id}: {} {}",
            reply.status,
            reply.text()
        );
        Ok(reply.json()["items"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until `ready` says so of the run; an ended run that is not ready is an error.
    pub async fn until(&self, id: &str, what: &str, ready: impl Fn(&RunView) -> bool) -> Result<RunView> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let run = self.run(id).await?;
            if ready(&run) {
                return Ok(run);
            }
            if run.ended() || Instant::now() > deadline {
                bail!("run {id} never was {what}: {:#}", run.0);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the run has ended.
    pub async fn ended(&self, id: &str) -> Result<RunView> {
        self.until(id, "at its end", RunView::ended).await
    }

    /// Waits for the run's approval and gives its id.
    pub async fn approval(&self, id: &str) -> Result<String> {
        let waiting = |run: &RunView| {
            run.step("approve")
                .is_some_and(|step| step["status"] == "waiting")
        };
        self.until(id, "waiting for an approval", waiting).await?;
        let reply = self.approver.get("/v1/approvals?state=pending&limit=200").await?;
        let body = reply.json();
        let items = body["items"].as_array().cloned().unwrap_or_default();
        let mine = items.iter().find(|approval| approval["run_id"] == *id);
        let approval = mine.and_then(|approval| approval["id"].as_str());
        Ok(approval
            .with_context(|| format!("no pending approval of run {id}: {}", reply.text()))?
            .to_string())
    }

    /// Approves as the other person.
    pub async fn approve(&self, approval: &str) -> Result<()> {
        let body = json!({ "reason": "looks right" });
        let reply = self
            .approver
            .post(&format!("/v1/approvals/{approval}/approve"), &body)
            .await?;
        ensure!(reply.status == 200, "approve: {} {}", reply.status, reply.text());
        Ok(())
    }

    /// The deployment locks that somebody holds now.
    pub async fn held_deployment_locks(&self) -> Result<Vec<Value>> {
        let reply = self.fleet.admin().get("/v1/locks?state=held&limit=200").await?;
        ensure!(reply.status == 200, "locks: {} {}", reply.status, reply.text());
        let items = reply.json()["items"].as_array().cloned().unwrap_or_default();
        Ok(items
            .into_iter()
            .filter(|lock| !lock["holder"].is_null())
            .filter(|lock| {
                lock["resource"]
                    .as_str()
                    .is_some_and(|name| name.starts_with("deployment:"))
            })
            .collect())
    }

    /// The workspace's record of what it did, one object per line.
    pub fn effects(&self) -> Result<Vec<Value>> {
        let mut logs = Vec::new();
        find(self.fleet.state_dir(), "effects.log", &mut logs)?;
        let mut effects = Vec::new();
        for log in logs {
            for line in std::fs::read_to_string(&log)?.lines() {
                // A line that a kill cut short says nothing; the durable record is beside it.
                effects.extend(serde_json::from_str::<Value>(line).ok());
            }
        }
        Ok(effects)
    }
}

fn find(dir: &Path, name: &str, found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            // Postgres keeps its files to itself; what cannot be read holds no log of ours.
            let _ = find(&path, name, found);
        } else if path.file_name().is_some_and(|n| n == name) {
            found.push(path);
        }
    }
    Ok(())
}
