//! Outgoing HTTP with time limits and a limit on the answer's size.

use crate::{
    time::{Elapsed, timeout},
    trace::{REQUEST_ID, TRACEPARENT, Trace},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::BodyExt;
use spin_sdk::{
    http::FullBody,
    wasip3::{
        http::types::{ErrorCode, RequestOptions},
        http_compat::RequestOptionsExtension,
    },
};
use std::{fmt, time::Duration};

/// One outgoing call.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    url: String,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
    limit: Duration,
    max_answer: usize,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why nothing (complete) came back. An effect may have happened all the same unless `sent` is false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// What was called, without query, credentials or body.
    pub target: String,
    /// Why it failed.
    pub why: String,
    /// Whether the request may have reached the other side.
    pub sent: bool,
    /// What kind of failure it is.
    pub cause: Cause,
}

/// Kinds of failures that callers treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `allowed_outbound_hosts` of the component lacks the host.
    NotAllowed,
    /// The address is in `block_networks` of the runtime.
    Blocked,
    /// No complete answer within the limit.
    TimedOut,
    /// The answer is larger than the limit.
    TooLarge,
    /// Anything else.
    Other,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.why)
    }
}

impl Call {
    /// A POST of JSON.
    pub fn post_json(url: impl Into<String>, body: &serde_json::Value) -> Call {
        let mut call = Call::new(Method::POST, url);
        call.body = Bytes::from(body.to_string());
        call.header(header::CONTENT_TYPE, "application/json")
    }

    /// A call without a body. The limits are 10 s and 1 MiB unless set.
    pub fn new(method: Method, url: impl Into<String>) -> Call {
        Call {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            limit: Duration::from_secs(10),
            max_answer: 1024 * 1024,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Call {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds `Authorization: Bearer SECRET`.
    pub fn bearer(self, secret: &str) -> Call {
        self.header(header::AUTHORIZATION, format!("Bearer {secret}"))
    }

    /// Carries the caller's ids on.
    pub fn trace(mut self, trace: &Trace) -> Call {
        self.headers
            .push((HeaderName::from_static(REQUEST_ID), trace.request_id.clone()));
        if let Some(traceparent) = &trace.traceparent {
            self.headers
                .push((HeaderName::from_static(TRACEPARENT), traceparent.clone()));
        }
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Call {
        self.body = body.into();
        self
    }

    /// The most time from connecting to the end of the answer.
    pub fn limit(mut self, limit: Duration) -> Call {
        self.limit = limit;
        self
    }

    /// The most bytes of answer.
    pub fn max_answer(mut self, bytes: usize) -> Call {
        self.max_answer = bytes;
        self
    }

    /// Makes the call. Any HTTP status is an answer.
    pub async fn send(self) -> Result<Answer, CallError> {
        let target = describe(&self.method, &self.url);
        let (limit, max_answer) = (self.limit, self.max_answer);
        let fail = |(why, sent, cause): Failed| CallError {
            target: target.clone(),
            why,
            sent,
            cause,
        };
        let request = self.build().map_err(|why| fail((why, false, Cause::Other)))?;
        match timeout(limit, exchange(request, max_answer)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failed)) => Err(fail(failed)),
            Err(Elapsed(limit)) => Err(fail((
                format!("no complete answer within {limit:?}"),
                true,
                Cause::TimedOut,
            ))),
        }
    }

    fn build(self) -> Result<http::Request<FullBody<Bytes>>, String> {
        let mut request = http::Request::new(FullBody::new(self.body.clone()));
        *request.method_mut() = self.method;
        *request.uri_mut() = self
            .url
            .parse()
            .map_err(|error| format!("the address is malformed: {error}"))?;
        let headers = request.headers_mut();
        for (name, value) in self.headers {
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| format!("the value of the header {name} has characters that HTTP forbids"))?;
            value.set_sensitive(name == header::AUTHORIZATION);
            headers.insert(name, value);
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        let options = RequestOptions::new();
        let nanoseconds = self.limit.as_nanos().min(u128::from(u64::MAX)) as u64;
        let connect = nanoseconds.min(Duration::from_secs(5).as_nanos() as u64);
        // A host may not support an option; the limit around the whole call holds regardless.
        let _ = options.set_connect_timeout(Some(connect));
        let _ = options.set_first_byte_timeout(Some(nanoseconds));
        let _ = options.set_between_bytes_timeout(Some(nanoseconds));
        request.extensions_mut().insert(RequestOptionsExtension(options));
        Ok(request)
    }
}

/// Why, whether the request may have been received, and of which kind it is.
type Failed = (String, bool, Cause);

async fn exchange(request: http::Request<FullBody<Bytes>>, max_answer: usize) -> Result<Answer, Failed> {
    let response = spin_sdk::http::send(request)
        .await
        .map_err(|error| explain(&error))?;
    let (parts, mut body) = response.into_parts();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let (why, _, cause) = explain(&error);
            (format!("the answer broke off: {why}"), true, cause)
        })?;
        if let Ok(data) = frame.into_data() {
            if whole.len() + data.len() > max_answer {
                return Err((
                    format!("the answer is larger than {max_answer} bytes"),
                    true,
                    Cause::TooLarge,
                ));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: whole.into(),
    })
}

/// What an error code of the host means for people, whether the request may have been received, and of which kind it is.
fn explain(error: &ErrorCode) -> Failed {
    let (why, sent, cause) = match error {
        ErrorCode::ConnectionRefused => ("nobody listens there (connection refused)", false, Cause::Other),
        ErrorCode::ConnectionTimeout => ("no connection in time", false, Cause::TimedOut),
        ErrorCode::DnsError(_) | ErrorCode::DnsTimeout => {
            ("its name cannot be resolved", false, Cause::Other)
        }
        ErrorCode::DestinationNotFound | ErrorCode::DestinationUnavailable => {
            ("there is no such destination", false, Cause::Other)
        }
        ErrorCode::HttpRequestDenied => (
            "the component may not reach this host; allowed_outbound_hosts in spin.toml lacks it: forbidden",
            false,
            Cause::NotAllowed,
        ),
        ErrorCode::DestinationIpProhibited => (
            "its address is in block_networks of runtime-config.toml: forbidden",
            false,
            Cause::Blocked,
        ),
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => {
            return (format!("{error}"), true, Cause::TimedOut);
        }
        other => return (format!("{other}"), true, Cause::Other),
    };
    (why.to_owned(), sent, cause)
}

/// Method, scheme, host and path: what may be logged of an address.
fn describe(method: &Method, url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let shown = match plain.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}/{path}")
        }
        None => plain.to_owned(),
    };
    format!("{method} {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_secrets() {
        for (url, shown) in [
            ("http://user:pass@host:1/a/b?token=x#y", "GET http://host:1/a/b"),
            (
                "http://workflows.spin.internal/internal/wake",
                "GET http://workflows.spin.internal/internal/wake",
            ),
            ("nonsense?key=1", "GET nonsense"),
        ] {
            assert_eq!(describe(&Method::GET, url), shown);
        }
    }
}
