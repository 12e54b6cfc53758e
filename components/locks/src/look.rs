//! Looking: who holds and waits, what was, who waits for whom, where it is crowded.

use crate::input;
use guildhall_guest::{
    Ctx, Handled, Reply,
    domain::{Code, Problem},
    store::lock,
};
use serde_json::json;

pub(crate) async fn list(ctx: Ctx) -> Handled {
    let (after, state, limit) = (ctx.query("after")?, ctx.query("state")?, ctx.limit()?);
    let page = lock::list(&ctx.db(), after.as_deref(), limit, state.as_deref()).await?;
    Ok(Reply::json(&page))
}

pub(crate) async fn show(ctx: Ctx) -> Handled {
    let resource = input::resource(&ctx)?;
    match lock::get(&ctx.db(), &resource).await? {
        Some(details) => Ok(Reply::json(&details)),
        None => Err(Problem::new(
            Code::NotFound,
            format!("Nobody ever locked `{resource}`."),
        )),
    }
}

pub(crate) async fn history(ctx: Ctx) -> Handled {
    let resource = ctx.query("resource")?;
    let page = lock::history(&ctx.db(), resource.as_deref(), ctx.after()?, ctx.limit()?).await?;
    Ok(Reply::json(&page))
}

pub(crate) async fn statistics(ctx: Ctx) -> Handled {
    let hours = input::number("hours", ctx.parsed_query("hours")?.unwrap_or(24), 1, 720)?;
    Ok(Reply::json(&lock::statistics(&ctx.db(), hours).await?))
}

pub(crate) async fn contention(ctx: Ctx) -> Handled {
    let items = lock::contention(&ctx.db(), ctx.limit()?).await?;
    Ok(Reply::json(&json!({ "items": items, "next": null })))
}

pub(crate) async fn graph(ctx: Ctx) -> Handled {
    Ok(Reply::json(&lock::graph(&ctx.db()).await?))
}
