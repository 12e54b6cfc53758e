//! What is sent and what comes back, in the simplest terms.

use std::future::Future;

/// A request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Upper case.
    pub method: String,
    /// Absolute, http or https, without credentials and fragment.
    pub uri: String,
    /// Names in lower case, none twice.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// Milliseconds that it may take, from connecting to the end of the answer.
    pub limit_ms: u64,
    /// Most bytes of answer.
    pub max_answer: usize,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Sets a header, in place of what it was.
    pub fn set_header(&mut self, name: &str, value: impl Into<String>) {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.into()));
    }
}

/// A complete answer, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case; one that came more than once is there more than once.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The media type, in lower case, without parameters.
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    }
}

fn find<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers
        .iter()
        .find(|(other, _)| other == name)
        .map(|(_, value)| value.as_str())
}

/// Why there is no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The deployer does not allow to go there.
    NotAllowed,
    /// Its address is in a network where nobody may go.
    Blocked,
    /// Not within the limit.
    TimedOut,
    /// It was larger than the limit.
    TooLarge,
    /// Nobody has seen the request: the reason.
    NotSent(String),
    /// Somebody may have seen it: the reason.
    NoAnswer(String),
}

/// Whoever sends requests, and knows the time.
pub trait Wire {
    /// Sends a request, follows no redirect and gives any answer that is complete.
    fn send(&self, request: Request) -> impl Future<Output = Result<Response, Failure>>;
    /// A random number.
    fn random(&self) -> u64;
    /// Seconds since 1970, for claims of when something was said.
    fn unix_seconds(&self) -> u64;
    /// Milliseconds of a clock that only goes forward, for how long something is kept.
    fn elapsed_ms(&self) -> u64;
}
