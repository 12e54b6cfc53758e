//! Telling a credential from a stand-in for one.

/// Words that people write where a credential goes. Each is long enough that a random string hardly ever
/// holds it by chance.
const WORDS: &[&str] = &[
    "example",
    "xxxx",
    "****",
    "....",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "your",
    "dummy",
    "fake",
    "sample",
    "redacted",
    "insert",
    "replace",
    "1234567890",
    "0123456789",
    "abcdefgh",
    "deadbeef",
    "notreal",
    "not-real",
    "not_real",
    "secret_here",
    "mytoken",
    "my_token",
    "my-token",
    "00000000",
    "aaaaaaaa",
];

/// True when the value is a template, a reference or an obvious example.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word)) || is_reference(value) || entropy(value) < 2.5
}

/// True when the value names where the credential is, instead of being one.
pub(super) fn is_reference(value: &str) -> bool {
    const PARTS: &[&str] = &["${", "{{", "$(", "%(", "%{", "#{", "<%", "@@", "://", "ENC["];
    const STARTS: &[&str] = &[
        "$",
        "<",
        "/",
        "./",
        "../",
        "~/",
        "arn:",
        "vault:",
        "op:",
        "file:",
        "env:",
        "env.",
        "secrets.",
        "var.",
        "local.",
        "process.env",
        "os.environ",
        "sops:",
        "ssm:",
        "projects/",
        "secretsmanager:",
        "keyring:",
        "%",
        "@",
    ];
    PARTS.iter().any(|part| value.contains(part)) || STARTS.iter().any(|start| value.starts_with(start))
}

/// Shannon entropy over bytes, in bits for each byte; 0 for an empty text.
pub(super) fn entropy(value: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = value.len() as f64;
    let part = |count: &u32| {
        let share = f64::from(*count) / length;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(part).sum()
}

/// True for a long string that no person typed: letters and digits mixed, near-random.
pub(crate) fn looks_random(value: &str) -> bool {
    value.len() >= 24
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
        && value
            .split(['/', '-', '_'])
            .any(|part| part.len() >= 12 && part.bytes().any(|byte| byte.is_ascii_digit()))
        && entropy(value) >= 3.3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_told_from_random_strings() {
        for value in [
            "your-token-here",
            "${TOKEN}",
            "$TOKEN",
            "xxxxxxxxxxxxxxxx",
            "<token>",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        assert!(!is_placeholder("q7Rm2Zk9Wd4Tn8Yb"));
        assert!(looks_random("q7Rm2Zk9Wd4Tn8Ybq3Lp6Vc5") && !looks_random("a-long-name-of-some-thing-v2"));
        assert!(entropy("") == 0.0 && entropy("aaaa") == 0.0 && (entropy("abcd") - 2.0).abs() < 1e-9);
    }
}
