//! GitHub Actions workflows, and those of forges that copy them.

use std::sync::LazyLock;

use regex::Regex;

use super::secrets::compile;
use super::yaml::{Entry, entries};
use crate::review::Severity::{High, Medium};
use crate::review::sink::Sink;
use crate::review::source::{NewLine, Source};
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
        category: Category::Ci,
        description,
    }
}

#[rustfmt::skip]
pub(super) const RULES: &[RuleInfo] = &[
    rule("actions-unpinned", "Third-party action not pinned", Medium, "An action of a third party is used by a tag or branch, which its owner can move to other code."),
    rule("actions-script-injection", "Outside text in a script", High, "Text that anybody can write (a title, a branch name) is pasted into a shell script."),
    rule("actions-pull-request-target-checkout", "Foreign code run with secrets", High, "A workflow that has the repository's secrets checks out the code of a pull request."),
    rule("actions-write-all", "All permissions", Medium, "The workflow's token may change everything in the repository."),
    rule("actions-secret-echo", "Secret printed to the log", Medium, "A script prints a secret; masking fails as soon as it is cut or encoded."),
    rule("actions-insecure-commands", "Insecure workflow commands", Medium, "ACTIONS_ALLOW_UNSECURE_COMMANDS lets any printed text set variables."),
];

/// Contexts that people without rights can fill.
static OUTSIDE: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"\$\{\{[ -|~]*(?:github\.head_ref",
        r"|github\.event\.(?:issue|pull_request|discussion)\.(?:title|body)",
        r"|github\.event\.pull_request\.head\.(?:ref|label|repo\.default_branch)",
        r"|github\.event\.(?:comment|review|review_comment)\.body",
        r"|github\.event\.(?:head_commit|commits[ -|~]*|workflow_run\.head_commit)\.(?:message|author\.(?:name|email))",
        r"|github\.event\.workflow_run\.head_branch",
        r"|github\.event\.pages[ -|~]*\.page_name)",
    ))
});

static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"github\.event\.pull_request\.head\.(?:sha|ref)|github\.head_ref|refs/pull/|github\.event\.workflow_run\.head_(?:sha|branch)",
    )
});

static ECHO: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"(?:^|[\s;&|(])(?:echo|printf)\s[ -=?-{}~]*\$\{\{\s*secrets\.[A-Za-z0-9_]+\s*\}\}(?u:[^|>])*$")
});

pub(super) fn is_workflow(source: &Source<'_>) -> bool {
    let path = &source.lower_path;
    let folder = [
        ".github/workflows/",
        ".github/actions/",
        ".gitea/workflows/",
        ".forgejo/workflows/",
    ];
    let yaml = matches!(source.extension(), "yml" | "yaml");
    yaml && (folder.iter().any(|folder| path.contains(folder))
        || matches!(source.name(), "action.yml" | "action.yaml"))
}

pub(super) fn apply<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    if !is_workflow(source) {
        return;
    }
    for lines in source.regions() {
        let entries = entries(&lines);
        for entry in entries.iter().filter(|entry| entry.line.added) {
            pinned(source, entry, sink);
            settings(source, entry, sink);
        }
        scripts(source, &lines, &entries, sink);
    }
    foreign_code(source, sink);
}

fn pinned<'a>(source: &Source<'a>, entry: &Entry<'a>, sink: &mut Sink<'a>) {
    let first_party = ["./", "../", "actions/", "github/"]
        .iter()
        .any(|start| entry.value.starts_with(start));
    if entry.key != "uses" || first_party || entry.value.is_empty() || entry.value.contains("@sha256:") {
        return;
    }
    let reference = entry
        .value
        .rsplit_once('@')
        .map_or("", |(_, reference)| reference);
    if reference.len() == 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return;
    }
    sink.report(source.at(
        "actions-unpinned",
        Medium,
        entry.line,
        "This action is named by a tag or branch: whoever controls it can change what runs here, with this workflow's secrets.",
        "Pin it to the full commit hash and keep the version in a comment: `uses: owner/action@<40 hex digits> # v1.2.3`.",
    ));
}

