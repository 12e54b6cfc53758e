//! Values with expressions in their texts.
//!
//! A text that is one `${ … }` stands for that expression's value, whatever its type; one that holds `${ … }` among
//! other characters is a text with the values written into it.

use super::{ExpressionError, Mode, Scope, evaluate};
use serde_json::Value;

/// A text, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// No expression in it.
    Plain(&'a str),
    /// One expression and nothing else.
    Expression(&'a str),
    /// Expressions among other characters.
    Mixed(Vec<TextPart<'a>>),
}

/// A part of a mixed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPart<'a> {
    /// Characters.
    Plain(&'a str),
    /// An expression.
    Expression(&'a str),
}

/// Reads a text; the error is that a `${` has no end.
pub fn parse_text(text: &str) -> Result<Text<'_>, ExpressionError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let inner = &rest[start + 2..];
        let Some(end) = closing(inner) else {
            return Err(ExpressionError {
                expression: text.to_owned(),
                reason: "a `${` is not closed by `}`".into(),
            });
        };
        if start > 0 {
            parts.push(TextPart::Plain(&rest[..start]));
        }
        parts.push(TextPart::Expression(inner[..end].trim()));
        rest = &inner[end + 1..];
    }
    if parts.is_empty() {
        return Ok(Text::Plain(text));
    }
    if !rest.is_empty() {
        parts.push(TextPart::Plain(rest));
    }
    let mut expressions = parts
        .iter()
        .filter(|part| !matches!(part, TextPart::Plain(blank) if blank.trim().is_empty()));
    match (expressions.next(), expressions.next()) {
        (Some(TextPart::Expression(expression)), None) => Ok(Text::Expression(expression)),
        _ => Ok(Text::Mixed(parts)),
    }
}

/// The index of the brace that closes an expression: not one in a text, comment or nested braces.
fn closing(text: &str) -> Option<usize> {
    // What is open: `{`, `"`, or `(` of an interpolation in a text.
    let mut open = vec!['{'];
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match (open.last(), c) {
            (Some('"'), '"') => {
                open.pop();
            }
            (Some('"'), '\\') => {
                if let Some((_, '(')) = chars.next() {
                    open.push('(');
                }
            }
            (Some('"'), _) => {}
            (_, '"') => open.push('"'),
            (_, '#') => {
                chars.by_ref().find(|(_, c)| *c == '\n');
            }
            (_, '{' | '(' | '[') => open.push(c),
            (_, '}' | ')' | ']') => {
                open.pop();
                if open.is_empty() {
                    return (c == '}').then_some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// An expression that may stand bare or in `${ }`, without the latter.
pub fn strip(text: &str) -> &str {
    match parse_text(text) {
        Ok(Text::Expression(expression)) => expression,
        _ => text.trim(),
    }
}

/// The value that a template stands for on `input`.
pub fn evaluate_template(
    template: &Value,
    input: &Value,
    scope: &dyn Scope,
    mode: Mode,
) -> Result<Value, ExpressionError> {
    Ok(match template {
        Value::String(text) => return evaluate_text(text, input, scope, mode),
        Value::Array(items) => {
            let each = items
                .iter()
                .map(|item| evaluate_template(item, input, scope, mode));
            Value::Array(each.collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let each = map
                .iter()
                .map(|(key, value)| Ok((key.clone(), evaluate_template(value, input, scope, mode)?)));
            Value::Object(each.collect::<Result<_, ExpressionError>>()?)
        }
        other => other.clone(),
    })
}

fn evaluate_text(text: &str, input: &Value, scope: &dyn Scope, mode: Mode) -> Result<Value, ExpressionError> {
    let parsed = parse_text(text);
    if mode == Mode::Loose {
        let expression = match &parsed {
            Ok(Text::Expression(expression)) => expression,
            _ => text,
        };
        return Ok(evaluate(expression, input, scope).unwrap_or_else(|_| Value::String(text.to_owned())));
    }
    match parsed? {
        Text::Plain(text) => Ok(Value::String(text.to_owned())),
        Text::Expression(expression) => evaluate(expression, input, scope),
        Text::Mixed(parts) => {
            let mut whole = String::new();
            for part in parts {
                match part {
                    TextPart::Plain(plain) => whole.push_str(plain),
                    TextPart::Expression(expression) => match evaluate(expression, input, scope)? {
                        Value::String(text) => whole.push_str(&text),
                        other => whole.push_str(&other.to_string()),
                    },
                }
            }
            Ok(Value::String(whole))
        }
    }
}
