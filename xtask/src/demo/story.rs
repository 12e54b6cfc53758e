//! The story: a change is delivered, two bad ones are stopped, and a run survives the death of everything.

use super::guildhall::{APPROVER, REQUESTER, Who};
use super::repository::Repository;
use super::{Scene, evidence};
use anyhow::{Context, bail};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long any one run may take before the demo gives up on it.
const PATIENCE: Duration = Duration::from_secs(180);

/// Plays all of it.
pub fn play(scene: &mut Scene, repository: &Repository) -> anyhow::Result<()> {
    deliver(scene, repository)?;
    stop_bad_changes(scene, repository)?;
    survive(scene, repository)
}

fn deliver(scene: &mut Scene, repository: &Repository) -> anyhow::Result<()> {
    scene
        .teller
        .chapter("A good change is reviewed, tested, approved, deployed and documented");
    let base = repository.git(&["rev-parse", "main"])?;
    let run_id = ask(scene, "review, test and deploy branch good-change")?;
    let approval = approval_of(scene, &run_id)?;
    let untouched = repository.git(&["rev-parse", "main"])? == base && repository.deployments()?.is_empty();
    scene
        .proof
        .that(untouched, "nothing was merged or deployed before the approval");
    refuse_own_approval(scene, &approval)?;
    approve(scene, &approval)?;
    let run = ended(scene, &run_id)?;
    scene.teller.timeline(&run);
    evidence::delivered(&mut scene.proof, &run, repository)?;
    let locks = scene.guildhall.json(Who::Admin, &["locks", "list"])?;
    evidence::locks_are_free(&mut scene.proof, &locks);
    Ok(())
}

/// The requester's token may decide approvals in general; this one it may not.
fn refuse_own_approval(scene: &mut Scene, approval: &str) -> anyhow::Result<()> {
    let refusal = scene
        .guildhall
        .refusal(Who::Requester, &["approvals", "approve", approval])?;
    let refused = refusal.is_some_and(|said| said.contains("not_eligible"));
    scene.proof.that(
        refused,
        &format!("{REQUESTER}, who asked for it, was refused as approver"),
    );
    Ok(())
}

fn stop_bad_changes(scene: &mut Scene, repository: &Repository) -> anyhow::Result<()> {
    scene.teller.chapter("Two bad changes are stopped");
    let before = repository.deployments()?.len();
    for (branch, code, step) in [
        ("leaked-credential", "review_blocked", "review"),
        ("broken-test", "checks_failed", "test"),
    ] {
        let run_id = ask(scene, &format!("review, test and deploy branch {branch}"))?;
        let run = ended(scene, &run_id)?;
        scene.teller.timeline(&run);
        let last = super::tell::steps(&run)
            .last()
            .map(|step| super::tell::name_of(step).to_string());
        let stopped =
            run["status"] == "faulted" && run["error"]["code"] == code && last.as_deref() == Some(step);
        scene
            .proof
            .that(stopped, &format!("{branch} was stopped at {step} ({code})"));
        if step == "review" {
            evidence::leak_is_described(&mut scene.proof, &run);
        }
    }
    scene.proof.that(
        repository.deployments()?.len() == before,
        "neither of them was deployed",
    );
    Ok(())
}

