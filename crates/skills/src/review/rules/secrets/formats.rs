//! Credentials that are known by their form. A cheap search for fixed parts of them decides which of the
//! patterns look at a line, so a pattern that is never needed is never compiled.

use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::{Regex, RegexBuilder};

use super::Severity::{self, Critical, High, Medium};

/// A known form of credential.
pub(super) struct Format {
    pub rule: &'static str,
    /// What it is called in messages.
    pub name: &'static str,
    pub severity: Severity,
    /// Fixed parts, one of which is in every match.
    parts: &'static [&'static str],
    /// The credential is group 1.
    pattern: &'static str,
    /// False where random text of lock files and fixtures resembles it.
    pub in_lock_files: bool,
}

const fn format(
    rule: &'static str,
    name: &'static str,
    severity: Severity,
    parts: &'static [&'static str],
    pattern: &'static str,
) -> Format {
    Format {
        rule,
        name,
        severity,
        parts,
        pattern,
        in_lock_files: true,
    }
}

const fn not_in_lock_files(format: Format) -> Format {
    Format {
        in_lock_files: false,
        ..format
    }
}

#[rustfmt::skip]
pub(super) static FORMATS: &[Format] = &[
    format("secret-aws-access-key", "an AWS access key id", High, &["AKIA", "ASIA"],
        r"\b((?:AKIA|ASIA)[A-Z2-7]{16})\b"),
    not_in_lock_files(format("secret-aws-secret-key", "an AWS secret access key", Critical,
        &["secret_access_key", "SECRET_ACCESS_KEY", "ecretAccessKey", "secret-access-key", "aws_secret", "AWS_SECRET"],
        r#"(?i)secret[_-]?(?:access[_-]?)?key["']?\s*(?:=>|:=|=|:)\s*["'`]?([a-z0-9/+]{40})(?:["'`\s,;]|$)"#)),
    format("secret-github-token", "a GitHub token", Critical, &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        r"\b(gh[pousr]_[A-Za-z0-9]{36,})\b"),
    format("secret-github-token", "a GitHub fine-grained token", Critical, &["github_pat_"],
        r"\b(github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b"),
    format("secret-gitlab-token", "a GitLab token", Critical,
        &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glsoat-", "glagent-", "gloas-", "glft-", "glimt-"],
        r"\b(gl(?:pat|dt|rt|ptt|cbt|soat|agent|oas|ft|imt)-[A-Za-z0-9_.-]{20,})"),
    format("secret-slack-token", "a Slack token", Critical, &["xoxa-", "xoxb-", "xoxp-", "xoxo-", "xoxs-", "xoxr-", "xapp-", "xoxe."],
        r"\b(xox[abposr]-[0-9]{6,}-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Z0-9]{6,20}-[0-9]{6,20}-[A-Za-z0-9]{20,}|xoxe\.xox[bp]-[0-9]-[A-Za-z0-9]{60,})"),
    format("secret-slack-webhook", "a Slack webhook address", High, &["hooks.slack.com/"],
        r"hooks\.slack\.com/((?:services|workflows|triggers)/[A-Z0-9]{6,14}/[A-Za-z0-9]{6,20}/[A-Za-z0-9/]{20,80})"),
    format("secret-stripe-key", "a Stripe live key", Critical, &["sk_live_", "rk_live_"],
        r"\b([sr]k_live_[A-Za-z0-9]{16,})\b"),
    format("secret-stripe-key", "a Stripe test key", Medium, &["sk_test_", "rk_test_"],
        r"\b([sr]k_test_[A-Za-z0-9]{16,})\b"),
    format("secret-stripe-key", "a Stripe webhook secret", High, &["whsec_"], r"\b(whsec_[A-Za-z0-9+/]{32,})"),
    format("secret-google-api-key", "a Google API key", High, &["AIza"], r"\b(AIza[A-Za-z0-9_-]{35})(?:[ -,./:-@\[-^`{-~\t]|$)"),
    format("secret-google-api-key", "a Google OAuth client secret", Critical, &["GOCSPX-"], r"\b(GOCSPX-[A-Za-z0-9_-]{28})"),
    not_in_lock_files(format("secret-jwt", "a JSON web token", Medium, &["eyJ"],
        r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,})")),
    format("secret-npm-token", "an npm token", Critical, &["npm_"], r"\b(npm_[A-Za-z0-9]{36})\b"),
    format("secret-npm-token", "an npm registry token", Critical, &["_authToken"], r"_authToken\s*=\s*([A-Za-z0-9_+/=-]{20,})"),
    format("secret-pypi-token", "a PyPI token", Critical, &["pypi-AgE"], r"\b(pypi-AgE[A-Za-z0-9_-]{50,})"),
    format("secret-azure-storage-key", "an Azure storage account key", Critical, &["AccountKey="], r"AccountKey=([A-Za-z0-9+/]{86}==)"),
    format("secret-digitalocean-token", "a DigitalOcean token", Critical, &["dop_v1_", "doo_v1_", "dor_v1_"],
        r"\b(do[opr]_v1_[a-f0-9]{64})\b"),
    format("secret-sendgrid-key", "a SendGrid API key", Critical, &["SG."], r"\b(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})"),
    format("secret-linear-key", "a Linear API key", Critical, &["lin_api_", "lin_oauth_", "lin_wh_"],
        r"\b(lin_(?:api|oauth|wh)_[A-Za-z0-9]{32,64})\b"),
    format("secret-openai-key", "an OpenAI API key", Critical, &["sk-proj-", "sk-svcacct-", "sk-admin-"],
        r"\b(sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,})"),
    format("secret-openai-key", "an OpenAI API key", Critical, &["T3BlbkFJ"], r"\b(sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})"),
    format("secret-anthropic-key", "an Anthropic API key", Critical, &["sk-ant-"], r"\b(sk-ant-[a-z0-9]{3,10}-[A-Za-z0-9_-]{40,})"),
    format("secret-huggingface-token", "a Hugging Face token", Critical, &["hf_"], r"\b(hf_[A-Za-z]{34})\b"),
    format("secret-vault-token", "a HashiCorp Vault token", Critical, &["hvs.", "hvb."], r"\b(hv[sb]\.[A-Za-z0-9_-]{40,})"),
    format("secret-docker-hub-token", "a Docker Hub token", Critical, &["dckr_pat_", "dckr_oat_"],
        r"\b(dckr_[po]at_[A-Za-z0-9_-]{27,64})"),
];

/// One regex of all fixed parts, and for each part the formats that it stands for.
struct Parts {
    regex: Regex,
    formats: Vec<(&'static str, usize)>,
}

static PARTS: LazyLock<Parts> = LazyLock::new(|| {
    let formats: Vec<(&str, usize)> = FORMATS
        .iter()
        .enumerate()
        .flat_map(|(index, format)| format.parts.iter().map(move |part| (*part, index)))
        .collect();
    let pattern: Vec<String> = formats.iter().map(|(part, _)| regex::escape(part)).collect();
    Parts {
        regex: compile(&pattern.join("|")),
        formats,
    }
});

static COMPILED: [OnceLock<Regex>; FORMATS.len()] = [const { OnceLock::new() }; FORMATS.len()];

/// Compiles a pattern of this crate, in which classes such as `\s` mean ASCII: the tables of Unicode cost
/// milliseconds in a fresh instance. Every pattern is used by some example, so a wrong one fails a test.
pub(crate) fn compile(pattern: &str) -> Regex {
    let built = RegexBuilder::new(pattern).unicode(false).build();
    built.expect("a pattern of the review rules is a valid regex")
}

/// Every credential of a known form in `text`: the format and the bytes of the credential.
pub(super) fn find(text: &str) -> Vec<(&'static Format, Range<usize>)> {
    let mut found = Vec::new();
    let mut tried = 0u64;
    for part in PARTS.regex.find_iter(text) {
        for (_, index) in PARTS.formats.iter().filter(|(known, _)| *known == part.as_str()) {
            if tried & (1 << index) != 0 {
                continue;
            }
            tried |= 1 << index;
            let regex = COMPILED[*index].get_or_init(|| compile(FORMATS[*index].pattern));
            let secrets = regex.captures_iter(text).filter_map(|groups| groups.get(1));
            found.extend(secrets.map(|secret| (&FORMATS[*index], secret.range())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_has_a_bit() {
        assert!(FORMATS.len() <= 64);
        for format in FORMATS {
            assert_eq!(compile(format.pattern).captures_len(), 2, "{}", format.rule);
        }
        assert!(find("nothing here").is_empty());
    }
}
