//! Commands about locks, run on both sides.

use super::super::command::LockCommand;
use super::super::locks::{State, Terms, Want};
use super::{Case, pick};
use serde_json::{Value, json};

impl Case<'_> {
    /// A command about locks.
    pub(super) async fn lock(&mut self, command: &LockCommand) -> Result<(Value, Value), String> {
        let locks = &self.model.locks;
        let grant = |index: usize, older: bool| {
            let all = &locks.grants;
            (!all.is_empty()).then(|| {
                let grant = &all[index % all.len()];
                (
                    grant.resource,
                    grant.holder,
                    grant.token - i64::from(older),
                    grant.exclusive,
                )
            })
        };
        // Mostly one whose wait has ended: there most can happen.
        let ticket = |index: usize| {
            pick(index, &locks.waiters, |waiter| waiter.state != State::Waiting)
                .map_or((0, "nobody"), |waiter| {
                    (locks.waiters[waiter].ticket, locks.waiters[waiter].holder)
                })
        };
        Ok(match *command {
            LockCommand::Acquire {
                ref wants,
                terms,
                several,
            } => {
                let Terms {
                    holder,
                    priority,
                    ttl_s,
                    wait_s,
                } = terms;
                let priority = ["low", "normal", "high", "urgent"][priority as usize];
                let mode = |want: &Want| if want.1 { "exclusive" } else { "shared" };
                let call = if several {
                    let list: Vec<_> = wants
                        .iter()
                        .map(|want| json!({"resource": want.0, "mode": mode(want)}))
                        .collect();
                    format!(
                        "lock_acquire_all('{}', '{holder}', null, {ttl_s}, 'x', {wait_s}, '{priority}', false)",
                        json!(list)
                    )
                } else {
                    format!(
                        "lock_acquire('{}', '{holder}', null, {ttl_s}, 'x', '{}', {wait_s}, '{priority}')",
                        wants[0].0,
                        mode(&wants[0])
                    )
                };
                let got = self
                    .one(&format!("select to_jsonb(r) from guildhall.{call} r"))
                    .await;
                self.saw(&call, &got["outcome"]);
                let mut sorted = if several { wants.clone() } else { vec![wants[0]] };
                sorted.sort_unstable();
                let wanted = self
                    .model
                    .locks
                    .acquire(&sorted, terms, got["ticket"].as_i64(), !several);
                (got["outcome"].clone(), wanted.into())
            }
            LockCommand::Enter {
                index,
                older,
                exclusive,
                ttl_s,
            } => {
                let Some((resource, holder, token, _)) = grant(index, older) else {
                    return Ok((Value::Null, Value::Null));
                };
                let wanted = self
                    .model
                    .locks
                    .enter((resource, exclusive), holder, token, ttl_s);
                let mode = if exclusive { "exclusive" } else { "shared" };
                let call = format!(
                    "lock_acquire('{resource}', '{holder}', null, {ttl_s}, 'x', '{mode}', 0, 'normal', {token})"
                );
                self.outcomes(&call, wanted).await
            }
            LockCommand::Renew { index, older, ttl_s } => {
                let Some((resource, holder, token, _)) = grant(index, older) else {
                    return Ok((Value::Null, Value::Null));
                };
                let wanted = self.model.locks.renew(resource, holder, token, ttl_s);
                self.outcomes(
                    &format!("lock_renew('{resource}', '{holder}', {token}, {ttl_s})"),
                    wanted,
                )
                .await
            }
            LockCommand::Release { index, older } => {
                let Some((resource, holder, token, _)) = grant(index, older) else {
                    return Ok((Value::Null, Value::Null));
                };
                let wanted = self.model.locks.release(resource, holder, token);
                self.outcomes(
                    &format!("lock_release('{resource}', '{holder}', {token})"),
                    wanted,
                )
                .await
            }
            LockCommand::Force { index } => {
                let Some((resource, ..)) = grant(index, false) else {
                    return Ok((Value::Null, Value::Null));
                };
                let wanted = self.model.locks.force(resource);
                self.outcomes(&format!("lock_force_release('{resource}', 'ada', 'x')"), wanted)
                    .await
            }
            LockCommand::Status { index } => {
                let (ticket, holder) = ticket(index);
                let wanted = self.model.locks.status(ticket);
                self.outcomes(&format!("lock_wait_status({ticket}, '{holder}')"), wanted)
                    .await
            }
            LockCommand::Cancel { index } => {
                let (ticket, holder) = ticket(index);
                let wanted = self.model.locks.cancel(ticket);
                self.outcomes(&format!("lock_wait_cancel({ticket}, '{holder}')"), wanted)
                    .await
            }
        })
    }
}
