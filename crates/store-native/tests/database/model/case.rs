//! One list of commands, run on both sides.

mod letters;
mod locks;
mod runs;

use super::command::Command;
use super::letters::Extra;
use super::machine::{Approval, Machine, Request, SECOND};
use super::runs::Run;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio_postgres::Client;

/// How often each call gave each answer.
pub type Seen = Mutex<BTreeMap<String, u32>>;

/// Everything that is compared with [`Machine::state`].
const STATE: &str = "
    select jsonb_build_object(
        'now', m.us(guildhall.clock()),
        'runs', (select coalesce(jsonb_object_agg(r.id, jsonb_build_array(r.status, r.suspended, r.epoch,
            m.us(r.lease_expires_at), m.us(r.next_wake_at), test.journal_kinds(r.id), coalesce(test.inbox(r.id), ''),
            (select count(*) from guildhall.run_timers t where t.run_id = r.id))), '{}') from guildhall.runs r),
        'calls', (select coalesce(jsonb_object_agg(c.run_id || ' ' || c.seq, jsonb_build_array(c.state, c.epoch,
            m.us(c.lease_expires_at), m.us(c.next_wake_at))), '{}') from guildhall.run_calls c),
        'requests', (select coalesce(jsonb_object_agg(r.id, jsonb_build_array(r.state, r.attempt, r.epoch,
            m.us(r.lease_expires_at), m.us(r.next_wake_at), m.us(r.deadline_at), r.life, r.letter)), '{}')
            from guildhall.requests r),
        'callbacks', (select coalesce(jsonb_object_agg(c.request_id, jsonb_build_array(c.state, c.attempts, c.epoch,
            m.us(c.next_wake_at))), '{}') from guildhall.callbacks c),
        'approvals', (select coalesce(jsonb_object_agg(a.id, jsonb_build_array(a.state, a.decided_by, a.consumed_by)), '{}')
            from guildhall.approvals a),
        'locks', jsonb_build_object(
            'tokens', (select coalesce(jsonb_object_agg(l.resource, l.fencing_token), '{}') from guildhall.locks l
                where l.grants > 0),
            'grants', (select coalesce(jsonb_agg(jsonb_build_array(g.resource, g.fencing_token, g.mode = 'exclusive', g.holder,
                g.depth, m.us(g.expires_at)) order by g.resource, g.fencing_token), '[]') from guildhall.lock_grants g),
            'waiters', (select coalesce(jsonb_agg(jsonb_build_array(w.ticket, w.state, m.us(w.next_wake_at)) order by w.ticket),
                '[]') from guildhall.lock_waiters w),
            'ended', (select count(*) from guildhall.lock_history)),
        'audited', (select count(*) from guildhall.audit))";

/// What [`STATE`] needs.
pub const PREPARE: &str = "
    create schema m;
    create function m.us(p timestamptz) returns bigint language sql as
    $$ select (extract(epoch from p - '2030-01-01 12:00:00+00') * 1000000)::bigint $$;";

/// Priorities, and by how many seconds each seems to have come earlier.
const PRIORITIES: [(&str, i64); 4] = [("low", -120), ("normal", 0), ("high", 60), ("urgent", 300)];

/// A claim that a test holds on to, as a slow worker would.
struct Claim {
    run: usize,
    epoch: i64,
    position: usize,
}

struct Case<'a> {
    client: &'a Client,
    model: Machine,
    claims: Vec<Claim>,
    steps: usize,
    published: usize,
    seen: &'a Seen,
}

/// One of `all`, most of the time one of those that `likely` names: those about which most can happen.
fn pick<T>(index: usize, all: &[T], likely: impl Fn(&T) -> bool) -> Option<usize> {
    let favoured: Vec<usize> = (0..all.len()).filter(|&i| likely(&all[i])).collect();
    if !index.is_multiple_of(4) && !favoured.is_empty() {
        return Some(favoured[index / 4 % favoured.len()]);
    }
    (!all.is_empty()).then(|| index / 4 % all.len())
}

