//! The faults: three rows of them at the same time, each in an order that the seed gives.

use crate::{cluster::Cluster, record::Record};
use anyhow::{Context, Result};
use guildhall_testkit::{Toxic, postgres, seed::rng};
use rand::{Rng, rngs::StdRng, seq::SliceRandom};
use std::time::{Duration, Instant};

/// A fault, with how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A host gets SIGKILL.
    KillHost,
    /// A host gets SIGSTOP, for longer than a lock's lease lasts.
    StopHostPastLock,
    /// A host gets SIGSTOP, for longer than a request's lease lasts.
    StopHostPastRequest,
    /// Sessions are ended, a few at a time.
    EndSessions,
    /// Postgres ends as in a crash, and is started again.
    CrashPostgres,
    /// Redis is killed, and started again.
    KillRedis,
    /// Nothing passes to or from Redis.
    SilenceRedis,
    /// No message of a subscription arrives.
    LoseMessages,
    /// Every message arrives three times.
    RepeatMessages,
    /// Messages arrive in another order.
    ShuffleMessages,
}

use Fault::*;

/// What goes on at the same time, each row one after the other.
const ROWS: [&[Fault]; 3] = [
    &[KillHost, StopHostPastLock, KillHost, StopHostPastRequest],
    &[EndSessions, CrashPostgres, EndSessions],
    &[
        KillRedis,
        SilenceRedis,
        LoseMessages,
        RepeatMessages,
        ShuffleMessages,
    ],
];

/// Lets faults happen for so long, and each of them at least once. Gives what happened when.
pub async fn run(cluster: &Cluster, record: &Record, time: Duration) -> Result<Vec<String>> {
    let begun = Instant::now();
    let row = |number: usize| async move {
        let mut rng = rng(&format!("faults {number}"));
        let mut happened = Vec::new();
        let mut first = true;
        while first || begun.elapsed() < time {
            let mut faults = ROWS[number].to_vec();
            faults.shuffle(&mut rng);
            for fault in faults {
                if !first && begun.elapsed() > time {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(rng.random_range(300..1500))).await;
                let at = begun.elapsed();
                let detail = happen(fault, cluster, &mut rng)
                    .await
                    .with_context(|| format!("cannot bring {fault:?} about"))?;
                happened.push((at, format!("{:6.2} s {fault:?} {detail}", at.as_secs_f32())));
                record.count("faults");
            }
            first = false;
        }
        Ok::<_, anyhow::Error>(happened)
    };
    let (hosts, database, redis) = tokio::try_join!(row(0), row(1), row(2))?;
    let mut all = [hosts, database, redis].concat();
    all.sort();
    Ok(all.into_iter().map(|(_, line)| line).collect())
}

async fn happen(fault: Fault, cluster: &Cluster, rng: &mut StdRng) -> Result<String> {
    let node = &cluster.nodes[rng.random_range(0..cluster.nodes.len())];
    let mut detail = String::new();
    match fault {
        KillHost => {
            detail.clone_from(&node.name);
            node.kill().await?;
            // It is only a fault like the others if it is over at some time: the supervisor needs a moment.
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        StopHostPastLock => {
            detail.clone_from(&node.name);
            node.stop_for(Duration::from_millis(rng.random_range(2500..4000)))
                .await?;
        }
        StopHostPastRequest => {
            detail.clone_from(&node.name);
            node.stop_for(Duration::from_millis(rng.random_range(10_500..12_000)))
                .await?;
        }
        EndSessions => detail = format!("{} sessions", end_sessions(cluster, rng).await),
        CrashPostgres => {
            cluster.postgres.crash().await?;
            tokio::time::sleep(Duration::from_millis(rng.random_range(100..1000))).await;
            cluster.postgres.restart().await?;
        }
        KillRedis => {
            let mut redis = cluster.redis.write().await;
            redis.kill();
            tokio::time::sleep(Duration::from_millis(rng.random_range(200..2000))).await;
            redis.restart()?;
        }
        SilenceRedis => toxic(cluster, vec![Toxic::Timeout], rng).await,
        LoseMessages => toxic(cluster, vec![Toxic::DropMessages(1.0)], rng).await,
        RepeatMessages => toxic(cluster, vec![Toxic::RepeatMessages(3)], rng).await,
        ShuffleMessages => {
            let both = vec![
                Toxic::RepeatMessages(2),
                Toxic::ShuffleMessages(Duration::from_millis(400)),
            ];
            toxic(cluster, both, rng).await;
        }
    }
    Ok(detail)
}

async fn toxic(cluster: &Cluster, toxics: Vec<Toxic>, rng: &mut StdRng) {
    cluster.proxy.set(toxics);
    tokio::time::sleep(Duration::from_millis(rng.random_range(2000..4000))).await;
    cluster.proxy.heal();
}

/// Ends two of the hosts' sessions every now and then for some seconds; how many it were.
async fn end_sessions(cluster: &Cluster, rng: &mut StdRng) -> i64 {
    let mut ended = 0;
    for _ in 0..rng.random_range(12..24) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..300))).await;
        // Postgres may be away just now: then there is nobody to end.
        let Ok(client) = postgres::connect(cluster.database.config()).await else {
            continue;
        };
        let gone = client
            .query_one(
                "select count(*) filter (where pg_terminate_backend(pid)) from (
                     select pid from pg_stat_activity
                     where datname = current_database() and application_name = 'guildhall'
                     order by random() limit 2) s",
                &[],
            )
            .await;
        ended += gone.map_or(0, |row| row.get::<_, i64>(0));
    }
    ended
}
