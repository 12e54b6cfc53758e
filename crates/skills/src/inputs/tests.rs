//! Hostile and oversized inputs are refused before anything is done with them.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn refused<T: Input + std::fmt::Debug>(skill: &str, input: Value) -> String {
    let error = read::<T>(skill, &input).expect_err("this input is refused");
    assert_eq!((error.code.as_str(), error.retryable), ("invalid_input", false));
    error.detail
}

#[test]
fn hostile_paths_are_refused_wherever_a_path_is_taken() {
    for path in [
        "/etc/passwd",
        "../x",
        "a/../../b",
        "a//b",
        ".git/config",
        "a/.GIT/hooks",
        "a\\b",
        "a\nb",
        "a\0b",
        "./a",
        "a/",
    ] {
        refused::<ReviewCode>("review_code", json!({"file_path": path, "changes": "x"}));
        refused::<ExplainCode>("explain_code", json!({"path": path}));
        refused::<GenerateDocs>("generate_docs", json!({"path": path}));
        refused::<UpdateReadme>(
            "update_readme",
            json!({"path": path, "content": "x", "section": "y"}),
        );
        refused::<UpdateConfig>(
            "update_config",
            json!({"path": path, "config_key": "a", "config_value": 1}),
        );
        refused::<ApplyChange>(
            "apply_change",
            json!({"branch": "b", "base": "main", "files": [{"path": path, "content": "x"}], "message": "m"}),
        );
        refused::<ImplementFeature>(
            "implement_feature",
            json!({"branch": "b", "description": "d", "context_files": [path]}),
        );
    }
}

#[test]
fn what_is_too_much_is_refused_with_its_limit() {
    let long = "x".repeat(SOURCE_MAX + 1);
    let told = refused::<ReviewCode>("review_code", json!({"file_path": "a.rs", "changes": long}));
    assert!(told.contains(&SOURCE_MAX.to_string()), "{told}");
    refused::<ExplainCode>("explain_code", json!({ "code": long }));
    refused::<GenerateDocs>("generate_docs", json!({ "code": long }));
    refused::<StaticAnalysis>("static_analysis", json!({ "diff": long }));
    refused::<RefactorCode>("refactor_code", json!({ "code": long }));
    refused::<GenerateCode>(
        "generate_code",
        json!({"requirements": "x".repeat(WORDS_MAX + 1)}),
    );
    refused::<AggregateResults>("aggregate_results", json!({"results": vec![json!({}); 101]}));
    refused::<AggregateResults>(
        "aggregate_results",
        json!({"results": [{"a": "x".repeat(600_000)}]}),
    );
    refused::<HealthCheck>("health_check", json!({"services": vec!["a"; 21]}));
    refused::<UpdateReadme>(
        "update_readme",
        json!({"content": "x".repeat(70_000), "section": "y"}),
    );
}

#[test]
fn what_says_nothing_is_refused() {
    for input in [
        json!({}),
        json!({"revision": "main"}),
        json!({"detail_level": "much", "code": "x"}),
    ] {
        refused::<ExplainCode>("explain_code", input);
    }
    refused::<GenerateDocs>("generate_docs", json!({}));
    refused::<GenerateInfrastructure>("generate_infrastructure", json!({"provider": "compose"}));
    refused::<AggregateResults>("aggregate_results", json!({"results": []}));
    refused::<AggregateResults>("aggregate_results", json!({"results": [1]}));
    refused::<HealthCheck>("health_check", json!({"services": []}));
    refused::<HealthCheck>("health_check", json!({"services": ["../x"]}));
    refused::<ValidateBuild>("validate_build", json!({"build_id": "main"}));
    refused::<GetStatus>("get_status", json!({"agent": "cicd"}));
    refused::<GenerateCode>(
        "generate_code",
        json!({"requirements": "x", "language": "klingon"}),
    );
    refused::<UpdateConfig>(
        "update_config",
        json!({"path": "a.toml", "config_key": "a", "config_value": {"b": 1}}),
    );
    refused::<UpdateConfig>(
        "update_config",
        json!({"path": "a.toml", "config_key": "a", "config_value": "x\ny"}),
    );
    refused::<UpdateReadme>("update_readme", json!({"content": "x", "section": "a\nb"}));
    refused::<UpdateReadme>(
        "update_readme",
        json!({"content": "x", "section": "a", "branch": "main", "base": "main"}),
    );
}

#[test]
fn the_originals_names_become_the_same_input() {
    let task: DecomposeTask = read("decompose_task", &json!({"task_description": "review x"})).expect("fits");
    assert_eq!(PlanTask::from(task).message, "review x");
    let pipeline = |name: &str| -> RunPipeline {
        read("run_pipeline", &json!({"pipeline_name": name, "branch": "main"})).expect("fits")
    };
    assert_eq!(pipeline("all").at("a".repeat(40)).checks, None);
    assert_eq!(
        pipeline("test").at("a".repeat(40)).checks,
        Some(vec!["test".to_owned()])
    );
}

proptest! {
    #[test]
    fn a_path_that_is_taken_stays_inside_the_repository(given in "[a-zA-Z./ \\\\-]{1,24}") {
        if path("path", &given).is_ok() {
            prop_assert!(!given.starts_with('/') && !given.contains('\\'));
            prop_assert!(given.split('/').all(|part| !["", ".", ".."].contains(&part)));
            prop_assert!(!given.to_ascii_lowercase().split('/').any(|part| part == ".git"));
        }
    }
}
