//! What must not be committed.

use serde_json::Value;

/// Words that name a credential wherever they stand in a key's last part.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "private_key",
    "privatekey",
    "access_key",
    "accesskey",
    "credential",
];

/// Whether this key and value would put a credential into a file. A reference such as `${DB_PASSWORD}` is none.
pub fn holds_secret(key: &str, value: &Value) -> bool {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let trimmed = text.trim();
    let reference = (trimmed.starts_with("${") && trimmed.ends_with('}')) || trimmed.is_empty();
    if reference {
        return false;
    }
    let last = key
        .rsplit('.')
        .next()
        .unwrap_or(key)
        .to_ascii_lowercase()
        .replace('-', "_");
    let named = SECRET_WORDS.iter().any(|word| last.contains(word));
    // A lifetime or a count in a secret's name, such as token_ttl_s, is a number.
    let counted = value.is_number() || value.is_boolean();
    let line = format!("{key} = \"{text}\"");
    (named && !counted) || crate::review::redact(&line) != line || crate::review::redact(&text) != text
}
