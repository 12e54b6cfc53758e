//! What tests start and break: throw-away Postgres, Redis and whole fleets, a proxy with faults, seeds; and checks of
//! what was recorded meanwhile.
//!
//! For tests only. Whatever is started here ends with the test process, even when that is killed, and its files go.

pub mod client;
pub mod fleet;
pub mod history;
pub mod janitor;
pub mod postgres;
pub mod proxy;
pub mod redis;
mod resp;
pub mod seed;
pub mod stub;

pub use client::{Client, Reply};
pub use fleet::Fleet;
pub use postgres::{Database, Postgres};
pub use proxy::{FaultProxy, Toxic};
pub use redis::Redis;
pub use seed::seed;
pub use stub::Stub;
