//! What is wrong with documents is found, with the line.

use guildhall_flow::validate;

const HEAD: &str = "document: {dsl: '1.0.3', namespace: test, name: flow, version: '1.0.0'}\n";

/// The findings of a document, whose first line is the head.
fn findings(rest: &str) -> Vec<(usize, &'static str, String)> {
    match validate::parse(&format!("{HEAD}{rest}")) {
        Ok(_) => panic!("it passes:\n{rest}"),
        Err(findings) => findings
            .0
            .into_iter()
            .map(|f| (f.at.line, f.code, f.to_string()))
            .collect(),
    }
}

#[track_caller]
fn finds(rest: &str, line: usize, code: &str, part: &str) {
    let all = findings(rest);
    let found = all
        .iter()
        .any(|(at, kind, text)| *at == line && *kind == code && text.contains(part));
    assert!(found, "not line {line}, {code}, `{part}`, but {all:#?}\n{rest}");
}

#[test]
fn unknown_and_unsupported_properties_are_named_with_their_line() {
    finds(
        "do:\n- a:\n    set: {x: 1}\n    retries: 3\n",
        5,
        "unknown",
        "`retries`",
    );
    finds("do:\n- a: {set: {x: 1}}\nversion: 1\n", 4, "unknown", "`version`");
    finds(
        "use:\n  extensions: []\ndo:\n- a: {set: {x: 1}}\n",
        3,
        "unsupported",
        "`extensions` is not supported: tasks that",
    );
    finds(
        "do:\n- a:\n    run:\n      shell: {command: ls}\n",
        5,
        "unsupported",
        "`shell`",
    );
    finds(
        "do:\n- a:\n    call: grpc\n    with: {}\n",
        4,
        "unsupported",
        "`call: grpc`",
    );
    finds(
        "do:\n- a:\n    call: mcp\n    with:\n      method: tools/list\n      transport:\n        stdio: {command: x}\n",
        8,
        "unsupported",
        "stdio",
    );
    finds(
        "do:\n- a:\n    set: {x: 1}\n    input:\n      schema:\n        resource: {endpoint: 'https://x/y'}\n",
        7,
        "unsupported",
        "`resource`",
    );
    finds(
        "do:\n- a:\n    call: http\n    with: {method: get, endpoint: 'https://x', verify: false}\n",
        5,
        "unknown",
        "`verify`",
    );
    finds(
        "do:\n- a:\n    try: [{b: {set: {x: 1}}}]\n    catch:\n      retry: {backoff: {exponential: {factor: 3}}}\n",
        6,
        "unknown",
        "takes no properties",
    );
}

#[test]
fn shapes_are_checked() {
    finds("do: {}\n", 2, "type", "must be a list");
    finds("do: []\n", 2, "structure", "at least one task");
    finds(
        "do:\n- a: {set: {x: 1}}\n  b: {set: {x: 1}}\n",
        3,
        "structure",
        "one key",
    );
    finds(
        "do:\n- a: {set: {x: 1}, wait: PT1S}\n",
        3,
        "structure",
        "set and wait",
    );
    finds("do:\n- a: {then: end}\n", 3, "structure", "this none");
    finds("do:\n- a: {wait: 10s}\n", 3, "type", "ISO 8601");
    finds("do:\n- a: {wait: {secs: 1}}\n", 3, "unknown", "`secs`");
    finds(
        "do:\n- a:\n    call: http\n    with: {method: get}\n",
        5,
        "missing",
        "`endpoint`",
    );
    finds("do:\n- a: {call: http}\n", 3, "missing", "needs `with`");
    finds(
        "do:\n- a:\n    for: {in: .x, each: 'a b'}\n    do: [{b: {set: {x: 1}}}]\n",
        4,
        "type",
        "not a name",
    );
    finds(
        "do:\n- a:\n    listen: {to: {one: {with: {}}}}\n",
        4,
        "missing",
        "not be empty",
    );
    finds(
        "do:\n- a:\n    listen: {to: {one: {with: {type: x}}, until: .x}}\n",
        4,
        "structure",
        "`until` goes with `any`",
    );
    finds(
        "do:\n- a:\n    emit: {event: {with: {type: x}}}\n",
        4,
        "structure",
        "`source`",
    );
    finds(
        "do:\n- a:\n    emit: {event: {with: {type: x, source: y, myAttr: z}}}\n",
        4,
        "structure",
        "not an attribute",
    );
    finds(
        "schedule: {every: PT1M, cron: '* * * * *'}\ndo:\n- a: {set: {x: 1}}\n",
        2,
        "structure",
        "this has 2",
    );
    finds(
        "schedule: {cron: '* * * *'}\ndo:\n- a: {set: {x: 1}}\n",
        2,
        "structure",
        "CRON",
    );
    finds(
        "input: {schema: {document: {type: nonsense}}}\ndo:\n- a: {set: {x: 1}}\n",
        2,
        "structure",
        "JSON Schema",
    );
    finds(
        "do:\n- a:\n    switch:\n    - x: {then: end}\n    - y: {then: end}\n",
        6,
        "structure",
        "at most one",
    );
    finds(
        "do:\n- a:\n    set: {x: 1}\n    metadata:\n      locks: prod\n",
        6,
        "structure",
        "a list",
    );
}

