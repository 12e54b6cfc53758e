use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn on(input: Value, text: &str) -> Value {
    evaluate(text, &input, &()).unwrap_or_else(|error| panic!("{error}"))
}

fn reason(text: &str) -> String {
    evaluate(text, &Value::Null, &()).expect_err(text).reason
}

#[test]
fn jq_is_evaluated() {
    assert_eq!(on(json!({"a": {"b": 2}}), ".a.b + 1"), json!(3));
    assert_eq!(on(json!({"colors": null}), ".colors + [\"red\"]"), json!(["red"]));
    assert_eq!(
        on(json!({"f": "A", "l": "B"}), "\"Hi \\(.f) \\(.l)!\""),
        json!("Hi A B!")
    );
    assert_eq!(
        on(json!([3, 1, 2]), "sort | map(. * 2) | join(\"-\")"),
        json!("2-4-6")
    );
    assert_eq!(on(json!({"a": 1}), ". + {b: 2} | to_entries | length"), json!(2));
    assert_eq!(on(json!([[1, [2]], 3]), "flatten"), json!([1, 2, 3]));
    assert_eq!(
        on(json!({"x": [1, 2]}), ".x[] |= . + 1 | .x |= reverse"),
        json!({"x": [3, 2]})
    );
    assert_eq!(on(json!({"n": 2}), ".n *= 3 | .n -= 1"), json!({"n": 5}));
    assert_eq!(
        on(json!("2026-01-02T03:04:05Z"), "fromdate"),
        json!(1_767_323_045)
    );
    assert_eq!(on(json!("abc"), "test(\"^a.c$\")"), json!(true));
    assert_eq!(
        on(json!([1, null, 2]), "[.[] | select(. != null)] | add"),
        json!(3)
    );
    assert_eq!(
        on(json!({"a": [{"b": 1}, {"b": 2}]}), "[.a[] | .b] | max"),
        json!(2)
    );
    assert_eq!(
        on(json!(10), "[limit(3; range(.))] | until(length == 0; .[1:])"),
        json!([])
    );
    assert_eq!(on(json!("x"), ". * 3"), json!("xxx"));
    assert_eq!(on(json!({"a": {"b": 1}}), "[paths]"), json!([["a"], ["a", "b"]]));
    assert_eq!(on(json!({"b": 1, "a": 2}), "del(.a) | has(\"a\")"), json!(false));
    assert_eq!(on(json!("a b"), "@uri, empty"), json!("a%20b"));
    assert_eq!(
        on(json!([1, 2, 3]), "def f(x): map(x + 1); f(. * 2)"),
        json!([3, 5, 7])
    );
    assert_eq!(
        on(
            json!(null),
            "label $out | first(range(10; 0; -1) | if . < 5 then ., break $out else empty end)"
        ),
        json!(4)
    );
}

#[test]
fn numbers_are_whole_where_they_can_be() {
    assert_eq!(on(json!(6), ". / 2").to_string(), "3");
    assert_eq!(on(json!(7), ". / 2").to_string(), "3.5");
    assert_eq!(
        on(json!(9_007_199_254_740_993_i64), ".").to_string(),
        "9007199254740993"
    );
    assert_eq!(on(json!(u64::MAX), ".").to_string(), u64::MAX.to_string());
    assert_eq!(on(json!(i64::MAX), ". + 1").to_string(), "9223372036854775808");
    assert_eq!(on(json!(0), "nan").to_string(), "null");
}

#[test]
fn variables_come_from_the_scope() {
    let scope: &[(&str, Value)] = &[("input", json!({"a": 1})), ("item", json!(2))];
    assert_eq!(
        evaluate("$input.a + $item", &Value::Null, &scope).expect("a value"),
        json!(3)
    );
    assert_eq!(
        evaluate("3 as $x | $x + $item", &Value::Null, &scope).expect("a value"),
        json!(5)
    );
    assert_eq!(
        evaluate("{$item}", &Value::Null, &scope).expect("a value"),
        json!({"item": 2})
    );
    let error = evaluate("$nobody", &Value::Null, &scope).expect_err("unknown");
    assert!(
        error.reason.contains("variable `$nobody` is not defined"),
        "{error}"
    );
}

#[test]
fn one_value_comes_out() {
    assert_eq!(on(Value::Null, "empty"), Value::Null);
    assert!(reason("1, 2").contains("more than one"));
    assert!(reason("error(\"no\")").contains("no"));
    assert!(reason(".a.b | keys").contains("null"));
}

#[test]
fn faults_are_found_before_evaluation() {
    for (text, part) in [
        (".a +", "expected"),
        ("(.a", "expected"),
        ("nosuch", "`nosuch` is not defined"),
        ("now", "same value whenever"),
        ("env.HOME", "same value whenever"),
        ("$ENV.PATH", "not defined"),
        ("debug", "same value whenever"),
        ("$secrets.token", "no secret gets"),
        ("def f: f; f", "calls itself"),
        ("def f: def g: f; g; f", "calls itself"),
        ("def __step: .; 1", "are ours"),
        ("include \"x\"; 1", ""),
        ("", "expected"),
    ] {
        let error = check(text, &["input"]).expect_err(text);
        assert!(error.reason.contains(part), "{text}: {error}");
    }
    check("$input.a | map(select(.b)) | first", &["input"]).expect("sound");
}

