//! Faults: the main job with the whole runtime killed at seeded moments.
//!
//! `GUILDHALL_SEED` repeats a run; `GUILDHALL_KILLS` sets the number of kills (default 50).

mod documents;
mod history;

use anyhow::{Context, Result};
use guildhall_tests::{Hall, Pace};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{path::Path, time::Duration};

/// Kills per run: every run meets several, and still gets to its end in reasonable time.
const KILLS_PER_RUN: u32 = 5;

/// Whether the whole runtime goes, database included, or the host alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    Everything,
    HostOnly,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_is_lost_and_no_completed_step_repeated_when_the_host_is_killed() -> Result<()> {
    let seed = guildhall_testkit::seed();
    let kills: u32 = std::env::var("GUILDHALL_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(50);
    let mut rng = StdRng::seed_from_u64(seed);
    let service = Path::new(env!("CARGO_BIN_EXE_tiny-service"));
    let mut hall = Hall::start("strict", Pace::KILLABLE, service, &[]).await?;
    let rounds = kills.div_ceil(KILLS_PER_RUN);
    for round in 0..rounds {
        let branch = format!("change-{round}");
        hall.repository
            .branch(&branch, &[(&format!("note-{round}.txt"), "a note\n")])?;
        one_delivery(
            &mut hall,
            &branch,
            KILLS_PER_RUN.min(kills - round * KILLS_PER_RUN),
            &mut rng,
        )
        .await
        .with_context(|| format!("round {round} of seed {seed}"))?;
    }
    Ok(())
}

async fn one_delivery(hall: &mut Hall, branch: &str, kills: u32, rng: &mut StdRng) -> Result<()> {
    let run_id = hall
        .ask(&format!("review, test and deploy branch {branch} to production"))
        .await?;
    let before_approval = rng.random_range(0..=kills);
    for _ in 0..before_approval {
        kill_and_restart(hall, rng).await?;
    }
    let approval = hall.approval(&run_id).await?;
    history::nothing_deployed(hall, &run_id)?;
    for _ in 0..rng.random_range(0..=1u32.min(kills - before_approval)) {
        // The approval survives too.
        kill_and_restart(hall, rng).await?;
    }
    hall.approve(&approval).await?;
    for _ in before_approval..kills {
        kill_and_restart(hall, rng).await?;
    }
    let run = hall.ended(&run_id).await?;
    anyhow::ensure!(run.status() == "completed", "run {run_id} ended as {:#}", run.0);
    history::check(hall, &run_id).await
}

/// Waits a random moment of the job, kills, starts again.
async fn kill_and_restart(hall: &mut Hall, rng: &mut StdRng) -> Result<()> {
    let moment = Duration::from_millis(rng.random_range(0..900));
    let kill = if rng.random_bool(0.5) {
        Kill::Everything
    } else {
        Kill::HostOnly
    };
    println!("kill {kill:?} after {moment:?}");
    tokio::time::sleep(moment).await;
    tokio::task::block_in_place(|| {
        let process = hall.fleet.process();
        match kill {
            Kill::Everything => {
                process.kill();
            }
            Kill::HostOnly => process.kill_up_only(),
        }
        process.restart()
    })?;
    Ok(())
}
