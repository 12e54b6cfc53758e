//! `call: a2a`: JSON-RPC to an agent, in the words of A2A 0.3 (which the DSL uses) or of 1.0.

use crate::{
    address::Address,
    caller::{Caller, not_outbound},
    problems::{Outcome, configuration},
    rpc,
    wire::Wire,
};
use guildhall_flow::engine::Action;
use serde_json::{Map, Value};

/// The DSL's methods, and how A2A 1.0 calls them.
const METHODS: [(&str, &str); 11] = [
    ("message/send", "SendMessage"),
    ("message/stream", "SendStreamingMessage"),
    ("tasks/get", "GetTask"),
    ("tasks/list", "ListTasks"),
    ("tasks/cancel", "CancelTask"),
    ("tasks/resubscribe", "SubscribeToTask"),
    (
        "tasks/pushNotificationConfig/set",
        "CreateTaskPushNotificationConfig",
    ),
    (
        "tasks/pushNotificationConfig/get",
        "GetTaskPushNotificationConfig",
    ),
    (
        "tasks/pushNotificationConfig/list",
        "ListTaskPushNotificationConfigs",
    ),
    (
        "tasks/pushNotificationConfig/delete",
        "DeleteTaskPushNotificationConfig",
    ),
    ("agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard"),
];

/// Where an agent listens and what it speaks.
struct Agent {
    address: Address,
    /// `1.0` or later; else 0.3.
    modern: bool,
    tenant: Option<String>,
}

impl<W: Wire> Caller<'_, W> {
    pub async fn a2a(&self, action: &Action) -> Outcome<Value> {
        let Action::A2a {
            method,
            agent_card,
            server,
            parameters,
        } = action
        else {
            return Err(not_outbound());
        };
        let (agent, policy) = match (agent_card, server) {
            (Value::Null, Value::Null) => {
                return Err(configuration("An A2A call needs `agentCard` or `server`."));
            }
            (Value::Null, server) => {
                let agent = Agent {
                    address: Address::parse(server["uri"].as_str().unwrap_or_default())?,
                    modern: false,
                    tenant: None,
                };
                (agent, server["authentication"].clone())
            }
            (card, _) => {
                let (at, document) = self.resource(card).await?;
                let agent = listens(&at, &document)?;
                // Whoever the card is got from with a policy is whom the policy is for, and nobody else.
                let policy = match agent.address.origin() == at.origin() {
                    true => card["authentication"].clone(),
                    false => Value::Null,
                };
                (agent, policy)
            }
        };
        let message = message(&agent, method, parameters)?;
        let mut request = self.request("POST", &agent.address);
        rpc::put(&mut request, &message);
        if agent.modern {
            request.set_header("a2a-version", "1.0");
        }
        self.put_marks(&mut request);
        let response = self.send(&policy, &agent.address, request).await?;
        let mut results = rpc::results(&agent.address, "1", &response)?;
        Ok(match method.as_str() {
            "message/stream" | "tasks/resubscribe" => Value::Array(results),
            _ => results.pop().unwrap_or_default(),
        })
    }
}

/// Where a card says that the agent takes JSON-RPC.
fn listens(card_at: &Address, card: &Value) -> Outcome<Agent> {
    let is_rpc = |interface: &Value, key: &str| {
        interface[key]
            .as_str()
            .is_some_and(|binding| binding.eq_ignore_ascii_case("JSONRPC"))
    };
    if let Some(interfaces) = card["supportedInterfaces"].as_array()
        && let Some(interface) = interfaces
            .iter()
            .find(|interface| is_rpc(interface, "protocolBinding"))
    {
        let version = interface["protocolVersion"].as_str().unwrap_or("1.0");
        return Ok(Agent {
            address: card_at.join(interface["url"].as_str().unwrap_or_default())?,
            modern: !version.starts_with("0."),
            tenant: interface["tenant"].as_str().map(str::to_owned),
        });
    }
    let main = match &card["preferredTransport"] {
        Value::Null => card["url"].as_str(),
        _ if is_rpc(card, "preferredTransport") => card["url"].as_str(),
        _ => card["additionalInterfaces"]
            .as_array()
            .and_then(|all| all.iter().find(|interface| is_rpc(interface, "transport")))
            .and_then(|interface| interface["url"].as_str()),
    };
    match main {
        Some(url) => Ok(Agent {
            address: card_at.join(url)?,
            modern: false,
            tenant: None,
        }),
        None => Err(configuration(format!(
            "The card {} names no interface for JSON-RPC, which is how agents are called here.",
            card_at.shown()
        ))),
    }
}

fn message(agent: &Agent, method: &str, parameters: &Value) -> Outcome<Value> {
    let Some((_, modern)) = METHODS.iter().find(|(name, _)| *name == method) else {
        return Err(configuration(format!("`{method}` is no method of A2A.")));
    };
    if !matches!(parameters, Value::Null | Value::Object(_)) {
        return Err(configuration("The parameters of an A2A call must be an object."));
    }
    if !agent.modern {
        return Ok(rpc::message("1", method, parameters.clone()));
    }
    let mut parameters = match parameters {
        Value::Null => Map::new(),
        parameters => parameters.as_object().cloned().unwrap_or_default(),
    };
    if let Some(message) = parameters.get_mut("message") {
        modernise(message);
    }
    if let Some(tenant) = &agent.tenant {
        parameters
            .entry("tenant")
            .or_insert_with(|| tenant.as_str().into());
    }
    Ok(rpc::message("1", modern, Value::Object(parameters)))
}

