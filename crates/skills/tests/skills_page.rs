//! docs/skills.md and the cards say the same.

use guildhall_domain::agent::Skill;
use guildhall_skills::cards;
use std::collections::BTreeSet;

/// The rows of the table: agent, skill, input.
fn rows(page: &str) -> Vec<[String; 3]> {
    page.lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 6, "a row has six cells: {line}");
            assert!(!cells[3].is_empty(), "a row says what the skill does: {line}");
            [cells[0], cells[1].trim_matches('`'), cells[2]].map(str::to_owned)
        })
        .collect()
}

/// The input as the page spells it, in any order.
fn input(skill: &Skill) -> BTreeSet<String> {
    let required = skill.input_schema["required"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let properties = skill.input_schema["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    properties
        .keys()
        .map(|key| match required.iter().any(|needed| needed == key) {
            true => key.clone(),
            false => format!("{key}?"),
        })
        .collect()
}

#[test]
fn every_skill_has_its_row_and_every_row_its_skill() {
    let page = rows(include_str!("../../../docs/skills.md"));
    let agents = [
        ("orchestrator", cards::orchestrator()),
        ("feature-dev", cards::feature_dev()),
        ("code-review", cards::code_review()),
        ("infrastructure", cards::infrastructure()),
        ("cicd", cards::cicd()),
        ("documentation", cards::documentation()),
    ];
    let mut wanted = 0;
    for (agent, skills) in agents {
        for skill in skills {
            wanted += 1;
            let row = page.iter().find(|row| row[0] == agent && row[1] == skill.id);
            let row = row.unwrap_or_else(|| panic!("docs/skills.md has no row for {agent} {}", skill.id));
            let told: BTreeSet<String> = row[2]
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect();
            assert_eq!(
                told,
                input(&skill),
                "the input of {agent} {} in docs/skills.md",
                skill.id
            );
        }
    }
    assert_eq!(
        page.len(),
        wanted,
        "docs/skills.md has rows for skills that there are"
    );
}
