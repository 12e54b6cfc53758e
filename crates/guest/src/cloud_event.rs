//! What a message from Redis is: a request, a doorbell, or nothing that the hall takes.

use guildhall_domain::{
    event::{DOORBELL_EVENT, REQUEST_EVENT},
    nesting::{MAX_NESTING, too_deep},
};
use serde_json::Value;

/// Most bytes of a message.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// A message, told apart by its CloudEvents `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// An event whose data asks an agent for something.
    Request(Value),
    /// "Look, there is work."
    Doorbell,
    /// Not taken; says why.
    Invalid(String),
}

/// Tells what a message is. The attributes that every CloudEvent must have are checked here (CloudEvents 1.0.2, section
/// 3.1), so that the reason can name the field; the data is checked where it is stored.
pub fn classify(message: &[u8]) -> Message {
    if message.len() > MAX_MESSAGE {
        return Message::Invalid(format!("it is larger than {MAX_MESSAGE} bytes"));
    }
    if too_deep(message) {
        return Message::Invalid(format!("it is nested deeper than {MAX_NESTING} levels"));
    }
    let event: Value = match serde_json::from_slice(message) {
        Ok(event) => event,
        Err(error) => return Message::Invalid(format!("it is not JSON: {error}")),
    };
    if let Some(why) = misfit(&event) {
        return Message::Invalid(why);
    }
    match event["type"].as_str() {
        Some(REQUEST_EVENT) => Message::Request(event),
        Some(DOORBELL_EVENT) => Message::Doorbell,
        _ => Message::Invalid(format!(
            "its `type` is neither {REQUEST_EVENT} nor {DOORBELL_EVENT}"
        )),
    }
}

/// Why a value is not a CloudEvent in its JSON form; `None` when it is one.
pub fn misfit(event: &Value) -> Option<String> {
    if !event.is_object() {
        return Some("it is not a JSON object".into());
    }
    ["specversion", "id", "source", "type"]
        .into_iter()
        .find_map(|attribute| match event[attribute].as_str() {
            Some("") | None => Some(format!("`{attribute}` must be a non-empty string")),
            Some(version) if attribute == "specversion" && version != "1.0" => {
                Some("`specversion` must be 1.0".into())
            }
            Some(_) => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn event(kind: &str) -> Value {
        json!({"specversion": "1.0", "id": "1", "source": "/ci", "type": kind, "data": {"skill": "x"}})
    }

    #[test]
    fn requests_and_doorbells_are_told_apart() {
        let request = event(REQUEST_EVENT);
        assert_eq!(
            classify(request.to_string().as_bytes()),
            Message::Request(request)
        );
        assert_eq!(
            classify(event(DOORBELL_EVENT).to_string().as_bytes()),
            Message::Doorbell
        );
    }

    #[test]
    fn a_refusal_names_the_field() {
        for (change, reason) in [
            (json!({"specversion": "0.3"}), "`specversion` must be 1.0"),
            (json!({"id": ""}), "`id` must be a non-empty string"),
            (json!({"id": 7}), "`id` must be a non-empty string"),
            (json!({"source": null}), "`source` must be a non-empty string"),
            (json!({"type": "other"}), "its `type` is neither"),
        ] {
            let mut broken = event(REQUEST_EVENT);
            for (key, value) in change.as_object().expect("object") {
                broken[key] = value.clone();
            }
            let found = classify(broken.to_string().as_bytes());
            assert!(
                matches!(&found, Message::Invalid(why) if why.starts_with(reason)),
                "{found:?}"
            );
        }
        assert!(matches!(classify(b"hello"), Message::Invalid(why) if why.contains("line 1 column 1")));
        assert!(
            matches!(classify(&vec![b' '; MAX_MESSAGE + 1]), Message::Invalid(why) if why.contains("larger"))
        );
    }

    proptest! {
        #[test]
        fn no_message_panics(message in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = classify(&message);
        }
    }
}
