//! Credentials without a known form: a secret-sounding name that is given a literal, and passwords in
//! connection strings. Parsed by hand: no regex expresses "the value of this name" both well and cheaply.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Severity::{self, High, Medium};
use super::formats::compile;
use super::placeholder::{entropy, is_placeholder, is_reference};

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        "(?i)password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key\
         |signing[_-]?key|encryption[_-]?key|credential",
    )
});

/// A name and the literal that it is given.
pub(super) struct Assigned<'a> {
    pub name: &'a str,
    pub value: Range<usize>,
    pub quoted: bool,
}

/// How far a name reaches on each side of the word in it, and how far its value is looked for, in bytes. Without
/// a limit a long line full of such words would take time with the square of its length.
const NAME_BYTES_MAX: usize = 80;
const VALUE_BYTES_MAX: usize = 1_000;

/// Every secret-sounding name in `text` that is given a literal.
pub(super) fn assignments(text: &str) -> Vec<Assigned<'_>> {
    let mut found: Vec<Assigned<'_>> = Vec::new();
    for word in NAME.find_iter(text) {
        let bytes = text.as_bytes();
        let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let before = bytes[..word.start()]
            .iter()
            .rev()
            .take(NAME_BYTES_MAX)
            .take_while(|byte| in_name(byte))
            .count();
        let after = bytes[word.end()..]
            .iter()
            .take(NAME_BYTES_MAX)
            .take_while(|byte| in_name(byte) && **byte != b'.')
            .count();
        let name = word.start() - before..word.end() + after;
        if let Some((value, quoted)) = value_after(text, name.end)
            && found.last().is_none_or(|last| last.value != value)
        {
            found.push(Assigned {
                name: &text[name],
                value,
                quoted,
            });
        }
    }
    found
}

/// The literal after a name that ends at `at`: its bytes, and whether it stands in quotes.
fn value_after(text: &str, at: usize) -> Option<(Range<usize>, bool)> {
    let end = (0..=text.len().min(at + VALUE_BYTES_MAX))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    let text = &text[..end.unwrap_or(at)];
    let open = text[at..].trim_start_matches(['"', '\'', ']', '`']).trim_start();
    let (operator, call) = match open.as_bytes() {
        [b'=', b'>' | b'=', ..] => (2, false),
        [b':', b'=', ..] => (2, false),
        [b'=' | b':', ..] => (1, false),
        [b'(', ..] => (1, true),
        _ => return None,
    };
    let mut value = open[operator..].trim_start();
    // `const KEY: &str = "..."`: what follows the colon is a type.
    let in_type = |c: char| c.is_ascii_alphanumeric() || " _&<>':[]".contains(c);
    if open.starts_with(':')
        && let Some((kind, literal)) = value.split_once('=')
        && kind.chars().all(in_type)
        && literal.trim_start().starts_with(['"', '\'', '`'])
    {
        value = literal.trim_start();
    }
    let unprefixed = value
        .strip_prefix(['b', 'r', 'f', 'u'])
        .filter(|rest| rest.starts_with(['"', '\'']));
    let value = unprefixed.unwrap_or(value);
    let start = text.len() - value.len();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    match quote {
        Some(quote) => {
            let length = value[1..].find(quote)?;
            Some((start + 1..start + 1 + length, true))
        }
        None if call => None,
        None => {
            let ends = |c: char| c.is_whitespace() || "\"'`,;)(}{[]<>|".contains(c);
            let length = value.find(ends).unwrap_or(value.len());
            (length > 0).then_some((start..start + length, false))
        }
    }
}

/// Words that say the name is about a credential without holding one.
const NOT_A_SECRET: &[&str] = &[
    "_name",
    "_path",
    "_file",
    "_url",
    "_uri",
    "_type",
    "_field",
    "_header",
    "_env",
    "_var",
    "_ttl",
    "_length",
    "_len",
    "_count",
    "_limit",
    "_size",
    "_id",
    "_ref",
    "_policy",
    "_regex",
    "_pattern",
    "_prompt",
    "_label",
    "_expires",
    "_expiry",
    "_hash",
    "_arn",
    "_version",
    "_endpoint",
    "_budget",
    "_usage",
    "_kind",
    "_index",
    "_key_id",
    "name",
    "path",
    "file",
    "url",
    "type",
    "header",
    "ttl",
    "arn",
    "ref",
    "version",
    "hash",
    "digest",
    "keyid",
    "tokenizer",
    "tokens",
    "_algorithm",
    "_format",
    "_prefix",
    "_suffix",
    "_status",
    "_store",
    "_manager",
    "_provider",
];

/// How much a value given to a secret-sounding name matters; none when it is no credential.
pub(super) fn rate(name: &str, value: &str) -> Option<Severity> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let about_only = NOT_A_SECRET.iter().any(|end| name.ends_with(end))
        || [
            "public",
            "csrf_token_name",
            "placeholder",
            "max_token",
            "page_token",
            "checksum",
        ]
        .iter()
        .any(|part| name.contains(part));
    let printable = value.bytes().all(|byte| byte.is_ascii_graphic());
    if about_only || !printable || value.len() > 200 || is_placeholder(value) || is_reference(value) {
        return None;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    let marks = value.len() - digits - letters;
    if digits == 0 || letters == 0 || is_code(value) {
        return None;
    }
    let hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let random = entropy(value) >= if hex { 3.0 } else { 3.5 };
    if value.len() >= 20 && random && digits >= 2 && marks * 4 <= value.len() {
        return Some(High);
    }
    let is_password = ["password", "passwd", "passphrase", "pwd"]
        .iter()
        .any(|word| name.contains(word));
    let long = value.len() >= 16 && entropy(value) >= 3.3;
    let strong_password =
        is_password && value.len() >= 8 && (marks > 0 || digits >= 2) && !is_identifier(value);
    (long && !is_identifier(value) || strong_password).then_some(Medium)
}

