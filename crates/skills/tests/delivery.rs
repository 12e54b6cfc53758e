//! Plans: from a task and the repository's facts to a definition.

use guildhall_flow::Call;
use guildhall_policy::EnvironmentRisk;
use guildhall_skills::delivery::{Facts, Plan, Refusal, Repository, plan};
use guildhall_skills::infra::deploy_action;
use guildhall_skills::planning::{Intent, Missing, understand};
use serde_json::json;

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
    plan.definition
        .steps
        .iter()
        .map(|step| step.name.as_str())
        .collect()
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

    let Call::Approval(approval) = &plan.definition.steps[2].call else {
        panic!("an approval")
    };
    let again = deploy_action(
        "shop",
        "production",
        EnvironmentRisk::Production,
        "main",
        &facts.head_revision,
    );
    assert_eq!(approval.action, again.to_value());
    assert_eq!(approval.risk["approval_required"], true);

    let Call::Agent(deploy) = &plan.definition.steps[3].call else {
        panic!("a deployment")
    };
    assert_eq!(deploy.input["head_revision"], json!(facts.head_revision));
    assert_eq!(deploy.input_from["approval_id"], "/approve/approval_id");
    let Call::Agent(document) = &plan.definition.steps[4].call else {
        panic!("a document")
    };
    assert_eq!(document.input["base_revision"], json!(facts.base_revision));
    assert_eq!(
        document.input_from.keys().collect::<Vec<_>>(),
        ["checks", "deployment", "review"]
    );
    let review = serde_json::to_value(&plan.definition.steps[0]).expect("JSON");
    assert_eq!(review["review"]["require"][0]["code"], "review_blocked");
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
    let Call::Agent(deploy) = &plan.definition.steps[2].call else {
        panic!("a deployment")
    };
    assert!(deploy.input_from.is_empty());
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