#[test]
fn references_are_checked() {
    finds(
        "do:\n- a: {set: {x: 1}, then: nowhere}\n",
        3,
        "reference",
        "`nowhere`",
    );
    finds(
        "do:\n- a:\n    do:\n    - b: {set: {x: 1}, then: c}\n- c: {set: {x: 1}}\n",
        5,
        "reference",
        "cannot leave its scope",
    );
    finds(
        "do:\n- a: {set: {x: 1}}\n- a: {set: {x: 1}}\n",
        4,
        "structure",
        "earlier task",
    );
    finds(
        "do:\n- a: {raise: {error: nope}}\n",
        3,
        "structure",
        "`nope` in `use.errors`",
    );
    finds(
        "do:\n- a: {set: {x: 1}, timeout: nope}\n",
        3,
        "structure",
        "`use.timeouts`",
    );
    finds("do:\n- a: {call: nope}\n", 3, "reference", "no function `nope`");
    finds(
        "do:\n- a: {call: 'f:1.0@nope'}\n",
        3,
        "reference",
        "no catalog `nope`",
    );
    finds(
        "do:\n- a: {call: 'https://x/f.yaml'}\n",
        3,
        "structure",
        "a URL is not supported",
    );
    finds(
        "use: {functions: {f: {call: g}, g: {call: f}}}\ndo:\n- a: {call: f}\n",
        2,
        "structure",
        "comes to call itself",
    );
    finds(
        "do:\n- a:\n    call: http\n    with: {method: get, endpoint: {uri: 'https://x', authentication: {basic: {use: s}}}}\n",
        5,
        "reference",
        "not listed in `use.secrets`",
    );
    finds(
        "do:\n- a:\n    call: http\n    with: {method: get, endpoint: {uri: 'https://x', authentication: {use: s}}}\n",
        5,
        "reference",
        "`use.authentications`",
    );
    finds(
        "do:\n- a:\n    fork:\n      branches:\n      - x: {set: {a: 1}, then: y}\n      - y: {set: {a: 1}}\n",
        6,
        "reference",
        "branch",
    );
}

#[test]
fn expressions_are_checked_where_they_stand() {
    finds("do:\n- a: {set: {x: '${ .a + }'}}\n", 3, "expression", "expected");
    finds(
        "do:\n- a: {set: {x: 1}, if: '$input.x'}\n",
        3,
        "expression",
        "`$input` is not defined",
    );
    finds(
        "do:\n- a: {set: {x: '${ $secrets.s }'}}\n",
        3,
        "expression",
        "no secret gets",
    );
    finds(
        "do:\n- a: {set: {x: '${ now }'}}\n",
        3,
        "expression",
        "whenever it is evaluated",
    );
    finds("do:\n- a: {set: {x: '${ $item }'}}\n", 3, "expression", "`$item`");
    finds(
        "do:\n- a: {set: {x: 'is ${ .a'}}\n",
        3,
        "expression",
        "not closed",
    );
    finds(
        "do:\n- a:\n    for: {in: .x, each: input}\n    do: [{b: {set: {x: 1}}}]\n",
        4,
        "type",
        "is taken",
    );
    finds(
        "do:\n- a:\n    listen: {to: {one: {with: {type: 'a(b'}}}}\n",
        4,
        "expression",
        "regular expression",
    );
    // Loosely, what is no expression is a text.
    validate::parse(&format!(
        "{HEAD}evaluate: {{mode: loose}}\ndo:\n- a: {{set: {{x: 'hello, world ${{ .a + }}'}}}}\n"
    ))
    .expect("valid");
}

