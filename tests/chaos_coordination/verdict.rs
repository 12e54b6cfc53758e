//! Waits until everything has come to its end, and holds the history against the promises.

use crate::{cluster::Cluster, record::Record, requesters::TIMEOUT_S};
use anyhow::{Result, bail, ensure};
use guildhall_testkit::{
    history::{
        events::{self, Event, Position},
        locks::{self, Grant, Write},
        queue::{self, Turn},
        requests::{self, Stored},
        routing::{self, Routed},
    },
    postgres,
};
use std::time::{Duration, Instant};

/// After the faults everything ends within the requests' own time, and the leases and pauses around it: a relay that
/// could not reach Redis comes again after at most 30 s.
const SETTLES_WITHIN: Duration = Duration::from_secs(TIMEOUT_S + 30);

/// What is still under way, one row for each kind.
const UNDER_WAY: &str = "
    select what, n from (values
        ('requests that have not ended', (select count(*) from guildhall.requests where finished_at is null)),
        ('locks that are held', (select count(*) from guildhall.lock_grants)),
        ('waiters for locks', (select count(*) from guildhall.lock_waiters)),
        ('events that were not published', (select count(*) from guildhall.events e, guildhall.relay y
            where (e.position_xid, e.id) > (y.position_xid, y.position_id)
                and e.type like 'dev.guildhall.request.%'))
    ) v (what, n) where n > 0";

/// Waits until nothing is under way any more.
pub async fn settle(cluster: &Cluster) -> Result<()> {
    let begun = Instant::now();
    loop {
        let client = postgres::connect(cluster.database.config()).await?;
        let left: Vec<String> = client
            .query(UNDER_WAY, &[])
            .await?
            .iter()
            .map(|row| format!("{} {}", row.get::<_, i64>(1), row.get::<_, &str>(0)))
            .collect();
        if left.is_empty() {
            println!("settled after {:.1} s", begun.elapsed().as_secs_f32());
            return Ok(());
        }
        if begun.elapsed() > SETTLES_WITHIN {
            bail!(
                "not everything has ended {SETTLES_WITHIN:?} after the faults: {}",
                left.join(", ")
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Every event, in the order in which it happened, and whether it is about a request. A refusal is about none: every
/// host tells of it for itself.
const EVENTS: &str = "
    select position_xid::text || '-' || id, subject, event ->> 'id',
        type like 'dev.guildhall.request.%' and type <> 'dev.guildhall.request.refused.v1'
    from guildhall.events order by at, id";

/// Where the last event about a request lies.
pub async fn last_position(cluster: &Cluster) -> Result<Position> {
    let stored = stored_events(cluster).await?;
    Ok(stored
        .into_iter()
        .filter(|(_, about_request)| *about_request)
        .map(|(event, _)| event.position)
        .max()
        .unwrap_or_default())
}

async fn stored_events(cluster: &Cluster) -> Result<Vec<(Event, bool)>> {
    let client = postgres::connect(cluster.database.config()).await?;
    let rows = client.query(EVENTS, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let event = Event {
                position: events::position(row.get(0)).unwrap_or_default(),
                subject: row.get(1),
                id: row.get::<_, Option<String>>(2).unwrap_or_default(),
            };
            (event, row.get(3))
        })
        .collect())
}

/// Holds everything against everything that was promised.
pub async fn judge(cluster: &Cluster, record: &Record) -> Result<()> {
    let client = postgres::connect(cluster.database.config()).await?;
    let grants = grants(&client).await?;
    let turns = turns(&client).await?;
    let guarded = guarded_writes(&client).await?;
    let routed = routed(&client).await?;
    let stored = stored_requests(&client).await?;
    let happened: Vec<Event> = stored_events(cluster)
        .await?
        .into_iter()
        .filter_map(|(event, about_request)| about_request.then_some(event))
        .collect();
    let all: Vec<Event> = stored_events(cluster)
        .await?
        .into_iter()
        .map(|(event, _)| event)
        .collect();
    let writes = record.writes();
    let lists = record.lists();
    println!("{:?}", lists.counts);
    // Each with the least that it must have looked at for its silence to mean something.
    for (what, checked, least) in [
        ("grants", locks::no_two_holders(&grants), 20),
        ("tokens", locks::tokens_rise(&grants), 20),
        ("turns in the queue", queue::first_come_first_served(&turns), 4),
        ("writes outside", locks::no_stale_write(&writes), 10),
        ("guarded writes in order", locks::no_stale_write(&guarded), 8),
        (
            "guarded writes",
            locks::writes_lie_within_grants(&guarded, &grants),
            8,
        ),
        ("sections", locks::sections_are_apart(&lists.sections), 8),
        (
            "keys",
            requests::one_effect_per_key(&lists.accepted, &stored, &lists.executions),
            20,
        ),
        (
            "requests",
            requests::every_accepted_request_ends(&lists.accepted, &stored),
            20,
        ),
        (
            "results",
            requests::no_late_result(&stored, &lists.executions),
            10,
        ),
        ("leases of requests", routing::only_to_live_agents(&routed), 20),
        ("events read", events::nothing_is_skipped(&lists.read, &all), 100),
        ("events of subjects", events::in_order_per_subject(&happened), 100),
    ] {
        let looked_at = checked?;
        println!("{what}: {looked_at}");
        ensure!(
            looked_at >= least,
            "only {looked_at} {what} were there to be checked, so that this run shows nothing"
        );
    }
    let refused = writes.iter().filter(|write| !write.accepted).count();
    println!("{refused} writes outside were refused for their token");
    Ok(())
}

async fn grants(client: &postgres::Client) -> Result<Vec<Grant>> {
    let rows = client
        .query(
            "select resource, fencing_token, mode = 'exclusive', holder, chaos.us(acquired_at), chaos.us(ended_at)
             from guildhall.lock_history where fencing_token is not null
             union all
             select resource, fencing_token, mode = 'exclusive', holder, chaos.us(acquired_at), chaos.us(expires_at)
             from guildhall.lock_grants",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Grant {
            resource: row.get(0),
            token: row.get(1),
            exclusive: row.get(2),
            party: row.get(3),
            from_us: row.get(4),
            to_us: row.get(5),
        })
        .collect())
}

