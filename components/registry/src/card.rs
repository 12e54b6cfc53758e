//! `GET /v1/agents/{id}/card` and `GET /agents/{id}/.well-known/agent-card.json`: an agent's card exactly as it was
//! registered. Like the fleet's own it needs no token: cards are there to be found.

use crate::discover::unknown;
use guildhall_guest::{Ctx, Handled, cached, store::agent};

/// The card, or 304 when the caller has this version.
pub async fn show(ctx: Ctx) -> Handled {
    let id = ctx.param("id")?;
    let agent = agent::get_raw(&ctx.db(), id).await?.ok_or_else(|| unknown(id))?;
    let body = agent["card"].to_string().into_bytes();
    let changed = agent["updated_at"].as_str().and_then(cached::http_date);
    Ok(cached::reply(&ctx, &cached::Cached::new(body, changed)))
}
