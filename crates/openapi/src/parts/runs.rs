use super::{object, reason, text, uuid, workflows};
use crate::Operation;
use guildhall_domain::{
    Code,
    run::{JournalEntry, Run},
    scope::Scope,
};
use serde_json::{Value, json};

pub(super) fn operations() -> Vec<Operation> {
    let new = |method, path, id, summary, scope| Operation::new(method, path, "runs", id, summary, scope);
    let one = |method, path, id, summary, scope| {
        new(method, path, id, summary, scope).path("id", "The run's id.", uuid())
    };
    let told = |path, id, summary| {
        one("post", path, id, summary, Scope::RunsWrite)
            .reply(202, "The run is told; it acts on it as soon as it can.", |_| {
                accepted()
            })
            .problem(Code::Conflict)
    };
    vec![
        new(
            "get",
            "/v1/runs",
            "listRuns",
            "Runs, newest first, without timelines",
            Scope::RunsRead,
        )
        .query(
            "status",
            "Only runs of this status.",
            json!({"enum": ["pending", "running", "waiting", "suspended", "completed", "faulted", "cancelled"]}),
        )
        .paged(uuid())
        .reply(200, "A page of runs.", |schemas| schemas.page::<Run>()),
        new("post", "/v1/runs", "startRun", "Start a run of a workflow", Scope::RunsWrite)
            .repeatable()
            .body(start(), json!({"definition": workflows::example(), "input": {"environment": "production"}}))
            .reply(201, "The run, accepted.", |schemas| schemas.of::<Run>())
            .reply(200, "The run that the same key started before.", |schemas| schemas.of::<Run>())
            .problem(Code::WorkflowInvalid)
            .problem(Code::UnknownWorkflow),
        one("get", "/v1/runs/{id}", "getRun", "A run with its timeline", Scope::RunsRead)
            .reply(200, "The run.", |schemas| schemas.of::<Run>()),
        one("get", "/v1/runs/{id}/journal", "getRunJournal", "A run's journal", Scope::RunsRead)
            .paged(json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}))
            .reply(200, "A page of entries.", |schemas| schemas.page::<JournalEntry>()),
        one("post", "/v1/runs/{id}/cancel", "cancelRun", "Withdraw a run", Scope::RunsWrite)
            .optional_body(reason(), json!({"reason": "wrong branch"}))
            .reply(200, "The withdrawn run.", |schemas| schemas.of::<Run>())
            .problem(Code::Conflict),
        told(
            "/v1/runs/{id}/pause",
            "pauseRun",
            "Hold a run: what is under way ends, nothing begins",
        ),
        told("/v1/runs/{id}/resume", "resumeRun", "Let a run that is held go on"),
        told("/v1/runs/{id}/signal", "signalRun", "Send a run an event that it may wait for")
            .body(signal(), json!({"type": "com.example.paid", "data": {"amount": 3}})),
    ]
}

fn start() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "definition": workflows::definition(),
            "workflow": workflows::reference(),
            "title": {"anyOf": [text(200), {"type": "null"}]},
            "input": {"description": "What the run is given; `{}` when left out."},
        },
        "oneOf": [{"required": ["definition"]}, {"required": ["workflow"]}],
    })
}

fn accepted() -> Value {
    object(
        &["run_id", "accepted"],
        json!({"run_id": uuid(), "accepted": {"enum": ["pause", "resume", "signal"]}}),
    )
}

fn signal() -> Value {
    json!({
        "type": "object",
        "description": "A CloudEvent in its JSON form; `specversion`, `id` and `source` are made where they are left out.",
        "required": ["type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "type": text(200),
            "id": text(200),
            "source": text(200),
        },
    })
}
