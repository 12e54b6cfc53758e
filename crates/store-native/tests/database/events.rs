//! docs/asyncapi.yaml names the events that the SQL functions can tell, and no others.

use crate::support::{migrated, root};
use std::collections::BTreeSet;

/// Event types in `text`: `dev.guildhall.NOUN.VERB.v1`, or `dev.guildhall.NOUN.` where the verb is put together.
fn types(text: &str) -> BTreeSet<String> {
    let parts = text.split("dev.guildhall.").skip(1);
    parts
        .map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_lowercase() || "._1".contains(c)));
            format!("dev.guildhall.{}", &rest[..end.unwrap_or(rest.len())])
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_asyncapi_document_names_every_event() {
    let document = std::fs::read_to_string(root().join("docs/asyncapi.yaml")).expect("the document");
    // What comes in is no event of ours.
    let incoming = ["dev.guildhall.request.v1", "dev.guildhall.doorbell.v1"];
    let documented: BTreeSet<_> = types(&document)
        .into_iter()
        .filter(|kind| !incoming.contains(&kind.as_str()))
        .collect();
    let mut told = BTreeSet::new();
    let functions = std::fs::read_dir(root().join("migrations/functions")).expect("functions");
    for file in functions {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        told.extend(types(&text));
    }
    told.retain(|kind| !incoming.contains(&kind.as_str()));
    let (whole, begun): (BTreeSet<_>, BTreeSet<_>) = told.into_iter().partition(|kind| kind.ends_with(".v1"));
    let missing: Vec<_> = whole.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/asyncapi.yaml lacks {missing:?}");
    for kind in &documented {
        let tellable = whole.contains(kind) || begun.iter().any(|prefix| kind.starts_with(prefix.as_str()));
        assert!(tellable, "nothing tells {kind}");
    }
    for prefix in &begun {
        assert!(
            documented.iter().any(|kind| kind.starts_with(prefix.as_str())),
            "no {prefix}*"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_a_request_and_every_end_of_a_run_has_its_event() {
    let document = std::fs::read_to_string(root().join("docs/asyncapi.yaml")).expect("the document");
    let documented = types(&document);
    let database = migrated().await;
    let client = database.client().await.expect("connects");
    for (constraint, noun, not_told) in [
        ("requests_state_check", "request", &[][..]),
        ("approvals_state_check", "approval", &["pending"][..]),
        ("runs_status_check", "run", &["pending", "running", "waiting"][..]),
    ] {
        let rows = client
            .query(
                r"select m[1] from pg_constraint c, regexp_matches(pg_get_constraintdef(c.oid), '''(\w+)''::text', 'g') m
                  where c.conname = $1",
                &[&constraint],
            )
            .await
            .expect("the states");
        assert!(!rows.is_empty(), "there is no {constraint}");
        for row in rows {
            let state: String = row.get(0);
            let kind = format!("dev.guildhall.{noun}.{state}.v1");
            assert!(
                not_told.contains(&state.as_str()) || documented.contains(&kind),
                "no {kind}"
            );
        }
    }
}
