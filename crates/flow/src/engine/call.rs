//! Calls, events that are emitted and other workflows that are run: from a task's arguments to a command, and from the
//! answer to the task's output.

use super::command::Action;
use super::iso;
use super::perform::shown;
use super::problem::{Problem, Standard};
use super::scope::Scope;
use super::sequence::Entry;
use super::state::{Activity, Frame};
use super::task::Inner;
use super::uri::expand;
use super::walk::{Attempted, Walk};
use crate::dsl::{Call, Child, Function, Kind, Span, Task, parse_duration};
use crate::expression::{Text, TextPart, parse_text};
use chrono::DateTime;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The version of MCP where none is asked for.
const MCP_VERSION: &str = "2025-06-18";

/// The arguments of a call, at their place.
struct Arguments<'w, 'a> {
    walk: &'w Walk<'a>,
    with: &'w Value,
    input: &'w Value,
    scope: Scope<'w>,
}

impl Arguments<'_, '_> {
    fn value(&self, key: &str) -> Attempted<Value> {
        match self.with.get(key) {
            Some(template) => self.walk.template(template, self.input, &self.scope),
            None => Ok(Value::Null),
        }
    }

    fn text(&self, key: &str) -> Attempted<String> {
        match self.maybe_text(key)? {
            Some(text) => Ok(text),
            None => self.walk.fail(
                Standard::Expression,
                format!("`{key}` must come to a text, not to nothing."),
            ),
        }
    }

