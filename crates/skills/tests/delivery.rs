//! Plans: from a task and the repository's facts to a definition.

use guildhall_flow::dsl::Definition;
use guildhall_flow::engine::{Command, Engine, Event, State};
use guildhall_flow::validate::check_value;
use guildhall_policy::EnvironmentRisk;
use guildhall_skills::delivery::{Facts, Plan, Refusal, Repository, plan};
use guildhall_skills::infra::deploy_action;
use guildhall_skills::planning::{Intent, Missing, understand};
use serde_json::{Value, json};

fn facts(environments: &[(&str, EnvironmentRisk)]) -> Facts {
    Facts {
        repository: "shop".into(),
        configured: true,
        base: "main".into(),
        base_revision: "a".repeat(40),
        head: "fix-1".into(),
        head_revision: "b".repeat(40),
        checks: vec!["lint".into(), "test".into()],
        environments: environments
            .iter()
            .map(|(name, risk)| ((*name).to_owned(), *risk))
            .collect(),
    }
}

const PRODUCTION: (&str, EnvironmentRisk) = ("production", EnvironmentRisk::Production);
const STAGING: (&str, EnvironmentRisk) = ("staging", EnvironmentRisk::Staging);

fn planned(message: &str, facts: &Facts) -> Result<Plan, Refusal> {
    match understand(message).intent {
        Intent::Deliver { task } => plan(&task, facts),
        other => panic!("{message}: {other:?}"),
    }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.step.as_str()).collect()
}

/// A run of a plan, answered by hand.
struct Run {
    definition: Definition,
    state: State,
    asked: Vec<Command>,
}

impl Run {
    fn start(plan: &Plan) -> Run {
        let definition = check_value(&plan.definition).unwrap_or_else(|findings| panic!("{findings}"));
        let meta = json!({"id": "run-1", "started_at": "2026-01-01T00:00:00Z", "runtime": {}});
        let meta = serde_json::from_value(meta).expect("a run");
        let step = Engine::default().start(&definition, plan.input.clone(), meta);
        Run {
            definition,
            state: step.state,
            asked: step.commands,
        }
    }

    /// The one thing that the run asks for now, at a step of this name.
    fn asked(&self, name: &str) -> Value {
        let [command] = self.asked.as_slice() else {
            panic!("one command, not {:?}", self.asked)
        };
        assert!(command.step.ends_with(&format!("/{name}")), "{}", command.step);
        serde_json::to_value(&command.action).expect("JSON")
    }

    fn answer(&mut self, name: &str, output: Value) {
        self.asked(name);
        let event = json!({"now": "2026-01-01T00:01:00Z", "event": "completed",
            "step": self.asked[0].step, "seq": self.asked[0].seq, "output": output});
        let event: Event = serde_json::from_value(event).expect("an event");
        let step = Engine::default().apply(&self.definition, self.state.clone(), &event);
        (self.state, self.asked) = (step.state, step.commands);
    }
}

#[test]
fn a_production_deployment_waits_for_an_approval_of_exactly_that() {
    let facts = facts(&[PRODUCTION]);
    let plan = planned("review, test, deploy and document fix-1", &facts).expect("a plan");
    assert_eq!(names(&plan), ["review", "test", "approve", "deploy", "document"]);
    assert_eq!(
        plan.title,
        "review, test, deploy and document fix-1 to production"
    );
    assert!(
        plan.notes.iter().any(|note| note.contains("only environment")),
        "{:?}",
        plan.notes
    );

    let mut run = Run::start(&plan);
    let change = json!({"base": "main", "base_revision": facts.base_revision, "head": "fix-1",
        "head_revision": facts.head_revision});
    let review = run.asked("review");
    assert_eq!(
        (&review["skill"], &review["input"]),
        (&json!("review_change"), &change)
    );
    assert_eq!(
        (&review["attempts"], &review["timeout_ms"]),
        (&json!(3), &json!(600_000))
    );
    run.answer("review", json!({"verdict": "comment", "summary": "fine"}));
    assert_eq!(
        run.asked("test")["input"],
        json!({"revision": facts.head_revision})
    );
    run.answer("test", json!({"status": "passed"}));

    let approval = run.asked("approve");
    let again = deploy_action(
        "shop",
        "production",
        EnvironmentRisk::Production,
        "main",
        &facts.head_revision,
    );
    assert_eq!(approval["proposal"], again.to_value());
    assert_eq!(approval["risk"]["approval_required"], true);
    assert!(approval["expires_ms"].as_i64().is_some_and(|ms| ms > 0));
    run.answer("approve", json!({"approval_id": "a-1", "decided_by": "ada"}));

    let deploy = run.asked("deploy");
    assert_eq!(
        deploy["input"],
        json!({"environment": "production", "base": "main", "head_revision": facts.head_revision, "approval_id": "a-1"})
    );
    assert_eq!(deploy["attempts"], 30);
    run.answer("deploy", json!({"revision": "c"}));
    let mut told = change;
    told["environment"] = json!("production");
    told["review"] = json!({"verdict": "comment", "summary": "fine"});
    told["checks"] = json!({"status": "passed"});
    told["deployment"] = json!({"revision": "c"});
    assert_eq!(run.asked("document")["input"], told);
    run.answer("document", json!({"branch": "b"}));
    let output = run.state.output.expect("an output");
    assert_eq!(
        (&output["deploy"], &output["document"]),
        (&json!({"revision": "c"}), &json!({"branch": "b"}))
    );
}