#[test]
fn lock_orders_that_go_in_a_circle_are_refused() {
    let both = |first: &str, second: &str| {
        format!(
            "do:\n- a:\n    metadata: {{locks: [{first}]}}\n    do:\n    - b: {{set: {{x: 1}}, metadata: {{locks: [{second}]}}}}\n- c:\n    \
             metadata: {{locks: [l2]}}\n    do:\n    - d: {{set: {{x: 1}}, metadata: {{locks: [l1]}}}}\n"
        )
    };
    finds(&both("l1", "l2"), 6, "locks", "l1 → l2 → l1");
    finds(&both("l1", "l1"), 6, "locks", "held already");
    validate::parse(&format!("{HEAD}{}", both("l2", "l1"))).expect("one order");
    validate::parse(&format!("{HEAD}{}", both("'l2-${ .x }'", "l1"))).expect("one order");
    // Through a function, too.
    finds(
        "use:\n  functions:\n    f: {set: {x: 1}, metadata: {locks: [l1]}}\ndo:\n- a:\n    metadata: {locks: [l1]}\n    call: f\n",
        4,
        "locks",
        "held already",
    );
}

#[test]
fn nesting_is_bounded_through_functions() {
    let mut deep = String::from("{set: {x: 1}}");
    for _ in 0..13 {
        deep = format!("{{do: [{{t: {deep}}}]}}");
    }
    finds(&format!("do:\n- a: {deep}\n"), 3, "structure", "nested more than");
    let mut functions = String::from("    f0: {set: {x: 1}}\n");
    for i in 1..15 {
        functions.push_str(&format!("    f{i}: {{call: f{}}}\n", i - 1));
    }
    let text = format!("use:\n  functions:\n{functions}do:\n- a: {{call: f14}}\n");
    assert!(
        findings(&text)
            .iter()
            .any(|(_, _, text)| text.contains("nested more than"))
    );
}

#[test]
fn json_is_read_with_all_its_escapes() {
    let text = r#"{"document": {"dsl": "1.0.3", "namespace": "n", "name": "w", "version": "1.0.0", "title": "\ud83d\ude00 \/"},
        "do": [{"a": {"set": {"x": 1}}}]}"#;
    let definition = validate::parse(text).unwrap_or_else(|findings| panic!("{findings}"));
    assert_eq!(definition.document.title.as_deref(), Some("😀 /"));
}

#[test]
fn findings_come_in_order_and_not_without_end() {
    let all = findings("foo: 1\ndo:\n- a: {set: {x: 1}, bar: 1}\nbaz: 1\n");
    assert_eq!(all.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [2, 4, 5]);
    let many: String = (0..500).map(|i| format!("x{i}: 1\n")).collect();
    assert_eq!(findings(&many).len(), validate::MAX_FINDINGS);
}

#[test]
fn hall_functions_and_much_else_are_valid() {
    let text = format!(
        "{HEAD}{}",
        r#"
input: {schema: {document: {type: object, required: [change]}}}
use:
  secrets: [token]
  authentications: {gh: {bearer: {use: token}}}
  errors: {broken: {type: "https://example.com/broken", status: 500, title: Broken}}
  retries: {calmly: {delay: PT1S, backoff: {exponential: {}}, limit: {attempt: {count: 5}}, jitter: {from: PT0S, to: PT1S}}}
  timeouts: {short: {after: PT1M}}
  catalogs: {ours: {endpoint: "https://catalog.example.com"}}
timeout: short
do:
- review:
    call: agent
    with: {skill: review, input: "${ . }", timeout: {minutes: 5}, priority: 3}
- agree:
    call: approval
    with: {action: {deploy: "${ .version }"}, summary: Deploy, risk: {level: high}, expires: PT1H}
- deploy:
    metadata: {locks: [production, "repo/${ .repo }"], owner: infra}
    try:
    - go: {call: "deploy:1.2.0@ours", with: {version: "${ .version }"}}
    - tell: {call: notify, with: {message: "deployed ${ .version }"}}
    catch: {errors: {with: {status: 503}}, as: why, retry: calmly, do: [{back: {raise: {error: broken}}}]}
    timeout: {after: PT30M}
- ask:
    call: http
    with: {method: get, endpoint: {uri: "https://api.example.com/{id}", authentication: {use: gh}}}
"#
    );
    let definition = validate::parse(&text).unwrap_or_else(|findings| panic!("{findings}"));
    assert_eq!(definition.reference(), "test/flow@1.0.0");
    assert_eq!(definition.tasks[2].locks.len(), 2);
    let again = validate::check_value(&definition.source).expect("the same document");
    assert_eq!((again.digest(), again.digest().len()), (definition.digest(), 64));
    let other = text.replace("short", "brief");
    assert_ne!(
        validate::parse(&other).expect("valid").digest(),
        definition.digest()
    );
}
