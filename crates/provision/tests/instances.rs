//! Private instances: they start, remember, recover from being killed, and do not outlive who started them.

use guildhall_provision::os::{self, Signal};
use guildhall_provision::{Postgres, PostgresOptions, Redis, RedisOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A directory that an unprivileged user can pass through, as tests may run as root.
fn state_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn options(dir: &Path) -> PostgresOptions {
    PostgresOptions {
        durable: false,
        ..PostgresOptions::new(dir)
    }
}

fn psql(postgres: &Postgres, password: &str, sql: &str) -> Result<String, String> {
    let output = Command::new(postgres.binaries().program("psql"))
        .env("PGPASSWORD", password)
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &postgres.port().to_string(),
            "-U",
            "guildhall",
            "-d",
            "guildhall",
        ])
        .args(["-X", "-q", "-t", "-A", "-c", sql])
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_string()),
        false => Err(String::from_utf8_lossy(&output.stderr).to_string()),
    }
}

fn wait_until_gone(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while os::is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} still lives");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn postgres_keeps_data_port_and_password_across_restarts_and_kills() {
    let dir = state_dir();
    let options = options(dir.path());
    let mut first = Postgres::start(&options).unwrap();
    let (port, password) = (first.port(), first.password().to_string());
    psql(
        &first,
        &password,
        "create table kept (n int); insert into kept values (1)",
    )
    .unwrap();
    assert_eq!(
        psql(&first, &password, "show listen_addresses").unwrap(),
        "127.0.0.1"
    );
    let refused = psql(&first, "wrong", "select 1").unwrap_err();
    assert!(refused.contains("password authentication failed"), "{refused}");
    let secret = dir
        .path()
        .join("postgres.json")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(secret & 0o777, 0o600);
    first.stop();
    drop(first);

    // The server is killed while it has a session: its pid file stays, and its other processes leave a little later.
    let mut second = Postgres::start(&options).unwrap();
    assert_eq!((second.port(), second.password()), (port, password.as_str()));
    psql(&second, &password, "checkpoint; insert into kept values (2)").unwrap();
    second.signal(Signal::Kill);
    let third = Postgres::start(&options).unwrap();
    assert_eq!(third.port(), port);
    assert_eq!(psql(&third, &password, "select count(*) from kept").unwrap(), "2");

    // The handle is lost, so the server goes on: the next start ends it and takes over.
    let leftover = third.pid();
    std::mem::forget(third);
    let fourth = Postgres::start(&options).unwrap();
    assert!(!os::is_alive(leftover));
    assert_eq!(
        psql(&fourth, &password, "select count(*) from kept").unwrap(),
        "2"
    );
}

#[test]
fn postgres_moves_to_another_port_when_its_own_is_taken() {
    let dir = state_dir();
    let first = Postgres::start(&options(dir.path())).unwrap();
    let port = first.port();
    drop(first);
    let squatter = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let second = Postgres::start(&options(dir.path())).unwrap();
    assert_ne!(second.port(), port);
    drop(squatter);
    assert_eq!(psql(&second, second.password(), "select 1").unwrap(), "1");
}

#[test]
fn a_pid_file_of_a_foreign_process_does_not_stop_the_start_nor_that_process() {
    let dir = state_dir();
    let first = Postgres::start(&options(dir.path())).unwrap();
    let pid_file = first.home().join("data/postmaster.pid");
    drop(first);
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    std::fs::write(&pid_file, format!("{}\n/elsewhere\n", stranger.id())).unwrap();
    let second = Postgres::start(&options(dir.path())).unwrap();
    assert_eq!(psql(&second, second.password(), "select 1").unwrap(), "1");
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was ended");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn an_interrupted_initdb_is_begun_afresh() {
    let dir = state_dir();
    let first = Postgres::start(&options(dir.path())).unwrap();
    let home = first.home().to_path_buf();
    drop(first);
    std::fs::remove_dir_all(home.join("data")).unwrap();
    std::fs::create_dir(home.join("data.new")).unwrap();
    std::fs::write(home.join("data.new/PG_VERSION"), "half").unwrap();
    let second = Postgres::start(&options(dir.path())).unwrap();
    assert_eq!(psql(&second, second.password(), "select 1").unwrap(), "1");
}

#[test]
fn redis_comes_back_on_its_port_and_keeps_nothing() {
    if !Redis::available() {
        // Without the binary the only promise is a helpful error.
        let error = Redis::start(&RedisOptions::new(state_dir().path())).unwrap_err();
        assert!(error.hint.is_some_and(|hint| hint.contains("redis")));
        return;
    }
    let dir = state_dir();
    let mut first = Redis::start(&RedisOptions::new(dir.path())).unwrap();
    let port = first.port();
    first.signal(Signal::Kill);
    let second = Redis::start(&RedisOptions::new(dir.path())).unwrap();
    assert_eq!(second.port(), port);
    let mut stranger = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stranger.write_all(b"PUBLISH guildhall.requests x\r\n").unwrap();
    let mut answer = String::new();
    BufReader::new(stranger).read_line(&mut answer).unwrap();
    assert!(answer.starts_with("-NOAUTH"), "{answer}");
    let pid = second.pid();
    drop(second);
    assert!(!os::is_alive(pid));
}

/// Not a test by itself: what `children_die_with_a_killed_parent` kills.
#[test]
fn parent_that_is_killed() {
    let Some(dir) = std::env::var_os("GUILDHALL_TEST_PARENT_DIR") else {
        return;
    };
    let postgres = Postgres::start(&options(Path::new(&dir))).unwrap();
    println!("\nPOSTGRES {}", postgres.pid());
    std::thread::sleep(Duration::from_secs(60));
}

#[cfg(target_os = "linux")]
#[test]
fn children_die_with_a_killed_parent() {
    let dir = state_dir();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "parent_that_is_killed", "--nocapture"])
        .env("GUILDHALL_TEST_PARENT_DIR", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let pid: u32 = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("POSTGRES ").and_then(|pid| pid.parse().ok()))
        .expect("the parent tells the server's id");
    assert!(os::is_alive(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until_gone(pid);
}
