//! Dockerfiles and compose files.

use std::collections::HashSet;

use super::yaml::entries;
use crate::review::Severity::{High, Low, Medium};
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
        category: Category::Container,
        description,
    }
}

#[rustfmt::skip]
pub(super) const RULES: &[RuleInfo] = &[
    rule("docker-unpinned-image", "Image without a version", Medium, "An image is named without a tag or by latest, so each build may get another one."),
    rule("docker-root-user", "Container runs as root", Medium, "The image runs as root: an escape from the process is an escape with all rights."),
    rule("docker-add-url", "Download without a checksum", Medium, "ADD fetches an address and takes whatever it answers."),
    rule("docker-secret-in-env", "Credential in the image", High, "ENV and ARG are kept in the image's history, where everybody who pulls it can read them."),
    rule("docker-copy-secret-file", "Credential file copied into the image", High, "A file that holds credentials becomes a layer of the image."),
    rule("docker-sudo", "sudo in a build", Low, "A build runs as root unless USER says otherwise; sudo adds a set-uid program to the image."),
    rule("docker-compose-host-access", "Container with the rights of the host", High, "A service is privileged, holds the Docker socket or shares the host's namespaces."),
];

pub(super) fn is_dockerfile(source: &Source<'_>) -> bool {
    let name = source.name();
    let named =
        |word: &str| name == word || name.strip_prefix(word).is_some_and(|rest| rest.starts_with('.'));
    named("dockerfile") || named("containerfile") || name.ends_with(".dockerfile")
}

pub(super) fn is_compose(source: &Source<'_>) -> bool {
    let name = source.name();
    (name.starts_with("docker-compose") || name.starts_with("compose"))
        && matches!(source.extension(), "yml" | "yaml")
}

pub(super) fn apply<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    if source.traits.docs && !is_dockerfile(source) {
        return;
    }
    if is_dockerfile(source) {
        let regions: Vec<Vec<Instruction<'a>>> = source.regions().map(|lines| instructions(&lines)).collect();
        images(source, &regions, sink);
        user(source, &regions, sink);
        for instruction in regions.iter().flatten().filter(|found| found.added().is_some()) {
            one(source, instruction, sink);
        }
    } else if is_compose(source) {
        compose(source, sink);
    }
}

/// One instruction with its continuation lines.
struct Instruction<'a> {
    keyword: String,
    /// What follows the keyword, joined into one line.
    text: String,
    lines: Vec<NewLine<'a>>,
}

impl<'a> Instruction<'a> {
    fn added(&self) -> Option<NewLine<'a>> {
        self.lines.iter().find(|line| line.added).copied()
    }

    /// The first added line that holds `word`, or else the first added one.
    fn added_with(&self, word: &str) -> Option<NewLine<'a>> {
        self.lines
            .iter()
            .find(|line| line.added && line.text.contains(word))
            .copied()
            .or_else(|| self.added())
    }
}

fn instructions<'a>(lines: &[NewLine<'a>]) -> Vec<Instruction<'a>> {
    let mut found: Vec<Instruction<'a>> = Vec::new();
    let mut open = false;
    for line in lines {
        let trimmed = line.text.trim();
        if trimmed.starts_with('#') || (trimmed.is_empty() && !open) {
            continue;
        }
        let (text, continues) = match trimmed.strip_suffix('\\') {
            Some(text) => (text.trim_end(), true),
            None => (trimmed, false),
        };
        match found.last_mut().filter(|_| open) {
            Some(instruction) => {
                instruction.text.push(' ');
                instruction.text.push_str(text);
                instruction.lines.push(*line);
            }
            None => {
                let (keyword, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
                found.push(Instruction {
                    keyword: keyword.to_ascii_uppercase(),
                    text: rest.trim().to_owned(),
                    lines: vec![*line],
                });
            }
        }
        open = continues;
    }
    found
}

