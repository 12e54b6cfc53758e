//! Checks: what runs, where, with what, and for how long.

use crate::support::Repository;
use serde_json::{Value, json};

fn run(check: &str, revision: &str, key: &str) -> Value {
    json!({ "check": check, "revision": revision, "idempotency_key": key })
}

const CHECKS: &str = "
[checks.test]
command = ['sh', 'test.sh']
[checks.slow]
command = ['sh', 'test.sh']
timeout_s = 1
[checks.direct]
command = ['bin/check', 'one two', '$HOME', '; echo injected']
[checks.environment]
command = ['env']
pass_env = ['HOME', 'TEST_NOT_SET_ANYWHERE']
env = { TARGET = '${GUILDHALL_CACHE_DIR}/target', PLAIN = '$PATH' }
[checks.missing]
command = ['guildhall-no-such-program']
";

#[test]
fn a_check_passes_or_fails_on_exactly_the_revision_asked_for() {
    let repository = Repository::configured(
        CHECKS,
        &[("test.sh", "grep -q good state\n"), ("state", "good\n")],
    );
    let bad = repository.branch(
        "bad",
        &[("state", "broken\n"), ("test.sh", "cat state; exit 5\n")],
    );
    repository.write("state", "dirty\n");
    let server = repository.serve();
    let good = server.call("check_run", run("test", "main", "k1")).unwrap();
    assert_eq!(
        (&good["status"], &good["exit_code"], &good["replayed"]),
        (&json!("passed"), &json!(0), &json!(false))
    );
    let failed = server.call("check_run", run("test", "bad", "k2")).unwrap();
    assert_eq!(
        (
            &failed["status"],
            &failed["exit_code"],
            &failed["output_tail"],
            &failed["revision"]
        ),
        (&json!("failed"), &json!(5), &json!("broken\n"), &json!(bad))
    );
    assert_eq!(failed["configured_at"], repository.head("main"));
    assert_eq!(
        server.code("check_run", run("other", "main", "k3")),
        "unknown_check"
    );
    assert_eq!(
        server.code("check_run", run("test", "absent", "k4")),
        "unknown_revision"
    );
    let left: Vec<_> = std::fs::read_dir(repository.state().join("worktrees"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn neither_the_head_nor_the_work_tree_decides_what_runs() {
    let repository = Repository::configured("[checks.test]\ncommand = ['echo', 'from base']\n", &[]);
    let evil = "version = 1\n[checks.test]\ncommand = ['echo', 'evil']\n[checks.extra]\ncommand = ['echo', 'evil']\n";
    repository.branch("evil", &[("guildhall.toml", evil)]);
    repository.write("guildhall.toml", evil);
    repository.git(&["add", "-A"]);
    repository.git(&["tag", "main", "evil"]);
    let server = repository.serve();
    for (key, revision) in [("k1", "evil"), ("k2", "main")] {
        let ran = server.call("check_run", run("test", revision, key)).unwrap();
        assert_eq!(ran["output_tail"], "from base\n");
    }
    assert_eq!(
        server.code("check_run", run("extra", "evil", "k3")),
        "unknown_check"
    );
}

#[test]
fn arguments_reach_the_program_as_they_are() {
    let repository = Repository::configured(CHECKS, &[("bin/check", "#!/bin/sh\nprintf '<%s>' \"$@\"\n")]);
    repository.git(&["update-index", "--chmod=+x", "bin/check"]);
    repository.git(&["commit", "-q", "-m", "Make it executable"]);
    let ran = repository
        .serve()
        .call("check_run", run("direct", "main", "k"))
        .unwrap();
    assert_eq!(ran["output_tail"], "<one two><$HOME><; echo injected>");
}

#[test]
fn the_environment_is_clean_but_for_what_is_named() {
    let repository = Repository::configured(CHECKS, &[]);
    let ran = repository
        .serve()
        .call("check_run", run("environment", "main", "the key"))
        .unwrap();
    let mut names: Vec<&str> = Vec::new();
    let output = ran["output_tail"].as_str().unwrap();
    for line in output.lines() {
        let (name, value) = line.split_once('=').unwrap();
        names.push(name);
        match name {
            "GUILDHALL_IDEMPOTENCY_KEY" => assert_eq!(value, "the key"),
            "GUILDHALL_REVISION" => assert_eq!(value, repository.head("main")),
            "GUILDHALL_CHECK" => assert_eq!(value, "environment"),
            "TARGET" => assert!(value.ends_with("/cache/environment/target"), "{value}"),
            "PLAIN" => assert_eq!(value, "$PATH"),
            _ => {}
        }
    }
    names.sort_unstable();
    let mut expected = vec![
        "GUILDHALL_CACHE_DIR",
        "GUILDHALL_CHECK",
        "GUILDHALL_IDEMPOTENCY_KEY",
        "GUILDHALL_REVISION",
        "PATH",
        "PLAIN",
        "TARGET",
    ];
    if std::env::var_os("HOME").is_some() {
        expected.insert(4, "HOME");
    }
    assert_eq!(names, expected, "{output}");
}

#[test]
fn a_check_that_hangs_is_timed_out_and_that_is_its_outcome() {
    let repository = Repository::configured(CHECKS, &[("test.sh", "echo begun; sleep 60\n")]);
    let server = repository.serve();
    let ran = server.call("check_run", run("slow", "main", "k")).unwrap();
    assert_eq!(
        (&ran["status"], &ran["output_tail"]),
        (&json!("timed_out"), &json!("begun\n"))
    );
    let again = server.call("check_run", run("slow", "main", "k")).unwrap();
    assert_eq!(
        (&again["status"], &again["replayed"]),
        (&json!("timed_out"), &json!(true))
    );
}

#[test]
fn output_is_bounded_and_safe_to_store() {
    let script = "printf 'a\\000\\377\\033[31mred\\033[0m\\n'; head -c 300000 /dev/zero | tr '\\0' x; echo; echo end\n";
    let repository = Repository::configured(CHECKS, &[("test.sh", script)]);
    let ran = repository
        .serve()
        .call("check_run", run("test", "main", "k"))
        .unwrap();
    let output = ran["output_tail"].as_str().unwrap();
    assert!(output.starts_with("a\u{fffd}\u{fffd}red\nxxx") && output.ends_with("\nend\n"));
    assert!(ran["truncated"] == true && output.len() < 40 << 10 && output.contains("bytes left out"));
    assert!(ran["output_bytes"].as_u64().unwrap() > 300_000);
}

#[test]
fn a_missing_program_is_no_outcome_for_good() {
    let repository = Repository::configured(CHECKS, &[]);
    let server = repository.serve();
    for _ in 0..2 {
        let ran = server.call("check_run", run("missing", "main", "k")).unwrap();
        assert_eq!(
            (&ran["status"], &ran["replayed"], &ran["exit_code"]),
            (&json!("not_started"), &json!(false), &Value::Null)
        );
        assert!(
            ran["output_tail"]
                .as_str()
                .unwrap()
                .contains("guildhall-no-such-program")
        );
    }
}

#[test]
fn git_inside_a_check_cannot_reach_the_real_repository() {
    let script = "git log --oneline | wc -l; git branch stolen; git update-ref refs/heads/main HEAD; \
                  git commit-tree -m x HEAD^{tree} || true; git worktree list | wc -l; git gc -q; git prune\n";
    let repository = Repository::configured(CHECKS, &[("test.sh", script)]);
    let main = repository.head("main");
    let head = repository.branch("feature", &[("more.txt", "x\n")]);
    let ran = repository
        .serve()
        .call("check_run", run("test", &head, "k"))
        .unwrap();
    assert!(
        ran["output_tail"].as_str().unwrap().starts_with("2\n"),
        "the history is there: {ran}"
    );
    assert_eq!(repository.head("main"), main);
    assert_eq!(
        repository.git(&["branch", "--list", "--format=%(refname:short)"]),
        "feature\nmain"
    );
    assert_eq!(repository.git(&["worktree", "list"]).lines().count(), 1);
    repository.git(&["fsck", "--strict"]);
}

#[test]
fn a_bare_repository_is_served_too() {
    let repository = Repository::configured(CHECKS, &[("test.sh", "cat state\n"), ("state", "good\n")]);
    let bare = repository.outside().join("bare.git");
    repository.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    let mut options = repository.options();
    options.repository = bare;
    let server = crate::support::Server::start(options);
    assert_eq!(
        server.call("repository_describe", json!({})).unwrap()["name"],
        "bare"
    );
    assert_eq!(
        server.call("check_run", run("test", "main", "k")).unwrap()["output_tail"],
        "good\n"
    );
}
