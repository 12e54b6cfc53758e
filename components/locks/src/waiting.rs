//! Standing in the queue: asleep until rung, with a look at the own row of the queue at least once a second.

use guildhall_guest::{
    GuestDb, db,
    domain::{
        Problem,
        lock::{LockOutcome, WaitReply, ticket_name},
    },
    hint::{self, Waiter},
    log,
    store::lock,
    time::monotonic_ns,
};
use std::time::Duration;

/// Waits until the holder's wait has ended, for at most `wait_s` seconds since `began_ns`.
pub(crate) async fn until_over(
    db: &GuestDb,
    ticket: i64,
    holder: &str,
    wait_s: i64,
    began_ns: u64,
) -> Result<WaitReply, Problem> {
    let wait = Duration::from_secs(u64::try_from(wait_s).unwrap_or(0));
    let mut waiter = Waiter::new(ticket_name(ticket));
    loop {
        let waited = Duration::from_nanos(monotonic_ns().saturating_sub(began_ns));
        if waited >= wait {
            let reply = lock::wait_cancel(db, ticket, holder).await?;
            ring(&reply.bells).await;
            return Ok(reply);
        }
        let left = wait - waited;
        if !waiter.wait(left.min(db::REST_AFTER)).await {
            db::rest();
            let left = left.min(hint::RECHECK).saturating_sub(db::REST_AFTER);
            if !left.is_zero() {
                waiter.wait(left).await;
            }
        }
        match lock::wait_status(db, ticket, holder).await {
            Ok(reply) => {
                ring(&reply.bells).await;
                if reply.outcome != LockOutcome::Waiting {
                    return Ok(reply);
                }
            }
            // The place in the queue is kept for some seconds, so the database may come back.
            Err(error) => log::warn(format!(
                "the wait of ticket {ticket} cannot be looked at: {error}"
            )),
        }
    }
}

/// Wakes those whose wait has ended.
pub(crate) async fn ring(tickets: &[i64]) {
    if !tickets.is_empty() {
        hint::ring(tickets.iter().copied().map(ticket_name)).await;
    }
}
