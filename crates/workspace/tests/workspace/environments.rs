//! Deployments, their services, and who may touch them.

use crate::support::{Repository, Server, free_port, is_alive, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};

const RESOURCE: &str = "deployment:production";

fn deploy(revision: &str, key: &str, token: u64) -> Value {
    json!({ "environment": "production", "revision": revision, "idempotency_key": key, "fencing_token": token,
        "resource": RESOURCE })
}

fn fenced(key: &str, token: u64) -> Value {
    json!({ "environment": "production", "idempotency_key": key, "fencing_token": token, "resource": RESOURCE })
}

fn named() -> Value {
    json!({ "environment": "production" })
}

const DEPLOY: &str = "echo \"$GUILDHALL_ENVIRONMENT $GUILDHALL_REVISION $GUILDHALL_IDEMPOTENCY_KEY \
$GUILDHALL_FENCING_TOKEN\" >> $GUILDHALL_STATE_DIR/deployments\necho deployed $(cat state)\n";

const PLAIN: &str =
    "[environments.production]\nrisk = 'production'\ndeploy = { command = ['sh', 'deploy.sh'] }\n";

fn plain() -> Repository {
    Repository::configured(PLAIN, &[("deploy.sh", DEPLOY), ("state", "one\n")])
}

fn deployments(repository: &Repository) -> Vec<String> {
    let path = repository
        .state()
        .join("environments/production/state/deployments");
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// An environment with a service: this test binary, which answers with the content of the release's `state` file.
fn with_service(port: u16) -> Repository {
    let binary = std::env::current_exe().unwrap();
    let configuration = format!(
        "{PLAIN}[environments.production.service]\ncommand = ['sh', 'serve.sh']\n\
         health = 'http://127.0.0.1:{port}/healthz'\nhealth_timeout_s = 20\nstop_timeout_s = 5\n\
         env = {{ TEST_BINARY = '{}', TEST_PORT = '{port}' }}\n",
        binary.display()
    );
    let serve = "sleep 71 &\n\"$TEST_BINARY\" --exact environments::a_service --ignored --nocapture\n";
    Repository::configured(
        &configuration,
        &[("deploy.sh", DEPLOY), ("state", "one\n"), ("serve.sh", serve)],
    )
}

#[test]
#[ignore = "it is the service that other tests deploy"]
fn a_service() {
    let port: u16 = std::env::var("TEST_PORT").unwrap().parse().unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let state = std::fs::read_to_string("state").unwrap();
        let status = if state.starts_with("sick") {
            "503 Service Unavailable"
        } else {
            "200 OK"
        };
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let _ = write!(
            stream,
            "HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n{state}",
            state.len()
        );
    }
}

fn pid(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_else(|| panic!("no process id: {value}"))).unwrap()
}

fn stop(server: &Server, key: &str) {
    server.call("service_stop", fenced(key, 1000)).unwrap();
}

#[test]
fn a_revision_is_deployed_once_with_all_it_needs_to_know() {
    let repository = plain();
    let first = repository.head("main");
    let server = repository.serve();
    let result = server
        .call("environment_deploy", deploy("main", "k1", 3))
        .unwrap();
    assert_eq!(
        (
            &result["status"],
            &result["exit_code"],
            &result["revision"],
            &result["previous_revision"],
            &result["service"]
        ),
        (
            &json!("passed"),
            &json!(0),
            &json!(first),
            &Value::Null,
            &Value::Null
        )
    );
    assert_eq!(result["output_tail"], "deployed one\n");
    assert_eq!(deployments(&repository), [format!("production {first} k1 3")]);
    let second = repository.commit(&[("state", "two\n")]);
    let result = server
        .call("environment_deploy", deploy(&second, "k2", 3))
        .unwrap();
    assert_eq!(
        (&result["previous_revision"], &result["output_tail"]),
        (&json!(first), &json!("deployed two\n"))
    );
    let replayed = server
        .call("environment_deploy", deploy("main", "k1", 4))
        .unwrap();
    assert_eq!(
        (&replayed["replayed"], &replayed["revision"]),
        (&json!(true), &json!(first))
    );
    assert_eq!(deployments(&repository).len(), 2);
    let described = server.call("environment_describe", named()).unwrap();
    assert_eq!(
        (
            &described["current_revision"],
            &described["previous_revision"],
            &described["service"]["state"]
        ),
        (&json!(second), &json!(first), &json!("not_configured"))
    );
    let releases = repository.state().join("environments/production/releases");
    assert_eq!(
        std::fs::read_dir(releases).unwrap().count(),
        1,
        "old releases are removed"
    );
}

