//! The host from outside: fixture guests run in it, real Postgres and Redis servers stand behind it.

mod errors;
mod guard;
mod http;
mod life;
mod outbound;
mod postgres;
mod redis;
mod support;