impl Case<'_> {
    async fn one(&self, sql: &str) -> Value {
        let row = self.client.query_one(sql, &[]).await;
        row.unwrap_or_else(|error| panic!("{error:?}: {sql}"))
            .get::<_, Option<Value>>(0)
            .unwrap_or_default()
    }

    async fn many(&self, sql: &str) -> Vec<Value> {
        let rows = self.client.query(sql, &[]).await;
        rows.unwrap_or_else(|error| panic!("{error:?}: {sql}"))
            .iter()
            .map(|row| row.get(0))
            .collect()
    }

    /// The answer of a call, and of the model.
    async fn answers(&self, call: &str, wanted: impl Into<Value>) -> (Value, Value) {
        let got = self
            .one(&format!("select to_jsonb(r) from guildhall.{call} r"))
            .await;
        self.saw(call, &got);
        (got, wanted.into())
    }

    /// The same for calls that answer `(outcome, …)`.
    async fn outcomes(&self, call: &str, wanted: &str) -> (Value, Value) {
        let sql = format!("select to_jsonb(r) -> 'outcome' from guildhall.{call} r");
        let got = self.one(&sql).await;
        self.saw(call, &got);
        (got, wanted.into())
    }

    fn saw(&self, call: &str, answer: &Value) {
        let function = call.split('(').next().unwrap_or_default();
        let key = format!("{function} {}", answer.as_str().unwrap_or("row"));
        *self
            .seen
            .lock()
            .expect("no panic holds it")
            .entry(key)
            .or_default() += 1;
    }

    async fn fail(&mut self, index: usize, epoch: i64, retryable: bool) -> (Value, Value) {
        let id = self.model.requests[index].id;
        let wanted = self.model.fail(index, epoch, retryable);
        let error = json!({"code": "x", "detail": "d", "retryable": retryable});
        let answers = self
            .outcomes(&format!("request_fail('{id}', {epoch}, '{error}')"), wanted)
            .await;
        if wanted == "retry" && answers.0 == answers.1 {
            let due =
                format!("select to_jsonb(m.us(next_wake_at)) from guildhall.requests where id = '{id}'");
            let due = self.one(&due).await.as_i64().expect("a retry is due");
            let request = &mut self.model.requests[index];
            let most = (SECOND / 2 * (1 << (request.attempt - 1))).min(30 * SECOND);
            let pause = due - self.model.now;
            assert!(
                pause >= most / 2 - 1 && pause <= most,
                "a pause of {pause} µs after attempt {}",
                request.attempt
            );
            request.wake = Some(due);
        }
        answers
    }

    /// Runs one command on both sides.
    async fn run(&mut self, command: &Command) -> Result<(), String> {
        let model = &self.model;
        let current = |claim: &Claim| {
            let run = &model.runs[claim.run];
            run.status == "running" && run.epoch == claim.epoch
        };
        let leased = |request: &Request| request.state == "leased";
        let epoch_of = |index: usize, older: bool| model.requests[index].epoch - i64::from(older);
        let (got, wanted) = match *command {
            Command::Pass { ms } => {
                self.one(&format!("select to_jsonb(test.pass_time('{ms} ms')::text)"))
                    .await;
                self.model.now += ms * 1000;
                self.model.locks.now = self.model.now;
                return Ok(());
            }
            Command::Heartbeat { ttl_s } => {
                self.model.heartbeat(ttl_s);
                let call = format!(
                    "agent_register('{{\"name\": \"a\", \"skills\": [{{\"id\": \"work\"}}]}}', {ttl_s})"
                );
                self.outcomes(&call, "refreshed").await
            }
            Command::Start => {
                let run = self
                    .one("select r.run from guildhall.run_start(test.new_run(), 'ada', null, null, null, null, null) r")
                    .await;
                let id = run["id"]
                    .as_str()
                    .and_then(|id| id.parse().ok())
                    .ok_or("run_start gave no run")?;
                self.model.start(id, None);
                return Ok(());
            }
            Command::Pause { .. }
            | Command::Publish { .. }
            | Command::ClaimCalls { .. }
            | Command::RenewCall { .. }
            | Command::FinishCall { .. } => self.about_runs(command).await,
            Command::ClaimRun { lease_s, ref then } => {
                let before = self.claims.len();
                self.claim_run(lease_s).await?;
                match then {
                    Some(advance) if self.claims.len() > before => self.advance(before, false, advance).await,
                    _ => return Ok(()),
                }
            }
            Command::Advance {
                claim,
                wrong_position,
                ref advance,
            } => match pick(claim, &self.claims, current) {
                Some(claim) => self.advance(claim, wrong_position, advance).await,
                None => return Ok(()),
            },
            Command::CancelRun { run } => {
                let Some(run) = pick(run, &model.runs, Run::is_open) else {
                    return Ok(());
                };
                let call = format!("run_cancel('{}', 'ada', 'x')", self.model.runs[run].id);
                let wanted = self.model.cancel_run(run);
                self.outcomes(&call, wanted).await
            }
            Command::Submit {
                priority,
                max_attempts,
                timeout_s,
                callback,
            } => {
                let (priority, boost_s) = PRIORITIES[priority as usize];
                let request = json!({"skill": "work", "input": {}, "priority": priority, "max_attempts": max_attempts,
                    "timeout_s": timeout_s, "callback_url": callback.then_some("https://x.example.com")});
                let call = format!(
                    "select r.request from guildhall.request_submit('{request}', 'ada', null, null, '{{}}') r"
                );
                let request = self.one(&call).await;
                self.accepted(
                    &request["id"],
                    max_attempts,
                    Extra {
                        boost: boost_s * SECOND,
                        timeout: timeout_s * SECOND,
                        callback,
                        life: 1,
                        letter: None,
                    },
                )?;
                return Ok(());
            }
            Command::Letter(ref command) => self.letter(command).await?,
            Command::ClaimRequests { limit, lease_s } => {
                let sql = format!(
                    "select c.request -> 'request_id' from guildhall.request_claim('d', {limit}, {lease_s}) c"
                );
                let got = self.many(&sql).await;
                (json!(got), json!(self.model.claim_requests(limit, lease_s)))
            }
            Command::Renew {
                request,
                older,
                lease_s,
            } => {
                let Some(index) = pick(request, &model.requests, leased) else {
                    return Ok(());
                };
                let (id, epoch) = (model.requests[index].id, epoch_of(index, older));
                let wanted = self.model.renew(index, epoch, lease_s);
                self.answers(&format!("request_renew('{id}', {epoch}, {lease_s})"), wanted)
                    .await
            }
            Command::Complete { request, older } => {
                let Some(index) = pick(request, &model.requests, leased) else {
                    return Ok(());
                };
                let (id, epoch) = (model.requests[index].id, epoch_of(index, older));
                let wanted = self.model.complete(index, epoch);
                self.outcomes(&format!("request_complete('{id}', {epoch}, '{{}}')"), wanted)
                    .await
            }
            Command::Fail {
                request,
                older,
                retryable,
            } => {
                let Some(index) = pick(request, &model.requests, leased) else {
                    return Ok(());
                };
                let epoch = epoch_of(index, older);
                self.fail(index, epoch, retryable).await
            }
            Command::CancelRequest { request } => {
                let Some(index) = pick(request, &model.requests, leased) else {
                    return Ok(());
                };
                let call = format!("request_cancel('{}', 'ada', 'x')", model.requests[index].id);
                let wanted = self.model.cancel_request(index);
                self.outcomes(&call, wanted).await
            }
            Command::Decide {
                approval,
                by,
                person,
                approve,
            } => {
                let pending = |approval: &Approval| approval.state == "pending";
                let Some(index) = pick(approval, &model.approvals, pending) else {
                    return Ok(());
                };
                let kind = if person { "person" } else { "service" };
                let decision = if approve { "approve" } else { "reject" };
                let call = format!(
                    "approval_decide('{}', '{by}', '{kind}', '{decision}', null)",
                    model.approvals[index].id
                );
                let wanted = self.model.decide(index, by, person, approve);
                self.outcomes(&call, wanted).await
            }
            Command::Consume {
                approval,
                request,
                older,
                same_action,
            } => {
                let held = |run: usize| {
                    move |request: &Request| request.state == "leased" && request.run == Some(run)
                };
                let usable = |approval: &Approval| {
                    approval.state == "approved" && model.requests.iter().any(held(approval.run))
                };
                let Some(approval) = pick(approval, &model.approvals, usable) else {
                    return Ok(());
                };
                let Some(request) = pick(request, &model.requests, held(model.approvals[approval].run))
                else {
                    return Ok(());
                };
                let epoch = epoch_of(request, older);
                let (id, by) = (model.approvals[approval].id, model.requests[request].id);
                let action = json!({"n": if same_action { 1 } else { 2 }});
                let wanted = self.model.consume(approval, request, epoch, same_action);
                self.outcomes(
                    &format!("approval_consume('{id}', '{action}', '{by}', {epoch})"),
                    wanted,
                )
                .await
            }
            Command::Lock(ref command) => {
                let answers = self.lock(command).await?;
                self.model.take_notice();
                answers
            }
            Command::Tick => {
                let wanted = self.model.tick();
                self.answers("ticker_tick('t', 5)", wanted).await
            }
        };
        if got == wanted {
            Ok(())
        } else {
            Err(format!("answered {got}, wanted {wanted}"))
        }
    }

    async fn compare(&self) -> Result<(), String> {
        let (got, wanted) = (self.one(STATE).await, self.model.state());
        if got == wanted {
            return Ok(());
        }
        let mut differences = Vec::new();
        for (part, wanted) in wanted.as_object().into_iter().flatten() {
            let got = &got[part];
            match (got.as_object(), wanted.as_object()) {
                (Some(rows), Some(_)) => {
                    for (key, row) in rows
                        .iter()
                        .filter(|(key, row)| wanted.get(key.as_str()) != Some(row))
                    {
                        differences.push(format!("{part} {key}: {row}, wanted {}", wanted[key]));
                    }
                }
                _ if got != wanted => differences.push(format!("{part}: {got}, wanted {wanted}")),
                _ => {}
            }
        }
        Err(differences.join("; "))
    }
}

/// Runs `commands` from the beginning; why they do not agree.
pub async fn run(client: &Client, commands: &[Command], seen: &Seen) -> Result<(), String> {
    let mut case = Case {
        client,
        model: Machine::default(),
        claims: Vec::new(),
        steps: 0,
        published: 0,
        seen,
    };
    case.one("select to_jsonb(r) from guildhall.agent_register('{\"name\": \"a\", \"skills\": [{\"id\": \"work\"}]}', 60) r")
        .await;
    case.one("select to_jsonb(true) from test.workflow()").await;
    case.model.audited = 1;
    case.model.emitted = true;
    case.model.agent_until = 60 * SECOND;
    for (number, command) in commands.iter().enumerate() {
        let wrong = |why: String| format!("command {number}, {command:?}: {why}");
        case.run(command).await.map_err(wrong)?;
        case.compare().await.map_err(wrong)?;
    }
    let broken = case
        .many("select to_jsonb(b) from test.broken_invariants() b")
        .await;
    if broken.is_empty() {
        Ok(())
    } else {
        Err(format!("{broken:?}"))
    }
}
