//! Documents that a call needs first: descriptions of APIs, cards of agents, metadata of authorities. None is followed
//! to another place, and each is kept for a minute.

use crate::{
    MAX_DOCUMENT, SHORT_LIMIT_MS,
    address::Address,
    caller::Caller,
    problems::{Outcome, communication, configuration},
    wire::Wire,
};
use guildhall_flow::yaml;
use serde_json::Value;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

/// Milliseconds that a document is kept.
const KEEP_MS: u64 = 60_000;
/// Most bytes of documents kept.
const MOST_KEPT: usize = 16 << 20;

/// A kept document: what it says, its length and until when it is good.
type Entry = (Rc<Value>, usize, u64);

/// Documents by their address and the policy that they were read with.
#[derive(Debug, Default)]
pub(crate) struct Documents(RefCell<BTreeMap<String, Entry>>);

impl Documents {
    fn find(&self, id: &str, now_ms: u64) -> Option<Rc<Value>> {
        let kept = self.0.borrow();
        let (document, _, until) = kept.get(id)?;
        (now_ms < *until).then(|| document.clone())
    }

    fn keep(&self, id: String, document: &Rc<Value>, length: usize, now_ms: u64) {
        let mut kept = self.0.borrow_mut();
        kept.retain(|_, (_, _, until)| now_ms < *until);
        let all: usize = kept.values().map(|(_, length, _)| length).sum();
        if all + length <= MOST_KEPT {
            kept.insert(id, (document.clone(), length, now_ms + KEEP_MS));
        }
    }
}

impl<W: Wire> Caller<'_, W> {
    /// The document of an endpoint `{uri, authentication}`, and where it is.
    pub async fn resource(&self, endpoint: &Value) -> Outcome<(Address, Rc<Value>)> {
        let uri = endpoint["uri"].as_str().unwrap_or_default();
        let address = Address::parse(uri)?;
        let document = self.document(&address, &endpoint["authentication"]).await?;
        Ok((address, document))
    }

    /// A document in JSON or YAML.
    pub async fn document(&self, address: &Address, policy: &Value) -> Outcome<Rc<Value>> {
        let id = format!("{address} {policy}");
        let now_ms = self.wire.elapsed_ms();
        if let Some(document) = self.kept.documents.find(&id, now_ms) {
            // Who may not use a secret any more gets nothing that it opened.
            self.credentials(policy)?.check(address)?;
            return Ok(document);
        }
        let mut request = self.request("GET", address);
        (request.limit_ms, request.max_answer) = (SHORT_LIMIT_MS, MAX_DOCUMENT);
        request.set_header("accept", "application/json, application/yaml;q=0.9, */*;q=0.5");
        let response = self.send(policy, address, request).await?;
        if response.status != 200 {
            let moved = response.header("location").map_or_else(String::new, |location| {
                format!(" (redirections are not followed; this one leads to {location})")
            });
            return Err(communication(
                i64::from(response.status),
                format!(
                    "The document {} could not be read: status {}{moved}.",
                    address.shown(),
                    response.status
                ),
            ));
        }
        let document = Rc::new(read(address, &response.body)?);
        self.kept
            .documents
            .keep(id, &document, response.body.len(), now_ms);
        Ok(document)
    }
}

fn read(address: &Address, body: &[u8]) -> Outcome<Value> {
    let wrong = |why: String| {
        configuration(format!(
            "The document {} is neither JSON nor YAML that can be read: {why}.",
            address.shown()
        ))
    };
    let text = std::str::from_utf8(body).map_err(|_| wrong("it is not UTF-8".into()))?;
    let document = match serde_json::from_str::<Value>(text) {
        Ok(document) => document,
        Err(error) if text.trim_start().starts_with('{') && text.len() > yaml::MAX_BYTES => {
            return Err(wrong(error.to_string()));
        }
        Err(_) => yaml::parse(text)
            .map_err(|error| wrong(error.to_string()))?
            .to_value(),
    };
    match document {
        Value::Object(_) => Ok(document),
        _ => Err(wrong("it is not an object".into())),
    }
}
