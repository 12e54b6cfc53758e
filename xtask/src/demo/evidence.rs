//! What the demo proves, from what really happened: git, the deployed service, the logs of effects and deployments.

use super::repository::Repository;
use super::tell;
use anyhow::Context;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that was looked at, and whether it held.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    points: Vec<(bool, String)>,
}

impl Proof {
    /// Notes a point.
    pub fn that(&mut self, held: bool, point: &str) {
        self.points.push((held, point.to_string()));
    }

    /// Whether every point held, and there was one.
    pub fn held(&self) -> bool {
        !self.points.is_empty() && self.points.iter().all(|(held, _)| *held)
    }

    /// The points in order.
    pub fn points(&self) -> &[(bool, String)] {
        &self.points
    }
}

/// The steps that are completed, as JSON pointers.
pub fn completed_steps(run: &Value) -> Vec<String> {
    let done = tell::steps(run)
        .into_iter()
        .filter(|step| step["status"] == "completed");
    done.filter_map(|step| step["step"].as_str().map(str::to_string))
        .collect()
}

fn result_of<'a>(run: &'a Value, name: &str) -> &'a Value {
    let steps = run["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    steps
        .iter()
        .find(|step| tell::name_of(step) == name)
        .map_or(&Value::Null, |step| &step["result"])
}

/// A delivery did all that it says.
pub fn delivered(proof: &mut Proof, run: &Value, repository: &Repository) -> anyhow::Result<()> {
    let title = run["title"].as_str().unwrap_or("the run");
    proof.that(run["status"] == "completed", &format!("completed: {title}"));
    let pointers = completed_steps(run);
    let steps: Vec<&str> = pointers.iter().map(|pointer| tell::last_part(pointer)).collect();
    proof.that(
        ["review", "test", "approve", "deploy", "document"]
            .iter()
            .all(|wanted| steps.contains(wanted)),
        &format!("each step has a result: {}", steps.join(", ")),
    );
    let check = &result_of(run, "test")["checks"][0];
    proof.that(
        check["exit_code"] == 0
            && check["output_tail"]
                .as_str()
                .is_some_and(|tail| tail.contains("test result: ok")),
        "the repository's own tests ran and passed",
    );
    let deploy = result_of(run, "deploy");
    let revision = deploy["revision"].as_str().unwrap_or_default();
    let merged = repository
        .git(&["merge-base", "--is-ancestor", revision, "main"])
        .is_ok();
    proof.that(!revision.is_empty() && merged, "the change is merged into main");
    let deployments = repository.deployments()?;
    let lines = deployments
        .iter()
        .filter(|line| !revision.is_empty() && line.contains(revision))
        .count();
    proof.that(
        lines == 1,
        &format!("the deployments log has {lines} line for that revision, and should have one"),
    );
    proof.that(
        health(repository.port) == Some(200),
        "the deployed service answers its health check",
    );
    let document = result_of(run, "document");
    let branch = document["branch"].as_str().unwrap_or_default();
    let entry = repository
        .git(&["show", &format!("{branch}:CHANGELOG.md")])
        .unwrap_or_default();
    proof.that(
        entry.lines().count() > 3,
        &format!("the change log on branch {branch} has an entry"),
    );
    Ok(())
}

