//! Credentials in added lines.

mod assigned;
mod formats;
mod placeholder;
mod private_key;

use std::ops::Range;

use crate::review::path::Traits;
use crate::review::redact::redact;
use crate::review::sink::{Report, Sink};
use crate::review::source::{NewLine, Source};
use crate::review::{Category, RuleInfo, Severity};
use Severity::{Critical, High, Low, Medium};

pub(crate) use formats::compile;
pub(crate) use placeholder::looks_random;

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
        category: Category::Secrets,
        description,
    }
}

#[rustfmt::skip]
pub(super) const RULES: &[RuleInfo] = &[
    rule("secret-aws-access-key", "AWS access key id", High, "An AWS access key id is added; its secret half is usually close by."),
    rule("secret-aws-secret-key", "AWS secret access key", Critical, "An AWS secret access key is added: whoever reads it acts as its owner."),
    rule("secret-github-token", "GitHub token", Critical, "A GitHub token (classic, fine-grained, OAuth or app) is added."),
    rule("secret-gitlab-token", "GitLab token", Critical, "A GitLab personal, deploy, runner or trigger token is added."),
    rule("secret-slack-token", "Slack token", Critical, "A Slack bot, user or app token is added."),
    rule("secret-slack-webhook", "Slack webhook address", High, "A Slack webhook address is added: whoever has it can post."),
    rule("secret-stripe-key", "Stripe key", Critical, "A Stripe secret, restricted or webhook key is added."),
    rule("secret-google-api-key", "Google API key", High, "A Google API key or OAuth client secret is added."),
    rule("secret-private-key", "Private key", Critical, "A private key with its content is added."),
    rule("secret-jwt", "JSON web token", Medium, "A signed JSON web token is added; until it expires it opens what it was made for."),
    rule("secret-npm-token", "npm token", Critical, "An npm registry token is added: it can publish packages."),
    rule("secret-pypi-token", "PyPI token", Critical, "A PyPI token is added: it can publish packages."),
    rule("secret-azure-storage-key", "Azure storage account key", Critical, "An Azure storage account key is added: it opens the whole account."),
    rule("secret-digitalocean-token", "DigitalOcean token", Critical, "A DigitalOcean API token is added."),
    rule("secret-sendgrid-key", "SendGrid API key", Critical, "A SendGrid API key is added: it can send mail in your name."),
    rule("secret-linear-key", "Linear API key", Critical, "A Linear API, OAuth or webhook key is added."),
    rule("secret-openai-key", "OpenAI API key", Critical, "An OpenAI API key is added: others can spend your money."),
    rule("secret-anthropic-key", "Anthropic API key", Critical, "An Anthropic API key is added: others can spend your money."),
    rule("secret-huggingface-token", "Hugging Face token", Critical, "A Hugging Face token is added."),
    rule("secret-vault-token", "HashiCorp Vault token", Critical, "A Vault token is added: it opens other secrets."),
    rule("secret-docker-hub-token", "Docker Hub token", Critical, "A Docker Hub token is added: it can push images."),
    rule("secret-connection-string", "Password in a connection string", High, "An address with a user name and password in it is added."),
    rule("secret-generic-assignment", "Literal given to a secret's name", High, "A random-looking literal is given to a name such as password, token or api_key."),
    rule("secret-file", "File that usually holds credentials", Medium, "A file is added whose name says that it holds credentials, such as .env or id_rsa."),
];

const SUGGESTION: &str = "Revoke it now, since history keeps it even if this line goes; then read the new one from the \
                          environment or a secret store.";

/// Looks at every added line of a file, and at the name of an added file.
pub(super) fn apply<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    secret_file(source, sink);
    private_key::apply(source, sink);
    for line in source.added() {
        by_format(source, line, sink);
        by_address(source, line, sink);
        by_name(source, line, sink);
    }
}

/// Bytes of everything in `text` that would be a credential if it were real.
pub(crate) fn credential_spans(text: &str) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = formats::find(text).into_iter().map(|(_, span)| span).collect();
    spans.extend(private_key::spans(text));
    spans.extend(
        assigned::connection_passwords(text)
            .into_iter()
            .map(|(span, _)| span),
    );
    let assigned = assigned::assignments(text).into_iter();
    spans.extend(
        assigned
            .filter(|found| !is_reference_only(&text[found.value.clone()]))
            .map(|found| found.value),
    );
    spans
}

/// References such as `${{ secrets.TOKEN }}` are worth showing in an excerpt: they say what is wrong.
fn is_reference_only(value: &str) -> bool {
    value.starts_with(['$', '<', '/']) || value.len() < 4
}

