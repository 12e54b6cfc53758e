//! The server dies, and nothing it started stays; what it had begun is run again and ends once.

use crate::support::{Repository, call, is_alive, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server in a process of its own: this test binary, told to be one.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(repository: &Repository) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::a_server", "--ignored", "--nocapture"])
            .env("TEST_REPOSITORY", repository.path())
            .env("TEST_STATE", repository.state())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                line.unwrap()
                    .split_once("listening on ")
                    .map(|(_, address)| address.parse().unwrap())
            })
            .expect("the server says where it listens");
        Self { child, address }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "it is the server that other tests kill"]
fn a_server() {
    let repository = std::env::var_os("TEST_REPOSITORY").unwrap();
    let state = std::env::var_os("TEST_STATE").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = guildhall_workspace::WorkspaceOptions {
            repository: repository.into(),
            state_dir: state.into(),
            listen: "127.0.0.1:0".parse().unwrap(),
            token: crate::support::TOKEN.into(),
            base_branch: None,
        };
        let mut running = guildhall_workspace::serve(options).await.unwrap();
        println!("listening on {}", running.address);
        running.stopped().await;
    });
}

fn pid_in(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

const HANGING: &str = "
[checks.hang]
command = ['sh', 'hang.sh']
[environments.production]
risk = 'production'
deploy = { command = ['sh', 'deploy.sh'] }
";

#[test]
fn a_killed_server_leaves_no_command_behind_and_the_call_can_be_made_again() {
    let script = "[ -e $GUILDHALL_CACHE_DIR/again ] && exit 0\ntouch $GUILDHALL_CACHE_DIR/again\n\
                  cd $GUILDHALL_CACHE_DIR\n(trap '' TERM; sleep 73 & echo $! >child; wait) &\n\
                  setsid sh -c 'trap \"\" TERM HUP; echo $$ >session; while :; do sleep 1; done' &\n\
                  until [ -s child ] && [ -s session ]; do sleep 0.01; done\ntrap '' TERM\necho $$ >main\n\
                  while :; do sleep 1; done\n";
    let repository = Repository::configured(HANGING, &[("hang.sh", script)]);
    let mut server = Process::start(&repository);
    let address = server.address;
    let ask = json!({ "check": "hang", "revision": "main", "idempotency_key": "k" });
    let caller = {
        let ask = ask.clone();
        std::thread::spawn(move || std::panic::catch_unwind(|| call(address, "check_run", ask)).is_err())
    };
    let cache = repository.state().join("cache/hang");
    wait_until("the check runs", || pid_in(&cache.join("main")).is_some());
    let pids: Vec<u32> = ["main", "child", "session"]
        .iter()
        .map(|file| pid_in(&cache.join(file)).unwrap())
        .collect();
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    server.kill();
    assert!(caller.join().unwrap(), "the caller saw the connection break");
    wait_until("everything that the command started has ended", || {
        !pids.iter().any(|pid| is_alive(*pid))
    });

    let left = || {
        std::fs::read_dir(repository.state().join("worktrees"))
            .unwrap()
            .count()
    };
    assert!(left() > 0, "the checkout is still there");
    let server = Process::start(&repository);
    assert_eq!(left(), 0, "the next start removes it");
    let answer = call(server.address, "check_run", ask).unwrap();
    assert_eq!(
        (&answer["status"], &answer["replayed"]),
        (&json!("passed"), &json!(false))
    );
    assert_eq!(repository.started("k", "command"), 2);
    let finished: Vec<Value> = repository
        .effects_log()
        .into_iter()
        .filter(|line| line["event"] == "finished")
        .collect();
    assert_eq!((finished.len(), &finished[0]["attempt"]), (1, &json!(2)));
}

#[test]
fn a_deployment_that_died_half_way_runs_again_with_the_same_key() {
    let script = "echo $GUILDHALL_IDEMPOTENCY_KEY >> $GUILDHALL_STATE_DIR/runs\n\
                  [ $(wc -l < $GUILDHALL_STATE_DIR/runs) -gt 1 ] || while :; do sleep 1; done\n";
    let repository = Repository::configured(HANGING, &[("deploy.sh", script)]);
    let mut server = Process::start(&repository);
    let address = server.address;
    let ask = |token: u64| {
        json!({ "environment": "production", "revision": "main", "idempotency_key": "run-1/do/3", "fencing_token": token,
            "resource": "deployment:production" })
    };
    let first = ask(1);
    let caller = std::thread::spawn(move || {
        std::panic::catch_unwind(|| call(address, "environment_deploy", first)).is_err()
    });
    let runs = repository.state().join("environments/production/state/runs");
    wait_until("the deployment runs", || {
        std::fs::read_to_string(&runs).is_ok_and(|runs| !runs.is_empty())
    });
    server.kill();
    caller.join().unwrap();
    let server = Process::start(&repository);
    // The next attempt took the lock anew, so its token is a newer one.
    let answer = call(server.address, "environment_deploy", ask(2)).unwrap();
    assert_eq!(
        (&answer["status"], &answer["replayed"]),
        (&json!("passed"), &json!(false))
    );
    let answer = call(server.address, "environment_deploy", ask(2)).unwrap();
    assert_eq!(answer["replayed"], true);
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "run-1/do/3\nrun-1/do/3\n");
    let releases = repository.state().join("environments/production/releases");
    assert_eq!(
        std::fs::read_dir(releases).unwrap().count(),
        1,
        "the half-made release is gone"
    );
}

#[test]
fn a_server_that_is_told_to_stop_ends_its_commands_and_records_no_outcome() {
    let repository = Repository::configured(
        HANGING,
        &[(
            "hang.sh",
            "[ -e $GUILDHALL_CACHE_DIR/main ] && exit 0\necho $$ >$GUILDHALL_CACHE_DIR/main; sleep 74\n",
        )],
    );
    let server = repository.serve();
    let address = server.address;
    let ask = json!({ "check": "hang", "revision": "main", "idempotency_key": "k" });
    let caller = {
        let ask = ask.clone();
        std::thread::spawn(move || call(address, "check_run", ask))
    };
    let main = repository.state().join("cache/hang/main");
    wait_until("the check runs", || pid_in(&main).is_some());
    server.shutdown();
    assert!(!is_alive(pid_in(&main).unwrap()));
    assert_eq!(caller.join().unwrap().unwrap_err()["code"], "interrupted");
    let answer = repository.serve().call("check_run", ask).unwrap();
    assert_eq!(
        (&answer["status"], &answer["replayed"]),
        (&json!("passed"), &json!(false))
    );
}
