//! Random definitions in random worlds: the same events give the same commands, every snapshot leads to the same end, and
//! nothing makes the engine panic.

use crate::specification::examples;
use crate::world::{Told, World, meta, response};
use guildhall_flow::dsl::Definition;
use guildhall_flow::engine::{Action, Command, Doing, Engine, Limits, Problem, Standard, State};
use guildhall_flow::validate;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Answers that differ from step to step, some of them failures.
fn moody(command: &Command, seed: u64) -> Result<Value, Problem> {
    let mood = (seed >> 20).wrapping_add(command.seq * 7) % 14;
    let error = |status| Problem::standard(Standard::Communication, "out of order").with_status(status);
    match (mood, &command.action) {
        (0, _) => Err(error(503)),
        (1, _) if seed.is_multiple_of(3) => Err(error(404)),
        (_, Action::Http { .. } | Action::OpenApi { .. }) => Ok(response(
            command,
            if mood == 2 { 500 } else { 200 },
            json!({"n": mood, "list": [mood, command.seq]}),
        )),
        _ => Ok(json!({"n": mood, "list": [1, 2, mood]})),
    }
}

/// Some text of an expression that is sound anywhere.
fn expression() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        ".",
        ".n?",
        "{n: ((.n? // 0) + 1), list: [1, 2]}",
        "{n: .n?, list: .list?}",
        "$context",
        ".list? | length",
        "[.list?[]?]",
        "$workflow.id",
        "$task.reference",
        ".n + 1",
    ])
}

fn condition() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "(.n? // 0) > 2",
        "true",
        "false",
        ".n? == null",
        "($context | type) == \"object\"",
        "[.list?[]?] | length > 1",
    ])
}

/// A task, with tasks in it down to a depth. Names are given afterwards.
fn task(depth: u32) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        expression().prop_map(|text| json!({"set": format!("${{ {text} }}")})),
        expression().prop_map(|text| json!({"set": {"n": format!("${{ {text} }}"), "list": [1, 2, 3]}})),
        Just(json!({"call": "agent", "with": {"skill": "s", "input": "${ {given: .} }"}})),
        Just(json!({"call": "http", "with": {"method": "get", "endpoint": "https://x.example/{n}"}})),
        Just(json!({"call": "own", "with": {"n": "${ .n }"}})),
        Just(json!({"run": {"workflow": {"namespace": "a", "name": "b", "version": "1.0.0"}}})),
        (0u32..5).prop_map(|s| json!({"wait": {"seconds": s}})),
        Just(
            json!({"emit": {"event": {"with": {"source": "https://x.example", "type": "ping", "data": "${ . }"}}}})
        ),
        Just(json!({"listen": {"to": {"one": {"with": {"type": "ping"}}}}})),
        Just(
            json!({"listen": {"to": {"any": [], "until": "(. | length) > 1"}}, "foreach": {"do": [{"x": {"call": "agent", "with": {"skill": "e", "input": {"i": "${ $index }"}}}}]}})
        ),
        condition().prop_map(
            |when| json!({"if": when, "raise": {"error": {"type": "https://x.example/e", "status": 503}}})
        ),
        (condition(), 0usize..4).prop_map(|(when, then)| {
            let then = ["continue", "exit", "end", "NEXT"][then];
            json!({"switch": [{"c": {"when": when, "then": then}}, {"d": {"then": "continue"}}]})
        }),
    ];
    let kind = if depth == 0 {
        leaf.boxed()
    } else {
        let body = || list(depth - 1);
        prop_oneof![
            4 => leaf,
            1 => body().prop_map(|body| json!({"do": body})),
            1 => (body(), any::<bool>()).prop_map(|(body, compete)| json!({"fork": {"branches": plain(body), "compete": compete}})),
            1 => (body(), prop::option::of(condition())).prop_map(|(body, condition)| {
                let mut task = json!({"for": {"in": "[1, 2, 3]", "each": "x"}, "do": body});
                if let Some(condition) = condition {
                    task["while"] = condition.into();
                }
                task
            }),
            2 => (body(), body(), 0u32..4, any::<bool>()).prop_map(|(body, handler, count, handled)| {
                let mut catch = json!({"errors": {"with": {"status": 503}}});
                if count > 0 {
                    catch["retry"] = json!({"delay": {"seconds": 1}, "backoff": {"exponential": {}}, "limit": {"attempt": {"count": count, "duration": "PT3S"}}, "jitter": {"from": "PT0S", "to": "PT1S"}});
                }
                if handled {
                    catch["do"] = handler;
                }
                json!({"try": body, "catch": catch})
            }),
        ]
        .boxed()
    };
    (
        kind,
        prop::option::weighted(0.15, condition()),
        prop::option::weighted(0.2, expression()),
        prop::option::weighted(0.15, 1u32..6),
        prop::option::weighted(0.15, 0usize..3),
    )
        .prop_map(|(mut task, condition, export, timeout, lock)| {
            if let Some(condition) = condition {
                task["if"] = condition.into();
            }
            if let Some(export) = export {
                task["export"] = json!({"as": export});
            }
            if let Some(timeout) = timeout {
                task["timeout"] = json!({"after": {"seconds": timeout}});
            }
            if let Some(lock) = lock {
                task["metadata"] = json!({"locks": [format!("lock-{lock}")]});
            }
            task
        })
        .boxed()
}

