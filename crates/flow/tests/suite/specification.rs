//! The specification's own examples and schema, where they are at hand.

use guildhall_flow::dsl::{PROPERTIES, Shape, properties};
use guildhall_flow::{validate, yaml};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const REPOSITORY: &str = "../../../.mirror/serverlessworkflow+specification/repo";

/// A file of the specification's repository; none where that is not at hand.
fn file(path: &str) -> Option<String> {
    let output = git(&["show", &format!("HEAD:{path}")])?;
    Some(output)
}

fn git(arguments: &[&str]) -> Option<String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join(REPOSITORY);
    if !repository.exists() {
        return None;
    }
    let output = Command::new("git")
        .arg("-C")
        .arg(&repository)
        .args(arguments)
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The examples, by path.
pub fn examples() -> Vec<(String, String)> {
    let listing = git(&["ls-tree", "-r", "--name-only", "HEAD", "examples"]).unwrap_or_default();
    let paths = listing.lines().filter(|path| path.ends_with(".yaml"));
    paths
        .filter_map(|path| Some((path.to_owned(), file(path)?)))
        .collect()
}

/// Which examples are refused, and a part of the reason.
const REFUSED: &[(&str, &str)] = &[
    ("call-asyncapi", "`call: asyncapi` is not supported"),
    ("call-custom-function-cataloged", "a URL is not supported"),
    ("call-grpc", "`call: grpc` is not supported"),
    ("call-mcp", "`stdio` is not supported"),
    ("mock-service-extension", "`extensions` is not supported"),
    ("run-container", "`container` is not supported"),
    (
        "run-return",
        "is not supported: the hall's components cannot start processes",
    ),
    ("run-script", "`script` is not supported"),
    ("run-shell", "`shell` is not supported"),
];

#[test]
fn every_example_is_valid_or_refused_for_a_known_reason() {
    let examples = examples();
    if examples.is_empty() {
        println!("skipped: there is no {REPOSITORY}");
        return;
    }
    let mut wrong = Vec::new();
    for (path, text) in &examples {
        let expected = REFUSED
            .iter()
            .find(|(part, _)| path.contains(part))
            .map(|(_, reason)| *reason);
        match (validate::parse(text), expected) {
            (Ok(_), None) => {}
            (Ok(_), Some(reason)) => wrong.push(format!("{path} is valid, not refused: {reason}")),
            (Err(findings), None) => wrong.push(format!("{path}: {findings}")),
            (Err(findings), Some(reason)) if findings.to_string().contains(reason) => {
                assert!(
                    findings.0.iter().all(|finding| finding.at.line > 0),
                    "{path}: {findings}"
                );
            }
            (Err(findings), Some(reason)) => wrong.push(format!("{path}: not `{reason}`, but {findings}")),
        }
    }
    assert!(examples.len() > 50, "only {} examples", examples.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The specification's invalid documents must not pass.
#[test]
fn what_the_specification_calls_invalid_is_invalid() {
    let folder = ".ci/validation/test/fixtures/invalid";
    let Some(listing) = git(&["ls-tree", "-r", "--name-only", "HEAD", folder]) else {
        println!("skipped: there is no {REPOSITORY}");
        return;
    };
    for path in listing.lines() {
        let text = file(path).expect("a file");
        assert!(validate::parse(&text).is_err(), "{path} passes");
    }
}

/// Where the schema's definitions are in the table; a list stands for alternatives that are one object there.
const CONTEXTS: &[(&str, &[&str])] = &[
    ("/properties/document", &["document"]),
    ("/properties/use", &["use"]),
    ("/properties/schedule", &["schedule"]),
    ("", &["workflow"]),
    ("/$defs/taskBase", &["task"]),
    ("/$defs/doTask/allOf/1", &["task.do"]),
    ("/$defs/forkTask/allOf/1", &["task.fork"]),
    ("/$defs/forkTask/allOf/1/properties/fork", &["fork"]),
    ("/$defs/emitTask/allOf/1", &["task.emit"]),
    ("/$defs/emitTask/allOf/1/properties/emit", &["emit"]),
    (
        "/$defs/emitTask/allOf/1/properties/emit/properties/event",
        &["emit.event"],
    ),
    ("/$defs/forTask/allOf/1", &["task.for"]),
    ("/$defs/forTask/allOf/1/properties/for", &["for"]),
    ("/$defs/listenTask/allOf/1", &["task.listen"]),
    ("/$defs/listenTask/allOf/1/properties/listen", &["listen"]),
    ("/$defs/raiseTask/allOf/1", &["task.raise"]),
    ("/$defs/raiseTask/allOf/1/properties/raise", &["raise"]),
    ("/$defs/runTask/allOf/1", &["task.run"]),
    ("/$defs/runTask/allOf/1/properties/run", &["run"]),
    ("/$defs/setTask/allOf/1", &["task.set"]),
    ("/$defs/switchTask/allOf/1", &["task.switch"]),
    (
        "/$defs/switchTask/allOf/1/properties/switch/items/additionalProperties",
        &["case"],
    ),
    ("/$defs/tryTask/allOf/1", &["task.try"]),
    ("/$defs/tryTask/allOf/1/properties/catch", &["catch"]),
    (
        "/$defs/tryTask/allOf/1/properties/catch/properties/errors",
        &["catch.errors"],
    ),
    ("/$defs/waitTask/allOf/1", &["task.wait"]),
    ("/$defs/retryPolicy", &["retry"]),
    ("/$defs/retryPolicy/properties/backoff", &["backoff"]),
    ("/$defs/retryPolicy/properties/limit", &["retry.limit"]),
    (
        "/$defs/retryPolicy/properties/limit/properties/attempt",
        &["retry.attempt"],
    ),
    ("/$defs/retryPolicy/properties/jitter", &["jitter"]),
    ("/$defs/errorFilter", &["errorFilter"]),
    ("/$defs/error", &["error"]),
    ("/$defs/input", &["input"]),
    ("/$defs/output", &["output"]),
    ("/$defs/export", &["export"]),
    ("/$defs/schema", &["schema"]),
    ("/$defs/timeout", &["timeout"]),
    ("/$defs/catalog", &["catalog"]),
    ("/$defs/eventConsumptionStrategy", &["strategy"]),
    ("/$defs/eventFilter", &["filter"]),
    (
        "/$defs/eventFilter/properties/correlate/additionalProperties",
        &["correlation"],
    ),
    ("/$defs/externalResource", &["resource"]),
    ("/$defs/subscriptionIterator", &["foreach"]),
    ("/$defs/authenticationPolicy", &["authentication"]),
    ("/$defs/referenceableAuthenticationPolicy", &["authentication"]),
    ("/$defs/oauth2AuthenticationProperties", &["oauth2"]),
    (
        "/$defs/oauth2AuthenticationProperties/properties/client",
        &["oauth2.client"],
    ),
    (
        "/$defs/oauth2AuthenticationProperties/properties/request",
        &["oauth2.request"],
    ),
    ("/$defs/oauth2Token", &["oauth2.token"]),
];

/// The properties that a part of the schema has itself, alternatives included, references not.
fn named(schema: &Value, into: &mut Vec<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        into.extend(properties.keys().cloned());
    }
    for alternatives in ["oneOf", "anyOf"] {
        for alternative in schema
            .get(alternatives)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            named(alternative, into);
        }
    }
}

