//! One resource: acquire, renew, release, force-release.

use crate::{
    answer::{deadlock, held, stale, unexpected},
    input,
    waiting::{ring, until_over},
};
use guildhall_guest::{
    Ctx, Handled, Reply,
    domain::{
        Problem,
        id::RunId,
        lock::{LockMode, LockOutcome, LockPriority, LockReply},
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
    #[serde(default)]
    mode: LockMode,
    #[serde(default)]
    wait_s: i64,
    #[serde(default)]
    priority: LockPriority,
    run_id: Option<RunId>,
    fencing_token: Option<i64>,
    #[serde(default)]
    announce: bool,
}

pub(crate) async fn acquire(mut ctx: Ctx) -> Handled {
    let began_ns = monotonic_ns();
    let body: Acquire = ctx.json().await?;
    let (resource, holder) = (input::resource(&ctx)?, input::holder(&ctx, &body.holder)?);
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
    let mut reply = lock::acquire(&db, &resource, body.mode, body.fencing_token, &claim).await?;
    ring(&reply.bells).await;
    let blockers = reply.blockers.take().unwrap_or_default();
    if let (LockOutcome::Waiting, Some(ticket)) = (reply.outcome, reply.ticket) {
        let mut over = until_over(&db, ticket, claim.holder, claim.wait_s, began_ns).await?;
        reply.outcome = over.outcome;
        reply.cycle = over.cycle;
        if let Some(grant) = over.locks.pop() {
            reply.lock = grant;
        }
    }
    let what = format!("`{resource}`");
    match reply.outcome {
        LockOutcome::Acquired => Ok(Reply::json(&reply)),
        LockOutcome::Held => Err(held(&what, &blockers, 0)),
        LockOutcome::TimedOut => Err(held(&what, &blockers, claim.wait_s)),
        LockOutcome::Deadlock => Err(deadlock(&what, reply.cycle)),
        LockOutcome::Stale => Err(stale(&what, &[reply.lock])),
        other => Err(unexpected(other)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Renew {
    holder: String,
    fencing_token: i64,
    ttl_s: i64,
}

pub(crate) async fn renew(mut ctx: Ctx) -> Handled {
    let body: Renew = ctx.json().await?;
    let (resource, holder) = (input::resource(&ctx)?, input::holder(&ctx, &body.holder)?);
    let ttl_s = input::ttl(body.ttl_s)?;
    done(lock::renew(&ctx.db(), &resource, &holder, body.fencing_token, ttl_s).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    holder: String,
    fencing_token: i64,
}

pub(crate) async fn release(mut ctx: Ctx) -> Handled {
    let body: Release = ctx.json().await?;
    let (resource, holder) = (input::resource(&ctx)?, input::holder(&ctx, &body.holder)?);
    let reply = lock::release(&ctx.db(), &resource, &holder, body.fencing_token).await?;
    ring(&reply.bells).await;
    done(reply)
}

fn done(reply: LockReply) -> Result<Reply, Problem> {
    match reply.outcome {
        LockOutcome::Renewed | LockOutcome::Released | LockOutcome::Left => Ok(Reply::json(&reply)),
        LockOutcome::Stale => Err(stale(&format!("`{}`", reply.lock.resource), &[reply.lock])),
        other => Err(unexpected(other)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Force {
    reason: String,
}

pub(crate) async fn force_release(mut ctx: Ctx) -> Handled {
    let body: Force = ctx.json().await?;
    let resource = input::resource(&ctx)?;
    let reason = input::text("reason", &body.reason, 500)?;
    let actor = ctx.principal()?.name.clone();
    let reply = lock::force_release(&ctx.db(), &resource, &actor, reason).await?;
    ring(&reply.bells).await;
    Ok(Reply::json(&reply))
}
