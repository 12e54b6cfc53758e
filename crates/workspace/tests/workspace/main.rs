//! The workspace server from the outside: real git repositories, real commands, raw HTTP.

mod commands;
mod commits;
mod crash;
mod effects;
mod environments;
mod merges;
mod reads;
mod support;
mod wire;
