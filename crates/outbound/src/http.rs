//! `call: http`.

use crate::{
    MAX_BODY,
    address::{Address, encode},
    answer::{answer, is_json},
    caller::{Caller, not_outbound},
    params::{form, put_headers, scalars},
    problems::{Outcome, configuration, validation},
    wire::{Request, Wire},
};
use guildhall_flow::engine::{Action, Fence};
use serde_json::Value;

/// What is preferred when a workflow says nothing about it.
pub(crate) const ACCEPT: &str = "application/json, */*;q=0.8";

impl<W: Wire> Caller<'_, W> {
    pub async fn http(&self, action: &Action) -> Outcome<Value> {
        let Action::Http {
            method,
            uri,
            headers,
            query,
            body,
            authentication,
            output,
            redirect: _,
        } = action
        else {
            return Err(not_outbound());
        };
        let mut address = Address::parse(uri)?;
        for (name, value) in query {
            for text in scalars(&format!("The query parameter `{name}`"), value)? {
                address.add_query(name, &text);
            }
        }
        let mut request = self.request(&check_method(method)?, &address);
        put_headers(&mut request, headers)?;
        put_body(&mut request, body)?;
        self.finish(authentication, &address, request, output).await
    }

    /// Adds what every request has, sends it and gives the answer.
    pub async fn finish(
        &self,
        policy: &Value,
        address: &Address,
        mut request: Request,
        output: &str,
    ) -> Outcome<Value> {
        if request.header("accept").is_none() {
            request.set_header("accept", ACCEPT);
        }
        self.put_marks(&mut request);
        if request.body.len() > MAX_BODY {
            return Err(validation(format!(
                "The body has {} bytes; at most {MAX_BODY} are sent.",
                request.body.len()
            )));
        }
        let response = self.send(policy, address, request.clone()).await?;
        Ok(answer(&request, &response, output, &self.redactor))
    }

    /// Lets a service tell a repetition from a second wish, and one who has lost a lock from who holds it, where the
    /// method does not say that nothing changes.
    pub fn put_marks(&self, request: &mut Request) {
        if ["GET", "HEAD", "OPTIONS"].contains(&request.method.as_str()) {
            return;
        }
        if request.header("idempotency-key").is_none() {
            request.set_header("idempotency-key", self.key());
        }
        if !self.fences.is_empty() {
            let fence = |fence: &Fence| format!("{}={}", encode(&fence.lock), fence.token);
            let fences: Vec<String> = self.fences.iter().map(fence).collect();
            request.set_header("guildhall-fences", fences.join(", "));
        }
    }
}

/// A method that can be sent, in upper case.
pub(crate) fn check_method(method: &str) -> Outcome<String> {
    let method = method.to_ascii_uppercase();
    let letters =
        !method.is_empty() && method.len() <= 20 && method.bytes().all(|byte| byte.is_ascii_uppercase());
    if !letters || ["CONNECT", "TRACE"].contains(&method.as_str()) {
        return Err(configuration(format!(
            "`{method}` is not a method that is sent from here."
        )));
    }
    Ok(method)
}

