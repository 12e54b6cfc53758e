//! References from code and sections of a README.

use guildhall_skills::docs::{Format, SectionOutcome, Source, headings, put_section, reference};
use proptest::prelude::*;

const README: &str = "# Shop\n\nSells.\n\n## Usage\n\nRun it.\n\n```sh\n# not a heading\n```\n\n### More\n\nYes.\n\n## Licence\n\nMIT\n";

fn put(existing: Option<&str>, section: &str, content: &str) -> (String, SectionOutcome) {
    let put = put_section(existing, section, content).unwrap_or_else(|why| panic!("{why}"));
    (put.text, put.outcome)
}

#[test]
fn a_section_is_replaced_to_the_next_heading_of_its_level() {
    let (text, outcome) = put(Some(README), "usage", "Call it.\n");
    assert_eq!(outcome, SectionOutcome::Replaced);
    assert_eq!(
        text,
        "# Shop\n\nSells.\n\n## Usage\n\nCall it.\n\n## Licence\n\nMIT\n"
    );
    let (text, _) = put(Some(README), "More", "No.");
    assert!(text.contains("### More\n\nNo.\n\n## Licence"), "{text}");
    let (text, outcome) = put(Some(README), "Support", "Ask.");
    assert_eq!(
        (text, outcome),
        (format!("{README}\n## Support\n\nAsk.\n"), SectionOutcome::Created)
    );
    assert_eq!(put(None, "Usage", "x").0, "## Usage\n\nx\n");
    assert_eq!(
        put(Some("# A\r\n"), "B", "x\ny").0,
        "# A\r\n\r\n## B\r\n\r\nx\r\ny\r\n"
    );
}

#[test]
fn what_would_break_the_outline_is_refused() {
    for (existing, section, content, why) in [
        (README, "Usage", "## Other\n\nx", "would end the section"),
        (README, "New", "# Top", "would end the section"),
        (README, "Usage", "```\nopen", "fenced block"),
        ("## A\n\n## a\n", "A", "x", "2 times"),
    ] {
        let error = put_section(Some(existing), section, content).expect_err(content);
        assert!(error.contains(why), "{error}");
    }
    assert!(put_section(Some(README), "Usage", "```\n# fine\n```").is_ok());
}

#[test]
fn a_reference_has_what_is_public_and_says_what_has_no_comment() {
    let rust = "/// Adds.\n///\n/// # Errors\n/// Never.\npub fn add(a: u8) -> u8 {\n    a\n}\n\nfn hidden() {}\n\npub struct Bare;\n";
    let sources = [
        Source {
            path: "src/a.rs".into(),
            text: rust.into(),
        },
        Source {
            path: "notes.txt".into(),
            text: "nothing".into(),
        },
    ];
    let found = reference(&sources, Format::Markdown);
    let text = found["markdown"].as_str().expect("Markdown");
    assert_eq!(
        (found["by"].as_str(), found["items"].as_u64()),
        (Some("rules"), Some(2))
    );
    assert!(
        text.contains("### `add`\n\n```rust\npub fn add(a: u8) -> u8\n```\n\nAdds.\n\n**Errors**\nNever.\n"),
        "{text}"
    );
    assert!(
        !text.contains("hidden") && text.contains("Without public items: notes.txt."),
        "{text}"
    );
    assert_eq!(found["undocumented"][0], "src/a.rs:11 Bare");
    let json = reference(&sources, Format::Json);
    assert_eq!(json["reference"][0]["functions"][0]["name"], "add");
    assert!(json["markdown"].is_null());
}

proptest! {
    #[test]
    fn putting_a_section_twice_is_putting_it_once_and_the_rest_stays(
        before in proptest::collection::vec("(# Top|## A|## B|### C|text|```|~~~~|    # code|)", 0..10),
        content in proptest::collection::vec("(word|- item|#### Deep|)", 1..5),
        section in "[A-D]",
    ) {
        let existing = before.join("\n");
        let content = content.join("\n");
        if let Ok(once) = put_section(Some(&existing), &section, &content) {
            let twice = put_section(Some(&once.text), &section, &content);
            let twice = twice.expect("it could be put before");
            prop_assert_eq!(&twice.text, &once.text);
            prop_assert_eq!(twice.outcome, SectionOutcome::Unchanged);
            if once.outcome == SectionOutcome::Created {
                prop_assert!(once.text.starts_with(existing.as_str()));
            }
            for heading in headings(&existing).iter().filter(|h| h.level <= 2) {
                prop_assert!(headings(&once.text).iter().any(|h| h.text == heading.text));
            }
        }
    }
}
