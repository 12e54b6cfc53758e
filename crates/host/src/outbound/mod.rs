//! What components reach: HTTP, Postgres, Redis and their variables.

pub(crate) mod http;
pub(crate) mod pg;
pub(crate) mod redis;
mod variables;

/// The most a host function holds in memory for one answer, in bytes; Spin's figure.
pub(crate) const MAX_BUFFERED: usize = 128 << 20;

/// An error with its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors already quote their cause.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
