//! What goes over the wire: both revisions of MCP, and everything that is turned away.

use crate::support::{Repository, Server, TOKEN, http, post};
use serde_json::{Value, json};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

fn served() -> (Repository, Server) {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let server = repository.serve();
    (repository, server)
}

fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {}
    })
}

#[test]
fn the_revision_of_2025_works_with_and_without_its_handshake() {
    let (_repository, server) = served();
    let answer = post(
        server.address,
        &[],
        &json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": { "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } }
        }),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let reply = answer.json();
    assert_eq!(reply["result"]["protocolVersion"], LEGACY);
    assert_eq!(reply["result"]["serverInfo"]["name"], "guildhall-workspace");
    assert!(answer.header("mcp-session-id").is_none(), "no session is kept");
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(
        post(server.address, &[("MCP-Protocol-Version", LEGACY)], &initialized).status,
        202
    );
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    let answer = post(server.address, &[("MCP-Protocol-Version", LEGACY)], &list);
    let tools = answer.json()["result"]["tools"].as_array().unwrap().len();
    assert_eq!(tools, 16);
    assert_eq!(
        answer.header("content-length").unwrap(),
        answer.body.len().to_string()
    );
    let again = post(server.address, &[("MCP-Protocol-Version", LEGACY)], &list);
    assert_eq!(again.body, answer.body, "the order of tools is fixed");
}

#[test]
fn the_revision_of_2026_works_without_a_handshake() {
    let (repository, server) = served();
    let headers = |method: &'static str| vec![("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)];
    let discover =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": { "_meta": meta() } });
    let reply = post(server.address, &headers("server/discover"), &discover).json();
    let versions = reply["result"]["supportedVersions"].as_array().unwrap();
    assert!(
        versions.contains(&json!(MODERN)) && versions.contains(&json!(LEGACY)),
        "{reply}"
    );

    let call = json!({
        "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "revision_resolve", "arguments": { "revision": "main" }, "_meta": meta() }
    });
    let mut named = headers("tools/call");
    named.push(("Mcp-Name", "revision_resolve"));
    let answer = post(server.address, &named, &call);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(
        answer.header("content-length").unwrap(),
        answer.body.len().to_string()
    );
    let result = &answer.json()["result"];
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["structuredContent"]["revision"], repository.head("main"));

    named.pop();
    named.push(("Mcp-Name", "file_read"));
    let mismatch = post(server.address, &named, &call);
    assert_eq!(
        (mismatch.status, &mismatch.json()["error"]["code"]),
        (400, &json!(-32020)),
        "{mismatch:?}"
    );

    let unknown = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/fly", "params": { "_meta": meta() } });
    let answer = post(server.address, &headers("tools/fly"), &unknown);
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (404, &json!(-32601))
    );
}

