//! What runs are meant to do: told in an inbox, claimed with what happened, advanced with commands. Times as in the machine.

use super::machine::{Machine, SECOND};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const DAY: i64 = 86_400 * SECOND;

#[derive(Clone, Debug, Default)]
pub struct Run {
    pub id: Uuid,
    pub status: &'static str,
    pub suspended: bool,
    pub epoch: i64,
    pub lease: Option<i64>,
    pub wake: Option<i64>,
    pub born: i64,
    /// What each entry is, with the number of the command that it answers.
    pub journal: Vec<(&'static str, i64)>,
    /// How much of it the snapshot knows.
    pub snapshot: usize,
    pub timers: Vec<(i64, i64)>,
    /// What it listens for.
    pub listens: Vec<(i64, &'static str)>,
    /// The run that started it, and which of its commands waits.
    pub parent: Option<(usize, Option<i64>)>,
}

/// Something that happened to a run, in its inbox.
#[derive(Clone, Debug)]
pub struct Told {
    pub run: usize,
    pub at: i64,
    pub event: &'static str,
    pub seq: i64,
}

/// A call over HTTP.
#[derive(Clone, Debug)]
pub struct Call {
    pub run: usize,
    pub seq: i64,
    pub state: &'static str,
    pub epoch: i64,
    pub lease: Option<i64>,
    pub wake: Option<i64>,
}

impl Run {
    pub fn is_open(&self) -> bool {
        matches!(self.status, "pending" | "running" | "waiting")
    }
}

impl Machine {
    pub fn start(&mut self, id: Uuid, parent: Option<(usize, Option<i64>)>) {
        self.emitted = true;
        self.runs.push(Run {
            id,
            status: "pending",
            wake: Some(self.now),
            born: self.now,
            journal: vec![("run_started", 0)],
            parent,
            ..Run::default()
        });
    }

    pub fn tell(&mut self, run: usize, event: &'static str, seq: i64) {
        let at = self.now;
        self.told.push(Told { run, at, event, seq });
    }

    /// Tells runs what became of their locks.
    pub fn take_notice(&mut self) {
        for (run, event, seq) in std::mem::take(&mut self.locks.told) {
            self.tell(run, event, seq);
        }
    }

    fn is_free_for_all(&self, run: usize) -> bool {
        self.runs[run].is_open() && Self::is_free(self.runs[run].lease, self.now)
    }

    pub fn run_is_due(&self, run: usize) -> bool {
        self.is_free_for_all(run) && self.runs[run].wake.is_some_and(|wake| wake <= self.now)
    }

    pub fn run_is_told(&self, run: usize) -> bool {
        self.is_free_for_all(run) && self.told.iter().any(|told| told.run == run)
    }

    /// The runs that a claim may give: those that have waited longest, by their time or by their inbox.
    pub fn claimable(&self) -> Vec<usize> {
        let due: Vec<usize> = (0..self.runs.len()).filter(|&run| self.run_is_due(run)).collect();
        let since = due.iter().filter_map(|&run| self.runs[run].wake).min();
        let told: Vec<&Told> = self
            .told
            .iter()
            .filter(|told| self.is_free_for_all(told.run))
            .collect();
        match (told.first().map(|told| told.at), since) {
            (Some(told_at), since) if since.is_none_or(|since| since >= told_at) => {
                // Of what one statement told to several, the order is nobody's business.
                let first = told.iter().filter(|told| told.at == told_at);
                first.map(|told| told.run).collect()
            }
            _ => due
                .into_iter()
                .filter(|&run| self.runs[run].wake == since)
                .collect(),
        }
    }

    /// Leases a run; what is new to its engine.
    pub fn claim(&mut self, index: usize, lease_s: i64) -> Vec<(&'static str, i64)> {
        let until = self.now + lease_s * SECOND;
        let mut happened: Vec<(i64, i64, i64, &'static str, i64)> = Vec::new();
        let mut place = 0;
        self.told.retain(|told| {
            if told.run == index {
                place += 1;
                happened.push((told.at, 0, place, told.event, told.seq));
            }
            told.run != index
        });
        let (now, run) = (self.now, &mut self.runs[index]);
        let fired = run.timers.iter().filter(|(_, due)| *due <= now);
        happened.extend(fired.map(|(seq, due)| (*due, 1, *seq, "fired", *seq)));
        run.timers.retain(|(_, due)| *due > now);
        happened.sort_unstable();
        run.journal
            .extend(happened.into_iter().map(|(_, _, _, event, seq)| (event, seq)));
        (run.status, run.epoch, run.lease) = ("running", run.epoch + 1, Some(until));
        run.wake = run.wake.map(|wake| wake.min(until));
        run.journal[run.snapshot.max(1)..].to_vec()
    }

    /// What an advance under this claim answers, before its commands.
    pub fn advance(&mut self, index: usize, epoch: i64, position: usize) -> &'static str {
        let now = self.now;
        let run = &mut self.runs[index];
        if run.status != "running"
            || run.epoch != epoch
            || run.lease.is_some_and(|lease| lease <= now)
            || run.journal.len() != position
        {
            return "stale";
        }
        run.snapshot = position;
        "advanced"
    }

    /// After its commands, unless they ended it.
    pub fn rest(&mut self, index: usize, suspended: bool) {
        let now = self.now;
        let run = &mut self.runs[index];
        let timer = run.timers.iter().map(|(_, due)| *due).min();
        (run.status, run.lease, run.suspended) = ("waiting", None, suspended);
        run.wake = Some(timer.map_or(now + DAY, |timer| timer.min(now + DAY)));
    }

    /// The numbers of commands that something open in the run has, in no order of note.
    pub fn open_in(&self, run: usize) -> Vec<i64> {
        let requests = self
            .requests
            .iter()
            .filter(|r| r.run == Some(run) && r.is_open())
            .map(|r| r.seq);
        let approvals = self
            .approvals
            .iter()
            .filter(|a| a.run == run && a.state == "pending")
            .map(|a| a.seq);
        let calls = self
            .calls
            .iter()
            .filter(|c| c.run == run && c.wake.is_some())
            .map(|c| c.seq);
        let children = self
            .runs
            .iter()
            .filter(|child| child.is_open())
            .filter_map(|child| match child.parent {
                Some((parent, seq)) if parent == run => seq,
                _ => None,
            });
        let timers = self.runs[run].timers.iter().map(|(seq, _)| *seq);
        let listens = self.runs[run].listens.iter().map(|(seq, _)| *seq);
        let locks = self.locks.of_run(run);
        requests
            .chain(approvals)
            .chain(calls)
            .chain(children)
            .chain(timers)
            .chain(listens)
            .chain(locks)
            .collect()
    }

    /// Takes back whatever has this number.
    pub fn withdraw(&mut self, run: usize, seq: i64) {
        self.runs[run].timers.retain(|(timer, _)| *timer != seq);
        self.runs[run].listens.retain(|(listen, _)| *listen != seq);
        let is_it = |of: Option<usize>, number: i64| of == Some(run) && number == seq;
        for request in self
            .requests
            .iter_mut()
            .filter(|r| is_it(r.run, r.seq) && r.is_open())
        {
            (request.state, request.lease, request.wake) = ("cancelled", None, None);
            self.emitted = true;
        }
        for approval in self
            .approvals
            .iter_mut()
            .filter(|a| is_it(Some(a.run), a.seq) && a.state == "pending")
        {
            approval.state = "cancelled";
            self.emitted = true;
        }
        for call in self
            .calls
            .iter_mut()
            .filter(|c| is_it(Some(c.run), c.seq) && c.wake.is_some())
        {
            (call.state, call.lease, call.wake) = ("cancelled", None, None);
        }
        let child = self
            .runs
            .iter()
            .position(|child| child.is_open() && child.parent == Some((run, Some(seq))));
        if let Some(child) = child {
            self.tell(child, "cancel", 0);
        }
        self.locks.let_go(run, Some(seq));
        self.take_notice();
    }

    pub fn finish_run(&mut self, index: usize, status: &'static str) {
        self.emitted = true;
        for request in self
            .requests
            .iter_mut()
            .filter(|r| r.run == Some(index) && r.is_open())
        {
            (request.state, request.lease, request.wake) = ("cancelled", None, None);
        }
        for approval in self
            .approvals
            .iter_mut()
            .filter(|a| a.run == index && a.state == "pending")
        {
            approval.state = "cancelled";
        }
        for call in self
            .calls
            .iter_mut()
            .filter(|c| c.run == index && c.wake.is_some())
        {
            (call.state, call.lease, call.wake) = ("cancelled", None, None);
        }
        self.locks.let_go(index, None);
        self.take_notice();
        for child in 0..self.runs.len() {
            let waits = matches!(self.runs[child].parent, Some((parent, Some(_))) if parent == index);
            if waits && self.runs[child].is_open() {
                self.tell(child, "cancel", 0);
            }
        }
        self.told.retain(|told| told.run != index);
        let run = &mut self.runs[index];
        run.journal.push((status, 0));
        run.timers.clear();
        run.listens.clear();
        (run.status, run.suspended, run.lease, run.wake) = (&status["run_".len()..], false, None, None);
        run.epoch += i64::from(run.status == "cancelled");
        if let Some((parent, Some(seq))) = run.parent {
            let event = if run.status == "completed" {
                "completed"
            } else {
                "failed"
            };
            self.tell(parent, event, seq);
        }
    }

    pub fn cancel_run(&mut self, run: usize) -> &'static str {
        if !self.runs[run].is_open() {
            return "already_ended";
        }
        self.audited += 1;
        self.finish_run(run, "run_cancelled");
        "cancelled"
    }

    pub fn pause(&mut self, run: usize) -> &'static str {
        if !self.runs[run].is_open() {
            return "ended";
        }
        self.audited += 1;
        self.tell(run, "pause", 0);
        "accepted"
    }

