use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn open() -> (tempfile::TempDir, Arc<Effects>) {
    let directory = tempfile::tempdir().unwrap();
    let effects = Arc::new(Effects::open(directory.path()).unwrap());
    (directory, effects)
}

#[test]
fn the_second_call_gets_the_first_answer() {
    let (_directory, effects) = open();
    let arguments = json!({"a": 1, "idempotency_key": "k", "fencing_token": 1});
    let first = effects
        .run("k", "t", &arguments, |_| Ok(Ended::Durably(json!({"x": 1}))))
        .unwrap();
    assert_eq!(first, json!({"x": 1, "replayed": false}));
    // A newer fencing token is the same effect: the holder merely took its lock again.
    let again = json!({"a": 1, "idempotency_key": "k", "fencing_token": 2});
    let run = effects.run("k", "t", &again, |_| -> ToolResult<Ended<Value>> {
        panic!("ran twice")
    });
    assert_eq!(run.unwrap(), json!({"x": 1, "replayed": true}));
}

#[test]
fn the_same_key_for_something_else_is_refused() {
    let (_directory, effects) = open();
    effects
        .run("k", "t", &json!({"a": 1}), |_| Ok(Ended::Durably(json!({}))))
        .unwrap();
    for (tool, arguments) in [("t", json!({"a": 2})), ("u", json!({"a": 1})), ("t", json!({}))] {
        let run = effects.run("k", tool, &arguments, |_| -> ToolResult<Ended<Value>> {
            panic!("ran")
        });
        assert_eq!(run.unwrap_err().code, "idempotency_conflict");
    }
}

#[test]
fn a_refusal_leaves_the_key_open_and_attempts_share_their_first_start() {
    let (_directory, effects) = open();
    let mut started = 0;
    let refused: ToolResult<Value> = effects.run("k", "t", &json!({}), |attempt| {
        started = attempt.first_started_ms;
        Err::<Ended<Value>, _>(ToolError::new("worktree_dirty", "", ""))
    });
    assert_eq!(refused.unwrap_err().code, "worktree_dirty");
    let openly = effects
        .run("k", "t", &json!({}), |_| Ok(Ended::Openly(json!({"n": 1}))))
        .unwrap();
    assert_eq!(openly, json!({"n": 1, "replayed": false}));
    let done = effects.run("k", "t", &json!({}), |attempt| {
        assert_eq!(attempt.number, 3);
        assert_eq!(attempt.first_started_ms, started);
        Ok(Ended::Durably(json!({"n": 2})))
    });
    assert_eq!(done.unwrap(), json!({"n": 2, "replayed": false}));
}

#[test]
fn concurrent_calls_with_one_key_run_once() {
    let (directory, _) = open();
    let ran = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (ran, path) = (ran.clone(), directory.path().to_owned());
            // A store of its own per thread stands for a process of its own: only the disk is shared.
            std::thread::spawn(move || {
                let effects = Effects::open(&path).unwrap();
                effects.run("k", "t", &json!({}), |_| {
                    ran.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    Ok(Ended::Durably(json!({"x": 1})))
                })
            })
        })
        .collect();
    let replayed = threads
        .into_iter()
        .map(|thread| thread.join().unwrap().unwrap())
        .filter(|result| result["replayed"] == json!(true))
        .count();
    assert_eq!((ran.load(Ordering::SeqCst), replayed), (1, 7));
}

#[test]
fn keys_are_checked_and_cannot_leave_the_directory() {
    let (directory, effects) = open();
    for key in ["", "a\nb", &"x".repeat(KEY_MAX + 1)] {
        let run = effects.run(key, "t", &json!({}), |_| -> ToolResult<Ended<Value>> {
            panic!("ran")
        });
        assert_eq!(run.unwrap_err().code, "invalid_arguments");
    }
    effects
        .run("../../escape", "t", &json!({}), |_| Ok(Ended::Durably(json!({}))))
        .unwrap();
    let entries: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(entries, ["effects"]);
}

#[test]
fn the_log_has_a_line_for_each_start_and_end() {
    let (directory, effects) = open();
    effects
        .run("k", "t", &json!({}), |attempt| {
            attempt.step("command", || Ok(1), |n| format!("passed:{n}"))?;
            Ok(Ended::Durably(json!({})))
        })
        .unwrap();
    let log = std::fs::read_to_string(directory.path().join("effects.log")).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["event"], &lines[0]["key"], &lines[0]["step"]),
        (&json!("started"), &json!("k"), &json!("command"))
    );
    assert_eq!(
        (&lines[1]["event"], &lines[1]["outcome"]),
        (&json!("finished"), &json!("passed:1"))
    );
}

#[test]
fn a_recorded_step_is_not_run_again_by_a_later_attempt() {
    let (_directory, effects) = open();
    let ran = AtomicUsize::new(0);
    let attempt = |dies: bool| {
        effects.run("k", "t", &json!({}), |attempt| {
            let value = match attempt.recorded::<usize>("command")? {
                Some(value) => value,
                None => attempt.recorded_step(
                    "command",
                    || Ok(ran.fetch_add(1, Ordering::Relaxed) + 1),
                    |n| format!("passed:{n}"),
                    |_| true,
                )?,
            };
            match dies {
                true => Err(ToolError::new("killed", "", "")),
                false => Ok(Ended::Durably(json!({ "value": value }))),
            }
        })
    };
    assert_eq!(attempt(true).unwrap_err().code, "killed");
    assert_eq!(attempt(false).unwrap(), json!({"value": 1, "replayed": false}));
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

#[test]
fn a_recorded_step_is_on_disk_before_the_log_says_that_it_finished() {
    let (directory, effects) = open();
    let log = directory.path().join("effects.log");
    // The log cannot be written to once the step has run: the step's end is on disk all the same.
    let first = effects.run("k", "t", &json!({}), |attempt| {
        attempt.recorded_step(
            "command",
            || {
                std::fs::remove_file(&log).unwrap();
                std::fs::create_dir(&log).unwrap();
                Ok(7)
            },
            |_| "passed".into(),
            |_| true,
        )?;
        Ok(Ended::Durably(json!({})))
    });
    assert_eq!(first.unwrap_err().code, "internal");
    std::fs::remove_dir(&log).unwrap();
    let again = effects.run("k", "t", &json!({}), |attempt| {
        Ok(Ended::Durably(
            json!({ "earlier": attempt.recorded::<u8>("command")? }),
        ))
    });
    assert_eq!(again.unwrap(), json!({"earlier": 7, "replayed": false}));
}
