//! The shape of the change itself: its size, what it mixes, and what in it cannot be seen by reading it.

use std::collections::HashSet;

use crate::review::Severity::{High, Info, Low, Medium};
use crate::review::diff::{Change, LineKind};
use crate::review::sink::{Report, Sink};
use crate::review::source::Source;
use crate::review::{Category, Options, RuleInfo, Severity};

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
        category: Category::Change,
        description,
    }
}

#[rustfmt::skip]
pub(super) const RULES: &[RuleInfo] = &[
    rule("change-oversized", "Oversized change", Medium, "The change has more lines than people review with care."),
    rule("change-mixed-generated", "Generated and hand-written code together", Info, "Vendored or generated files hide a smaller change by hand."),
    rule("change-mixed-migration", "Destructive migration together with code", Medium, "A migration drops, renames or retypes what the code of the same change uses: the two cannot go live in the same instant."),
    rule("change-mixed-formatting", "Formatting and logic together", Low, "Many lines differ only in white space and hide a few that differ in meaning."),
    rule("change-merge-marker", "Merge conflict marker", High, "A conflict marker was left in the text."),
    rule("change-guildhall-toml", "Commands that Guildhall may run", Medium, "The change touches guildhall.toml, which says which commands the agents may run."),
    rule("change-hidden-characters", "Characters that hide text", High, "Characters that reorder or hide text make a line read differently from what runs."),
    rule("change-binary", "Binary file that cannot be reviewed", Low, "A binary file other than a picture, font or document is added or changed."),
    rule("change-symlink-escape", "Symbolic link out of the repository", Medium, "A symbolic link points to an absolute path or above the repository."),
    rule("change-submodule", "Submodule changed", Low, "A submodule points to another commit, and the diff does not show what that brings."),
];

/// Looks at the change as a whole. `destructive` is the first destructive migration of the change, if any.
pub(super) fn apply<'a>(
    files: &'a [Source<'a>],
    destructive: Option<&'a Source<'a>>,
    options: &Options,
    sink: &mut Sink<'a>,
) {
    for source in files {
        guildhall_toml(source, sink);
        binary(source, sink);
        links(source, sink);
        if !source.traits.lock {
            lines(source, sink);
        }
    }
    size(files, options, sink);
    mixed_migration(files, destructive, sink);
    mixed_formatting(files, sink);
}

/// A report about the change and not about a file.
fn whole_change<'a>(
    rule: &'static str,
    severity: Severity,
    message: String,
    suggestion: &'static str,
) -> Report<'a> {
    Report {
        rule,
        severity,
        file: "",
        line: None,
        message,
        suggestion: suggestion.into(),
        text: "",
        focus: 0..0,
        secret: false,
    }
}

fn changed_lines(source: &Source<'_>) -> usize {
    source
        .file
        .lines()
        .filter(|line| line.kind != LineKind::Context)
        .count()
}

fn by_hand(source: &Source<'_>) -> bool {
    !source.traits.generated && !source.traits.lock
}

fn size<'a>(files: &'a [Source<'a>], options: &Options, sink: &mut Sink<'a>) {
    let limit = usize::try_from(options.oversized_lines).unwrap_or(usize::MAX);
    let sum = |of: &dyn Fn(&Source<'_>) -> bool| -> usize {
        files.iter().filter(|file| of(file)).map(changed_lines).sum()
    };
    let hand_written = sum(&by_hand);
    if hand_written > limit {
        sink.report(whole_change(
            "change-oversized",
            Medium,
            format!("{hand_written} lines are changed by hand, more than the {limit} that a review can cover with care."),
            "Split it: refactoring first, then behaviour, each part with its tests.",
        ));
    }
    // A lock file belongs to the change that needs it; vendored and generated code is what hides things.
    let generated = sum(&|file| file.traits.generated);
    let code = sum(&|file| by_hand(file) && !file.traits.docs);
    if generated >= 200 && code > 0 && generated > code {
        sink.report(whole_change(
            "change-mixed-generated",
            Info,
            format!(
                "{generated} lines of vendored or generated files come together with {code} written by hand."
            ),
            "Commit generated and vendored files on their own, with the command that made them.",
        ));
    }
}

fn mixed_migration<'a>(files: &'a [Source<'a>], destructive: Option<&'a Source<'a>>, sink: &mut Sink<'a>) {
    const CODE: &[&str] = &[
        "rs", "go", "py", "rb", "js", "ts", "tsx", "jsx", "java", "kt", "cs", "php", "ex", "exs", "scala",
        "swift", "c", "cpp", "vue", "svelte",
    ];
    let is_code = |file: &&Source<'_>| CODE.contains(&file.extension()) && by_hand(file) && !file.traits.test;
    if let Some(migration) = destructive
        && let Some(code) = files.iter().find(is_code)
    {
        let code: String = code.path.chars().take(200).collect();
        sink.report(migration.whole_file(
            "change-mixed-migration",
            Medium,
            format!("This migration takes something away while code changes with it (such as {code}): one of them is live first, and then old code meets the new schema or the reverse."),
            "Ship the code that no longer needs the old shape first, and the migration in a later change.",
        ));
    }
}

