//! What must hold of a run's history, whatever was killed on the way.

use anyhow::{Result, ensure};
use guildhall_tests::{Hall, RunView};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How the workspace writes down that a kill met a command before its end.
const INTERRUPTED: &str = "error:interrupted";

/// No deploy command ran for the run yet.
pub fn nothing_deployed(hall: &Hall, run_id: &str) -> Result<()> {
    let deployments = hall.repository.deployments()?;
    ensure!(
        !deployments.iter().any(|line| line.contains(run_id)),
        "deployed without approval: {deployments:?}"
    );
    let effects = hall.effects()?;
    let deployed = effects
        .iter()
        .find(|e| key(e).contains(run_id) && e["tool"] == "environment_deploy");
    ensure!(
        deployed.is_none(),
        "a deploy began without approval: {deployed:?}"
    );
    Ok(())
}

/// The journal has no gaps, no step completed twice or went on after it completed, no effect ran again after it was
/// done, and no lock is left.
pub async fn check(hall: &Hall, run_id: &str) -> Result<()> {
    journal(&hall.run(run_id).await?, &hall.journal(run_id).await?)?;
    effects(&hall.effects()?, run_id)?;
    let deployments = hall.repository.deployments()?;
    let keys: BTreeSet<_> = deployments.iter().filter(|line| line.contains(run_id)).collect();
    ensure!(keys.len() == 1, "one deployment under one key: {deployments:?}");
    let held = hall.held_deployment_locks().await?;
    ensure!(held.is_empty(), "locks left held: {held:?}");
    Ok(())
}

fn key(effect: &Value) -> &str {
    effect["key"].as_str().unwrap_or("")
}

/// The journal begins with the start and has no gaps.
pub fn gapless(entries: &[Value]) -> Result<()> {
    ensure!(
        entries
            .first()
            .is_some_and(|entry| entry["kind"] == "run_started"),
        "{entries:?}"
    );
    for (entry, position) in entries.iter().zip(1i64..) {
        ensure!(entry["position"] == position, "a gap before {entry}");
    }
    Ok(())
}

fn journal(run: &RunView, entries: &[Value]) -> Result<()> {
    gapless(entries)?;
    let mut completed = BTreeSet::new();
    for entry in entries {
        let step = entry["step"].as_str().unwrap_or("").to_string();
        match entry["data"]["event"].as_str().unwrap_or("") {
            "completed" => ensure!(completed.insert(step), "completed twice: {entry}"),
            "failed" => anyhow::bail!("a step failed: {entry}"),
            _ => {}
        }
    }
    let begun: Vec<String> = run.0["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|step| step["step"].as_str().unwrap_or("").to_string())
        .collect();
    ensure!(
        begun.len() == completed.len() && begun.iter().all(|step| completed.contains(step)),
        "begun {begun:?}, completed {completed:?}"
    );
    Ok(())
}

/// After a step of an effect has finished with an outcome, nothing begins under that key again. A command that the
/// workspace was told of being cut off (`error:interrupted`) has no outcome, exactly as one whose end nobody wrote down:
/// such a key is open, and the next attempt runs it to its end. No other error is expected here.
fn effects(effects: &[Value], run_id: &str) -> Result<()> {
    let mut finished: BTreeMap<(String, String), &Value> = BTreeMap::new();
    let mut seen = 0;
    for effect in effects.iter().filter(|effect| key(effect).contains(run_id)) {
        seen += 1;
        let what = (
            key(effect).to_string(),
            effect["step"].as_str().unwrap_or("").to_string(),
        );
        if let Some(earlier) = finished.get(&what)
            && effect["event"] == "started"
        {
            anyhow::bail!("ran again after it had finished: {earlier} then {effect}");
        }
        if effect["event"] == "finished" {
            let outcome = effect["outcome"].as_str().unwrap_or("");
            ensure!(
                outcome == INTERRUPTED || !outcome.starts_with("error:"),
                "an effect failed: {effect}"
            );
            if outcome != INTERRUPTED {
                finished.insert(what, effect);
            }
        }
    }
    ensure!(seen > 0, "the effects log says nothing of run {run_id}");
    Ok(())
}
