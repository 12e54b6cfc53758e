//! What the clients, the agents and the readers write down.

use guildhall_testkit::history::{
    events::{Event, Position},
    locks::{Section, Write},
    requests::{Accepted, Execution},
};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The record of one run.
#[derive(Debug, Default)]
pub struct Record {
    stopped: AtomicBool,
    until: OnceLock<Position>,
    register: Mutex<Register>,
    lists: Mutex<Lists>,
}

/// What a lock guards outside of Postgres: it takes a write under the highest token that it has seen, or a higher one.
#[derive(Debug, Default)]
struct Register {
    highest: BTreeMap<String, i64>,
    writes: Vec<Write>,
}

/// The record's lists.
#[derive(Debug, Default)]
pub struct Lists {
    /// Who was inside when.
    pub sections: Vec<Section>,
    /// What was answered to submissions.
    pub accepted: Vec<Accepted>,
    /// What agents were called for.
    pub executions: Vec<Execution>,
    /// What readers saw, by connection.
    pub read: Vec<Vec<Event>>,
    /// How often something happened.
    pub counts: BTreeMap<&'static str, usize>,
}

/// Microseconds since 1970, by the clock that Postgres goes by too.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Record {
    /// Whether clients are to go on.
    pub fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }

    /// Clients finish what they do.
    pub fn stop_clients(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Readers stop once they have read so far.
    pub fn stop_readers(&self, until: Position) {
        let _ = self.until.set(until);
    }

    /// How far readers have to read, once that is known.
    pub fn until(&self) -> Option<Position> {
        self.until.get().copied()
    }

    /// Writes to what the lock guards; it decides whether the token will do.
    pub fn write(&self, resource: &str, token: i64) {
        let mut register = open(&self.register);
        let highest = register.highest.entry(resource.to_owned()).or_default();
        let accepted = token >= *highest;
        *highest = token.max(*highest);
        register.writes.push(Write {
            resource: resource.to_owned(),
            token,
            at_us: now_us(),
            accepted,
        });
    }

    /// All writes so far, in their order.
    pub fn writes(&self) -> Vec<Write> {
        open(&self.register).writes.clone()
    }

    /// The lists, for a moment.
    pub fn lists(&self) -> MutexGuard<'_, Lists> {
        open(&self.lists)
    }

    /// Counts something.
    pub fn count(&self, what: &'static str) {
        *self.lists().counts.entry(what).or_default() += 1;
    }
}