    fn maybe_text(&self, key: &str) -> Attempted<Option<String>> {
        match self.value(key)? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            other => self.wrong(key, "a text", &other),
        }
    }

    fn wrong<T>(&self, key: &str, what: &str, value: &Value) -> Attempted<T> {
        self.walk.fail(
            Standard::Expression,
            format!("`{key}` must come to {what}, not to {}.", shown(value)),
        )
    }

    fn object(&self, key: &str) -> Attempted<Map<String, Value>> {
        match self.value(key)? {
            Value::Null => Ok(Map::new()),
            Value::Object(map) => Ok(map),
            other => self.wrong(key, "an object", &other),
        }
    }

    fn flag(&self, key: &str) -> bool {
        self.with.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn whole(&self, key: &str) -> Attempted<Option<i64>> {
        match self.value(key)? {
            Value::Null => Ok(None),
            value => value
                .as_i64()
                .map_or_else(|| self.wrong(key, "a whole number", &value), |n| Ok(Some(n))),
        }
    }

    fn span(&self, key: &str) -> Attempted<Option<i64>> {
        match self.with.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.contains("${") => self
                .walk
                .span(&Span::Evaluated(text.clone()), self.input, &self.scope)
                .map(Some),
            Some(value) => match parse_duration(value) {
                Ok(ms) => Ok(Some(ms)),
                Err(reason) => self.walk.fail(Standard::Configuration, reason),
            },
        }
    }

    /// A URI with its expressions evaluated, or its variables put in.
    fn uri(&self, text: &str) -> Attempted<String> {
        let expanded = |text: &str| match expand(text, self.input) {
            Ok(uri) => Ok(uri),
            Err(reason) => self.walk.fail(Standard::Expression, reason),
        };
        let text = match self.walk.located(parse_text(text))? {
            Text::Plain(text) => expanded(text)?,
            Text::Expression(expression) => self.uri_part(expression)?,
            Text::Mixed(parts) => {
                let mut uri = String::new();
                for part in parts {
                    match part {
                        TextPart::Plain(text) => uri.push_str(&expanded(text)?),
                        TextPart::Expression(expression) => uri.push_str(&self.uri_part(expression)?),
                    }
                }
                uri
            }
        };
        if !text.contains("://") {
            return self.walk.fail(
                Standard::Configuration,
                format!("`{text}` is not an absolute URI."),
            );
        }
        Ok(text)
    }

    fn uri_part(&self, expression: &str) -> Attempted<String> {
        match self.walk.expression(expression, self.input, &self.scope)? {
            Value::String(text) => Ok(text),
            value @ (Value::Number(_) | Value::Bool(_)) => Ok(value.to_string()),
            other => self.wrong("uri", "a text", &other),
        }
    }

    /// A policy with its references resolved and its expressions evaluated. What it takes from a secret stays a name.
    fn policy(&self, policy: Option<&Value>) -> Attempted<Value> {
        let policy = match policy {
            None => return Ok(Value::Null),
            Some(policy) => policy,
        };
        let named = policy.get("use").and_then(Value::as_str);
        let policy = match named {
            Some(name) => self
                .walk
                .definition
                .reuse
                .authentications
                .get(name)
                .unwrap_or(&Value::Null),
            None => policy,
        };
        self.walk.template(policy, self.input, &self.scope)
    }

    /// An endpoint as `{uri, authentication}`.
    fn endpoint(&self, endpoint: &Value) -> Attempted<Value> {
        match endpoint {
            Value::String(text) => Ok(json!({"uri": self.uri(text)?, "authentication": null})),
            _ => {
                let uri = endpoint.get("uri").and_then(Value::as_str).unwrap_or_default();
                let authentication = self.policy(endpoint.get("authentication"))?;
                Ok(json!({"uri": self.uri(uri)?, "authentication": authentication}))
            }
        }
    }

    fn endpoint_of(&self, key: &str) -> Attempted<Value> {
        self.with
            .get(key)
            .map_or(Ok(Value::Null), |endpoint| self.endpoint(endpoint))
    }

    fn resource_of(&self, key: &str) -> Attempted<Value> {
        match self.with.get(key).and_then(|resource| resource.get("endpoint")) {
            Some(endpoint) => self.endpoint(endpoint),
            None => Ok(Value::Null),
        }
    }

    fn output(&self) -> String {
        self.with
            .get("output")
            .and_then(Value::as_str)
            .unwrap_or("content")
            .to_owned()
    }

    fn http(&self) -> Attempted<Action> {
        let endpoint = self.endpoint_of("endpoint")?;
        Ok(Action::Http {
            method: self.text("method")?.to_ascii_uppercase(),
            uri: endpoint["uri"].as_str().unwrap_or_default().to_owned(),
            headers: self.object("headers")?,
            query: self.object("query")?,
            body: self.value("body")?,
            authentication: endpoint["authentication"].clone(),
            output: self.output(),
            redirect: self.flag("redirect"),
        })
    }

    fn openapi(&self) -> Attempted<Action> {
        Ok(Action::OpenApi {
            document: self.resource_of("document")?,
            operation_id: self.text("operationId")?,
            parameters: Value::Object(self.object("parameters")?),
            authentication: self.policy(self.with.get("authentication"))?,
            output: self.output(),
            redirect: self.flag("redirect"),
        })
    }

    fn a2a(&self) -> Attempted<Action> {
        let method = self.text("method")?;
        let mut parameters = self.value("parameters")?;
        if matches!(method.as_str(), "message/send" | "message/stream")
            && let Some(message) = parameters.get_mut("message").and_then(Value::as_object_mut)
        {
            message.entry("messageId").or_insert_with(|| self.uuid().into());
            message.entry("role").or_insert_with(|| "user".into());
        }
        Ok(Action::A2a {
            method,
            agent_card: self.resource_of("agentCard")?,
            server: self.endpoint_of("server")?,
            parameters,
        })
    }

    /// A UUID (version 8, RFC 9562) that is the same whenever this step is reached.
    fn uuid(&self) -> String {
        let digest = Sha256::digest(format!("{}{}", self.walk.state.run.id, self.walk.step).as_bytes());
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{}-{}-8{}-a{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..32]
        )
    }

    fn mcp(&self) -> Attempted<Action> {
        let empty = Value::Null;
        let transport = self.with.get("transport").unwrap_or(&empty);
        let http = transport.get("http").unwrap_or(&empty);
        let template = |value: Option<&Value>| {
            value.map_or(Ok(Value::Null), |value| {
                self.walk.template(value, self.input, &self.scope)
            })
        };
        Ok(Action::Mcp {
            protocol_version: self
                .maybe_text("protocolVersion")?
                .unwrap_or_else(|| MCP_VERSION.into()),
            method: self.text("method")?,
            parameters: self.value("parameters")?,
            timeout_ms: self.span("timeout")?,
            endpoint: self.endpoint(http.get("endpoint").unwrap_or(&empty))?,
            headers: template(http.get("headers"))?,
            options: template(transport.get("options"))?,
            client: self.value("client")?,
        })
    }

    fn agent(&self) -> Attempted<Action> {
        let attempts = self.whole("attempts")?;
        if let Some(attempts) = attempts.filter(|attempts| !(1..=100).contains(attempts)) {
            return self.wrong("attempts", "a number from 1 to 100", &attempts.into());
        }
        let input = match self.value("input")? {
            Value::Null => Value::Object(Map::new()),
            input => input,
        };
        Ok(Action::Agent {
            skill: self.text("skill")?,
            agent: self.maybe_text("agent")?,
            input,
            timeout_ms: self.span("timeout")?,
            priority: self.whole("priority")?,
            attempts,
        })
    }

    fn approval(&self) -> Attempted<Action> {
        Ok(Action::Approval {
            proposal: self.value("action")?,
            summary: self.maybe_text("summary")?,
            risk: self.value("risk")?,
            expires_ms: self.span("expires")?,
        })
    }

    fn notify(&self) -> Attempted<Action> {
        Ok(Action::Notify {
            message: self.text("message")?,
            channel: self.maybe_text("channel")?,
            data: self.value("data")?,
        })
    }

    fn all(&self) -> Attempted<Value> {
        self.walk.template(self.with, self.input, &self.scope)
    }

    fn catalog(&self, catalog: &str) -> Attempted<Value> {
        match self.walk.definition.reuse.catalogs.get(catalog) {
            Some(catalog) => self.endpoint(catalog.get("endpoint").unwrap_or(&Value::Null)),
            None => Ok(Value::Null),
        }
    }
}

