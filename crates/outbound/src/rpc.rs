//! JSON-RPC 2.0 over HTTP, answered in JSON or as a stream of events (as A2A and MCP both have it).

use crate::{
    address::Address,
    answer::is_json,
    problems::{Outcome, communication, runtime},
    wire::{Request, Response},
};
use serde_json::{Value, json};

/// A request message.
pub(crate) fn message(id: &str, method: &str, parameters: Value) -> Value {
    let mut message = json!({"jsonrpc": "2.0", "id": id, "method": method});
    if !parameters.is_null() {
        message["params"] = parameters;
    }
    message
}

/// Puts a message into a request.
pub(crate) fn put(request: &mut Request, message: &Value) {
    request.set_header("content-type", "application/json");
    request.set_header("accept", "application/json, text/event-stream");
    request.body = message.to_string().into_bytes();
}

/// The results of the answers to message `id`, in order: at least one.
pub(crate) fn results(address: &Address, id: &str, response: &Response) -> Outcome<Vec<Value>> {
    let shown = address.shown();
    let media_type = response.media_type();
    let messages = if media_type == "text/event-stream" {
        events(&String::from_utf8_lossy(&response.body))
    } else if is_json(&media_type) {
        vec![serde_json::from_slice(&response.body).unwrap_or_default()]
    } else {
        Vec::new()
    };
    let ours =
        |message: &Value| message["id"] == id || (message["id"].is_null() && message.get("error").is_some());
    let mut results = Vec::new();
    for message in messages.into_iter().filter(ours) {
        if let Some(error) = message.get("error") {
            let text = error["message"].as_str().unwrap_or("no message");
            return Err(runtime(format!(
                "{shown} answered with the error {} ({text}).",
                error["code"]
            )));
        }
        results.extend(message.get("result").cloned());
    }
    match (results.is_empty(), response.status) {
        (false, _) => Ok(results),
        (true, status @ 200..=299) => Err(communication(
            502,
            format!("{shown} answered with status {status} and no JSON-RPC answer to the request."),
        )),
        (true, status) => Err(communication(
            i64::from(status),
            format!("{shown} answered with status {status}."),
        )),
    }
}

/// The data of a stream of server-sent events, as far as it is JSON.
fn events(text: &str) -> Vec<Value> {
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let mut found = Vec::new();
    for block in text.split("\n\n") {
        let data: Vec<&str> = block
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| data.strip_prefix(' ').unwrap_or(data))
            .collect();
        found.extend(serde_json::from_str::<Value>(&data.join("\n")).ok());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, json_answer};

    fn read(response: &Response) -> Result<Vec<Value>, i64> {
        let address = Address::parse("https://agent.example/rpc").expect("an address");
        results(&address, "1", response).map_err(|problem| problem.status)
    }

    #[test]
    fn answers_are_told_apart_from_what_else_comes() {
        let stream = "event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\r\n\r\n\
                      : a comment\n\ndata: {\"id\":\"1\",\ndata: \"result\":{\"a\":1}}\n\ndata: {\"id\":\"2\",\"result\":9}\n\n\
                      data: {\"id\":\"1\",\"result\":2}\n\n";
        assert_eq!(
            read(&answer(200, "text/event-stream", stream)),
            Ok(vec![json!({"a": 1}), json!(2)])
        );
        assert_eq!(
            read(&json_answer(200, &json!({"id": "1", "result": null}))),
            Ok(vec![json!(null)])
        );
        assert_eq!(
            read(&json_answer(200, &json!({"id": "2", "result": 1}))),
            Err(502)
        );
        assert_eq!(read(&answer(200, "text/html", "<p>")), Err(502));
        assert_eq!(read(&answer(503, "text/html", "<p>")), Err(503));
        let refused = json_answer(
            404,
            &json!({"id": null, "error": {"code": -32601, "message": "no such method"}}),
        );
        let address = Address::parse("https://agent.example/rpc").expect("an address");
        let problem = results(&address, "1", &refused).expect_err("an error");
        assert!(problem.kind.ends_with("/runtime"), "{problem:?}");
        assert!(
            problem
                .detail
                .is_some_and(|detail| detail.contains("-32601 (no such method)"))
        );
    }
}
