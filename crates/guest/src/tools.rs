//! The agents' tools: a client of one MCP server (Model Context Protocol 2026-07-28, Streamable HTTP), by default the
//! workspace. That revision has no session: every call is one POST that carries its own context.

use crate::{client::Call, trace::Trace, vars};
use guildhall_domain::{Code, request::AgentError};
use http::{HeaderName, header};
use serde_json::{Value, json};
use std::time::Duration;

const PROTOCOL: &str = "2026-07-28";
/// Most bytes of a tool's answer.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// A tool server and the ids that calls to it carry.
#[derive(Clone, Debug)]
pub struct Tools {
    trace: Trace,
    limit: Duration,
}

impl Tools {
    /// The workspace server of the variables `workspace_url` and `workspace_token`. A call may take 10 minutes.
    pub fn workspace(trace: &Trace) -> Tools {
        Tools {
            trace: trace.clone(),
            limit: Duration::from_secs(600),
        }
    }

    /// Gives each call at most `limit`.
    pub fn limit(mut self, limit: Duration) -> Tools {
        self.limit = limit;
        self
    }

    /// Calls a tool and gives its structured result. An error of the tool keeps the tool's own code, message and
    /// hint and is final; one of reaching it is `unreachable` and worth another attempt; without `workspace_url` it
    /// is `not_configured`.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Value, AgentError> {
        let url = match vars::optional("workspace_url").await {
            Ok(Some(url)) => url,
            Ok(None) => return Err(not_configured("No workspace is set up, so there are no tools.")),
            Err(problem) => return Err(not_configured(problem.detail)),
        };
        let token = vars::optional("workspace_token")
            .await
            .unwrap_or_default()
            .unwrap_or_default();
        let answer = Call::post_json(endpoint(&url), &call_message(tool, arguments))
            .bearer(&token)
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header(HeaderName::from_static("mcp-protocol-version"), PROTOCOL)
            .header(HeaderName::from_static("mcp-method"), "tools/call")
            .header(HeaderName::from_static("mcp-name"), tool)
            .trace(&self.trace)
            .limit(self.limit)
            .max_answer(MAX_ANSWER)
            .send()
            .await
            .map_err(|error| AgentError {
                code: Code::Unreachable.as_str().into(),
                detail: format!("The tool {tool} could not be called at {error}."),
                hint: Some(
                    "Check that `guildhall workspace` runs and that workspace_url points to it.".into(),
                ),
                retryable: true,
            })?;
        let media_type = answer
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        understand(tool, answer.status, media_type, &answer.body)
    }
}

/// Calls a tool of the workspace; see [`Tools::call`].
pub async fn call(trace: &Trace, tool: &str, arguments: Value) -> Result<Value, AgentError> {
    Tools::workspace(trace).call(tool, arguments).await
}

fn not_configured(detail: impl Into<String>) -> AgentError {
    AgentError {
        code: Code::NotConfigured.as_str().into(),
        detail: detail.into(),
        hint: Some("Start `guildhall workspace` and set workspace_url and workspace_token.".into()),
        retryable: false,
    }
}

/// The server's MCP endpoint: `/mcp` unless the address has a path.
fn endpoint(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let has_path = url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path {
        url.to_owned()
    } else {
        format!("{url}/mcp")
    }
}

fn call_message(tool: &str, arguments: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": tool,
            "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": PROTOCOL,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "guildhall", "version": env!("CARGO_PKG_VERSION")},
            },
        },
    })
}

