//! One module per command.

pub mod agents;
pub mod approvals;
pub mod broadcasts;
pub mod chat;
pub mod completions;
pub mod doctor;
pub mod events;
pub mod locks;
pub mod migrate;
pub mod requests;
pub mod runs;
pub mod start;
pub mod token;
pub mod up;
pub mod watch;
pub mod workflows;
pub mod workspace;

use crate::error::{CliError, Result};
use serde_json::Value;

/// Reads what the fleet answered; an error says that the two do not fit together.
pub(crate) fn read<T: serde::de::DeserializeOwned>(what: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        CliError::new(format!("cannot {what}"))
            .because(format!(
                "the fleet's answer has another shape than expected: {error}"
            ))
            .hint("are fleet and command of the same version? `guildhall --version`")
    })
}

/// The `items` of a list.
pub(crate) fn items<T: serde::de::DeserializeOwned>(what: &str, page: &Value) -> Result<Vec<T>> {
    read(what, page["items"].clone())
}

/// How to go on when a list has more than one page.
pub(crate) fn next_page(page: &Value, command: &str) {
    if let Some(cursor) = page["next"].as_str() {
        crate::output::say(&format!("there are more: {command} --after {cursor}"));
    }
}

/// Which part of a long list is wanted.
#[derive(Clone, Debug, clap::Args)]
pub struct Paging {
    /// Most items to list
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200), value_name = "N")]
    pub limit: u32,
    /// Continue after this cursor of an earlier list
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

impl Paging {
    /// The query string of a list route, with further pairs.
    pub(crate) fn query(&self, pairs: &[(&str, Option<String>)]) -> String {
        let mut query = format!("?limit={}", self.limit);
        let after = [("after", self.after.clone())];
        for (name, value) in after.iter().chain(pairs) {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", crate::http::segment(value)));
            }
        }
        query
    }
}
