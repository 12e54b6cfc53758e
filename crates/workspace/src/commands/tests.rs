use super::*;
use std::fs;

/// Runs a script of `sh` in a temporary directory that stays for as long as the answer.
struct Script {
    directory: tempfile::TempDir,
    run: CommandRun,
}

fn script(text: &str, limit_ms: u64) -> Script {
    let directory = tempfile::tempdir().unwrap();
    let environment = vec![("PATH".to_owned(), std::env::var_os("PATH").unwrap())];
    let run = CommandRun {
        argv: ["sh", "-c", text].map(str::to_owned).to_vec(),
        directory: directory.path().to_owned(),
        environment,
        time_limit: Duration::from_millis(limit_ms),
    };
    Script { directory, run }
}

impl Script {
    fn outcome(&self) -> CommandOutcome {
        run(&self.run, &Stopping::default()).unwrap()
    }

    /// The process id that the script wrote to a file.
    fn pid(&self, file: &str) -> u32 {
        fs::read_to_string(self.directory.path().join(file))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    fn is_gone(&self, file: &str) -> bool {
        !supervisor::signal(self.pid(file), 0)
    }
}

#[test]
fn exit_status_signal_and_output_are_told() {
    let outcome = script("echo out; echo err >&2; exit 3", 60_000).outcome();
    assert_eq!(
        (outcome.status, outcome.exit_code, outcome.signal),
        (Status::Failed, Some(3), None)
    );
    assert_eq!(
        (
            outcome.output_tail.as_str(),
            outcome.output_bytes,
            outcome.truncated
        ),
        ("out\nerr\n", 8, false)
    );
    let outcome = script("kill -SEGV $$", 60_000).outcome();
    assert_eq!(
        (outcome.status, outcome.exit_code, outcome.signal),
        (Status::Failed, None, Some(libc::SIGSEGV))
    );
    assert_eq!(script("true", 60_000).outcome().status, Status::Passed);
}

#[test]
fn input_is_empty_and_the_environment_is_only_what_was_given() {
    let mut quiet = script(
        "cat; env | sort | grep -v -e '^PWD=' -e '^_=' -e '^SHLVL=' -e '^OLDPWD='",
        60_000,
    );
    quiet.run.environment.push(("GUILDHALL_X".into(), "1".into()));
    let outcome = quiet.outcome();
    let path = std::env::var("PATH").unwrap();
    assert_eq!(outcome.output_tail, format!("GUILDHALL_X=1\nPATH={path}\n"));
}

#[test]
fn no_descriptor_of_the_server_is_handed_on() {
    let _held = fs::File::open("/dev/null").unwrap();
    let outcome = script("ls /proc/self/fd | wc -l", 60_000).outcome();
    // 0, 1, 2, and the one with which ls reads the directory.
    assert_eq!(outcome.output_tail.trim(), "4", "{outcome:?}");
}

#[test]
fn signals_are_as_a_program_expects_them() {
    let outcome = script(
        "trap 'echo usr1' USR1; kill -USR1 $$; (exit 4) & wait $!; echo $?",
        60_000,
    )
    .outcome();
    assert_eq!(outcome.output_tail, "usr1\n4\n");
    let outcome = script("sed -n 's/^Sig\\(Blk\\|Ign\\):.//p' /proc/self/status", 60_000).outcome();
    let sets: Vec<u64> = outcome
        .output_tail
        .lines()
        .map(|line| u64::from_str_radix(line.trim(), 16).unwrap())
        .collect();
    let used = [
        libc::SIGTERM,
        libc::SIGCHLD,
        libc::SIGUSR1,
        libc::SIGPIPE,
        libc::SIGINT,
    ]
    .map(|n| 1u64 << (n - 1));
    let used = used.into_iter().sum::<u64>();
    assert_eq!(
        (sets.len(), sets[0], sets[1] & used),
        (2, 0, 0),
        "{}",
        outcome.output_tail
    );
}

#[test]
fn what_runs_over_its_time_is_asked_and_then_killed_with_all_it_started() {
    let polite = script("trap 'echo bye; exit 7' TERM; sleep 60 & wait", 300);
    let outcome = polite.outcome();
    assert_eq!((outcome.status, outcome.exit_code), (Status::TimedOut, Some(7)));
    assert_eq!(outcome.output_tail, "bye\n");

    let stubborn = script(
        "echo $$ >main; (trap '' TERM; sleep 61 & echo $! >child; wait) & \
         setsid sh -c 'trap \"\" TERM HUP INT; echo $$ >escaped; while :; do sleep 1; done' & \
         trap '' TERM; while :; do sleep 1; done",
        700,
    );
    let outcome = stubborn.outcome();
    assert_eq!(
        (outcome.status, outcome.signal),
        (Status::TimedOut, Some(libc::SIGKILL))
    );
    for file in ["main", "child", "escaped"] {
        assert!(stubborn.is_gone(file), "{file} is still there");
    }
}

#[test]
fn what_a_command_leaves_behind_is_ended_with_it() {
    let littering = script(
        "sleep 62 & echo $! >child; setsid sleep 63 & echo $! >session; \
         (setsid sh -c 'sleep 64 & echo $! >deep; wait' &) ; until [ -s deep ]; do sleep 0.01; done; echo done",
        60_000,
    );
    let outcome = littering.outcome();
    assert_eq!(
        (outcome.status, outcome.output_tail.as_str()),
        (Status::Passed, "done\n")
    );
    for file in ["child", "session", "deep"] {
        assert!(littering.is_gone(file), "{file} is still there");
    }
}

#[test]
fn a_flood_is_counted_and_its_ends_are_kept() {
    let outcome = script("echo first; head -c 5000000 /dev/zero; echo; echo last", 60_000).outcome();
    assert_eq!(
        (outcome.status, outcome.output_bytes, outcome.truncated),
        (Status::Passed, 5_000_012, true)
    );
    assert!(outcome.output_tail.starts_with("first\n") && outcome.output_tail.ends_with("\nlast\n"));
    assert!(outcome.output_tail.len() < 128 << 10 && !outcome.output_tail.contains('\0'));
}

#[test]
fn an_endless_flood_is_stopped_by_the_clock() {
    let outcome = script("yes", 400).outcome();
    assert_eq!((outcome.status, outcome.truncated), (Status::TimedOut, true));
}

#[test]
fn what_cannot_be_started_says_why() {
    let mut missing = script("true", 60_000);
    missing.run.argv = vec!["guildhall-no-such-program".into()];
    let outcome = missing.outcome();
    assert_eq!(outcome.status, Status::NotStarted);
    assert!(
        outcome.output_tail.contains("guildhall-no-such-program"),
        "{}",
        outcome.output_tail
    );

    let mut not_executable = script("true", 60_000);
    fs::write(not_executable.directory.path().join("tool"), "x").unwrap();
    not_executable.run.argv = vec!["./tool".into()];
    assert_eq!(not_executable.outcome().status, Status::NotStarted);
}

#[test]
fn an_empty_entry_in_path_does_not_mean_the_checkout() {
    let mut script = script("true", 60_000);
    let tool = script.directory.path().join("tool");
    fs::write(&tool, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    script.run.environment = vec![("PATH".into(), ":.:/usr/bin".into())];
    script.run.argv = vec!["tool".into()];
    assert_eq!(script.outcome().status, Status::NotStarted);
}

#[test]
fn a_stopping_server_ends_the_command_and_tells_no_outcome() {
    let hanging = script("echo $$ >main; sleep 65", 60_000);
    let stopping = Stopping::default();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&hanging.run, &stopping));
        while !hanging.directory.path().join("main").exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        stopping.stop();
        assert_eq!(running.join().unwrap().unwrap_err().code, "interrupted");
    });
    assert!(hanging.is_gone("main"));
}

#[test]
fn a_killed_supervisor_takes_the_command_with_it_and_is_no_outcome() {
    let unlucky = script("echo $$ >main; kill -KILL $PPID; exec sleep 66", 60_000);
    assert_eq!(
        run(&unlucky.run, &Stopping::default()).unwrap_err().code,
        "interrupted"
    );
    // The orphan is reaped by the machine's init, whenever that comes round to it.
    let stat = || fs::read_to_string(format!("/proc/{}/stat", unlucky.pid("main"))).unwrap_or_default();
    while stat()
        .rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    {
        std::thread::sleep(Duration::from_millis(5));
    }
}
