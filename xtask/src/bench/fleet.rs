//! Fleets of the bench's own: `guildhall up` in a throw-away directory, with a repository to review.

use super::{
    args::HostMode,
    cases::{AGENT, Site},
    floor_sql,
    http::{Connection, Target},
    repository,
};
use crate::cargo;
use anyhow::{Context, anyhow, bail};
use guildhall_provision::fleet::{Fleet as Up, FleetOptions};
use hyper::Method;
use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a fleet may take to start: there is no cache, so every component is compiled first.
const START_LIMIT: Duration = Duration::from_secs(300);

/// How long its agents may then take to register.
const AGENTS_LIMIT: Duration = Duration::from_secs(30);

/// The database that no fleet works on, for the floors in SQL.
const FLOOR_DATABASE: &str = "guildhall_floor";

/// A running fleet. Dropped, it is stopped and removed.
pub struct Fleet {
    /// What to measure.
    pub site: Site,
    // In this order: the directory is removed when nothing writes into it any more.
    _up: Up,
    _dir: tempfile::TempDir,
}

/// Refuses to work where `guildhall up` would take a database or Redis from the environment: those belong to somebody.
pub fn check_environment(is_set: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    for name in ["GUILDHALL_DATABASE_URL", "GUILDHALL_REDIS_URL"] {
        if is_set(name) {
            bail!(
                "{name} is set, and the bench's own fleets must not use what it names: unset it, or measure a fleet \
                 that already runs by --url"
            );
        }
    }
    Ok(())
}

impl Fleet {
    /// Starts `program` in `mode` with everything fresh, and waits until its agents are there. Its Postgres forces
    /// every commit to disk, as that of any fleet.
    pub async fn start(program: &Path, mode: HostMode) -> anyhow::Result<Self> {
        // As root the database runs as another user, who has to pass through.
        let dir = tempfile::Builder::new()
            .prefix("guildhall-bench-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .context("cannot make a directory")?;
        let repository = dir.path().join("repository");
        repository::make(&repository)?;
        let mut options = FleetOptions::new(program, dir.path().join("state"), cargo::root())
            .with("--mode", mode.name())
            .with("--repo", repository.to_string_lossy());
        options.ready_within = START_LIMIT;
        let up = tokio::task::spawn_blocking(move || Up::start(options)).await??;
        let credentials = up.credentials()?;
        let floor = make_floor(program, &credentials.database).await?;
        let target = Target::new(up.url(), Some(credentials.admin_token)).map_err(|error| anyhow!(error))?;
        let target = Arc::new(target);
        wait_for_agents(&target).await?;
        let site = Site {
            target,
            floor_database: Some(floor),
            floor_is_live: false,
            database: Some(credentials.database),
            pid: Some(up.pid()),
            message: repository::MESSAGE.into(),
            salt: format!("{}-{}", std::process::id(), mode.name()),
        };
        Ok(Fleet {
            site,
            _up: up,
            _dir: dir,
        })
    }
}

/// Makes a second database beside the fleet's own, given as key=value words; gives the words for it.
async fn make_floor(program: &Path, database: &str) -> anyhow::Result<String> {
    let client = floor_sql::connect(database).await?;
    client
        .batch_execute(&format!("create database {FLOOR_DATABASE}"))
        .await
        .context("cannot make the floor's database")?;
    // The last of several equal keys wins.
    let floor = format!("{database} dbname={FLOOR_DATABASE}");
    let output = Command::new(program)
        .args(["migrate", "--database-url", &floor])
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        bail!(
            "cannot migrate the floor's database: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(floor)
}

async fn wait_for_agents(target: &Arc<Target>) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut connection = Connection::new(target.clone());
    loop {
        let reason = match connection
            .send_ok(Method::GET, &format!("/v1/agents/{AGENT}"), None)
            .await
        {
            Ok(agent) => match agent.json().map_err(|error| anyhow!(error))?["status"].as_str() {
                Some("active") => return Ok(()),
                status => format!("the agent {AGENT} is {}", status.unwrap_or("without a status")),
            },
            Err(error) => error,
        };
        if began.elapsed() > AGENTS_LIMIT {
            bail!(
                "no agent has registered after {} s: {reason}",
                AGENTS_LIMIT.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_elses_database_is_never_touched() {
        check_environment(|_| false).unwrap();
        for name in ["GUILDHALL_DATABASE_URL", "GUILDHALL_REDIS_URL"] {
            let error = check_environment(|asked| asked == name).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("--url"), "{error}");
        }
    }
}
