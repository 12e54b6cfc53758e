//! `call: mcp`, over Streamable HTTP.
//!
//! Up to 2025-11-25 a session is begun with `initialize` and ended afterwards; from 2026-07-28 on each request stands for
//! itself and carries who asks.

use crate::{
    LIMIT_MS, SHORT_LIMIT_MS,
    address::Address,
    caller::{Caller, not_outbound},
    params::put_headers,
    problems::{Outcome, communication, configuration},
    rpc,
    wire::{Request, Response, Wire},
};
use guildhall_flow::engine::Action;
use serde_json::{Map, Value, json};

/// The first version without sessions.
const STATELESS: &str = "2026-07-28";
/// The versions in which a session is begun.
const WITH_SESSION: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// A server as a workflow names it.
struct Server<'a> {
    address: Address,
    policy: &'a Value,
    headers: &'a Map<String, Value>,
    limit_ms: u64,
}

impl<W: Wire> Caller<'_, W> {
    pub async fn mcp(&self, action: &Action) -> Outcome<Value> {
        let Action::Mcp {
            protocol_version,
            method,
            parameters,
            timeout_ms,
            endpoint,
            headers,
            options,
            client,
        } = action
        else {
            return Err(not_outbound());
        };
        if options.as_object().is_some_and(|options| !options.is_empty()) {
            return Err(configuration(
                "`transport.options` has options, and the transport over HTTP has none here.",
            ));
        }
        let empty = Map::new();
        let server = Server {
            address: Address::parse(endpoint["uri"].as_str().unwrap_or_default())?,
            policy: &endpoint["authentication"],
            headers: headers.as_object().unwrap_or(&empty),
            limit_ms: timeout_ms.map_or(LIMIT_MS, |ms| ms.clamp(1, LIMIT_MS as i64) as u64),
        };
        let client = match client {
            Value::Null => json!({"name": "guildhall", "version": env!("CARGO_PKG_VERSION")}),
            client => client.clone(),
        };
        let parameters = match parameters {
            Value::Null => json!({}),
            Value::Object(_) => parameters.clone(),
            _ => return Err(configuration("The parameters of an MCP call must be an object.")),
        };
        if protocol_version == STATELESS {
            return self.mcp_stateless(&server, method, parameters, &client).await;
        }
        if !WITH_SESSION.contains(&protocol_version.as_str()) {
            return Err(configuration(format!(
                "The version `{protocol_version}` of MCP is not spoken here over HTTP; those that are: {}, {STATELESS}.",
                WITH_SESSION.join(", ")
            )));
        }
        self.mcp_session(&server, protocol_version, &client, (method, parameters))
            .await
    }

    /// A request to the server with what all of them have.
    fn mcp_request(&self, server: &Server<'_>, message: &Value) -> Outcome<Request> {
        let mut request = self.request("POST", &server.address);
        request.limit_ms = server.limit_ms;
        put_headers(&mut request, server.headers)?;
        rpc::put(&mut request, message);
        Ok(request)
    }

    async fn mcp_send(&self, server: &Server<'_>, request: Request) -> Outcome<Response> {
        self.send(server.policy, &server.address, request).await
    }

    async fn mcp_stateless(
        &self,
        server: &Server<'_>,
        method: &str,
        mut parameters: Value,
        client: &Value,
    ) -> Outcome<Value> {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientInfo": client,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        match (parameters["_meta"].as_object_mut(), meta) {
            (Some(given), Value::Object(meta)) => given.extend(meta),
            (_, meta) => parameters["_meta"] = meta,
        }
        let name = ["name", "uri"]
            .iter()
            .find_map(|key| parameters[*key].as_str().map(str::to_owned));
        let mut request = self.mcp_request(server, &rpc::message("1", method, parameters))?;
        request.set_header("mcp-protocol-version", STATELESS);
        request.set_header("mcp-method", method);
        if let Some(name) = name.filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic())) {
            request.set_header("mcp-name", name);
        }
        self.put_marks(&mut request);
        let response = self.mcp_send(server, request).await?;
        single(&server.address, "1", &response)
    }

    async fn mcp_session(
        &self,
        server: &Server<'_>,
        version: &str,
        client: &Value,
        (method, parameters): (&str, Value),
    ) -> Outcome<Value> {
        let hello = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
        let hello = self.mcp_request(server, &rpc::message("0", "initialize", hello))?;
        let response = self.mcp_send(server, hello).await?;
        let told = single(&server.address, "0", &response)?;
        let spoken = told["protocolVersion"].as_str().unwrap_or_default();
        if !WITH_SESSION.contains(&spoken) {
            return Err(communication(
                502,
                format!(
                    "{} speaks the version `{spoken}` of MCP and not {version}, which it was asked for.",
                    server.address.shown()
                ),
            ));
        }
        let session = response.header("mcp-session-id").map(str::to_owned);
        let within = |mut request: Request| {
            request.set_header("mcp-protocol-version", spoken);
            if let Some(session) = &session {
                request.set_header("mcp-session-id", session.as_str());
            }
            request
        };
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let accepted = self
            .mcp_send(server, within(self.mcp_request(server, &ready)?))
            .await?;
        let outcome = match accepted.status {
            200..=299 => {
                let mut request = within(self.mcp_request(server, &rpc::message("1", method, parameters))?);
                self.put_marks(&mut request);
                match self.mcp_send(server, request).await {
                    Ok(response) => single(&server.address, "1", &response),
                    Err(problem) => Err(problem),
                }
            }
            status => Err(communication(
                i64::from(status),
                format!(
                    "{} answered `notifications/initialized` with status {status}.",
                    server.address.shown()
                ),
            )),
        };
        if session.is_some() {
            let mut end = within(self.request("DELETE", &server.address));
            put_headers(&mut end, server.headers)?;
            end.limit_ms = SHORT_LIMIT_MS.min(server.limit_ms);
            // A server need not let clients end sessions, and forgets them by itself.
            let _ = self.mcp_send(server, end).await;
        }
        outcome
    }
}

