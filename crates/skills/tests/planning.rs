//! The planner against a list of phrasings, and against words in any order.

use guildhall_skills::planning::{
    Intent, MAX_MESSAGE_BYTES, Operations, Understanding, is_branch_name, understand, understand_after,
    understand_model,
};
use proptest::prelude::*;

const RUN: &str = "0d6b4a2e-52a1-4c1f-9a51-1b5f0d1c2e3f";

fn compact(understanding: &Understanding) -> String {
    let id = |id: &Option<uuid::Uuid>| id.map_or(String::new(), |id| format!(" {id}"));
    match &understanding.intent {
        Intent::Deliver { task } => {
            let Operations {
                review,
                test,
                deploy,
                document,
            } = task.operations;
            let letters: String = [(review, 'r'), (test, 't'), (deploy, 'd'), (document, 'n')]
                .into_iter()
                .filter_map(|(wanted, letter)| wanted.then_some(letter))
                .collect();
            let mut text = format!("deliver {letters} {}", task.head);
            if let Some(base) = &task.base {
                text.push_str(&format!(" base={base}"));
            }
            if let Some(environment) = &task.environment {
                text.push_str(&format!(" env={environment}"));
            }
            text
        }
        Intent::RunStatus { run } => format!("status{}", id(run)),
        Intent::ApprovalsList => "approvals".into(),
        Intent::AgentsList => "agents".into(),
        Intent::Help => "help".into(),
        Intent::Decide {
            approve: true,
            approval,
        } => format!("approve{}", id(approval)),
        Intent::Decide {
            approve: false,
            approval,
        } => format!("reject{}", id(approval)),
        Intent::RunCancel { run } => format!("cancel{}", id(run)),
        Intent::Unclear { missing, question } => {
            assert!(!question.is_empty(), "an unclear message gets a question");
            let names: Vec<String> = missing
                .iter()
                .map(|missing| {
                    serde_json::to_value(missing)
                        .unwrap()
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
                .collect();
            format!("unclear {}", names.join(","))
        }
    }
}

#[test]
fn phrasings_are_understood() {
    let cases: Vec<(String, String)> = include_str!("planning/phrasings.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (message, expected) = line.rsplit_once(" => ").expect("every line has an arrow");
            (message.replace("U1", RUN), expected.replace("U1", RUN))
        })
        .collect();
    assert!(cases.len() >= 60, "only {} phrasings", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(message, expected)| {
            let got = understand(message);
            (compact(&got) != *expected)
                .then(|| format!("{message}\n    wanted {expected}\n    got    {}", compact(&got)))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} phrasings:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn gates_are_added_and_said() {
    let added = understand("deploy fix-1");
    assert!(
        added
            .notes
            .iter()
            .any(|note| note.contains("review and test were added")),
        "{:?}",
        added.notes
    );
    let kept = understand("deploy fix-1 but skip the tests");
    assert!(
        kept.notes
            .iter()
            .any(|note| note.contains("so review and test stay in the plan")),
        "{:?}",
        kept.notes
    );
    let complete = understand("review, test and deploy fix-1");
    assert!(complete.notes.is_empty(), "{:?}", complete.notes);
}

#[test]
fn words_that_were_not_used_are_named() {
    let understanding = understand("review the login thingy on feature/login");
    assert_eq!(understanding.ignored, ["login", "thingy"]);
}

#[test]
fn an_approval_in_a_message_approves_nothing() {
    let understanding = understand("deploy fix-1 to production, it was approved");
    assert!(
        understanding
            .notes
            .iter()
            .any(|note| note.contains("approve nothing")),
        "{:?}",
        understanding.notes
    );
}

#[test]
fn an_answer_to_a_question_completes_the_task() {
    for (earlier, message, wanted) in [
        (&["review my branch"][..], "fix-1", "deliver r fix-1"),
        (&["fix-1"], "review and test it", "deliver rt fix-1"),
        (&["deploy fix-1"], "staging", "deliver rtdn fix-1 env=staging"),
        (
            &["fix-1", "deploy"],
            "to staging please",
            "deliver rtdn fix-1 env=staging",
        ),
        (
            &["deploy to staging"],
            "branch fix-1",
            "deliver rtdn fix-1 env=staging",
        ),
    ] {
        let understanding =
            understand_after(earlier, message).unwrap_or_else(|| panic!("{earlier:?} {message}"));
        assert_eq!(compact(&understanding), wanted, "{earlier:?} {message}");
        assert!(
            understanding.notes[0].contains("together"),
            "{:?}",
            understanding.notes
        );
    }
    for (earlier, message) in [
        (&["should we deploy fix-1?"][..], "yes"),
        (&["deploy fix-1 tomorrow"], "yes"),
        (&["do not deploy fix-1"], "yes"),
        (&["hello"], "yes"),
        (&[], "fix-1"),
    ] {
        assert_eq!(understand_after(earlier, message), None, "{earlier:?} {message}");
    }
}

#[test]
fn a_very_long_message_is_refused() {
    let long = "review fix-1 ".repeat(MAX_MESSAGE_BYTES);
    assert!(matches!(understand(&long).intent, Intent::Unclear { .. }));
}

#[test]
fn branch_names_follow_git() {
    for name in ["main", "feature/login", "a.b-c_d", "日本", "@a", "x#1"] {
        assert!(is_branch_name(name), "{name}");
    }
    for name in [
        "", "-x", "/x", "x/", "x..y", "a b", "a~1", "a^", "a:b", "x.lock", ".x", "a/.b", "a//b", "@",
        "a@{1}", "x.", "a\\b",
    ] {
        assert!(!is_branch_name(name), "{name}");
    }
}

#[test]
fn a_model_fills_in_the_same_task_and_cannot_invent() {
    let message = "could the thing on feature/login get looked at. Then deploy it to staging";
    let good = r#"{"intent":"deliver","operations":{"deploy":true},"head":"feature/login","base":null,"environment":"staging","question":null}"#;
    let understanding = understand_model(message, good).expect("a valid answer");
    assert_eq!(compact(&understanding), "deliver rtdn feature/login env=staging");

    let refused = [
        ("not json", "not the JSON"),
        (
            r#"{"intent":"deliver","operations":{"review":true},"head":"main"}"#,
            "does not contain",
        ),
        (
            r#"{"intent":"deliver","operations":{"review":true},"head":"login-2"}"#,
            "does not contain",
        ),
        (
            r#"{"intent":"deliver","operations":{},"head":"feature/login"}"#,
            "no operation",
        ),
        (
            r#"{"intent":"deliver","operations":{"review":true}}"#,
            "no branch",
        ),
        (r#"{"intent":"approve","head":null}"#, "unknown intent"),
        (r#"{"intent":"unclear"}"#, "without asking"),
        (
            r#"{"intent":"deliver","operations":{"review":true},"head":"feature/login","approved":true}"#,
            "not the JSON",
        ),
    ];
    for (answer, reason) in refused {
        let error = understand_model(message, answer).expect_err(answer).to_string();
        assert!(error.contains(reason), "{answer}: {error}");
    }
    let deploys = r#"{"intent":"deliver","operations":{"deploy":true},"head":"fix-1"}"#;
    for message in [
        "review fix-1",
        "review fix-1, don't deploy it",
        "is fix-1 tested?",
        "Bob wants to deploy fix-1",
        "should we deploy fix-1",
    ] {
        assert!(understand_model(message, deploys).is_err(), "{message}");
    }
}

fn vocabulary() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "review",
            "test",
            "deploy",
            "document",
            "deploying",
            "tested",
            "tests",
            "don't",
            "without",
            "and",
            "or",
            ",",
            ".",
            "?",
            "branch",
            "to",
            "on",
            "against",
            "main",
            "production",
            "staging",
            "environment",
            "status",
            "run",
            "approve",
            "what's",
            "is",
            "can",
            "you",
            "please",
            "the",
            "fix-1",
            "feature/login",
            "\"",
            "'",
            "`",
            "if",
            "before",
            "run",
            RUN,
            "a..b",
            "login",
            "merge",
            "tomorrow",
            "check",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,8}",
    ]
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(message in "\\PC{0,200}") {
        understand(&message);
    }

    #[test]
    fn any_words_get_an_honest_answer(words in proptest::collection::vec(vocabulary(), 0..16)) {
        let message = words.join(" ");
        let understanding = understand(&message);
        match &understanding.intent {
            Intent::Deliver { task } => {
                prop_assert!(is_branch_name(&task.head));
                for name in [Some(&task.head), task.base.as_ref(), task.environment.as_ref()].into_iter().flatten() {
                    prop_assert!(message.contains(name.as_str()), "`{}` is not in `{}`", name, message);
                }
                let operations = task.operations;
                prop_assert!(!operations.is_empty());
                if operations.deploy {
                    prop_assert!(operations.review && operations.test);
                    let lower = message.to_lowercase();
                    let says_so = ["deploy", "release", "ship", "promote", "launch", "roll", "live"];
                    prop_assert!(says_so.iter().any(|word| lower.contains(word)), "{}", message);
                }
                if operations.document && !operations.deploy {
                    prop_assert!(message.to_lowercase().contains("doc"), "{}", message);
                }
            }
            Intent::Unclear { missing, question } => {
                prop_assert!(!missing.is_empty() && !question.is_empty());
            }
            Intent::RunStatus { run: Some(run) } | Intent::RunCancel { run: Some(run) } => {
                prop_assert!(message.to_lowercase().contains(&run.to_string()));
            }
            _ => {}
        }
    }

    #[test]
    fn a_name_is_found_wherever_it_stands(head in "[a-z]{2,8}-[0-9]{1,3}", polite in any::<bool>()) {
        let end = if polite { " please" } else { "" };
        for message in [
            format!("review branch {head}{end}"),
            format!("please review {head}{end}"),
            format!("do a review of \"{head}\"{end}"),
            format!("on {head}, do a review{end}"),
        ] {
            prop_assert_eq!(compact(&understand(&message)), format!("deliver r {head}"), "{}", message);
        }
    }

    #[test]
    fn models_never_widen_what_was_asked(answer in "\\PC{0,120}", message in "\\PC{0,60}") {
        if let Ok(Understanding { intent: Intent::Deliver { task }, .. }) = understand_model(&message, &answer) {
            prop_assert!(message.contains(&task.head));
        }
    }
}
