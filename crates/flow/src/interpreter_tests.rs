use super::*;
use crate::definition::Requirement;
use crate::{ApprovalCall, Step};
use chrono::DateTime;
use proptest::prelude::*;

fn agent(skill: &str) -> AgentCall {
    serde_json::from_value(json!({ "skill": skill })).expect("a minimal agent call")
}

fn delivery() -> Definition {
    let review = AgentCall {
        require: vec![Requirement {
            pointer: "/verdict".into(),
            one_of: vec![json!("approve"), json!("comment")],
            code: "review_blocked".into(),
            reason: "the review blocks the change".into(),
        }],
        ..agent("review_change")
    };
    let deploy = AgentCall {
        input: json!({ "environment": "production" }),
        input_from: [("approval_id".to_string(), "/approve/approval_id".to_string())].into(),
        ..agent("deploy_service")
    };
    let approve = ApprovalCall {
        action: json!({ "operation": "deploy" }),
        risk: json!({}),
        expires_s: 60,
    };
    Definition {
        name: "deliver-change".into(),
        version: "1".into(),
        steps: vec![
            Step {
                name: "review".into(),
                call: Call::Agent(review),
            },
            Step {
                name: "approve".into(),
                call: Call::Approval(approve),
            },
            Step {
                name: "deploy".into(),
                call: Call::Agent(deploy),
            },
        ],
    }
}

fn journal(kinds: Vec<EntryKind>) -> Vec<JournalEntry> {
    let at = DateTime::UNIX_EPOCH;
    kinds
        .into_iter()
        .zip(1..)
        .map(|(kind, position)| JournalEntry { position, at, kind })
        .collect()
}

fn started(step: &str) -> EntryKind {
    EntryKind::StepStarted {
        step: step.into(),
        data: json!({}),
    }
}

fn completed(step: &str, result: Value) -> EntryKind {
    EntryKind::StepCompleted {
        step: step.into(),
        result,
    }
}

#[test]
fn a_new_run_starts_its_first_step() {
    let commands = next(&delivery(), &journal(vec![EntryKind::RunStarted]));
    assert!(matches!(&commands[..], [Command::Request { step, skill, .. }]
        if step == "/do/0/review" && skill == "review_change"));
}

#[test]
fn a_step_underway_is_waited_for() {
    assert_eq!(
        next(
            &delivery(),
            &journal(vec![EntryKind::RunStarted, started("/do/0/review")])
        ),
        vec![]
    );
}

#[test]
fn an_unmet_requirement_faults_the_run_and_says_why() {
    let result = json!({ "verdict": "block", "summary": "1 critical finding in src/config.rs" });
    let commands = next(
        &delivery(),
        &journal(vec![started("/do/0/review"), completed("/do/0/review", result)]),
    );
    assert_eq!(
        commands,
        vec![Command::Fault {
            error: json!({
                "code": "review_blocked",
                "title": "The review found something that must be mended first",
                "detail": "the review blocks the change: 1 critical finding in src/config.rs",
                "step": "/do/0/review",
            })
        }]
    );
}

#[test]
fn a_missing_field_does_not_meet_a_requirement() {
    let commands = next(&delivery(), &journal(vec![completed("/do/0/review", json!({}))]));
    assert!(matches!(&commands[..], [Command::Fault { .. }]));
}

#[test]
fn later_steps_see_earlier_results() {
    let commands = next(
        &delivery(),
        &journal(vec![
            completed("/do/0/review", json!({ "verdict": "approve" })),
            completed("/do/1/approve", json!({ "approval_id": "a-1" })),
        ]),
    );
    assert!(matches!(&commands[..], [Command::Request { input, .. }]
        if *input == json!({ "environment": "production", "approval_id": "a-1" })));
}

