//! Reading of diffs: every form that git and `diff -u` write, and every form that is refused.

use guildhall_skills::review::diff::{Change, Diff, DiffErrorKind, FileDiff, Hunk, Line, LineKind, parse};
use proptest::prelude::*;

fn one(text: &str) -> FileDiff {
    let diff = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(diff.files.len(), 1, "{text}");
    diff.files.into_iter().next().expect("there is one")
}

fn refused(text: &str) -> (DiffErrorKind, u32) {
    let error = parse(text).expect_err(text);
    assert!(
        error.to_string().starts_with("cannot read the diff at line "),
        "{error}"
    );
    (error.kind, error.line)
}

fn paths(file: &FileDiff) -> (Option<&str>, Option<&str>) {
    (file.old_path.as_deref(), file.new_path.as_deref())
}

#[test]
fn lines_are_numbered_on_both_sides() {
    let file = one(
        "diff --git a/src/a.rs b/src/a.rs\nindex 1..2 100644\n--- a/src/a.rs\n+++ b/src/a.rs\n\
         @@ -3,3 +3,4 @@ fn main() {\n one\n-two\n+2\n+2b\n three\n@@ -20 +21,0 @@\n-gone\n",
    );
    assert_eq!(
        (file.change, paths(&file)),
        (Change::Modified, (Some("src/a.rs"), Some("src/a.rs")))
    );
    assert_eq!(file.hunks[0].section, "fn main() {");
    let numbers: Vec<(Option<u32>, Option<u32>)> =
        file.lines().map(|line| (line.old_line, line.new_line)).collect();
    assert_eq!(
        numbers,
        [
            (Some(3), Some(3)),
            (Some(4), None),
            (None, Some(4)),
            (None, Some(5)),
            (Some(5), Some(6)),
            (Some(20), None)
        ]
    );
    assert_eq!(
        file.added().map(|line| line.text.as_str()).collect::<Vec<_>>(),
        ["2", "2b"]
    );
}

#[test]
fn files_that_come_go_and_move_are_told_apart() {
    let added = one(
        "diff --git a/n b/n\nnew file mode 100755\nindex 0..1\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
    );
    assert_eq!(
        (added.change, paths(&added), added.new_mode.as_deref()),
        (Change::Added, (None, Some("n")), Some("100755"))
    );
    let empty = one("diff --git a/n m b/n m\nnew file mode 100644\nindex 0000000..e69de29\n");
    assert_eq!(
        (empty.change, paths(&empty)),
        (Change::Added, (None, Some("n m")))
    );
    let deleted =
        one("diff --git a/n b/n\ndeleted file mode 100644\n--- a/n\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n");
    assert_eq!(
        (deleted.change, paths(&deleted), deleted.path()),
        (Change::Deleted, (Some("n"), None), "n")
    );
    let renamed = one("diff --git a/x y b/b/z\nsimilarity index 97%\nrename from x y\nrename to b/z\n");
    assert_eq!(
        (renamed.change, paths(&renamed), renamed.similarity),
        (Change::Renamed, (Some("x y"), Some("b/z")), Some(97))
    );
    let copied = one(
        "diff --git a/x b/z\nsimilarity index 50%\ncopy from x\ncopy to z\n--- a/x\n+++ b/z\n@@ -1 +1 @@\n-a\n+b\n",
    );
    assert_eq!(
        (copied.change, paths(&copied), copied.hunks.len()),
        (Change::Copied, (Some("x"), Some("z")), 1)
    );
    let mode = one("diff --git a/run b/run\nold mode 100644\nnew mode 100755\n");
    assert_eq!(
        (mode.old_mode.as_deref(), mode.new_mode.as_deref()),
        (Some("100644"), Some("100755"))
    );
}

#[test]
fn binary_content_is_passed_over_and_the_next_file_is_seen() {
    let next = "diff --git a/t b/t\n--- a/t\n+++ b/t\n@@ -1 +1 @@\n-a\n+b\n";
    for binary in [
        "Binary files /dev/null and b/i.png differ\n",
        "GIT binary patch\nliteral 5\nMc$`b*\n\nliteral 0\nHcmV?d00001\n\n",
    ] {
        let diff = parse(&format!(
            "diff --git a/i.png b/i.png\nnew file mode 100644\nindex 0..1\n{binary}{next}"
        ))
        .expect("it is a diff");
        assert_eq!(
            diff.files
                .iter()
                .map(|file| (file.path(), file.binary))
                .collect::<Vec<_>>(),
            [("i.png", true), ("t", false)]
        );
    }
    assert!(one("Binary files a/x.bin and b/x.bin differ\n").binary);
}