async fn turns(client: &postgres::Client) -> Result<Vec<Turn>> {
    let rows = client
        .query(
            "select resource, reason::bigint, holder, chaos.us(requested_at), chaos.us(acquired_at)
             from guildhall.lock_history
             where resource like 'chaos-queue:%' and fencing_token is not null and acquired_at > requested_at",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Turn {
            resource: row.get(0),
            priority: row.get(1),
            party: row.get(2),
            asked_us: row.get(3),
            granted_us: row.get(4),
        })
        .collect())
}

async fn guarded_writes(client: &postgres::Client) -> Result<Vec<Write>> {
    let rows = client
        .query(
            "select resource, token, chaos.us(at) from chaos.writes order by id",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Write {
            resource: row.get(0),
            token: row.get(1),
            at_us: row.get(2),
            accepted: true,
        })
        .collect())
}

async fn routed(client: &postgres::Client) -> Result<Vec<Routed>> {
    let rows = client
        .query(
            "select request_id::text, agent, chaos.us(at), chaos.us(there_until), coalesce(unwilling, false)
             from chaos.leases",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Routed {
            request: row.get(0),
            agent: row.get(1),
            at_us: row.get(2),
            there_until_us: row.get(3),
            unwilling: row.get(4),
        })
        .collect())
}

async fn stored_requests(client: &postgres::Client) -> Result<Vec<Stored>> {
    let rows = client
        .query(
            "select id::text, input ->> 'key', state, finished_at is not null, epoch, (result ->> 'epoch')::bigint
             from guildhall.requests where input ? 'key'",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Stored {
            request: row.get(0),
            key: row.get(1),
            state: row.get(2),
            ended: row.get(3),
            epoch: row.get(4),
            result_epoch: row.get(5),
        })
        .collect())
}
