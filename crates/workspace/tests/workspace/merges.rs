//! Merging, and the work tree that has the base branch checked out.

use crate::support::{Repository, Server};
use serde_json::{Value, json};

fn merge(head: &str, key: &str) -> Value {
    json!({ "base": "main", "head_revision": head, "message": "Merge it", "idempotency_key": key })
}

fn merged(server: &Server, head: &str, key: &str) -> Value {
    server.call("change_merge", merge(head, key)).unwrap()
}

#[test]
fn a_change_is_merged_and_a_clean_checkout_comes_along() {
    let repository = Repository::new(&[("a.txt", "a\n"), ("gone.txt", "x\n")]);
    repository.git(&["checkout", "-q", "-b", "feature"]);
    repository.git(&["rm", "-q", "gone.txt"]);
    let head = repository.commit(&[("b.txt", "b\n")]);
    repository.git(&["checkout", "-q", "main"]);
    let old = repository.commit(&[("c.txt", "c\n")]);
    repository.write("untracked.txt", "mine\n");
    repository.write("a.txt", "a\n"); // Touched, but the same.
    let server = repository.serve();
    let result = merged(&server, &head, "k");
    assert_eq!(
        (&result["already_merged"], &result["checkout"]),
        (&json!(false), &json!("updated"))
    );
    assert_eq!(result["revision"], repository.head("main"));
    assert_eq!(
        repository.git(&["log", "-1", "--format=%P", "main"]),
        format!("{old} {head}")
    );
    assert_eq!(
        repository.git(&["log", "-1", "--format=%B", "main"]),
        "Merge it\n\nGuildhall-Effect: k"
    );
    assert_eq!(repository.git(&["status", "--porcelain"]), "?? untracked.txt");
    assert_eq!(repository.read("b.txt"), "b\n");
    assert!(!repository.path().join("gone.txt").exists());
    repository.git(&["fsck", "--strict"]);

    let again = merged(&server, &head, "another key");
    assert_eq!(
        (&again["already_merged"], &again["revision"]),
        (&json!(true), &result["revision"])
    );
}

#[test]
fn a_dirty_checkout_changes_nothing() {
    let repository = Repository::new(&[("a.txt", "a\n"), ("z.txt", "z\n")]);
    let head = repository.branch("feature", &[("b.txt", "b\n")]);
    let old = repository.head("main");
    let server = repository.serve();
    repository.write("z.txt", "dirty\n");
    assert_eq!(server.code("change_merge", merge(&head, "k")), "worktree_dirty");
    repository.git(&["add", "z.txt"]);
    assert_eq!(server.code("change_merge", merge(&head, "k")), "worktree_dirty");
    repository.git(&["reset", "-q", "--hard"]);
    // A file that git does not know would be overwritten.
    repository.write("b.txt", "mine\n");
    assert_eq!(server.code("change_merge", merge(&head, "k")), "worktree_dirty");
    assert_eq!(
        (repository.head("main"), repository.read("b.txt")),
        (old, "mine\n".to_owned())
    );
    std::fs::remove_file(repository.path().join("b.txt")).unwrap();
    // A refusal is no outcome: the same key works once the way is free.
    assert_eq!(merged(&server, &head, "k")["checkout"], "updated");
}

#[test]
fn without_a_checkout_of_the_base_nothing_but_the_branch_moves() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let head = repository.branch("feature", &[("b.txt", "b\n")]);
    repository.git(&["checkout", "-q", "-b", "work"]);
    repository.write("a.txt", "dirty\n");
    let result = merged(&repository.serve(), &head, "k");
    assert_eq!(
        (&result["checkout"], &result["revision"]),
        (&json!("none"), &json!(repository.head("main")))
    );
    assert_eq!(repository.git(&["status", "--porcelain"]), " M a.txt");
    assert!(!repository.path().join("b.txt").exists());
}

#[test]
fn a_conflict_names_its_files_and_changes_nothing() {
    let repository = Repository::new(&[("a.txt", "a\n"), ("ok.txt", "1\n")]);
    let head = repository.branch("feature", &[("a.txt", "theirs\n"), ("ok.txt", "2\n")]);
    let old = repository.commit(&[("a.txt", "ours\n")]);
    let server = repository.serve();
    let error = server.call("change_merge", merge(&head, "k")).unwrap_err();
    assert_eq!(
        (&error["code"], &error["files"]),
        (&json!("merge_conflict"), &json!(["a.txt"]))
    );
    assert_eq!(
        (
            repository.head("main"),
            repository.git(&["status", "--porcelain"])
        ),
        (old, String::new())
    );
}