#[test]
fn paths_are_unquoted_and_prefixes_taken_off() {
    let quoted = one(
        "diff --git \"a/caf\\303\\251\\t\\\"x\" \"b/caf\\303\\251\\t\\\"x\"\nold mode 100644\nnew mode 100755\n",
    );
    assert_eq!(quoted.path(), "café\t\"x");
    let spaced =
        one("diff --git a/a b/c d b/a b/c d\n--- a/a b/c d\t\n+++ b/a b/c d\t\n@@ -1 +1 @@\n-a\n+b\n");
    assert_eq!(spaced.path(), "a b/c d");
    let bare = one("diff --git a/x a/x\n--- a/x\n+++ a/x\n@@ -1 +1 @@\n-a\n+b\n");
    assert_eq!(bare.path(), "a/x", "a folder called a, written without prefixes");
    let mnemonic = one("diff --git i/x w/x\n--- i/x\n+++ w/x\n@@ -1 +1 @@\n-a\n+b\n");
    assert_eq!(mnemonic.path(), "x");
    let dated =
        one("--- old/x.c\t2020-01-01 00:00:00\n+++ new/x.c\t2020-01-02 00:00:00\n@@ -1 +1 @@\n-a\n+b\n");
    assert_eq!(paths(&dated), (Some("old/x.c"), Some("new/x.c")));
}

#[test]
fn ends_of_lines_are_kept_as_they_are() {
    let file = one(
        "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n one\r\n-two\n\\ No newline at end of file\n+two\r\n\\ No newline at end of file\n",
    );
    assert_eq!(
        file.lines().map(|line| line.newline).collect::<Vec<_>>(),
        [true, false, false]
    );
    assert_eq!(
        file.added()
            .map(|line| (line.text.as_str(), line.content()))
            .collect::<Vec<_>>(),
        [("two\r", "two")]
    );
    let windows = one("diff --git a/x b/x\r\n--- a/x\r\n+++ b/x\r\n@@ -1,2 +1,2 @@\r\n one\r\n-a\r\n+b\r\n");
    assert_eq!((windows.path(), windows.hunks[0].section.as_str()), ("x", ""));
    let mailed = one("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n\n-a\n+b\n");
    assert_eq!(
        mailed.hunks[0].lines[1].kind,
        LineKind::Context,
        "a mail program took the space off an empty line"
    );
}

#[test]
fn content_that_looks_like_a_header_stays_content() {
    let file =
        one("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a/y\n-diff --git a/z b/z\n+++ b/y\n+@@ -1 +1 @@\n");
    let texts: Vec<&str> = file.lines().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["-- a/y", "diff --git a/z b/z", "++ b/y", "@@ -1 +1 @@"]);
}

#[test]
fn text_around_the_diff_is_passed_over() {
    let patch = "From 1234 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] x\n\n---\n x | 2 +-\n\n\
                 diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n-- \n2.39.2\n";
    assert_eq!(one(patch).path(), "x");
    assert_eq!(parse("").expect("nothing is a diff of nothing"), Diff::default());
    assert_eq!(parse("\n \n").expect("white space too"), Diff::default());
}

#[test]
fn what_cannot_be_reviewed_is_refused_with_its_place() {
    let head = "--- a/x\n+++ b/x\n";
    for (text, expected) in [
        ("hello\n".to_owned(), (DiffErrorKind::NotADiff, 1)),
        (
            "diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1,1 -1,1 +1,1 @@@\n++x\n".into(),
            (DiffErrorKind::Combined, 1),
        ),
        ("diff --combined x\n".into(), (DiffErrorKind::Combined, 1)),
        (
            format!("{head}@@@ -1 -1 +1 @@@\n++x\n"),
            (DiffErrorKind::Combined, 3),
        ),
        (
            "@@ -1 +1 @@\n-a\n+b\n".into(),
            (DiffErrorKind::HunkWithoutFile, 1),
        ),
        (
            format!("{head}@@ -1 +1\n-a\n+b\n"),
            (DiffErrorKind::HunkHeader, 3),
        ),
        (
            format!("{head}@@ -1,+2 +1 @@\n-a\n+b\n"),
            (DiffErrorKind::HunkHeader, 3),
        ),
        (
            format!("{head}@@ -1 +99999999999 @@\n-a\n+b\n"),
            (DiffErrorKind::HunkHeader, 3),
        ),
        (
            format!("{head}@@ -1,2 +1,2 @@\n-a\n+b\n"),
            (DiffErrorKind::HunkTooShort, 6),
        ),
        (
            format!("{head}@@ -1,2 +1,2 @@\n-a\ndiff --git a/y b/y\n"),
            (DiffErrorKind::HunkTooShort, 5),
        ),
        (
            format!("{head}@@ -1 +1 @@\n-a\n+b\n+hidden\n"),
            (DiffErrorKind::HunkTooLong, 6),
        ),
        (
            format!("{head}@@ -1 +1 @@\n-a\n-b\n"),
            (DiffErrorKind::HunkTooLong, 5),
        ),
        ("diff --git \"a/x b/x\n".into(), (DiffErrorKind::Path, 1)),
    ] {
        assert_eq!(refused(&text), expected, "{text}");
    }
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,4}(/[a-z .]{1,6}[a-z]){0,2}", "[a-zé\"\\\\\t ]{1,8}x"]
}

