//! What locks are meant to do: names in a tree, modes, a queue, hand-over, deadlocks. Times as in the machine.

use super::machine::SECOND;
use super::run_locks::{Blocker, OfRun};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A resource and whether it is wanted exclusively.
pub type Want = (&'static str, bool);

#[derive(Clone, Debug)]
pub struct Grant {
    pub resource: &'static str,
    pub token: i64,
    pub exclusive: bool,
    pub holder: &'static str,
    /// The run that has it.
    pub run: Option<usize>,
    pub depth: i64,
    pub expires: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Waiting,
    Granted(Vec<i64>, i64),
    Deadlock,
}

#[derive(Clone, Debug)]
pub struct Waiter {
    pub ticket: i64,
    pub holder: &'static str,
    pub priority: i64,
    pub ttl: i64,
    pub wants: Vec<Want>,
    pub requested: i64,
    pub deadline: i64,
    pub wake: i64,
    pub state: State,
    pub of_run: Option<OfRun>,
}

/// Terms of an acquire.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub holder: &'static str,
    pub priority: i64,
    pub ttl_s: i64,
    pub wait_s: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Locks {
    pub now: i64,
    pub tokens: BTreeMap<&'static str, i64>,
    pub grants: Vec<Grant>,
    pub waiters: Vec<Waiter>,
    /// Rows of the history: grants ended, and resources waited for in vain.
    pub ended: i64,
    /// Whether something happened that is told as an event.
    pub emitted: bool,
    pub audited: i64,
    /// What runs are told: which, of what, and the number of the command.
    pub told: Vec<(usize, &'static str, i64)>,
}

pub(super) fn root(resource: &str) -> &str {
    resource.split('/').next().unwrap_or(resource)
}

fn conflicts(one: Want, other: Want) -> bool {
    let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    (one.1 || other.1) && (one.0 == other.0 || below(one.0, other.0) || below(other.0, one.0))
}

impl Waiter {
    pub(super) fn waits(&self) -> bool {
        self.state == State::Waiting
    }

    pub(super) fn roots(&self) -> BTreeSet<&'static str> {
        self.wants.iter().map(|want| root(want.0)).collect()
    }
}

impl Locks {
    /// Who stands in the way: the ticket of one that waits, or the holder of a grant.
    pub(super) fn blockers(
        &self,
        want: Want,
        holder: &str,
        priority: i64,
        ticket: Option<i64>,
    ) -> Vec<Blocker> {
        let mut found: Vec<_> = self
            .grants
            .iter()
            .filter(|g| g.holder != holder && conflicts(want, (g.resource, g.exclusive)))
            .map(|g| Blocker {
                ticket: None,
                holder: g.holder,
                run: g.run,
                resource: g.resource,
            })
            .collect();
        let tree = root(want.0);
        let queue = || {
            self.waiters
                .iter()
                .filter(|w| w.waits() && w.holder != holder)
                .flat_map(|w| w.wants.iter().map(move |other| (w, *other)))
                .filter(|(_, other)| root(other.0) == tree)
        };
        let is_waited_for = self
            .grants
            .iter()
            .filter(|g| g.holder == holder && root(g.resource) == tree)
            .any(|g| queue().any(|(_, other)| conflicts(other, (g.resource, g.exclusive))));
        if !is_waited_for {
            let ahead = |w: &Waiter| {
                w.priority > priority || (w.priority == priority && ticket.is_none_or(|mine| w.ticket < mine))
            };
            found.extend(
                queue()
                    .filter(|(w, other)| conflicts(want, *other) && ahead(w))
                    .map(|(w, other)| Blocker {
                        ticket: Some(w.ticket),
                        holder: w.holder,
                        run: w.of_run.as_ref().map(|of| of.run),
                        resource: other.0,
                    }),
            );
        }
        found
    }

    fn is_blocked(&self, waiter: &Waiter) -> bool {
        waiter.wants.iter().any(|want| {
            !self
                .blockers(*want, waiter.holder, waiter.priority, Some(waiter.ticket))
                .is_empty()
        })
    }

    fn expire(&mut self, roots: &BTreeSet<&'static str>) {
        let before = self.grants.len();
        let now = self.now;
        self.grants
            .retain(|g| !roots.contains(root(g.resource)) || g.expires > now);
        let over = before - self.grants.len();
        self.emitted |= over > 0;
        self.ended += over as i64;
    }

    pub(super) fn give(&mut self, want: Want, holder: &'static str, run: Option<usize>, expires: i64) -> i64 {
        let before = self.grants.len();
        let now = self.now;
        self.emitted |= self
            .grants
            .iter()
            .any(|g| g.resource == want.0 && g.holder == holder && g.expires <= now);
        self.grants.retain(|g| g.resource != want.0 || g.holder != holder);
        self.ended += (before - self.grants.len()) as i64;
        let token = self.tokens.entry(want.0).or_default();
        *token += 1;
        let token = *token;
        self.grants.push(Grant {
            resource: want.0,
            token,
            exclusive: want.1,
            holder,
            run,
            depth: 1,
            expires,
        });
        token
    }

    pub(super) fn settle(&mut self, roots: &BTreeSet<&'static str>) {
        self.expire(roots);
        let mut queue: Vec<(i64, i64)> = self
            .waiters
            .iter()
            .filter(|w| w.waits() && w.roots().intersection(roots).next().is_some())
            .map(|w| (-w.priority, w.ticket))
            .collect();
        queue.sort_unstable();
        let mut closed: BTreeSet<&str> = BTreeSet::new();
        for (_, ticket) in queue {
            let place = self.place(ticket).expect("it is in the queue");
            let waiter = self.waiters[place].clone();
            let holds = self
                .grants
                .iter()
                .any(|g| g.holder == waiter.holder && roots.contains(root(g.resource)));
            let free = waiter.wake > self.now
                && (holds || !waiter.wants.iter().any(|want| closed.contains(want.0)))
                && !self.is_blocked(&waiter);
            if free {
                self.waiters[place].state = State::Granted(Vec::new(), self.now);
                let term = waiter.of_run.as_ref().map_or(waiter.ttl.min(5), |_| waiter.ttl);
                let until = self.now + term * SECOND;
                let run = waiter.of_run.as_ref().map(|of| of.run);
                let tokens = waiter
                    .wants
                    .iter()
                    .map(|want| self.give(*want, waiter.holder, run, until))
                    .collect();
                self.waiters[place].state = State::Granted(tokens, self.now);
                self.waiters[place].wake = until;
                if let Some(of) = &waiter.of_run {
                    self.told.push((of.run, "granted", of.seq));
                    self.waiters.remove(place);
                }
            }
            closed.extend(waiter.wants.iter().filter(|want| want.1).map(|want| want.0));
        }
    }

    fn place(&self, ticket: i64) -> Option<usize> {
        self.waiters.iter().position(|w| w.ticket == ticket)
    }

    /// Of one that polls: nobody else looks at a run's.
    fn place_of_client(&self, ticket: i64) -> Option<usize> {
        self.place(ticket)
            .filter(|&place| self.waiters[place].of_run.is_none())
    }

    /// The tickets of a shortest cycle through `ticket`.
    fn cycle(&self, ticket: i64) -> Option<Vec<i64>> {
        let mut seen: Vec<(i64, usize)> = vec![(ticket, 0)];
        let mut at = 0;
        while at < seen.len() {
            let waiter = &self.waiters[self.place(seen[at].0)?];
            let mut edges: Vec<(Option<i64>, i64)> = Vec::new();
            for want in &waiter.wants {
                for by in self.blockers(*want, waiter.holder, waiter.priority, Some(waiter.ticket)) {
                    let next = self
                        .waiters
                        .iter()
                        .filter(|n| n.waits() && by.may_wait_as(n, waiter));
                    edges.extend(next.map(|n| (by.ticket, n.ticket)));
                }
            }
            edges.sort_unstable();
            for (_, next) in edges {
                if next == ticket {
                    let mut path = vec![seen[at].0];
                    while at > 0 {
                        at = seen[at].1;
                        path.push(seen[at].0);
                    }
                    return Some(path);
                }
                if !seen.iter().any(|(known, _)| *known == next) {
                    seen.push((next, at));
                }
            }
            at += 1;
        }
        None
    }

    pub(super) fn wait(
        &mut self,
        wants: &[Want],
        terms: Terms,
        ticket: i64,
        of_run: Option<OfRun>,
    ) -> &'static str {
        let now = self.now;
        let waiter = Waiter {
            ticket,
            holder: terms.holder,
            priority: terms.priority,
            ttl: terms.ttl_s,
            wants: wants.to_vec(),
            requested: now,
            deadline: now + terms.wait_s * SECOND,
            wake: now + of_run.as_ref().map_or(terms.wait_s.min(5), |_| terms.wait_s) * SECOND,
            state: State::Waiting,
            of_run,
        };
        let run = waiter.of_run.as_ref().map(|of| of.run);
        let roots = waiter.roots();
        let is_ours =
            |holder: &str, of: Option<usize>| holder == terms.holder || (run.is_some() && of == run);
        let matters = self.grants.iter().any(|g| is_ours(g.holder, g.run))
            || self.waiters.iter().any(|w| {
                is_ours(w.holder, w.of_run.as_ref().map(|of| of.run))
                    || w.waits()
                        && w.priority < terms.priority
                        && w.wants.iter().any(|want| roots.contains(root(want.0)))
            });
        self.waiters.push(waiter);
        let mut others = false;
        while let Some(cycle) = matters.then(|| self.cycle(ticket)).flatten() {
            let victim = cycle
                .iter()
                .filter_map(|ticket| self.place(*ticket))
                .min_by_key(|&place| {
                    let w = &self.waiters[place];
                    let born = w.of_run.as_ref().map_or(w.requested, |of| of.born);
                    (w.priority, -born, -w.ticket)
                })
                .expect("a cycle has members");
            self.emitted = true;
            self.ended += self.waiters[victim].wants.len() as i64;
            if let Some(of) = &self.waiters[victim].of_run {
                self.told.push((of.run, "failed", of.seq));
                // Nobody comes for it but the sweep.
                self.waiters[victim].wake = now;
            }
            if self.waiters[victim].ticket == ticket {
                self.waiters.remove(victim);
                return "deadlock";
            }
            self.waiters[victim].state = State::Deadlock;
            others = true;
        }
        if others {
            self.settle(&roots);
        }
        "waiting"
    }

    /// Takes `wants`, all or nothing. `ticket` is the one that the database gave, if it gave one.
    pub fn acquire(
        &mut self,
        wants: &[Want],
        terms: Terms,
        ticket: Option<i64>,
        alone: bool,
    ) -> &'static str {
        let now = self.now;
        let in_the_way = |g: &Grant| {
            g.holder != terms.holder && g.expires > now && conflicts(wants[0], (g.resource, g.exclusive))
        };
        if alone && terms.wait_s == 0 && self.grants.iter().any(in_the_way) {
            return "held";
        }
        let roots: BTreeSet<_> = wants.iter().map(|want| root(want.0)).collect();
        let is_over = |g: &Grant| roots.contains(root(g.resource)) && g.expires <= now;
        // Whoever comes to a lock that is held changes nothing for those in front, unless a grant has run out meanwhile.
        let changes_nothing = alone && self.grants.iter().any(in_the_way) && !self.grants.iter().any(is_over);
        if !changes_nothing {
            self.settle(&roots);
        }
        let blocked = wants.iter().any(|want| {
            !self
                .blockers(*want, terms.holder, terms.priority, None)
                .is_empty()
        });
        match (blocked, terms.wait_s) {
            (true, 0) => "held",
            (true, _) => self.wait(wants, terms, ticket.unwrap_or(i64::MAX), None),
            (false, _) => {
                for want in wants {
                    self.give(*want, terms.holder, None, now + terms.ttl_s * SECOND);
                }
                "acquired"
            }
        }
    }

    fn grant(&mut self, resource: &str, holder: &str, token: i64) -> Option<usize> {
        let now = self.now;
        self.grants
            .iter()
            .position(|g| g.resource == resource && g.holder == holder && g.token == token && g.expires > now)
    }

    /// Enters a held lock once more, by its token.
    pub fn enter(&mut self, want: Want, holder: &str, token: i64, ttl_s: i64) -> &'static str {
        let until = self.now + ttl_s * SECOND;
        match self.grant(want.0, holder, token) {
            Some(place) if self.grants[place].run.is_none() && (self.grants[place].exclusive || !want.1) => {
                self.grants[place].depth += 1;
                self.grants[place].expires = self.grants[place].expires.max(until);
                "acquired"
            }
            _ => "stale",
        }
    }

    pub fn renew(&mut self, resource: &str, holder: &str, token: i64, ttl_s: i64) -> &'static str {
        let until = self.now + ttl_s * SECOND;
        let Some(place) = self.grant(resource, holder, token) else {
            return "stale";
        };
        self.grants[place].expires = self.grants[place].expires.max(until);
        "renewed"
    }

    pub fn release(&mut self, resource: &'static str, holder: &str, token: i64) -> &'static str {
        let Some(place) = self.grant(resource, holder, token) else {
            return "stale";
        };
        if self.grants[place].depth > 1 {
            self.grants[place].depth -= 1;
            return "left";
        }
        self.grants.remove(place);
        self.ended += 1;
        // Only a queue is a reason to look at the rest of the tree.
        let queue = self
            .waiters
            .iter()
            .any(|w| w.waits() && w.roots().contains(root(resource)));
        if queue {
            self.settle(&BTreeSet::from([root(resource)]));
        }
        "released"
    }

    pub fn force(&mut self, resource: &'static str) -> &'static str {
        let roots = BTreeSet::from([root(resource)]);
        self.expire(&roots);
        let before = self.grants.len();
        self.grants.retain(|g| g.resource != resource);
        let over = before - self.grants.len();
        self.ended += over as i64;
        self.emitted |= over > 0;
        self.audited += i64::from(over > 0);
        self.settle(&roots);
        if over > 0 { "forced" } else { "free" }
    }

    fn collect(&mut self, place: usize) -> &'static str {
        let waiter = self.waiters[place].clone();
        let State::Granted(tokens, at) = &waiter.state else {
            return "timed_out";
        };
        let grants: Vec<_> = waiter
            .wants
            .iter()
            .zip(tokens)
            .filter_map(|(want, token)| self.grant(want.0, waiter.holder, *token))
            .collect();
        if grants.len() < waiter.wants.len() {
            return "timed_out";
        }
        for grant in grants {
            self.grants[grant].expires = self.grants[grant].expires.max(at + waiter.ttl * SECOND);
        }
        self.waiters.remove(place);
        "acquired"
    }

    /// Looks at a wait.
    pub fn status(&mut self, ticket: i64) -> &'static str {
        let now = self.now;
        let Some(place) = self.place_of_client(ticket) else {
            return "timed_out";
        };
        let waiter = &mut self.waiters[place];
        match waiter.state {
            State::Waiting => {
                if waiter.wake < waiter.deadline.min(now + 3 * SECOND) {
                    waiter.wake = waiter.deadline.min(now + 5 * SECOND);
                }
                "waiting"
            }
            State::Granted(..) => self.collect(place),
            State::Deadlock => self.cancel(ticket),
        }
    }

    /// Ends a wait.
    pub fn cancel(&mut self, ticket: i64) -> &'static str {
        let now = self.now;
        let Some(place) = self.place_of_client(ticket) else {
            return "timed_out";
        };
        let waiter = &mut self.waiters[place];
        if waiter.waits() {
            waiter.wake = waiter.deadline.min(now + 5 * SECOND);
        }
        let roots = waiter.roots();
        self.settle(&roots);
        match self.waiters[place].state {
            State::Granted(..) => self.collect(place),
            State::Deadlock => {
                self.waiters.remove(place);
                "deadlock"
            }
            State::Waiting => {
                self.ended += self.waiters.remove(place).wants.len() as i64;
                self.settle(&roots);
                "timed_out"
            }
        }
    }

    pub fn sweep(&mut self) {
        let now = self.now;
        let late: BTreeSet<_> = self
            .grants
            .iter()
            .filter(|g| g.expires <= now)
            .map(|g| root(g.resource))
            .collect();
        for tree in late {
            self.settle(&BTreeSet::from([tree]));
        }
        let mut gone: Vec<_> = self
            .waiters
            .iter()
            .filter(|w| w.wake <= now)
            .map(|w| w.ticket)
            .collect();
        gone.sort_unstable();
        for ticket in gone {
            let Some(place) = self
                .place(ticket)
                .filter(|&place| self.waiters[place].wake <= now)
            else {
                continue;
            };
            let waiter = self.waiters.remove(place);
            if waiter.waits() {
                self.ended += waiter.wants.len() as i64;
            }
            self.settle(&waiter.roots());
        }
    }

    /// What the database is compared with.
    pub fn state(&self) -> Value {
        let mut grants: Vec<_> = self
            .grants
            .iter()
            .map(|g| (g.resource, g.token, g.exclusive, g.holder, g.depth, g.expires))
            .collect();
        grants.sort_unstable();
        let mut waiters: Vec<_> = self
            .waiters
            .iter()
            .map(|w| {
                let state = match w.state {
                    State::Waiting => "waiting",
                    State::Granted(..) => "granted",
                    State::Deadlock => "deadlock",
                };
                (w.ticket, state, w.wake)
            })
            .collect();
        waiters.sort_unstable();
        json!({"tokens": self.tokens, "grants": grants, "waiters": waiters, "ended": self.ended})
    }
}