fn settings<'a>(source: &Source<'a>, entry: &Entry<'a>, sink: &mut Sink<'a>) {
    if entry.key == "permissions" && entry.value == "write-all" {
        sink.report(source.at(
            "actions-write-all",
            Medium,
            entry.line,
            "Every step, third-party actions included, may change everything in the repository.",
            "Start from `permissions: {}` or `contents: read`, and give each job what it needs.",
        ));
    }
    if entry.key == "ACTIONS_ALLOW_UNSECURE_COMMANDS" && entry.value != "false" {
        sink.report(source.at(
            "actions-insecure-commands",
            Medium,
            entry.line,
            "Any text that a step prints can now set environment variables and paths.",
            "Write to $GITHUB_ENV and $GITHUB_PATH instead.",
        ));
    }
}

/// Looks at the lines of scripts: values and blocks of `run` and `script`, and lines that are no entry, since
/// a region may begin in the middle of a script.
fn scripts<'a>(source: &Source<'a>, lines: &[NewLine<'a>], entries: &[Entry<'a>], sink: &mut Sink<'a>) {
    let mut script: Vec<bool> = vec![true; lines.len()];
    for entry in entries {
        let runs = matches!(entry.key, "run" | "script");
        if let Ok(at) = lines.binary_search_by_key(&entry.line.number, |line| line.number) {
            script[at] = runs || (entry.key.is_empty() && !entry.item);
        }
        for at in entry.block.clone() {
            script[at] = runs;
        }
    }
    for (line, _) in lines
        .iter()
        .zip(script)
        .filter(|(line, script)| *script && line.added)
    {
        if !line.text.contains("${{") {
            continue;
        }
        if line.text.contains("github.")
            && let Some(found) = OUTSIDE.find(line.text)
        {
            let mut report = source.at(
                "actions-script-injection",
                High,
                *line,
                "Anybody who can open an issue or pull request writes this text, and the shell runs it as part of the script.",
                "Pass it through `env:` and use the variable in quotes: `\"$TITLE\"`.",
            );
            report.focus = found.range();
            sink.report(report);
        }
        if line.text.contains("secrets.") && ECHO.is_match(line.text) {
            sink.report(source.at(
                "actions-secret-echo",
                Medium,
                *line,
                "This prints a secret to the log, where masking fails as soon as the text is cut, encoded or reformatted.",
                "Pass the secret to the program that needs it through `env:` or standard input.",
            ));
        }
    }
}

fn foreign_code<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    let lines: Vec<NewLine<'a>> = source.regions().flatten().collect();
    let trigger = lines.iter().find(|line| {
        let text = line.text.split('#').next().unwrap_or("");
        text.contains("pull_request_target")
            || (text.contains("workflow_run") && text.trim_end().ends_with(':') && !text.contains('.'))
    });
    let Some(trigger) = trigger else { return };
    let checkouts = lines.iter().filter(|line| {
        let entry = line.text.trim_start().trim_start_matches("- ");
        (entry.starts_with("ref:")
            || entry.contains("git checkout")
            || entry.contains("git fetch")
            || entry.contains("gh pr checkout"))
            && (HEAD.is_match(entry) || entry.contains("gh pr checkout"))
    });
    for checkout in checkouts {
        // Either half may be the new one.
        let Some(line) = [checkout, trigger].into_iter().find(|line| line.added) else {
            continue;
        };
        sink.report(source.at(
            "actions-pull-request-target-checkout",
            High,
            *line,
            "This workflow runs with the repository's secrets and a token that can write, and checks out code from a pull request: its build scripts and tests run with both.",
            "Use `pull_request` for anything that runs the code; keep `pull_request_target` to steps that only label or comment.",
        ));
    }
}
