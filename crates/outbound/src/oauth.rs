//! Tokens of OAuth 2 and OpenID Connect authorities (RFC 6749, RFC 7523, RFC 8693; OpenID Connect Discovery 1.0).

use crate::{
    SHORT_LIMIT_MS,
    address::{Address, encode},
    auth::{Credentials, member},
    caller::Caller,
    params::form,
    problems::{Outcome, authentication, communication, configuration},
    wire::{Request, Response, Wire},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::{cell::RefCell, collections::BTreeMap};

/// Most tokens kept.
const MOST_KEPT: usize = 100;
/// A token this close to its end is not used any more.
const MARGIN_MS: u64 = 30_000;
/// Longest that a token is kept, whatever its authority says.
const LONGEST_MS: u64 = 86_400_000;
/// Most bytes of a token answer.
const MAX_ANSWER: usize = 256 * 1024;
/// How OpenID authorities publish their metadata.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Tokens that are still good, by the policy that they were got with.
#[derive(Debug, Default)]
pub(crate) struct Tokens(RefCell<BTreeMap<[u8; 32], (String, u64)>>);

impl Tokens {
    fn find(&self, id: &[u8; 32], now_ms: u64) -> Option<String> {
        let kept = self.0.borrow();
        let (token, until) = kept.get(id)?;
        (now_ms < *until).then(|| token.clone())
    }

    fn keep(&self, id: [u8; 32], token: &str, until_ms: u64, now_ms: u64) {
        let mut kept = self.0.borrow_mut();
        kept.retain(|_, (_, until)| now_ms < *until);
        if kept.len() < MOST_KEPT {
            kept.insert(id, (token.to_owned(), until_ms));
        }
    }

    fn forget(&self, id: &[u8; 32]) {
        self.0.borrow_mut().remove(id);
    }
}

impl<W: Wire> Caller<'_, W> {
    /// Sends a request with a token; once more with a new one when a token that was kept is refused.
    pub async fn send_with_token(
        &self,
        credentials: &Credentials,
        address: &Address,
        mut request: Request,
    ) -> Outcome<Response> {
        let policy = json!([credentials.scheme, credentials.members]).to_string();
        let id: [u8; 32] = Sha256::digest(policy.as_bytes()).into();
        if let Some(token) = self.kept.tokens.find(&id, self.wire.elapsed_ms()) {
            self.redactor.hide(&token);
            request.set_header("authorization", format!("Bearer {token}"));
            let response = self.exchange(address, request.clone()).await?;
            if response.status != 401 {
                return Ok(response);
            }
            self.kept.tokens.forget(&id);
        }
        let began_ms = self.wire.elapsed_ms();
        let (token, lasts_ms) = self.token(credentials).await?;
        self.redactor.hide(&token);
        if let Some(lasts_ms) = lasts_ms.filter(|lasts_ms| *lasts_ms > MARGIN_MS) {
            // Some say "for ever" by the largest number there is.
            let until_ms = began_ms + lasts_ms.min(LONGEST_MS) - MARGIN_MS;
            self.kept.tokens.keep(id, &token, until_ms, began_ms);
        }
        request.set_header("authorization", format!("Bearer {token}"));
        self.exchange(address, request).await
    }

    /// Asks the authority for a token. Gives it with the milliseconds that it lasts, if it says.
    async fn token(&self, credentials: &Credentials) -> Outcome<(String, Option<u64>)> {
        let endpoint = self.token_endpoint(credentials).await?;
        credentials.check(&endpoint)?;
        let request = self.token_request(credentials, &endpoint)?;
        let response = self.exchange(&endpoint, request).await?;
        let told: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        if response.status != 200 {
            let code = told["error"].as_str().unwrap_or("no error code");
            let more = told["error_description"].as_str().unwrap_or("no description");
            return Err(authentication(format!(
                "{} gave no token: status {}, {code} ({more}).",
                endpoint.shown(),
                response.status
            )));
        }
        let token = told["access_token"].as_str().filter(|token| !token.is_empty());
        let bearer = told["token_type"]
            .as_str()
            .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        let Some(token) = token.filter(|token| bearer && token.bytes().all(|byte| byte.is_ascii_graphic()))
        else {
            return Err(authentication(format!(
                "{} gave no bearer token.",
                endpoint.shown()
            )));
        };
        check_issuer(credentials, token)?;
        let seconds = told["expires_in"]
            .as_u64()
            .or_else(|| told["expires_in"].as_str()?.parse().ok());
        Ok((
            token.to_owned(),
            seconds.map(|seconds| seconds.saturating_mul(1000)),
        ))
    }

    async fn token_endpoint(&self, credentials: &Credentials) -> Outcome<Address> {
        let authority = credentials.text("authority")?;
        if credentials.scheme == "oauth2" {
            let endpoints = credentials.members.get("endpoints").and_then(Value::as_object);
            let path = match endpoints {
                Some(endpoints) => member("oauth2", endpoints, "token")?,
                None => None,
            };
            return match path.unwrap_or("/oauth2/token") {
                uri if uri.contains("://") => Address::parse(uri),
                path => Address::parse(authority)?.below(path),
            };
        }
        let mut address = Address::parse(authority)?;
        if !authority.ends_with(DISCOVERY) {
            address = address.below(DISCOVERY)?;
        }
        credentials.check(&address)?;
        // A document may need a token and a token this document; without a policy it ends here.
        let metadata = Box::pin(self.document(&address, &Value::Null)).await?;
        match metadata["token_endpoint"].as_str() {
            Some(endpoint) => address.join(endpoint),
            None => Err(communication(
                502,
                format!("{} names no token_endpoint.", address.shown()),
            )),
        }
    }

    fn token_request(&self, credentials: &Credentials, endpoint: &Address) -> Outcome<Request> {
        let mut fields = fields(credentials)?;
        let mut request = self.request("POST", endpoint);
        (request.limit_ms, request.max_answer) = (SHORT_LIMIT_MS, MAX_ANSWER);
        request.set_header("accept", "application/json");
        self.identify(credentials, endpoint, &mut fields, &mut request)?;
        let encoding = credentials
            .members
            .get("request")
            .and_then(|request| request.get("encoding"));
        if encoding.and_then(Value::as_str) == Some("application/json") {
            request.set_header("content-type", "application/json");
            request.body = Value::Object(fields).to_string().into_bytes();
        } else {
            request.set_header("content-type", "application/x-www-form-urlencoded");
            request.body = form(&fields)?.into_bytes();
        }
        Ok(request)
    }

    /// Proves who the client is.
    fn identify(
        &self,
        credentials: &Credentials,
        endpoint: &Address,
        fields: &mut Map<String, Value>,
        request: &mut Request,
    ) -> Outcome<()> {
        let empty = Map::new();
        let client = credentials
            .members
            .get("client")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let given = |key: &str| member("oauth2.client", client, key);
        let wanted = |key: &str| {
            given(key)?
                .ok_or_else(|| configuration(format!("The authentication policy lacks `client.{key}`.")))
        };
        let method = given("authentication")?.unwrap_or("client_secret_post");
        if method != "client_secret_basic"
            && let Some(id) = given("id")?
        {
            fields.insert("client_id".into(), id.into());
        }
        let assertion = match method {
            "none" => return wanted("id").map(|_| ()),
            "client_secret_post" => {
                wanted("id")?;
                fields.insert("client_secret".into(), wanted("secret")?.into());
                return Ok(());
            }
            "client_secret_basic" => {
                let (id, secret) = (encode(wanted("id")?), encode(wanted("secret")?));
                request.set_header("authorization", self.basic(&id, &secret)?);
                return Ok(());
            }
            "client_secret_jwt" => self.jwt(wanted("id")?, wanted("secret")?, endpoint)?,
            "private_key_jwt" => wanted("assertion")?.to_owned(),
            other => {
                return Err(configuration(format!(
                    "`{other}` is no way in which a client proves who it is."
                )));
            }
        };
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        fields.insert("client_assertion_type".into(), kind.into());
        fields.insert("client_assertion".into(), assertion.into());
        Ok(())
    }

    /// An assertion that the client's secret signs.
    fn jwt(&self, id: &str, secret: &str, endpoint: &Address) -> Outcome<String> {
        let now = self.wire.unix_seconds();
        let claims = json!({
            "iss": id,
            "sub": id,
            "aud": endpoint.to_string(),
            "iat": now,
            "exp": now + 60,
            "jti": format!("{:016x}{:016x}", self.wire.random(), self.wire.random()),
        });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            part(&json!({"alg": "HS256", "typ": "JWT"})),
            part(&claims)
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .map_err(|_| configuration("`client.secret` cannot sign."))?;
        mac.update(signed.as_bytes());
        Ok(format!(
            "{signed}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
        ))
    }
}