impl<'a> Walk<'a> {
    pub(super) fn call(&mut self, task: &'a Task, frame: &Frame, call: &'a Call) -> Attempted<Inner> {
        let arguments = Arguments {
            walk: self,
            with: &call.with,
            input: &frame.input,
            scope: self.scope(task, frame),
        };
        let action = match &call.function {
            Function::Http => arguments.http()?,
            Function::OpenApi => arguments.openapi()?,
            Function::A2a => arguments.a2a()?,
            Function::Mcp => arguments.mcp()?,
            Function::Agent => arguments.agent()?,
            Function::Approval => arguments.approval()?,
            Function::Notify => arguments.notify()?,
            Function::Cataloged {
                name,
                version,
                catalog,
            } => Action::Function {
                name: name.clone(),
                version: version.clone(),
                catalog: catalog.clone(),
                endpoint: arguments.catalog(catalog)?,
                with: arguments.all()?,
            },
            Function::Own(_) => {
                let with = arguments.all()?;
                drop(arguments);
                let Some((body, key)) = self.list_of(task) else {
                    return Err(self.foreign());
                };
                return Ok(self.apart(key, |walk| {
                    walk.sequence(body, key, None, Entry::Start(with)).into()
                }));
            }
        };
        drop(arguments);
        let answered = !matches!(action, Action::Notify { .. });
        let seq = self.command(action);
        Ok(match answered {
            true => Inner::Pending(Activity::Request(seq)),
            false => Inner::Output(frame.input.clone()),
        })
    }