/// Puts a body into a request: a text as it is, an object as a form where the headers say so, all else as JSON.
fn put_body(request: &mut Request, body: &Value) -> Outcome<()> {
    if body.is_null() {
        return Ok(());
    }
    let given = request
        .header("content-type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if media_type.starts_with("multipart/") {
        return Err(configuration(
            "Bodies of several parts (multipart) are not made here.",
        ));
    }
    let (default, bytes) = match body {
        Value::String(text) if !is_json(media_type) => ("text/plain; charset=utf-8", text.clone()),
        // Text under a JSON type that is JSON already is what the author wrote out by hand.
        Value::String(text) if serde_json::from_str::<Value>(text).is_ok() => {
            ("application/json", text.clone())
        }
        Value::Object(fields) if media_type == "application/x-www-form-urlencoded" => {
            ("application/x-www-form-urlencoded", form(fields)?)
        }
        _ if media_type.is_empty() || is_json(media_type) => ("application/json", body.to_string()),
        _ => {
            return Err(configuration(format!(
                "A body that is not a text cannot be sent as `{media_type}`; use JSON, a form of an object, or a text."
            )));
        }
    };
    if given.is_empty() {
        request.set_header("content-type", default);
    }
    request.body = bytes.into_bytes();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{
        Call, Failure, Kept, Response, Secrets, perform,
        testing::{Script, answer, json_answer, run},
    };
    use guildhall_flow::engine::{Action, Fence, Problem};
    use serde_json::{Value, json};

    fn action(more: Value) -> Action {
        let mut action = json!({
            "action": "http", "method": "POST", "uri": "https://api.example/pets?a=1", "headers": {}, "query": {},
            "body": null, "authentication": null, "output": "content", "redirect": false,
        });
        if let (Some(action), Some(more)) = (action.as_object_mut(), more.as_object()) {
            action.extend(more.clone());
        }
        serde_json::from_value(action).expect("an action")
    }

    fn perform_with(script: &Script, more: Value) -> Result<Value, Problem> {
        let secrets = r#"{"pets": {"hosts": ["api.example"], "token": "very-secret"}}"#;
        let secrets = Secrets::parse(secrets).expect("secrets");
        let action = action(more);
        let call = Call {
            action: &action,
            key: "run-1/do/0/ask",
            fences: &[Fence {
                lock: "deployment:prod é".into(),
                token: 7,
            }],
        };
        run(perform(script, &secrets, &Kept::default(), call))
    }

    #[test]
    fn a_request_is_what_the_action_says() {
        let script = Script::new([json_answer(201, &json!({"id": 7}))]);
        let answer = perform_with(
            &script,
            json!({"headers": {"X-A": 1}, "query": {"b": ["x y", 2], "none": null}, "body": {"name": "milou"}}),
        );
        let sent = &script.sent()[0];
        assert_eq!(
            (sent.method.as_str(), sent.uri.as_str()),
            ("POST", "https://api.example/pets?a=1&b=x%20y&b=2")
        );
        assert_eq!(sent.header("idempotency-key"), Some("run-1/do/0/ask"));
        assert_eq!(
            (sent.header("x-a"), sent.header("content-type")),
            (Some("1"), Some("application/json"))
        );
        assert_eq!(sent.body, br#"{"name":"milou"}"#);
        let answer = answer.expect("an answer");
        assert_eq!(answer["statusCode"], 201);
        assert_eq!(answer["content"], json!({"id": 7}));
        assert_eq!(answer["headers"]["content-type"], "application/json");
        assert_eq!(answer["request"]["method"], "post");
        assert_eq!(answer["request"]["headers"]["x-a"], "1");
    }

    #[test]
    fn bodies_take_the_form_that_the_headers_ask_for() {
        for (headers, body, wanted) in [
            (
                json!({}),
                json!("plain"),
                Ok(("text/plain; charset=utf-8", "plain")),
            ),
            (json!({}), json!([1, 2]), Ok(("application/json", "[1,2]"))),
            (
                json!({"content-type": "application/vnd.x+json"}),
                json!({"a": 1}),
                Ok(("application/vnd.x+json", r#"{"a":1}"#)),
            ),
            (
                json!({"content-type": "application/json"}),
                json!("a text"),
                Ok(("application/json", "\"a text\"")),
            ),
            (
                json!({"content-type": "application/json"}),
                json!("{\"a\":1}"),
                Ok(("application/json", "{\"a\":1}")),
            ),
            (
                json!({"content-type": "application/x-www-form-urlencoded"}),
                json!({"a": "b c", "d": [1, 2]}),
                Ok(("application/x-www-form-urlencoded", "a=b%20c&d=1&d=2")),
            ),
            (
                json!({"content-type": "text/xml"}),
                json!("<a/>"),
                Ok(("text/xml", "<a/>")),
            ),
            (json!({"content-type": "text/xml"}), json!({"a": 1}), Err(())),
            (
                json!({"content-type": "multipart/form-data"}),
                json!("x"),
                Err(()),
            ),
        ] {
            let script = Script::new([Response::default()]);
            let answered = perform_with(&script, json!({"headers": headers, "body": body}));
            match wanted {
                Ok((media_type, text)) => {
                    let sent = &script.sent()[0];
                    assert_eq!(sent.header("content-type"), Some(media_type));
                    assert_eq!(String::from_utf8_lossy(&sent.body), text);
                }
                Err(()) => assert!(answered.is_err() && script.sent().is_empty(), "{headers} {body}"),
            }
        }
    }

    #[test]
    fn content_is_read_as_its_type_says() {
        let binary = Response {
            body: vec![0xff, 0xfe],
            ..answer(200, "image/png", "")
        };
        for (output, response, wanted) in [
            (
                "content",
                answer(200, "text/plain", "{\"a\":1}"),
                json!("{\"a\":1}"),
            ),
            (
                "response",
                answer(404, "application/problem+json; charset=utf-8", "{\"a\":1}"),
                json!({"a": 1}),
            ),
            (
                "content",
                answer(200, "application/json", "no json"),
                json!("no json"),
            ),
            ("content", answer(204, "application/json", ""), json!(null)),
            ("raw", answer(200, "application/json", "{}"), json!("e30=")),
            ("content", binary.clone(), json!("//4=")),
            ("raw", binary, json!("//4=")),
        ] {
            let script = Script::new([response]);
            let answered =
                perform_with(&script, json!({"method": "GET", "output": output})).expect("an answer");
            assert_eq!(answered["content"], wanted);
            assert_eq!(script.sent()[0].header("idempotency-key"), None, "GET needs none");
        }
    }

    #[test]
    fn what_is_secret_is_not_in_the_record() {
        let mut echo = json_answer(200, &json!({"headers": {"authorization": "Bearer very-secret"}}));
        echo.headers.push(("x-echo".into(), "very-secret".into()));
        let script = Script::new([echo.clone(), echo]);
        for output in ["response", "raw"] {
            let policy = json!({"authentication": {"bearer": {"use": "pets"}}, "output": output});
            let answered = perform_with(&script, policy).expect("an answer");
            assert!(!answered.to_string().contains("very-secret"), "{answered}");
            assert_eq!(answered["headers"]["x-echo"], "***");
            assert!(output == "raw" || answered["request"]["headers"].get("authorization").is_none());
        }
        assert_eq!(
            script.sent()[0].header("authorization"),
            Some("Bearer very-secret")
        );
    }

    #[test]
    fn failures_are_errors_of_their_kind() {
        for (failure, kind, status, word) in [
            (Failure::NotAllowed, "configuration", 400, "workflow_host_1"),
            (Failure::Blocked, "configuration", 400, "block_networks"),
            (Failure::TimedOut, "timeout", 408, "300 s"),
            (Failure::TooLarge, "communication", 502, "1048576"),
            (
                Failure::NotSent("nobody listens".into()),
                "communication",
                503,
                "nobody listens",
            ),
            (
                Failure::NoAnswer("it broke off".into()),
                "communication",
                502,
                "may have taken effect",
            ),
        ] {
            let problem = perform_with(&Script::failing(failure), json!({})).expect_err("a problem");
            assert!(problem.kind.ends_with(&format!("/{kind}")), "{problem:?}");
            assert_eq!(problem.status, status);
            let detail = problem.detail.unwrap_or_default();
            assert!(detail.contains(word) && !detail.contains("a=1"), "{detail}");
        }
        for wrong in [
            json!({"method": "TRACE"}),
            json!({"method": "G ET"}),
            json!({"uri": "file:///etc/passwd"}),
            json!({"headers": {"host": "x"}}),
            json!({"query": {"a": {}}}),
        ] {
            let script = Script::default();
            assert!(perform_with(&script, wrong.clone()).is_err(), "{wrong}");
            assert!(script.sent().is_empty());
        }
    }
}