#[test]
fn a_deployment_that_fails_leaves_the_current_one() {
    let repository = plain();
    let good = repository.head("main");
    let bad = repository.branch("bad", &[("deploy.sh", "echo cannot; exit 4\n")]);
    let server = repository.serve();
    server
        .call("environment_deploy", deploy("main", "k1", 1))
        .unwrap();
    let result = server.call("environment_deploy", deploy(&bad, "k2", 1)).unwrap();
    assert_eq!(
        (&result["status"], &result["exit_code"], &result["output_tail"]),
        (&json!("failed"), &json!(4), &json!("cannot\n"))
    );
    assert_eq!(
        server.call("environment_describe", named()).unwrap()["current_revision"],
        good
    );
    let releases = repository.state().join("environments/production/releases");
    assert_eq!(std::fs::read_dir(releases).unwrap().count(), 1);
    assert_eq!(
        server.code("environment_deploy", deploy("absent", "k3", 1)),
        "unknown_revision"
    );
    let mut other = deploy("main", "k4", 1);
    other["environment"] = json!("../production");
    assert_eq!(server.code("environment_deploy", other), "unknown_environment");
    assert_eq!(server.code("service_health", named()), "service_not_configured");
}

#[test]
fn whoever_lost_the_lock_is_refused_everywhere() {
    let repository = plain();
    let server = repository.serve();
    server
        .call("environment_deploy", deploy("main", "k1", 5))
        .unwrap();
    server.shutdown();
    let server = repository.serve();
    assert_eq!(
        server.code("environment_deploy", deploy("main", "k2", 4)),
        "stale_fencing_token"
    );
    for tool in ["environment_rollback", "service_restart", "service_stop"] {
        assert_eq!(
            server.code(tool, fenced("k3", 4)),
            "stale_fencing_token",
            "{tool}"
        );
    }
    // Not even for the answer to its own earlier call: another holder is at work now.
    assert_eq!(
        server.code("environment_deploy", deploy("main", "k1", 4)),
        "stale_fencing_token"
    );
    let mut other = deploy("main", "k4", 9);
    other["resource"] = json!("deployment:staging");
    assert_eq!(server.code("environment_deploy", other), "invalid_arguments");
    assert_eq!(deployments(&repository).len(), 1);
}

#[test]
fn a_deployment_goes_back_to_what_was_before() {
    let repository = plain();
    let first = repository.head("main");
    let server = repository.serve();
    assert_eq!(
        server.code("environment_rollback", fenced("r0", 1)),
        "nothing_to_roll_back"
    );
    server
        .call("environment_deploy", deploy("main", "k1", 1))
        .unwrap();
    let second = repository.commit(&[("state", "two\n")]);
    server
        .call("environment_deploy", deploy("main", "k2", 1))
        .unwrap();
    let back = server.call("environment_rollback", fenced("r1", 1)).unwrap();
    assert_eq!(
        (
            &back["status"],
            &back["revision"],
            &back["previous_revision"],
            &back["output_tail"]
        ),
        (
            &json!("passed"),
            &json!(first),
            &json!(second),
            &json!("deployed one\n")
        )
    );
    let described = server.call("environment_describe", named()).unwrap();
    assert_eq!(
        (&described["current_revision"], &described["previous_revision"]),
        (&json!(first), &Value::Null)
    );
    assert_eq!(
        server.code("environment_rollback", fenced("r2", 1)),
        "nothing_to_roll_back"
    );
}

#[test]
fn deploying_the_same_revision_again_does_not_bury_the_good_one() {
    let repository = plain();
    let first = repository.head("main");
    let server = repository.serve();
    server
        .call("environment_deploy", deploy("main", "k1", 1))
        .unwrap();
    let second = repository.commit(&[("state", "two\n")]);
    for key in ["k2", "k3"] {
        let result = server
            .call("environment_deploy", deploy(&second, key, 1))
            .unwrap();
        assert_eq!(result["previous_revision"], first, "{key}");
    }
    assert_eq!(
        server.call("environment_rollback", fenced("r", 1)).unwrap()["revision"],
        first
    );
}

