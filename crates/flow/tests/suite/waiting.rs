//! Errors that are caught, attempts, timeouts, events, locks, and what people do to runs.

use crate::drive::Drive;
use guildhall_flow::engine::{Action, Input, Status};
use serde_json::{Value, json};

fn with_retry(retry: &str) -> String {
    format!(
        "do:\n- t:\n    try:\n    - a: {{call: agent, with: {{skill: s}}}}\n    catch:\n      errors: {{with: {{status: 503}}}}\n      retry: {retry}\n"
    )
}

/// The delays of a policy, in seconds, until it gives up.
fn delays(retry: &str, most: usize) -> Vec<f64> {
    let mut run = Drive::start(&with_retry(retry), json!({}));
    let mut all = Vec::new();
    while all.len() < most {
        run.fail("/a", 503);
        if run.state.status.is_end() {
            break;
        }
        let delay = run.timers("/t").last().expect("a timer").1;
        all.push(delay);
        run.fire("/t");
    }
    all
}

#[test]
fn attempts_follow_the_policy() {
    assert_eq!(
        delays("{delay: PT3S, limit: {attempt: {count: 4}}}", 9),
        [3.0, 3.0, 3.0]
    );
    assert_eq!(
        delays(
            "{delay: PT3S, backoff: {constant: {}}, limit: {attempt: {count: 2}}}",
            9
        ),
        [3.0]
    );
    assert_eq!(
        delays(
            "{delay: PT3S, backoff: {linear: {}}, limit: {attempt: {count: 4}}}",
            9
        ),
        [3.0, 6.0, 9.0]
    );
    assert_eq!(
        delays(
            "{delay: PT3S, backoff: {exponential: {}}, limit: {attempt: {count: 5}}}",
            9
        ),
        [3.0, 6.0, 12.0, 24.0]
    );
    assert_eq!(
        delays("{delay: PT3S, limit: {duration: PT10S}}", 9),
        [3.0, 3.0, 3.0]
    );
    assert_eq!(delays("{when: $error.status == 500}", 9), Vec::<f64>::new());
    assert_eq!(delays("{exceptWhen: $error.status == 503}", 9), Vec::<f64>::new());
    assert_eq!(delays("{}", 3), [0.0, 0.0, 0.0]);
    let long = delays("{delay: P1D, backoff: {exponential: {}}}", 80);
    assert!(long.iter().all(|delay| *delay <= 3660.0 * 86_400.0), "{long:?}");
    let jittered = delays("{delay: PT1S, jitter: {from: PT0.5S, to: PT2S}}", 20);
    assert!(
        jittered.iter().all(|delay| (1.5..=3.0).contains(delay)),
        "{jittered:?}"
    );
    assert!(jittered.windows(2).any(|pair| pair[0] != pair[1]), "{jittered:?}");
    assert_eq!(
        delays("{delay: PT1S, jitter: {from: PT0.5S, to: PT2S}}", 20),
        jittered
    );
}

