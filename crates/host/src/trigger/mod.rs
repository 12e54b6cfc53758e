//! What makes components run: HTTP requests and Redis messages.

pub(crate) mod http;
pub(crate) mod redis;