#[test]
fn every_property_of_the_schema_is_in_the_table() {
    let Some(text) = file("schema/workflow.yaml") else {
        println!("skipped: there is no {REPOSITORY}");
        return;
    };
    let schema = yaml::parse(&text).expect("the schema").to_value();
    let mut missing = Vec::new();
    let mut seen = 0;
    let mut compare = |names: Vec<String>, contexts: &[&str], place: &str| {
        for name in names {
            seen += 1;
            let known = contexts
                .iter()
                .any(|context| properties(context).any(|property| property.name == name));
            if !known {
                missing.push(format!("{place}: {name}"));
            }
        }
    };
    for (pointer, contexts) in CONTEXTS {
        let part = schema
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {pointer} in the schema"));
        let mut names = Vec::new();
        named(part, &mut names);
        compare(names, contexts, pointer);
    }
    for call in schema
        .pointer("/$defs/callTask/oneOf")
        .and_then(Value::as_array)
        .expect("calls")
    {
        let function = call
            .pointer("/allOf/1/properties/call/const")
            .and_then(Value::as_str);
        let Some(function) = function else { continue };
        let known = properties("call")
            .find(|property| property.name == function)
            .expect("a function of the schema");
        if matches!(known.shape, Shape::Refused(_)) {
            continue;
        }
        let mut names = Vec::new();
        named(
            call.pointer("/allOf/1/properties/with").expect("with"),
            &mut names,
        );
        compare(names, &[function], function);
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(seen > 120, "only {seen} properties were found");
}

#[test]
fn the_table_names_each_property_once_and_gives_reasons() {
    for (index, property) in PROPERTIES.iter().enumerate() {
        let again = PROPERTIES[..index]
            .iter()
            .any(|other| other.context == property.context && other.name == property.name);
        assert!(!again, "{}.{} is there twice", property.context, property.name);
        if let Shape::Refused(reason) = property.shape {
            assert!(reason.len() > 20, "{}.{}", property.context, property.name);
        }
        if let Shape::Object(context)
        | Shape::Objects(context)
        | Shape::Map(context)
        | Shape::Either(context) = property.shape
        {
            assert!(
                properties(context).next().is_some(),
                "`{context}` has no properties"
            );
        }
    }
}
