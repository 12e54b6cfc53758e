//! Services outside that workflows call: how they are asked, by whom, and what comes back.

use crate::{
    flow::{document, ended, output, start},
    target::service_binary,
};
use anyhow::{Result, ensure};
use guildhall_testkit::{Client, Stub, stub::Received};
use guildhall_tests::{Hall, Pace};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const SECRETS: &str = r#"{
    "token": {"hosts": ["api.e2e.invalid"], "token": "token-very-secret"},
    "idp": {"hosts": ["idp.e2e.invalid", "api.e2e.invalid"], "authority": "https://idp.e2e.invalid/realm",
            "grant": "client_credentials", "client": {"id": "hall", "secret": "client-very-secret"}}
}"#;

/// What the services were asked, in order.
type Log = Arc<Mutex<Vec<Received>>>;

/// Of these to this path.
fn asked(log: &Log, path: &str) -> Vec<Received> {
    let all = log.lock().expect("no panic holds it");
    all.iter()
        .filter(|request| request.path == path)
        .cloned()
        .collect()
}

async fn serve(request: Received, log: Log) -> (u16, Value) {
    let times = {
        let mut all = log.lock().expect("no panic holds it");
        all.push(request.clone());
        all.iter().filter(|other| other.path == request.path).count()
    };
    let body = request.json();
    match (request.header("host").unwrap_or_default(), request.path.as_str()) {
        ("idp.e2e.invalid", "/realm/oauth2/token") => (
            200,
            json!({"access_token": "access-very-secret", "token_type": "Bearer", "expires_in": 3600}),
        ),
        (_, "/flaky") if times < 3 => (503, json!({"times": times})),
        (_, "/flaky") => (200, json!({"times": times})),
        (_, "/echo") => (200, json!({"authorization": request.header("authorization")})),
        (_, "/slow") => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            (200, json!({}))
        }
        (_, "/pets.json") => (200, description()),
        (_, "/v1/pets/7?tag=a&tag=b") => (200, json!({"id": 7})),
        (_, "/card.json") => (
            200,
            json!({"url": "https://api.e2e.invalid/a2a", "preferredTransport": "JSONRPC"}),
        ),
        (_, "/a2a") => (
            200,
            json!({"jsonrpc": "2.0", "id": body["id"], "result": {"heard": body["params"]["message"]["parts"][0]["text"]}}),
        ),
        (_, "/mcp") => mcp(&body),
        (_, "/catalog/functions/greet/1.0.0/function.yaml") => (
            200,
            json!({
                "call": "http",
                "with": {"method": "post", "endpoint": "https://api.e2e.invalid/greet", "body": {"who": "${ .who }"}},
            }),
        ),
        (_, "/greet") => (200, json!({"hello": body["who"]})),
        _ => (404, json!({})),
    }
}

