use super::{line, object};
use crate::Operation;
use guildhall_domain::{
    Code,
    scope::Scope,
    workflow::{Workflow, WorkflowDocument},
};
use serde_json::{Value, json};

pub(super) fn operations() -> Vec<Operation> {
    let new =
        |method, path, id, summary, scope| Operation::new(method, path, "workflows", id, summary, scope);
    let one = |method, id, summary, scope| {
        new(
            method,
            "/v1/workflows/{namespace}/{name}/{version}",
            id,
            summary,
            scope,
        )
        .path("namespace", "The workflow's namespace.", line(200))
        .path("name", "Its name.", line(200))
        .path("version", "Its version; `latest` is the highest.", line(200))
    };
    let body = || object(&["definition"], json!({"definition": definition()}));
    vec![
        new(
            "get",
            "/v1/workflows",
            "listWorkflows",
            "Workflows by namespace, name and version",
            Scope::RunsRead,
        )
        .query("namespace", "Only workflows of this namespace.", line(200))
        .paged(json!({"type": "string", "pattern": "^[^/]+/[^/]+/[^/]+$"}))
        .reply(200, "A page of workflows, without their documents.", |schemas| {
            schemas.page::<Workflow>()
        }),
        new(
            "post",
            "/v1/workflows",
            "uploadWorkflow",
            "Upload a workflow; a version never changes",
            Scope::RunsWrite,
        )
        .body(body(), json!({"definition": example()}))
        .reply(201, "The workflow, kept.", |schemas| schemas.of::<Workflow>())
        .reply(
            200,
            "The workflow, which was there with the same content.",
            |schemas| schemas.of::<Workflow>(),
        )
        .problem(Code::WorkflowInvalid)
        .problem(Code::Conflict),
        new(
            "post",
            "/v1/workflows/validate",
            "validateWorkflow",
            "Whether a document can be run; what is wrong with it is the answer",
            Scope::RunsRead,
        )
        .without_database()
        .body(body(), json!({"definition": example()}))
        .reply(200, "What was found.", |_| validation()),
        new(
            "post",
            "/v1/workflows/plan",
            "planWorkflow",
            "What a workflow may touch, without doing anything",
            Scope::RunsRead,
        )
        .body(
            json!({
                "type": "object",
                "additionalProperties": false,
                "properties": {"definition": definition(), "workflow": reference()},
                "oneOf": [{"required": ["definition"]}, {"required": ["workflow"]}],
            }),
            json!({"definition": example()}),
        )
        .reply(200, "The plan.", |_| plan())
        .problem(Code::WorkflowInvalid)
        .problem(Code::UnknownWorkflow),
        one(
            "get",
            "getWorkflow",
            "A workflow with its document",
            Scope::RunsRead,
        )
        .reply(200, "The workflow.", |schemas| schemas.of::<WorkflowDocument>()),
        one(
            "put",
            "putWorkflow",
            "Upload a workflow to the path of its own name",
            Scope::RunsWrite,
        )
        .body(body(), json!({"definition": example()}))
        .reply(201, "The workflow, kept.", |schemas| schemas.of::<Workflow>())
        .reply(
            200,
            "The workflow, which was there with the same content.",
            |schemas| schemas.of::<Workflow>(),
        )
        .problem(Code::WorkflowInvalid)
        .problem(Code::Conflict),
    ]
}

/// A document of the Serverless Workflow DSL.
pub(super) fn definition() -> Value {
    json!({
        "description": "A document of the Serverless Workflow DSL 1.0.3: itself, or its text in YAML or JSON.",
        "anyOf": [{"type": "object"}, {"type": "string"}],
    })
}

/// A workflow that was uploaded.
pub(super) fn reference() -> Value {
    object(
        &["namespace", "name"],
        json!({"namespace": line(200), "name": line(200), "version": line(200)}),
    )
}

pub(super) fn example() -> Value {
    json!({
        "document": {"dsl": "1.0.3", "namespace": "docs", "name": "check-health", "version": "1.0.0"},
        "do": [{"look": {"call": "agent", "with": {
            "skill": "check_health",
            "input": {"environment": "${ $workflow.input.environment }"},
        }}}],
    })
}

fn validation() -> Value {
    let place = json!({"type": ["integer", "null"], "minimum": 1});
    let finding = object(
        &["code", "pointer", "line", "column", "message"],
        json!({
            "code": {"type": "string"},
            "pointer": {"type": "string", "description": "JSON pointer into the document."},
            "line": place, "column": place,
            "message": {"type": "string"},
        }),
    );
    object(
        &["valid", "workflow", "digest", "findings"],
        json!({
            "valid": {"type": "boolean"},
            "workflow": {"type": ["string", "null"], "description": "namespace/name@version"},
            "digest": {"type": ["string", "null"], "description": "SHA-256 of the document, in hex."},
            "findings": {"type": "array", "items": finding},
        }),
    )
}

fn plan() -> Value {
    let touches = json!({"type": "array", "items": object(
        &["name", "dynamic", "tasks"],
        json!({
            "name": {"type": "string"},
            "dynamic": {"type": "boolean", "description": "Whether the name holds expressions."},
            "tasks": {"type": "array", "items": {"type": "string"}},
        }),
    )});
    let lists = [
        "agents",
        "approvals",
        "notifications",
        "hosts",
        "tools",
        "functions",
        "workflows",
        "locks",
        "emits",
        "listens",
        "secrets",
    ];
    let mut properties = json!({"workflow": {"type": "string"}});
    for list in lists {
        properties[list] = touches.clone();
    }
    let required: Vec<&str> = std::iter::once("workflow").chain(lists).collect();
    object(&required, properties)
}
