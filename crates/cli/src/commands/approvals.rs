//! `guildhall approvals`: what waits for a person, and that person's decision.

use super::{Paging, items, next_page, read};
use crate::context::Context;
use crate::error::Result;
use crate::format::{self, short_id, spelled};
use crate::http::Api;
use crate::ids;
use crate::output::{Output, say};
use crate::table::{Cell, draw};
use guildhall_domain::approval::Approval;
use serde_json::{Value, json};

/// What to do with approvals.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Approvals {
    /// List approvals, those that wait for a decision by default
    List {
        /// Which ones
        #[arg(long, default_value = "pending", value_parser = ["pending", "approved", "rejected", "expired", "cancelled", "all"], value_name = "STATE")]
        state: String,
        /// Which part of the list
        #[command(flatten)]
        paging: Paging,
    },
    /// Show exactly what would be done, and how risky it is
    Show {
        /// The approval's id, or its beginning
        approval: String,
    },
    /// Agree to exactly that action, once
    Approve {
        /// The approval's id, or its beginning
        approval: String,
        /// Why; recorded
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Refuse
    Reject {
        /// The approval's id, or its beginning
        approval: String,
        /// Why; recorded and shown to the requester
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Does it.
pub async fn run(context: &Context, command: Approvals) -> Result<()> {
    let api = context.api()?;
    let output = &context.output;
    match command {
        Approvals::List { state, paging } => list(&api, output, &state, paging).await,
        Approvals::Show { approval } => show(&api, output, &approval).await,
        Approvals::Approve { approval, reason } => decide(&api, output, &approval, "approve", reason).await,
        Approvals::Reject { approval, reason } => {
            decide(&api, output, &approval, "reject", Some(reason)).await
        }
    }
}

async fn list(api: &Api, output: &Output, state: &str, paging: Paging) -> Result<()> {
    let what = "list the approvals";
    let wanted = (state != "all").then(|| state.to_string());
    let page = api
        .get(
            what,
            &format!("/v1/approvals{}", paging.query(&[("state", wanted)])),
        )
        .await?;
    if output.json {
        return output.document("guildhall.approvals.v1", page);
    }
    let approvals: Vec<Approval> = items(what, &page)?;
    let rows: Vec<Vec<Cell>> = approvals
        .iter()
        .map(|approval| {
            let state = spelled(&approval.state);
            vec![
                short_id(&approval.id.to_string()).into(),
                Cell::toned(&state, format::tone(&state)),
                approval.risk["tier"].as_str().unwrap_or("-").into(),
                approval.requester.as_str().into(),
                format::relative(approval.expires_at).into(),
                action_line(&approval.action).into(),
            ]
        })
        .collect();
    output.write(&draw(
        output,
        &["APPROVAL", "STATE", "RISK", "BY", "LAPSES", "ACTION"],
        &rows,
    ))?;
    if rows.is_empty() {
        say(if state == "pending" {
            "nothing waits for a decision"
        } else {
            "there are no such approvals"
        });
    }
    next_page(&page, "guildhall approvals list");
    Ok(())
}

async fn fetch(api: &Api, given: &str) -> Result<Value> {
    let id = ids::resolve(api, "approval", "/v1/approvals", given).await?;
    api.get("show the approval", &format!("/v1/approvals/{id}")).await
}

async fn show(api: &Api, output: &Output, given: &str) -> Result<()> {
    let value = fetch(api, given).await?;
    if output.json {
        return output.document("guildhall.approval.v1", json!({ "approval": value }));
    }
    let approval: Approval = read("show the approval", value)?;
    output.write(&describe(output, &approval))
}

async fn decide(api: &Api, output: &Output, given: &str, verb: &str, reason: Option<String>) -> Result<()> {
    let id = ids::resolve(api, "approval", "/v1/approvals", given).await?;
    let body = reason.map_or(json!({}), |reason| json!({ "reason": reason }));
    let what = format!("{verb} {id}");
    let answer = api
        .post(&what, &format!("/v1/approvals/{id}/{verb}"), &body)
        .await?;
    // The route answers with the approval itself, or with the approval beside what happened to it.
    let value = if answer["approval"].is_object() {
        answer["approval"].clone()
    } else {
        answer
    };
    if output.json {
        return output.document("guildhall.approval.v1", json!({ "approval": value }));
    }
    let approval: Approval = read(&what, value)?;
    let by = approval.decided_by.as_deref().unwrap_or("-");
    output.line(&format!(
        "{} by {by}: {}",
        spelled(&approval.state),
        action_line(&approval.action)
    ))?;
    say(&format!(
        "see what comes of it: guildhall runs watch {}",
        short_id(&approval.run_id.to_string())
    ));
    Ok(())
}

/// An action in one line: its kind, and the words in it that say what it is about.
pub fn action_line(action: &Value) -> String {
    let text = |name: &str| action[name].as_str();
    let mut words = Vec::new();
    words.push(
        text("kind")
            .or(text("operation"))
            .or(text("skill"))
            .or(text("type"))
            .unwrap_or("action")
            .to_string(),
    );
    if let Some(head) = text("head_revision").or(text("revision")).or(text("head")) {
        words.push(short_id(head));
    }
    if let Some(base) = text("base") {
        words.push(format!("into {base}"));
    }
    if let Some(environment) = text("environment") {
        words.push(format!("to {environment}"));
    }
    words.join(" ")
}

fn describe(output: &Output, approval: &Approval) -> String {
    let state = spelled(&approval.state);
    let painted = format::tone(&state).map_or(state.clone(), |tone| output.paint(tone, &state));
    let mut lines = vec![
        format!("approval {}  {painted}", approval.id),
        format!(
            "  {} for run {}, asked for by {}",
            action_line(&approval.action),
            approval.run_id,
            approval.requester
        ),
        format!(
            "  lapses {} ({})",
            format::relative(approval.expires_at),
            approval.expires_at.to_rfc3339()
        ),
        format!("  action (SHA-256 {}):", short_id(&approval.action_hash)),
    ];
    let action = serde_json::to_string_pretty(&approval.action).unwrap_or_default();
    lines.extend(action.lines().map(|line| format!("    {line}")));
    let tier = approval.risk["tier"].as_str().unwrap_or("unknown");
    lines.push(format!("  risk: {tier}, because"));
    for factor in approval.risk["factors"].as_array().into_iter().flatten() {
        lines.push(format!("    {}", factor_line(factor)));
    }
    if let Some(by) = &approval.decided_by {
        let reason = approval
            .reason
            .as_deref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        lines.push(format!("  {state} by {by}{reason}"));
    }
    lines.join("\n") + "\n"
}

/// A factor of the risk: what was seen, and how much it weighs.
fn factor_line(factor: &Value) -> String {
    match (
        factor["evidence"].as_str(),
        factor["name"].as_str(),
        factor["weight"].as_i64(),
    ) {
        (Some(evidence), Some(name), Some(weight)) => format!("{evidence} ({name} +{weight})"),
        _ => factor.to_string(),
    }
}
