//! Authentication policies: from `{basic|bearer|digest|oauth2|oidc: …}` to a request that carries credentials.

use crate::{
    address::Address,
    caller::Caller,
    digest,
    problems::{Outcome, configuration},
    wire::{Request, Response, Wire},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

/// A policy with its secret filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Credentials {
    /// `basic`, `bearer`, `digest`, `oauth2` or `oidc`; empty for none.
    pub scheme: String,
    /// The policy's members.
    pub members: Map<String, Value>,
    /// The name of the secret and the origins that may receive it; none for what the workflow itself gives.
    pub confined: Option<(String, Vec<String>)>,
}

impl Credentials {
    /// A member that must be a text.
    pub fn text(&self, key: &str) -> Outcome<&str> {
        self.maybe(key)?.ok_or_else(|| {
            configuration(format!(
                "The authentication policy `{}` lacks `{key}`.",
                self.scheme
            ))
        })
    }

    /// A member that may be a text.
    pub fn maybe(&self, key: &str) -> Outcome<Option<&str>> {
        member(&self.scheme, &self.members, key)
    }

    /// Whether they may be sent there.
    pub fn check(&self, address: &Address) -> Outcome<()> {
        match &self.confined {
            Some((name, origins)) if !origins.contains(&address.origin()) => Err(configuration(format!(
                "The secret `{name}` may not be sent to {}. Who runs the hall lists where it may go in its `hosts` \
                 (variable workflow_secrets).",
                address.origin()
            ))),
            _ => Ok(()),
        }
    }
}

/// A text of a policy; the error says nothing of what is there instead.
pub(crate) fn member<'m>(
    scheme: &str,
    members: &'m Map<String, Value>,
    key: &str,
) -> Outcome<Option<&'m str>> {
    match members.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(configuration(format!(
            "`{key}` of the authentication policy `{scheme}` must be a text."
        ))),
    }
}

