//! One request as a handler sees it: parameters, caller, body.

use crate::{
    auth, body, db,
    path::{Params, query_value},
    trace::Trace,
};
use bytes::Bytes;
use guildhall_domain::{Code, Problem, token::Principal};
use http::{HeaderMap, Method, Uri, request::Parts};
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// The body as the runtime hands it over, unread.
pub(crate) type Incoming = spin_sdk::wasip3::http_compat::IncomingRequestBody;

/// An `Idempotency-Key` and the fingerprint of the body that it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The key.
    pub key: String,
    /// The body's SHA-256, hex.
    pub fingerprint: String,
}

impl Once {
    /// As the store takes it.
    pub fn as_store(&self) -> guildhall_store::Idempotency<'_> {
        guildhall_store::Idempotency {
            key: &self.key,
            fingerprint: &self.fingerprint,
        }
    }

    /// The problem of a key that was used for another body.
    pub fn conflict(&self) -> Problem {
        Problem::new(
            Code::IdempotencyConflict,
            format!(
                "The Idempotency-Key `{}` was used before, with another body.",
                self.key
            ),
        )
        .hint("Use a new key for a new request, and the same key only to repeat exactly the same one.")
    }
}

/// One request as a handler sees it.
pub struct Ctx {
    parts: Parts,
    incoming: Option<Incoming>,
    params: Params,
    principal: Option<Principal>,
    trace: Trace,
}

impl Ctx {
    /// The request, once its route is found and its caller let through.
    pub(crate) fn new(
        parts: Parts,
        incoming: Incoming,
        params: Params,
        principal: Option<Principal>,
        trace: Trace,
    ) -> Ctx {
        Ctx {
            parts,
            incoming: Some(incoming),
            params,
            principal,
            trace,
        }
    }

    /// The method; HEAD comes as HEAD.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The path and query as sent.
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The headers. Those that begin with `spin-` may be forged by the caller and say nothing.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The ids to carry on.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The database, through this instance's connection.
    pub fn db(&self) -> db::GuestDb {
        db::GuestDb
    }

    /// Who calls. An error on a route with [`Access::Open`] or [`Access::Internal`], which have no principal.
    pub fn principal(&self) -> Result<&Principal, Problem> {
        self.principal
            .as_ref()
            .ok_or_else(|| Problem::new(Code::Internal, "A route without a token asked who its caller is."))
    }

    /// The decoded value that the pattern captured as `{name}`.
    pub fn param(&self, name: &str) -> Result<&str, Problem> {
        self.params.get(name).ok_or_else(|| {
            Problem::new(
                Code::Internal,
                format!("The route's pattern has no `{{{name}}}`."),
            )
        })
    }

