//! The document is what the file says, and says what the routes are.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_file_is_the_document() {
    let file = root().join("docs/openapi.json");
    let text = guildhall_openapi::text();
    // An empty value is how some shells unset a variable, and must not turn the test off.
    if std::env::var_os("GUILDHALL_UPDATE_SNAPSHOT").is_some_and(|value| !value.is_empty()) {
        fs::write(&file, &text).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == text,
        "docs/openapi.json is not what crates/openapi makes; look at what changed with\n  \
         GUILDHALL_UPDATE_SNAPSHOT=1 cargo xtask test unit --filter the_file_is && git diff docs/openapi.json"
    );
}

#[test]
fn every_operation_has_its_own_id_and_an_answer() {
    let operations = guildhall_openapi::operations();
    let ids: BTreeSet<_> = operations.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), operations.len());
    for operation in &operations {
        assert!(
            !operation.replies.is_empty(),
            "{} {}",
            operation.method,
            operation.path
        );
        let named = operation
            .parameters
            .iter()
            .filter(|parameter| parameter.place == "path");
        for parameter in named.clone() {
            assert!(
                operation.path.contains(&format!("{{{}}}", parameter.name)),
                "{}",
                operation.id
            );
        }
        assert_eq!(
            named.count(),
            operation.path.matches('{').count(),
            "{}",
            operation.id
        );
    }
}

/// Reads the routes from the components' sources: `.get("/…"`, `.post("/…"` and `.route(Method::X, "/…"`.
#[test]
fn every_public_route_is_in_the_document_and_no_other() {
    let mut routes = BTreeSet::new();
    let mut sources = vec![root().join("components")];
    while let Some(path) = sources.pop() {
        if path.is_dir() {
            sources.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            routes.extend(routes_of(&fs::read_to_string(&path).unwrap()));
        }
    }
    let documented: BTreeSet<_> = guildhall_openapi::operations()
        .iter()
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let missing: Vec<_> = routes.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&routes).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "crates/openapi/src/parts lacks {missing:?} and has {invented:?}, which no component serves"
    );
}

fn routes_of(source: &str) -> Vec<String> {
    let code: String = source.split_whitespace().collect();
    let mut routes = Vec::new();
    for (call, method) in [
        (".get(\"/", Some("get")),
        (".post(\"/", Some("post")),
        (".route(Method::", None),
    ] {
        for (at, _) in code.match_indices(call) {
            let rest = &code[at + call.len()..];
            let (method, path) = match method {
                Some(method) => (method.to_owned(), rest.split('"').next().unwrap_or_default()),
                None => {
                    let (method, rest) = rest.split_once(",\"/").expect("a pattern after the method");
                    (method.to_lowercase(), rest.split('"').next().unwrap_or_default())
                }
            };
            if !path.starts_with("internal/") {
                routes.push(format!("{method} /{path}"));
            }
        }
    }
    routes
}

#[test]
fn routes_are_read_however_they_are_laid_out() {
    let source = "Router::new().get(\"/a\", read, list)\n .route(\n Method::DELETE,\n \"/a/{id}\",\n x, y)\n .post(\"/internal/wake\", i, w)";
    assert_eq!(routes_of(source), ["get /a", "delete /a/{id}"]);
}
