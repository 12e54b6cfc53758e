//! Spin glue for components: router, authentication, problem+json, Db over spin_sdk::pg, clients.
//!
//! A component's shell is a table of routes and one function per route:
//!
//! ```text
//! #[http_service]
//! async fn handle(request: Request) -> GuestResponse {
//!     Router::new()
//!         .get("/v1/locks", Access::Scope(Scope::LocksRead), list)
//!         .serve(request)
//!         .await
//! }
//!
//! async fn list(ctx: Ctx) -> Handled {
//!     let page = store::lock::list(&ctx.db(), ctx.query("after")?.as_deref(), ctx.limit()?).await?;
//!     Ok(Reply::json(&page))
//! }
//! ```
//!
//! Instances serve several requests at once and live longer than any of them, so statics hold only what every
//! request may share: connections, read variables, believed tokens. One request's task never waits for another's:
//! the component model's tasks in an instance cannot wake each other here.

#![allow(
    clippy::result_large_err,
    reason = "a Problem is made at most once in a request, and is small on wasm32"
)]

pub mod agent;
pub mod ard;
pub mod auth;
pub mod body;
pub mod cached;
pub mod chain;
pub mod client;
pub mod cloud_event;
pub mod common;
pub mod ctx;
pub mod db;
pub mod drain;
pub mod egress;
pub mod hint;
mod kept;
pub mod llm;
pub mod log;
pub mod path;
pub mod reply;
pub mod repository;
pub mod router;
pub mod schema;
pub mod signature;
pub mod time;
pub mod tools;
pub mod trace;
pub mod vars;

pub use auth::Access;
pub use ctx::{Ctx, Once};
pub use db::GuestDb;
pub use guildhall_domain as domain;
pub use guildhall_store as store;
pub use http;
pub use reply::{GuestResponse, Reply};
pub use router::{Handled, Router};
pub use spin_sdk::{self, http::Request};
pub use trace::Trace;

/// A random number from the host's secure source.
pub fn random_u64() -> u64 {
    spin_sdk::wasip3::random::random::get_random_u64()
}

/// 32 random bytes from the host's secure source, for secrets.
pub fn random_32() -> [u8; 32] {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random_u64().to_le_bytes());
    }
    bytes
}