fn survive(scene: &mut Scene, repository: &Repository) -> anyhow::Result<()> {
    scene
        .teller
        .chapter("A second good change, and the whole runtime is killed in the middle of it");
    let run_id = ask(scene, "review, test and deploy branch second-good-change")?;
    let approval = approval_of(scene, &run_id)?;
    approve(scene, &approval)?;
    let at_kill = until(scene, &run_id, "deploying", |run| {
        super::tell::steps(run)
            .iter()
            .any(|step| super::tell::name_of(step) == "deploy" && step["status"] == "running")
    })?;
    let completed = evidence::completed_steps(&at_kill);
    let killed = scene.fleet.kill();
    scene.teller.say(&format!(
        "SIGKILL to all {killed} processes of the runtime, database included; completed until then: {}",
        completed
            .iter()
            .map(|pointer| super::tell::last_part(pointer))
            .collect::<Vec<_>>()
            .join(", ")
    ));
    let begun = Instant::now();
    scene.fleet.restart()?;
    scene.teller.say(&format!(
        "started again, ready after {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    let run = ended(scene, &run_id)?;
    scene.teller.timeline(&run);
    scene.proof.that(
        !completed.is_empty() && at_kill["status"] != "completed",
        "the kill met the run in the middle",
    );
    evidence::delivered(&mut scene.proof, &run, repository)?;
    let journal = scene
        .guildhall
        .json(Who::Requester, &["runs", "show", &run_id, "--journal"])?;
    evidence::nothing_ran_twice(
        &mut scene.proof,
        &run,
        &completed,
        &journal["journal"],
        &scene.dir.join("state"),
    )?;
    let locks = scene.guildhall.json(Who::Admin, &["locks", "list"])?;
    evidence::locks_are_free(&mut scene.proof, &locks);
    Ok(())
}

/// Says something to the orchestrator as the requester; gives the run that it started.
pub fn ask(scene: &mut Scene, message: &str) -> anyhow::Result<String> {
    scene
        .teller
        .command(REQUESTER, &format!("guildhall chat \"{message}\""));
    let answer = scene.guildhall.json(Who::Requester, &["chat", message])?;
    let run = answer["run_id"].as_str().with_context(|| {
        format!(
            "no run was started: {}",
            answer["message"]
                .as_str()
                .unwrap_or("the orchestrator said nothing")
        )
    })?;
    let plan: Vec<&str> = answer["plan"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|step| step["step"].as_str())
        .collect();
    let planner = &answer["planner"];
    let reason = planner["reason"]
        .as_str()
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    scene.teller.say(&format!("run {run}: {}", plan.join(" → ")));
    scene.teller.say(&format!(
        "planner: {}{reason}; risk: {}",
        planner["kind"].as_str().unwrap_or("unknown"),
        answer["risk"]["tier"].as_str().unwrap_or("unknown")
    ));
    Ok(run.to_string())
}

/// Waits until the run asks a person, and gives the approval's id.
pub fn approval_of(scene: &mut Scene, run_id: &str) -> anyhow::Result<String> {
    until(scene, run_id, "waiting for an approval", |run| {
        super::tell::steps(run)
            .iter()
            .any(|step| step["skill"] == "approval" && step["status"] == "waiting")
    })?;
    let list = scene.guildhall.json(Who::Approver, &["approvals", "list"])?;
    let mut waiting = list["items"].as_array().into_iter().flatten();
    let approval = waiting.find(|approval| approval["run_id"] == run_id);
    let id = approval.and_then(|approval| approval["id"].as_str());
    Ok(id
        .context("the run waits for an approval that is in no list")?
        .to_string())
}

/// Approves as the other person.
pub fn approve(scene: &mut Scene, approval: &str) -> anyhow::Result<()> {
    let args = ["approvals", "approve", approval, "--reason", "looked at the diff"];
    scene.teller.command(
        APPROVER,
        &format!("guildhall approvals approve {approval} --reason \"looked at the diff\""),
    );
    let said = scene.guildhall.text(Who::Approver, &args)?;
    scene.teller.say(&said);
    Ok(())
}

/// Waits until the run has ended.
pub fn ended(scene: &mut Scene, run_id: &str) -> anyhow::Result<Value> {
    until(scene, run_id, "at its end", is_terminal)
}

fn is_terminal(run: &Value) -> bool {
    ["completed", "faulted", "cancelled"]
        .iter()
        .any(|status| run["status"] == *status)
}

fn until(
    scene: &mut Scene,
    run_id: &str,
    what: &str,
    ready: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let begun = Instant::now();
    loop {
        let run = scene.guildhall.json(Who::Requester, &["runs", "show", run_id])?["run"].clone();
        scene.teller.news(&run);
        if ready(&run) {
            return Ok(run);
        }
        if is_terminal(&run) || begun.elapsed() > PATIENCE {
            scene.teller.timeline(&run);
            bail!(
                "run {run_id} never was {what}; it is {}: {}",
                run["status"],
                run["error"]
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