#[test]
fn a_failed_step_faults_the_run_with_its_error() {
    let failed = EntryKind::StepFailed {
        step: "/do/0/review".into(),
        error: json!({ "code": "unreachable", "detail": "no workspace", "hint": "start it", "state": "dead" }),
    };
    let commands = next(&delivery(), &journal(vec![failed]));
    assert!(matches!(&commands[..], [Command::Fault { error }]
        if error["code"] == "unreachable" && error["hint"] == "start it" && error["step"] == "/do/0/review"));
}

#[test]
fn an_ended_run_gets_no_commands() {
    let ends = [
        EntryKind::RunCompleted { output: json!({}) },
        EntryKind::RunFaulted { error: json!({}) },
        EntryKind::RunCancelled { data: json!({}) },
    ];
    for end in ends {
        assert_eq!(
            next(&delivery(), &journal(vec![EntryKind::RunStarted, end])),
            vec![]
        );
    }
}

#[test]
fn commands_serialise_as_run_advance_takes_them() {
    let command = Command::Fault {
        error: json!({ "code": "internal" }),
    };
    assert_eq!(
        serde_json::to_value(command).expect("commands serialise"),
        json!({ "command": "fault", "error": { "code": "internal" } })
    );
}

#[test]
fn validation_names_the_place() {
    let mut twice = delivery();
    twice.steps[2].name = "review".into();
    assert_eq!(twice.validate().expect_err("duplicate").pointer, "/do/2/review");

    let mut forward = delivery();
    let Call::Agent(call) = &mut forward.steps[0].call else {
        panic!("an agent call")
    };
    call.input_from.insert("x".into(), "/deploy/revision".into());
    assert_eq!(
        forward.validate().expect_err("looks ahead").pointer,
        "/do/0/review/input_from/x"
    );

    delivery().validate().expect("the delivery itself is valid");
}

#[test]
fn a_definition_reads_back_as_written_and_refuses_unknown_keys() {
    let text = serde_json::to_string(&delivery()).expect("serialises");
    assert_eq!(
        serde_json::from_str::<Definition>(&text).expect("reads back"),
        delivery()
    );
    let odd = r#"{"name":"x","version":"1","do":[{"a":{"call":"agent","skill":"s","when":"now"}}]}"#;
    assert!(
        serde_json::from_str::<Definition>(odd)
            .expect_err("unknown key")
            .to_string()
            .contains("when")
    );
}

/// What a run may see in its journal while it works through the delivery, in any order and number.
fn any_entry() -> impl Strategy<Value = EntryKind> {
    let step = prop_oneof![
        Just("/do/0/review"),
        Just("/do/1/approve"),
        Just("/do/2/deploy"),
        Just("/do/9/none")
    ];
    let result = prop_oneof![
        Just(json!({ "verdict": "approve", "approval_id": "a" })),
        Just(json!({ "verdict": "block" })),
        Just(Value::Null),
        Just(json!([1])),
    ];
    (step, result, 0..4u8).prop_map(|(step, value, kind)| match kind {
        0 => started(step),
        1 => completed(step, value),
        2 => EntryKind::StepFailed {
            step: step.into(),
            error: value,
        },
        _ => EntryKind::ApprovalRequested {
            step: step.into(),
            data: value,
        },
    })
}

proptest! {
    #[test]
    fn any_journal_gives_the_same_commands_twice_and_never_restarts_a_step(
        kinds in proptest::collection::vec(any_entry(), 0..12)
    ) {
        let entries = journal(kinds);
        let commands = next(&delivery(), &entries);
        prop_assert_eq!(&commands, &next(&delivery(), &entries));
        prop_assert!(commands.len() <= 1);
        for command in &commands {
            let (Command::Request { step, .. } | Command::Approval { step, .. }) = command else { continue };
            prop_assert!(matches!(progress(step, &entries), Progress::NotStarted));
        }
    }

    #[test]
    fn any_json_is_read_or_refused_without_panic(text in "\\PC{0,200}") {
        if let Ok(definition) = serde_json::from_str::<Definition>(&text) {
            let _ = definition.validate();
        }
    }
}
