//! What Guildhall's state machines are meant to do, in plain Rust. Times are microseconds since the test's clock began.

use super::letters::{Broadcast, Callback, Extra};
use super::locks::Locks;
use super::runs::{Call, Run, Told};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

pub const SECOND: i64 = 1_000_000;
/// How many attempts the agent takes at the same time.
pub const ROOM: usize = 16;

#[derive(Clone, Debug)]
pub struct Request {
    pub id: Uuid,
    pub run: Option<usize>,
    /// The number of the run's command that asks; 0 outside runs.
    pub seq: i64,
    pub queue_at: i64,
    pub deadline: i64,
    pub state: &'static str,
    pub attempt: i64,
    pub max_attempts: i64,
    pub epoch: i64,
    pub lease: Option<i64>,
    pub wake: Option<i64>,
    pub extra: Extra,
}

#[derive(Clone, Debug)]
pub struct Approval {
    pub id: Uuid,
    pub run: usize,
    pub seq: i64,
    pub state: &'static str,
    pub expires: i64,
    pub decided_by: Option<&'static str>,
    pub consumed_by: Option<usize>,
}

/// As what the one agent was told of last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known {
    #[default]
    Live,
    Suspect,
    Offline,
}

#[derive(Clone, Debug, Default)]
pub struct Machine {
    pub now: i64,
    pub agent_until: i64,
    pub agent_known: Known,
    pub runs: Vec<Run>,
    pub told: Vec<Told>,
    pub calls: Vec<Call>,
    pub requests: Vec<Request>,
    pub approvals: Vec<Approval>,
    pub broadcasts: Vec<Broadcast>,
    pub callbacks: Vec<Callback>,
    pub locks: Locks,
    pub audited: i64,
    pub emitted: bool,
}

impl Request {
    pub fn is_open(&self) -> bool {
        matches!(self.state, "queued" | "leased")
    }

    /// Whether an attempt under `epoch` may still report.
    fn is_held(&self, epoch: i64, now: i64) -> bool {
        self.state == "leased" && self.epoch == epoch && self.deadline > now
    }
}

impl Machine {
    pub fn is_free(lease: Option<i64>, now: i64) -> bool {
        lease.is_none_or(|lease| lease <= now)
    }

    pub fn insert_request(&mut self, request: Request) {
        self.emitted = true;
        self.requests.push(request);
    }

    pub fn insert_approval(&mut self, approval: Approval) {
        self.emitted = true;
        self.approvals.push(approval);
    }

    fn finish_request(&mut self, index: usize, state: &'static str) {
        self.emitted = true;
        let request = &mut self.requests[index];
        (request.state, request.lease, request.wake) = (state, None, None);
        if request.run.is_none() && matches!(state, "dead" | "timed_out") {
            request.extra.letter = Some("open");
        }
        if request.extra.callback {
            self.callbacks.push(Callback {
                request: request.id,
                state: "pending",
                attempts: 0,
                epoch: 0,
                leased: false,
                wake: Some(self.now),
            });
        }
        if let Some(run) = request.run {
            let seq = request.seq;
            self.tell(
                run,
                if state == "succeeded" {
                    "completed"
                } else {
                    "failed"
                },
                seq,
            );
        }
    }

    pub fn sweep_requests(&mut self) {
        for index in 0..self.requests.len() {
            let request = &self.requests[index];
            if !request.is_open() {
                continue;
            }
            if request.deadline <= self.now {
                self.finish_request(index, "timed_out");
            } else if request.attempt >= request.max_attempts
                && request.lease.is_some_and(|lease| lease <= self.now)
            {
                self.finish_request(index, "dead");
            }
        }
    }

    fn request_is_due(&self, request: &Request) -> bool {
        request.wake.is_some_and(|wake| wake <= self.now)
            && Self::is_free(request.lease, self.now)
            && request.deadline > self.now
            && request.attempt < request.max_attempts
            && self.agent_until > self.now
    }

    /// Claims up to `limit` requests; their ids in the order they are given.
    pub fn claim_requests(&mut self, limit: i64, lease_s: i64) -> Vec<Uuid> {
        self.sweep_requests();
        let mut due: Vec<usize> = (0..self.requests.len())
            .filter(|&i| self.request_is_due(&self.requests[i]))
            .collect();
        due.sort_by_key(|&i| (self.requests[i].queue_at, self.requests[i].id));
        // The agent has room for so many attempts; one that is taken over has its place already.
        let mut room = ROOM - self.requests.iter().filter(|r| r.state == "leased").count();
        let mut given = 0;
        due.retain(|&i| {
            let takes_over = self.requests[i].state == "leased";
            let fits = given < limit && (takes_over || room > 0);
            given += i64::from(fits);
            room -= usize::from(fits && !takes_over);
            fits
        });
        let until = Some(self.now + lease_s * SECOND);
        for &index in &due {
            let request = &mut self.requests[index];
            request.state = "leased";
            request.epoch += 1;
            request.attempt += 1;
            (request.lease, request.wake) = (until, until);
        }
        due.into_iter().map(|index| self.requests[index].id).collect()
    }