/// What an HTTP answer to `tools/call` means.
fn understand(tool: &str, status: u16, media_type: &str, body: &[u8]) -> Result<Value, AgentError> {
    let protocol_error = |detail: String, retryable: bool| AgentError {
        code: Code::Unreachable.as_str().into(),
        detail,
        hint: Some("Check that workspace_url points to `guildhall workspace` of the same version.".into()),
        retryable,
    };
    if status == 401 || status == 403 {
        return Err(not_configured(format!(
            "The workspace refused the token when {tool} was called ({status})."
        )));
    }
    let message = if media_type.trim_start().starts_with("text/event-stream") {
        last_response_of_stream(body)
    } else {
        serde_json::from_slice(body).ok()
    };
    let Some(message) = message.filter(|message: &Value| message.is_object()) else {
        let detail = format!("The tool {tool} gave no JSON-RPC answer (HTTP {status}).");
        return Err(protocol_error(detail, status >= 500));
    };
    if let Some(error) = message.get("error") {
        let text = error["message"].as_str().unwrap_or("no message");
        // -32602: the arguments do not fit the tool's schema; a later attempt sends the same.
        if error["code"] == -32602 {
            return Err(AgentError {
                code: Code::InvalidParameter.as_str().into(),
                detail: format!("The tool {tool} does not take these arguments: {text}."),
                hint: None,
                retryable: false,
            });
        }
        let detail = format!(
            "The tool {tool} could not be run: {text} (JSON-RPC {}).",
            error["code"]
        );
        return Err(protocol_error(detail, error["code"] == -32603));
    }
    let result = &message["result"];
    let structured = result
        .get("structuredContent")
        .filter(|content| !content.is_null());
    if result["isError"] == true {
        return Err(tool_error(tool, structured, result));
    }
    if let Some(content) = structured {
        return Ok(content.clone());
    }
    let text = text_of(result);
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn tool_error(tool: &str, structured: Option<&Value>, result: &Value) -> AgentError {
    let field = |name: &str| {
        structured
            .and_then(|content| content[name].as_str())
            .map(str::to_owned)
    };
    let detail = field("message").unwrap_or_else(|| text_of(result));
    AgentError {
        code: field("code").unwrap_or_else(|| "tool_failed".into()),
        detail: if detail.is_empty() {
            format!("The tool {tool} failed and did not say why.")
        } else {
            detail
        },
        hint: field("hint"),
        retryable: structured.is_some_and(|content| content["retryable"] == true),
    }
}

fn text_of(result: &Value) -> String {
    let parts = result["content"].as_array().into_iter().flatten();
    parts
        .filter_map(|part| part["text"].as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The last JSON-RPC response among the events of a stream (WHATWG event stream: `data` lines, blank line between).
fn last_response_of_stream(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
    let messages = text.split("\n\n").filter_map(|event| {
        let data: Vec<&str> = event
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| data.strip_prefix(' ').unwrap_or(data))
            .collect();
        serde_json::from_str::<Value>(&data.join("\n")).ok()
    });
    messages
        .filter(|message| message.get("result").is_some() || message.get("error").is_some())
        .last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_answer(body: Value) -> Result<Value, AgentError> {
        understand("file_read", 200, "application/json", body.to_string().as_bytes())
    }

    #[test]
    fn a_result_is_its_structured_content_or_text() {
        let content = json!({"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"a":1}}});
        assert_eq!(json_answer(content), Ok(json!({"a": 1})));
        let text = json!({"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"a\":2}"}]}});
        assert_eq!(json_answer(text), Ok(json!({"a": 2})));
        let plain = json!({"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]}});
        assert_eq!(json_answer(plain), Ok(json!("hello")));
    }

    #[test]
    fn a_stream_gives_its_response_and_skips_notifications() {
        let stream = "id: 0\nretry: 3000\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\r\n\r\n\
             event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\ndata: \"result\":{\"structuredContent\":{\"ok\":true}}}\n\n";
        let found = understand("t", 200, "text/event-stream; charset=utf-8", stream.as_bytes());
        assert_eq!(found, Ok(json!({"ok": true})));
    }

    #[test]
    fn a_tools_refusal_keeps_its_words_and_is_final() {
        let refusal = json!({"result":{"isError":true,"content":[{"type":"text","text":"x"}],
            "structuredContent":{"code":"unknown_branch","message":"no branch x","hint":"git branch"}}});
        let error = json_answer(refusal).expect_err("refused");
        assert_eq!(
            (error.code.as_str(), error.detail.as_str()),
            ("unknown_branch", "no branch x")
        );
        assert_eq!(
            (error.hint.as_deref(), error.retryable),
            (Some("git branch"), false)
        );
        let bare = json_answer(json!({"result":{"isError":true,"content":[]}})).expect_err("refused");
        assert_eq!(bare.code, "tool_failed");
    }

    #[test]
    fn what_is_no_answer_says_whether_to_try_again() {
        let code = |status, body: &[u8]| {
            let error = understand("t", status, "application/json", body).expect_err("no answer");
            (error.code, error.retryable)
        };
        assert_eq!(code(401, b""), ("not_configured".into(), false));
        assert_eq!(code(502, b"<html>"), ("unreachable".into(), true));
        assert_eq!(code(200, b"[]"), ("unreachable".into(), false));
        assert_eq!(
            code(200, br#"{"error":{"code":-32602,"message":"no"}}"#),
            ("invalid_parameter".into(), false)
        );
        assert_eq!(
            code(200, br#"{"error":{"code":-32603,"message":"no"}}"#),
            ("unreachable".into(), true)
        );
    }

    #[test]
    fn the_endpoint_is_mcp_unless_a_path_is_given() {
        assert_eq!(endpoint("http://127.0.0.1:7420"), "http://127.0.0.1:7420/mcp");
        assert_eq!(endpoint("http://127.0.0.1:7420/"), "http://127.0.0.1:7420/mcp");
        assert_eq!(endpoint("http://h/tools/x"), "http://h/tools/x");
    }
}