#[test]
fn attempts_are_numbered_under_one_key() {
    let mut run = Drive::start(&with_retry("{delay: PT1S}"), json!({}));
    run.fail("/a", 503).fire("/t");
    let asked: Vec<_> = run
        .commands
        .iter()
        .filter(|command| matches!(command.action, Action::Agent { .. }))
        .collect();
    assert_eq!(
        asked.iter().map(|command| command.attempt).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(asked[0].key, asked[1].key);
    assert_ne!(asked[0].seq, asked[1].seq);
    let late = asked[0].seq;
    // An answer to the first attempt comes late, and is not taken for the second's.
    run.apply(Input::Completed {
        step: "/do/0/t/try/0/a".into(),
        seq: late,
        output: json!("late"),
    });
    assert_eq!(run.state.status, Status::Running);
    run.complete("/a", json!("second"));
    assert_eq!(*run.output(), json!("second"));
}

#[test]
fn other_errors_are_not_caught() {
    let mut run = Drive::start(&with_retry("{}"), json!({}));
    run.fail("/a", 404);
    assert_eq!(run.error()["status"], 404);
    let text = "do:\n- t:\n    try: [{a: {call: agent, with: {skill: s}}}]\n    catch:\n      as: why\n      when: $why.status >= 500\n      exceptWhen: $why.status == 501\n      do: [{b: {set: {s: '${ $why.status }', i: '${ . }'}}}]\n";
    for (status, caught) in [(500, true), (501, false), (404, false)] {
        let mut run = Drive::start(text, json!({"in": 1}));
        run.fail("/a", status);
        match caught {
            true => assert_eq!(*run.output(), json!({"s": 500, "i": {"in": 1}})),
            false => assert_eq!(run.error()["status"], status),
        }
    }
    // Caught, with nothing to do: the task's input goes on.
    let mut run = Drive::start(
        "do:\n- t:\n    try: [{a: {call: agent, with: {skill: s}}}]\n    catch: {}\n",
        json!({"in": 1}),
    );
    run.fail("/a", 500);
    assert_eq!(*run.output(), json!({"in": 1}));
}

#[test]
fn when_attempts_are_spent_the_handler_has_its_turn() {
    let text = with_retry("{limit: {attempt: {count: 2}}}")
        + "      do: [{h: {set: {after: '${ $error.status }'}}}]\n";
    let mut run = Drive::start(&text, json!({}));
    run.fail("/a", 503).fire("/t").fail("/a", 503);
    assert_eq!(*run.output(), json!({"after": 503}));
}

#[test]
fn an_attempt_may_take_only_so_long() {
    let text = "do:\n- t:\n    try: [{a: {call: agent, with: {skill: s}}}]\n    catch:\n      retry: {delay: PT1S, limit: {attempt: {count: 2, duration: PT10S}}}\n";
    let mut run = Drive::start(text, json!({}));
    let first = run.asked("/a").seq;
    run.fire("/t");
    assert!(
        run.commands
            .iter()
            .any(|command| command.action == Action::Cancel { target: first })
    );
    run.fire("/t");
    assert_eq!(run.asked("/a").attempt, 2);
    run.fire("/t");
    assert_eq!(
        run.error()["type"],
        "https://serverlessworkflow.io/spec/1.0.0/errors/timeout"
    );
}

#[test]
fn timeouts_take_back_what_is_under_way() {
    let text = "do:\n- a:\n    timeout: {after: PT5S}\n    do:\n    - b: {call: agent, with: {skill: s}}\n";
    let mut run = Drive::start(text, json!({}));
    let asked = run.asked("/b").seq;
    run.fire("/a");
    let error = run.error();
    assert_eq!(
        (&error["status"], &error["instance"]),
        (&json!(408), &json!("/do/0/a"))
    );
    assert!(
        run.commands
            .iter()
            .any(|command| command.action == Action::Cancel { target: asked })
    );
    // A task that is done in time takes its timer back.
    let mut run = Drive::start(text, json!({}));
    let timer = run.timers("/a")[0].0;
    run.complete("/b", json!(1));
    assert!(
        run.commands
            .iter()
            .any(|command| command.action == Action::Cancel { target: timer })
    );
    // The whole workflow's.
    let mut run = Drive::start("timeout: {after: PT5S}\ndo:\n- a: {wait: PT1M}", json!({}));
    let timer = run
        .commands
        .iter()
        .find(|command| command.step.is_empty())
        .expect("a timer")
        .seq;
    run.after(5).apply(Input::Fired {
        step: String::new(),
        seq: timer,
    });
    assert_eq!(run.error()["status"], 408);
    assert!(run.settled(&[timer]));
}

const TEMPERATURE: &str = "{with: {type: temperature, data: '${ .celsius > 38 }'}}";

#[test]
fn one_event_is_waited_for() {
    let mut run = Drive::start(
        &format!("do:\n- a: {{listen: {{to: {{one: {TEMPERATURE}}}}}}}"),
        json!({}),
    );
    let Action::Subscribe { filters } = &run.asked("a").action else {
        panic!()
    };
    assert_eq!(json!(filters), json!([{"type": "temperature"}]));
    run.deliver("temperature", json!({"celsius": 37}))
        .deliver("pulse", json!({"celsius": 40}))
        .deliver("temperature", json!("hot"));
    assert_eq!(run.state.status, Status::Running);
    run.deliver("temperature", json!({"celsius": 39}));
    assert_eq!(*run.output(), json!([{"celsius": 39}]));
    assert!(run.settled(&[]));
}

#[test]
fn all_events_are_waited_for_and_read_whole() {
    let text = "do:\n- a: {listen: {to: {all: [{with: {type: a}}, {with: {type: 'b\\..*'}}]}, read: envelope}, output: {as: '[.[] | .type]'}}";
    let mut run = Drive::start(text, json!({}));
    run.deliver("b.x", json!(1))
        .deliver("b.y", json!(2))
        .deliver("a", json!(3));
    assert_eq!(*run.output(), json!(["b.x", "a"]));
}

#[test]
fn events_are_consumed_until() {
    let text = "do:\n- a: {listen: {to: {any: [], until: '(. | length) >= 3'}}}";
    let mut run = Drive::start(text, json!({}));
    run.deliver("x", json!(1))
        .deliver("y", json!(2))
        .deliver("z", json!(3))
        .deliver("z", json!(4));
    assert_eq!(*run.output(), json!([1, 2, 3]));
    let text = "do:\n- a: {listen: {to: {any: [{with: {type: x}}], until: {all: [{with: {type: p}}, {with: {type: q}}]}}}}";
    let mut run = Drive::start(text, json!({}));
    run.deliver("x", json!(1))
        .deliver("q", json!(0))
        .deliver("x", json!(2))
        .deliver("y", json!(3))
        .deliver("p", json!(0));
    assert_eq!(*run.output(), json!([1, 2]));
    let text = "do:\n- a: {listen: {to: {any: [{with: {type: x}}, {with: {type: y}}]}}}";
    let mut run = Drive::start(text, json!({}));
    run.deliver("y", json!(1));
    assert_eq!(*run.output(), json!([1]));
}

#[test]
fn events_are_correlated() {
    let text = "do:\n- a:\n    listen:\n      to:\n        all:\n        - {with: {type: t}, correlate: {room: {from: .data.room}}}\n        - {with: {type: h}, correlate: {room: {from: .data.room}, site: {from: .data.site, expect: '${ .site }'}}}\n";
    let mut run = Drive::start(text, json!({"site": "s1"}));
    run.deliver("t", json!({"no": "room"}))
        .deliver("t", json!({"room": 1}));
    run.deliver("h", json!({"room": 2, "site": "s1"}))
        .deliver("h", json!({"room": 1, "site": "s2"}));
    assert_eq!(run.state.status, Status::Running);
    run.deliver("h", json!({"room": 1, "site": "s1"}));
    assert_eq!(run.output().as_array().map(Vec::len), Some(2));
    let told = |kind: &str| run.lifecycle.iter().find(|event| event["type"] == kind).cloned();
    assert!(told("io.serverlessworkflow.workflow.correlation-started.v1").is_some());
    let completed = told("io.serverlessworkflow.workflow.correlation-completed.v1").expect("told");
    assert_eq!(completed["data"]["correlationKeys"]["room"], 1);
}

#[test]
fn each_event_has_its_turn() {
    let text = "do:
- a:
    listen: {to: {any: [{with: {type: x}}], until: '. | length == 3'}}
    foreach:
      item: event
      at: i
      do:
      - b: {call: agent, with: {skill: s, input: {event: '${ $event }', i: '${ $i }', site: '${ .site }'}}}
      output: {as: '{got: ., from: $event}'}
      export: {as: '($context // []) + [$output.got]'}
- c: {set: {events: '${ . }', context: '${ $context }'}}
";
    let mut run = Drive::start(text, json!({"site": "s"}));
    run.deliver("x", json!("e0"))
        .deliver("x", json!("e1"))
        .deliver("x", json!("e2"))
        .deliver("x", json!("e3"));
    for index in 0..3 {
        let asked = run.asked("/b");
        assert_eq!(asked.step, format!("/do/0/a/foreach[{index}]/do/0/b"));
        let Action::Agent { input, .. } = &asked.action else {
            panic!()
        };
        assert_eq!(
            *input,
            json!({"event": format!("e{index}"), "i": index, "site": "s"})
        );
        run.complete("/b", json!(index));
    }
    let got: Vec<Value> = (0..3)
        .map(|i| json!({"got": i, "from": format!("e{i}")}))
        .collect();
    assert_eq!(*run.output(), json!({"events": got, "context": [0, 1, 2]}));
}

#[test]
fn locks_are_held_for_just_the_task() {
    let text = "do:
- a:
    metadata: {locks: [prod, 'repo/${ .repo }']}
    timeout: {after: PT1H}
    try:
    - b: {call: agent, with: {skill: s}}
    catch: {retry: {delay: PT1S}}
- c: {call: agent, with: {skill: t}}
";
    let mut run = Drive::start(text, json!({"repo": "x"}));
    let Action::Acquire { locks } = &run.asked("/a").action else {
        panic!()
    };
    assert_eq!(*locks, ["prod", "repo/x"]);
    let acquire = run.asked("/a").seq;
    run.grant("/a", 41);
    assert_eq!(
        run.asked("/b")
            .fences
            .iter()
            .map(|fence| fence.token)
            .collect::<Vec<_>>(),
        [41, 41]
    );
    let seen = run.state.under_way(&run.definition);
    assert_eq!(
        seen.iter()
            .map(|task| (task.name.as_str(), task.depth))
            .collect::<Vec<_>>(),
        [("a", 0), ("b", 1)]
    );
    // Also over a failure and the wait for the next attempt.
    run.fail("/b", 500).fire("/a");
    let released = |run: &Drive| {
        run.commands
            .iter()
            .any(|c| matches!(c.action, Action::Release { target, .. } if target == acquire))
    };
    assert!(!released(&run));
    run.complete("/b", json!({}));
    assert!(released(&run));
    assert!(run.asked("/c").fences.is_empty());
}

#[test]
fn locks_are_let_go_however_the_task_ends() {
    let text = "do:\n- a:\n    metadata: {locks: [prod]}\n    timeout: {after: PT5S}\n    do: [{b: {call: agent, with: {skill: s}}}]\n";
    let released = |run: &Drive| {
        run.commands
            .iter()
            .filter(|c| matches!(c.action, Action::Release { .. }))
            .count()
    };
    let granted = || {
        let mut run = Drive::start(text, json!({}));
        run.grant("/a", 1);
        run
    };
    let mut run = granted();
    run.fail("/b", 500);
    assert_eq!((run.state.status, released(&run)), (Status::Faulted, 1));
    let mut run = granted();
    let timer = run.timers("/a")[0].0;
    run.apply(Input::Fired {
        step: "/do/0/a".into(),
        seq: timer,
    });
    assert_eq!((run.state.status, released(&run)), (Status::Faulted, 1));
    let mut run = granted();
    run.apply(Input::Cancel);
    assert_eq!((run.state.status, released(&run)), (Status::Cancelled, 1));
    // While it still waits for them, too.
    let mut run = Drive::start(text, json!({}));
    run.apply(Input::Cancel);
    assert_eq!(released(&run), 1);
    // Not when they were refused: there is nothing to let go.
    let mut run = Drive::start(text, json!({}));
    let acquire = run
        .commands
        .iter()
        .find(|c| matches!(c.action, Action::Acquire { .. }))
        .expect("acquire")
        .clone();
    let error =
        guildhall_flow::engine::Problem::standard(guildhall_flow::engine::Standard::Runtime, "a deadlock");
    run.apply(Input::Failed {
        step: acquire.step,
        seq: acquire.seq,
        error,
    });
    assert_eq!((run.state.status, released(&run)), (Status::Faulted, 0));
}

#[test]
fn people_pause_resume_and_cancel() {
    let text = "do:\n- a: {call: agent, with: {skill: s}}\n- b: {call: agent, with: {skill: t}}\n";
    let mut run = Drive::start(text, json!({}));
    run.apply(Input::Pause)
        .apply(Input::Pause)
        .complete("/a", json!(1));
    assert_eq!(run.state.status, Status::Suspended);
    assert!(run.open("/b").is_empty());
    run.apply(Input::Continue);
    assert!(run.open("/b").is_empty());
    run.apply(Input::Resume);
    let asked = run.asked("/b").seq;
    run.apply(Input::Cancel);
    assert_eq!(run.state.status, Status::Cancelled);
    assert!(
        run.commands
            .iter()
            .any(|command| command.action == Action::Cancel { target: asked })
    );
    assert_eq!(
        run.commands.last().map(|command| &command.action),
        Some(&Action::Cancelled)
    );
    let before = run.state.clone();
    run.apply(Input::Resume)
        .apply(Input::Cancel)
        .complete("/a", json!(2));
    assert_eq!(run.state, before);
    let kinds: Vec<&str> = run
        .lifecycle
        .iter()
        .filter_map(|event| event["type"].as_str())
        .filter(|kind| kind.contains(".workflow."))
        .collect();
    let kind = |name: &str| format!("io.serverlessworkflow.workflow.{name}.v1");
    assert_eq!(
        kinds,
        [
            kind("started"),
            kind("suspended"),
            kind("resumed"),
            kind("cancelled")
        ]
    );
}

#[test]
fn lifecycle_events_are_made_as_wanted_under_the_same_ids() {
    use guildhall_flow::engine::{Detail, Engine};
    let definition = crate::drive::definition("do:\n- a: {set: {x: 1}}\n");
    let told = |detail| {
        let engine = Engine {
            detail,
            ..Engine::default()
        };
        engine
            .start(&definition, json!({}), crate::world::meta("r"))
            .lifecycle
    };
    let all = told(Detail::Tasks);
    let kinds: Vec<&str> = all
        .iter()
        .filter_map(|event| event["type"].as_str())
        .filter_map(|kind| kind.strip_prefix("io.serverlessworkflow."))
        .collect();
    assert_eq!(
        kinds,
        [
            "workflow.started.v1",
            "task.created.v1",
            "task.started.v1",
            "task.completed.v1",
            "workflow.completed.v1"
        ]
    );
    assert_eq!(
        all[3]["data"],
        json!({"workflow": "flow-r.test", "task": "/do/0/a", "completedAt": "2024-10-04T00:00:00Z", "output": {"x": 1}})
    );
    assert_eq!(told(Detail::Runs), [all[0].clone(), all[4].clone()]);
    assert!(told(Detail::Nothing).is_empty());
}

#[test]
fn snapshots_do_not_grow_with_history() {
    let text = "do:\n- a: {set: {n: 0}}\n- b: {call: agent, with: {skill: s}}\n- c: {switch: [{more: {when: 'true', then: b}}]}\n";
    let mut run = Drive::start(text, json!({}));
    let mut sizes = Vec::new();
    for turn in 0..500 {
        run.complete("/b", json!({"turn": turn % 10}));
        run.commands = run.commands.split_off(run.commands.len() - 1);
        run.lifecycle.clear();
        sizes.push(serde_json::to_string(&run.state).expect("JSON").len());
    }
    assert!(sizes[499] <= sizes[50] + 16, "{} then {}", sizes[50], sizes[499]);
}
