//! The OpenAPI 3.1 document of the REST API, made from one table of operations and from the domain's types.
//!
//! `docs/openapi.json` is what [`document`] gives, and the fleet serves that file at `/openapi.json`. Tests hold the file
//! against this crate, and the table against the routes in the components' sources, so that none of the three can drift.

mod operation;
mod parts;
mod schemas;

pub use operation::{Body, Operation, Parameter, Reply};
use serde_json::{Map, Value, json};

/// Every operation, in the order of the document.
pub fn operations() -> Vec<Operation> {
    parts::all()
}

/// The document.
pub fn document() -> Value {
    let mut schemas = schemas::Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let item = paths.entry(operation.path).or_insert_with(|| json!({}));
        item[operation.method] = operation.describe(&mut schemas);
    }
    json!({
        "openapi": "3.1.1",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Guildhall",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A fleet of software-delivery agents, and the hall they work in.",
            "description": "Every error is an RFC 9457 problem with a stable `code`; docs/errors/ has a page for each. \
                Lists are `{items, next}`; give `next` as `after` to read on.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token. `guildhall up` makes the first, `POST /v1/tokens` others. \
                        Each operation names the scope that it wants; `admin` implies every scope.",
                },
            },
            "schemas": schemas.into_components(),
        },
    })
}

/// The document as the file holds it.
pub fn text() -> String {
    let mut text = format!("{:#}", document());
    text.push('\n');
    text
}
