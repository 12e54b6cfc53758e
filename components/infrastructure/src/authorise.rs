//! Whether an action may be done now. The agent trusts nobody's word for it: it builds the action from its own input and
//! its own look at the repository, assesses it itself, and has the database compare it with what was approved.

use crate::error;
use guildhall_guest::{
    agent::{self, AgentCall},
    domain::{Code, id::ApprovalId, request::AgentError},
    store::approval::{self, ConsumeOutcome},
};
use guildhall_policy::{Action, assess};

/// Lets the action pass or says why not. An approval that is used here is used up for every other request.
pub(crate) async fn authorise(
    call: &AgentCall,
    action: &Action,
    approval_id: Option<ApprovalId>,
) -> Result<(), AgentError> {
    let risk = assess(action);
    if !risk.approval_required {
        return Ok(());
    }
    let what = describe(action);
    let Some(id) = approval_id else {
        return Err(error(
            Code::ApprovalRequired,
            format!("To {what} needs an approval, and none came with the request."),
        )
        .hint("Ask for it by chat, or start a run whose definition has an approval step before this one.")
        .into());
    };
    let consumed = approval::consume(&call.db(), id, &action.to_value(), call.request_id, call.epoch)
        .await
        .map_err(|error| agent::failed(error.into()))?;
    let refused = match consumed.outcome {
        ConsumeOutcome::Consumed => return Ok(()),
        ConsumeOutcome::Mismatch => error(
            Code::ApprovalMismatch,
            format!("The approval {id} is not for exactly this: {what}."),
        )
        .hint("Something changed since it was approved, such as the environment's risk. Ask for the work again."),
        ConsumeOutcome::NotApproved => {
            error(Code::ApprovalRequired, format!("The approval {id} to {what} was not given."))
                .hint("Let a person other than the requester decide it: guildhall approvals list.")
        }
        ConsumeOutcome::Expired => {
            error(Code::ApprovalExpired, format!("The approval {id} to {what} lapsed before it was used."))
                .hint("Ask for the work again; it will ask for a new approval.")
        }
        ConsumeOutcome::Used => {
            error(Code::ApprovalMismatch, format!("The approval {id} to {what} was used by another request."))
                .hint("An approval is good for one time. Ask for the work again.")
        }
        ConsumeOutcome::Stale => {
            error(Code::Conflict, format!("This attempt to {what} no longer has its lease; another may be at work."))
                .retryable()
        }
    };
    Err(refused.into())
}

fn describe(action: &Action) -> String {
    let environment = action.environment.as_deref().unwrap_or("an environment");
    match &action.head_revision {
        Some(revision) => format!(
            "deploy {} to {environment}",
            revision.get(..12).unwrap_or(revision)
        ),
        None => format!("roll {environment} back"),
    }
}
