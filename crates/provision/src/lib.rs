//! Private Postgres and Redis instances from the system's own binaries, and how to install what is missing.
//!
//! Everything here is blocking and needs no async runtime. An instance lives in directories of its own, listens
//! on 127.0.0.1 only, and is stopped when its handle is dropped. No existing cluster or server is ever touched.

pub mod error;
pub mod find;
pub mod fleet;
pub mod install;
pub mod os;
pub mod port;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod secret;
pub mod user;

pub use error::{Error, Result};
pub use fleet::{Fleet, FleetOptions};
pub use postgres::{Postgres, PostgresOptions};
pub use process::Process;
pub use redis::{Redis, RedisOptions};