/// Tasks with names; a directive to `NEXT` leads to some task of the same list.
fn list(depth: u32) -> BoxedStrategy<Value> {
    (
        prop::collection::vec(task(depth), 1..5),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(tasks, target)| {
            let target = format!("t{}", target.index(tasks.len()));
            let named = tasks.into_iter().enumerate().map(|(index, mut task)| {
                if task.pointer("/switch/0/c/then") == Some(&json!("NEXT")) {
                    task["switch"][0]["c"]["then"] = target.clone().into();
                }
                json!({(format!("t{index}")): task})
            });
            Value::Array(named.collect())
        })
        .boxed()
}

/// Branches have no directives to one another.
fn plain(mut tasks: Value) -> Value {
    for (index, task) in tasks.as_array_mut().into_iter().flatten().enumerate() {
        let task = &mut task[format!("t{index}")];
        if task.get("switch").is_some() {
            task["switch"][0]["c"]["then"] = "continue".into();
        }
    }
    tasks
}

fn document() -> impl Strategy<Value = Value> {
    (list(2), prop::option::weighted(0.2, 5u32..60)).prop_map(|(tasks, timeout)| {
        let mut document = json!({
            "document": {"dsl": "1.0.3", "namespace": "random", "name": "flow", "version": "1.0.0"},
            "use": {"functions": {"own": {"do": [{"f": {"call": "agent", "with": {"skill": "f", "input": "${ . }"}}}, {"g": {"set": "${ .n }"}}]}}},
            "do": tasks,
        });
        if let Some(timeout) = timeout {
            document["timeout"] = json!({"after": {"seconds": timeout}});
        }
        document
    })
}

fn world(seed: u64) -> World {
    let mut world = World::new(moody, seed);
    world.engine = Engine {
        limits: Limits {
            tasks_per_apply: 7,
            tasks_per_run: 400,
        },
        ..Engine::default()
    };
    world.post = (0..6)
        .map(
            |n| json!({"specversion": "1.0", "id": n.to_string(), "source": "/x", "type": "ping", "data": n}),
        )
        .collect();
    world.patience = 300;
    world
}

fn engine() -> Engine {
    world(0).engine
}

fn given() -> Value {
    json!({"n": 1, "list": [1, 2]})
}

