//! `GET /openapi.json`: the description of the REST API, as crates/openapi makes it.

use guildhall_guest::{
    Ctx, Handled,
    cached::{self, Cached},
};

const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// The document, or 304 when the caller has this version.
pub async fn show(ctx: Ctx) -> Handled {
    thread_local! { static MADE: Cached = Cached::new(DOCUMENT.into(), None); }
    Ok(MADE.with(|made| cached::reply(&ctx, made)))
}