/// True when the image is named without a version: no digest, no tag but latest, and no variable that may hold one.
pub(super) fn is_unpinned(image: &str) -> bool {
    if image.is_empty() || image == "scratch" || image.contains(['$', '@', '{', '%', '<', ' ']) {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn images<'a>(source: &Source<'a>, regions: &[Vec<Instruction<'a>>], sink: &mut Sink<'a>) {
    let mut stages: HashSet<String> = HashSet::new();
    for from in regions.iter().flatten().filter(|found| found.keyword == "FROM") {
        let words: Vec<&str> = from
            .text
            .split_whitespace()
            .filter(|word| !word.starts_with("--"))
            .collect();
        let image = words.first().copied().unwrap_or("");
        // A hunk may hide the stage that a plain name refers to.
        let stage = stages.contains(image) || (!source.whole() && !image.contains([':', '/']));
        if let Some(line) = from
            .added()
            .filter(|_| is_unpinned(image) && (!stage || image.ends_with(":latest")))
        {
            sink.report(source.at(
                "docker-unpinned-image",
                Medium,
                line,
                "This image has no version: the next build may get another one, and nobody can tell which one ran.",
                "Name a version, or better a digest: `image:1.2.3@sha256:...`.",
            ));
        }
        if words.get(1).is_some_and(|word| word.eq_ignore_ascii_case("as")) {
            stages.extend(words.get(2).map(|name| (*name).to_owned()));
        }
    }
}

fn user<'a>(source: &Source<'a>, regions: &[Vec<Instruction<'a>>], sink: &mut Sink<'a>) {
    const SUGGESTION: &str =
        "End the last stage with a user of its own: `RUN useradd --system app` and `USER app`.";
    let all: Vec<&Instruction<'a>> = regions.iter().flatten().collect();
    let last_from = all.iter().rposition(|found| found.keyword == "FROM");
    let last_stage = &all[last_from.unwrap_or(0)..];
    match last_stage.iter().rev().find(|found| found.keyword == "USER") {
        Some(user) => {
            let name = user.text.split(':').next().unwrap_or("").trim();
            if let Some(line) = user.added().filter(|_| matches!(name, "root" | "0")) {
                // Below the hunk another USER may follow.
                let severity = if source.whole() { Medium } else { Low };
                sink.report(source.at(
                    "docker-root-user",
                    severity,
                    line,
                    "The image ends as root, and so does whoever breaks into it.",
                    SUGGESTION,
                ));
            }
        }
        None if source.whole() => {
            let from = last_from.and_then(|at| all.get(at));
            if let Some(from) =
                from.filter(|from| !from.text.contains("nonroot") && !from.text.contains("rootless"))
                && let Some(line) = from.added()
            {
                sink.report(source.at(
                    "docker-root-user",
                    Low,
                    line,
                    "No USER is set in the last stage, so the container runs as root.",
                    SUGGESTION,
                ));
            }
        }
        None => {}
    }
}

fn one<'a>(source: &Source<'a>, instruction: &Instruction<'a>, sink: &mut Sink<'a>) {
    let words = || instruction.text.split_whitespace();
    match instruction.keyword.as_str() {
        "ADD" if words().any(|word| word.starts_with("http://") || word.starts_with("https://")) => {
            let line = instruction
                .added()
                .filter(|_| !words().any(|word| word.starts_with("--checksum=")));
            if let Some(line) = line {
                sink.report(source.at(
                    "docker-add-url",
                    Medium,
                    line,
                    "Whatever the address answers at build time becomes part of the image, unchecked.",
                    "Use `ADD --checksum=sha256:...`, or download and compare the checksum in one RUN.",
                ));
            }
        }
        "RUN" if words().any(|word| word == "sudo") => {
            if let Some(line) = instruction.added_with("sudo") {
                sink.report(source.at(
                    "docker-sudo",
                    Low,
                    line,
                    "sudo is not needed in a build and leaves a set-uid program in the image.",
                    "Run the step before USER, as root, and leave sudo out.",
                ));
            }
        }
        "COPY" | "ADD" if !words().any(|word| word.starts_with("--from=")) => {
            let sources: Vec<&str> = words().filter(|word| !word.starts_with("--")).collect();
            let copied = &sources[..sources.len().saturating_sub(1)];
            if let Some(line) = instruction
                .added()
                .filter(|_| copied.iter().any(|path| is_secret_file(path)))
            {
                sink.report(source.at(
                    "docker-copy-secret-file",
                    High,
                    line,
                    "This file usually holds credentials, and everybody who pulls the image can read it, also when a later layer deletes it.",
                    "Mount it for the one step that needs it: `RUN --mount=type=secret,id=...`.",
                ));
            }
        }
        "ENV" | "ARG" => environment(source, instruction, sink),
        _ => {}
    }
}

fn is_secret_file(path: &str) -> bool {
    let path = path.trim_matches(['"', '[', ',', '\'']);
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    [
        ".env",
        ".npmrc",
        ".netrc",
        ".pypirc",
        ".pgpass",
        ".ssh",
        ".aws",
        "id_rsa",
        "id_ed25519",
        "credentials.json",
        ".git-credentials",
    ]
    .contains(&name)
}

/// The most variables of one instruction that are looked at.
const VARIABLES_MAX: usize = 500;

fn environment<'a>(source: &Source<'a>, instruction: &Instruction<'a>, sink: &mut Sink<'a>) {
    let pairs: Vec<(&str, Option<&str>)> = if instruction.keyword == "ENV" && !instruction.text.contains('=')
    {
        // The old form: `ENV NAME value`.
        instruction
            .text
            .split_once(char::is_whitespace)
            .map(|(name, value)| (name, Some(value)))
            .into_iter()
            .collect()
    } else {
        instruction
            .text
            .split_whitespace()
            .map(|word| {
                word.split_once('=')
                    .map_or((word, None), |(name, value)| (name, Some(value)))
            })
            .collect()
    };
    for (name, value) in pairs.into_iter().take(VARIABLES_MAX) {
        let upper = name.to_ascii_uppercase();
        let secret = [
            "PASSWORD",
            "PASSWD",
            "SECRET",
            "TOKEN",
            "API_KEY",
            "APIKEY",
            "ACCESS_KEY",
            "PRIVATE_KEY",
            "CREDENTIALS",
        ]
        .iter()
        .any(|end| upper == *end || upper.ends_with(&format!("_{end}")));
        let literal = value.map(|value| value.trim_matches(['"', '\'']));
        let empty = literal.is_some_and(|value| value.is_empty() || value.starts_with(['$', '/', '<']));
        // ARG without a value is given at build time, which lands in the history all the same.
        if !secret || empty || (literal.is_none() && instruction.keyword == "ENV") {
            continue;
        }
        let Some(line) = instruction.added_with(name) else {
            continue;
        };
        let severity = if literal.is_some() { High } else { Medium };
        let mut report = source.at(
            "docker-secret-in-env",
            severity,
            line,
            "What ENV and ARG hold is kept in the image's history, for everybody who pulls it.",
            "Give it at run time, or to one build step by `RUN --mount=type=secret,id=...`.",
        );
        if let Some(at) = literal.and_then(|value| line.text.find(value).map(|at| at..at + value.len())) {
            report.focus = at;
            report.secret = true;
        }
        sink.report(report);
    }
}

fn compose<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    for lines in source.regions() {
        for entry in entries(&lines).iter().filter(|entry| entry.line.added) {
            if entry.key == "image" && is_unpinned(entry.value) {
                sink.report(source.at(
                    "docker-unpinned-image",
                    Medium,
                    entry.line,
                    "This image has no version: the next start may get another one, and nobody can tell which one ran.",
                    "Name a version, or better a digest: `image:1.2.3@sha256:...`.",
                ));
            }
            let socket = entry.line.text.contains("/var/run/docker.sock");
            let namespace = matches!(entry.key, "network_mode" | "pid" | "ipc") && entry.value == "host";
            if socket || namespace || (entry.key == "privileged" && entry.value == "true") {
                sink.report(source.at(
                    "docker-compose-host-access",
                    if namespace { Medium } else { High },
                    entry.line,
                    "Whoever breaks into this container has the host.",
                    "Give the one capability or device that it needs (`cap_add`, `devices`), or a proxy that allows the few calls it makes.",
                ));
            }
        }
    }
}