#[test]
fn an_effect_that_others_have_built_upon_is_not_repeated() {
    let repository = plain();
    let server = repository.serve();
    server
        .call("environment_deploy", deploy("main", "k1", 1))
        .unwrap();
    let second = repository.commit(&[("state", "two\n")]);
    server
        .call("environment_deploy", deploy("main", "k2", 2))
        .unwrap();
    repository.forget_outcome("k1");
    let again = server
        .call("environment_deploy", deploy("main", "k1", 3))
        .unwrap();
    assert_eq!(
        (&again["status"], &again["output_tail"]),
        (&json!("passed"), &json!("deployed one\n"))
    );
    assert_eq!(deployments(&repository).len(), 2);
    assert_eq!(
        server.call("environment_describe", named()).unwrap()["current_revision"],
        second
    );
}

#[test]
fn a_rollback_command_of_its_own_runs_instead() {
    let configuration = format!("{PLAIN}rollback = {{ command = ['sh', 'back.sh'] }}\n");
    let back = "echo $GUILDHALL_ROLLBACK from $GUILDHALL_PREVIOUS_REVISION to $GUILDHALL_REVISION\n";
    let repository = Repository::configured(
        &configuration,
        &[("deploy.sh", DEPLOY), ("state", "1\n"), ("back.sh", back)],
    );
    let first = repository.head("main");
    let server = repository.serve();
    server
        .call("environment_deploy", deploy("main", "k1", 1))
        .unwrap();
    let second = repository.commit(&[("state", "two\n")]);
    server
        .call("environment_deploy", deploy("main", "k2", 1))
        .unwrap();
    let back = server.call("environment_rollback", fenced("r1", 1)).unwrap();
    assert_eq!(back["output_tail"], format!("1 from {second} to {first}\n"));
}

#[test]
fn a_deployment_whose_effect_record_was_lost_does_not_run_again() {
    let repository = plain();
    let server = repository.serve();
    let first = server
        .call("environment_deploy", deploy("main", "k1", 1))
        .unwrap();
    repository.forget_outcome("k1");
    let again = server
        .call("environment_deploy", deploy("main", "k1", 1))
        .unwrap();
    assert_eq!(
        (&again["revision"], &again["output_tail"]),
        (&first["revision"], &first["output_tail"])
    );
    assert_eq!(
        (
            deployments(&repository).len(),
            repository.started("k1", "command")
        ),
        (1, 1)
    );
}

