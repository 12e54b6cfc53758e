//! Values of runs as texts in headers, queries, paths and forms.

use crate::{
    address::encode,
    problems::{Outcome, configuration, validation},
    wire::Request,
};
use serde_json::{Map, Value};

/// Headers that belong to the connection or to the runtime.
const NOT_OURS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A text, number or truth value as text; none for null.
pub(crate) fn scalar(place: &str, value: &Value) -> Outcome<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Array(_) | Value::Object(_) => Err(validation(format!(
            "{place} must be a text, a number or a truth value, not a list or an object."
        ))),
    }
}

/// A scalar, or a list of them; nulls are left out.
pub(crate) fn scalars(place: &str, value: &Value) -> Outcome<Vec<String>> {
    match value {
        Value::Array(items) => {
            let texts: Outcome<Vec<_>> = items.iter().map(|item| scalar(place, item)).collect();
            Ok(texts?.into_iter().flatten().collect())
        }
        value => Ok(scalar(place, value)?.into_iter().collect()),
    }
}

/// Puts headers that a workflow gives into a request.
pub(crate) fn put_headers(request: &mut Request, headers: &Map<String, Value>) -> Outcome<()> {
    for (name, value) in headers {
        let values = scalars(&format!("The header `{name}`"), value)?;
        if !values.is_empty() {
            put_header(request, name, &values.join(", "))?;
        }
    }
    Ok(())
}

/// Puts one header into a request.
pub(crate) fn put_header(request: &mut Request, name: &str, value: &str) -> Outcome<()> {
    let lower = name.trim().to_ascii_lowercase();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if lower.is_empty() || !lower.bytes().all(token) {
        return Err(configuration(format!("`{name}` is not the name of a header.")));
    }
    if NOT_OURS.contains(&lower.as_str()) || lower.starts_with("proxy-") || lower.starts_with("spin-") {
        return Err(configuration(format!(
            "The header `{lower}` belongs to the connection and cannot be set by a workflow."
        )));
    }
    if !value
        .bytes()
        .all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
    {
        return Err(validation(format!(
            "The value of the header `{lower}` has characters that HTTP does not carry (only printable ASCII is)."
        )));
    }
    request.set_header(&lower, value);
    Ok(())
}

/// An object as `application/x-www-form-urlencoded`; lists become repeated fields.
pub(crate) fn form(fields: &Map<String, Value>) -> Outcome<String> {
    let mut pieces = Vec::new();
    for (name, value) in fields {
        for text in scalars(&format!("The form's field `{name}`"), value)? {
            pieces.push(format!("{}={}", encode(name), encode(&text)));
        }
    }
    Ok(pieces.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;
    use serde_json::json;

    #[test]
    fn headers_of_workflows_are_checked() {
        let mut made = request();
        let headers = json!({"X-One": 1, "x-list": ["a", true, null], "none": null});
        put_headers(&mut made, headers.as_object().expect("an object")).expect("good headers");
        assert_eq!(
            (made.header("x-one"), made.header("x-list")),
            (Some("1"), Some("a, true"))
        );
        assert_eq!(made.header("none"), None);
        for (name, value) in [
            ("Host", "evil"),
            ("Content-Length", "0"),
            ("spin-path-info", "x"),
            ("Proxy-Authorization", "x"),
            ("bad name", "x"),
            ("", "x"),
            ("x", "a\r\nb: c"),
            ("x", "é"),
        ] {
            assert!(
                put_header(&mut request(), name, value).is_err(),
                "{name}: {value}"
            );
        }
        assert!(put_headers(&mut request(), json!({"x": {}}).as_object().expect("an object")).is_err());
    }

    #[test]
    fn forms_are_encoded() {
        let fields = json!({"a b": "c&d", "list": [1, 2], "none": null});
        assert_eq!(
            form(fields.as_object().expect("an object")).expect("a form"),
            "a%20b=c%26d&list=1&list=2"
        );
    }
}
