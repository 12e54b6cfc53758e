//! Runs one test program to its end, or ends it: a test that hangs must not take everything after it along.

use anyhow::Context;
use guildhall_provision::os::{self, Signal};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a test program may go on without another of its tests ending.
pub const STALL_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long what a test program started may outlive it.
const FAREWELL: Duration = Duration::from_secs(60);

/// The environment variable that marks whatever a test program starts, however far down.
const MARK: &str = "GUILDHALL_TEST_PROGRAM";

/// How a test program ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it said beside that.
    pub stderr: String,
    /// What is wrong although no test said so: it hung, or it left something running.
    pub complaints: Vec<String>,
}

/// Runs `command` with its output in files under `dir`: a pipe would stay open as long as anything that it started runs.
pub fn run(command: &mut Command, dir: &Path, stall_limit: Duration) -> anyhow::Result<Ended> {
    let dir = tempfile::tempdir_in(dir).context("cannot make a directory for the output")?;
    let (out, err) = (dir.path().join("stdout"), dir.path().join("stderr"));
    let mark = dir.path().display().to_string();
    command.env(MARK, &mark).process_group(0);
    command.stdin(Stdio::null());
    command.stdout(File::create(&out).context("cannot write the output")?);
    command.stderr(File::create(&err).context("cannot write the output")?);
    let mut child = command.spawn()?;
    let mut complaints = Vec::new();
    let mut seen = (0, Instant::now());
    let mut pause = Duration::from_millis(5);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let ended = ended_tests(&read(&out)).len();
        if ended != seen.0 {
            seen = (ended, Instant::now());
        }
        if seen.1.elapsed() > stall_limit {
            complaints.push(stalled(&read(&out), &running(&mark), stall_limit));
            kill(child.id(), &mark);
            break child.wait()?;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(250));
    };
    complaints.extend(left_behind(child.id(), &mark));
    Ok(Ended {
        status,
        stdout: read(&out),
        stderr: read(&err),
        complaints,
    })
}

fn read(file: &Path) -> String {
    fs::read(file)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// Names of the tests that have ended, from libtest's `test NAME ... ok`.
fn ended_tests(stdout: &str) -> Vec<&str> {
    stdout
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "))
        .map(|(name, _)| name)
        .collect()
}

/// Names of the tests that libtest has warned of and that have not ended.
fn slow_tests(stdout: &str) -> Vec<&str> {
    let ended = ended_tests(stdout);
    stdout
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.split_once(" has been running for"))
        .map(|(name, _)| name)
        .filter(|name| !ended.contains(name))
        .collect()
}

fn stalled(stdout: &str, running: &[(u32, String)], limit: Duration) -> String {
    let slow = slow_tests(stdout);
    let tests = if slow.is_empty() {
        "no test that libtest names".to_string()
    } else {
        slow.join(", ")
    };
    let processes: Vec<String> = running
        .iter()
        .map(|(pid, what)| format!("  {pid} {what}"))
        .collect();
    format!(
        "no test ended for {} s, so it was killed; still running: {tests}\nits processes were:\n{}",
        limit.as_secs(),
        processes.join("\n")
    )
}

/// What still runs some time after the program's end; it is killed.
fn left_behind(group: u32, mark: &str) -> Option<String> {
    let deadline = Instant::now() + FAREWELL;
    let mut left = running(mark);
    while !left.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        left = running(mark);
    }
    if left.is_empty() {
        return None;
    }
    kill(group, mark);
    let left: Vec<String> = left.iter().map(|(pid, what)| format!("  {pid} {what}")).collect();
    Some(format!(
        "it left processes running, which were killed:\n{}",
        left.join("\n")
    ))
}

/// The processes that carry the mark: id and command line. Elsewhere than on Linux nobody can tell, and the list is
/// empty.
fn running(mark: &str) -> Vec<(u32, String)> {
    let wanted = format!("{MARK}={mark}");
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(|pair| pair == wanted.as_bytes())
                .then_some(())?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            Some((pid, line.trim().to_string()))
        })
        // A process that is ending has no command line any more.
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

fn kill(group: u32, mark: &str) {
    os::signal_group(group, Signal::Kill);
    // What is killed cannot start more, so a second look finds nothing new.
    for _ in 0..2 {
        for (pid, _) in running(mark) {
            os::signal(pid, Signal::Kill);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, stall_limit: Duration) -> Ended {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(&mut command, &std::env::temp_dir(), stall_limit).unwrap()
    }

    #[test]
    fn what_is_printed_is_kept() {
        let ended = shell(
            "echo 'test a ... ok'; echo said >&2; exit 3",
            Duration::from_secs(60),
        );
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!(
            (ended.stdout.as_str(), ended.stderr.as_str()),
            ("test a ... ok\n", "said\n")
        );
        assert!(ended.complaints.is_empty(), "{:?}", ended.complaints);
    }

    #[test]
    fn a_test_that_hangs_is_named_and_killed() {
        let script = "echo 'test quick ... ok'; echo 'test slow has been running for over 60 seconds'; sleep 600 & wait";
        let ended = shell(script, Duration::from_millis(300));
        assert!(!ended.status.success());
        let [complaint] = ended.complaints.as_slice() else {
            panic!("{:?}", ended.complaints);
        };
        assert!(complaint.contains("still running: slow\n"), "{complaint}");
        if cfg!(target_os = "linux") {
            assert!(complaint.contains("sleep 600"), "{complaint}");
        }
    }
}
