//! What each kind of task does, command by command.

use crate::drive::Drive;
use guildhall_flow::engine::{Action, Input, Limits, Status};
use serde_json::{Value, json};

const CALL: &str = "call: http\n    with: {method: post, endpoint: 'https://x.example/{id}', body: '${ . }'}";

fn ok(content: Value) -> Value {
    json!({"request": {"method": "post", "uri": "https://x.example/7"}, "statusCode": 200, "headers": {}, "content": content})
}

#[test]
fn data_flows_through_a_task() {
    let mut run = Drive::start(
        "input: {from: .start}
output: {as: '{result: ., context: $context}'}
do:
- a:
    input: {schema: {document: {type: object, required: [id]}}, from: '{id: .id, more: $workflow.input.start.id}'}
    call: http
    with: {method: post, endpoint: 'https://x.example/{id}', body: {id: '${ $input.more }', task: '${ $task.name + $task.reference }'}}
    output: {as: '{n: .n, was: $input.id}', schema: {document: {type: object}}}
    export: {as: '{last: $output.n, raw: $task.output.n}'}
- b: {set: {n: '${ .n + 1 }', at: '${ $workflow.startedAt.epoch.seconds }', by: '${ $runtime.name }'}}
",
        json!({"start": {"id": 7}}),
    );
    let Action::Http {
        method, uri, body, ..
    } = &run.asked("a").action
    else {
        panic!()
    };
    assert_eq!((method.as_str(), uri.as_str()), ("POST", "https://x.example/7"));
    assert_eq!(*body, json!({"id": 7, "task": "a/do/0/a"}));
    run.complete("a", ok(json!({"n": 1})));
    let seconds = 20_000_i64 * 86_400;
    let expected =
        json!({"result": {"n": 2, "at": seconds, "by": "guildhall"}, "context": {"last": 1, "raw": 1}});
    assert_eq!(*run.output(), expected);
}

#[test]
fn data_that_does_not_fit_is_a_validation_error() {
    let schema = "schema: {document: {type: object, required: [id]}}";
    for text in [
        format!("input: {{{schema}}}\ndo:\n- a: {{set: {{x: 1}}}}"),
        format!("do:\n- a: {{set: {{x: 1}}, input: {{{schema}}}}}"),
        format!("do:\n- a: {{set: {{x: 1}}, output: {{{schema}}}}}"),
        format!("do:\n- a: {{set: {{x: 1}}, export: {{as: ., {schema}}}}}"),
        format!("output: {{{schema}}}\ndo:\n- a: {{set: {{x: 1}}}}"),
    ] {
        let error = Drive::start(&text, json!({})).error();
        assert_eq!(
            error["type"], "https://serverlessworkflow.io/spec/1.0.0/errors/validation",
            "{text}"
        );
        assert_eq!(error["status"], 400);
        assert!(
            error["instance"]
                .as_str()
                .is_some_and(|instance| instance == "/" || instance == "/do/0/a"),
            "{error}"
        );
    }
}

#[test]
fn skipped_tasks_change_nothing() {
    let run = Drive::start(
        "do:\n- a: {if: .no, set: {x: 1}, then: end}\n- b: {set: {y: '${ .given }'}}",
        json!({"given": 3}),
    );
    assert_eq!(*run.output(), json!({"y": 3}));
    assert!(
        run.lifecycle
            .iter()
            .all(|event| event["data"]["task"] != "/do/0/a")
    );
}

#[test]
fn directives_lead_on() {
    let text = "do:
- start: {set: {n: 0}}
- body:
    do:
    - inc: {set: {n: '${ .n + 1 }'}}
    - leave: {switch: [{low: {when: .n < 2, then: exit}}, {high: {then: continue}}]}
    - never: {set: {n: '${ .n + 100 }'}, if: .n < 2}
- again: {switch: [{more: {when: .n < 4, then: body}}]}
- done: {set: {n: '${ .n }'}, then: end}
- not: {set: {n: -1}}";
    assert_eq!(*Drive::start(text, json!({})).output(), json!({"n": 4}));
    let text = "do:\n- a:\n    for: {in: '[1,2,3]'}\n    do:\n    - b: {if: $item == 2, set: {found: '${ $item }'}, then: end}\n    output: {as: '\"not this\"'}\n- c: {set: {x: 1}}";
    assert_eq!(*Drive::start(text, json!({})).output(), json!({"found": 2}));
}

