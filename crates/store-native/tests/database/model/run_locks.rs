//! What locks of runs are meant to do: held for a task, waited for without patience, told in the run's inbox.

use super::locks::{Locks, Terms, Waiter, Want, root};
use super::machine::SECOND;
use std::collections::BTreeSet;

/// A run's command that waits for locks.
#[derive(Clone, Debug)]
pub struct OfRun {
    pub run: usize,
    pub seq: i64,
    /// When the run was started.
    pub born: i64,
    /// The locks around the task that waits.
    pub fences: Vec<&'static str>,
}

/// As long as anything may last, in seconds.
const FOR_EVER: i64 = 315_360_000;

/// What stands in the way: somebody who waits, by ticket, or a grant.
pub struct Blocker {
    pub ticket: Option<i64>,
    pub holder: &'static str,
    pub run: Option<usize>,
    pub resource: &'static str,
}

impl Blocker {
    /// Whether it is not got rid of while `next` waits, for one who waits for it.
    pub fn may_wait_as(&self, next: &Waiter, waiter: &Waiter) -> bool {
        if let Some(ticket) = self.ticket {
            return next.ticket == ticket;
        }
        let run_of = |w: &Waiter| w.of_run.as_ref().map(|of| of.run);
        next.holder == self.holder
            || (self.run.is_some() && run_of(next) == self.run && run_of(waiter) != self.run)
            || (self.run.is_some()
                && run_of(next) == self.run
                && run_of(waiter) == self.run
                && next
                    .of_run
                    .as_ref()
                    .is_some_and(|of| of.fences.contains(&self.resource)))
    }
}

impl Locks {
    /// Takes exclusive locks for a run's task, or queues for them as long as it takes.
    pub fn acquire_for(
        &mut self,
        of: OfRun,
        holder: &'static str,
        locks: &[&'static str],
        ticket: Option<i64>,
    ) {
        let wants: Vec<Want> = locks.iter().map(|lock| (*lock, true)).collect();
        let roots: BTreeSet<_> = locks.iter().map(|lock| root(lock)).collect();
        self.settle(&roots);
        if wants
            .iter()
            .any(|want| !self.blockers(*want, holder, 1, None).is_empty())
        {
            let terms = Terms {
                holder,
                priority: 1,
                ttl_s: FOR_EVER,
                wait_s: FOR_EVER,
            };
            self.wait(&wants, terms, ticket.unwrap_or(i64::MAX), Some(of));
            return;
        }
        let until = self.now + FOR_EVER * SECOND;
        for want in wants {
            self.give(want, holder, Some(of.run), until);
        }
        self.told.push((of.run, "granted", of.seq));
    }

    /// The numbers of a run's commands that hold locks or wait for them.
    pub fn of_run(&self, run: usize) -> Vec<i64> {
        let number = |holder: &str| holder.rsplit('/').next().and_then(|seq| seq.parse().ok());
        let held = self
            .grants
            .iter()
            .filter(|g| g.run == Some(run))
            .filter_map(|g| number(g.holder));
        let waits = self.waiters.iter().filter_map(|w| w.of_run.as_ref());
        held.chain(waits.filter(|of| of.run == run).map(|of| of.seq))
            .collect()
    }

    /// Ends the locks of a run, or of one of its commands, and its waits for some.
    pub fn let_go(&mut self, run: usize, seq: Option<i64>) {
        let is_it = |of: i64| seq.is_none_or(|seq| seq == of);
        let number = |holder: &str| holder.rsplit('/').next().and_then(|seq| seq.parse().ok());
        let mut roots = BTreeSet::new();
        let mut ended = 0;
        self.grants.retain(|g| {
            let goes = g.run == Some(run) && number(g.holder).is_some_and(is_it);
            if goes {
                roots.insert(root(g.resource));
                ended += 1;
            }
            !goes
        });
        self.waiters.retain(|w| {
            let goes = w.of_run.as_ref().is_some_and(|of| of.run == run && is_it(of.seq));
            if goes {
                roots.extend(w.roots());
                ended += if w.waits() { w.wants.len() as i64 } else { 0 };
            }
            !goes
        });
        self.ended += ended;
        let queue = self
            .waiters
            .iter()
            .any(|w| w.waits() && w.roots().intersection(&roots).next().is_some());
        if queue {
            self.settle(&roots);
        }
    }
}