#[test]
fn nothing_runs_for_ever() {
    for text in [
        "[repeat(1)]",
        "last(repeat(1))",
        "until(false; .)",
        "until(false; . + 1)",
        "[range(1e12)] | length",
        "reduce range(1e12) as $x (0; . + 1)",
        "reduce range(100) as $x (\"a\"; . + .)",
        "reduce range(100) as $x (\"a\"; . * 2)",
        "reduce range(100) as $x ([1]; . + .)",
        "reduce range(100) as $x (1; [., .])",
        "reduce range(100) as $x ([\"ab\"]; .[] += .[0])",
        "reduce range(100000) as $x (1; [.])",
        "last(recurse([.]))",
        "reduce range(100) as $x (3; . * .)",
        "\"x\" * 1000000000",
        "\"x\" * 1e300",
        "try until(false; .) catch 1",
        "[.[]?, range(1e12) | try error(\"x\") catch .] | length",
        "(until(false; .) // 1)",
        "first(range(1e12) | select(false))",
        "last(foreach range(1e12) as $x (0; . + 1; empty))",
        "[range(2000)] | [.[] as $a | .[] as $b | .[] as $c | select(false)]",
        "[limit(1000; repeat(\"0123456789\" * 100))] | [combinations(9)?] | length",
        "[range(300)] | map([range(300)]) | [combinations] | length",
        "label $f | range(1e12) | if . < 0 then break $f else empty end",
        "any(repeat(false); .)",
        "isempty(range(1e12) | empty)",
        "limit(1; range(1e12) | empty)",
        "skip(1000000000; repeat(1))",
        "[while(true; .)]",
        "walk(.) | [..] | until(false; .)",
    ] {
        evaluate(text, &Value::Null, &()).map_or_else(drop, |value| panic!("{text} gives {value}"));
    }
}

#[test]
fn deep_texts_are_refused_before_they_are_parsed() {
    for text in [
        "(".repeat(5000),
        "[".repeat(5000),
        "-".repeat(5000) + "1",
        ".a".repeat(4000),
        "1+".repeat(4000) + "1",
    ] {
        let _ = check(&text, &[]);
    }
    for operator in [" and ", " or ", " // ", " == ", ";"] {
        let _ = evaluate(&vec!["."; 2500].join(operator), &Value::Null, &());
    }
    let _ = evaluate(
        &format!("if 1 then 1 {} else 2 end", "elif false then 3 ".repeat(800)),
        &Value::Null,
        &(),
    );
    let conditions = "if 1 then 1 else ".repeat(500) + "1" + &" end".repeat(500);
    assert!(check(&conditions, &[]).is_err());
}

#[test]
fn texts_are_read() {
    assert_eq!(parse_text("plain $x {y}"), Ok(Text::Plain("plain $x {y}")));
    assert_eq!(parse_text(" ${ .a } "), Ok(Text::Expression(".a")));
    assert_eq!(parse_text("${ {a: \"}\"} }"), Ok(Text::Expression("{a: \"}\"}")));
    assert_eq!(
        parse_text("${ \"\\({a: 1} | .a) \\\" }\" }"),
        Ok(Text::Expression("\"\\({a: 1} | .a) \\\" }\""))
    );
    let mixed = vec![
        TextPart::Plain("Hi "),
        TextPart::Expression(".a"),
        TextPart::Plain("!"),
    ];
    assert_eq!(parse_text("Hi ${ .a }!"), Ok(Text::Mixed(mixed)));
    assert!(parse_text("${ .a").is_err());
    assert_eq!(strip("${ .a }"), ".a");
    assert_eq!(strip(" .a "), ".a");
}

#[test]
fn templates_are_filled() {
    let template = json!({"a": "${ .x }", "b": ["x is ${ .x }, ${ .y }"], "c": ".x", "d": 1});
    let input = json!({"x": 1, "y": ["z"]});
    let strict = evaluate_template(&template, &input, &(), Mode::Strict).expect("a value");
    assert_eq!(
        strict,
        json!({"a": 1, "b": ["x is 1, [\"z\"]"], "c": ".x", "d": 1})
    );
    let template = json!({"a": "${ .x }", "b": ".x", "c": "circle", "d": "not an expression!"});
    let loose = evaluate_template(&template, &input, &(), Mode::Loose).expect("a value");
    assert_eq!(
        loose,
        json!({"a": 1, "b": 1, "c": "circle", "d": "not an expression!"})
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[.a-c$|,;:(){}\\[\\]\"\\\\ 0-9+*/?=<>!@#-]{0,40}") {
        let _ = evaluate(&text, &json!({"a": [1, {"b": "c"}]}), &());
        let _ = parse_text(&text);
    }

    #[test]
    fn the_identity_changes_nothing(words in proptest::collection::vec("\\PC{0,8}", 0..5), n in any::<i64>(), f in -1e9..1e9f64) {
        let value = json!({"words": words, "n": n, "f": [f, true, null]});
        let result = evaluate(".", &value, &()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(result["words"].clone(), value["words"].clone());
        prop_assert_eq!(result["n"].clone(), value["n"].clone());
    }
}