#[test]
fn a_service_is_started_watched_replaced_and_stopped() {
    let port = free_port();
    let repository = with_service(port);
    let server = repository.serve();
    let before = server.call("service_health", named()).unwrap();
    assert_eq!(
        (&before["healthy"], &before["attempts"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(
        server.code("service_restart", fenced("s0", 1)),
        "nothing_deployed"
    );
    let first = server
        .call("environment_deploy", deploy("main", "k1", 1))
        .unwrap();
    let old = pid(&first["service"]["pid"]);
    let health = server.call("service_health", named()).unwrap();
    assert_eq!(
        (
            &health["healthy"],
            &health["status"],
            &health["body_excerpt"],
            &health["owner_verified"],
            &health["pid"]
        ),
        (
            &json!(true),
            &json!(200),
            &json!("one\n"),
            &json!(true),
            &json!(old)
        ),
        "{health}"
    );
    // The service outlives the server, and the next server knows it again.
    server.shutdown();
    assert!(is_alive(old));
    let server = repository.serve();
    let described = server.call("environment_describe", named()).unwrap();
    assert_eq!(
        (&described["service"]["state"], &described["service"]["pid"]),
        (&json!("running"), &json!(old))
    );
    let revision = repository.commit(&[("state", "two\n")]);
    let second = server
        .call("environment_deploy", deploy("main", "k2", 1))
        .unwrap();
    let new = pid(&second["service"]["pid"]);
    wait_until("the old service has ended", || !is_alive(old));
    let health = server.call("service_health", named()).unwrap();
    assert_eq!(
        (&health["body_excerpt"], &health["revision"], &health["pid"]),
        (&json!("two\n"), &json!(revision), &json!(new))
    );
    let back = server.call("environment_rollback", fenced("r", 1)).unwrap();
    assert_eq!(
        server.call("service_health", named()).unwrap()["body_excerpt"],
        "one\n"
    );
    let restarted = server.call("service_restart", fenced("s1", 1)).unwrap();
    assert_eq!(
        (&restarted["state"], &restarted["stopped"]),
        (&json!("running"), &json!(true))
    );
    assert_ne!(restarted["pid"], back["service"]["pid"]);
    let replayed = server.call("service_restart", fenced("s1", 1)).unwrap();
    assert_eq!(
        (&replayed["pid"], &replayed["replayed"]),
        (&restarted["pid"], &json!(true))
    );
    let stopped = server.call("service_stop", fenced("s2", 1)).unwrap();
    assert_eq!(
        (&stopped["state"], &stopped["stopped"]),
        (&json!("stopped"), &json!(true))
    );
    assert!(!is_alive(pid(&restarted["pid"])));
    assert!(
        std::net::TcpStream::connect(("127.0.0.1", port)).is_err(),
        "nothing listens any more"
    );
    assert_eq!(
        server.call("service_stop", fenced("s3", 1)).unwrap()["stopped"],
        false
    );
}

#[test]
fn an_unhealthy_service_is_told_with_its_reason() {
    let port = free_port();
    let repository = with_service(port);
    let text = repository
        .read("guildhall.toml")
        .replace("health_timeout_s = 20", "health_timeout_s = 1");
    let crash = "echo the reason >&2; exit 1\n";
    repository.commit(&[("guildhall.toml", &text)]);
    let dead = repository.branch("dead", &[("serve.sh", crash)]);
    let sick = repository.branch("sick", &[("state", "sick\n")]);
    let server = repository.serve();
    server.call("environment_deploy", deploy(&dead, "k1", 1)).unwrap();
    wait_until("the service has ended", || {
        server.call("environment_describe", named()).unwrap()["service"]["state"] != "running"
    });
    let health = server.call("service_health", named()).unwrap();
    assert_eq!(
        (&health["healthy"], &health["log_tail"]),
        (&json!(false), &json!("the reason\n"))
    );
    assert!(
        health["reason"].as_str().unwrap().contains("has ended"),
        "{health}"
    );

    // Another process answers on the port, and answers well: still not the service that was deployed.
    let foreign = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = foreign.accept() {
            let mut request = [0; 1024];
            if stream.read(&mut request).unwrap_or(0) == 0 {
                break;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let idle = repository.branch("idle", &[("serve.sh", "exec sleep 72\n")]);
    server.call("environment_deploy", deploy(&idle, "k2", 1)).unwrap();
    let health = server.call("service_health", named()).unwrap();
    assert_eq!(
        (&health["healthy"], &health["status"], &health["owner_verified"]),
        (&json!(false), &json!(200), &json!(false))
    );
    assert!(
        health["reason"].as_str().unwrap().contains("another process"),
        "{health}"
    );
    drop(std::net::TcpStream::connect(("127.0.0.1", port))); // Ends the foreign listener.
    wait_until("the foreign listener has ended", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
    });

    server.call("environment_deploy", deploy(&sick, "k3", 1)).unwrap();
    let health = server.call("service_health", named()).unwrap();
    assert_eq!(health["healthy"], false);
    wait_until("the sick service answers", || {
        let health = server.call("service_health", named()).unwrap();
        assert_eq!(health["healthy"], false);
        health["status"] == 503
    });
    stop(&server, "end");
}

#[test]
fn a_service_that_was_started_but_not_written_down_is_found_by_its_mark() {
    let port = free_port();
    let repository = with_service(port);
    let server = repository.serve();
    let first = server
        .call("environment_deploy", deploy("main", "k1", 1))
        .unwrap();
    let astray = pid(&first["service"]["pid"]);
    // As it is when the server dies between the start and the record of the process.
    let path = repository.state().join("environments/production/record.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["service"]["process"] = Value::Null;
    std::fs::write(&path, record.to_string()).unwrap();
    repository.forget_outcome("k1");
    let again = server
        .call("environment_deploy", deploy("main", "k1", 1))
        .unwrap();
    assert_eq!(deployments(&repository).len(), 1);
    assert_ne!(pid(&again["service"]["pid"]), astray);
    wait_until("the process that went astray has ended", || !is_alive(astray));
    assert_eq!(server.call("service_health", named()).unwrap()["healthy"], true);
    stop(&server, "end");
}
