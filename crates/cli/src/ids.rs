//! Ids are long; commands take any beginning of one that only one thing has.

use crate::error::{CliError, Result};
use crate::http::Api;
use serde_json::Value;

/// A full id has this many characters.
const FULL: usize = 36;
/// A beginning shorter than this is more likely a slip.
const SHORTEST: usize = 4;

/// The full id of the thing in `list` (a route such as `/v1/runs`) that begins with `given`; `thing` names it.
pub async fn resolve(api: &Api, thing: &str, list: &str, given: &str) -> Result<String> {
    let given = given.trim().trim_end_matches('…').to_ascii_lowercase();
    if given.len() == FULL {
        return Ok(given);
    }
    let wrong =
        |why: String| {
            CliError::failure(format!("cannot tell which {thing} {given:?} is")).because(why).hint(format!(
            "give at least {SHORTEST} characters of the id; `guildhall {thing}s list` shows the {thing}s"
        ))
        };
    if given.len() < SHORTEST || !given.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Err(wrong("that is not an id, nor the beginning of one".into()));
    }
    let join = if list.contains('?') { '&' } else { '?' };
    let page = api
        .get(&format!("look up the {thing}"), &format!("{list}{join}limit=200"))
        .await?;
    let ids: Vec<&str> = page["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(id)
        .collect();
    let matching: Vec<&str> = ids.into_iter().filter(|id| id.starts_with(&given)).collect();
    match matching.as_slice() {
        [one] => Ok((*one).to_string()),
        [] => Err(wrong(format!("none of the latest 200 {thing}s begins so"))),
        several => Err(wrong(format!(
            "several {thing}s begin so: {}",
            several.join(", ")
        ))),
    }
}

fn id(item: &Value) -> Option<&str> {
    item["id"].as_str()
}