    pub fn publish(&mut self, kind: &str) -> usize {
        let fits: Vec<usize> = (0..self.runs.len())
            .filter(|&run| self.runs[run].listens.iter().any(|(_, listens)| *listens == kind))
            .collect();
        for run in &fits {
            self.tell(*run, "delivered", 0);
        }
        fits.len()
    }

    /// What was told to runs that have ended is forgotten.
    pub fn forget_told(&mut self) {
        let open: Vec<bool> = self.runs.iter().map(Run::is_open).collect();
        self.told.retain(|told| open[told.run]);
    }

    fn end_call(&mut self, index: usize, state: &'static str) {
        let call = &mut self.calls[index];
        (call.state, call.lease, call.wake) = (state, None, None);
        let (run, seq) = (call.run, call.seq);
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

    pub fn sweep_calls(&mut self) {
        let mut lost: Vec<usize> = (0..self.calls.len())
            .filter(|&index| {
                let call = &self.calls[index];
                call.state == "leased" && call.epoch >= 5 && call.lease.is_some_and(|lease| lease <= self.now)
            })
            .collect();
        lost.sort_by_key(|&index| {
            (
                self.calls[index].wake,
                self.runs[self.calls[index].run].id,
                self.calls[index].seq,
            )
        });
        for index in lost {
            self.end_call(index, "failed");
        }
    }

    /// Claims up to `limit` calls; which, sorted.
    pub fn claim_calls(&mut self, limit: usize, lease_s: i64) -> Vec<(String, i64)> {
        self.sweep_calls();
        let (now, until) = (self.now, Some(self.now + lease_s * SECOND));
        let mut due: Vec<usize> = (0..self.calls.len())
            .filter(|&index| {
                let call = &self.calls[index];
                call.wake.is_some_and(|wake| wake <= now) && Self::is_free(call.lease, now)
            })
            .collect();
        due.sort_by_key(|&index| {
            (
                self.calls[index].wake,
                self.runs[self.calls[index].run].id,
                self.calls[index].seq,
            )
        });
        due.truncate(limit);
        let mut given = Vec::new();
        for index in due {
            let call = &mut self.calls[index];
            (call.state, call.epoch, call.lease, call.wake) = ("leased", call.epoch + 1, until, until);
            given.push((self.runs[call.run].id.to_string(), call.seq));
        }
        given.sort_unstable();
        given
    }

    pub fn renew_call(&mut self, index: usize, epoch: i64, lease_s: i64) -> &'static str {
        let now = self.now;
        let call = &mut self.calls[index];
        if call.state != "leased" || call.epoch != epoch || Self::is_free(call.lease, now) {
            return "stale";
        }
        call.lease = call.lease.max(Some(now + lease_s * SECOND));
        "renewed"
    }

