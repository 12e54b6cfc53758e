//! Runs a Spin application (`spin.toml`, unchanged) inside this process, on wasmtime.
//!
//! Two [`Mode`]s: [`Mode::Strict`] behaves as Spin 4.1 does, faults included, so that what is right here is
//! right there; [`Mode::Hardened`] adds limits, reconnects, timeouts and an orderly shutdown.
//!
//! ```ignore
//! # async fn example() -> Result<(), guildhall_host::HostError> {
//! use guildhall_host::{Host, HostOptions};
//!
//! let running = Host::start(HostOptions::new("spin.toml")).await?;
//! println!("listening on http://{}", running.address());
//! let reason = running.wait().await;
//! # let _ = reason; Ok(())
//! # }
//! ```

mod bindings;
mod cache;
mod component;
mod engine;
mod error;
mod guard;
mod host;
mod manifest;
mod network;
mod options;
mod outbound;
mod routes;
mod runtime_config;
mod state;
mod stdio;
mod trigger;
mod variables;

pub use error::{ErrorKind, HostError};
pub use host::{ExitReason, Host, RunningHost, ShutdownHandle};
pub use options::{HostOptions, Limits, LogSink, Mode, Reuse};
