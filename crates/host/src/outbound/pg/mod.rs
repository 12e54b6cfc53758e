//! `spin:postgres@4.2.0`.

#![allow(
    clippy::result_large_err,
    reason = "the interface decides how large its errors are"
)]

mod client;
mod host;
mod json;
mod null;
mod pool;
mod range;
mod rows;
mod types;

pub use host::{Connection, ConnectionBuilder};
pub(crate) use pool::Pools;