    pub fn finish_call(&mut self, index: usize, epoch: i64, fails: bool) -> &'static str {
        let state = if fails { "failed" } else { "succeeded" };
        let call = &self.calls[index];
        if call.epoch != epoch || (call.state != "leased" && call.state != state) {
            return "stale";
        }
        if call.state == "leased" {
            self.end_call(index, state);
        }
        "finished"
    }

    pub fn runs_state(&self) -> BTreeMap<String, Value> {
        let inbox = |index: usize| {
            let told = self.told.iter().filter(|told| told.run == index);
            told.map(|told| told.event).collect::<Vec<_>>().join(" ")
        };
        let state = |(index, r): (usize, &Run)| {
            let journal: Vec<_> = r.journal.iter().map(|(kind, _)| *kind).collect();
            let timers: Vec<_> = r.timers.iter().map(|(_, due)| *due).collect();
            let row = json!([
                r.status,
                r.suspended,
                r.epoch,
                r.lease,
                r.wake,
                journal.join(" "),
                inbox(index),
                timers.len()
            ]);
            (r.id.to_string(), row)
        };
        self.runs.iter().enumerate().map(state).collect()
    }

    pub fn calls_state(&self) -> BTreeMap<String, Value> {
        let state = |c: &Call| {
            let key = format!("{} {}", self.runs[c.run].id, c.seq);
            (key, json!([c.state, c.epoch, c.lease, c.wake]))
        };
        self.calls.iter().map(state).collect()
    }
}
