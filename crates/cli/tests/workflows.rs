//! `guildhall workflows` as a shell sees it.

use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn guildhall(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_guildhall"))
        .args(args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).to_string()
}

const GOOD: &str = "document: {dsl: 1.0.3, namespace: n, name: w, version: 1.0.0}
do:
- review: {call: agent, with: {skill: review}}
- deploy: {call: approval, with: {action: {deploy: prod}}, metadata: {locks: [prod]}}
";

const BAD: &str = "document: {dsl: 1.0.3, namespace: n, name: w, version: 1.0.0}
do:
- a:
    run:
      shell: {command: ls}
- b: {wait: soon}
";

#[test]
fn findings_tell_the_line() {
    let good = guildhall(&["workflows", "validate", "-"], GOOD);
    assert_eq!(
        (good.status.code(), out(&good).as_str()),
        (Some(0), "n/w@1.0.0 can be run\n")
    );
    let bad = guildhall(&["workflows", "validate", "-"], BAD);
    assert_eq!(bad.status.code(), Some(1));
    let text = out(&bad);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("-:5:7: `shell` is not supported: "),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("-:6:"), "{lines:?}");
    assert!(String::from_utf8_lossy(&bad.stderr).contains("2 things are wrong"));
    let bad = guildhall(&["workflows", "validate", "-", "--json"], BAD);
    let document: Value = serde_json::from_str(&out(&bad)).unwrap();
    assert_eq!(
        (&document["kind"], &document["valid"]),
        (&"guildhall.workflow_validation.v1".into(), &false.into())
    );
    assert_eq!(document["findings"][0]["line"], 5);
    assert_eq!(
        guildhall(&["workflows", "validate", "/nowhere"], "")
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn plans_tell_what_may_be_touched() {
    let plan = guildhall(&["workflows", "plan", "-"], GOOD);
    let text = out(&plan);
    for part in [
        "n/w@1.0.0 may touch",
        "agent",
        "review",
        "lock",
        "prod",
        "/do/1/deploy",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let plan = guildhall(&["workflows", "plan", "-", "--json"], GOOD);
    let document: Value = serde_json::from_str(&out(&plan)).unwrap();
    assert_eq!(document["agents"][0]["name"], "review");
    assert_eq!(guildhall(&["workflows", "plan", "-"], BAD).status.code(), Some(1));
}