/// A message of 0.3 in the words of 1.0; one that is in those already stays as it is.
fn modernise(message: &mut Value) {
    let Some(message) = message.as_object_mut() else {
        return;
    };
    message.remove("kind");
    match message.get("role").and_then(Value::as_str) {
        Some("user") => message.insert("role".into(), "ROLE_USER".into()),
        Some("agent") => message.insert("role".into(), "ROLE_AGENT".into()),
        _ => None,
    };
    let parts = message.get_mut("parts").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten().filter_map(Value::as_object_mut) {
        part.remove("kind");
        if let Some(file) = part.remove("file") {
            let renamed = [
                ("bytes", "raw"),
                ("uri", "url"),
                ("mimeType", "mediaType"),
                ("name", "filename"),
            ];
            for (old, new) in renamed {
                if let Some(value) = file.get(old) {
                    part.insert(new.into(), value.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::modernise;
    use crate::{
        Call, Kept, Secrets, perform,
        testing::{Script, answer, json_answer, run},
    };
    use guildhall_flow::engine::{Action, Problem};
    use serde_json::{Value, json};

    fn perform_with(script: &Script, more: Value) -> Result<Value, Problem> {
        let mut action = json!({
            "action": "a2a", "method": "message/send", "agent_card": null, "server": null,
            "parameters": {"message": {"role": "user", "messageId": "m", "parts": [{"kind": "text", "text": "hi"}]}},
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
        let secrets = r#"{"agent": {"hosts": ["agent.example"], "token": "very-secret"}}"#;
        let secrets = Secrets::parse(secrets).expect("secrets");
        run(perform(script, &secrets, &Kept::default(), call))
    }

    fn result() -> crate::Response {
        json_answer(
            200,
            &json!({"jsonrpc": "2.0", "id": "1", "result": {"kind": "message"}}),
        )
    }

    #[test]
    fn a_server_is_asked_in_the_words_of_the_dsl() {
        let script = Script::new([result()]);
        let server = json!({"uri": "https://agent.example/a2a", "authentication": null});
        assert_eq!(
            perform_with(&script, json!({"server": server})),
            Ok(json!({"kind": "message"}))
        );
        let sent = &script.sent()[0];
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        assert_eq!(
            (sent.uri.as_str(), &body["method"]),
            ("https://agent.example/a2a", &json!("message/send"))
        );
        assert_eq!(body["params"]["message"]["parts"][0]["kind"], "text");
        assert_eq!(sent.header("a2a-version"), None);
    }

    #[test]
    fn a_card_tells_where_and_how() {
        let old = json!({"url": "https://agent.example/rpc", "preferredTransport": "JSONRPC"});
        let other = json!({
            "url": "https://agent.example/grpc", "preferredTransport": "GRPC",
            "additionalInterfaces": [{"transport": "JSONRPC", "url": "https://elsewhere.example/rpc"}],
        });
        let modern = json!({"supportedInterfaces": [
            {"protocolBinding": "GRPC", "url": "https://agent.example/grpc", "protocolVersion": "1.0"},
            {"protocolBinding": "JSONRPC", "url": "/rpc/1", "protocolVersion": "1.0", "tenant": "t"},
        ]});
        for (card, uri, method, token) in [
            (
                old,
                "https://agent.example/rpc",
                "message/send",
                Some("Bearer very-secret"),
            ),
            (other, "https://elsewhere.example/rpc", "message/send", None),
            (
                modern,
                "https://agent.example/rpc/1",
                "SendMessage",
                Some("Bearer very-secret"),
            ),
        ] {
            let script = Script::new([json_answer(200, &card), result()]);
            let at = json!({"uri": "https://agent.example/card.json", "authentication": {"bearer": {"use": "agent"}}});
            perform_with(&script, json!({"agent_card": at})).expect("an answer");
            let sent = &script.sent()[1];
            let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
            assert_eq!((sent.uri.as_str(), &body["method"]), (uri, &json!(method)));
            assert_eq!(sent.header("authorization"), token, "{uri}");
            if method == "SendMessage" {
                assert_eq!(
                    (sent.header("a2a-version"), &body["params"]["tenant"]),
                    (Some("1.0"), &json!("t"))
                );
                assert_eq!(body["params"]["message"]["role"], "ROLE_USER");
            }
        }
        let script = Script::new([json_answer(200, &json!({"supportedInterfaces": []}))]);
        let at = json!({"uri": "https://agent.example/card.json", "authentication": null});
        let problem = perform_with(&script, json!({"agent_card": at})).expect_err("no interface");
        assert!(problem.kind.ends_with("/configuration"), "{problem:?}");
    }

    #[test]
    fn messages_are_put_into_newer_words() {
        let old = json!({"kind": "message", "role": "agent", "parts": [
            {"kind": "text", "text": "a"},
            {"kind": "file", "file": {"uri": "https://x", "mimeType": "text/plain", "name": "n"}},
            {"kind": "data", "data": {"b": 1}},
        ]});
        let new = json!({"role": "ROLE_AGENT", "parts": [
            {"text": "a"},
            {"url": "https://x", "mediaType": "text/plain", "filename": "n"},
            {"data": {"b": 1}},
        ]});
        for given in [old, new.clone()] {
            let mut message = given;
            modernise(&mut message);
            assert_eq!(message, new);
        }
    }

    #[test]
    fn a_stream_is_the_list_of_its_results() {
        let stream =
            "data: {\"id\":\"1\",\"result\":{\"a\":1}}\n\ndata: {\"id\":\"1\",\"result\":{\"a\":2}}\n\n";
        let script = Script::new([answer(200, "text/event-stream", stream)]);
        let more = json!({
            "method": "message/stream",
            "server": {"uri": "https://agent.example/a2a", "authentication": null},
        });
        assert_eq!(perform_with(&script, more), Ok(json!([{"a": 1}, {"a": 2}])));
    }
}
