//! How a value is written into a path, a query, a header or a cookie (OpenAPI 3.1, "Style Values"; 2.0,
//! `collectionFormat`).

use super::operation::Parameter;
use crate::{
    address::encode,
    params::scalar,
    problems::{Outcome, configuration, validation},
};
use serde_json::Value;

/// A value, taken apart.
enum Parts {
    One(String),
    List(Vec<String>),
    /// Names and values.
    Object(Vec<(String, String)>),
}

fn parts(parameter: &Parameter<'_>, value: &Value) -> Outcome<Parts> {
    let place = format!("The parameter `{}`, or a part of it,", parameter.name);
    // A parameter that is described by a media type is written in that, and JSON is the one that is known.
    if let Some(content) = parameter.value["content"].as_object() {
        return match content
            .keys()
            .any(|media_type| crate::answer::is_json(media_type))
        {
            true => Ok(Parts::One(value.to_string())),
            false => Err(configuration(format!(
                "The parameter `{}` is in a media type that is not JSON.",
                parameter.name
            ))),
        };
    }
    Ok(match value {
        Value::Array(items) => {
            let texts: Outcome<Vec<_>> = items.iter().map(|item| scalar(&place, item)).collect();
            Parts::List(texts?.into_iter().flatten().collect())
        }
        Value::Object(members) => {
            let mut pairs = Vec::new();
            for (name, value) in members {
                if let Some(text) = scalar(&place, value)? {
                    pairs.push((name.clone(), text));
                }
            }
            Parts::Object(pairs)
        }
        value => Parts::One(scalar(&place, value)?.unwrap_or_default()),
    })
}

fn style<'p>(parameter: &'p Parameter<'_>, default: &'p str) -> &'p str {
    parameter.value["style"].as_str().unwrap_or(default)
}

fn pairs(pairs: &[(String, String)], between: &str, write: impl Fn(&str) -> String) -> Vec<String> {
    pairs
        .iter()
        .map(|(name, value)| format!("{}{between}{}", write(name), write(value)))
        .collect()
}

fn unknown(parameter: &Parameter<'_>, style: &str) -> crate::problems::Outcome<String> {
    Err(configuration(format!(
        "The parameter `{}` has the style `{style}`, which is not known where it is.",
        parameter.name
    )))
}

/// A value for a path.
pub(super) fn path(parameter: &Parameter<'_>, value: &Value) -> Outcome<String> {
    let explode = parameter.value["explode"] == true;
    let name = encode(&parameter.name);
    let lead = |parts: Vec<String>, first: &str, between: &str| format!("{first}{}", parts.join(between));
    let parts = parts(parameter, value)?;
    let texts = match &parts {
        Parts::One(text) => vec![encode(text)],
        Parts::List(items) => items.iter().map(|item| encode(item)).collect(),
        Parts::Object(members) if explode => pairs(members, "=", encode),
        Parts::Object(members) => pairs(members, ",", encode),
    };
    let written = match (style(parameter, "simple"), &parts) {
        ("simple", _) => texts.join(","),
        ("label", _) if explode => lead(texts, ".", "."),
        ("label", _) => lead(texts, ".", ","),
        ("matrix", Parts::Object(_)) if explode => lead(texts, ";", ";"),
        ("matrix", Parts::List(_)) if explode => texts.iter().map(|text| format!(";{name}={text}")).collect(),
        ("matrix", _) => format!(";{name}={}", texts.join(",")),
        (other, _) => unknown(parameter, other)?,
    };
    // Either would make it another path.
    if written.is_empty() || written == "." || written == ".." {
        return Err(validation(format!(
            "The parameter `{}` is part of the path and cannot be `{written}`.",
            parameter.name
        )));
    }
    Ok(written)
}

/// The pieces of a query, or of a cookie, that a value comes to.
pub(super) fn query(parameter: &Parameter<'_>, value: &Value) -> Outcome<Vec<String>> {
    let name = encode(&parameter.name);
    let style = match parameter.value["collectionFormat"].as_str() {
        // What 2.0 has for lists, in the words of 3: only `multi` repeats the name.
        Some("multi") => return Ok(repeated(&name, parts(parameter, value)?)),
        Some("csv") => "form",
        Some("ssv") => "spaceDelimited",
        Some("pipes") => "pipeDelimited",
        Some("tsv") => "tab",
        Some(other) => return unknown(parameter, other).map(|_| Vec::new()),
        None => style(parameter, "form"),
    };
    // 3 has names repeated where nothing is said, 2.0 has not.
    let is_old = parameter.value.get("schema").is_none() && parameter.value.get("content").is_none();
    let explode = match parameter.value["explode"].as_bool() {
        Some(explode) => explode,
        None => style == "form" && !is_old,
    };
    let between = match style {
        "form" => ",",
        "spaceDelimited" => "%20",
        "pipeDelimited" => "%7C",
        "tab" => "%09",
        "deepObject" => "",
        other => return unknown(parameter, other).map(|_| Vec::new()),
    };
    Ok(match parts(parameter, value)? {
        Parts::Object(members) if style == "deepObject" => members
            .iter()
            .map(|(key, value)| format!("{name}%5B{}%5D={}", encode(key), encode(value)))
            .collect(),
        _ if style == "deepObject" => {
            return Err(validation(format!(
                "The parameter `{}` must be an object.",
                parameter.name
            )));
        }
        Parts::Object(members) if explode => pairs(&members, "=", encode),
        Parts::Object(members) => vec![format!(
            "{name}={}",
            pairs(&members, between, encode).join(between)
        )],
        Parts::List(items) if !explode => {
            let items: Vec<String> = items.iter().map(|item| encode(item)).collect();
            vec![format!("{name}={}", items.join(between))]
        }
        parts => repeated(&name, parts),
    })
}

fn repeated(name: &str, parts: Parts) -> Vec<String> {
    let piece = |text: &String| format!("{name}={}", encode(text));
    match parts {
        Parts::One(text) => vec![piece(&text)],
        Parts::List(items) => items.iter().map(piece).collect(),
        Parts::Object(members) => pairs(&members, "=", encode),
    }
}

/// A value for a header.
pub(super) fn header(parameter: &Parameter<'_>, value: &Value) -> Outcome<String> {
    let between = if parameter.value["explode"] == true {
        "="
    } else {
        ","
    };
    Ok(match parts(parameter, value)? {
        Parts::One(text) => text,
        Parts::List(items) => items.join(","),
        Parts::Object(members) => pairs(&members, between, str::to_owned).join(","),
    })
}
