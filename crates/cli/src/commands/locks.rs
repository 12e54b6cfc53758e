//! `guildhall locks`: who holds what, who waits for whom, what was; and for scripts, taking and giving back.

use super::{Paging, items, next_page, read};
use crate::context::Context;
use crate::error::Result;
use crate::format;
use crate::http::segment;
use crate::output::say;
use crate::table::{Cell, draw};
use guildhall_domain::lock::{Lock, LockDetails, LockMode, LockRecord};
use serde_json::{Value, json};

/// What to do with locks.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Locks {
    /// List the locks that were ever taken
    List {
        /// Only those that somebody holds
        #[arg(long)]
        held: bool,
        /// Which part of the list
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a lock, its holders and its queue
    Show {
        /// What is locked, for example deployment:production
        resource: String,
    },
    /// List grants and vain waits that are over, newest first
    History {
        /// Only those of this resource
        resource: Option<String>,
        /// Which part of the list
        #[command(flatten)]
        paging: Paging,
    },
    /// Show who waits for whom, and the deadlocks of the last hour
    Graph,
    /// Show counts and times
    Statistics {
        /// Of how many hours
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720), value_name = "N")]
        hours: u32,
    },
    /// List what was waited for most in the last hour
    Contention,
    /// Take a lock; prints its fencing token
    Acquire(Acquire),
    /// Keep a lock for longer
    Renew {
        /// Whose and which
        #[command(flatten)]
        grant: Grant,
        /// For how many seconds from now
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        ttl: u32,
    },
    /// Give a lock back
    Release {
        /// Whose and which
        #[command(flatten)]
        grant: Grant,
    },
    /// Take a lock away from whoever holds it (needs the scope admin; audited)
    ForceRelease {
        /// What is locked
        resource: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// What to take, and on what terms.
#[derive(Clone, Debug, clap::Args)]
pub struct Acquire {
    /// What to lock, for example deployment:production
    pub resource: String,
    /// Under which name
    #[arg(long)]
    pub holder: String,
    /// What for
    #[arg(long)]
    pub reason: String,
    /// For how many seconds, unless renewed
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub ttl: u32,
    /// How many seconds to wait in the queue
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub wait: u32,
    /// Let others share it
    #[arg(long)]
    pub shared: bool,
    /// low, normal, high or urgent
    #[arg(long, default_value = "normal")]
    pub priority: String,
}

/// A grant.
#[derive(Clone, Debug, clap::Args)]
pub struct Grant {
    /// What is locked
    pub resource: String,
    /// Under which name it was taken
    #[arg(long)]
    pub holder: String,
    /// Under which fencing token
    #[arg(long, value_name = "TOKEN")]
    pub fencing_token: i64,
}

/// Does it.
pub async fn run(context: &Context, command: Locks) -> Result<()> {
    let api = context.api()?;
    let output = &context.output;
    match command {
        Locks::List { held, paging } => {
            let what = "list the locks";
            let state = [("state", held.then(|| "held".to_string()))];
            let page = api
                .get(what, &format!("/v1/locks{}", paging.query(&state)))
                .await?;
            if output.json {
                return output.document("guildhall.locks.v1", page);
            }
            let locks: Vec<Lock> = items(what, &page)?;
            let rows: Vec<Vec<Cell>> = locks
                .iter()
                .map(|lock| {
                    let state = if lock.holder.is_some() { "held" } else { "free" };
                    vec![
                        lock.resource.as_str().into(),
                        Cell::toned(state, format::tone(state)),
                        lock.fencing_token.to_string().into(),
                        lock.expires_at.map(format::relative).unwrap_or_default().into(),
                        lock.holder.as_deref().unwrap_or("").into(),
                    ]
                })
                .collect();
            output.write(&draw(
                output,
                &["RESOURCE", "STATE", "TOKEN", "EXPIRES", "HOLDER"],
                &rows,
            ))?;
            if rows.is_empty() {
                say("there are no such locks");
            }
            next_page(&page, "guildhall locks list");
            Ok(())
        }
        Locks::Show { resource } => {
            let what = "show the lock";
            let value = api
                .get(what, &format!("/v1/locks/{}", segment(&resource)))
                .await?;
            if output.json {
                return output.document("guildhall.lock.v1", json!({ "lock": value }));
            }
            let details: LockDetails = read(what, value)?;
            show(context, &details)
        }
        Locks::History { resource, paging } => history(context, resource, &paging).await,
        Locks::Graph => graph(context).await,
        Locks::Statistics { hours } => {
            let value = api
                .get("count the locks", &format!("/v1/locks/statistics?hours={hours}"))
                .await?;
            if output.json {
                return output.document("guildhall.lock_statistics.v1", value);
            }
            for (name, figure) in value.as_object().into_iter().flatten() {
                output.line(&format!("{name:14} {figure}"))?;
            }
            Ok(())
        }
        Locks::Contention => {
            let page = api.get("list the contention", "/v1/locks/contention").await?;
            if output.json {
                return output.document("guildhall.lock_contention.v1", page);
            }
            let items: Vec<Value> = items("list the contention", &page)?;
            let figure = |item: &Value, name: &str| item[name].to_string();
            let rows: Vec<Vec<Cell>> = items
                .iter()
                .map(|item| {
                    vec![
                        item["resource"].as_str().unwrap_or_default().into(),
                        figure(item, "waits").into(),
                        figure(item, "waiting").into(),
                        figure(item, "in_vain").into(),
                        figure(item, "wait_ms_total").into(),
                        figure(item, "wait_ms_max").into(),
                    ]
                })
                .collect();
            let heads = ["RESOURCE", "WAITS", "NOW", "IN VAIN", "MS TOGETHER", "MS MOST"];
            output.write(&draw(output, &heads, &rows))
        }
        Locks::Acquire(wanted) => {
            let body = json!({
                "holder": wanted.holder, "reason": wanted.reason, "ttl_s": wanted.ttl, "wait_s": wanted.wait,
                "mode": if wanted.shared { "shared" } else { "exclusive" }, "priority": wanted.priority,
            });
            let path = format!("/v1/locks/{}/acquire", segment(&wanted.resource));
            let value = api.post("take the lock", &path, &body).await?;
            if output.json {
                return output.document("guildhall.lock.v1", value);
            }
            output.line(&value["lock"]["fencing_token"].to_string())
        }
        Locks::Renew { grant, ttl } => {
            let body = json!({ "holder": grant.holder, "fencing_token": grant.fencing_token, "ttl_s": ttl });
            let path = format!("/v1/locks/{}/renew", segment(&grant.resource));
            done(context, "renew the lock", &path, &body).await
        }
        Locks::Release { grant } => {
            let body = json!({ "holder": grant.holder, "fencing_token": grant.fencing_token });
            let path = format!("/v1/locks/{}/release", segment(&grant.resource));
            done(context, "release the lock", &path, &body).await
        }
        Locks::ForceRelease { resource, reason } => {
            let path = format!("/v1/locks/{}/force-release", segment(&resource));
            let body = json!({ "reason": reason });
            done(context, "take the lock away", &path, &body).await
        }
    }
}

/// Does something whose outcome is a word.
async fn done(context: &Context, what: &str, path: &str, body: &Value) -> Result<()> {
    let value = context.api()?.post(what, path, body).await?;
    if context.output.json {
        return context.output.document("guildhall.lock.v1", value);
    }
    context.output.line(value["outcome"].as_str().unwrap_or_default())
}

fn show(context: &Context, details: &LockDetails) -> Result<()> {
    let output = &context.output;
    let lock = &details.lock;
    if details.holders.is_empty() {
        output.line(&format!(
            "{} is free; its last fencing token was {}",
            lock.resource, lock.fencing_token
        ))?;
    }
    for held in &details.holders {
        output.line(&format!(
            "{} is held by {} under fencing token {}{}",
            held.resource,
            held.holder.as_deref().unwrap_or("-"),
            held.fencing_token,
            if held.mode == Some(LockMode::Shared) {
                ", shared"
            } else {
                ""
            },
        ))?;
        let because = held.reason.as_deref().unwrap_or("-");
        let until = held.expires_at.map(format::relative).unwrap_or_default();
        output.line(&format!(
            "  because: {because}; falls free {until} unless renewed"
        ))?;
    }
    for waiter in &details.waiters {
        output.line(&format!(
            "  {} waits ({}, {} priority, since {})",
            waiter.holder,
            waiter.mode.as_str(),
            waiter.priority.as_str(),
            format::relative(waiter.requested_at)
        ))?;
    }
    for below in &details.intentions {
        output.line(&format!("  below it, {} holds {}", below.holder, below.resource))?;
    }
    Ok(())
}

async fn history(context: &Context, resource: Option<String>, paging: &Paging) -> Result<()> {
    let (what, output) = ("list the history of locks", &context.output);
    let path = format!("/v1/locks/history{}", paging.query(&[("resource", resource)]));
    let page = context.api()?.get(what, &path).await?;
    if output.json {
        return output.document("guildhall.lock_history.v1", page);
    }
    let records: Vec<LockRecord> = items(what, &page)?;
    let rows: Vec<Vec<Cell>> = records
        .iter()
        .map(|record| {
            let number = |figure: Option<i64>| figure.map(|n| n.to_string()).unwrap_or_default();
            vec![
                record.resource.as_str().into(),
                record.ended_how.as_str().into(),
                number(record.fencing_token).into(),
                record.wait_ms.to_string().into(),
                number(record.hold_ms).into(),
                format::relative(record.ended_at).into(),
                record.holder.as_str().into(),
            ]
        })
        .collect();
    let heads = [
        "RESOURCE",
        "ENDED",
        "TOKEN",
        "WAITED MS",
        "HELD MS",
        "WHEN",
        "HOLDER",
    ];
    output.write(&draw(output, &heads, &rows))?;
    next_page(&page, "guildhall locks history");
    Ok(())
}

async fn graph(context: &Context) -> Result<()> {
    let output = &context.output;
    let graph = context
        .api()?
        .get("show who waits for whom", "/v1/locks/graph")
        .await?;
    if output.json {
        return output.document("guildhall.lock_graph.v1", graph);
    }
    let text = |value: &Value| value.as_str().unwrap_or("-").to_string();
    let edges = graph["edges"].as_array().cloned().unwrap_or_default();
    for edge in &edges {
        let how = if edge["queue"] == true { "wanted" } else { "held" };
        output.line(&format!(
            "{} waits for {}, {how} by {}",
            text(&edge["holder"]),
            text(&edge["waits_for"]),
            text(&edge["held_by"])
        ))?;
    }
    if edges.is_empty() {
        say("nobody waits for a lock");
    }
    for deadlock in graph["deadlocks"].as_array().into_iter().flatten() {
        output.line(&format!(
            "deadlock at {}: {} gave way at {}",
            text(&deadlock["at"]),
            text(&deadlock["victim"]),
            text(&deadlock["resource"])
        ))?;
    }
    Ok(())
}
