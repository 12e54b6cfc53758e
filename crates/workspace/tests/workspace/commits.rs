//! Committing files to branches.

use crate::support::{Repository, Server};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};

fn commit(branch: &str, key: &str, files: Value) -> Value {
    json!({ "branch": branch, "base": "main", "files": files, "message": "Write\n\nWhy.", "idempotency_key": key })
}

fn refused(server: &Server, files: Value) -> String {
    static KEY: AtomicU32 = AtomicU32::new(0);
    let key = format!("refused {}", KEY.fetch_add(1, Ordering::Relaxed));
    server.code("file_commit", commit("docs", &key, files))
}

#[test]
fn a_branch_is_made_and_extended_without_touching_the_checkout() {
    let repository = Repository::new(&[("a.txt", "a\n"), ("bin/x", "#!/bin/sh\n"), ("gone.txt", "x\n")]);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(repository.path().join("bin/x"), mode).unwrap();
    let main = repository.commit(&[]);
    repository.write("a.txt", "dirty\n");
    let before = repository.git(&["status", "--porcelain"]);
    let server = repository.serve();
    let files = json!([
        { "path": "docs/new.md", "content": "# New\n" },
        { "path": "bin/x", "content": "#!/bin/sh\necho\n" },
        { "path": "run", "content": "#!/bin/sh\n", "executable": true },
        { "path": "gone.txt", "content": null }
    ]);
    let first = server.call("file_commit", commit("docs", "k1", files)).unwrap();
    assert_eq!(
        (&first["created"], &first["changed"], &first["branch"]),
        (&json!(true), &json!(true), &json!("docs"))
    );
    let head = repository.head("docs");
    assert_eq!(first["revision"], head);
    assert_eq!(repository.head("docs^"), main);
    let tree = repository.git(&["ls-tree", "-r", "--format=%(objectmode) %(path)", "docs"]);
    assert_eq!(tree, "100644 a.txt\n100755 bin/x\n100644 docs/new.md\n100755 run");
    assert_eq!(repository.git(&["show", "docs:a.txt"]), "a");
    assert_eq!(
        repository.git(&["log", "-1", "--format=%B", "docs"]),
        "Write\n\nWhy.\n\nGuildhall-Effect: k1"
    );

    let second = commit(
        "docs",
        "k2",
        json!([{ "path": "docs/new.md", "content": "# Newer\n" }]),
    );
    let second = server.call("file_commit", second).unwrap();
    assert_eq!(
        (&second["created"], second["revision"].as_str()),
        (&json!(false), Some(repository.head("docs").as_str()))
    );
    assert_eq!(repository.head("docs^"), head);
    let same = commit(
        "docs",
        "k3",
        json!([{ "path": "docs/new.md", "content": "# Newer\n" }]),
    );
    let same = server.call("file_commit", same).unwrap();
    assert_eq!(
        (&same["changed"], &same["revision"]),
        (&json!(false), &second["revision"])
    );
    assert_eq!(repository.git(&["status", "--porcelain"]), before);
    assert_eq!(repository.read("a.txt"), "dirty\n");
    repository.git(&["fsck", "--strict"]);
}

#[test]
fn paths_that_are_not_plain_files_in_plain_directories_are_refused() {
    let repository = Repository::new(&[("a.txt", "a\n"), ("dir/b.txt", "b\n")]);
    symlink("/tmp", repository.path().join("out")).unwrap();
    symlink("dir", repository.path().join("in")).unwrap();
    repository.commit(&[]);
    let server = repository.serve();
    for path in [
        "../x",
        "/tmp/x",
        ".git/hooks/post-commit",
        ".GIT/config",
        "a\0b",
        "x/../../y",
        "",
        "git~1",
        "out",
        "out/x",
        "in/b.txt",
        "in",
        "a.txt/b",
        "dir",
        &"x".repeat(300),
    ] {
        assert_eq!(
            refused(&server, json!([{ "path": path, "content": "x" }])),
            "path_refused",
            "{path:?}"
        );
    }
    assert_eq!(
        refused(&server, json!([{ "path": "absent", "content": null }])),
        "not_found"
    );
    assert_eq!(refused(&server, json!([])), "invalid_arguments");
    let twice = json!([{ "path": "n", "content": "x" }, { "path": "n", "content": null }]);
    assert_eq!(refused(&server, twice), "invalid_arguments");
    assert_eq!(
        refused(&server, json!([{ "path": "a.txt", "content": "a\n" }])),
        "nothing_to_commit"
    );
    assert_eq!(
        repository.git(&["branch", "--list", "--format=%(refname:short)"]),
        "main"
    );
    assert!(!repository.path().join(".git/hooks/post-commit").exists());
}

