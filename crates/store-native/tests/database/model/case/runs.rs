//! Commands about runs, their calls and their events, run on both sides.

use super::super::command::{Advance, Command, Ended};
use super::super::letters::Extra;
use super::super::machine::{Approval, Request, SECOND};
use super::super::run_locks::OfRun;
use super::super::runs::{Call, Run};
use super::{Case, Claim, pick};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// One that is there, if any is.
fn any(index: usize, of: &[i64]) -> Option<i64> {
    (!of.is_empty()).then(|| of[index % of.len()])
}

impl Case<'_> {
    async fn newest(&self, table: &str, number: &str, seq: i64) -> Uuid {
        let id = self
            .one(&format!(
                "select to_jsonb(id) from guildhall.{table} where {number} = {seq}"
            ))
            .await;
        id.as_str()
            .and_then(|id| id.parse().ok())
            .expect("the step was begun")
    }

    /// A command of the engine under the next number.
    fn command(&mut self, action: &str, more: Value) -> (i64, Value) {
        self.steps += 1;
        let seq = self.steps as i64;
        let mut command = Map::from_iter([
            ("action".to_owned(), json!(action)),
            ("step".to_owned(), json!(format!("/do/{seq}/step"))),
            ("seq".to_owned(), json!(seq)),
            ("attempt".to_owned(), json!(1)),
            ("key".to_owned(), json!("k")),
        ]);
        command.extend(more.as_object().cloned().unwrap_or_default());
        (seq, command.into())
    }

    fn ask(&mut self, max_attempts: i64, timeout_s: i64) -> (i64, Value) {
        let more =
            json!({"skill": "work", "input": {}, "timeout_ms": timeout_s * 1000, "attempts": max_attempts});
        self.command("agent", more)
    }

    fn approve(&mut self, expires_s: i64) -> (i64, Value) {
        self.command(
            "approval",
            json!({"proposal": {"n": 1}, "risk": {}, "expires_ms": expires_s * 1000}),
        )
    }

    /// The locks that a run has, as the engine says which are around a task.
    fn fences(&self, run: usize) -> Vec<&'static str> {
        let grants = self.model.locks.grants.iter();
        grants
            .filter(|g| g.run == Some(run))
            .map(|g| g.resource)
            .collect()
    }

    pub(super) async fn advance(
        &mut self,
        claim: usize,
        wrong_position: bool,
        advance: &Advance,
    ) -> (Value, Value) {
        let Claim { run, epoch, position } = self.claims[claim];
        let position = position + usize::from(wrong_position);
        let target = match advance {
            Advance::Release { index } => any(*index, &self.model.locks.of_run(run)),
            Advance::Withdraw { index } => any(*index, &self.model.open_in(run)),
            _ => None,
        };
        let fences = self.fences(run);
        let with_tokens: Vec<_> = fences
            .iter()
            .map(|lock| json!({"lock": lock, "token": 1}))
            .collect();
        let given = match advance {
            Advance::Wait | Advance::Suspend => vec![],
            Advance::Request {
                max_attempts,
                timeout_s,
            } => vec![self.ask(*max_attempts, *timeout_s)],
            Advance::Approval { expires_s } => vec![self.approve(*expires_s)],
            Advance::Both => vec![self.ask(2, 600), self.approve(600)],
            Advance::Timer { .. } => vec![self.command("timer", json!({}))],
            Advance::Call => vec![self.command("http", json!({}))],
            Advance::Listen { kind } => vec![self.command("subscribe", json!({"filters": [{"type": kind}]}))],
            Advance::Child { wait } => {
                let more = json!({"namespace": "tests", "name": "child", "version": "latest", "wait": wait});
                vec![self.command("start_child", more)]
            }
            Advance::Acquire { locks } => {
                vec![self.command("acquire", json!({"locks": locks, "fences": with_tokens}))]
            }
            Advance::Release { .. } => target
                .map(|target| self.command("release", json!({"target": target, "locks": []})))
                .into_iter()
                .collect(),
            Advance::Withdraw { .. } => target
                .map(|target| self.command("cancel", json!({"target": target})))
                .into_iter()
                .collect(),
            Advance::GoOn => vec![self.command("continue", json!({}))],
            Advance::End(Ended::Completed) => vec![self.command("complete", json!({"output": {}}))],
            Advance::End(Ended::Faulted) => {
                vec![self.command("fault", json!({"error": {"type": "x", "status": 500}}))]
            }
        };
        let commands = json!(given.iter().map(|(_, command)| command).collect::<Vec<_>>());
        let commands = match advance {
            Advance::Timer { after_ms } => format!(
                "jsonb_set('{commands}', '{{0,at}}', to_jsonb(guildhall.clock() + interval '{after_ms} ms'))"
            ),
            _ => format!("'{commands}'"),
        };
        let is_suspended = matches!(advance, Advance::Suspend);
        let state = if is_suspended { "suspended" } else { "running" };
        let id = self.model.runs[run].id;
        let wanted = self.model.advance(run, epoch, position);
        let call = format!(
            "run_advance('{id}', {epoch}, {position}, '{{\"status\": \"{state}\"}}', {commands}, '[]')"
        );
        let answers = self.outcomes(&call, wanted).await;
        if wanted == "advanced" && answers.0 == answers.1 {
            let seqs: Vec<i64> = given.iter().map(|(seq, _)| *seq).collect();
            match advance {
                Advance::Release { .. } => {
                    self.model.locks.let_go(run, target.or(Some(0)));
                    self.model.take_notice();
                }
                Advance::Withdraw { .. } => self.model.withdraw(run, target.unwrap_or_default()),
                Advance::Acquire { locks } => self.acquire(run, seqs[0], locks, fences).await,
                _ => self.asked(run, &seqs, advance).await,
            }
            if !matches!(advance, Advance::End(_)) {
                self.model.rest(run, is_suspended);
            }
        }
        answers
    }

    async fn acquire(&mut self, run: usize, seq: i64, locks: &[&'static str], fences: Vec<&'static str>) {
        let id = self.model.runs[run].id;
        let ticket = self
            .one(&format!(
                "select to_jsonb(max(ticket)) from guildhall.lock_waiters where run_id = '{id}' and run_seq = {seq}"
            ))
            .await;
        let of = OfRun {
            run,
            seq,
            born: self.model.runs[run].born,
            fences,
        };
        let holder: &'static str = format!("run/{id}/{seq}").leak();
        self.model.locks.acquire_for(of, holder, locks, ticket.as_i64());
        self.model.take_notice();
    }

    /// Tells the model what a run has asked for.
    async fn asked(&mut self, run: usize, seqs: &[i64], advance: &Advance) {
        let now = self.model.now;
        let request = match *advance {
            Advance::Request {
                max_attempts,
                timeout_s,
            } => Some((max_attempts, timeout_s)),
            Advance::Both => Some((2, 600)),
            _ => None,
        };
        if let Some((max_attempts, timeout_s)) = request {
            let id = self.newest("requests", "seq", seqs[0]).await;
            self.model.insert_request(Request {
                id,
                run: Some(run),
                seq: seqs[0],
                queue_at: now,
                deadline: now + timeout_s * SECOND,
                state: "queued",
                attempt: 0,
                max_attempts,
                epoch: 0,
                lease: None,
                wake: Some(now),
                extra: Extra {
                    life: 1,
                    ..Extra::default()
                },
            });
        }
        let expires_s = match *advance {
            Advance::Approval { expires_s } => Some(expires_s),
            Advance::Both => Some(600),
            _ => None,
        };
        if let (Some(expires_s), Some(&seq)) = (expires_s, seqs.last()) {
            let id = self.newest("approvals", "seq", seq).await;
            self.model.insert_approval(Approval {
                id,
                run,
                seq,
                state: "pending",
                expires: now + expires_s * SECOND,
                decided_by: None,
                consumed_by: None,
            });
        }
        match *advance {
            Advance::Timer { after_ms } => self.model.runs[run].timers.push((seqs[0], now + after_ms * 1000)),
            Advance::Call => self.model.calls.push(Call {
                run,
                seq: seqs[0],
                state: "queued",
                epoch: 0,
                lease: None,
                wake: Some(now),
            }),
            Advance::Listen { kind } => self.model.runs[run].listens.push((seqs[0], kind)),
            Advance::Child { wait } => {
                let step = format!("split_part(parent_step, '/', 3)::bigint");
                let id = self.newest("runs", &step, seqs[0]).await;
                self.model.start(id, Some((run, wait.then_some(seqs[0]))));
            }
            Advance::GoOn => self.model.tell(run, "continue", 0),
            Advance::End(Ended::Completed) => self.model.finish_run(run, "run_completed"),
            Advance::End(Ended::Faulted) => self.model.finish_run(run, "run_faulted"),
            _ => {}
        }
    }

    pub(super) async fn claim_run(&mut self, lease_s: i64) -> Result<(), String> {
        let rows = self
            .many(&format!(
                "select to_jsonb(r) from guildhall.run_claim('w', {lease_s}, '[]') r"
            ))
            .await;
        let claimable = self.model.claimable();
        let Some(row) = rows.first() else {
            return if claimable.is_empty() {
                Ok(())
            } else {
                Err(format!("run_claim gave none of {claimable:?}"))
            };
        };
        let id = row["run_id"].as_str().unwrap_or_default();
        let run = claimable
            .into_iter()
            .find(|&run| self.model.runs[run].id.to_string() == id);
        let run = run.ok_or_else(|| format!("run_claim gave {id}, which has not waited longest"))?;
        let events = self.model.claim(run, lease_s);
        let position = self.model.runs[run].journal.len();
        let epoch = self.model.runs[run].epoch;
        self.claims.push(Claim { run, epoch, position });
        let told: Vec<_> = row["events"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|event| {
                (
                    event["event"].as_str().unwrap_or_default(),
                    event["seq"].as_i64().unwrap_or(0),
                )
            })
            .collect();
        if (row["epoch"].as_i64(), row["journal_position"].as_u64()) != (Some(epoch), Some(position as u64))
            || told != events
        {
            return Err(format!(
                "run_claim gave {row}, wanted epoch {epoch}, {position} entries and {events:?}"
            ));
        }
        Ok(())
    }

    /// What is neither a claim nor an advance.
    pub(super) async fn about_runs(&mut self, command: &Command) -> (Value, Value) {
        let model = &self.model;
        let leased = |call: &Call| call.state == "leased";
        let nothing = (Value::Null, Value::Null);
        match *command {
            Command::Pause { run } => {
                let Some(run) = pick(run, &model.runs, Run::is_open) else {
                    return nothing;
                };
                let call = format!("run_pause('{}', 'ada')", model.runs[run].id);
                let wanted = self.model.pause(run);
                self.answers(&call, wanted).await
            }
            Command::Publish { kind, again } => {
                let again = again && self.published > 0;
                self.published += usize::from(!again);
                let event = json!({"specversion": "1.0", "id": self.published.to_string(), "source": "s", "type": kind});
                let wanted = if again { "duplicate" } else { "accepted" };
                if !again {
                    self.model.publish(kind);
                }
                self.outcomes(&format!("event_publish('{event}', 'ada')"), wanted)
                    .await
            }
            Command::ClaimCalls { limit, lease_s } => {
                let sql = format!(
                    "select jsonb_build_array(c.run_id, c.seq) from guildhall.run_call_claim('w', {limit}, {lease_s}) c
                     order by c.run_id, c.seq"
                );
                let got = self.many(&sql).await;
                (json!(got), json!(self.model.claim_calls(limit, lease_s)))
            }
            Command::RenewCall { call, older, lease_s } => {
                let Some(index) = pick(call, &model.calls, leased) else {
                    return nothing;
                };
                let (of, epoch) = (&model.calls[index], model.calls[index].epoch - i64::from(older));
                let call = format!(
                    "run_call_renew('{}', {}, {epoch}, {lease_s})",
                    model.runs[of.run].id, of.seq
                );
                let wanted = self.model.renew_call(index, epoch, lease_s);
                self.answers(&call, wanted).await
            }
            Command::FinishCall { call, older, fails } => {
                let Some(index) = pick(call, &model.calls, leased) else {
                    return nothing;
                };
                let (of, epoch) = (&model.calls[index], model.calls[index].epoch - i64::from(older));
                let (output, error) = match fails {
                    true => ("null", "'{\"type\": \"x\", \"status\": 500}'"),
                    false => ("'1'", "null"),
                };
                let run = model.runs[of.run].id;
                let call = format!("run_call_finish('{run}', {}, {epoch}, {output}, {error})", of.seq);
                let wanted = self.model.finish_call(index, epoch, fails);
                self.answers(&call, wanted).await
            }
            _ => nothing,
        }
    }
}
