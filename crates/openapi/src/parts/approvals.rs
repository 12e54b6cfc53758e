use super::{object, reason, text, uuid};
use crate::Operation;
use guildhall_domain::{Code, approval::Approval, scope::Scope};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    let new =
        |method, path, id, summary, scope| Operation::new(method, path, "approvals", id, summary, scope);
    let decision = |path, id, summary| {
        new("post", path, id, summary, Scope::ApprovalsDecide)
            .path("id", "The approval's id.", uuid())
            .reply(200, "The decided approval.", |schemas| schemas.of::<Approval>())
            .problem(Code::NotEligible)
            .problem(Code::AlreadyDecided)
            .problem(Code::ApprovalExpired)
            .problem(Code::Conflict)
    };
    vec![
        new(
            "get",
            "/v1/approvals",
            "listApprovals",
            "Approvals, newest first",
            Scope::ApprovalsRead,
        )
        .query(
            "state",
            "Only approvals in this state.",
            json!({"enum": ["pending", "approved", "rejected", "expired", "cancelled"]}),
        )
        .paged(uuid())
        .reply(200, "A page of approvals.", |schemas| schemas.page::<Approval>()),
        new(
            "get",
            "/v1/approvals/{id}",
            "getApproval",
            "An approval, with exactly the action it is for",
            Scope::ApprovalsRead,
        )
        .path("id", "The approval's id.", uuid())
        .reply(200, "The approval.", |schemas| schemas.of::<Approval>()),
        decision(
            "/v1/approvals/{id}/approve",
            "approveApproval",
            "Agree to exactly this action, once",
        )
        .optional_body(reason(), json!({"reason": "looked at the diff"})),
        decision("/v1/approvals/{id}/reject", "rejectApproval", "Refuse, for good").body(
            object(&["reason"], json!({"reason": text(2000)})),
            json!({"reason": "the migration locks the table"}),
        ),
    ]
}