#[test]
fn branches_that_are_not_for_writing_are_refused() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    repository.git(&["checkout", "-q", "-b", "mine"]);
    let server = repository.serve();
    let code = |branch: &str| {
        let files = json!([{ "path": "n.txt", "content": "n\n" }]);
        server.code("file_commit", commit(branch, &format!("k {branch}"), files))
    };
    assert_eq!(code("main"), "base_branch_refused");
    assert_eq!(code("mine"), "branch_checked_out");
    for branch in [
        "-x",
        "a..b",
        "HEAD",
        "refs/heads/main",
        "a b",
        "a.lock",
        "",
        "@{u}",
        "main/../x",
    ] {
        assert_eq!(code(branch), "invalid_arguments", "{branch:?}");
    }
    let mut message = commit("docs", "k m", json!([{ "path": "n", "content": "n" }]));
    message["message"] = json!("Lie\n\nGuildhall-Effect: another");
    assert_eq!(server.code("file_commit", message), "invalid_arguments");
}

#[test]
fn an_expected_head_must_be_the_head() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let old = repository.branch("docs", &[("d.txt", "1\n")]);
    repository.git(&["branch", "-f", "docs", "main"]);
    let server = repository.serve();
    let mut ask = commit("docs", "k", json!([{ "path": "d.txt", "content": "2\n" }]));
    ask["expected_head"] = json!(old);
    assert_eq!(server.code("file_commit", ask.clone()), "branch_moved");
    ask["expected_head"] = json!(repository.head("main"));
    ask["idempotency_key"] = json!("k2");
    server.call("file_commit", ask).unwrap();
}

#[test]
fn a_commit_whose_record_was_lost_is_found_again() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let server = repository.serve();
    let ask = commit("docs", "step 1", json!([{ "path": "n.txt", "content": "n\n" }]));
    let first = server.call("file_commit", ask.clone()).unwrap();
    // Others went on from it meanwhile.
    server
        .call(
            "file_commit",
            commit("docs", "step 2", json!([{ "path": "m.txt", "content": "m\n" }])),
        )
        .unwrap();
    repository.forget_outcome("step 1");
    let again = server.call("file_commit", ask).unwrap();
    assert_eq!(
        (&again["revision"], &again["created"]),
        (&first["revision"], &json!(true))
    );
    assert_eq!(again["replayed"], false);
    assert_eq!(repository.git(&["rev-list", "--count", "main..docs"]), "2");
}

#[test]
fn a_commit_that_was_made_but_not_yet_on_its_branch_comes_out_the_same() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let server = repository.serve();
    let ask = commit("docs", "k", json!([{ "path": "n.txt", "content": "n\n" }]));
    let first = server.call("file_commit", ask.clone()).unwrap();
    repository.forget_outcome("k");
    repository.git(&["branch", "-D", "docs"]);
    let again = server.call("file_commit", ask).unwrap();
    assert_eq!(again["revision"], first["revision"]);
}

#[test]
fn hooks_of_the_repository_do_not_run() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let sentinel = repository.outside().join("ran");
    for hook in [
        "reference-transaction",
        "post-commit",
        "pre-commit",
        "post-checkout",
        "post-merge",
        "post-index-change",
    ] {
        let path = format!(".git/hooks/{hook}");
        repository.write(&path, format!("#!/bin/sh\ntouch {}\n", sentinel.display()));
        let path = repository.path().join(path);
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let server = repository.serve();
    let committed = server
        .call(
            "file_commit",
            commit("docs", "k", json!([{ "path": "n.txt", "content": "n\n" }])),
        )
        .unwrap();
    let merge = json!({ "base": "main", "head_revision": committed["revision"], "message": "M", "idempotency_key": "m" });
    assert_eq!(server.call("change_merge", merge).unwrap()["checkout"], "updated");
    assert!(!sentinel.exists());
}
