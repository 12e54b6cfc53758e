//! Change-log entries: what they say, where they go, and that nothing else in the file changes.

use guildhall_skills::docs::{Commit, Evidence, entry, insert};
use proptest::prelude::*;

fn commit(n: u32, subject: &str) -> Commit {
    Commit {
        revision: format!("{n:040x}"),
        subject: subject.into(),
    }
}

fn evidence() -> Evidence {
    Evidence {
        review: Some("review: no findings in 1 file, +2 −1 lines".into()),
        checks: Some("2 checks passed in 1.2 s: lint, test".into()),
        deployment: Some("deployed to production".into()),
    }
}

#[test]
fn a_new_file_gets_a_preamble_and_an_entry() {
    let commits = [
        commit(2, "fix(cart): round totals"),
        commit(1, "Add a cart"),
        commit(3, "Merge branch 'x'"),
    ];
    let inserted = insert(None, &entry(&commits, &evidence()), None);
    assert_eq!(inserted.added, 2);
    assert_eq!(
        inserted.text,
        "# Changelog\n\nAll notable changes to this project are written down here, in the style of \
         [Keep a Changelog](https://keepachangelog.com/en/1.1.0/).\n\n## [Unreleased]\n\n### Added\n\n\
         - Add a cart (`000000000000`)\n\n### Fixed\n\n- Round totals (`000000000000`)\n  - Evidence: review: no findings in 1 \
         file, +2 −1 lines; 2 checks passed in 1.2 s: lint, test; deployed to production.\n"
    );
}

const EXISTING: &str = "# Changelog\n\nOur own words.\n\n## [Unreleased]\n\n### Changed\n\n- Old one\n\n### Security\n\n- Old hole\n\n\
                        ## [1.0.0] - 2026-01-01\n\n### Added\n\n- All\n\n[Unreleased]: https://x/compare\n";

fn abc(subject: &str, id: &str) -> Commit {
    Commit {
        revision: id.repeat(40),
        subject: subject.into(),
    }
}

#[test]
fn bullets_go_to_the_end_of_their_section() {
    let inserted = insert(
        Some(EXISTING),
        &entry(&[abc("Speed it up", "a")], &Evidence::default()),
        None,
    );
    assert_eq!(
        inserted.text,
        EXISTING.replace("- Old one\n", "- Old one\n- Speed it up (`aaaaaaaaaaaa`)\n")
    );
}

#[test]
fn a_missing_section_goes_to_its_usual_place() {
    let inserted = insert(
        Some(EXISTING),
        &entry(&[abc("fix: it", "a")], &Evidence::default()),
        None,
    );
    let wanted = EXISTING.replace(
        "### Security",
        "### Fixed\n\n- It (`aaaaaaaaaaaa`)\n\n### Security",
    );
    assert_eq!(inserted.text, wanted);
    let without = EXISTING.replace("### Security\n\n- Old hole\n\n", "");
    let inserted = insert(
        Some(&without),
        &entry(&[abc("fix: it", "a")], &Evidence::default()),
        None,
    );
    assert_eq!(
        inserted.text,
        without.replace(
            "- Old one\n\n",
            "- Old one\n\n### Fixed\n\n- It (`aaaaaaaaaaaa`)\n\n"
        )
    );
}

#[test]
fn a_missing_heading_goes_above_the_versions() {
    let text = "# Log\n\n## 1.0.0\n\n- All\n";
    let inserted = insert(
        Some(text),
        &entry(&[abc("Add x", "a")], &Evidence::default()),
        None,
    );
    assert_eq!(
        inserted.text,
        "# Log\n\n## [Unreleased]\n\n### Added\n\n- Add x (`aaaaaaaaaaaa`)\n\n## 1.0.0\n\n- All\n"
    );
    let dated = insert(
        Some(EXISTING),
        &entry(&[abc("Add x", "a")], &Evidence::default()),
        Some("[1.1.0] - 2026-11-22"),
    );
    let at = |part: &str| {
        dated
            .text
            .find(part)
            .unwrap_or_else(|| panic!("{part} in {}", dated.text))
    };
    assert!(at("Old hole") < at("## [1.1.0] - 2026-11-22") && at("Add x") < at("## [1.0.0]"));
    assert!(at("## [1.1.0]") < at("Add x"));
}

#[test]
fn headings_in_code_and_windows_line_ends_are_respected() {
    let text = "# Log\r\n\r\n```\r\n## [Unreleased]\r\n```\r\n\r\n## 1.0\r\n";
    let inserted = insert(
        Some(text),
        &entry(&[abc("Add x", "a")], &Evidence::default()),
        None,
    );
    assert!(inserted.text.starts_with(
        "# Log\r\n\r\n```\r\n## [Unreleased]\r\n```\r\n\r\n## [Unreleased]\r\n\r\n### Added\r\n"
    ));
    assert_eq!(
        inserted.text.matches('\n').count(),
        inserted.text.matches("\r\n").count()
    );
}

#[test]
fn text_from_outside_stays_text() {
    let inserted = insert(
        None,
        &entry(
            &[abc("feat: <img src=x> [a](b)\u{7}`c` # d", "a")],
            &Evidence::default(),
        ),
        None,
    );
    assert!(
        inserted
            .text
            .contains("- \\<img src=x\\> \\[a\\](b) \\`c\\` # d (`aaaaaaaaaaaa`)"),
        "{}",
        inserted.text
    );
}

#[test]
fn many_commits_are_counted_rather_than_listed() {
    let commits: Vec<Commit> = (0..60)
        .map(|n| Commit {
            revision: format!("{n:02x}").repeat(20),
            subject: "Add x".into(),
        })
        .collect();
    let entry = entry(&commits, &Evidence::default());
    assert_eq!(entry.markdown().matches("\n- ").count(), 50);
    assert!(entry.markdown().contains("with 10 older commits"));
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("## [Unreleased]".to_owned()),
        Just("## Unreleased".to_owned()),
        Just("## [1.0.0] - 2026-01-01".to_owned()),
        Just("### Added".to_owned()),
        Just("### Fixed".to_owned()),
        Just("```".to_owned()),
        Just("- something".to_owned()),
        Just("[1.0.0]: https://x".to_owned()),
        Just(String::new()),
        "\\PC{0,12}",
    ]
}

proptest! {
    #[test]
    fn a_second_time_changes_nothing_and_every_line_is_kept(
        lines in proptest::collection::vec(line(), 0..20),
        subjects in proptest::collection::vec("\\PC{0,30}", 1..5),
        crlf: bool,
        last_end: bool,
        dated: bool,
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut existing = lines.join(end);
        if last_end {
            existing.push_str(end);
        }
        let commits: Vec<Commit> = subjects.iter().zip("abcdef".chars()).map(|(s, c)| abc(s, &c.to_string())).collect();
        let entry = entry(&commits, &evidence());
        let heading = dated.then_some("[2.0.0] - 2026-11-22");
        let once = insert(Some(&existing), &entry, heading);
        let twice = insert(Some(&once.text), &entry, heading);
        prop_assert_eq!(&once.text, &twice.text);
        prop_assert_eq!(twice.added, 0);
        // The old lines are a subsequence of the new ones.
        if !existing.trim().is_empty() {
            let mut new = once.text.lines();
            for old in existing.lines() {
                prop_assert!(new.any(|line| line == old), "`{}` got lost in {}", old, once.text);
            }
        }
    }
}
