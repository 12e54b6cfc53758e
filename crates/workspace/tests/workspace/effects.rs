//! One outcome per idempotency key, over the wire.

use crate::support::Repository;
use serde_json::{Value, json};

/// Every run of this check leaves a line in a directory that all runs share.
const COUNTING: &str = "[checks.count]\ncommand = ['sh', 'count.sh']\n";
const SCRIPT: &str = "echo $GUILDHALL_IDEMPOTENCY_KEY >> $GUILDHALL_CACHE_DIR/runs\nsleep 0.2\n";

fn count(key: &str) -> Value {
    json!({ "check": "count", "revision": "main", "idempotency_key": key })
}

fn runs(repository: &Repository) -> usize {
    let runs = std::fs::read_to_string(repository.state().join("cache/count/runs")).unwrap_or_default();
    runs.lines().count()
}

#[test]
fn a_completed_call_is_answered_from_its_record_also_after_a_restart() {
    let repository = Repository::configured(COUNTING, &[("count.sh", SCRIPT)]);
    let server = repository.serve();
    let first = server.call("check_run", count("k")).unwrap();
    server.shutdown();
    let server = repository.serve();
    let mut again = server.call("check_run", count("k")).unwrap();
    assert_eq!(
        (&first["replayed"], &again["replayed"]),
        (&json!(false), &json!(true))
    );
    again["replayed"] = json!(false);
    assert_eq!(again, first);
    assert_eq!((runs(&repository), repository.started("k", "command")), (1, 1));
    let mut other = count("k");
    other["revision"] = json!("main~0");
    assert_eq!(server.code("check_run", other), "idempotency_conflict");
    server.call("check_run", count("k2")).unwrap();
    assert_eq!(runs(&repository), 2);
}

#[test]
fn concurrent_calls_with_one_key_run_once_even_from_two_servers() {
    let repository = Repository::configured(COUNTING, &[("count.sh", SCRIPT)]);
    let servers = [repository.serve(), repository.serve()];
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..6)
            .map(|n| {
                let server = &servers[n % 2];
                scope.spawn(move || server.call("check_run", count("k")))
            })
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().unwrap().unwrap())
            .collect()
    });
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer["replayed"] == false)
            .count(),
        1
    );
    assert_eq!((runs(&repository), repository.started("k", "command")), (1, 1));
}

#[test]
fn a_caller_that_hangs_up_does_not_undo_the_effect() {
    use std::io::Write;
    let repository = Repository::configured(COUNTING, &[("count.sh", SCRIPT)]);
    let server = repository.serve();
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "check_run", "arguments": count("k") } })
    .to_string();
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        server.address,
        crate::support::TOKEN,
        call.len()
    );
    stream.write_all(format!("{head}{call}").as_bytes()).unwrap();
    crate::support::wait_until("the check has begun", || runs(&repository) == 1);
    drop(stream);
    let answer = server.call("check_run", count("k")).unwrap();
    assert_eq!(
        (&answer["status"], &answer["replayed"]),
        (&json!("passed"), &json!(true))
    );
    assert_eq!(runs(&repository), 1);
}

#[test]
fn the_log_tells_what_ran_and_how_it_ended() {
    let repository = Repository::configured(COUNTING, &[("count.sh", "exit 9\n")]);
    repository.serve().call("check_run", count("k")).unwrap();
    let log = repository.effects_log();
    assert_eq!(log.len(), 2);
    for (line, event) in log.iter().zip(["started", "finished"]) {
        assert_eq!(
            (
                &line["event"],
                &line["key"],
                &line["tool"],
                &line["step"],
                &line["attempt"]
            ),
            (
                &json!(event),
                &json!("k"),
                &json!("check_run"),
                &json!("command"),
                &json!(1)
            )
        );
        assert!(line["at"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(log[1]["outcome"], "failed");
}