    /// The captured value as an id or other parsed thing; 400 when it does not parse.
    pub fn parsed_param<T: FromStr>(&self, name: &str) -> Result<T, Problem>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.param(name)?;
        text.parse().map_err(|error| {
            Problem::new(
                Code::InvalidParameter,
                format!("`{text}` in the path is no {name}: {error}."),
            )
        })
    }

    /// A query parameter; an empty value counts as absent; 400 when it is not percent-encoded UTF-8.
    pub fn query(&self, name: &str) -> Result<Option<String>, Problem> {
        match query_value(self.parts.uri.query().unwrap_or_default(), name) {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
            Some(None) => Err(Problem::new(
                Code::InvalidParameter,
                format!("The value of the query parameter `{name}` is not percent-encoded UTF-8."),
            )),
        }
    }

    /// A query parameter that names one of an enum's values as JSON spells them; 400 quotes `known`, their list.
    pub fn query_as<T: DeserializeOwned>(&self, name: &str, known: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.query(name)? else {
            return Ok(None);
        };
        match serde_json::from_value(serde_json::Value::String(text.clone())) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Problem::new(
                Code::InvalidParameter,
                format!("The query parameter `{name}` cannot be `{text}`."),
            )
            .hint(format!("It is one of {known}."))),
        }
    }

    /// The query parameter `name` as an id, a number or another parsed thing; 400 when it does not parse.
    pub fn parsed_query<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.query(name)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|error| {
            Problem::new(
                Code::InvalidParameter,
                format!("The query parameter `{name}` cannot be `{text}`: {error}."),
            )
        })
    }

    /// The query parameter `after`: the `next` of the page before.
    pub fn after<T: FromStr>(&self) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        self.parsed_query("after")
    }

    /// The query parameter `limit`, 1 to 200, 50 when absent.
    pub fn limit(&self) -> Result<u32, Problem> {
        let Some(text) = self.query("limit")? else {
            return Ok(50);
        };
        match text.parse() {
            Ok(limit @ 1..=200) => Ok(limit),
            _ => Err(Problem::new(
                Code::InvalidParameter,
                format!("The query parameter `limit` is `{text}`; it must be a number from 1 to 200."),
            )),
        }
    }

    /// The `Idempotency-Key` header: 1 to 200 visible ASCII characters, quotes around it taken off.
    pub fn idempotency_key(&self) -> Result<Option<String>, Problem> {
        let Some(value) = self.parts.headers.get("idempotency-key") else {
            return Ok(None);
        };
        let key = value.to_str().unwrap_or_default().trim();
        let key = key
            .strip_prefix('"')
            .and_then(|k| k.strip_suffix('"'))
            .unwrap_or(key);
        if (1..=200).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Some(key.to_owned()))
        } else {
            Err(Problem::new(
                Code::InvalidParameter,
                "The Idempotency-Key header must be 1 to 200 visible ASCII characters.",
            ))
        }
    }

    /// The whole body; 413 beyond [`body::MAX_BODY`]. Gives nothing when called a second time.
    pub async fn bytes(&mut self) -> Result<Bytes, Problem> {
        match self.incoming.take() {
            Some(incoming) => body::read(incoming).await,
            None => Ok(Bytes::new()),
        }
    }

    /// The body as JSON; 400 says where it stops making sense.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        body::parse(&self.bytes().await?)
    }

    /// The body as JSON, with what makes the call repeatable: its `Idempotency-Key`, if it has one, and the body's
    /// SHA-256.
    pub async fn json_once<T: DeserializeOwned>(&mut self) -> Result<(T, Option<Once>), Problem> {
        let key = self.idempotency_key()?;
        let bytes = self.bytes().await?;
        let once = key.map(|key| Once {
            key,
            fingerprint: auth::sha256_hex(&bytes),
        });
        Ok((body::parse(&bytes)?, once))
    }

    /// The body as JSON, or the default when there is none.
    pub async fn json_or_default<T: DeserializeOwned + Default>(&mut self) -> Result<T, Problem> {
        let bytes = self.bytes().await?;
        if bytes.is_empty() {
            Ok(T::default())
        } else {
            body::parse(&bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guildhall_domain::run::RunStatus;

    fn ctx(uri: &str, key: Option<&'static str>) -> Ctx {
        let mut request = http::Request::get(uri);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        Ctx {
            parts,
            incoming: None,
            params: Params::default(),
            principal: None,
            trace: Trace {
                request_id: "r".into(),
                traceparent: None,
            },
        }
    }

    #[test]
    fn a_limit_is_within_bounds_or_refused() {
        for (uri, wanted) in [
            ("/v1/runs", Some(50)),
            ("/v1/runs?limit=", Some(50)),
            ("/v1/runs?limit=1", Some(1)),
            ("/v1/runs?limit=200", Some(200)),
            ("/v1/runs?limit=0", None),
            ("/v1/runs?limit=201", None),
            ("/v1/runs?limit=-1", None),
            ("/v1/runs?limit=ten", None),
            ("/v1/runs?limit=%zz", None),
        ] {
            match (ctx(uri, None).limit(), wanted) {
                (Ok(limit), Some(wanted)) => assert_eq!(limit, wanted, "{uri}"),
                (Err(problem), None) => assert_eq!(problem.code, "invalid_parameter", "{uri}"),
                (found, _) => panic!("{uri}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_query_value_names_a_state_or_is_refused_with_the_list() {
        let known = "pending, running";
        let found = ctx("/v1/runs?status=running", None).query_as::<RunStatus>("status", known);
        assert_eq!(found, Ok(Some(RunStatus::Running)));
        assert_eq!(
            ctx("/v1/runs", None).query_as::<RunStatus>("status", known),
            Ok(None)
        );
        let problem = ctx("/v1/runs?status=Running", None)
            .query_as::<RunStatus>("status", known)
            .expect_err("another case is another word");
        assert_eq!(problem.hint.as_deref(), Some("It is one of pending, running."));
    }

    #[test]
    fn an_idempotency_key_is_visible_ascii_with_or_without_quotes() {
        let long: &'static str = Box::leak("k".repeat(201).into_boxed_str());
        for (given, wanted) in [
            (None, Ok(None)),
            (Some("k-1"), Ok(Some("k-1"))),
            (Some("\"k-1\""), Ok(Some("k-1"))),
            (Some(""), Err(())),
            (Some("\"\""), Err(())),
            (Some("a b"), Err(())),
            (Some(long), Err(())),
        ] {
            let found = ctx("/v1/runs", given).idempotency_key().map_err(|_| ());
            assert_eq!(
                found,
                wanted.map(|key: Option<&str>| key.map(str::to_owned)),
                "{given:?}"
            );
        }
    }

    #[test]
    fn a_route_without_a_token_has_no_caller() {
        assert_eq!(ctx("/", None).principal().expect_err("nobody").code, "internal");
    }
}
