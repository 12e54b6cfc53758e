//! The body of an operation's request.
//!
//! OpenAPI 2.0 names it: the parameter `in: body` by its name, or the fields `in: formData`. OpenAPI 3 does not, so here
//! the parameter `body` is the body; without one, what is no other parameter becomes the members of an object.

use super::{
    find,
    operation::{Operation, Place, resolve},
};
use crate::{
    answer::is_json,
    params::form,
    problems::{Outcome, configuration, validation},
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const FORM: &str = "application/x-www-form-urlencoded";

/// Media type and bytes of the body, if there is one; what became part of it is added to `used`.
pub(super) fn build<'g>(
    operation: &'g Operation<'_>,
    given: &'g Map<String, Value>,
    used: &mut BTreeSet<&'g str>,
) -> Outcome<Option<(String, Vec<u8>)>> {
    if operation.is_old() {
        return old(operation, given);
    }
    let Some(described) = operation.value.get("requestBody") else {
        return Ok(None);
    };
    let described = resolve(operation.document, described)?;
    let body = match given.get("body") {
        // A parameter of that name was meant for where it is declared.
        Some(body) if !used.contains("body") => {
            used.insert("body");
            body.clone()
        }
        _ => {
            let members = given.iter().filter(|(name, _)| !used.contains(name.as_str()));
            let members: Map<String, Value> = members
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            used.extend(given.keys().map(String::as_str));
            match members.is_empty() {
                true => Value::Null,
                false => Value::Object(members),
            }
        }
    };
    used.insert("body");
    if body.is_null() {
        return match described["required"] == true {
            true => Err(validation(
                "The operation needs a body: give the parameter `body`.",
            )),
            false => Ok(None),
        };
    }
    let offered: Vec<&str> = described["content"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .collect();
    write(&offered, &body).map(Some)
}

fn old(operation: &Operation<'_>, given: &Map<String, Value>) -> Outcome<Option<(String, Vec<u8>)>> {
    let consumes = [&operation.value["consumes"], &operation.document["consumes"]];
    let consumes = consumes.iter().find_map(|list| list.as_array());
    let offered: Vec<&str> = consumes.into_iter().flatten().filter_map(Value::as_str).collect();
    let mut fields = Map::new();
    for field in find(&operation.parameters, Place::Form) {
        if field.value["type"] == "file" && given.contains_key(&field.name) {
            return Err(configuration(format!(
                "The field `{}` is a file; files are not sent here.",
                field.name
            )));
        }
        if let Some(value) = given.get(&field.name) {
            fields.insert(field.name.clone(), value.clone());
        }
    }
    if !fields.is_empty() {
        if !offered.is_empty() && !offered.contains(&FORM) {
            return Err(configuration(
                "The operation takes forms of several parts only, which are not made here.",
            ));
        }
        return Ok(Some((FORM.into(), form(&fields)?.into_bytes())));
    }
    let body = find(&operation.parameters, Place::Body).find_map(|body| given.get(&body.name));
    match body {
        Some(body) if !body.is_null() => write(&offered, body).map(Some),
        _ => Ok(None),
    }
}

/// Writes a body in the best of the media types on offer.
fn write(offered: &[&str], body: &Value) -> Outcome<(String, Vec<u8>)> {
    let bare = |media_type: &str| {
        media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    };
    let json = offered.iter().find(|media_type| is_json(&bare(media_type)));
    if let Some(media_type) = json {
        return Ok(((*media_type).to_owned(), body.to_string().into_bytes()));
    }
    if offered.iter().any(|media_type| bare(media_type) == FORM)
        && let Value::Object(fields) = body
    {
        return Ok((FORM.into(), form(fields)?.into_bytes()));
    }
    match (body, offered.first()) {
        (_, None) => Ok(("application/json".into(), body.to_string().into_bytes())),
        // Any type, as a range: JSON is one.
        (_, Some(range)) if range.contains('*') => {
            Ok(("application/json".into(), body.to_string().into_bytes()))
        }
        (Value::String(text), Some(media_type)) if !media_type.starts_with("multipart/") => {
            Ok(((*media_type).to_owned(), text.clone().into_bytes()))
        }
        _ => Err(configuration(format!(
            "The operation takes {}, and none of it can be made of this body; JSON, forms and texts can.",
            offered.join(", ")
        ))),
    }
}