/// Each snapshot, read again, comes to what the uninterrupted run came to.
fn resumes(definition: &Definition, told: &Told) -> Result<(), TestCaseError> {
    let end = serde_json::to_value(&told.state).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let step = told.snapshots.len().div_ceil(12).max(1);
    for (index, (snapshot, commanded)) in told.snapshots.iter().enumerate().step_by(step) {
        let mut state: State =
            serde_json::from_str(snapshot).map_err(|e| TestCaseError::fail(format!("{e}: {snapshot}")))?;
        let mut commands = told.commands[..*commanded].to_vec();
        for event in &told.events[index..] {
            let step = engine().apply(definition, state, event);
            state = step.state;
            commands.extend(step.commands);
        }
        prop_assert_eq!(&commands, &told.commands, "from event {}", index);
        let reached = serde_json::to_value(&state).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&reached, &end, "from event {}", index);
    }
    Ok(())
}

/// Whatever waits is in sight, under the step that it asked by.
fn is_seen(definition: &Definition, told: &Told) -> Result<(), TestCaseError> {
    for (snapshot, commanded) in told.snapshots.iter().take(20) {
        let state: State = serde_json::from_str(snapshot).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let seen = state.under_way(definition);
        prop_assert!(!seen.is_empty());
        for task in seen.iter().filter(|task| {
            matches!(
                task.doing,
                Doing::Answer | Doing::Timer | Doing::Locks | Doing::Events
            )
        }) {
            let asked = told.commands[..*commanded]
                .iter()
                .any(|command| command.step == task.step);
            prop_assert!(asked, "nothing was asked by {}", task.step);
        }
    }
    Ok(())
}

