//! What ties the records of one call together: `x-request-id` and the W3C `traceparent`.

use http::HeaderMap;

/// Name of the request id header, in both directions.
pub const REQUEST_ID: &str = "x-request-id";
/// Name of the W3C trace context header.
pub const TRACEPARENT: &str = "traceparent";

/// Ids that a call came with (or was given) and that calls made on its behalf carry on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// 1 to 128 characters of `A-Z a-z 0-9 . _ -`.
    pub request_id: String,
    /// A valid version-00 `traceparent`, if the caller sent one.
    pub traceparent: Option<String>,
}

impl Trace {
    /// Takes the ids from a request's headers. An id that could forge a log line or header is replaced by `fresh`.
    pub fn from_headers(headers: &HeaderMap, fresh: impl FnOnce() -> String) -> Trace {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Trace {
            request_id: text(REQUEST_ID)
                .filter(|id| is_request_id(id))
                .map_or_else(fresh, str::to_owned),
            traceparent: text(TRACEPARENT)
                .filter(|value| is_traceparent(value))
                .map(str::to_owned),
        }
    }

    /// Ids for work that nobody asked for, such as the ticker's.
    pub fn fresh() -> Trace {
        Trace {
            request_id: new_request_id(),
            traceparent: None,
        }
    }
}

/// A random request id: 16 hex digits.
pub fn new_request_id() -> String {
    format!("{:016x}", crate::random_u64())
}

fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// W3C Trace Context level 1, section 3.2: `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not all zero.
pub fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lower_hex = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let not_zero = |part: &str| part.bytes().any(|byte| byte != b'0');
    matches!(parts.as_slice(), [version, trace, parent, flags]
        if *version == "00" && trace.len() == 32 && parent.len() == 16 && flags.len() == 2
        && lower_hex(trace) && lower_hex(parent) && lower_hex(flags) && not_zero(trace) && not_zero(parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn trace(name: &'static str, value: &[u8]) -> Trace {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value).expect("header"));
        Trace::from_headers(&headers, || "fresh".into())
    }

    #[test]
    fn a_plain_request_id_is_kept_and_any_other_replaced() {
        assert_eq!(trace(REQUEST_ID, b"job-1.a_B").request_id, "job-1.a_B");
        for bad in [&b""[..], b"a b", b"a\tb", b"{\"x\":1}", &[b'a'; 129], b"\xffid"] {
            assert_eq!(trace(REQUEST_ID, bad).request_id, "fresh", "{bad:?}");
        }
    }

    #[test]
    fn only_a_valid_traceparent_is_passed_on() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(
            trace(TRACEPARENT, good.as_bytes()).traceparent.as_deref(),
            Some(good)
        );
        for bad in [
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "",
        ] {
            assert_eq!(trace(TRACEPARENT, bad.as_bytes()).traceparent, None, "{bad}");
        }
    }
}