#[test]
fn a_result_that_is_not_good_enough_ends_the_run_with_its_summary() {
    let plan = planned("deploy fix-1 to staging", &facts(&[STAGING])).expect("a plan");
    let blocked = json!({"verdict": "request_changes", "summary": "1 finding: a secret"});
    let failed = json!({"status": "failed"});
    for (review, checks, kind, detail, instance) in [
        (
            blocked,
            None,
            "https://guildhall.dev/errors/review-blocked",
            "The review found something that has to be mended before the change goes further: 1 finding: a secret",
            "/do/0/review",
        ),
        (
            json!({"verdict": "approve"}),
            Some(failed),
            "https://guildhall.dev/errors/checks-failed",
            "The repository's own checks did not all pass",
            "/do/2/test",
        ),
    ] {
        let mut run = Run::start(&plan);
        run.answer("review", review);
        if let Some(checks) = checks {
            run.answer("test", checks);
        }
        let error = run.state.error.expect("an error");
        assert_eq!(
            (
                error.kind.as_str(),
                error.detail.as_deref(),
                error.instance.as_deref()
            ),
            (kind, Some(detail), Some(instance))
        );
        assert_eq!(error.status, 422);
    }
}

#[test]
fn a_branch_that_looks_like_an_expression_stays_a_name() {
    let mut facts = facts(&[STAGING]);
    facts.head = "${ $workflow.id }".into();
    let Intent::Deliver { mut task } = understand("review fix-1").intent else {
        panic!("a task")
    };
    task.head = facts.head.clone();
    let plan = plan(&task, &facts).expect("a plan");
    assert_eq!(Run::start(&plan).asked("review")["input"]["head"], facts.head);
}

#[test]
fn deliveries_of_one_shape_share_a_document() {
    let facts = facts(&[PRODUCTION, STAGING]);
    let digest = |message: &str| planned(message, &facts).expect("a plan").digest;
    assert_eq!(digest("review fix-1"), digest("review other-branch"));
    assert_ne!(
        digest("deploy fix-1 to staging"),
        digest("deploy fix-1 to production")
    );
}

#[test]
fn a_staging_deployment_goes_ahead_behind_its_gates() {
    let plan = planned("deploy fix-1 to stage", &facts(&[PRODUCTION, STAGING])).expect("a plan");
    assert_eq!(names(&plan), ["review", "test", "deploy", "document"]);
    assert!(
        plan.notes.iter().any(|note| note.contains("`stage` was read as")),
        "{:?}",
        plan.notes
    );
    let mut run = Run::start(&plan);
    run.answer("review", json!({"verdict": "approve"}));
    run.answer("test", json!({"status": "passed"}));
    assert_eq!(run.asked("deploy")["input"].get("approval_id"), None);
}

#[test]
fn an_environment_is_never_guessed() {
    match planned("deploy fix-1", &facts(&[PRODUCTION, STAGING])) {
        Err(Refusal::Ask { missing, question }) => {
            assert_eq!(missing, [Missing::Environment]);
            assert!(question.contains("production or staging"), "{question}");
        }
        other => panic!("{other:?}"),
    }
    for (message, environments, code) in [
        ("deploy fix-1 to mars", &[PRODUCTION][..], "unknown_environment"),
        ("deploy fix-1", &[], "unknown_environment"),
    ] {
        match planned(message, &facts(environments)) {
            Err(Refusal::Problem(problem)) => {
                assert_eq!(problem.code, code);
                assert!(problem.hint.is_some());
            }
            other => panic!("{message}: {other:?}"),
        }
    }
}

#[test]
fn nothing_is_deployed_without_checks() {
    let mut facts = facts(&[STAGING]);
    facts.checks.clear();
    match planned("deploy fix-1", &facts) {
        Err(Refusal::Problem(problem)) => assert_eq!(problem.code, "configuration_invalid"),
        other => panic!("{other:?}"),
    }
    assert!(planned("review fix-1", &facts).is_ok());
}

#[test]
fn a_repository_without_guildhall_toml_can_be_reviewed_only() {
    let mut facts = facts(&[]);
    (facts.configured, facts.checks) = (false, Vec::new());
    for message in ["test fix-1", "deploy fix-1"] {
        match planned(message, &facts) {
            Err(Refusal::Problem(problem)) => assert_eq!(problem.code, "repository_not_configured"),
            other => panic!("{message}: {other:?}"),
        }
    }
    assert!(planned("review and document fix-1", &facts).is_ok());
}

#[test]
fn the_repository_is_read_as_the_tool_describes_it() {
    let answer = json!({
        "path": "/srv/shop", "name": "shop", "base_branch": "main", "base_revision": "a", "configured": true,
        "checks": ["test"], "changelog": null,
        "environments": [{
            "name": "production", "risk": "production", "has_service": true, "has_health": true, "has_rollback": false,
            "resource": "deployment:production", "current_revision": null,
        }],
    });
    let repository = Repository::from_tool(&answer).expect("the tool's own shape");
    assert_eq!(
        repository.environment("production").map(|found| found.risk),
        Ok(EnvironmentRisk::Production)
    );
    let problem = repository.environment("mars").expect_err("no such environment");
    assert_eq!(
        (problem.code.as_str(), problem.hint.as_deref()),
        ("unknown_environment", Some("guildhall.toml has production."))
    );
    assert!(Repository::from_tool(&json!({"name": "shop"})).is_err());
}

#[test]
fn an_empty_change_is_said() {
    let mut facts = facts(&[STAGING]);
    facts.head_revision = facts.base_revision.clone();
    let plan = planned("review fix-1", &facts).expect("a plan");
    assert!(
        plan.notes.iter().any(|note| note.contains("no change to review")),
        "{:?}",
        plan.notes
    );
    assert_eq!(plan.risk.score, 0);
}
