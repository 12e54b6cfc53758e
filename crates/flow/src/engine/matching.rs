//! Whether an event fits a filter (dsl-reference.md, "Event Filter").
//!
//! An attribute fits a text that is equal to it or, where the text has a character special to regular expressions
//! (other than `.`, `-` and `?`, which are common in types and URIs), a pattern that matches all of it. An expression in
//! `${ }` is evaluated on the attribute: true or false decides, another value must be equal. An object fits if each of
//! its members does.

use crate::dsl::{Filter, Strategy};
use crate::expression::{Mode, Scope, Text, evaluate, evaluate_template, parse_text};
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const SPECIAL: &[char] = &['^', '$', '*', '+', '[', ']', '(', ')', '|', '\\', '{', '}'];

/// Whether a text in a filter can be used: if it looks like a regular expression, it must be one.
pub fn check_pattern(text: &str) -> Result<(), String> {
    match parse_text(text) {
        Ok(Text::Plain(text)) if text.contains(SPECIAL) => pattern(text).map(drop),
        _ => Ok(()),
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(1 << 18)
        .build()
        .map_err(|error| format!("`{text}` looks like a regular expression, but is none: {error}"))
}

fn fits(wanted: &Value, value: &Value, scope: &dyn Scope) -> bool {
    match wanted {
        Value::String(text) => match parse_text(text) {
            Ok(Text::Plain(text)) => match value {
                Value::String(value) if value == text => true,
                Value::String(value) if text.contains(SPECIAL) => {
                    pattern(text).is_ok_and(|regex| regex.is_match(value))
                }
                _ => false,
            },
            Ok(Text::Expression(expression)) => match evaluate(expression, value, scope) {
                Ok(Value::Bool(holds)) => holds,
                Ok(other) => other == *value,
                // What comes from outside may lack what the expression looks for; then it does not fit.
                Err(_) => false,
            },
            _ => false,
        },
        Value::Object(members) => match value {
            Value::Object(map) => members
                .iter()
                .all(|(key, wanted)| fits(wanted, map.get(key).unwrap_or(&Value::Null), scope)),
            _ => false,
        },
        other => other == value,
    }
}

/// Whether an event fits; if so, the values that correlations learn from it are kept.
pub(super) fn event_fits(
    filter: &Filter,
    event: &Value,
    input: &Value,
    keys: &mut BTreeMap<String, Value>,
    scope: &dyn Scope,
    mode: Mode,
) -> bool {
    let attributes = filter.with.iter();
    let fit = |(key, wanted): (&String, &Value)| fits(wanted, event.get(key).unwrap_or(&Value::Null), scope);
    if !attributes.into_iter().all(fit) {
        return false;
    }
    let mut learnt = Vec::new();
    for correlation in &filter.correlate {
        let Ok(value) = evaluate(&correlation.from, event, scope) else {
            return false;
        };
        if value.is_null() {
            return false;
        }
        let expected = match &correlation.expect {
            Some(expect) => match evaluate_template(expect, input, scope, mode) {
                Ok(expected) => Some(expected),
                Err(_) => return false,
            },
            None => keys.get(&correlation.name).cloned(),
        };
        match expected {
            Some(expected) if expected != value => return false,
            Some(_) => {}
            None => learnt.push((correlation.name.clone(), value)),
        }
    }
    keys.extend(learnt);
    true
}

/// What a subscription asks for: the attributes that are plain texts, of each filter.
pub(super) fn hints(strategy: &Strategy) -> Vec<Map<String, Value>> {
    let filters = strategy.filters();
    if filters.is_empty() {
        return vec![Map::new()];
    }
    let hint = |filter: &Filter| {
        let plain = filter.with.iter().filter(|(key, value)| {
            matches!(key.as_str(), "type" | "source" | "subject")
                && value.as_str().is_some_and(|text| !text.contains(SPECIAL))
        });
        plain.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    filters.iter().map(hint).collect()
}
