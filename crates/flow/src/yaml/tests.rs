use super::*;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn positions_are_counted_from_one() {
    let node = parse("a: 1\nb:\n  - x\n  - y: true\n").expect("a document");
    let list = node.get("b").expect("b");
    let Data::List(items) = &list.data else {
        panic!("a list")
    };
    assert_eq!(items[1].get("y").expect("y").at, At { line: 4, column: 8 });
    assert_eq!(node.to_value(), json!({"a": 1, "b": ["x", {"y": true}]}));
}

#[test]
fn scalars_follow_the_core_schema() {
    let value = |text: &str| parse(text).expect(text).to_value();
    assert_eq!(value("'1'"), json!("1"));
    assert_eq!(
        value("[1, -2, +3, 0x10, 0o17, 1.5, 1e3, .5]"),
        json!([1, -2, 3, 16, 15, 1.5, 1000.0, 0.5])
    );
    assert_eq!(
        value("[~, null, yes, no, 1.0.3, 12:30, -x, 2020-01-01]")
            .as_array()
            .expect("list")[2..],
        [
            json!("yes"),
            json!("no"),
            json!("1.0.3"),
            json!("12:30"),
            json!("-x"),
            json!("2020-01-01")
        ]
    );
    assert!(parse("a: .inf").is_err());
}

#[test]
fn json_is_read_too() {
    let text = "{\n\t\"a\": [1, {\"b\": null}],\n\t\"c\": \"d\\u00e9\"\n}";
    assert_eq!(
        parse(text).expect("JSON").to_value(),
        json!({"a": [1, {"b": null}], "c": "dé"})
    );
}

#[test]
fn what_json_cannot_hold_is_refused_with_its_place() {
    for (text, line, reason) in [
        ("a: 1\na: 2", 2, "twice"),
        ("a: !!binary x", 1, "tags"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("? [1]\n: 2", 1, "a key must be text"),
        ("a: [1", 1, ""),
        ("", 1, "no document"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.reason.contains(reason), "{text}: {error}");
        assert!(error.at.line >= line, "{text}: {error}");
    }
}

#[test]
fn bombs_are_refused() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..9 {
        let alias = format!("*a{}", i - 1);
        laughs.push_str(&format!("a{i}: &a{i} [{}]\n", vec![alias; 10].join(", ")));
    }
    assert!(
        parse(&laughs)
            .expect_err("a bomb")
            .reason
            .contains("aliases expand")
    );
    assert!(parse(&"[".repeat(2000)).is_err());
    assert!(parse(&"x".repeat(MAX_BYTES + 1)).is_err());
    let mut deep = String::from("a0: &a0 [[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]\n");
    for i in 1..9 {
        deep.push_str(&format!("a{i}: &a{i} [[[[[[[[[[*a{}]]]]]]]]]]\n", i - 1));
    }
    assert!(parse(&deep).expect_err("deep").reason.contains("nested"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[-:{}\\[\\],&*!|>'\"#%@` a-c0-9~\n]{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn what_json_writes_it_reads(words in proptest::collection::vec("\\PC{0,12}", 0..6)) {
        let value = json!({"words": words, "n": [1, 2.5, null, false]});
        let node = parse(&value.to_string()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(node.to_value(), value);
    }
}
