//! Files for services, made from facts and held against the review's own rules.

use guildhall_skills::infra::{Provider, ServiceFacts, make, read_answer};
use guildhall_skills::review::{Options, Severity, added, review_changes, review_diff};
use serde_json::{Value, json};

fn facts(value: Value) -> ServiceFacts {
    serde_json::from_value(value).expect("facts")
}

#[test]
fn what_the_rules_make_passes_the_rules_that_review() {
    let service = facts(json!({
        "name": "shop", "image": "registry.example.com/shop:1.4.2", "port": 8080, "replicas": 3,
        "environment": {"LOG_LEVEL": "info", "GREETING": "a: \"b\" # c", "DB_PASSWORD": "${DB_PASSWORD}"},
    }));
    service.check().expect("good facts");
    for provider in [Provider::Compose, Provider::Kubernetes] {
        let made = make(provider, &service).expect("a file");
        assert!(
            made.content.contains("8080") && made.content.contains("shop:1.4.2"),
            "{}",
            made.content
        );
        assert!(made.content.contains(r#""a: \"b\" # c""#), "{}", made.content);
        let review = review_diff(&added(&made.path, &made.content), &Options::default());
        let bad: Vec<_> = review
            .findings
            .iter()
            .filter(|f| f.severity >= Severity::Medium)
            .collect();
        assert!(bad.is_empty(), "{bad:#?}\n{}", made.content);
    }
    assert_eq!(make(Provider::Terraform, &service), None);
}

#[test]
fn facts_that_are_none_or_hold_credentials_are_refused() {
    let good = json!({"name": "shop", "image": "shop:1"});
    facts(good.clone()).check().expect("good facts");
    for (key, value, why) in [
        ("name", json!("Shop"), "service/name"),
        ("name", json!("a\nb"), "service/name"),
        ("image", json!("shop"), "pinned"),
        ("image", json!("shop:latest"), "pinned"),
        ("image", json!("shop:1\nkind: x"), "service/image"),
        ("port", json!(0), "service/port"),
        ("replicas", json!(101), "service/replicas"),
        ("environment", json!({"A B": "x"}), "no variable"),
        ("environment", json!({"A": "x\ny"}), "one line"),
        ("environment", json!({"DB_PASSWORD": "hunter2"}), "credential"),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        let error = facts(bad.clone()).check().expect_err(&bad.to_string());
        assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_models_file_is_taken_whole_or_not_at_all() {
    let made = read_answer("```json\n{\"path\": \"main.tf\", \"content\": \"x\"}\n```").expect("a file");
    assert_eq!((made.path.as_str(), made.notes.len()), ("main.tf", 0));
    for answer in [
        "no",
        "{\"path\": \"x\"}",
        "{\"path\": \"x\", \"content\": \" \"}",
        "{\"path\": \"x\", \"content\": \"y\", \"run\": 1}",
    ] {
        assert!(read_answer(answer).is_err(), "{answer}");
    }
}

#[test]
fn code_and_differences_of_every_form_are_reviewed() {
    let key = ["AK", "IA", "QYLPMN5HHHFPZAM2"].concat();
    let line = format!("aws_access_key_id = {key}");
    let whole = format!("x\n{line}\n");
    let hunk = format!("@@ -1 +1,2 @@\n x\n+{line}\n");
    let headed = format!("--- a/s.ini\n+++ b/s.ini\n{hunk}");
    let git = format!("diff --git a/s.ini b/s.ini\n{headed}");
    for changes in [whole, hunk, headed, git] {
        let review = review_changes("s.ini", &changes, &Options::default()).expect("it can be read");
        let found = &review.findings[0];
        assert_eq!(
            (found.rule.as_str(), found.line),
            ("secret-aws-access-key", Some(2)),
            "{changes}"
        );
        assert!(!serde_json::to_string(&review).expect("JSON").contains(&key));
    }
    assert!(
        review_changes("s.ini", "@@ -1 +1,2 @@\n x\n", &Options::default()).is_err(),
        "cut off"
    );
    assert_eq!(review_diff(&added("a", ""), &Options::default()).lines_added, 0);
}