impl<W: Wire> Caller<'_, W> {
    /// Sends a request as a policy has it.
    pub async fn send(&self, policy: &Value, address: &Address, mut request: Request) -> Outcome<Response> {
        let credentials = self.credentials(policy)?;
        credentials.check(address)?;
        match credentials.scheme.as_str() {
            "" => self.exchange(address, request).await,
            "basic" => {
                let (username, password) = (credentials.text("username")?, credentials.text("password")?);
                request.set_header("authorization", self.basic(username, password)?);
                self.exchange(address, request).await
            }
            "bearer" => {
                request.set_header("authorization", format!("Bearer {}", credentials.text("token")?));
                self.exchange(address, request).await
            }
            "digest" => self.send_digest(&credentials, address, request).await,
            _ => self.send_with_token(&credentials, address, request).await,
        }
    }

    /// The policy with its secret filled in.
    pub fn credentials(&self, policy: &Value) -> Outcome<Credentials> {
        let none = Credentials {
            scheme: String::new(),
            members: Map::new(),
            confined: None,
        };
        let Value::Object(policy) = policy else {
            return Ok(none);
        };
        let known = ["basic", "bearer", "digest", "oauth2", "oidc"];
        let mut parts = policy.iter().filter(|(key, _)| known.contains(&key.as_str()));
        let (Some((scheme, members)), None) = (parts.next(), parts.next()) else {
            return Err(configuration(
                "An authentication policy must be one of basic, bearer, digest, oauth2 and oidc.",
            ));
        };
        let members = members.as_object().ok_or_else(|| {
            configuration(format!("The authentication policy `{scheme}` must be an object."))
        })?;
        let credentials = match member(scheme, members, "use")? {
            None => Credentials {
                scheme: scheme.clone(),
                members: members.clone(),
                confined: None,
            },
            Some(name) => {
                let secret = self.secrets.find(name)?;
                Credentials {
                    scheme: scheme.clone(),
                    members: secret.members.clone(),
                    confined: Some((name.to_owned(), secret.origins.clone())),
                }
            }
        };
        self.hide(&credentials.members);
        Ok(credentials)
    }

    /// Keeps what is secret in a policy out of what is recorded.
    fn hide(&self, members: &Map<String, Value>) {
        for (key, value) in members {
            match value {
                Value::String(text)
                    if ["password", "token", "secret", "assertion"].contains(&key.as_str()) =>
                {
                    self.redactor.hide(text);
                }
                Value::Object(members) => self.hide(members),
                _ => {}
            }
        }
    }

    /// The value of `Authorization` for a name and a password (RFC 7617).
    pub fn basic(&self, username: &str, password: &str) -> Outcome<String> {
        if username.contains(':') {
            return Err(configuration(
                "A user name for basic authentication cannot hold a colon.",
            ));
        }
        let encoded = BASE64_STANDARD.encode(format!("{username}:{password}"));
        self.redactor.hide(&encoded);
        Ok(format!("Basic {encoded}"))
    }

    /// Sends a request, and once more with an answer to the challenge that it meets.
    async fn send_digest(
        &self,
        credentials: &Credentials,
        address: &Address,
        mut request: Request,
    ) -> Outcome<Response> {
        let (username, password) = (credentials.text("username")?, credentials.text("password")?);
        let first = self.exchange(address, request.clone()).await?;
        if first.status != 401 {
            return Ok(first);
        }
        let Some(challenge) = digest::challenge(&first)? else {
            return Ok(first);
        };
        let nonce = format!("{:016x}{:016x}", self.wire.random(), self.wire.random());
        let answer = digest::answer(
            &challenge,
            &digest::Asker { username, password },
            (&request.method, &address.target()),
            &nonce,
        );
        request.set_header("authorization", answer);
        self.exchange(address, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        caller::{Caller, Kept},
        secrets::Secrets,
        testing::{Script, answer, json_answer, run},
    };
    use serde_json::json;

    fn sent(policy: Value, secrets: &str, script: &Script) -> Outcome<Response> {
        let (secrets, kept) = (Secrets::parse(secrets).expect("secrets"), Kept::default());
        let caller = Caller::new(script, &secrets, &kept, "key");
        let address = Address::parse("https://api.example/pets?x=1").expect("an address");
        let request = caller.request("GET", &address);
        run(caller.send(&policy, &address, request))
    }

    #[test]
    fn basic_and_bearer_are_headers() {
        for (policy, wanted) in [
            (json!(null), None),
            (
                json!({"basic": {"username": "Aladdin", "password": "open sesame"}}),
                Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ),
            (json!({"bearer": {"token": "abc"}}), Some("Bearer abc")),
            (json!({"bearer": {"use": "pets"}}), Some("Bearer t0p")),
        ] {
            let script = Script::new([json_answer(200, &json!({}))]);
            let secrets = r#"{"pets": {"hosts": ["api.example"], "token": "t0p"}}"#;
            sent(policy, secrets, &script).expect("an answer");
            assert_eq!(script.sent()[0].header("authorization"), wanted);
        }
    }

    #[test]
    fn a_secret_goes_nowhere_but_where_it_may() {
        let script = Script::default();
        let secrets = r#"{"pets": {"hosts": ["other.example", "http://api.example"], "token": "t0p"}}"#;
        let problem = sent(json!({"bearer": {"use": "pets"}}), secrets, &script).expect_err("refused");
        assert!(problem.kind.ends_with("/configuration"), "{problem:?}");
        assert!(
            problem
                .detail
                .is_some_and(|detail| detail.contains("`pets`") && !detail.contains("t0p"))
        );
        assert!(script.sent().is_empty());
        for policy in [
            json!({"bearer": {"use": "none"}}),
            json!({"bearer": {"token": {"a": 1}}}),
            json!({"bearer": {}}),
            json!({"basic": {"username": "a:b", "password": "c"}}),
            json!({"basic": {}, "bearer": {}}),
            json!({"certificate": {}}),
        ] {
            assert!(sent(policy.clone(), "", &script).is_err(), "{policy}");
        }
        assert!(script.sent().is_empty());
    }

    #[test]
    fn a_digest_answers_its_challenge() {
        let mut challenge = answer(401, "text/plain", "who are you?");
        let value = "Basic realm=\"x\", Digest realm=\"r\", qop=\"auth\", nonce=\"n\", algorithm=SHA-256";
        challenge.headers.push(("www-authenticate".into(), value.into()));
        let script = Script::new([challenge, json_answer(200, &json!({}))]);
        let policy = json!({"digest": {"username": "u", "password": "p"}});
        assert_eq!(sent(policy, "", &script).expect("an answer").status, 200);
        let sent = script.sent();
        assert_eq!(sent[0].header("authorization"), None);
        let given = sent[1].header("authorization").expect("an answer to it");
        assert!(
            given.contains("uri=\"/pets?x=1\"") && given.contains("algorithm=SHA-256"),
            "{given}"
        );
    }
}