/// In tests and documentation a credential is most often made up, so it is said and does not block.
fn rate(severity: Severity, traits: Traits, line: NewLine<'_>) -> Severity {
    let made_up = traits.test || traits.docs || line.in_tests;
    if made_up { severity.min(Medium) } else { severity }
}

fn report<'a>(
    source: &Source<'a>,
    line: NewLine<'a>,
    rule: &'static str,
    severity: Severity,
    message: String,
    span: Range<usize>,
) -> Report<'a> {
    let severity = rate(severity, source.traits, line);
    Report {
        focus: span,
        secret: true,
        ..source.at(rule, severity, line, message, SUGGESTION)
    }
}

fn by_format<'a>(source: &Source<'a>, line: NewLine<'a>, sink: &mut Sink<'a>) {
    for (format, span) in formats::find(line.text) {
        let value = &line.text[span.clone()];
        // The payload of the token that every tutorial on the subject shows.
        let tutorial = value.contains(".eyJzdWIiOiIxMjM0NTY3ODkw");
        if placeholder::is_placeholder(value) || tutorial || (source.traits.lock && !format.in_lock_files) {
            continue;
        }
        let message = format!("This line holds what looks like {}.", format.name);
        sink.report(report(source, line, format.rule, format.severity, message, span));
    }
}

fn by_address<'a>(source: &Source<'a>, line: NewLine<'a>, sink: &mut Sink<'a>) {
    for (span, severity) in assigned::connection_passwords(line.text) {
        let Some(severity) = severity else { continue };
        if sink.has_secret_at(source.path, line.number) {
            continue;
        }
        let message = "This address holds a user name and a password.".to_owned();
        sink.report(report(
            source,
            line,
            "secret-connection-string",
            severity,
            message,
            span,
        ));
    }
}

/// The longest line whose assignments are looked at, in bytes: beyond it the text is generated or minified.
const ASSIGNMENT_BYTES_MAX: usize = 4_000;

fn by_name<'a>(source: &Source<'a>, line: NewLine<'a>, sink: &mut Sink<'a>) {
    let Traits {
        lock,
        test,
        generated,
        docs,
    } = source.traits;
    if lock || test || generated || docs || line.text.len() > ASSIGNMENT_BYTES_MAX {
        return;
    }
    for found in assigned::assignments(line.text) {
        let value = &line.text[found.value.clone()];
        // In source code only a quoted value is a literal.
        let literal = found.quoted || is_configuration(source);
        let Some(severity) = assigned::rate(found.name, value).filter(|_| literal && !line.in_tests) else {
            continue;
        };
        if sink.has_secret_at(source.path, line.number) {
            continue;
        }
        let name = redact(found.name);
        let message = format!("`{name}` is given a literal that looks like a real credential.");
        sink.report(report(
            source,
            line,
            "secret-generic-assignment",
            severity,
            message,
            found.value.clone(),
        ));
    }
}

fn is_configuration(source: &Source<'_>) -> bool {
    let name = source.name();
    name.starts_with(".env")
        || name.starts_with("dockerfile")
        || [
            "env",
            "ini",
            "cfg",
            "conf",
            "properties",
            "yaml",
            "yml",
            "toml",
            "sh",
            "bash",
            "netrc",
            "npmrc",
            "pypirc",
            "tfvars",
            "service",
        ]
        .contains(&source.extension())
}

fn secret_file<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    const NAMES: &[&str] = &[
        ".env",
        ".netrc",
        ".pgpass",
        ".htpasswd",
        ".pypirc",
        "id_rsa",
        "id_ed25519",
        "id_ecdsa",
        "id_dsa",
        "kubeconfig",
        "terraform.tfstate",
        "credentials.json",
        "service-account.json",
        "secring.gpg",
        ".vault-token",
    ];
    const ENDS: &[&str] = &[
        ".p12",
        ".pfx",
        ".jks",
        ".keystore",
        ".kdbx",
        ".ppk",
        ".tfstate",
        ".ovpn",
    ];
    let name = source.name();
    let environment = name.starts_with(".env.") && !source.traits.docs && !name.ends_with(".test");
    let known = NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end)) || environment;
    use crate::review::diff::Change::{Added, Copied, Renamed};
    if known && matches!(source.file.change, Added | Copied | Renamed) {
        let severity = if source.traits.test || source.traits.docs {
            Low
        } else {
            Medium
        };
        sink.report(source.whole_file(
            "secret-file",
            severity,
            "A file of this name usually holds credentials or state, and is not meant for version control.",
            "Add its name to .gitignore, commit a template without values, and revoke what it held.",
        ));
    }
}
