//! Setting one key, everything else kept.

use guildhall_skills::config::{Format, holds_secret, set};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Sets a key and gives the new text, or why not.
fn edit(path: &str, text: &str, key: &str, value: Value) -> Result<String, String> {
    set(text, Format::of(path)?, key, &value).map(|edited| edited.text)
}

#[test]
fn one_value_changes_and_comments_order_and_blanks_stay() {
    let toml =
        "# top\nname = \"a\" # said\n\n[server]\nport = 80   # why\nhost='x'\n\n[server.tls]\non = false\n";
    let json = "{\n  \"name\": \"a\",\n  \"server\": { \"port\": 80, \"list\": [1, {\"port\": 2}] }\n}\n";
    let yaml = "# top\nname: a  # said\nserver:\n  port: 80\n  hosts:\n    - name: x\n      port: 1\n  tls:\n    on: no\nlast: >\n  text: 1\n";
    let env = "# top\nexport NAME=a\nPORT=80\n";
    for (path, text, key, value, was, is) in [
        (
            "a.toml",
            toml,
            "name",
            json!("b \"c\""),
            "\"a\" # said",
            "\"b \\\"c\\\"\" # said",
        ),
        (
            "a.toml",
            toml,
            "server.port",
            json!(8080),
            "80   # why",
            "8080   # why",
        ),
        ("a.toml", toml, "server.host", json!("y"), "'x'", "\"y\""),
        (
            "a.toml",
            toml,
            "server.tls.on",
            json!(true),
            "on = false",
            "on = true",
        ),
        (
            "a.toml",
            toml,
            "server.size",
            json!(1),
            "host='x'\n",
            "host='x'\nsize = 1\n",
        ),
        ("a.toml", toml, "size", json!(1), "# said\n", "# said\nsize = 1\n"),
        (
            "a.toml",
            toml,
            "new.part.size",
            json!(1),
            "on = false\n",
            "on = false\n\n[new.part]\nsize = 1\n",
        ),
        (
            "a.json",
            json,
            "server.port",
            json!(8080),
            "\"port\": 80",
            "\"port\": 8080",
        ),
        ("a.json", json, "name", json!("é\"\\"), "\"a\"", "\"é\\\"\\\\\""),
        (
            "a.json",
            json,
            "server.tls.on",
            json!(true),
            "2}] }",
            "2}], \"tls\": {\"on\": true} }",
        ),
        (
            "a.json",
            json,
            "size",
            json!(1),
            "2}] }\n",
            "2}] },\n  \"size\": 1\n",
        ),
        ("a.yml", yaml, "name", json!("b"), "a  # said", "b  # said"),
        (
            "a.yml",
            yaml,
            "server.port",
            json!(8080),
            "port: 80",
            "port: 8080",
        ),
        (
            "a.yml",
            yaml,
            "server.tls.on",
            json!("no"),
            "on: no",
            "on: \"no\"",
        ),
        (
            "a.yml",
            yaml,
            "server.tls.size",
            json!(1),
            "on: no\n",
            "on: no\n    size: 1\n",
        ),
        (
            "a.yml",
            yaml,
            "last2.size",
            json!(1),
            "  text: 1\n",
            "  text: 1\nlast2:\n  size: 1\n",
        ),
        (".env", env, "PORT", json!(8080), "80", "8080"),
        (".env", env, "NAME", json!("b c"), "NAME=a", "NAME=\"b c\""),
        (
            ".env.example",
            env,
            "SIZE",
            json!(1),
            "PORT=80\n",
            "PORT=80\nSIZE=1\n",
        ),
    ] {
        let edited = edit(path, text, key, value).unwrap_or_else(|why| panic!("{path} {key}: {why}"));
        assert_eq!(edited, text.replacen(was, is, 1), "{path} {key}");
    }
}

#[test]
fn line_ends_and_missing_last_lines_are_respected() {
    assert_eq!(
        edit("a.toml", "a = 1\r\n", "b", json!(2)).as_deref(),
        Ok("a = 1\r\nb = 2\r\n")
    );
    assert_eq!(
        edit("a.toml", "a = 1", "b", json!(2)).as_deref(),
        Ok("a = 1\nb = 2\n")
    );
    assert_eq!(edit("a.toml", "", "a.b", json!(2)).as_deref(), Ok("[a]\nb = 2\n"));
    assert_eq!(
        edit("a.json", "{}", "a.b", json!(2)).as_deref(),
        Ok("{\"a\": {\"b\": 2}}")
    );
    assert_eq!(edit(".env", "A=1", "B", json!(2)).as_deref(), Ok("A=1\nB=2\n"));
    assert_eq!(edit("a.yaml", "a:\n", "a", json!("x")).as_deref(), Ok("a: x\n"));
}