#[test]
fn every_token_but_the_right_one_is_turned_away() {
    let (_repository, server) = served();
    let host = server.address.to_string();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    let longer = format!("Bearer {TOKEN}x");
    let shorter = format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]);
    let basic = format!("Basic {TOKEN}");
    for token in [
        None,
        Some("Bearer "),
        Some("Bearer"),
        Some(TOKEN),
        Some(&longer),
        Some(&shorter),
        Some(&basic),
    ] {
        let mut headers = vec![("Host", host.as_str()), ("Content-Type", "application/json")];
        headers.extend(token.map(|token| ("Authorization", token)));
        let answer = http(server.address, "POST", "/mcp", &headers, &body);
        assert_eq!(answer.status, 401, "{token:?}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    let right = format!("Bearer {TOKEN}");
    let twice = [
        ("Host", host.as_str()),
        ("Authorization", &right),
        ("Authorization", &longer),
    ];
    assert_eq!(http(server.address, "POST", "/mcp", &twice, &body).status, 401);
}

#[test]
fn pages_of_browsers_cannot_call() {
    let (_repository, server) = served();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    for origin in [
        "https://evil.example",
        "http://localhost:3000",
        "null",
        "http://127.0.0.1",
    ] {
        assert_eq!(
            post(server.address, &[("Origin", origin)], &body).status,
            403,
            "{origin}"
        );
    }
    let token = format!("Bearer {TOKEN}");
    for host in ["evil.example", "127.0.0.1.nip.io:80", "localhost.evil.example"] {
        let headers = [
            ("Host", host),
            ("Authorization", &token),
            ("Content-Type", "application/json"),
        ];
        assert_eq!(
            http(server.address, "POST", "/mcp", &headers, &body.to_string()).status,
            403,
            "{host}"
        );
    }
    let port = server.address.port();
    let local = format!("localhost:{port}");
    let headers = [
        ("Host", local.as_str()),
        ("Authorization", &token),
        ("Content-Type", "application/json"),
    ];
    assert_eq!(
        http(server.address, "POST", "/mcp", &headers, &body.to_string()).status,
        200
    );
}

#[test]
fn malformed_requests_get_an_answer_of_their_own() {
    let (_repository, server) = served();
    let (host, token) = (server.address.to_string(), format!("Bearer {TOKEN}"));
    let base = [
        ("Host", host.as_str()),
        ("Authorization", token.as_str()),
        ("Content-Type", "application/json"),
    ];
    let answer = http(server.address, "POST", "/mcp", &base, "{\"jsonrpc\":");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(http(server.address, "GET", "/mcp", &base, "").status, 405);
    assert_eq!(http(server.address, "DELETE", "/mcp", &base, "").status, 405);
    assert_eq!(
        http(server.address, "POST", "/elsewhere", &base, "{}").status,
        404
    );
    assert_eq!(http(server.address, "GET", "/livez", &base[..1], "").status, 200);
    let text = [
        ("Host", host.as_str()),
        ("Authorization", token.as_str()),
        ("Content-Type", "text/plain"),
    ];
    assert_eq!(http(server.address, "POST", "/mcp", &text, "{}").status, 415);
    let unknown =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "shell_run" } });
    assert_eq!(
        post(server.address, &[], &unknown).json()["error"]["code"],
        -32602
    );
    let code = |tool: &str, arguments: Value| server.code(tool, arguments);
    assert_eq!(code("revision_resolve", json!({})), "invalid_arguments");
    assert_eq!(
        code("revision_resolve", json!({ "revision": 7 })),
        "invalid_arguments"
    );
    assert_eq!(
        code("revision_resolve", json!({ "revision": "main", "more": 1 })),
        "invalid_arguments"
    );
}

#[test]
fn a_large_request_is_taken_and_a_huge_one_refused() {
    let (_repository, server) = served();
    let arguments = |bytes: usize| {
        json!({
            "branch": "big", "base": "main", "message": "Big", "idempotency_key": format!("big-{bytes}"),
            "files": [{ "path": "big.txt", "content": "x".repeat(bytes) }]
        })
    };
    server.call("file_commit", arguments(7 << 20)).unwrap();
    assert_eq!(server.code("file_commit", arguments(9 << 20)), "too_large");
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "file_commit", "arguments": arguments(25 << 20) } });
    assert_eq!(post(server.address, &[], &body).status, 413);
}

#[test]
fn the_options_are_checked() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = |change: fn(&mut guildhall_workspace::WorkspaceOptions)| {
        let mut options = repository.options();
        change(&mut options);
        match runtime.block_on(guildhall_workspace::serve(options)) {
            Ok(_) => panic!("it was served"),
            Err(error) => error.to_string(),
        }
    };
    assert!(refused(|options| options.listen = "0.0.0.0:0".parse().unwrap()).contains("loopback"));
    assert!(refused(|options| options.token = "short".into()).contains("token"));
    assert!(refused(|options| options.repository = "/nonexistent".into()).contains("/nonexistent"));
    assert!(refused(|options| options.repository = "/dev".into()).contains("git repository"));
    assert!(refused(|options| options.base_branch = Some("-x".into())).contains("branch name"));
    // A state directory belongs to the repository that used it first.
    repository.serve().shutdown();
    let other = Repository::new(&[("b.txt", "b\n")]);
    let mut options = other.options();
    options.state_dir = repository.state();
    let error = runtime
        .block_on(guildhall_workspace::serve(options))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("belongs to the repository"), "{error}");
}
