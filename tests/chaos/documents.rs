//! A document with everything that waits, with the whole runtime killed at seeded moments.
//!
//! `GUILDHALL_SEED` repeats a run; `GUILDHALL_DOCUMENT_KILLS` sets the number of kills (default 12).

use crate::{history, kill_and_restart};
use anyhow::{Context, Result, ensure};
use guildhall_tests::{Hall, Pace};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::path::Path;

const KILLS_PER_RUN: u32 = 4;

/// Each commit goes to a branch of the run's own, in any order of branches and children.
const CHILD: &str = "document: {dsl: 1.0.3, namespace: chaos, name: commit, version: 1.0.0}
do:
- rest: {wait: {milliseconds: 300}}
- commit:
    call: agent
    with:
      skill: apply_change
      attempts: 50
      timeout: {minutes: 10}
      input:
        branch: '${ .branch }'
        base: main
        message: '${ \"Write \" + .file }'
        files: ['${ {path: .file, content: (.file + \"\\n\")} }']
    output: {as: '${ .branch }'}
";

const PARENT: &str = "document: {dsl: 1.0.3, namespace: chaos, name: everything, version: 1.0.0}
use:
  functions:
    commit:
      run: {workflow: {namespace: chaos, name: commit, version: latest, input: '${ . }'}}
do:
- each:
    for: {each: n, in: '${ [1, 2] }'}
    do:
    - one: {call: commit, with: {branch: '${ $workflow.input.branch }', file: '${ \"each-\\($n).txt\" }'}}
- alone:
    metadata: {locks: ['${ \"chaos:\" + $workflow.input.branch }']}
    do:
    - rest: {wait: {seconds: 1}}
    - both:
        fork:
          branches:
          - left: {call: commit, with: {branch: '${ $workflow.input.branch + \"-left\" }', file: left.txt}}
          - right: {call: commit, with: {branch: '${ $workflow.input.branch + \"-right\" }', file: right.txt}}
- hear: {listen: {to: {one: {with: {type: chaos.go}}}}}
- again:
    try:
    - tried:
        call: agent
        with: {skill: run_checks, attempts: 50, input: {revision: '${ $workflow.input.broken }'}}
    - judge: {if: '${ .status != \"passed\" }', raise: {error: {type: 'https://chaos.example/failed', status: 500}}}
    catch:
      errors: {with: {type: 'https://chaos.example/failed'}}
      retry: {delay: {milliseconds: 200}, limit: {attempt: {count: 2}}}
      do:
      - caught: {set: {caught: true}}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_ends_as_if_nothing_had_been_killed() -> Result<()> {
    let seed = guildhall_testkit::seed();
    let kills: u32 = std::env::var("GUILDHALL_DOCUMENT_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(12);
    let mut rng = StdRng::seed_from_u64(seed);
    let service = Path::new(env!("CARGO_BIN_EXE_tiny-service"));
    let mut hall = Hall::start("strict", Pace::KILLABLE, service, &[]).await?;
    let reply = hall
        .requester
        .post("/v1/workflows", &json!({ "definition": CHILD }))
        .await?;
    ensure!(reply.status == 201, "{}", reply.text());
    for round in 0..kills.div_ceil(KILLS_PER_RUN) {
        let kills = KILLS_PER_RUN.min(kills - round * KILLS_PER_RUN);
        one_run(&mut hall, &format!("chaos-{round}"), kills, &mut rng)
            .await
            .with_context(|| format!("round {round} of seed {seed}"))?;
    }
    Ok(())
}

async fn one_run(hall: &mut Hall, branch: &str, kills: u32, rng: &mut StdRng) -> Result<()> {
    let broken = hall.repository.git(&["rev-parse", "broken-test"])?;
    let input = json!({ "branch": branch, "broken": broken });
    let body = json!({ "definition": PARENT, "input": input });
    let reply = hall.requester.post("/v1/runs", &body).await?;
    ensure!(reply.status == 201, "{}", reply.text());
    let id = reply.json()["id"].as_str().context("an id")?.to_owned();
    let before = rng.random_range(0..=kills);
    for _ in 0..before {
        kill_and_restart(hall, rng).await?;
    }
    // A signal is for a run that listens; one that comes before is not kept.
    let committed = |run: &guildhall_tests::RunView| {
        let done = |name: &str| run.step(name).is_some_and(|step| step["status"] == "completed");
        done("left") && done("right") && run.status() == "waiting"
    };
    hall.until(&id, "done with its branches", committed).await?;
    let held = hall
        .fleet
        .admin()
        .get(&format!("/v1/locks/chaos%3A{branch}"))
        .await?
        .json();
    ensure!(held["holder"].is_null(), "the lock is still held: {held:#}");
    let signal = json!({ "type": "chaos.go" });
    let told = hall
        .requester
        .post(&format!("/v1/runs/{id}/signal"), &signal)
        .await?;
    ensure!(told.status == 202, "{}", told.text());
    for _ in before..kills {
        kill_and_restart(hall, rng).await?;
    }
    let run = hall.ended(&id).await?;
    ensure!(
        run.status() == "completed" && run.0["output"] == json!({ "caught": true }),
        "run {id} ended as {:#}",
        run.0
    );
    for (name, files) in [
        (branch.to_owned(), &["each-1.txt", "each-2.txt"][..]),
        (format!("{branch}-left"), &["left.txt"]),
        (format!("{branch}-right"), &["right.txt"]),
    ] {
        let log = hall
            .repository
            .git(&["log", "--reverse", "--format=%s", &format!("main..{name}")])?;
        let wanted: Vec<String> = files.iter().map(|file| format!("Write {file}")).collect();
        ensure!(
            log.lines().collect::<Vec<_>>() == wanted,
            "{name} has the commits {log:?}, not {wanted:?}"
        );
    }
    history::gapless(&hall.journal(&id).await?)?;
    let tried: Vec<Value> = run.0["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|step| step["name"] == "tried")
        .cloned()
        .collect();
    ensure!(tried.len() == 2, "two attempts: {tried:#?}");
    Ok(())
}