#[test]
fn what_cannot_be_set_alone_is_refused_with_the_reason() {
    for (path, text, key, value, why) in [
        ("a.ini", "", "a", json!(1), "no .toml"),
        ("a.toml", "a = [1]", "a", json!(1), "a list or a table"),
        ("a.toml", "a = {b = 1}", "a.b.c", json!(1), ""),
        ("a.toml", "a = 1", "a.b", json!(1), "no table"),
        ("a.toml", "a = ", "a", json!(1), "not TOML"),
        ("a.json", "{", "a", json!(1), "not JSON"),
        ("a.json", "[1]", "a", json!(1), "no table"),
        ("a.json", "{\"a\": {}}", "a", json!(1), "a list or a table"),
        ("a.yaml", "a: [1]", "a", json!(1), "single plain value"),
        ("a.yaml", "a: &x 1", "a", json!(1), "single plain value"),
        ("a.yaml", "a:\n  - 1\n", "a", json!(1), "a list or a table"),
        ("a.yaml", "a:\n- 1\n", "a", json!(1), "a list or a table"),
        ("a.yaml", "a: 1\n---\na: 2\n", "a", json!(1), "several documents"),
        ("a.yaml", "a: 1\na: 2\n", "a", json!(1), "more than once"),
        (".env", "", "a.b", json!(1), "no name of a variable"),
        ("a.toml", "", "a..b", json!(1), "is no key"),
        ("a.toml", "", "a\nb", json!(1), "is no key"),
    ] {
        let error = edit(path, text, key, value).expect_err(&format!("{path} {text:?} {key}"));
        assert!(error.contains(why), "{path} {text:?} {key}: {error}");
    }
}

#[test]
fn credentials_are_not_committed() {
    let aws = ["AK", "IA", "QYLPMN5HHHFPZAM2"].concat();
    for (key, value) in [
        ("database.password", json!("hunter2")),
        ("API_TOKEN", json!("abc")),
        ("client-secret", json!("x")),
        ("note", json!(aws)),
        ("url", json!("postgres://u:hunter22xyz@db/x")),
    ] {
        assert!(holds_secret(key, &value), "{key} = {value}");
        let told = edit("a.toml", "", key, value).expect_err(key);
        assert!(!told.contains("hunter2"), "the value is not repeated: {told}");
    }
    for (key, value) in [
        ("database.password", json!("${DB_PASSWORD}")),
        ("token_ttl_s", json!(60)),
        ("server.port", json!(80)),
        ("log.level", json!("debug")),
    ] {
        assert!(!holds_secret(key, &value), "{key} = {value}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(|n| json!(n)),
        any::<bool>().prop_map(|b| json!(b)),
        "[ -~éß]{0,12}".prop_map(|text| json!(text)),
    ]
}

proptest! {
    #[test]
    fn a_value_that_was_set_is_read_back_and_setting_it_again_changes_nothing(
        value in value(), key in "(a|b|s)(\\.(a|b|c)){0,2}", path in "(a\\.toml|a\\.json|a\\.yaml)"
    ) {
        let text = match path.as_str() {
            "a.toml" => "a = 1 # x\n\n[s]\nb = \"y\"\n\n[[list]]\na = 3\n",
            "a.json" => "{\"a\": 1, \"s\": {\"b\": \"y\"}, \"list\": [{\"a\": 3}]}",
            _ => "a: 1 # x\ns:\n  b: y\nlist:\n  - a: 3\n",
        };
        if let Ok(once) = edit(&path, text, &key, value.clone()) {
            prop_assert_eq!(edit(&path, &once, &key, value.clone()), Ok(once.clone()));
            let parsed: Option<Value> = match path.as_str() {
                "a.toml" => toml::from_str::<toml::Table>(&once).ok().and_then(|t| serde_json::to_value(t).ok()),
                "a.json" => serde_json::from_str(&once).ok(),
                _ => None,
            };
            if path != "a.yaml" {
                let pointer = format!("/{}", key.replace('.', "/"));
                prop_assert_eq!(parsed.as_ref().and_then(|tree| tree.pointer(&pointer)), Some(&value));
            }
            // Every line that was there still is, but the one that was set.
            let lost = text.lines().filter(|line| !once.lines().any(|now| now == *line)).count();
            prop_assert!(lost <= 1, "{once:?}");
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), key in "[a-z.]{1,8}", path in "(a\\.toml|a\\.json|a\\.yaml|\\.env)") {
        let _ = edit(&path, &text, &key, json!("x"));
    }
}