fn description() -> Value {
    json!({
        "openapi": "3.1.0",
        "servers": [{"url": "/v1"}],
        "paths": {"/pets/{id}": {"get": {
            "operationId": "getPet",
            "parameters": [
                {"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}},
                {"name": "tag", "in": "query", "schema": {"type": "array"}},
            ],
        }}},
    })
}

fn mcp(message: &Value) -> (u16, Value) {
    let result = match message["method"].as_str() {
        Some("initialize") => json!({"protocolVersion": "2025-06-18", "capabilities": {}}),
        Some("tools/call") => json!({"structuredContent": message["params"]["arguments"]}),
        _ => return (202, json!({})),
    };
    (
        200,
        json!({"jsonrpc": "2.0", "id": message["id"], "result": result}),
    )
}

#[tokio::test]
async fn services_outside_are_called_and_nothing_else_is() -> Result<()> {
    let log = Log::default();
    let stub = {
        let log = log.clone();
        Stub::start(move |request| serve(request, log.clone())).await?
    };
    let stand_in = |host: &str| format!("{host}:443={}", stub.address());
    let stand_ins = ["api.e2e.invalid", "idp.e2e.invalid", "other.example.invalid"]
        .map(stand_in)
        .join(",");
    let args = [
        ("SPIN_VARIABLE_WORKFLOW_HOST_3", "https://*.e2e.invalid"),
        ("SPIN_VARIABLE_WORKFLOW_SECRETS", SECRETS),
        ("--stand-in", stand_ins.as_str()),
    ];
    let hall = Hall::start("strict", Pace::QUICK, service_binary(), &args).await?;
    let client = &hall.requester;
    a_retry_carries_the_same_key(client, &log).await?;
    a_secret_is_sent_and_never_recorded(&hall, &log).await?;
    every_kind_of_service_answers(client).await?;
    what_is_not_allowed_is_said(client, &log).await?;
    a_timeout_gives_the_call_up(client).await
}

async fn a_retry_carries_the_same_key(client: &Client, log: &Log) -> Result<()> {
    let tasks = "do:
- attempt:
    try:
    - ask: {call: http, with: {method: post, endpoint: 'https://api.e2e.invalid/flaky', body: {n: 1}}}
    catch:
      errors: {with: {type: https://serverlessworkflow.io/spec/1.0.0/errors/communication, status: 503}}
      retry: {delay: {milliseconds: 50}, limit: {attempt: {count: 5}}}
";
    let id = start(client, &document("flaky", tasks), json!({})).await?;
    assert_eq!(output(client, &id).await?, json!({"times": 3}));
    let calls = asked(log, "/flaky");
    assert_eq!(calls.len(), 3);
    for call in calls {
        let wanted = format!("{id}/do/0/attempt/try/0/ask");
        assert_eq!(call.header("idempotency-key"), Some(wanted.as_str()));
        assert_eq!(call.json(), json!({"n": 1}));
    }
    Ok(())
}

async fn a_secret_is_sent_and_never_recorded(hall: &Hall, log: &Log) -> Result<()> {
    let tasks = "use: {secrets: [token, idp]}
do:
- one:
    call: http
    with: {method: get, endpoint: {uri: 'https://api.e2e.invalid/echo', authentication: {bearer: {use: token}}}, output: response}
- two:
    call: http
    with: {method: get, endpoint: {uri: 'https://api.e2e.invalid/echo', authentication: {oauth2: {use: idp}}}}
";
    let id = start(&hall.requester, &document("secret", tasks), json!({})).await?;
    assert_eq!(
        output(&hall.requester, &id).await?,
        json!({"authorization": "Bearer ***"})
    );
    let sent: Vec<Option<String>> = asked(log, "/echo")
        .iter()
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    let wanted =
        ["Bearer token-very-secret", "Bearer access-very-secret"].map(|value| Some(value.to_owned()));
    assert_eq!(sent, wanted);
    let journal = hall.journal(&id).await?;
    let recorded = json!([journal, hall.run(&id).await?.0]).to_string();
    assert!(!recorded.contains("very-secret"), "{recorded}");
    assert!(recorded.contains("Bearer ***"), "{recorded}");
    Ok(())
}

async fn every_kind_of_service_answers(client: &Client) -> Result<()> {
    let tasks = "use: {catalogs: {team: {endpoint: 'https://api.e2e.invalid/catalog'}}}
do:
- pet:
    call: openapi
    with: {document: {endpoint: 'https://api.e2e.invalid/pets.json'}, operationId: getPet, parameters: {id: 7, tag: [a, b]}}
    export: {as: '{pet: .}'}
- agent:
    call: a2a
    with:
      method: message/send
      agentCard: {endpoint: 'https://api.e2e.invalid/card.json'}
      parameters: {message: {parts: [{kind: text, text: hi}]}}
    export: {as: '$context + {agent: .}'}
- tool:
    call: mcp
    with:
      method: tools/call
      parameters: {name: add, arguments: {a: 1}}
      transport: {http: {endpoint: 'https://api.e2e.invalid/mcp'}}
    export: {as: '$context + {tool: .}'}
- function:
    call: greet:1.0.0@team
    with: {who: milou}
    export: {as: '$context + {function: .}'}
- all: {set: '${ $context }'}
";
    let id = start(client, &document("kinds", tasks), json!({})).await?;
    let wanted = json!({
        "pet": {"id": 7},
        "agent": {"heard": "hi"},
        "tool": {"structuredContent": {"a": 1}},
        "function": {"hello": "milou"},
    });
    assert_eq!(output(client, &id).await?, wanted);
    let run = ended(client, &id).await?;
    assert_eq!(run.steps(), ["pet", "agent", "tool", "function"]);
    Ok(())
}

async fn what_is_not_allowed_is_said(client: &Client, log: &Log) -> Result<()> {
    for (uri, words) in [
        ("https://other.example.invalid/x", "workflow_host_1"),
        ("http://api.e2e.invalid/x", "workflow_host_1"),
        ("http://ops.spin.internal/internal/wake", "own components"),
    ] {
        let tasks = format!("do:\n- ask: {{call: http, with: {{method: get, endpoint: '{uri}'}}}}\n");
        let id = start(client, &document("forbidden", &tasks), json!({})).await?;
        let run = ended(client, &id).await?;
        assert_eq!(
            (run.status(), run.fault()),
            ("faulted", "configuration"),
            "{uri}: {:#}",
            run.0
        );
        assert!(
            run.0["error"]["detail"].to_string().contains(words),
            "{uri}: {:#}",
            run.0
        );
        assert_eq!(run.0["error"]["step"], "/do/0/ask");
    }
    assert!(asked(log, "/x").is_empty(), "somebody went there");
    // A workflow cannot send a secret where it may not go.
    let tasks = "use: {secrets: [token]}
do:
- ask: {call: http, with: {method: get, endpoint: {uri: 'https://idp.e2e.invalid/y', authentication: {bearer: {use: token}}}}}
";
    let id = start(client, &document("confined", tasks), json!({})).await?;
    let run = ended(client, &id).await?;
    assert_eq!(
        (run.status(), run.fault()),
        ("faulted", "configuration"),
        "{:#}",
        run.0
    );
    assert!(asked(log, "/y").is_empty(), "the secret went there");
    Ok(())
}

async fn a_timeout_gives_the_call_up(client: &Client) -> Result<()> {
    let tasks = "do:
- ask: {call: http, with: {method: get, endpoint: 'https://api.e2e.invalid/slow'}, timeout: {after: {seconds: 1}}}
";
    let begun = Instant::now();
    let id = start(client, &document("slow", tasks), json!({})).await?;
    let run = ended(client, &id).await?;
    assert_eq!((run.status(), run.fault()), ("faulted", "timeout"), "{:#}", run.0);
    ensure!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    Ok(())
}