/// The review says where and what the leaked credential is, and does not repeat it.
pub fn leak_is_described(proof: &mut Proof, run: &Value) {
    let findings = result_of(run, "review")["findings"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let filled = |finding: &Value, name: &str| finding[name].as_str().is_some_and(|text| !text.is_empty());
    let described = findings.iter().any(|finding| {
        let words = ["severity", "rule", "suggestion"]
            .iter()
            .all(|name| filled(finding, name));
        finding["file"] == "src/storage.rs" && finding["line"].is_u64() && words
    });
    proof.that(
        described,
        "the finding names file, line, severity, rule and suggestion",
    );
    let repeated = run.to_string().contains(&super::repository::fake_key());
    proof.that(
        !repeated,
        "the credential itself is not repeated anywhere in the run",
    );
}

/// Nobody holds a lock.
pub fn locks_are_free(proof: &mut Proof, locks: &Value) {
    let items = locks["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let taken = items
        .iter()
        .any(|lock| lock["fencing_token"].as_i64().is_some_and(|token| token > 0));
    let held: Vec<&str> = items
        .iter()
        .filter(|lock| !lock["holder"].is_null())
        .filter_map(|lock| lock["resource"].as_str())
        .collect();
    proof.that(
        taken && held.is_empty(),
        "the deployment lock was taken and is free again",
    );
}

/// Steps completed before the kill have one completion in the journal, and each of their effects began once.
pub fn nothing_ran_twice(
    proof: &mut Proof,
    run: &Value,
    completed: &[String],
    journal: &Value,
    state_dir: &Path,
) -> anyhow::Result<()> {
    let mut completions: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in journal
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["kind"] == "event" && entry["data"]["event"] == "completed")
    {
        *completions
            .entry(entry["step"].as_str().unwrap_or_default())
            .or_default() += 1;
    }
    proof.that(
        completions.len() >= 5 && completions.values().all(|count| *count == 1),
        "the journal has one completion for each step",
    );
    let run_id = run["id"].as_str().context("the run has no id")?;
    let effects = effects(state_dir)?;
    let own: Vec<&Value> = effects
        .iter()
        .filter(|effect| effect["key"].as_str().is_some_and(|key| key.starts_with(run_id)))
        .collect();
    proof.that(
        !own.is_empty(),
        &format!("the workspace's log tells of {} moments of this run", own.len()),
    );
    for step in completed {
        let key = format!("{run_id}{step}");
        let of_step = own.iter().filter(|effect| {
            let rest = effect["key"].as_str().and_then(|full| full.strip_prefix(&key));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let mut per_effect: BTreeMap<String, usize> = BTreeMap::new();
        for effect in of_step.filter(|effect| effect["event"] == "started") {
            *per_effect
                .entry(format!("{} {}", effect["key"], effect["step"]))
                .or_default() += 1;
        }
        proof.that(
            per_effect.values().all(|count| *count == 1),
            &format!(
                "{}, completed before the kill, did not run again ({} effects, each begun once)",
                tell::last_part(step),
                per_effect.len()
            ),
        );
    }
    Ok(())
}

fn effects(state_dir: &Path) -> anyhow::Result<Vec<Value>> {
    let mut logs = Vec::new();
    find(&state_dir.join("workspace"), "effects.log", &mut logs);
    let mut effects = Vec::new();
    for log in logs {
        let text = std::fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
        // A line that a kill cut short says nothing; the durable record is beside it.
        effects.extend(
            text.lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok()),
        );
    }
    Ok(effects)
}

fn find(dir: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        match path.is_dir() && !path.is_symlink() {
            true => find(&path, name, found),
            false if path.file_name().is_some_and(|own| own == name) => found.push(path),
            false => {}
        }
    }
}

/// Everything that was started has ended.
pub fn nothing_left(proof: &mut Proof, processes: &[u32], port: Option<u16>) {
    let alive = processes
        .iter()
        .filter(|pid| guildhall_provision::os::is_alive(**pid))
        .count();
    let service = port.is_some_and(|port| health(port).is_some());
    proof.that(
        alive == 0 && !service,
        "everything that was started has been stopped",
    );
}

/// The HTTP status of the service's health check; `None` when nothing answers.
fn health(port: u16) -> Option<u16> {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_points_prove_nothing() {
        let mut proof = Proof::default();
        assert!(!proof.held());
        proof.that(true, "a");
        assert!(proof.held());
        proof.that(false, "b");
        assert!(!proof.held());
    }

    #[test]
    fn a_repeated_effect_of_a_completed_step_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("workspace/x")).unwrap();
        let started = |key: &str| json!({"key": key, "step": "command", "event": "started"}).to_string();
        let run = json!({"id": "r1"});
        let journal: Vec<Value> = (0..5)
            .map(|n| {
                let data = json!({"event": "completed", "seq": n + 1, "output": {}});
                json!({"kind": "event", "step": format!("/do/{n}/s{n}"), "data": data})
            })
            .collect();
        let look = |lines: &[String]| {
            std::fs::write(dir.path().join("workspace/x/effects.log"), lines.join("\n")).unwrap();
            let mut proof = Proof::default();
            nothing_ran_twice(
                &mut proof,
                &run,
                &["/do/1/test".into()],
                &json!(journal),
                dir.path(),
            )
            .unwrap();
            proof.held()
        };
        assert!(look(&[
            started("r1/do/1/test"),
            started("r1/do/3/deploy"),
            started("r1/do/3/deploy"),
            started("r2/do/1/test")
        ]));
        assert!(!look(&[started("r1/do/1/test/x"), started("r1/do/1/test/x")]));
        assert!(!look(&[]), "an empty log proves nothing");
    }
}
