//! Keeps secrets out of what is recorded, should a service send them back.

use serde_json::Value;
use std::cell::RefCell;

/// What stands for a secret.
pub(crate) const HIDDEN: &str = "***";
/// A shorter text is found in too much that is not it.
const SHORTEST: usize = 6;

/// The secrets that one call has used.
#[derive(Debug, Default)]
pub(crate) struct Redactor(RefCell<Vec<String>>);

impl Redactor {
    /// Hides this text from now on.
    pub fn hide(&self, secret: &str) {
        let mut secrets = self.0.borrow_mut();
        if secret.len() >= SHORTEST && !secrets.iter().any(|known| known == secret) {
            secrets.push(secret.to_owned());
            // The longest first: one may be a part of another.
            secrets.sort_by_key(|known| std::cmp::Reverse(known.len()));
        }
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.0.borrow().iter() {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), HIDDEN);
            }
        }
        text
    }

    /// The value without secrets.
    pub fn value(&self, value: Value) -> Value {
        if self.0.borrow().is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => Value::Object(
                map.into_iter()
                    .map(|(key, value)| (self.text(&key), self.value(value)))
                    .collect(),
            ),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_wherever_they_are() {
        let redactor = Redactor::default();
        assert_eq!(redactor.value(json!({"a": "hunter2"})), json!({"a": "hunter2"}));
        redactor.hide("hunter2");
        redactor.hide("hunter2-and-more");
        redactor.hide("short");
        assert_eq!(
            redactor.value(json!({"hunter2": ["x hunter2-and-more y", 1, {"b": "a short hunter2"}]})),
            json!({"***": ["x *** y", 1, {"b": "a short ***"}]})
        );
    }
}
