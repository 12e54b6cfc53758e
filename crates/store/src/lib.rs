//! One typed function per SQL function of schema `guildhall`, over a small [`Db`] trait.
//!
//! Every unit of work is one statement that calls one SQL function, so nothing here opens a transaction and every
//! call either happened or did not. Expected outcomes are enums; a [`DbError`] means that the outcome is not known
//! (the database went away) or that the call itself was wrong. All SQL text of the application lives in this crate;
//! [`catalogue::CATALOGUE`] lists it, and a test holds it against a migrated database.
//!
//! Nothing here knows which driver runs the statement: components bring `spin_sdk::pg`, native programs
//! `guildhall-store-native`.

pub mod agent;
pub mod approval;
pub mod broadcast;
pub mod callback;
pub mod catalogue;
pub mod chat;
mod db;
pub mod event;
pub mod lock;
pub mod ops;
pub mod outbox;
mod page;
pub mod request;
mod row;
pub mod run;
pub mod run_call;
pub mod token;
pub mod workflow;

pub use db::{Db, DbError, DbErrorKind, Param};
pub use page::{MAX_PAGE, Page};

/// The newest migration these functions are written for. `ops::readiness` tells what the database has.
pub const SCHEMA_VERSION: i32 = 7;

/// A caller's promise that two calls are the same: the key, and a fingerprint of the whole body.
///
/// The same key with the same fingerprint gives the first call's answer again; with another fingerprint it is a
/// conflict. Keys are scoped to the requester.
#[derive(Clone, Copy, Debug)]
pub struct Idempotency<'a> {
    /// The `Idempotency-Key`, 1 to 200 characters.
    pub key: &'a str,
    /// Any stable digest of the body.
    pub fingerprint: &'a str,
}