fn single(address: &Address, id: &str, response: &Response) -> Outcome<Value> {
    let mut results = rpc::results(address, id, response)?;
    Ok(results.pop().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use crate::{
        Call, Kept, Response, Secrets, perform,
        testing::{Script, answer, json_answer, run},
    };
    use guildhall_flow::engine::{Action, Problem};
    use serde_json::{Value, json};

    fn perform_with(script: &Script, version: &str, more: Value) -> Result<Value, Problem> {
        let mut action = json!({
            "action": "mcp", "protocol_version": version, "method": "tools/call",
            "parameters": {"name": "add", "arguments": {"a": 1}}, "timeout_ms": 5000,
            "endpoint": {"uri": "https://mcp.example/mcp", "authentication": null},
            "headers": {"x-team": "pets"}, "options": null, "client": null,
        });
        if let (Some(action), Some(more)) = (action.as_object_mut(), more.as_object()) {
            action.extend(more.clone());
        }
        let action: Action = serde_json::from_value(action).expect("an action");
        let call = Call {
            action: &action,
            key: "run-1/do/0/ask",
            fences: &[],
        };
        run(perform(script, &Secrets::default(), &Kept::default(), call))
    }

    fn hello() -> Response {
        let told = json!({"jsonrpc": "2.0", "id": "0", "result": {"protocolVersion": "2025-06-18", "capabilities": {}}});
        let mut hello = json_answer(200, &told);
        hello.headers.push(("mcp-session-id".into(), "s-1".into()));
        hello
    }

    #[test]
    fn a_session_is_begun_used_and_ended() {
        let stream = "data: {\"method\":\"notifications/message\"}\n\ndata: {\"id\":\"1\",\"result\":{\"content\":[]}}\n\n";
        let script = Script::new([
            hello(),
            Response {
                status: 202,
                ..Response::default()
            },
            answer(200, "text/event-stream", stream),
            Response {
                status: 405,
                ..Response::default()
            },
        ]);
        assert_eq!(
            perform_with(&script, "2025-06-18", json!({})),
            Ok(json!({"content": []}))
        );
        let sent = script.sent();
        let bodies: Vec<Value> = sent
            .iter()
            .map(|request| serde_json::from_slice(&request.body).unwrap_or_default())
            .collect();
        assert_eq!(bodies[0]["method"], "initialize");
        assert_eq!(bodies[0]["params"]["protocolVersion"], "2025-06-18");
        assert_eq!(bodies[1]["method"], "notifications/initialized");
        assert_eq!(bodies[2]["params"], json!({"name": "add", "arguments": {"a": 1}}));
        assert_eq!(sent[3].method, "DELETE");
        assert_eq!(sent[0].header("mcp-session-id"), None);
        for request in &sent[1..] {
            assert_eq!(request.header("mcp-session-id"), Some("s-1"));
            assert_eq!(request.header("mcp-protocol-version"), Some("2025-06-18"));
            assert_eq!(request.header("x-team"), Some("pets"));
        }
        assert_eq!(sent[2].header("idempotency-key"), Some("run-1/do/0/ask"));
        assert_eq!(sent[2].limit_ms, 5000);
    }

    #[test]
    fn without_sessions_one_request_says_it_all() {
        let told = json!({"jsonrpc": "2.0", "id": "1", "result": {"resultType": "complete", "content": []}});
        let script = Script::new([json_answer(200, &told)]);
        let answered = perform_with(&script, "2026-07-28", json!({})).expect("an answer");
        assert_eq!(answered["resultType"], "complete");
        let sent = &script.sent()[0];
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        assert_eq!(
            body["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"],
            "guildhall"
        );
        assert_eq!(
            (sent.header("mcp-method"), sent.header("mcp-name")),
            (Some("tools/call"), Some("add"))
        );
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let refused = json_answer(
            200,
            &json!({"id": "0", "error": {"code": -32602, "message": "no"}}),
        );
        let other = json_answer(
            200,
            &json!({"id": "0", "result": {"protocolVersion": "2024-11-05"}}),
        );
        for (script, version, more, kind) in [
            (Script::new([refused]), "2025-06-18", json!({}), "runtime"),
            (Script::new([other]), "2025-06-18", json!({}), "communication"),
            (
                Script::new([hello(), answer(500, "text/plain", "")]),
                "2025-06-18",
                json!({}),
                "communication",
            ),
            (Script::default(), "2024-11-05", json!({}), "configuration"),
            (
                Script::default(),
                "2025-06-18",
                json!({"options": {"a": "b"}}),
                "configuration",
            ),
            (
                Script::default(),
                "2025-06-18",
                json!({"parameters": "text"}),
                "configuration",
            ),
        ] {
            let problem = perform_with(&script, version, more).expect_err("a problem");
            assert!(problem.kind.ends_with(&format!("/{kind}")), "{problem:?}");
        }
    }
}