    pub fn renew(&mut self, index: usize, epoch: i64, lease_s: i64) -> &'static str {
        let now = self.now;
        let request = &mut self.requests[index];
        if !request.is_held(epoch, now) || Self::is_free(request.lease, now) {
            return "stale";
        }
        request.lease = request.lease.max(Some(now + lease_s * SECOND));
        "renewed"
    }

    pub fn complete(&mut self, index: usize, epoch: i64) -> &'static str {
        let request = &self.requests[index];
        if request.state == "succeeded" && request.epoch == epoch {
            return "completed";
        }
        if !request.is_held(epoch, self.now) {
            return "stale";
        }
        self.finish_request(index, "succeeded");
        "completed"
    }

    /// What a failure answers; after `retry` the caller sets when it is due, which is random.
    pub fn fail(&mut self, index: usize, epoch: i64, retryable: bool) -> &'static str {
        let request = &self.requests[index];
        if !request.is_held(epoch, self.now) {
            return "stale";
        }
        if !retryable {
            self.finish_request(index, "failed");
            return "failed";
        }
        if request.attempt >= request.max_attempts {
            self.finish_request(index, "dead");
            return "dead";
        }
        let request = &mut self.requests[index];
        (request.state, request.lease) = ("queued", None);
        "retry"
    }

    pub fn cancel_request(&mut self, index: usize) -> &'static str {
        if !self.requests[index].is_open() {
            return "already_ended";
        }
        self.finish_request(index, "cancelled");
        "cancelled"
    }

    fn finish_approval(&mut self, index: usize, state: &'static str) {
        self.emitted = true;
        self.approvals[index].state = state;
        let (run, seq) = (self.approvals[index].run, self.approvals[index].seq);
        self.tell(
            run,
            if state == "approved" {
                "completed"
            } else {
                "failed"
            },
            seq,
        );
    }

    pub fn decide(&mut self, index: usize, by: &'static str, person: bool, approve: bool) -> &'static str {
        let approval = &self.approvals[index];
        if !person || by.trim().eq_ignore_ascii_case("ada") {
            return "not_eligible";
        }
        match approval.state {
            "pending" if approval.expires <= self.now => {
                self.finish_approval(index, "expired");
                "expired"
            }
            "pending" => {
                self.finish_approval(index, if approve { "approved" } else { "rejected" });
                self.approvals[index].decided_by = Some(by);
                self.audited += 1;
                "decided"
            }
            "expired" => "expired",
            "cancelled" => "cancelled",
            _ => "already_decided",
        }
    }

    pub fn consume(
        &mut self,
        approval: usize,
        request: usize,
        epoch: i64,
        same_action: bool,
    ) -> &'static str {
        let held = &self.requests[request];
        if !held.is_held(epoch, self.now) || Self::is_free(held.lease, self.now) {
            return "stale";
        }
        let given = &mut self.approvals[approval];
        if held.run != Some(given.run) || !same_action {
            return "mismatch";
        }
        match (given.state, given.consumed_by) {
            ("expired", _) => "expired",
            ("approved", Some(by)) if by == request => "consumed",
            ("approved", Some(_)) => "used",
            ("approved", None) if given.expires <= self.now => "expired",
            ("approved", None) => {
                given.consumed_by = Some(request);
                self.audited += 1;
                "consumed"
            }
            _ => "not_approved",
        }
    }

    /// The agent is heard of for `ttl_s` more seconds; its return from offline is told at once.
    pub fn heartbeat(&mut self, ttl_s: i64) {
        self.agent_until = self.now + ttl_s * SECOND;
        self.emitted |= self.agent_known == Known::Offline;
        self.agent_known = Known::Live;
    }

    /// Tells of an agent whose lease ran out, once when it did and once 3 s later, and of one that is suspect no more.
    fn sweep_agent(&mut self) {
        let status = if self.agent_until + 3 * SECOND <= self.now {
            Known::Offline
        } else if self.agent_until <= self.now {
            Known::Suspect
        } else {
            Known::Live
        };
        if self.agent_known != Known::Offline && self.agent_known != status {
            self.agent_known = status;
            self.emitted = true;
        }
    }

    /// Sweeps; what is due afterwards.
    pub fn tick(&mut self) -> Value {
        self.sweep_requests();
        for index in 0..self.approvals.len() {
            if self.approvals[index].state == "pending" && self.approvals[index].expires <= self.now {
                self.finish_approval(index, "expired");
            }
        }
        self.sweep_calls();
        self.forget_told();
        self.locks.sweep();
        self.take_notice();
        self.sweep_agent();
        json!({
            "leader": true,
            "runs_due": (0..self.runs.len()).any(|run| self.run_is_due(run) || self.run_is_told(run)),
            "requests_due": self.requests.iter().any(|request| request.is_open() && self.request_is_due(request)),
            "outbox_due": self.emitted || self.locks.emitted,
            "probes_due": false,
            "calls_due": self.calls.iter().any(|call| call.wake.is_some_and(|wake| wake <= self.now)),
            "callbacks_due": self.callbacks.iter().any(|c| c.wake.is_some_and(|wake| wake <= self.now)),
        })
    }

    /// Everything that the database is compared with.
    pub fn state(&self) -> Value {
        let requests: BTreeMap<_, _> = self
            .requests
            .iter()
            .map(|r| {
                (
                    r.id.to_string(),
                    json!([
                        r.state,
                        r.attempt,
                        r.epoch,
                        r.lease,
                        r.wake,
                        r.deadline,
                        r.extra.life,
                        r.extra.letter
                    ]),
                )
            })
            .collect();
        let approvals: BTreeMap<_, _> = self
            .approvals
            .iter()
            .map(|a| {
                let consumed_by = a.consumed_by.map(|request| self.requests[request].id);
                (a.id.to_string(), json!([a.state, a.decided_by, consumed_by]))
            })
            .collect();
        let callbacks: BTreeMap<_, _> = self
            .callbacks
            .iter()
            .map(|c| {
                (
                    c.request.to_string(),
                    json!([c.state, c.attempts, c.epoch, c.wake]),
                )
            })
            .collect();
        json!({
            "now": self.now, "runs": self.runs_state(), "calls": self.calls_state(), "requests": requests, "approvals": approvals, "callbacks": callbacks,
            "locks": self.locks.state(), "audited": self.audited + self.locks.audited,
        })
    }
}