#[test]
fn only_whole_commit_ids_are_merged_and_only_into_branches() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let head = repository.branch("feature", &[("b.txt", "b\n")]);
    let server = repository.serve();
    assert_eq!(
        server.code("change_merge", merge("feature", "k1")),
        "invalid_arguments"
    );
    assert_eq!(
        server.code("change_merge", merge(&head[..20], "k2")),
        "invalid_arguments"
    );
    assert_eq!(
        server.code("change_merge", merge(&"0".repeat(40), "k3")),
        "unknown_revision"
    );
    let mut elsewhere = merge(&head, "k4");
    elsewhere["base"] = json!("absent");
    assert_eq!(server.code("change_merge", elsewhere), "unknown_branch");
    let mut half = merge(&head, "k5");
    half["fencing_token"] = json!(1);
    assert_eq!(server.code("change_merge", half), "invalid_arguments");
}

#[test]
fn a_stale_lock_holder_cannot_merge() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let head = repository.branch("feature", &[("b.txt", "b\n")]);
    let old = repository.head("main");
    let server = repository.serve();
    let fenced = |token: u64, key: &str| {
        let mut ask = merge(&head, key);
        (ask["fencing_token"], ask["resource"]) = (json!(token), json!("deployment:production"));
        ask
    };
    // The newer holder has shown its token with another effect.
    assert_eq!(
        server.code("change_merge", {
            let mut ask = fenced(7, "other");
            ask["base"] = json!("absent");
            ask
        }),
        "unknown_branch"
    );
    assert_eq!(
        server.code("change_merge", fenced(6, "late")),
        "stale_fencing_token"
    );
    assert_eq!(repository.head("main"), old);
    server.call("change_merge", fenced(8, "newest")).unwrap();
}

#[test]
fn a_merge_whose_record_was_lost_is_found_again() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let head = repository.branch("feature", &[("b.txt", "b\n")]);
    let server = repository.serve();
    let first = merged(&server, &head, "k");
    repository.forget_outcome("k");
    repository.commit(&[("later.txt", "later\n")]);
    let again = merged(&server, &head, "k");
    assert_eq!(
        (&again["revision"], &again["already_merged"]),
        (&first["revision"], &json!(false))
    );
    assert_eq!(repository.git(&["rev-list", "--count", "--merges", "main"]), "1");
}

#[test]
fn a_checkout_that_was_left_behind_by_a_crash_is_brought_along() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let head = repository.branch("feature", &[("b.txt", "b\n")]);
    let server = repository.serve();
    let first = merged(&server, &head, "k");
    // As it is when the server dies after it moved the branch and before it moved the work tree.
    repository.git(&["read-tree", "-m", "-u", "main", "main^"]);
    repository.forget_outcome("k");
    assert!(!repository.path().join("b.txt").exists());
    let again = merged(&server, &head, "k");
    assert_eq!(
        (&again["revision"], &again["checkout"]),
        (&first["revision"], &json!("updated"))
    );
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    assert_eq!(repository.read("b.txt"), "b\n");
}

#[test]
fn concurrent_merges_of_different_changes_all_arrive() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let heads: Vec<String> = (0..4)
        .map(|n| repository.branch(&format!("f{n}"), &[(format!("f{n}.txt").as_str(), "x\n")]))
        .collect();
    repository.git(&["checkout", "-q", "--detach"]);
    let server = repository.serve();
    std::thread::scope(|scope| {
        for head in &heads {
            scope.spawn(|| {
                // A loser of many races says so and may try again with its key.
                while let Err(error) = server.call("change_merge", merge(head, head)) {
                    assert_eq!(error["code"], "branch_moved");
                }
            });
        }
    });
    assert_eq!(repository.git(&["rev-list", "--count", "--merges", "main"]), "4");
    for n in 0..4 {
        repository.git(&["cat-file", "-e", &format!("main:f{n}.txt")]);
    }
}
