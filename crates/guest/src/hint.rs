//! Doorbells for one waiter. A request that waits for something in Postgres sleeps on a list in Redis named after its
//! ticket; whoever makes the wish come true, in whatever replica, rings that ticket. A ring says only "look": the waiter
//! reads Postgres again, and does so at least every [`RECHECK`] without any ring, so that Redis being away, or losing or
//! doubling rings, costs at most that much time.
//!
//! ```text
//! let mut waiter = Waiter::new(ticket);
//! waiter.prepare().await;              // before or beside the statement that begins to wait
//! while !there(&db, ticket).await? && time_is_left { waiter.wait(time_left).await; }
//! ```
//!
//! Tickets are ids of rows, never text from outside.

use crate::{log, time, vars};
use futures::future::join;
use spin_sdk::redis::{Connection, RedisParameter};
use std::{cell::RefCell, rc::Rc, time::Duration};

/// The longest sleep without a look at Postgres.
pub const RECHECK: Duration = Duration::from_secs(1);
/// The most time for connecting and for ringing: `spin:redis` has no limits of its own.
const LIMIT: Duration = Duration::from_secs(2);
/// How long a ring that nobody hears stays, in seconds: the longest that a waiter may be between two sleeps.
const RING_TTL_S: i64 = 60;
/// Most connections that an instance keeps for waiters to come: as many as it serves requests at once.
const KEPT: usize = 16;

thread_local! {
    /// For ringing only. A waiter blocks its connection, so each has its own.
    static BELL: RefCell<Option<Rc<Connection>>> = const { RefCell::new(None) };
    /// Connections of waiters that are done. They go with the instance, which does not outlive its work for long.
    static FREE: RefCell<Vec<Connection>> = const { RefCell::new(Vec::new()) };
    static REDIS: log::Once = log::Once::default();
}

/// One request that waits.
pub struct Waiter {
    key: String,
    connection: Option<Connection>,
    /// Whether Redis still owes the connection an answer.
    owed: bool,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| !self.owed) {
            FREE.with_borrow_mut(|free| {
                if free.len() < KEPT {
                    free.push(connection);
                }
            });
        }
    }
}

impl Waiter {
    /// A waiter for `ticket`; nothing is sent yet.
    pub fn new(ticket: impl std::fmt::Display) -> Waiter {
        Waiter {
            key: key(ticket),
            connection: None,
            owed: false,
        }
    }

    /// Connects, so that the first [`wait`](Self::wait) need not. Failing is not an error: the waiter then sleeps.
    pub async fn prepare(&mut self) {
        if self.connection.is_none() {
            self.connection = FREE.with_borrow_mut(Vec::pop);
        }
        if self.connection.is_none() {
            match connect().await {
                Ok(connection) => self.connection = Some(connection),
                Err(why) => unreachable(&why),
            }
        }
    }

    /// Sleeps until somebody rings, for at most `limit` and never longer than [`RECHECK`]. Gives whether it was rung;
    /// what that means is in Postgres.
    pub async fn wait(&mut self, limit: Duration) -> bool {
        let limit = limit.min(RECHECK);
        let until_ns = time::monotonic_ns() + nanoseconds(limit);
        self.prepare().await;
        if let Some(connection) = &self.connection {
            // Redis takes 0 for "for ever".
            let seconds = format!("{:.3}", limit.as_secs_f64().max(0.001));
            let blocking = connection.execute("BLPOP", [text(&self.key), text(&seconds)]);
            self.owed = true;
            let outcome = time::timeout(limit + LIMIT, blocking).await;
            self.owed = false;
            match outcome {
                Ok(Ok(answer)) => {
                    REDIS.with(|redis| redis.recovered(|| "hints reach their waiters again".into()));
                    if rang(&answer) {
                        return true;
                    }
                }
                Ok(Err(_)) => {
                    self.break_off();
                    unreachable("Redis broke the connection off");
                }
                Err(elapsed) => {
                    self.break_off();
                    unreachable(&format!("Redis did not answer within {:?}", elapsed.0));
                }
            }
        }
        // Whatever is left, so that a Redis that answers at once with nonsense cannot turn waiting into spinning.
        let now_ns = time::monotonic_ns();
        if now_ns < until_ns {
            time::sleep(Duration::from_nanos(until_ns - now_ns)).await;
        }
        false
    }

    /// Lets go of a broken connection, and of those that were kept: what broke one has usually broken all.
    fn break_off(&mut self) {
        self.connection = None;
        FREE.with_borrow_mut(Vec::clear);
    }
}

/// Rings tickets, best effort: a waiter that is not rung looks by itself within [`RECHECK`].
pub async fn ring<T: std::fmt::Display>(tickets: impl IntoIterator<Item = T>) {
    let mut tickets = tickets.into_iter().map(key).peekable();
    if tickets.peek().is_none() {
        return;
    }
    let Some(bell) = bell().await else {
        return;
    };
    for key in tickets {
        // Sent one behind the other on one connection, and answered together.
        let ttl = RING_TTL_S.to_string();
        let ringing = join(
            bell.execute("LPUSH", [text(&key), text("1")]),
            bell.execute("EXPIRE", [text(&key), text(&ttl)]),
        );
        match time::timeout(LIMIT, ringing).await {
            Ok((Ok(_), Ok(_))) => REDIS.with(|redis| redis.recovered(|| "hints reach Redis again".into())),
            Ok(_) => return forget(&bell, "Redis refused a hint"),
            Err(_) => return forget(&bell, "Redis did not take a hint in time"),
        }
    }
}

/// This instance's connection for ringing, kept.
async fn bell() -> Option<Rc<Connection>> {
    if let Some(bell) = BELL.with_borrow(Clone::clone) {
        return Some(bell);
    }
    match connect().await {
        Ok(connection) => {
            let bell = Rc::new(connection);
            BELL.set(Some(bell.clone()));
            Some(bell)
        }
        Err(why) => {
            unreachable(&why);
            None
        }
    }
}

fn forget(broken: &Rc<Connection>, why: &str) {
    BELL.with_borrow_mut(|kept| {
        if kept.as_ref().is_some_and(|bell| Rc::ptr_eq(bell, broken)) {
            *kept = None;
        }
    });
    unreachable(why);
}

fn unreachable(why: &str) {
    REDIS.with(|redis| redis.failing(|| format!("waiters look once a second instead of being rung: {why}")));
}

/// Connects to the Redis of the variable `redis_url`. An error never quotes the address, which may hold a password.
pub async fn connect() -> Result<Connection, String> {
    let address = vars::required("redis_url")
        .await
        .map_err(|problem| problem.detail)?;
    match time::timeout(LIMIT, Connection::open(address)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(_)) => Err("Redis cannot be reached at redis_url".into()),
        Err(_) => Err(format!("Redis did not answer at redis_url within {LIMIT:?}")),
    }
}

fn key(ticket: impl std::fmt::Display) -> String {
    format!("guildhall:hint:{ticket}")
}

fn text(value: &str) -> RedisParameter {
    RedisParameter::Binary(value.as_bytes().to_vec())
}

/// `BLPOP` answers with key and value, or with nothing when the time is up.
fn rang(answer: &[spin_sdk::redis::RedisResult]) -> bool {
    answer
        .iter()
        .any(|part| matches!(part, spin_sdk::redis::RedisResult::Binary(_)))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
