//! `call: openapi`: operations of descriptions in OpenAPI 2.0 (Swagger), 3.0 and 3.1.

mod body;
mod operation;
mod style;

use crate::{
    address::Address,
    caller::{Caller, not_outbound},
    params::put_header,
    problems::{Outcome, configuration, validation},
    wire::Wire,
};
use guildhall_flow::engine::Action;
use operation::{Operation, Parameter, Place};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What an operation and its parameters come to.
#[derive(Clone, Debug, PartialEq)]
struct Built {
    method: String,
    address: Address,
    headers: Vec<(String, String)>,
    /// Media type and bytes.
    body: Option<(String, Vec<u8>)>,
}

impl<W: Wire> Caller<'_, W> {
    pub async fn openapi(&self, action: &Action) -> Outcome<Value> {
        let Action::OpenApi {
            document,
            operation_id,
            parameters,
            authentication,
            output,
            redirect: _,
        } = action
        else {
            return Err(not_outbound());
        };
        let (at, document) = self.resource(document).await?;
        let empty = Map::new();
        let parameters = parameters.as_object().unwrap_or(&empty);
        let built = build(&at, &document, operation_id, parameters)?;
        let mut request = self.request(&built.method, &built.address);
        for (name, value) in &built.headers {
            put_header(&mut request, name, value)?;
        }
        if let Some((media_type, bytes)) = built.body {
            request.set_header("content-type", media_type);
            request.body = bytes;
        }
        self.finish(authentication, &built.address, request, output).await
    }
}

/// The request for an operation.
fn build(at: &Address, document: &Value, operation_id: &str, given: &Map<String, Value>) -> Outcome<Built> {
    let operation = Operation::find(at, document, operation_id)?;
    let (mut used, mut headers, mut cookies) = (BTreeSet::new(), Vec::new(), Vec::new());
    let mut path = operation.path.to_owned();
    let mut query = Vec::new();
    for parameter in &operation.parameters {
        let name = parameter.name.as_str();
        let value = given.get(name).filter(|value| !value.is_null());
        used.insert(name);
        let Some(value) = value else {
            if parameter.required {
                return Err(validation(format!(
                    "The operation `{operation_id}` needs the parameter `{name}`."
                )));
            }
            continue;
        };
        match parameter.place {
            Place::Path => path = path.replace(&format!("{{{name}}}"), &style::path(parameter, value)?),
            Place::Query => query.extend(style::query(parameter, value)?),
            Place::Header => headers.push((name.to_owned(), style::header(parameter, value)?)),
            Place::Cookie => cookies.extend(style::query(parameter, value)?),
            // The body's own, below.
            Place::Body | Place::Form => {}
        }
    }
    if let Some((_, rest)) = path.split_once('{') {
        let name = rest.split('}').next().unwrap_or_default();
        return Err(configuration(format!(
            "The path of `{operation_id}` has `{{{name}}}`, which the description does not declare as a parameter."
        )));
    }
    if !cookies.is_empty() {
        headers.push(("cookie".into(), cookies.join("; ")));
    }
    let body = body::build(&operation, given, &mut used)?;
    if let Some(unknown) = given.keys().find(|name| !used.contains(name.as_str())) {
        let known: Vec<&str> = used.into_iter().collect();
        return Err(configuration(format!(
            "The operation `{operation_id}` has no parameter `{unknown}`; it has: {}.",
            known.join(", ")
        )));
    }
    let mut address = operation.server.below(&path)?;
    query.iter().for_each(|piece| address.add_raw_query(piece));
    Ok(Built {
        method: operation.method.to_ascii_uppercase(),
        address,
        headers,
        body,
    })
}

/// Whether this is how a parameter of the operation looks.
fn find<'p>(parameters: &'p [Parameter<'_>], place: Place) -> impl Iterator<Item = &'p Parameter<'p>> {
    parameters
        .iter()
        .filter(move |parameter| parameter.place == place)
}

#[cfg(test)]
mod tests;
