//! Finding an operation in a description, and where it is served.

use crate::{
    address::Address,
    problems::{Outcome, configuration},
};
use serde_json::Value;

/// Most references that lead to each other.
const MAX_REFERENCES: usize = 20;
/// The methods that a path may have.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// An operation of a description.
pub(super) struct Operation<'d> {
    pub document: &'d Value,
    pub method: &'static str,
    /// As it is written, with `{name}` for parameters.
    pub path: &'d str,
    pub value: &'d Value,
    pub server: Address,
    pub parameters: Vec<Parameter<'d>>,
}

/// A parameter of an operation.
pub(super) struct Parameter<'d> {
    pub name: String,
    pub place: Place,
    pub required: bool,
    pub value: &'d Value,
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
    Cookie,
    /// OpenAPI 2.0 only.
    Body,
    /// OpenAPI 2.0 only.
    Form,
}

/// What a value stands for: itself, or what its `$ref` leads to within the document.
pub(super) fn resolve<'d>(document: &'d Value, mut value: &'d Value) -> Outcome<&'d Value> {
    for _ in 0..MAX_REFERENCES {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
            return Ok(value);
        };
        let pointer = reference.strip_prefix('#').ok_or_else(|| {
            configuration(format!(
                "The description refers to `{reference}`, another document, which is not followed here."
            ))
        })?;
        let decoded = percent_decoded(pointer);
        value = document.pointer(&decoded).ok_or_else(|| {
            configuration(format!(
                "The description refers to `{reference}`, which it does not have."
            ))
        })?;
    }
    Err(configuration(
        "The description has references that lead in a circle.",
    ))
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| {
                text.get(at + 1..at + 3)
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            })
            .flatten();
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl<'d> Operation<'d> {
    /// The operation of this id.
    pub fn find(at: &Address, document: &'d Value, id: &str) -> Outcome<Self> {
        let version = document
            .get("openapi")
            .or(document.get("swagger"))
            .and_then(Value::as_str);
        if !version.is_some_and(|version| version == "2.0" || version.starts_with("3.")) {
            return Err(configuration(format!(
                "The document {} is no description in OpenAPI 2.0, 3.0 or 3.1.",
                at.shown()
            )));
        }
        let (mut known, mut unresolved) = (Vec::new(), None);
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let item = match resolve(document, item) {
                Ok(item) => item,
                // It matters only if the operation is nowhere else.
                Err(problem) => {
                    unresolved = Some(problem);
                    continue;
                }
            };
            for method in METHODS {
                let value = &item[method];
                match value["operationId"].as_str() {
                    Some(name) if name == id => {
                        let parameters = parameters(document, item, value)?;
                        let server = server(at, document, item, value)?;
                        return Ok(Self {
                            document,
                            method,
                            path,
                            value,
                            server,
                            parameters,
                        });
                    }
                    Some(name) if known.len() < 20 => known.push(name),
                    _ => {}
                }
            }
        }
        Err(unresolved.unwrap_or_else(|| {
            configuration(format!(
                "The description {} has no operation `{id}`. It has, among others: {}.",
                at.shown(),
                known.join(", ")
            ))
        }))
    }

    /// Whether the description is in OpenAPI 2.0.
    pub fn is_old(&self) -> bool {
        self.document.get("swagger").is_some()
    }
}

/// The operation's parameters; its own take the place of those that the whole path has.
fn parameters<'d>(document: &'d Value, item: &'d Value, operation: &'d Value) -> Outcome<Vec<Parameter<'d>>> {
    let list = |of: &'d Value| of["parameters"].as_array().into_iter().flatten();
    let mut found: Vec<Parameter<'d>> = Vec::new();
    for value in list(item).chain(list(operation)) {
        let value = resolve(document, value)?;
        let place = match value["in"].as_str() {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            Some("cookie") => Place::Cookie,
            Some("body") => Place::Body,
            Some("formData") => Place::Form,
            other => {
                return Err(configuration(format!(
                    "The description has a parameter in `{}`, which is no place that is known.",
                    other.unwrap_or("nothing")
                )));
            }
        };
        let name = value["name"].as_str().unwrap_or_default().to_owned();
        found.retain(|other| (other.place, &other.name) != (place, &name));
        found.push(Parameter {
            required: place == Place::Path || value["required"] == true,
            name,
            place,
            value,
        });
    }
    Ok(found)
}

/// Where an operation is served; relative to where the description was found.
fn server(at: &Address, document: &Value, item: &Value, operation: &Value) -> Outcome<Address> {
    if document.get("swagger").is_some() {
        let schemes = [&operation["schemes"], &document["schemes"]];
        let schemes = schemes.iter().find_map(|schemes| schemes.as_array());
        let offers = |scheme: &str| schemes.is_some_and(|schemes| schemes.iter().any(|one| one == scheme));
        let scheme = match (offers("https"), offers("http"), at.is_tls()) {
            (true, ..) | (false, false, true) => "https",
            _ => "http",
        };
        let own = at.authority();
        let host = document["host"].as_str().unwrap_or(&own);
        let base = document["basePath"].as_str().unwrap_or("/");
        return Address::parse(&format!("{scheme}://{host}/{}", base.trim_start_matches('/')));
    }
    let servers = [&operation["servers"], &item["servers"], &document["servers"]];
    let server = servers.iter().find_map(|servers| servers.get(0));
    let Some(server) = server else {
        return at.join("/");
    };
    let mut url = server["url"].as_str().unwrap_or("/").to_owned();
    for (name, variable) in server["variables"].as_object().into_iter().flatten() {
        let value = variable["default"].as_str().unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), value);
    }
    at.join(&url)
}
