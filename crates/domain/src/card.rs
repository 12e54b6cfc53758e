//! What a remote agent's card must be: the fields that A2A 1.0 requires (specification section 4.4), within sizes that
//! a registry of ten thousand can bear, and nothing that would send others to a strange place.

use crate::agent::{AgentCard, FLEET};
use serde_json::Value;
use std::collections::BTreeSet;

/// Most bytes of a card.
pub const MAX_CARD: usize = 256 * 1024;
/// Most skills of an agent.
pub const MAX_SKILLS: usize = 100;
/// Most bytes of a JSON Schema.
const MAX_SCHEMA: usize = 64 * 1024;
/// Deepest nesting of a JSON Schema.
const MAX_DEPTH: usize = 32;

/// Whether `id` can name a remote agent; an error says why not.
pub fn check_id(id: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if !(1..=100).contains(&id.len()) || !id.bytes().all(plain) || !id.as_bytes()[0].is_ascii_alphanumeric() {
        return Err(
            "an agent's id has 1 to 100 of the characters a-z 0-9 . _ - and begins with a letter or digit"
                .into(),
        );
    }
    if FLEET.contains(&id) || id == "guildhall" || id == "best" {
        return Err(format!("`{id}` is reserved for the fleet itself"));
    }
    Ok(())
}

/// The card as a type, or the first thing that is wrong with it, with its place.
pub fn check(card: &Value) -> Result<AgentCard, String> {
    if card.to_string().len() > MAX_CARD {
        return Err(format!("the card is larger than {MAX_CARD} bytes"));
    }
    let typed: AgentCard = serde_json::from_value(card.clone())
        .map_err(|error| format!("the card is no A2A 1.0 card: {error}"))?;
    text("name", &typed.name, 200)?;
    text("description", &typed.description, 4000)?;
    text("version", &typed.version, 100)?;
    if typed.supported_interfaces.is_empty() || typed.supported_interfaces.len() > 20 {
        return Err("`supportedInterfaces` must name 1 to 20 interfaces".into());
    }
    for interface in &typed.supported_interfaces {
        check_url(&interface.url)?;
        text("protocolBinding", &interface.protocol_binding, 200)?;
        text("protocolVersion", &interface.protocol_version, 20)?;
    }
    modes("defaultInputModes", &typed.default_input_modes)?;
    modes("defaultOutputModes", &typed.default_output_modes)?;
    if typed.skills.is_empty() || typed.skills.len() > MAX_SKILLS {
        return Err(format!("`skills` must name 1 to {MAX_SKILLS} skills"));
    }
    let mut seen = BTreeSet::new();
    for skill in &typed.skills {
        let place = |what: &str| format!("{what} of the skill `{}`", skill.id);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
        if !(1..=100).contains(&skill.id.len()) || !skill.id.bytes().all(plain) {
            return Err(format!(
                "`{}` is no skill id: 1 to 100 of the characters A-Z a-z 0-9 . _ : / -",
                skill.id
            ));
        }
        if !seen.insert(skill.id.as_str()) {
            return Err(format!("the skill `{}` is there twice", skill.id));
        }
        text(&place("the name"), &skill.name, 200)?;
        text(&place("the description"), &skill.description, 4000)?;
        if skill.tags.is_empty() || skill.tags.len() > 50 {
            return Err(format!("{} must be 1 to 50", place("the tags")));
        }
        for tag in &skill.tags {
            text(&place("a tag"), tag, 100)?;
        }
        if skill.examples.len() > 20 {
            return Err(format!("{} must be at most 20", place("the examples")));
        }
        for example in &skill.examples {
            text(&place("an example"), example, 1000)?;
        }
        modes(&place("the input modes"), &skill.input_modes)?;
        modes(&place("the output modes"), &skill.output_modes)?;
        check_schema(&place("the input schema"), &skill.input_schema)?;
        if let Some(schema) = &skill.output_schema {
            check_schema(&place("the output schema"), schema)?;
        }
        if skill
            .cost_hint
            .as_ref()
            .is_some_and(|hint| hint.to_string().len() > 1000)
        {
            return Err(format!("{} must be at most 1000 bytes", place("the cost hint")));
        }
    }
    Ok(typed)
}

fn text(what: &str, value: &str, most: usize) -> Result<(), String> {
    let length = value.chars().count();
    if !(1..=most).contains(&length) || value.contains('\0') {
        return Err(format!("{what} must have 1 to {most} characters, not {length}"));
    }
    Ok(())
}

fn modes(what: &str, modes: &[String]) -> Result<(), String> {
    if modes.is_empty()
        || modes.len() > 20
        || modes.iter().any(|mode| mode.len() > 200 || !mode.contains('/'))
    {
        return Err(format!("{what} must be 1 to 20 media types"));
    }
    Ok(())
}

/// Whether an address is one that a card may give: http or https with a host, no credentials, no odd characters.
/// Whether anybody may go there is decided when somebody does ([`crate::egress`]).
pub fn check_url(url: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("the address `{url}` {why}"));
    let Some((scheme, rest)) = url.split_once("://") else {
        return refuse("has no scheme");
    };
    if scheme != "https" && scheme != "http" {
        return refuse("is neither http nor https");
    }
    if url.len() > 2000 || !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return refuse("is too long, or has characters that a URL does not");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return refuse("carries credentials");
    }
    if authority.is_empty() || authority.starts_with(':') {
        return refuse("has no host");
    }
    Ok(())
}

