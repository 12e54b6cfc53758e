//! From an HTTP answer to what the engine takes: `{request, statusCode, headers, content}`.

use crate::{
    redact::{HIDDEN, Redactor},
    wire::{Request, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use guildhall_domain::nesting::too_deep;
use serde_json::{Map, Value, json};

/// Headers of a request that are not for the record.
const SENSITIVE: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// The answer to a request, with the content as `output` has it.
pub(crate) fn answer(request: &Request, response: &Response, output: &str, redactor: &Redactor) -> Value {
    let sent = request.headers.iter().map(|(name, value)| {
        let shown = if SENSITIVE.contains(&name.as_str()) {
            HIDDEN
        } else {
            value
        };
        (name.clone(), Value::from(shown))
    });
    let content = match output {
        "raw" if response.body.is_empty() => Value::Null,
        "raw" => raw(&response.body, redactor).into(),
        _ => content(response),
    };
    json!({
        "request": {
            "method": request.method.to_ascii_lowercase(),
            "uri": request.uri,
            "headers": sent.collect::<Map<_, _>>(),
        },
        "statusCode": response.status,
        "headers": headers(response),
        "content": content,
    })
}

/// Headers by name; what came more than once is joined.
fn headers(response: &Response) -> Map<String, Value> {
    let mut headers = Map::new();
    for (name, value) in &response.headers {
        let value = match headers.get(name).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}"),
            None => value.clone(),
        };
        headers.insert(name.clone(), value.into());
    }
    headers
}

fn raw(body: &[u8], redactor: &Redactor) -> String {
    match std::str::from_utf8(body) {
        Ok(text) => BASE64_STANDARD.encode(redactor.text(text)),
        Err(_) => BASE64_STANDARD.encode(body),
    }
}

/// The content: JSON as what it says, other text as text, all else in base64. JSON that is nested too deeply to be kept
/// is given as the text that it is.
pub(crate) fn content(response: &Response) -> Value {
    if response.body.is_empty() {
        return Value::Null;
    }
    let Ok(text) = std::str::from_utf8(&response.body) else {
        return BASE64_STANDARD.encode(&response.body).into();
    };
    let parsed = match is_json(&response.media_type()) {
        true if !too_deep(text.as_bytes()) => serde_json::from_str(text).ok(),
        _ => None,
    };
    parsed.unwrap_or_else(|| text.into())
}

/// Whether a media type is JSON.
pub(crate) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}