/// What the grant asks with.
fn fields(credentials: &Credentials) -> Outcome<Map<String, Value>> {
    let grant = credentials.maybe("grant")?.unwrap_or("client_credentials");
    let mut fields = Map::from_iter([("grant_type".to_owned(), Value::from(grant))]);
    match grant {
        "client_credentials" => {}
        "password" => {
            for key in ["username", "password"] {
                fields.insert(key.into(), credentials.text(key)?.into());
            }
        }
        "urn:ietf:params:oauth:grant-type:token-exchange" => {
            for key in ["subject", "actor"] {
                let Some(token) = credentials.members.get(key).and_then(Value::as_object) else {
                    if key == "subject" {
                        return Err(configuration(
                            "A token exchange needs `subject`, the token to exchange.",
                        ));
                    }
                    continue;
                };
                for (part, name) in [
                    ("token", format!("{key}_token")),
                    ("type", format!("{key}_token_type")),
                ] {
                    let value = member(key, token, part)?.ok_or_else(|| {
                        configuration(format!("`{key}` of the token exchange lacks `{part}`."))
                    })?;
                    fields.insert(name, value.into());
                }
            }
        }
        other => {
            return Err(configuration(format!(
                "The grant `{other}` needs a person or an earlier token, and a workflow has neither; use \
                 client_credentials, password or token exchange."
            )));
        }
    }
    let list = |key: &str| credentials.members.get(key).and_then(Value::as_array).cloned();
    if let Some(scopes) = list("scopes") {
        let scopes: Vec<&str> = scopes.iter().filter_map(Value::as_str).collect();
        fields.insert("scope".into(), scopes.join(" ").into());
    }
    if let Some(audiences) = list("audiences") {
        fields.insert("audience".into(), audiences.into());
    }
    Ok(fields)
}

/// A token from an issuer that is not listed is not used. What a token says is believed here only to refuse it.
fn check_issuer(credentials: &Credentials, token: &str) -> Outcome<()> {
    let Some(Value::Array(issuers)) = credentials.members.get("issuers") else {
        return Ok(());
    };
    let claims = token
        .split('.')
        .nth(1)
        .and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Value = claims
        .and_then(|claims| serde_json::from_slice(&claims).ok())
        .unwrap_or_default();
    match issuers.is_empty() || issuers.contains(&claims["iss"]) {
        true => Ok(()),
        false => Err(authentication(
            "The token that was given is not from one of the `issuers`, or does not say from whom it is.",
        )),
    }
}

#[cfg(test)]
mod tests;