#[test]
fn steps_are_named_apart_and_keys_last() {
    let text = format!(
        "do:\n- loop:\n    for: {{in: .ids, each: id}}\n    do:\n    - ask:\n        input: {{from: '{{id: $id}}'}}\n        {}\n- back: {{switch: [{{b: {{when: '.again', then: loop}}}}]}}",
        CALL.replace("\n    ", "\n        ")
    );
    let mut run = Drive::start(&text, json!({"ids": [1, 2]}));
    run.complete("ask", ok(json!({})))
        .complete("ask", ok(json!({"again": true, "ids": [3]})))
        .complete("ask", ok(json!({"again": false})));
    let steps: Vec<&str> = run
        .commands
        .iter()
        .filter(|c| matches!(c.action, Action::Http { .. }))
        .map(|c| c.key.as_str())
        .collect();
    assert_eq!(
        steps,
        [
            "run-1/do/0/loop/do[0]/0/ask",
            "run-1/do/0/loop/do[1]/0/ask",
            "run-1/do(1)/0/loop/do[0]/0/ask"
        ]
    );
    assert_eq!(*run.output(), json!({"again": false}));
}

#[test]
fn http_answers_become_outputs_or_errors() {
    let text = |more: &str| {
        format!("do:\n- a:\n    call: http\n    with: {{method: get, endpoint: 'https://x.example/'{more}}}")
    };
    let answer = |status: u16| json!({"request": {"method": "get", "uri": "https://x.example/"}, "statusCode": status, "headers": {}, "content": {"a": 1}});
    let with = |more: &str, status: u16| {
        let mut run = Drive::start(&text(more), json!({}));
        run.complete("a", answer(status));
        run
    };
    assert_eq!(*with("", 201).output(), json!({"a": 1}));
    assert_eq!(with(", output: response", 200).output()["statusCode"], 200);
    let error = with("", 302).error();
    assert_eq!(
        (&error["status"], &error["instance"]),
        (&json!(302), &json!("/do/0/a"))
    );
    assert_eq!(*with(", redirect: true", 302).output(), json!({"a": 1}));
    assert_eq!(with(", redirect: true", 404).error()["status"], 404);
    let mut run = Drive::start(&text(""), json!({}));
    run.complete("a", json!({"no": "status"}));
    assert!(
        run.error()["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("statusCode"))
    );
}

#[test]
fn all_calls_become_commands() {
    let text = "use:
  secrets: [key]
  authentications: {named: {bearer: {token: '${ .token }'}}, kept: {basic: {use: key}}}
  catalogs: {ours: {endpoint: {uri: 'https://cat.example', authentication: {use: kept}}}}
do:
- all:
    fork:
      branches:
      - a: {call: agent, with: {skill: review, input: {n: '${ .n }'}, timeout: PT1M, priority: '${ .n }', attempts: 7}}
      - b: {call: approval, with: {action: {do: it}, summary: 'do ${ .n }', expires: {hours: 1}}}
      - c: {call: a2a, with: {method: message/send, server: {uri: 'https://a.example', authentication: {use: named}}, parameters: {message: {parts: []}}}}
      - d: {call: mcp, with: {method: tools/call, parameters: {name: t}, transport: {http: {endpoint: 'https://m.example'}}}}
      - e: {call: 'f:1.0.0@ours', with: {x: '${ .n }'}}
      - f: {call: openapi, with: {document: {endpoint: 'https://o.example/openapi.json'}, operationId: op, parameters: {p: '${ .n }'}}}
      - g: {run: {workflow: {namespace: test, name: other, version: 1.0.0, input: {n: '${ .n }'}}}}
      - h: {call: notify, with: {message: 'n is ${ .n }'}}
      - i: {run: {workflow: {namespace: test, name: other, version: latest}, await: false}}
";
    let mut run = Drive::start(text, json!({"n": 2, "token": "t0k"}));
    let action = |step: &str| serde_json::to_value(&run.asked(step).action).expect("JSON");
    assert_eq!(
        action("/a"),
        json!({"action": "agent", "skill": "review", "agent": null, "input": {"n": 2}, "timeout_ms": 60_000, "priority": 2, "attempts": 7})
    );
    assert_eq!(
        action("/b"),
        json!({"action": "approval", "proposal": {"do": "it"}, "summary": "do 2", "risk": null, "expires_ms": 3_600_000})
    );
    let c = action("/c");
    assert_eq!(
        c["server"],
        json!({"uri": "https://a.example", "authentication": {"bearer": {"token": "t0k"}}})
    );
    assert_eq!(c["parameters"]["message"]["role"], "user");
    assert_eq!(
        c["parameters"]["message"]["messageId"].as_str().map(str::len),
        Some(36)
    );
    assert_eq!(action("/d")["protocol_version"], "2025-06-18");
    assert_eq!(
        action("/e")["endpoint"],
        json!({"uri": "https://cat.example", "authentication": {"basic": {"use": "key"}}})
    );
    assert_eq!(action("/f")["document"]["uri"], "https://o.example/openapi.json");
    assert_eq!(action("/g")["wait"], true);
    for step in ["/a", "/b", "/c", "/d", "/e"] {
        run.complete(step, json!(step));
    }
    run.complete("/f", ok(json!("/f")))
        .complete("/g", json!({"child": true}));
    let given = json!({"n": 2, "token": "t0k"});
    assert_eq!(
        *run.output(),
        json!(["/a", "/b", "/c", "/d", "/e", "/f", {"child": true}, given, given])
    );
}

#[test]
fn functions_of_the_document_are_called_apart() {
    let text = "use:
  functions:
    greet:
      input: {schema: {document: {required: [name]}}}
      do:
      - make: {set: {text: '${ \"hi \" + .name }'}}
      - ask: {call: agent, with: {skill: say, input: '${ . }'}}
do:
- each:
    for: {in: .names, each: name}
    do:
    - hello: {call: greet, with: {name: '${ $name }'}, output: {as: '{said: .}'}}
";
    let mut run = Drive::start(text, json!({"names": ["x"]}));
    assert_eq!(
        run.asked("ask").step,
        "/do/0/each/do[0]/0/hello/call/0/greet/do/1/ask"
    );
    run.fail("ask", 503);
    assert_eq!(
        run.error()["instance"],
        "/do/0/each/do/0/hello/call/0/greet/do/1/ask"
    );
    let mut run = Drive::start(text, json!({"names": ["x"]}));
    run.complete("ask", json!("done"));
    assert_eq!(*run.output(), json!({"said": "done"}));
}

#[test]
fn raised_errors_carry_what_they_evaluate_to() {
    let text = "do:\n- a: {raise: {error: {type: 'https://e.example/${ .kind }', status: '${ .status }', title: 'no ${ .kind }', detail: d, instance: /x}}}";
    let error = Drive::start(text, json!({"kind": "bread", "status": 418})).error();
    assert_eq!(
        error,
        json!({"type": "https://e.example/bread", "status": 418, "title": "no bread", "detail": "d", "instance": "/x"})
    );
    let error = Drive::start(text, json!({"kind": "bread"})).error();
    assert_eq!(
        error["type"],
        "https://serverlessworkflow.io/spec/1.0.0/errors/expression"
    );
}

#[test]
fn uris_take_variables_and_expressions() {
    let uri = |endpoint: &str| {
        let text = format!("do:\n- a: {{call: http, with: {{method: get, endpoint: '{endpoint}'}}}}");
        match &Drive::start(&text, json!({"id": 7, "host": "https://h.example", "q": "a b"}))
            .asked("a")
            .action
        {
            Action::Http { uri, .. } => uri.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(uri("https://x.example/{id}?q={q}"), "https://x.example/7?q=a%20b");
    assert_eq!(uri("${ .host + \"/x\" }"), "https://h.example/x");
    assert_eq!(uri("${ .host }/{id}/${ .id + 1 }"), "https://h.example/7/8");
    let error = Drive::start(
        "do:\n- a: {call: http, with: {method: get, endpoint: '${ .nothing }'}}",
        json!({}),
    )
    .error();
    assert_eq!(error["status"], 400);
}

#[test]
fn waits_are_timers() {
    let mut run = Drive::start(
        "do:\n- a: {wait: '${ .for }'}\n- b: {wait: PT0S}\n- c: {set: {x: '${ .for }'}}",
        json!({"for": "PT90S"}),
    );
    assert_eq!(run.timers("a")[0].1, 90.0);
    run.fire("a");
    assert_eq!(*run.output(), json!({"x": "PT90S"}));
}

#[test]
fn branches_run_side_by_side() {
    let text = "do:\n- a:\n    fork:\n      branches:\n      - x: {call: agent, with: {skill: x}}\n      - y: {call: agent, with: {skill: y}}\n      - z: {set: {z: 1}}\n";
    let mut run = Drive::start(text, json!({}));
    run.complete("y", json!("Y"));
    assert_eq!(run.state.status, Status::Running);
    run.complete("x", json!("X"));
    assert_eq!(*run.output(), json!(["X", "Y", {"z": 1}]));
    // One that fails takes the others back.
    let mut run = Drive::start(text, json!({}));
    let x = run.asked("x").seq;
    run.fail("y", 500);
    assert_eq!(run.error()["instance"], "/do/0/a/fork/branches/1/y");
    assert!(
        run.commands
            .iter()
            .any(|command| command.action == Action::Cancel { target: x })
    );
}

#[test]
fn competing_branches_have_one_winner() {
    let text = "do:\n- a:\n    fork:\n      compete: true\n      branches:\n      - x: {call: agent, with: {skill: x}}\n      - y: {call: agent, with: {skill: y}}\n      - z: {wait: PT1M}\n";
    let mut run = Drive::start(text, json!({}));
    let (x, z) = (run.asked("x").seq, run.asked("z").seq);
    run.complete("y", json!("Y"));
    assert_eq!(*run.output(), json!("Y"));
    for target in [x, z] {
        assert!(
            run.commands
                .iter()
                .any(|command| command.action == Action::Cancel { target })
        );
    }
    // The loser's answer comes too late.
    let before = run.state.clone();
    run.apply(Input::Completed {
        step: "/do/0/a/fork/branches/0/x".into(),
        seq: x,
        output: json!(1),
    });
    assert_eq!(run.state, before);
    // One that fails drops out; if all do, so does the fork.
    let mut run = Drive::start(text, json!({}));
    run.fail("x", 500).fire("z");
    assert_eq!(*run.output(), json!({}));
    let mut run = Drive::start(
        &text.replace("wait: PT1M", "call: agent, with: {skill: z}"),
        json!({}),
    );
    run.fail("x", 500).fail("y", 501).fail("z", 502);
    assert_eq!(run.error()["status"], 502);
}

#[test]
fn pure_loops_are_bounded() {
    let limits = Limits {
        tasks_per_apply: 10,
        tasks_per_run: 35,
    };
    let text = "do:\n- a: {set: {n: '${ .n + 1 }'}}\n- b: {switch: [{x: {when: 'true', then: a}}]}";
    let mut run = Drive::bounded(text, json!({"n": 0}), limits);
    let mut turns = 0;
    while run.state.status == Status::Running {
        assert!(matches!(
            run.commands.last().map(|c| &c.action),
            Some(Action::Continue)
        ));
        run.apply(Input::Continue);
        turns += 1;
    }
    assert_eq!(turns, 3);
    assert!(
        run.error()["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("more than 35 tasks"))
    );
    // A long loop over nothing but data takes several turns and comes to its end.
    let text = "do:\n- a:\n    for: {in: '[range(25)]'}\n    do:\n    - b: {set: {sum: '${ .sum + $item }'}}";
    let mut run = Drive::bounded(
        text,
        json!({}),
        Limits {
            tasks_per_apply: 10,
            tasks_per_run: 100,
        },
    );
    while run.state.status == Status::Running {
        run.apply(Input::Continue);
    }
    assert_eq!(*run.output(), json!({"sum": 300}));
}

#[test]
fn what_nobody_could_read_as_an_event_is_not_emitted() {
    for (more, complaint) in [
        ("subject: '${ 5 }'", "`subject` must come to a text"),
        ("time: yesterday", "`time` must come to a time"),
        ("id: '${ \"\" }'", "`id` must come to a text"),
    ] {
        let text = format!(
            "do:\n- a: {{emit: {{event: {{with: {{source: 'https://s.example', type: t, {more}}}}}}}}}"
        );
        let error = Drive::start(&text, json!({})).error();
        let detail = error["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(complaint), "{more}: {error}");
    }
}

#[test]
fn an_agent_is_asked_from_one_to_a_hundred_times() {
    for (attempts, well) in [(0, false), (1, true), (100, true), (101, false)] {
        let text = format!("do:\n- a: {{call: agent, with: {{skill: s, attempts: {attempts}}}}}");
        let run = Drive::start(&text, json!({}));
        assert_eq!(run.state.error.is_none(), well, "{attempts}");
    }
}

#[test]
fn emitted_events_are_complete_and_the_same_in_every_replay() {
    let text =
        "do:\n- a: {emit: {event: {with: {source: 'https://s.example', type: t, data: {n: '${ .n }'}}}}}";
    let run = Drive::start(text, json!({"n": 1}));
    let output = run.output().clone();
    assert_eq!(output["id"], "run-1/do/0/a");
    assert_eq!(output["data"], json!({"n": 1}));
    assert_eq!(Drive::start(text, json!({"n": 1})).output(), &output);
    assert!(run.commands.iter().any(|command| command.action
        == Action::Emit {
            event: output.clone()
        }));
}

#[test]
fn data_too_deep_for_a_snapshot_is_refused() {
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    let error = Drive::start("do:\n- a: {set: {x: 1}}", deep.clone()).error();
    assert_eq!(
        error["type"],
        "https://serverlessworkflow.io/spec/1.0.0/errors/validation"
    );
    let mut run = Drive::start("do:\n- a: {call: agent, with: {skill: s}}", json!({}));
    run.complete("a", deep);
    assert_eq!(run.error()["instance"], "/do/0/a");
    let text = "do:\n- a: {set: '${ reduce range(70) as $x (1; [.]) }'}";
    assert_eq!(Drive::start(text, json!({})).error()["status"], 400);
}

#[test]
fn the_deepest_snapshot_can_be_read_again() {
    let mut tasks = String::from("{call: agent, with: {skill: s}}");
    for level in 0..11 {
        tasks = match level % 4 {
            0 => format!("{{do: [{{t: {tasks}}}]}}"),
            1 => format!("{{fork: {{branches: [{{t: {tasks}}}]}}}}"),
            2 => format!("{{for: {{in: '[1]'}}, do: [{{t: {tasks}}}]}}"),
            _ => format!("{{try: [{{t: {tasks}}}], catch: {{}}}}"),
        };
    }
    let mut deep = json!(1);
    for _ in 0..54 {
        deep = json!([deep]);
    }
    let mut run = Drive::start(&format!("do:\n- a: {tasks}"), deep);
    // `apply` reads the snapshot again, and compares.
    run.apply(Input::Pause)
        .apply(Input::Resume)
        .complete("t", json!(2));
    assert_eq!(run.state.status, Status::Completed);
}

#[test]
fn a_snapshot_of_another_definition_fails_and_does_not_panic() {
    let mut run = Drive::start(
        "do:\n- a: {set: {x: 1}}\n- b:\n    try: [{c: {call: agent, with: {skill: s}}}]\n    catch: {}",
        json!({}),
    );
    let asked = run.asked("c").clone();
    run.definition = crate::drive::definition("do:\n- a: {set: {x: 1}}\n- b: {wait: PT1S}");
    run.apply(Input::Completed {
        step: asked.step,
        seq: asked.seq,
        output: json!(1),
    });
    assert!(
        run.error()["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("does not belong"))
    );
}
