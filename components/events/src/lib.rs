//! `/v1/events`: the record of every state change, as JSON pages or as a stream of server-sent events; and the way in for
//! events from outside.
//!
//! A component of its own, because a stream occupies one of the places of its instance for as long as it lasts. What is
//! sent comes from Postgres alone, in the order of positions: reading on behind the last one skips nothing.

#![allow(
    clippy::result_large_err,
    reason = "a Problem is made at most once in a request, and is small on wasm32"
)]

mod publish;

use bytes::Bytes;
use chrono::DateTime;
use futures::{
    Stream, StreamExt,
    stream::{self, LocalBoxStream},
};
use guildhall_guest::{
    Access, Ctx, GuestDb, Handled, Reply, Request, Router, auth,
    domain::{Code, Problem, scope::Scope},
    http::{HeaderMap, Response, header},
    path::query_value,
    store::outbox::{self, Batch, Filter},
    time::{monotonic_ns, sleep},
};
use http_body::Frame;
use http_body_util::{Either, StreamBody};
use serde_json::json;
use spin_sdk::{http::FullBody, http_service};
use std::{convert::Infallible, time::Duration};

/// A whole page, or a stream whose pieces are made as they are asked for.
type AnyBody = Either<StreamBody<LocalBoxStream<'static, Result<Frame<Bytes>, Infallible>>>, FullBody<Bytes>>;

const ACCESS: Access = Access::Scope(Scope::RunsRead);
/// Events per statement.
const BATCH: u32 = 100;
/// Pause when there was nothing new: how late an event may come.
const PAUSE: Duration = Duration::from_millis(500);
/// A sign of life when nothing happens, so that nobody on the way closes the connection.
const HEARTBEAT_NS: u64 = 15_000_000_000;
/// After this time the stream ends and the client comes again, so that no instance lives for ever.
const LIFETIME_NS: u64 = 300_000_000_000;

#[http_service]
async fn handle(request: Request) -> Response<AnyBody> {
    let streams =
        request.uri().path() == "/v1/events" && request.method() == "GET" && wants_stream(request.headers());
    if !streams {
        return boxed(page_router().serve(request).await);
    }
    let (parts, _) = request.into_parts();
    match open(&parts.headers, parts.uri.query().unwrap_or_default()).await {
        Ok(response) => response,
        Err(problem) => boxed(Reply::from(problem).respond()),
    }
}

fn page_router() -> Router {
    Router::new().get("/v1/events", ACCESS, page).post(
        "/v1/events",
        Access::Scope(Scope::EventsWrite),
        publish::publish,
    )
}

/// A moment as RFC 3339 has it, in UTC.
fn moment(text: &str) -> Result<String, Problem> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(moment) => Ok(moment.to_utc().to_rfc3339()),
        Err(error) => Err(Problem::new(
            Code::InvalidParameter,
            format!("The query parameter `since` cannot be `{text}`: {error}."),
        )
        .hint("It is a time such as 2026-11-25T12:00:00Z; write `+` in an offset as %2B.")),
    }
}

fn boxed(response: guildhall_guest::GuestResponse) -> Response<AnyBody> {
    response.map(Either::Right)
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// A page: `{"items": [..], "next": POSITION, "more": BOOL}`. Reading on at `next` also works when `items` is empty.
async fn page(ctx: Ctx) -> Handled {
    let filter = Filter {
        kind: ctx.query("type")?,
        subject: ctx.query("subject")?,
        since: ctx.query("since")?.as_deref().map(moment).transpose()?,
    };
    let after = ctx.query("after")?;
    let batch = outbox::list(&ctx.db(), after.as_deref(), &filter, ctx.limit()?).await?;
    Ok(Reply::json(
        &json!({"items": batch.events, "next": batch.position, "more": batch.more}),
    ))
}

async fn open(headers: &HeaderMap, query: &str) -> Result<Response<AnyBody>, Problem> {
    auth::authorize(&ACCESS, headers).await?;
    let value = |name: &str| {
        query_value(query, name)
            .flatten()
            .filter(|value| !value.is_empty())
    };
    let filter = Filter {
        kind: value("type"),
        subject: value("subject"),
        since: value("since").as_deref().map(moment).transpose()?,
    };
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let after = match last.map(str::to_owned).or_else(|| value("after")) {
        Some(after) => Some(after),
        // From the beginning only for those who say from when.
        None => filter.since.is_none().then(|| "now".to_owned()),
    };
    // The first look is made before the answer begins, so that what is wrong is a problem and no broken stream.
    let first = outbox::list(&GuestDb, after.as_deref(), &filter, BATCH).await?;
    let pieces = events(filter, first).map(|text| Ok(Frame::data(Bytes::from(text))));
    let body = StreamBody::new(pieces.boxed_local());
    let mut response = Response::new(Either::Left(body));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, guildhall_guest::http::HeaderValue::from_static(value));
    }
    Ok(response)
}

struct Reading {
    filter: Filter,
    position: String,
    first: Option<Batch>,
    more: bool,
    began_ns: u64,
    wrote_ns: u64,
}

/// The text of the stream, piece by piece, until its time is up.
fn events(filter: Filter, first: Batch) -> impl Stream<Item = String> {
    let now = monotonic_ns();
    let reading = Reading {
        filter,
        position: first.position.clone(),
        more: first.more,
        first: Some(first),
        began_ns: now,
        wrote_ns: now,
    };
    stream::once(async { "retry: 1000\n\n".to_owned() }).chain(stream::unfold(reading, next))
}

async fn next(mut reading: Reading) -> Option<(String, Reading)> {
    loop {
        let batch = match reading.first.take() {
            Some(first) => first,
            None => {
                if !reading.more {
                    sleep(PAUSE).await;
                }
                if monotonic_ns() - reading.began_ns > LIFETIME_NS {
                    return None;
                }
                // The client comes again behind the last event that it has seen.
                outbox::list(&GuestDb, Some(&reading.position), &reading.filter, BATCH)
                    .await
                    .ok()?
            }
        };
        reading.position = batch.position;
        reading.more = batch.more;
        if !batch.events.is_empty() {
            reading.wrote_ns = monotonic_ns();
            let text = batch
                .events
                .iter()
                .map(|placed| {
                    let data = serde_json::to_string(&placed.event).unwrap_or_default();
                    format!(
                        "id: {}\nevent: {}\ndata: {data}\n\n",
                        placed.position, placed.event.kind
                    )
                })
                .collect();
            return Some((text, reading));
        }
        if monotonic_ns() - reading.wrote_ns > HEARTBEAT_NS {
            reading.wrote_ns = monotonic_ns();
            return Some((": still here\n\n".into(), reading));
        }
    }
}
