//! Answers: JSON, text or a problem, always with Content-Length (without it, keep-alive clients of Spin wait 40 ms
//! for the end of the body).

use crate::trace::{REQUEST_ID, Trace};
use bytes::Bytes;
use guildhall_domain::{Code, Problem};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use spin_sdk::http::{FullBody, Response};

/// The response type that components return from `#[http_service]`.
pub type GuestResponse = Response<FullBody<Bytes>>;

/// An answer under construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Reply {
    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// 200 with `value` as JSON.
    pub fn json<T: Serialize>(value: &T) -> Reply {
        Reply::json_status(StatusCode::OK, value)
    }

    /// `status` with `value` as JSON.
    pub fn json_status<T: Serialize>(status: StatusCode, value: &T) -> Reply {
        match serde_json::to_vec(value) {
            Ok(body) => Reply::bytes(status, "application/json", body),
            Err(error) => Reply::from(Problem::new(
                Code::Internal,
                format!("The answer is not JSON: {error}"),
            )),
        }
    }

    /// `status` with a body of the given media type.
    pub fn bytes(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
        .header(header::CONTENT_TYPE, HeaderValue::from_static(media_type))
    }

    /// Sets a header, replacing an earlier value. A value that no header can carry (a line break) is left out, which
    /// only concerns values built from data, such as a Location.
    pub fn header<V: TryInto<HeaderValue>>(mut self, name: HeaderName, value: V) -> Reply {
        if let Ok(value) = value.try_into() {
            self.headers.retain(|(known, _)| *known != name);
            self.headers.push((name, value));
        }
        self
    }

    /// The status it will be sent with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The response of a handler that is not reached through a router.
    pub fn respond(self) -> GuestResponse {
        self.into_response(&Trace::fresh())
    }

    /// The response as it leaves the component.
    pub(crate) fn into_response(self, trace: &Trace) -> GuestResponse {
        let length = self.body.len();
        let mut response = Response::new(FullBody::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        // RFC 9110, section 8.6: neither 204 nor 304 carries the length of a body they do not have.
        if self.status != StatusCode::NO_CONTENT && self.status != StatusCode::NOT_MODIFIED {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Ok(id) = HeaderValue::from_str(&trace.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Reply {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let reply = Reply::bytes(status, "application/problem+json", body);
        match status {
            // RFC 9110, section 15.5.2, and RFC 6750, section 3.
            StatusCode::UNAUTHORIZED => {
                let challenge = if problem.code == Code::TokenExpired.as_str() {
                    "Bearer realm=\"guildhall\", error=\"invalid_token\", error_description=\"expired\""
                } else {
                    "Bearer realm=\"guildhall\""
                };
                reply.header(header::WWW_AUTHENTICATE, challenge)
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                reply.header(header::RETRY_AFTER, "1")
            }
            _ => reply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        Trace {
            request_id: "r1".into(),
            traceparent: None,
        }
    }

    #[test]
    fn every_answer_tells_its_length() {
        for (reply, length) in [
            (Reply::json(&serde_json::json!({"a": 1})), Some("7")),
            (Reply::empty(StatusCode::ACCEPTED), Some("0")),
            (Reply::empty(StatusCode::NO_CONTENT), None),
        ] {
            let response = reply.into_response(&trace());
            let found = response
                .headers()
                .get(header::CONTENT_LENGTH)
                .map(|v| v.to_str().expect("ascii"));
            assert_eq!(found, length);
            assert_eq!(response.headers()["x-request-id"], "r1");
        }
    }

    #[test]
    fn a_problem_keeps_its_status_and_challenges() {
        let reply = Reply::from(Problem::new(Code::Unauthenticated, "no token"));
        let response = reply.into_response(&trace());
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(
            response.headers()["www-authenticate"],
            "Bearer realm=\"guildhall\""
        );
        let expired = Reply::from(Problem::new(Code::TokenExpired, "old")).into_response(&trace());
        assert!(
            expired.headers()["www-authenticate"]
                .to_str()
                .expect("ascii")
                .contains("invalid_token")
        );
    }

    #[test]
    fn what_is_set_replaces_the_default() {
        let reply = Reply::empty(StatusCode::OK).header(header::CACHE_CONTROL, "public, max-age=60");
        let response = reply.into_response(&trace());
        let found: Vec<_> = response.headers().get_all(header::CACHE_CONTROL).iter().collect();
        assert_eq!(found, ["public, max-age=60"]);
    }

    #[test]
    fn a_header_value_cannot_be_split() {
        let reply = Reply::empty(StatusCode::OK).header(header::LOCATION, "/v1/runs/x\r\nset-cookie: a=b");
        assert!(
            !reply
                .into_response(&trace())
                .headers()
                .contains_key(header::LOCATION)
        );
    }
}
