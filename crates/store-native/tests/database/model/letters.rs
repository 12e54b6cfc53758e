//! What broadcasts, dead letters and callbacks are meant to do.

use super::machine::{Machine, Request, SECOND};
use uuid::Uuid;

/// What only requests of no run have.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// By how much its priority makes it seem to have come earlier.
    pub boost: i64,
    /// How long it may take.
    pub timeout: i64,
    /// Whether its end is to be told to a URL.
    pub callback: bool,
    /// Which life it is, from 1.
    pub life: i64,
    /// What became of it as a dead letter.
    pub letter: Option<&'static str>,
}

/// An end that is to be told to a URL.
#[derive(Clone, Debug)]
pub struct Callback {
    pub request: Uuid,
    pub state: &'static str,
    pub attempts: i64,
    pub epoch: i64,
    pub leased: bool,
    pub wake: Option<i64>,
}

/// A broadcast under a key, and what it asked.
#[derive(Clone, Debug)]
pub struct Broadcast {
    pub key: &'static str,
    pub fingerprint: &'static str,
}

impl Machine {
    /// What asking for a new life answers; after `retried` the caller inserts [`Machine::reborn`].
    pub fn retry(&mut self, index: usize) -> &'static str {
        let extra = &mut self.requests[index].extra;
        if extra.letter != Some("open") {
            return "no_letter";
        }
        if extra.life >= 10 {
            return "exhausted";
        }
        extra.letter = Some("retried");
        self.audited += 1;
        "retried"
    }

    /// The new life of a dead letter.
    pub fn reborn(&self, index: usize, id: Uuid) -> Request {
        let old = &self.requests[index];
        Request {
            id,
            run: None,
            seq: 0,
            queue_at: self.now - old.extra.boost,
            deadline: self.now + old.extra.timeout,
            state: "queued",
            attempt: 0,
            max_attempts: old.max_attempts,
            epoch: 0,
            lease: None,
            wake: Some(self.now),
            extra: Extra {
                life: old.extra.life + 1,
                letter: None,
                ..old.extra.clone()
            },
        }
    }

    pub fn discard(&mut self, index: usize) -> &'static str {
        let letter = &mut self.requests[index].extra.letter;
        if *letter != Some("open") {
            return "no_letter";
        }
        *letter = Some("discarded");
        self.audited += 1;
        "discarded"
    }

    /// What a broadcast answers; after `accepted` the caller inserts the one agent's request.
    pub fn broadcast(
        &mut self,
        key: Option<&'static str>,
        fingerprint: &'static str,
        excluded: bool,
    ) -> &'static str {
        if let Some(same) = self.broadcasts.iter().find(|b| Some(b.key) == key) {
            return if same.fingerprint == fingerprint {
                "exists"
            } else {
                "conflict"
            };
        }
        if self.agent_until <= self.now {
            return "unknown_skill";
        }
        if excluded {
            return "nobody";
        }
        self.emitted = true;
        if let Some(key) = key {
            self.broadcasts.push(Broadcast { key, fingerprint });
        }
        "accepted"
    }

    /// Claims up to `limit` callbacks; whose they are.
    pub fn claim_callbacks(&mut self, limit: usize, lease_s: i64) -> Vec<Uuid> {
        let now = self.now;
        let mut due: Vec<&mut Callback> = self
            .callbacks
            .iter_mut()
            .filter(|callback| callback.wake.is_some_and(|wake| wake <= now))
            .collect();
        due.sort_by_key(|callback| (callback.wake, callback.request));
        let mut claimed: Vec<Uuid> = Vec::new();
        for callback in due.into_iter().take(limit) {
            callback.epoch += 1;
            callback.attempts += 1;
            callback.leased = true;
            callback.wake = Some(now + lease_s * SECOND);
            claimed.push(callback.request);
        }
        claimed.sort();
        claimed
    }

    /// What a report answers; after `retry` the caller sets when it is due, which is random.
    pub fn report(&mut self, index: usize, epoch: i64, outcome: &str) -> &'static str {
        let callback = &mut self.callbacks[index];
        if callback.state != "pending" || callback.epoch != epoch || !callback.leased {
            return "stale";
        }
        callback.leased = false;
        if outcome == "retry" && callback.attempts < 10 {
            return "retry";
        }
        callback.state = if outcome == "delivered" {
            "delivered"
        } else {
            "failed"
        };
        callback.wake = None;
        self.emitted = true;
        callback.state
    }
}