    pub(super) fn emit(&mut self, task: &'a Task, frame: &Frame, with: &Value) -> Attempted<Inner> {
        let event = self.template(with, &frame.input, &self.scope(task, frame))?;
        let Value::Object(mut event) = event else {
            return Err(self.foreign());
        };
        for key in ["source", "type"] {
            if event.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
                return self.fail(
                    Standard::Expression,
                    format!("The event's `{key}` must come to a text."),
                );
            }
        }
        let source = event.get("source").and_then(Value::as_str).unwrap_or_default();
        if ["/guildhall", "/v1"].iter().any(|own| {
            source
                .strip_prefix(own)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }) {
            let detail = format!("The source `{source}` is the hall's own; nobody else speaks for it.");
            return self.fail(Standard::Configuration, detail);
        }
        // Whoever reads the event relies on these (CloudEvents 1.0.2, section 3.1).
        for key in ["id", "subject", "datacontenttype", "dataschema", "time"] {
            let well = match event.get(key) {
                None => true,
                Some(Value::String(text)) if key == "time" => DateTime::parse_from_rfc3339(text).is_ok(),
                Some(Value::String(text)) => !text.is_empty(),
                Some(_) => false,
            };
            if !well {
                let what = if key == "time" {
                    "a time as RFC 3339 has it"
                } else {
                    "a text"
                };
                return self.fail(
                    Standard::Expression,
                    format!("The event's `{key}` must come to {what}."),
                );
            }
        }
        let key = format!("{}{}", self.state.run.id, self.step);
        event.insert("specversion".into(), "1.0".into());
        event.entry("id").or_insert_with(|| key.into());
        event.entry("time").or_insert_with(|| iso(self.now).into());
        let event = Value::Object(event);
        self.command(Action::Emit { event: event.clone() });
        Ok(Inner::Output(event))
    }

    pub(super) fn run_child(&mut self, task: &'a Task, frame: &Frame, child: &Child) -> Attempted<Inner> {
        let input = match &child.input {
            Some(input) => self.template(input, &frame.input, &self.scope(task, frame))?,
            None => frame.input.clone(),
        };
        let seq = self.command(Action::StartChild {
            namespace: child.namespace.clone(),
            name: child.name.clone(),
            version: child.version.clone(),
            input,
            wait: child.wait,
        });
        Ok(match child.wait {
            true => Inner::Pending(Activity::Request(seq)),
            false => Inner::Output(frame.input.clone()),
        })
    }

    /// The output that an answer stands for.
    pub(super) fn answer(&self, task: &Task, answer: Value) -> Attempted<Inner> {
        let answer = self.shallow(answer)?;
        match &task.kind {
            Kind::Call(call) if matches!(call.function, Function::Http | Function::OpenApi) => {
                self.response(&call.with, answer).map(Inner::Output)
            }
            Kind::Run(child) if !child.returns => Ok(Inner::Output(Value::Null)),
            Kind::Call(_) | Kind::Run(_) => Ok(Inner::Output(answer)),
            _ => Err(self.foreign()),
        }
    }

    /// An HTTP response as the call wants it (dsl-reference.md, "HTTP Call": `output`, `redirect`).
    fn response(&self, with: &Value, response: Value) -> Attempted<Value> {
        let Some(status) = response.get("statusCode").and_then(Value::as_i64) else {
            let detail = "The answer to the request has no `statusCode`; this is a fault of the host.";
            return self.fail(Standard::Runtime, detail);
        };
        let redirect = with.get("redirect").and_then(Value::as_bool).unwrap_or(false);
        let most = if redirect { 399 } else { 299 };
        if !(200..=most).contains(&status) {
            let request = response.get("request");
            let part = |key: &str| {
                request
                    .and_then(|request| request.get(key))
                    .and_then(Value::as_str)
                    .unwrap_or("?")
            };
            let detail = format!(
                "{} {} was answered with status {status}.",
                part("method"),
                part("uri")
            );
            return Err(Problem::standard(Standard::Communication, detail)
                .with_status(status)
                .at(&self.pointer));
        }
        Ok(match with.get("output").and_then(Value::as_str) {
            Some("response") => response,
            _ => response.get("content").cloned().unwrap_or_default(),
        })
    }
}
