//! Working under a lock whose lease is renewed meanwhile.

use crate::error;
use futures::future::{Either, LocalBoxFuture, select};
use guildhall_guest::{
    GuestDb,
    agent::{self, AgentCall},
    domain::{
        Code,
        lock::{LockMode, LockOutcome, ticket_name},
        request::AgentError,
    },
    hint, log,
    store::lock::{self, Claim},
    time,
};
use std::{future::Future, pin::pin, time::Duration};

/// How long the lock holds without a renewal, in seconds: so long an environment stays blocked by a holder that died.
const TTL_S: i64 = 30;
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// Without a renewal for this long, the lock counts as lost, some seconds before the database lets another have it.
const LOST_AFTER: Duration = Duration::from_secs(25);

/// The lock as it is held by one attempt.
pub(crate) struct Held {
    db: GuestDb,
    /// What is locked.
    pub(crate) resource: String,
    holder: String,
    /// Goes with every change, so that a later holder's changes shut this one's out.
    pub(crate) fencing_token: i64,
    keeper: LocalBoxFuture<'static, ()>,
}

/// The lock was lost; what was being done was dropped.
#[derive(Debug)]
pub(crate) struct Lost;

impl Held {
    /// Takes the lock. When another has it, the error asks for a later attempt.
    pub(crate) async fn acquire(
        call: &AgentCall,
        resource: String,
        reason: &str,
    ) -> Result<Held, AgentError> {
        let db = call.db();
        let holder = match (&call.run_id, &call.step) {
            (Some(run), Some(step)) => format!("{run}{step}"),
            _ => format!("request/{}", call.request_id),
        };
        // An attempt that died left its grant behind; this one takes it over under a new token, which fences it off.
        let claim = Claim::now(&holder, call.run_id, TTL_S, reason);
        let reply = lock::acquire(&db, &resource, LockMode::Exclusive, None, &claim)
            .await
            .map_err(|error| agent::failed(error.into()))?;
        if reply.outcome != LockOutcome::Acquired {
            let blockers = reply.blockers.unwrap_or_default();
            let by = blockers
                .first()
                .map_or("another", |blocker| blocker.holder.as_str());
            return Err(
                error(Code::LockHeld, format!("The lock {resource} is held by {by}."))
                    .hint("It is tried again by itself; `guildhall locks` shows who holds what.")
                    .retryable()
                    .into(),
            );
        }
        let fencing_token = reply.lock.fencing_token;
        let keeper = Box::pin(keep(db, resource.clone(), holder.clone(), fencing_token));
        Ok(Held {
            db,
            resource,
            holder,
            fencing_token,
            keeper,
        })
    }

    /// Works on while the lease is renewed beside it; drops the work as soon as the lock is lost.
    pub(crate) async fn during<F: Future>(&mut self, work: F) -> Result<F::Output, Lost> {
        match select(pin!(work), &mut self.keeper).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right(_) => Err(Lost),
        }
    }

    /// Gives the lock back. When that fails, it falls free by itself after its time.
    pub(crate) async fn release(self) {
        match lock::release(&self.db, &self.resource, &self.holder, self.fencing_token).await {
            Ok(reply) if reply.outcome == LockOutcome::Released => {
                hint::ring(reply.bells.into_iter().map(ticket_name)).await;
            }
            Ok(_) => log::warn(format!(
                "the lock {} was no longer held when it was given back",
                self.resource
            )),
            Err(error) => {
                log::warn(format!(
                    "the lock {} could not be given back and runs out: {error}",
                    self.resource
                ));
            }
        }
    }
}

/// Renews the lease until it is lost.
async fn keep(db: GuestDb, resource: String, holder: String, token: i64) {
    let mut renewed_ns = time::monotonic_ns();
    loop {
        time::sleep(RENEWAL).await;
        let asked_ns = time::monotonic_ns();
        match lock::renew(&db, &resource, &holder, token, TTL_S).await {
            Ok(reply) if reply.outcome == LockOutcome::Renewed => renewed_ns = asked_ns,
            Ok(_) => {
                return log::warn(format!(
                    "the lock {resource} was lost to another holder or ran out"
                ));
            }
            Err(error) => log::warn(format!("the lock {resource} could not be renewed: {error}")),
        }
        if Duration::from_nanos(time::monotonic_ns().saturating_sub(renewed_ns)) > LOST_AFTER {
            return log::warn(format!("the lock {resource} could not be renewed in time"));
        }
    }
}