/// Whether `schema` is a JSON Schema that can be applied without asking anybody: `true`, `false` or an object whose
/// keywords have the right types and whose references stay inside it.
pub fn check_schema(what: &str, schema: &Value) -> Result<(), String> {
    if schema.to_string().len() > MAX_SCHEMA {
        return Err(format!("{what} is larger than {MAX_SCHEMA} bytes"));
    }
    walk(what, schema, 0)
}

fn walk(what: &str, schema: &Value, depth: usize) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("{what}: {why}"));
    if depth > MAX_DEPTH {
        return refuse("it is nested too deeply");
    }
    let object = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(object) => object,
        _ => return refuse("a schema is an object or a boolean"),
    };
    for (keyword, value) in object {
        match keyword.as_str() {
            "$ref" | "$dynamicRef" if !value.as_str().is_some_and(|target| target.starts_with('#')) => {
                return refuse("a reference must stay inside the schema (`#/...`)");
            }
            "type" => {
                let known = |value: &Value| {
                    [
                        "null", "boolean", "object", "array", "number", "string", "integer",
                    ]
                    .iter()
                    .any(|name| value == name)
                };
                let good = known(value) || value.as_array().is_some_and(|types| types.iter().all(known));
                if !good {
                    return refuse("`type` names no JSON type");
                }
            }
            "required"
                if !value
                    .as_array()
                    .is_some_and(|names| names.iter().all(Value::is_string)) =>
            {
                return refuse("`required` must be an array of strings");
            }
            "enum" if !value.is_array() => return refuse("`enum` must be an array"),
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                let Some(members) = value.as_object() else {
                    return refuse(&format!("`{keyword}` must be an object"));
                };
                for member in members.values() {
                    walk(what, member, depth + 1)?;
                }
            }
            "items"
            | "additionalProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "unevaluatedItems"
            | "unevaluatedProperties" => walk(what, value, depth + 1)?,
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                let Some(members) = value.as_array().filter(|members| !members.is_empty()) else {
                    return refuse(&format!("`{keyword}` must be an array that is not empty"));
                };
                for member in members {
                    walk(what, member, depth + 1)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn card() -> Value {
        json!({
            "name": "Translator", "description": "Translates.", "version": "1.0.0",
            "supportedInterfaces": [{"url": "https://t.example.com/a2a", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}],
            "capabilities": {}, "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
            "skills": [{"id": "translate_text", "name": "Translate", "description": "Translates text.", "tags": ["text"],
                "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}}],
        })
    }

    fn wrong(pointer: &str, value: Value) -> String {
        let mut card = card();
        *card.pointer_mut(pointer).expect("there") = value;
        check(&card).expect_err("refused")
    }

    #[test]
    fn a_plain_card_is_taken() {
        assert_eq!(check(&card()).expect("a card").skills[0].id, "translate_text");
    }

    #[test]
    fn what_a2a_requires_is_required() {
        for field in [
            "name",
            "description",
            "version",
            "supportedInterfaces",
            "capabilities",
            "defaultInputModes",
            "defaultOutputModes",
            "skills",
        ] {
            let mut broken = card();
            broken.as_object_mut().expect("object").remove(field);
            let why = check(&broken).expect_err(field);
            assert!(why.contains(field), "{why}");
        }
    }

    #[test]
    fn a_refusal_names_the_place() {
        for (pointer, value, part) in [
            ("/name", json!(""), "name"),
            ("/skills", json!([]), "1 to 100 skills"),
            ("/skills/0/id", json!("a b"), "no skill id"),
            ("/skills/0/tags", json!([]), "translate_text"),
            (
                "/supportedInterfaces/0/url",
                json!("ftp://x"),
                "neither http nor https",
            ),
            (
                "/supportedInterfaces/0/url",
                json!("https://user:pw@x"),
                "credentials",
            ),
            ("/supportedInterfaces/0/url", json!("https:///x"), "no host"),
            (
                "/skills/0/inputSchema",
                json!({"type": "text"}),
                "`type` names no JSON type",
            ),
            (
                "/skills/0/inputSchema",
                json!({"$ref": "https://evil.example/s"}),
                "stay inside",
            ),
            ("/skills/0/inputSchema", json!([]), "object or a boolean"),
            (
                "/skills/0/inputSchema",
                json!({"properties": {"a": 1}}),
                "object or a boolean",
            ),
        ] {
            let why = wrong(pointer, value);
            assert!(why.contains(part), "{pointer}: {why}");
        }
        let mut twice = card();
        let skill = twice["skills"][0].clone();
        twice["skills"].as_array_mut().expect("array").push(skill);
        assert!(check(&twice).expect_err("refused").contains("twice"));
        let mut deep = json!(true);
        for _ in 0..40 {
            deep = json!({"items": deep});
        }
        assert!(wrong("/skills/0/inputSchema", deep).contains("deeply"));
    }

    #[test]
    fn the_fleets_names_are_reserved() {
        for id in FLEET {
            assert!(check_id(id).is_err());
        }
        for id in ["", "A", "-a", "a/b", "best", "guildhall", &"a".repeat(101)] {
            assert!(check_id(id).is_err(), "{id}");
        }
        assert_eq!(check_id("translator-1.eu"), Ok(()));
    }
}
