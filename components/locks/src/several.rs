//! Several resources at once: all or nothing.

use crate::{
    answer::{deadlock, held, stale, unexpected},
    input,
    waiting::{ring, until_over},
};
use guildhall_guest::{
    Ctx, Handled, Reply,
    domain::{
        Code, Problem,
        id::RunId,
        lock::{LockKey, LockOutcome, LockPriority, LockWish, LocksReply, MOST_AT_ONCE},
    },
    store::lock::{self, Claim},
    time::monotonic_ns,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acquire {
    holder: String,
    ttl_s: i64,
    reason: String,
    locks: Vec<LockWish>,
    #[serde(default)]
    wait_s: i64,
    #[serde(default)]
    priority: LockPriority,
    run_id: Option<RunId>,
    #[serde(default)]
    announce: bool,
}

pub(crate) async fn acquire(mut ctx: Ctx) -> Handled {
    let began_ns = monotonic_ns();
    let body: Acquire = ctx.json().await?;
    let holder = input::holder(&ctx, &body.holder)?;
    count(body.locks.len())?;
    for wish in &body.locks {
        input::text("resource", &wish.resource, 200)?;
    }
    let claim = Claim {
        holder: &holder,
        run_id: body.run_id,
        ttl_s: input::ttl(body.ttl_s)?,
        reason: input::text("reason", &body.reason, 500)?,
        wait_s: input::wait(body.wait_s)?,
        priority: body.priority,
        announced: body.announce,
    };
    let db = ctx.db();
    let mut reply = lock::acquire_all(&db, &body.locks, &claim).await?;
    ring(&reply.bells).await;
    let blockers = reply.blockers.take().unwrap_or_default();
    if let (LockOutcome::Waiting, Some(ticket)) = (reply.outcome, reply.ticket) {
        let over = until_over(&db, ticket, claim.holder, claim.wait_s, began_ns).await?;
        (reply.outcome, reply.locks, reply.cycle) = (over.outcome, over.locks, over.cycle);
    }
    let what = format!("a set of {} locks", body.locks.len());
    match reply.outcome {
        LockOutcome::Acquired => Ok(Reply::json(&reply)),
        LockOutcome::Held => Err(held(&what, &blockers, 0)),
        LockOutcome::TimedOut => Err(held(&what, &blockers, claim.wait_s)),
        LockOutcome::Deadlock => Err(deadlock(&what, reply.cycle)),
        other => Err(unexpected(other)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Renew {
    holder: String,
    locks: Vec<LockKey>,
    ttl_s: i64,
}

pub(crate) async fn renew(mut ctx: Ctx) -> Handled {
    let body: Renew = ctx.json().await?;
    let holder = input::holder(&ctx, &body.holder)?;
    count(body.locks.len())?;
    let ttl_s = input::ttl(body.ttl_s)?;
    done(lock::renew_all(&ctx.db(), &body.locks, &holder, ttl_s).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    holder: String,
    locks: Vec<LockKey>,
}

pub(crate) async fn release(mut ctx: Ctx) -> Handled {
    let body: Release = ctx.json().await?;
    let holder = input::holder(&ctx, &body.holder)?;
    count(body.locks.len())?;
    let reply = lock::release_all(&ctx.db(), &body.locks, &holder).await?;
    ring(&reply.bells).await;
    done(reply)
}

fn done(reply: LocksReply) -> Result<Reply, Problem> {
    match reply.outcome {
        LockOutcome::Renewed | LockOutcome::Released => Ok(Reply::json(&reply)),
        LockOutcome::Stale => {
            let names: Vec<_> = reply
                .locks
                .iter()
                .map(|lock| format!("`{}`", lock.resource))
                .collect();
            Err(stale(&names.join(", "), &reply.locks))
        }
        other => Err(unexpected(other)),
    }
}

fn count(locks: usize) -> Result<(), Problem> {
    if (1..=MOST_AT_ONCE).contains(&locks) {
        return Ok(());
    }
    Err(Problem::new(
        Code::InvalidParameter,
        format!("`locks` has {locks} entries; it must have 1 to {MOST_AT_ONCE}."),
    ))
}