fn mixed_formatting<'a>(files: &'a [Source<'a>], sink: &mut Sink<'a>) {
    let (mut formatting, mut logic) = (0usize, 0usize);
    for source in files
        .iter()
        .filter(|file| by_hand(file) && !file.traits.docs && file.file.change == Change::Modified)
    {
        for hunk in &source.file.hunks {
            let squeezed = |kind: LineKind| -> Vec<String> {
                let of_kind = hunk.lines.iter().filter(|line| line.kind == kind);
                of_kind
                    .map(|line| line.text.split_whitespace().collect::<String>())
                    .filter(|text| !text.is_empty())
                    .collect()
            };
            let (removed, added) = (squeezed(LineKind::Removed), squeezed(LineKind::Added));
            let old: HashSet<&String> = removed.iter().collect();
            let same = added
                .iter()
                .filter(|text| text.len() > 3 && old.contains(text))
                .count();
            formatting += same;
            logic += added.len() - same;
        }
    }
    if formatting >= 50 && logic > 0 && formatting >= 3 * logic {
        sink.report(whole_change(
            "change-mixed-formatting",
            Low,
            format!("{formatting} changed lines differ only in white space and surround {logic} that differ in meaning."),
            "Commit the formatting on its own, before or after the change in meaning.",
        ));
    }
}

fn guildhall_toml<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    let named = |path: &Option<String>| {
        path.as_deref()
            .is_some_and(|path| path == "guildhall.toml" || path.ends_with("/guildhall.toml"))
    };
    if (named(&source.file.old_path) || named(&source.file.new_path)) && !source.traits.test {
        let rule = "change-guildhall-toml";
        let message = "This change touches guildhall.toml: it decides which commands the agents run on this repository.";
        let suggestion = "Read each command as if you ran it yourself; change it apart from other work.";
        let report = match source.added().next() {
            Some(line) => source.at(rule, Medium, line, message, suggestion),
            None => source.whole_file(rule, Medium, message, suggestion),
        };
        sink.report(report);
    }
}

fn binary<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    const SEEN: &[&str] = &[
        "png", "jpg", "jpeg", "gif", "webp", "ico", "svg", "bmp", "avif", "pdf", "woff", "woff2", "ttf",
        "otf", "eot", "mp3", "mp4", "webm", "mov", "wav", "psd", "odt", "ods", "docx", "xlsx", "pptx",
    ];
    let content_changed =
        !matches!(source.file.change, Change::Deleted) && source.file.similarity != Some(100);
    if source.file.binary && content_changed && !SEEN.contains(&source.extension()) && !source.traits.test {
        sink.report(source.whole_file(
            "change-binary",
            Low,
            "A binary file is added or changed; its content cannot be reviewed here.",
            "Build it from source in CI, or fetch it by checksum; if it has to stay, say where it came from.",
        ));
    }
}

fn links<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    match source.file.new_mode.as_deref() {
        Some("120000") => {
            let depth = source.path.matches('/').count();
            for line in source.added() {
                let up = line.text.split('/').take_while(|part| *part == "..").count();
                if line.text.starts_with(['/', '\\', '~']) || up > depth {
                    sink.report(source.at(
                        "change-symlink-escape",
                        Medium,
                        line,
                        "This symbolic link points outside the repository: what reads through it reads the machine.",
                        "Link to a path inside the repository, or copy the file.",
                    ));
                }
            }
        }
        Some("160000") if source.file.change != Change::Deleted => sink.report(source.whole_file(
            "change-submodule",
            Low,
            "A submodule points to another commit; the diff does not show what comes with it.",
            "Review the range between the two commits in the submodule's own repository.",
        )),
        _ => {}
    }
}

fn lines<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    for line in source.added() {
        if line.text.starts_with("<<<<<<< ") || line.text.starts_with(">>>>>>> ") || line.text == "<<<<<<<" {
            sink.report(source.at(
                "change-merge-marker",
                High,
                line,
                "A merge conflict marker was left in.",
                "Finish the merge: keep one side or combine both, and take the markers out.",
            ));
        }
        if !line.text.is_ascii()
            && let Some(hidden) = line.text.chars().find(|c| is_hidden(*c))
            // A black flag begins the flags of regions, which are spelled in tag characters.
            && !(line.text.contains('\u{1F3F4}') && u32::from(hidden) >= 0xE0000)
        {
            let known = source.traits.test || line.in_tests;
            sink.report(source.at(
                "change-hidden-characters",
                if known { Medium } else { High },
                line,
                format!(
                    "This line holds U+{:04X}, which reorders or hides text: it does not read as it runs.",
                    u32::from(hidden)
                ),
                "Take the character out, or write it as an escape sequence.",
            ));
        }
    }
}

/// Bidirectional controls and tag characters. Joiners and marks that ordinary scripts and emoji need are not here.
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{E0001}' | '\u{E0020}'..='\u{E007E}')
}