/// When a run has ended, nothing it asked for is left open, and no lock is held.
fn leaves_nothing(told: &Told) -> Result<(), TestCaseError> {
    if !told.state.status.is_end() {
        return Ok(());
    }
    use guildhall_flow::engine::Input;
    use std::collections::BTreeSet;
    let mut open = BTreeSet::new();
    let mut locks = BTreeSet::new();
    for command in &told.commands {
        match &command.action {
            Action::Cancel { target } => {
                open.remove(target);
            }
            Action::Release { target, .. } => {
                locks.remove(target);
            }
            Action::Acquire { .. } => {
                locks.insert(command.seq);
            }
            Action::Complete { .. } | Action::Fault { .. } | Action::Cancelled | Action::Continue => {}
            Action::Emit { .. } | Action::Notify { .. } => {}
            _ => {
                open.insert(command.seq);
            }
        }
    }
    for event in &told.events {
        if let Input::Completed { seq, .. } | Input::Failed { seq, .. } | Input::Fired { seq, .. } =
            &event.input
        {
            open.remove(seq);
        }
    }
    prop_assert!(open.is_empty(), "left open: {:?}", open);
    prop_assert!(locks.is_empty(), "held: {:?}", locks);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_same_events_give_the_same_run(document in document(), seed in any::<u64>()) {
        // Locks within locks may form a circle, or be the same; such documents are refused, which is another test's matter.
        let valid = validate::check_value(&document);
        prop_assume!(valid.is_ok());
        if let Ok(definition) = valid {
            let told = world(seed).run(&definition, given());
            let again = engine().replay(&definition, given(), meta("run-1"), &told.events);
            prop_assert_eq!(&again.state, &told.state);
            resumes(&definition, &told)?;
            leaves_nothing(&told)?;
            is_seen(&definition, &told)?;
            let steps: Vec<_> = told.commands.iter().map(|command| command.seq).collect();
            prop_assert!(steps.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn strange_events_change_nothing_bad(document in document(), seed in any::<u64>(), noise in prop::collection::vec((0u64..40, 0usize..6), 0..40)) {
        use guildhall_flow::engine::{Event, Input};
        if let Ok(definition) = validate::check_value(&document) {
            let told = world(seed).run(&definition, given());
            let mut step = engine().start(&definition, given(), meta("run-1"));
            let mut all = step.commands.clone();
            let mut noise = noise.into_iter();
            for event in told.events.iter().take(40) {
                if let Some((seq, kind)) = noise.next() {
                    let place = all.iter().find(|command| command.seq == seq).map_or(String::new(), |command| command.step.clone());
                    let input = match kind {
                        0 => Input::Completed { step: place, seq, output: json!({"n": 5}) },
                        1 => Input::Fired { step: place, seq },
                        2 => Input::Continue,
                        3 => Input::Pause,
                        4 => Input::Resume,
                        _ => Input::Granted { step: place, seq, fences: Vec::new() },
                    };
                    step = engine().apply(&definition, step.state, &Event { now: event.now, input });
                    all.extend(step.commands.clone());
                }
                step = engine().apply(&definition, step.state, event);
                all.extend(step.commands.clone());
            }
            let ended = engine().apply(&definition, step.state, &Event { now: meta("").started_at, input: Input::Cancel });
            prop_assert!(ended.state.status.is_end());
        }
    }
}

#[test]
fn random_runs_are_varied() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut ends, mut events, mut cancelled, mut told_retries) =
        (std::collections::BTreeMap::new(), 0, 0, 0);
    for seed in 0..200 {
        let document = document().new_tree(&mut runner).expect("a document").current();
        if let Ok(definition) = validate::check_value(&document) {
            let told = world(seed * 977).run(&definition, given());
            *ends.entry(format!("{:?}", told.state.status)).or_insert(0) += 1;
            events += told.events.len();
            cancelled += told
                .commands
                .iter()
                .filter(|command| matches!(command.action, Action::Cancel { .. }))
                .count();
            told_retries += told
                .lifecycle
                .iter()
                .filter(|event| event["type"] == "io.serverlessworkflow.task.retried.v1")
                .count();
        }
    }
    println!("{ends:?}, {events} events, {cancelled} taken back, {told_retries} retries");
    let of = |end: &str| ends.get(end).copied().unwrap_or(0);
    assert!(of("Completed") > 40 && of("Faulted") > 20, "{ends:?}");
    assert!(
        events > 500 && cancelled > 50 && told_retries > 10,
        "{events} events, {cancelled} taken back, {told_retries} retries"
    );
}

/// A change to a document: a line is dropped, doubled, swapped with the next, or a word replaced.
fn mutate(text: &str, at: usize, kind: u8) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let index = at % lines.len().max(1);
    let next = (index + 1) % lines.len().max(1);
    match kind % 6 {
        0 => {
            lines.remove(index);
        }
        1 => lines.insert(index, lines[index].clone()),
        2 => lines.swap(index, next),
        3 => lines[index] = lines[index].replacen("  ", "", 1),
        4 => lines[index] = lines[index].replace(['$', '{', '}'], "."),
        _ => {
            let word = lines[next].trim().to_owned();
            lines[index] = format!(
                "{}{word}",
                &lines[index][..lines[index].len() - lines[index].trim_start().len()]
            );
        }
    }
    lines.join("\n")
}

#[test]
fn no_change_to_an_example_makes_it_panic() {
    let examples = examples();
    if examples.is_empty() {
        println!("skipped: the specification's examples are not at hand");
        return;
    }
    let mut valid = 0;
    for (path, text) in &examples {
        for round in 0..60_usize {
            let mut changed = mutate(text, round * 7 + 3, round as u8);
            if round % 3 == 0 {
                changed = mutate(&changed, round * 13 + 5, (round / 3) as u8);
            }
            if let Ok(definition) = validate::parse(&changed) {
                valid += 1;
                let told = world(round as u64 * 31 + path.len() as u64).run(&definition, given());
                let again = engine().replay(&definition, given(), meta("run-1"), &told.events);
                assert_eq!(again.state, told.state, "{path}\n{changed}");
            }
        }
    }
    assert!(valid > 200, "only {valid} changed examples were valid");
}