/// The lines of a hunk: kind and text. A carriage return alone in a context line would be read as an empty one.
fn hunk_lines() -> impl Strategy<Value = Vec<(LineKind, String)>> {
    let kind = prop_oneof![
        Just(LineKind::Context),
        Just(LineKind::Added),
        Just(LineKind::Removed)
    ];
    prop::collection::vec((kind, "[ -~éß+@\\-\t]{0,12}\r?"), 1..12)
}

fn numbered(start: u32, lines: Vec<(LineKind, String)>) -> Hunk {
    let (mut old, mut new) = (start, start);
    let lines: Vec<Line> = lines
        .into_iter()
        .map(|(kind, text)| {
            let (on_old, on_new) = (kind != LineKind::Added, kind != LineKind::Removed);
            let line = Line {
                kind,
                text,
                old_line: on_old.then_some(old),
                new_line: on_new.then_some(new),
                newline: true,
            };
            old += u32::from(on_old);
            new += u32::from(on_new);
            line
        })
        .collect();
    Hunk {
        old_start: start,
        old_lines: old - start,
        new_start: start,
        new_lines: new - start,
        section: String::new(),
        lines,
    }
}

fn file() -> impl Strategy<Value = FileDiff> {
    let change = prop_oneof![
        Just(Change::Modified),
        Just(Change::Added),
        Just(Change::Deleted),
        Just(Change::Renamed)
    ];
    (
        path(),
        path(),
        change,
        prop::collection::vec((1..5000u32, hunk_lines()), 1..4),
    )
        .prop_map(|(old, new, change, hunks)| {
            let kept = match change {
                Change::Added => Some(LineKind::Added),
                Change::Deleted => Some(LineKind::Removed),
                _ => None,
            };
            let hunks = hunks.into_iter().map(|(start, lines)| {
                let lines = lines
                    .into_iter()
                    .map(|(kind, text)| (kept.unwrap_or(kind), text))
                    .collect();
                numbered(start, lines)
            });
            let new = if change == Change::Renamed {
                new
            } else {
                old.clone()
            };
            let mode = |wanted: bool| wanted.then(|| "100644".to_owned());
            FileDiff {
                old_path: (change != Change::Added).then_some(old),
                new_path: (change != Change::Deleted).then_some(new),
                change,
                old_mode: mode(change == Change::Deleted),
                new_mode: mode(change == Change::Added),
                binary: false,
                similarity: None,
                hunks: hunks.collect(),
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(files in prop::collection::vec(file(), 1..4)) {
        let diff = Diff { files };
        let text = diff.to_string();
        prop_assert_eq!(parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?, diff, "{}", text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(diff --git |--- |\\+\\+\\+ |@@ -1,2 \\+1,3 @@|@@@|\\\\|rename from |\"|\n|\r|[ -~]|é|\t){0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn a_diff_that_is_cut_off_loses_no_line_silently(file in file(), cut in 0.0..1.0f64) {
        let text = Diff { files: vec![file] }.to_string();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let kept = &lines[..(lines.len() as f64 * cut) as usize];
        let added = |lines: &[&str]| lines.iter().skip_while(|line| !line.starts_with("@@")).filter(|line| line.starts_with('+')).count();
        if let Ok(diff) = parse(&kept.concat()) {
            prop_assert_eq!(diff.files.iter().map(|file| file.added().count()).sum::<usize>(), added(kept));
        }
    }
}
