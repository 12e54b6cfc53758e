//! [`NativeDb`]: the store's `Db` over tokio-postgres, and [`migrate`]: the migration runner.

mod db;
pub mod migrate;
mod tls;

pub use db::{NativeDb, NativeDbOptions};
