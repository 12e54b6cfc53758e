//! Calls to services outside: from an action of the engine (`http`, `openapi`, `a2a`, `mcp`, `function`) to requests, and
//! from their answers to the action's output or error.
//!
//! Pure but for [`Wire`], through which whoever performs calls sends requests and gives time and chance. Secrets are
//! resolved here, at the last moment: they go into requests and nowhere else.

mod a2a;
mod address;
mod answer;
mod auth;
mod caller;
mod catalog;
mod digest;
mod documents;
mod http;
mod mcp;
mod oauth;
mod openapi;
mod params;
mod problems;
mod redact;
mod rpc;
mod secrets;
mod wire;

#[cfg(test)]
mod testing;

pub use caller::{Call, Kept, perform};
pub use secrets::Secrets;
pub use wire::{Failure, Request, Response, Wire};

/// Most bytes of an answer that becomes a task's output.
pub const MAX_ANSWER: usize = 1 << 20;
/// Most bytes of a document that is read before a call: a description of an API, a card, metadata of an authority.
pub const MAX_DOCUMENT: usize = 8 << 20;
/// Most bytes of a request's body.
pub const MAX_BODY: usize = 4 << 20;
/// Milliseconds that one request may take, from connecting to the end of its answer.
pub const LIMIT_MS: u64 = 300_000;
/// Milliseconds that reading a document or getting a token may take.
pub const SHORT_LIMIT_MS: u64 = 30_000;
