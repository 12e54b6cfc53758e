//! Source code in general. Few rules, since little can be said about code without understanding it.

use std::sync::LazyLock;

use regex::Regex;

use super::actions::is_workflow;
use super::container::is_dockerfile;
use super::secrets::compile;
use crate::review::Severity::{Low, Medium};
use crate::review::sink::Sink;
use crate::review::source::Source;
use crate::review::{Category, RuleInfo, Severity};

const fn rule(
    id: &'static str,
    title: &'static str,
    severity: Severity,
    description: &'static str,
) -> RuleInfo {
    RuleInfo {
        id,
        title,
        severity,
        category: Category::Code,
        description,
    }
}

#[rustfmt::skip]
pub(super) const RULES: &[RuleInfo] = &[
    rule("code-tls-verification-off", "Certificates not checked", Medium, "A connection accepts any certificate, so anybody on the way can read and change it."),
    rule("code-pipe-to-shell", "Download run by a shell", Medium, "A script is downloaded and run in one go, unchecked: whatever the address answers is executed."),
    rule("code-debug-leftover", "Left over from debugging", Low, "A debugger statement or debugging macro was left in."),
];

/// Words one of which is in whatever [`NO_TLS`] and [`DEBUG`] match: most lines need no regex at all.
const NO_TLS_WORDS: &[&str] = &[
    "erif",
    "nvalid",
    "TLS",
    "ERIFY",
    "CERT",
    "ertificate",
    "nauthorized",
];
const DEBUG_WORDS: &[&str] = &["debugger", "pdb", "breakpoint", "binding.", "byebug", "dbg!"];

static NO_TLS: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"danger_accept_invalid_(?:certs|hostnames)\(true\)|InsecureSkipVerify:\s*true|rejectUnauthorized:\s*false",
        r#"|\bverify\s*=\s*False\b|NODE_TLS_REJECT_UNAUTHORIZED["']?\]?\s*[=:]\s*["']?0|CURLOPT_SSL_VERIFYPEER,\s*(?:0|false|FALSE)"#,
        r#"|_create_unverified_context|verify_mode\s*=\s*(?:ssl\.CERT_NONE|OpenSSL::SSL::VERIFY_NONE)\s*$"#,
        r#"|cert_reqs\s*=\s*["']?(?:ssl\.)?CERT_NONE|http\.sslVerify\s*=?\s*false|GIT_SSL_NO_VERIFY"#,
        r"|ServerCertificateCustomValidationCallback\s*=[ -~]*=>\s*true",
    ))
});

static PIPE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\b(?:curl|wget)\b[ -\x22$%'-:<-{}~]*\|\s*(?:sudo\s+(?:-[A-Za-z]+\s+)*)?(?:/bin/)?(?:(?:sh|bash|zsh|dash)\b|python3?\s*-?\s*$)|\b(?:sh|bash)\s+(?:-c\s+)?[<(\x22]*\$?\(\s*(?:curl|wget)\b",
    )
});

static DEBUG: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"^\s*debugger;?\s*$|^\s*(?:import pdb;\s*)?pdb\.set_trace\(\)|^\s*breakpoint\(\)\s*$|^\s*binding\.(?:pry|irb)\s*$",
        r"|^\s*byebug\s*$|(?:^|[\s=(])dbg!\(|^\s*import i?pdb\b",
    ))
});

pub(super) fn apply<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    let traits = source.traits;
    if traits.test || traits.docs || traits.generated || traits.lock {
        return;
    }
    let shell = matches!(source.extension(), "sh" | "bash" | "zsh" | "mk") || source.name() == "makefile";
    let scripts = shell || is_dockerfile(source) || is_workflow(source);
    for line in source.added().filter(|line| line.text.len() < 2_000) {
        let text = line.text.trim_start();
        // A comment, and a pattern of a linter such as this one, only talk about it.
        if ["//", "#", "--", "*"].iter().any(|mark| text.starts_with(mark))
            || text.starts_with("r\"")
            || text.starts_with("r#\"")
            || text.starts_with('|')
        {
            continue;
        }
        let holds = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if is_code(source) && !line.in_tests && holds(DEBUG_WORDS) && DEBUG.is_match(line.text) {
            sink.report(source.at(
                "code-debug-leftover",
                Low,
                line,
                "This stops or clutters the program and is only of use while debugging.",
                "Take it out.",
            ));
        }
        if !line.in_tests && !text.starts_with("def ") && holds(NO_TLS_WORDS) && NO_TLS.is_match(line.text) {
            sink.report(source.at(
                "code-tls-verification-off",
                Medium,
                line,
                "Any certificate is accepted here, so anybody on the way can read and change what is sent.",
                "Trust the right authority instead: add its certificate to the client's store.",
            ));
        }
        if scripts && (text.contains("curl") || text.contains("wget")) && PIPE.is_match(text) {
            sink.report(source.at(
                "code-pipe-to-shell",
                Medium,
                line,
                "Whatever the address answers is executed, also when it was cut off or replaced.",
                "Download a fixed version, compare its checksum, then run it; or use a package.",
            ));
        }
    }
}

fn is_code(source: &Source<'_>) -> bool {
    matches!(
        source.extension(),
        "rs" | "py" | "rb" | "js" | "ts" | "jsx" | "tsx" | "mjs" | "cjs" | "vue" | "svelte"
    )
}
