//! `spin.toml`, manifest version 2, as far as this host supports it.

mod parse;
mod section;
mod triggers;

use std::path::PathBuf;

pub(crate) use section::Section;

/// An application as its manifest declares it; nothing is resolved yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    pub name: String,
    /// Template of `[application.trigger.redis] address`.
    pub redis_address: Option<String>,
    pub variables: Vec<Variable>,
    pub http: Vec<HttpTrigger>,
    pub redis: Vec<RedisTrigger>,
    pub components: Vec<Component>,
}

/// An entry of `[variables]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Variable {
    pub name: String,
    pub default: Option<String>,
    pub secret: bool,
}

/// A `[[trigger.http]]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpTrigger {
    pub place: String,
    pub component: String,
    pub route: Route,
}

/// Where an HTTP component is reachable.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Route {
    /// By a path pattern, from outside and by service chaining.
    Public(String),
    /// By service chaining only.
    Private,
}

/// A `[[trigger.redis]]`; address and channel are templates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RedisTrigger {
    pub place: String,
    pub component: String,
    pub channel: String,
    pub address: Option<String>,
}

/// A `[component.ID]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Component {
    pub id: String,
    /// Absolute, or relative to the working directory.
    pub source: PathBuf,
    /// What builds it, to quote when the file is missing.
    pub build: Option<String>,
    /// Variable name to template.
    pub variables: Vec<(String, String)>,
    pub environment: Vec<(String, String)>,
    /// Templates.
    pub allowed_outbound_hosts: Vec<String>,
}

impl Component {
    /// The place of one of its keys, as `spin.toml [component.bus] source`.
    pub fn place(&self, key: &str) -> String {
        format!("spin.toml [component.{}] {key}", self.id)
    }
}
