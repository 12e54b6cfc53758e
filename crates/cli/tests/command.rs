//! The program as a shell sees it: exit codes, what goes to which stream, JSON, tables.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// Answers each request with what `answer` says for `METHOD PATH`, and remembers what was asked.
struct Stand {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stand {
    fn new(answer: impl Fn(&str) -> (u16, Value) + Send + 'static) -> Stand {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap() == 0 {
                        break;
                    }
                }
                let length = head
                    .to_lowercase()
                    .split("content-length: ")
                    .nth(1)
                    .map(|rest| rest.split_whitespace().next().unwrap().parse::<usize>().unwrap());
                let mut body = vec![0; length.unwrap_or(0)];
                reader.read_exact(&mut body).unwrap();
                let line = head.split(" HTTP/").next().unwrap_or_default().to_string();
                let token = head
                    .lines()
                    .find(|line| line.to_lowercase().starts_with("authorization"));
                log.lock().unwrap().push(format!(
                    "{line} {} {}",
                    token.unwrap_or("-"),
                    String::from_utf8_lossy(&body)
                ));
                let (status, document) = answer(&line);
                let text = document.to_string();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{text}",
                    text.len()
                );
            }
        });
        Stand { url, asked }
    }

    fn guildhall(&self, args: &[&str]) -> Output {
        guildhall(&[&["--url", &self.url, "--token", "guildhall_t"], args].concat())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guildhall"));
    command
        .args(args)
        .env_clear()
        .current_dir("/")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

fn guildhall(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn run(id: &str, status: &str) -> Value {
    json!({
        "id": id, "name": "deliver-change", "status": status, "requester": "rea", "title": "review good-change",
        "workflow": null, "digest": "d", "input": {}, "parent_run_id": null, "output": null,
        "definition": {"do": [{"review": {"call": "agent"}}, {"check": {"if": "."}}, {"test": {"call": "agent"}}]},
        "error": if status == "faulted" { json!({"code": "checks_failed", "detail": "test failed"}) } else { Value::Null },
        "journal_position": 3, "created_at": "2026-01-01T00:00:00Z", "finished_at": null,
        "steps": [{"step": "/do/0/review", "name": "review", "kind": "agent", "status": "completed", "agent": "code-review", "skill": "review_change",
            "attempts": 1, "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:01.5Z",
            "result": {"summary": "no findings"}, "error": null}]
    })
}

const RUN: &str = "3f1c9a52-0f52-4d0c-9f80-1b4f9fce6a01";

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    for args in [
        &["nonsense"][..],
        &["runs"],
        &["runs", "list", "--limit", "0"],
        &["token", "create"],
    ] {
        let output = guildhall(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(out(&output).is_empty(), "{args:?}");
    }
    for args in [&["--help"][..], &["--version"], &["runs", "watch", "--help"]] {
        let output = guildhall(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(err(&output).is_empty(), "{args:?}");
    }
}

#[test]
fn a_fleet_that_is_not_there_is_2_with_a_next_step() {
    let port = guildhall_provision::port::pick(None).unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let output = guildhall(&["--url", &url, "agents", "list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("hint: start one with `guildhall up`"),
        "{}",
        err(&output)
    );
    let output = guildhall(&["--url", &url, "agents", "list", "--json"]);
    let error: Value = serde_json::from_str(&err(&output)).unwrap();
    assert_eq!(error["kind"], "guildhall.error.v1");
}

#[test]
fn tables_fit_and_json_has_its_kind() {
    let stand = Stand::new(|_| (200, json!({"items": [run(RUN, "waiting")], "next": "abc"})));
    let output = stand.guildhall(&["runs", "list", "--status", "waiting"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(text.starts_with("RUN       STATUS   STARTED"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(err(&output).contains("--after abc"));
    assert!(
        stand.asked()[0]
            .starts_with("GET /v1/runs?limit=20&status=waiting authorization: Bearer guildhall_t")
    );
    let document: Value = serde_json::from_str(&out(&stand.guildhall(&["runs", "list", "--json"]))).unwrap();
    assert_eq!(document["kind"], "guildhall.runs.v1");
    assert_eq!(document["items"][0]["id"], RUN);
}

#[test]
fn a_beginning_of_an_id_is_enough_unless_two_have_it() {
    let stand = Stand::new(|line| match line.starts_with("GET /v1/runs/") {
        true => (200, run(RUN, "completed")),
        false => (
            200,
            json!({"items": [run(RUN, "completed"), run("3f1c9a00-0f52-4d0c-9f80-1b4f9fce6a02", "completed")]}),
        ),
    });
    let output = stand.guildhall(&["runs", "show", "3f1c9a52"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(
        out(&output).contains("review  completed  code-review  1.5 s  no findings"),
        "{}",
        out(&output)
    );
    let output = stand.guildhall(&["runs", "show", "3f1c9a"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("several runs begin so"), "{}", err(&output));
}

#[test]
fn a_run_is_started_by_reference_or_of_a_document() {
    let stand = Stand::new(|_| (201, run(RUN, "pending")));
    let output = stand.guildhall(&[
        "workflows",
        "run",
        "team/deliver@1.2.0",
        "--input",
        "{\"n\": 1}",
        "--title",
        "t",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(out(&output), format!("{RUN}\n"));
    let body = json!({"workflow": {"namespace": "team", "name": "deliver", "version": "1.2.0"}, "input": {"n": 1},
        "title": "t"});
    assert!(stand.asked()[0].starts_with("POST /v1/runs ") && stand.asked()[0].ends_with(&body.to_string()));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("w.yaml");
    std::fs::write(&file, "do: []\n").unwrap();
    let file = file.to_str().unwrap();
    let output = stand.guildhall(&["runs", "start", "--file", file, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(stand.asked()[1].ends_with(&json!({"definition": "do: []\n", "input": {}}).to_string()));
    for wrong in [
        &["runs", "start"][..],
        &["runs", "start", "deliver"],
        &["runs", "start", "a/b", "--file", file],
        &["runs", "start", "a/b", "--input", "{"],
    ] {
        assert_eq!(stand.guildhall(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(stand.asked().len(), 2, "nothing wrong is sent");
}

#[test]
fn a_run_is_told_what_was_said() {
    let stand = Stand::new(|_| (202, json!({"run_id": RUN, "accepted": "signal"})));
    for (args, asked) in [
        (&["runs", "pause", RUN][..], format!("/{RUN}/pause")),
        (&["runs", "resume", RUN], format!("/{RUN}/resume")),
        (
            &["runs", "signal", RUN, "--type", "paid", "--data", "[3]"],
            format!("/{RUN}/signal"),
        ),
    ] {
        let output = stand.guildhall(args);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let last = stand.asked().pop().unwrap();
        assert!(last.starts_with(&format!("POST /v1/runs{asked} ")), "{last}");
    }
    let event = json!({"type": "paid", "data": [3], "datacontenttype": "application/json"});
    assert!(
        stand.asked()[2].ends_with(&event.to_string()),
        "{:?}",
        stand.asked()
    );
}

#[test]
fn a_document_that_cannot_be_run_is_not_uploaded() {
    let stand = Stand::new(|_| (201, json!({})));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("w.yaml");
    std::fs::write(
        &file,
        "document: {dsl: 1.0.3, namespace: n, name: w, version: 1.0.0}\ndo:\n- a: {sit: {}}\n",
    )
    .unwrap();
    let output = stand.guildhall(&["workflows", "put", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(out(&output).contains("w.yaml:3:"), "{}", out(&output));
    assert!(stand.asked().is_empty());
}

#[test]
fn watching_ends_with_the_run_and_tells_how_it_ended() {
    for (status, code) in [("completed", 0), ("faulted", 1), ("cancelled", 1)] {
        let stand = Stand::new(move |_| (200, run(RUN, status)));
        let output = stand.guildhall(&["runs", "watch", RUN]);
        assert_eq!(output.status.code(), Some(code), "{status}: {}", err(&output));
        let text = out(&output);
        assert!(text.lines().any(|line| line == status), "{text}");
        assert!(!text.contains('\u{1b}'), "no escapes when piped");
    }
    let stand = Stand::new(|_| (200, run(RUN, "running")));
    let output = stand.guildhall(&["runs", "watch", RUN, "--timeout", "0"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_refusal_is_1_and_shows_code_and_page() {
    let stand = Stand::new(|_| {
        let problem = json!({"type": "x", "title": "t", "status": 403, "code": "not_eligible",
            "detail": "rea asked for this run", "hint": "let another person decide"});
        (403, problem)
    });
    let output = stand.guildhall(&["approvals", "approve", RUN, "--reason", "fine"]);
    assert_eq!(output.status.code(), Some(1));
    let text = err(&output);
    for part in [
        "[not_eligible]",
        "caused by: rea asked",
        "hint: let another",
        "docs/errors/not_eligible.md",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(
        stand.asked()[0].ends_with(r#"{"reason":"fine"}"#),
        "{:?}",
        stand.asked()
    );
}

#[test]
fn a_new_secret_is_alone_on_standard_output() {
    let stand = Stand::new(|_| (201, json!({"token": "guildhall_secret", "info": {}})));
    let args = [
        "token",
        "create",
        "--principal",
        "ada",
        "--scope",
        "runs:read,approvals:decide",
        "--ttl",
        "12h",
    ];
    let output = stand.guildhall(&args);
    assert_eq!(out(&output), "guildhall_secret\n");
    let asked: Value = serde_json::from_str(stand.asked()[0].split_once("guildhall_t ").unwrap().1).unwrap();
    let expected = json!({"principal": "ada", "kind": "person", "scopes": ["runs:read", "approvals:decide"], "agent_id": null, "ttl_s": 43200});
    assert_eq!(asked, expected);
}

#[test]
fn a_submitted_request_is_its_id_and_its_input_is_json() {
    let request = json!({
        "id": RUN, "run_id": null, "step": null, "skill": "check_health", "agent": null, "input": {}, "requester": "ada",
        "state": "queued", "attempt": 0, "max_attempts": 3, "result": null, "error": null,
        "created_at": "2030-01-01T12:00:00Z", "deadline_at": "2030-01-01T12:10:00Z", "finished_at": null,
    });
    let stand = Stand::new(move |_| (201, request.clone()));
    let output = stand.guildhall(&[
        "requests",
        "submit",
        "check_health",
        "--input",
        "{\"environment\": \"staging\"}",
    ]);
    assert_eq!(out(&output), format!("{RUN}\n"));
    let asked: Value = serde_json::from_str(stand.asked()[0].split_once("guildhall_t ").unwrap().1).unwrap();
    assert_eq!(asked["input"], json!({"environment": "staging"}));
    let output = stand.guildhall(&["requests", "submit", "check_health", "--input", "{"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--input is not JSON"));
}

#[test]
fn a_broadcast_is_sent_and_its_answers_are_a_table() {
    let sent = json!({
        "id": RUN, "skill": "get_status", "requester": "ada", "to": "skill", "exclude": ["cicd"], "targets": 2, "open": 1,
        "created_at": "2030-01-01T12:00:00Z",
        "answers": [
            {"request_id": RUN, "agent": "code-review", "state": "succeeded", "result": {"summary": "idle"}, "error": null},
            {"request_id": RUN, "agent": "orchestrator", "state": "failed", "result": null,
                "error": {"code": "x", "detail": "no"}},
        ],
    });
    let stand = Stand::new(move |_| (201, sent.clone()));
    let output = stand.guildhall(&[
        "requests",
        "broadcast",
        "get_status",
        "--exclude",
        "cicd",
        "--priority",
        "high",
    ]);
    assert_eq!(out(&output), format!("{RUN}\n"), "{}", err(&output));
    let asked = stand.asked();
    assert!(asked[0].starts_with("POST /v1/requests/broadcasts "), "{asked:?}");
    let body: Value = serde_json::from_str(asked[0].split_once("guildhall_t ").unwrap().1).unwrap();
    assert_eq!(
        body,
        json!({"skill": "get_status", "input": {}, "to": "skill", "exclude": ["cicd"], "priority": "high",
        "timeout_s": 600})
    );
    let output = stand.guildhall(&["requests", "broadcasts", "show", RUN]);
    let text = out(&output);
    assert!(text.contains("code-review   succeeded  3f1c9a52  idle"), "{text}");
    assert!(text.contains("no [x]") && text.contains("1 open"), "{text}");
    let output = stand.guildhall(&["requests", "broadcasts", "show", RUN, "--json"]);
    let document: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(document["kind"], "guildhall.broadcast.v1");
    assert_eq!(
        stand
            .guildhall(&["requests", "broadcast", "x", "--to", "nobody"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        stand
            .guildhall(&["requests", "broadcast", "x", "--input", "{"])
            .status
            .code(),
        Some(2)
    );
}

fn event(subject: &str) -> Value {
    json!({"specversion": "1.0", "id": "e", "source": "/guildhall", "type": "dev.guildhall.request.queued.v1",
        "subject": subject, "time": "2030-01-01T12:00:00Z", "data": {"skill": "fly"}})
}

#[test]
fn events_are_listed_with_filters_and_a_way_to_go_on() {
    let stand = Stand::new(|_| {
        (
            200,
            json!({"items": [{"position": "5.1", "event": event("r1")}], "next": "5.1", "more": true}),
        )
    });
    let output = stand.guildhall(&[
        "events",
        "list",
        "--type",
        "dev.guildhall.request",
        "--subject",
        "r1",
        "--after",
        "4.9",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(
        out(&output).contains("2030-01-01 12:00:00  request.queued  r1       skill fly"),
        "{}",
        out(&output)
    );
    assert!(
        err(&output).contains("guildhall events list --after 5.1"),
        "{}",
        err(&output)
    );
    let asked = stand.asked();
    let path = "GET /v1/events?limit=50&type=dev.guildhall.request&subject=r1&after=4.9 ";
    assert!(asked[0].starts_with(path), "{asked:?}");
    let document: Value =
        serde_json::from_str(&out(&stand.guildhall(&["events", "list", "--json"]))).unwrap();
    assert_eq!(
        (&document["kind"], &document["next"]),
        (&json!("guildhall.events.v1"), &json!("5.1"))
    );
}

/// Serves event streams: the first breaks off in the midst of an event, each next one begins behind `last-event-id`.
fn streaming() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let log = heads.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let first = !head.to_lowercase().contains("last-event-id: ");
            log.lock().unwrap().push(head.to_lowercase());
            let (one, two, three) = (event("one"), event("two"), event("three"));
            let text = match first {
                true => format!("retry: 1000\n\nid: 1\nevent: x\ndata: {one}\n\nid: 2\ndata: {{\"cut"),
                false => format!(": hello\n\nid: 2\ndata: {two}\n\nid: 3\ndata: {three}\n\n"),
            };
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{text}"
            );
        }
    });
    (url, heads)
}

#[test]
fn following_goes_on_behind_the_last_event_when_the_stream_breaks() {
    let (url, heads) = streaming();
    let args = [
        "--url",
        &url,
        "--token",
        "guildhall_t",
        "events",
        "follow",
        "--type",
        "dev.guildhall",
        "--count",
        "3",
        "--json",
    ];
    let output = guildhall(&args);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line["position"].as_str(), line["event"]["subject"].as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (Some("1"), Some("one")),
            (Some("2"), Some("two")),
            (Some("3"), Some("three"))
        ]
    );
    assert!(lines.iter().all(|line| line["kind"] == "guildhall.event.v1"));
    let heads = heads.lock().unwrap().clone();
    assert!(
        heads[0].starts_with("get /v1/events?type=dev.guildhall "),
        "{heads:?}"
    );
    assert!(
        heads[0].contains("accept: text/event-stream") && heads[0].contains("bearer guildhall_t"),
        "{heads:?}"
    );
    assert!(heads[1].contains("last-event-id: 1\r"), "{heads:?}");
}

#[test]
fn a_refused_stream_is_a_refusal() {
    let stand = Stand::new(|_| {
        (
            403,
            json!({"type": "x", "title": "t", "status": 403, "code": "forbidden", "detail": "no scope"}),
        )
    });
    let output = stand.guildhall(&["events", "follow"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("cannot follow the events [forbidden]"),
        "{}",
        err(&output)
    );
}

#[test]
fn nobody_reading_is_no_failure() {
    let stand = Stand::new(|_| {
        let runs: Vec<Value> = (0..150).map(|_| run(RUN, "completed")).collect();
        (200, json!({"items": runs, "filler": "x".repeat(1 << 20)}))
    });
    let mut child = command(&["--url", &stand.url, "runs", "list", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = guildhall(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(out(&output).contains("approvals"), "{shell}");
    }
}

#[test]
fn the_doctor_finds_what_is_missing_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let port = guildhall_provision::port::pick(None).unwrap();
    let (url, state) = (
        format!("http://127.0.0.1:{port}"),
        dir.path().display().to_string(),
    );
    let output = guildhall(&["--url", &url, "--state-dir", &state, "doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let document: Value = serde_json::from_str(out(&output).lines().next().unwrap()).unwrap();
    assert_eq!(document["ok"], false);
    let findings = document["findings"].as_array().unwrap();
    let fleet = findings
        .iter()
        .find(|finding| finding["check"] == "fleet")
        .unwrap();
    assert_eq!(fleet["verdict"], "failed");
    assert!(fleet["treatment"].as_str().unwrap().contains("guildhall up"));
    let bad = findings.iter().filter(|finding| {
        ["failed", "warning"]
            .iter()
            .any(|word| finding["verdict"] == *word)
    });
    assert!(bad.clone().count() > 0 && bad.clone().all(|finding| finding["treatment"].is_string()));
}

#[test]
fn up_names_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().display().to_string();
    let output = guildhall(&["--state-dir", &state, "up", "--app", "/nowhere/spin.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("there is no file /nowhere/spin.toml"),
        "{}",
        err(&output)
    );
}
