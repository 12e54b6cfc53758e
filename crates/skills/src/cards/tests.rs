//! Cards, inputs and planner agree.

use super::*;
use crate::inputs::{self, Input};
use std::collections::BTreeSet;

fn all() -> Vec<Skill> {
    [
        orchestrator(),
        code_review(),
        cicd(),
        infrastructure(),
        documentation(),
        feature_dev(),
    ]
    .concat()
}

fn example(schema: &Value) -> Value {
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].clone(),
        kind => kind.clone(),
    };
    match (
        kind.as_str(),
        schema["pattern"].as_str(),
        schema["format"].as_str(),
    ) {
        (Some("string"), Some(pattern), _) if pattern.contains("{40}") => json!("a".repeat(40)),
        (Some("string"), _, Some("uuid")) => json!("0d6b4a2e-52a1-4c1f-9a51-1b5f0d1c2e3f"),
        (Some("string"), Some(":"), _) => json!("x:1"),
        (Some("string"), ..) if schema["enum"].is_array() => schema["enum"][0].clone(),
        (Some("string"), ..) => json!("x1"),
        (Some("integer"), ..) => schema["minimum"].clone(),
        (Some("array"), ..) => json!([example(&schema["items"])]),
        (Some("object"), ..) => {
            let parts = schema["properties"].as_object().cloned().unwrap_or_default();
            Value::Object(
                parts
                    .iter()
                    .map(|(key, schema)| (key.clone(), example(schema)))
                    .collect(),
            )
        }
        other => panic!("no example for {other:?}"),
    }
}

fn agree<T: Input + std::fmt::Debug>(skill: &Skill) {
    let mut whole = example(&skill.input_schema);
    if whole.get("branch").is_some() {
        whole["branch"] = json!("x2");
    }
    inputs::read::<T>(&skill.id, &whole).unwrap_or_else(|error| panic!("{error:?} for {whole}"));
    let required: BTreeSet<&str> = skill.input_schema["required"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for key in whole.as_object().expect("an object").keys() {
        let mut less = whole.clone();
        less.as_object_mut().expect("an object").remove(key);
        let taken = inputs::read::<T>(&skill.id, &less).is_ok();
        assert_eq!(
            taken,
            !required.contains(key.as_str()),
            "{} without `{key}`",
            skill.id
        );
    }
    let mut more = whole;
    more["surprise"] = json!(1);
    let error = inputs::read::<T>(&skill.id, &more).expect_err("an unknown field is refused");
    assert_eq!(error.code, "invalid_input");
    assert!(error.detail.contains("surprise") && !error.retryable, "{error:?}");
}

#[test]
fn schemas_and_types_agree() {
    for skill in all() {
        match skill.id.as_str() {
            "plan_task" => agree::<inputs::PlanTask>(&skill),
            "review_change" => agree::<inputs::ReviewChange>(&skill),
            "run_checks" => agree::<inputs::RunChecks>(&skill),
            "deploy_service" => agree::<inputs::DeployService>(&skill),
            "rollback" => agree::<inputs::Rollback>(&skill),
            "check_health" => agree::<inputs::CheckHealth>(&skill),
            "update_changelog" => agree::<inputs::UpdateChangelog>(&skill),
            "apply_change" => agree::<inputs::ApplyChange>(&skill),
            "implement_feature" | "implement_and_review" => agree::<inputs::ImplementFeature>(&skill),
            "get_status" => agree::<inputs::GetStatus>(&skill),
            "decompose_task" => agree::<inputs::DecomposeTask>(&skill),
            "route_request" => agree::<inputs::RouteRequest>(&skill),
            "aggregate_results" => agree::<inputs::AggregateResults>(&skill),
            "review_code" => agree::<inputs::ReviewCode>(&skill),
            "static_analysis" => agree::<inputs::StaticAnalysis>(&skill),
            "review_pr" => agree::<inputs::ReviewPr>(&skill),
            "explain_code" => agree::<inputs::ExplainCode>(&skill),
            "run_pipeline" => agree::<inputs::RunPipeline>(&skill),
            "validate_build" => agree::<inputs::ValidateBuild>(&skill),
            "deploy_artifact" => agree::<inputs::DeployArtifact>(&skill),
            "health_check" => agree::<inputs::HealthCheck>(&skill),
            "update_config" => agree::<inputs::UpdateConfig>(&skill),
            "generate_infrastructure" => agree::<inputs::GenerateInfrastructure>(&skill),
            "generate_docs" => agree::<inputs::GenerateDocs>(&skill),
            "update_readme" => agree::<inputs::UpdateReadme>(&skill),
            "generate_code" => agree::<inputs::GenerateCode>(&skill),
            "refactor_code" => agree::<inputs::RefactorCode>(&skill),
            other => panic!("no type for {other}"),
        }
    }
}

#[test]
fn bad_values_are_named() {
    let read = |input: Value| inputs::read::<inputs::DeployService>("deploy_service", &input);
    let good = json!({"environment": "production", "base": "main", "head_revision": "a".repeat(40)});
    assert!(read(good.clone()).is_ok());
    for (key, value) in [
        ("environment", json!("../x")),
        ("base", json!("-x")),
        ("head_revision", json!("main")),
        ("head_revision", json!("A".repeat(40))),
        ("approval_id", json!("yes")),
        ("base", json!(7)),
    ] {
        let mut bad = good.clone();
        bad[key] = value.clone();
        assert!(read(bad).is_err(), "{key} = {value}");
    }
}

#[test]
fn examples_are_understood_by_the_planner() {
    for skill in all() {
        for example in &skill.examples {
            let intent = crate::planning::understand(example).intent;
            assert_eq!(intent.name(), "deliver", "{}: {example}", skill.id);
        }
    }
}
