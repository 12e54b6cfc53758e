//! The lock race: 16 workers in four processes fight for one lock over HTTP, with a critical section that is watched from
//! outside of Postgres. And the same with the exclusion taken out, which the referee must notice.
//!
//! `GUILDHALL_RACE_S` sets how long they fight (default 20 s).

mod referee;

use anyhow::{Context, Result, ensure};
use guildhall_testkit::{Fleet, postgres};
use referee::{Referee, Seen};
use std::time::Duration;
use tokio::process::Command;

const PROCESSES: u32 = 4;
const WORKERS: u32 = 4;

/// Lets everybody have everything: nothing stands in anybody's way.
const BROKEN: &str = "
    create or replace function guildhall.lock_blockers(
        p_resource text, p_mode text, p_holder text, p_run_id uuid, p_priority smallint, p_ticket bigint, p_limit integer
    ) returns table (
        by_resource text, by_mode text, by_holder text, by_run_id uuid, by_expires_at timestamptz, by_ticket bigint)
    language plpgsql stable set search_path = '' as $$ begin return; end $$;";

async fn race(fleet: &Fleet, resource: &str, duration: Duration) -> Result<Seen> {
    let referee = Referee::start().await?;
    let mut processes = Vec::new();
    for number in 0..PROCESSES {
        let process = Command::new(env!("CARGO_BIN_EXE_lock-racer"))
            .arg(fleet.url())
            .arg(resource)
            .arg(referee.address.to_string())
            .arg(format!("process-{number}"))
            .arg(WORKERS.to_string())
            .arg(duration.as_millis().to_string())
            .env("GUILDHALL_TOKEN", &fleet.credentials().admin_token)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a racer")?;
        processes.push(process);
    }
    for mut process in processes {
        let status = process.wait().await?;
        ensure!(status.success(), "a racer ended with {status}");
    }
    Ok(referee.seen())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lock_excludes_and_the_race_notices_when_it_does_not() -> Result<()> {
    let seconds = std::env::var("GUILDHALL_RACE_S")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    let fleet = Fleet::start(|options| options.with("--mode", "hardened")).await?;

    let seen = race(&fleet, "race%3Afair", Duration::from_secs(seconds)).await?;
    println!(
        "{} entries in {seconds} s, {} overlaps, by racer {:?}",
        seen.entries,
        seen.overlaps,
        seen.racers.values().collect::<Vec<_>>()
    );
    ensure!(seen.overlaps == 0, "two were inside: {seen:?}");
    ensure!(seen.not_risen == 0, "a token did not rise: {seen:?}");
    ensure!(
        seen.racers.len() == (PROCESSES * WORKERS) as usize,
        "somebody never had the lock: {seen:?}"
    );

    // The queue in order: nobody was inside much less often than another.
    let (least, most) = (
        seen.racers.values().min().copied().unwrap_or(0),
        seen.racers.values().max().copied().unwrap_or(0),
    );
    ensure!(
        most - least <= 2 + most / 10,
        "the queue is not fair: {least} to {most}"
    );

    let config = fleet
        .credentials()
        .database
        .parse()
        .context("the database's address")?;
    let client = postgres::connect(&config).await?;
    client.batch_execute(BROKEN).await?;
    client
        .batch_execute(
            "create or replace function guildhall.lock_held_by(
                 p_resource text, p_mode text, p_holder text, p_run_id uuid, p_now timestamptz
             ) returns jsonb language plpgsql stable set search_path = '' as $$ begin return null; end $$;",
        )
        .await?;
    let seen = race(&fleet, "race%3Abroken", Duration::from_secs(4)).await?;
    println!(
        "without exclusion: {} entries, {} overlaps",
        seen.entries, seen.overlaps
    );
    ensure!(
        seen.overlaps > 0,
        "the race does not notice a lock that excludes nobody: {seen:?}"
    );
    Ok(())
}
