//! What a fleet costs that nobody asks anything.

use super::{
    cases::{Outcome, Site},
    floor_sql::connect,
    load::{Plan, Sample},
};
use anyhow::{Context, anyhow};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long it is left alone; much is done only every 10 s.
const LENGTH: Duration = Duration::from_secs(20);
/// How long what the last case left behind may take to end and to be counted.
const SETTLING: Duration = Duration::from_secs(12);
/// Clock ticks per second of `/proc/PID/stat`, the same on every Linux.
const TICKS: u64 = 100;

/// Counts what an idle fleet does: `ops_per_s` are its statements, `p50_ms` the milliseconds of processor time that
/// its processes (host, workspace, Postgres, Redis) take in a second, so that 10 is 1 % of a core.
pub async fn measure(site: &Site, plan: Plan) -> anyhow::Result<Outcome> {
    let (Some(database), Some(pid)) = (&site.database, site.pid) else {
        let sample = Sample {
            errors: 1,
            example: Some("only a fleet of the bench's own can be watched while it is idle".into()),
            ..Sample::default()
        };
        return Ok(Outcome {
            sample,
            ..Outcome::default()
        });
    };
    // Postgres's backends report what they did up to ten seconds after they have become idle.
    tokio::time::sleep(plan.warm_up + SETTLING).await;
    let client = connect(database).await?;
    let statements = async || -> anyhow::Result<i64> {
        let row = client
            .query_one(
                "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()",
                &[],
            )
            .await
            .context("cannot count statements")?;
        Ok(row.get(0))
    };
    let (began, before, ticks) = (Instant::now(), statements().await?, ticks_of_tree(pid)?);
    tokio::time::sleep(LENGTH).await;
    let seconds = began.elapsed().as_secs_f64();
    let done = (statements().await? - before - 1).max(0);
    let cpu = Duration::from_millis(ticks_of_tree(pid)?.saturating_sub(ticks) * 1_000 / TICKS);
    let sample = Sample {
        latencies: vec![cpu.div_f64(seconds); usize::try_from(done)?],
        elapsed: Duration::from_secs_f64(seconds),
        ..Sample::default()
    };
    let share = cpu.as_secs_f64() / seconds * 100.0;
    Ok(Outcome {
        sample,
        notes: vec![format!(
            "{share:.2} % of a core and {:.1} statements/s",
            done as f64 / seconds
        )],
        ..Outcome::default()
    })
}

/// The processor time that a process and all its descendants have taken so far.
fn ticks_of_tree(root: u32) -> anyhow::Result<u64> {
    let mut processes = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").context("cannot read /proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // It may have ended meanwhile.
        if let Some(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|text| parent_and_ticks(&text))
        {
            processes.insert(pid, stat);
        }
    }
    let is_within = |mut pid: u32| loop {
        if pid == root {
            break true;
        }
        match processes.get(&pid) {
            Some((parent, _)) if *parent != pid => pid = *parent,
            _ => break false,
        }
    };
    if !processes.contains_key(&root) {
        return Err(anyhow!("the fleet's process {root} has ended"));
    }
    Ok(processes
        .iter()
        .filter(|(pid, _)| is_within(**pid))
        .map(|(_, (_, ticks))| ticks)
        .sum())
}

/// From a line of `/proc/PID/stat`: the parent, and the time taken by it and by children that have ended.
fn parent_and_ticks(stat: &str) -> Option<(u32, u64)> {
    // The name in brackets may contain anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
    Some((fields.get(1)?.parse().ok()?, ticks.sum::<Result<u64, _>>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_read_whatever_its_name() {
        let line = "7 (a ) b) S 3 7 7 0 -1 0 1 2 3 4 10 20 30 40 20 0 1 0 5";
        assert_eq!(parent_and_ticks(line), Some((3, 100)));
        assert_eq!(parent_and_ticks("7 (a"), None);
    }

    #[test]
    fn this_process_is_its_own_tree() {
        ticks_of_tree(std::process::id()).unwrap();
        assert!(ticks_of_tree(u32::MAX).is_err());
    }
}
