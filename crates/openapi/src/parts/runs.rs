use super::{object, reason, text, uuid};
use crate::Operation;
use guildhall_domain::{
    Code,
    run::{JournalEntry, Run},
    scope::Scope,
};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    let new = |method, path, id, summary, scope| Operation::new(method, path, "runs", id, summary, scope);
    vec![
        new("get", "/v1/runs", "listRuns", "Runs, newest first, without timelines", Scope::RunsRead)
            .query(
                "status",
                "Only runs of this status.",
                json!({"enum": ["pending", "running", "waiting", "completed", "faulted", "cancelled"]}),
            )
            .paged(uuid())
            .reply(200, "A page of runs.", |schemas| schemas.page::<Run>()),
        new("post", "/v1/runs", "startRun", "Start a run of a definition", Scope::RunsWrite)
            .repeatable()
            .body(
                object(
                    &["definition", "title"],
                    json!({"definition": {"type": "object"}, "title": text(200)}),
                ),
                json!({
                    "title": "check the health of production",
                    "definition": {"name": "check-health", "version": "1", "do": [
                        {"look": {"call": "agent", "skill": "check_health", "input": {"environment": "production"}}},
                    ]},
                }),
            )
            .reply(201, "The run, accepted.", |schemas| schemas.of::<Run>())
            .reply(200, "The run that the same key started before.", |schemas| schemas.of::<Run>()),
        new("get", "/v1/runs/{id}", "getRun", "A run with its timeline", Scope::RunsRead)
            .path("id", "The run's id.", uuid())
            .reply(200, "The run.", |schemas| schemas.of::<Run>()),
        new("get", "/v1/runs/{id}/journal", "getRunJournal", "A run's journal", Scope::RunsRead)
            .path("id", "The run's id.", uuid())
            .paged(json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}))
            .reply(200, "A page of entries.", |schemas| schemas.page::<JournalEntry>()),
        new("post", "/v1/runs/{id}/cancel", "cancelRun", "Withdraw a run", Scope::RunsWrite)
            .path("id", "The run's id.", uuid())
            .optional_body(reason(), json!({"reason": "wrong branch"}))
            .reply(200, "The withdrawn run.", |schemas| schemas.of::<Run>())
            .problem(Code::Conflict),
    ]
}