/// True for a call, an index or a dotted name: something the program evaluates, not a literal.
fn is_code(value: &str) -> bool {
    let dotted = value.contains('.') && value.split('.').all(is_identifier);
    dotted || value.contains("::") || value.contains("->") || value.contains("()")
}

/// True for words joined by dashes or underscores, such as `db-password-v2`: a name, not a credential.
fn is_identifier(value: &str) -> bool {
    let word = |part: &str| {
        let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
        part.len() - letters.len() <= 3 && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    value.split(['_', '-']).all(word) && value.contains(['_', '-']) || word(value) && value.len() < 12
}

/// The password of an address such as `postgres://user:password@host/db`, and how much it matters.
pub(super) fn connection_passwords(text: &str) -> Vec<(Range<usize>, Option<Severity>)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let ends = |c: char| c.is_whitespace() || "/?#\"'`<>\\)".contains(c);
        let end = text[start..]
            .find(ends)
            .map_or(text.len(), |offset| start + offset);
        let Some(host_at) = text[start..end].rfind('@') else {
            continue;
        };
        let host = &text[start + host_at + 1..end];
        let Some(colon) = text[start..start + host_at].find(':') else {
            continue;
        };
        let (user, password) = (&text[start..start + colon], start + colon + 1..start + host_at);
        if password.is_empty() {
            continue;
        }
        let severity = rate_connection(user, &text[password.clone()], host);
        found.push((password, severity));
    }
    found
}

fn rate_connection(user: &str, password: &str, host: &str) -> Option<Severity> {
    const TRIVIAL: &[&str] = &[
        "password", "postgres", "secret", "pass", "passwd", "pwd", "root", "admin", "user", "test", "guest",
        "token",
    ];
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| is_port(port))
        .map_or(host, |(host, _)| host);
    let host = host.to_ascii_lowercase();
    let here = host.is_empty()
        || ["localhost", "[::1]", "0.0.0.0", "host.docker.internal"].contains(&host.as_str())
        || host.starts_with("127.");
    let example =
        host.contains("example") || host.ends_with(".test") || host.ends_with(".invalid") || host == "host";
    let lower = password.to_ascii_lowercase();
    let stand_in = password == user
        || TRIVIAL.contains(&lower.as_str())
        || lower.contains("password")
        || ["example", "changeme", "your", "xxxx", "***", "..."]
            .iter()
            .any(|word| lower.contains(word))
        || password.contains(['$', '{', '<', '[', '('])
        || password.starts_with(['%', ':'])
        || password.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    if here || example || stand_in {
        return None;
    }
    // A name without a dot is a neighbour in a compose file or a cluster.
    Some(if host.contains('.') { High } else { Medium })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(&str, &str, bool)> {
        assignments(text)
            .iter()
            .map(|found| (found.name, &text[found.value.clone()], found.quoted))
            .collect()
    }

    #[test]
    fn values_are_found_in_the_forms_of_many_languages() {
        assert_eq!(values(r#"{"apiKey": "v1"}"#), [("apiKey", "v1", true)]);
        assert_eq!(values("DB_PASSWORD=v2 # x"), [("DB_PASSWORD", "v2", false)]);
        assert_eq!(
            values(r#"const API_TOKEN: &str = "v3";"#),
            [("API_TOKEN", "v3", true)]
        );
        assert_eq!(values("secret := `v4`"), [("secret", "v4", true)]);
        assert_eq!(values("client.password('v5')"), [("client.password", "v5", true)]);
        assert!(values("a token of thanks").is_empty() && values("password: ").is_empty());
    }

    #[test]
    fn names_and_references_are_no_credentials() {
        for (name, value) in [
            ("token_url", "q7Rm2Zk9Wd4Tn8Yb"),
            ("password", "${DB_PASSWORD}"),
            ("secret", "my-app-secret-v2"),
            ("api_key", "config.api.key1"),
            ("password", "correct"),
            ("secret_name", "q7Rm2Zk9Wd4Tn8Yb"),
        ] {
            assert_eq!(rate(name, value), None, "{name} = {value}");
        }
        assert_eq!(rate("api_key", "q7Rm2Zk9Wd4Tn8YbLp3v"), Some(High));
        assert_eq!(rate("db_password", "Winter!2031"), Some(Medium));
    }

    #[test]
    fn passwords_in_addresses_are_rated_by_host() {
        let rate = |text: &str| {
            connection_passwords(text)
                .into_iter()
                .map(|(_, rate)| rate)
                .collect::<Vec<_>>()
        };
        let address = |host: &str| format!("postgres://app:{}@{host}/main", "k3Vn9".to_owned() + "zQ");
        assert_eq!(rate(&address("db.corp.net:5432")), [Some(High)]);
        assert_eq!(rate(&address("db")), [Some(Medium)]);
        assert_eq!(rate(&address("localhost")), [None]);
        assert!(rate("https://corp.net/a:b@c").is_empty());
    }
}
