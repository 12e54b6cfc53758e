//! Reading: what a revision holds, and nothing beyond it.

use crate::support::Repository;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

#[test]
fn a_repository_without_guildhall_toml_says_so() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let server = repository.serve();
    let described = server.call("repository_describe", json!({})).unwrap();
    assert_eq!(
        (
            &described["configured"],
            &described["base_branch"],
            &described["base_revision"],
            &described["name"]
        ),
        (
            &json!(false),
            &json!("main"),
            &json!(repository.head("main")),
            &json!("repo")
        )
    );
    let run = json!({ "revision": "main", "check": "test", "idempotency_key": "k" });
    assert_eq!(server.code("check_run", run), "repository_not_configured");
}

#[test]
fn the_description_lists_what_is_allowed() {
    let repository = Repository::configured(
        "[checks.test]\ncommand = ['true']\n[checks.lint]\ncommand = ['true']\n\
         [environments.production]\nrisk = 'production'\ndeploy = { command = ['true'] }\n\
         [docs]\nchangelog = 'CHANGELOG.md'\n",
        &[],
    );
    let described = repository.serve().call("repository_describe", json!({})).unwrap();
    assert_eq!(
        (&described["checks"], &described["changelog"]),
        (&json!(["lint", "test"]), &json!("CHANGELOG.md"))
    );
    let production = &described["environments"][0];
    assert_eq!(
        (
            &production["name"],
            &production["risk"],
            &production["has_service"],
            &production["resource"]
        ),
        (
            &json!("production"),
            &json!("production"),
            &json!(false),
            &json!("deployment:production")
        )
    );
}

#[test]
fn the_base_branch_is_not_whatever_is_checked_out() {
    let repository = Repository::configured("[checks.good]\ncommand = ['true']\n", &[]);
    repository.branch(
        "feature",
        &[(
            "guildhall.toml",
            "version = 1\n[checks.evil]\ncommand = ['true']\n",
        )],
    );
    repository.git(&["checkout", "-q", "feature"]);
    let described = repository.serve().call("repository_describe", json!({})).unwrap();
    assert_eq!(
        (&described["base_branch"], &described["checks"]),
        (&json!("main"), &json!(["good"]))
    );
}

#[test]
fn the_usual_branch_may_name_another_base_which_must_agree() {
    let repository = Repository::configured("base = 'trunk'\n", &[]);
    let server = repository.serve();
    assert_eq!(server.code("repository_describe", json!({})), "unknown_branch");
    repository.branch("trunk", &[("guildhall.toml", "version = 1\nbase = 'main'\n")]);
    assert_eq!(
        server.code("repository_describe", json!({})),
        "configuration_invalid"
    );
    repository.git(&["branch", "-f", "trunk", "main"]);
    assert_eq!(
        server.call("repository_describe", json!({})).unwrap()["base_branch"],
        "trunk"
    );
}

#[test]
fn a_mistake_in_the_configuration_names_its_line() {
    let repository = Repository::configured("[checks.test]\ncommand = ['true']\ntimeout = 3\n", &[]);
    let error = repository
        .serve()
        .call("repository_describe", json!({}))
        .unwrap_err();
    assert_eq!(error["code"], "configuration_invalid");
    assert!(error["message"].as_str().unwrap().contains("line 4"), "{error}");
}

#[test]
fn names_resolve_to_commits_and_branches_win_over_tags() {
    let repository = Repository::new(&[("a.txt", "a\n")]);
    let first = repository.head("main");
    repository.git(&["tag", "main", &first]);
    repository.git(&["tag", "-a", "-m", "Release", "v1", &first]);
    let second = repository.commit(&[("a.txt", "b\n")]);
    let server = repository.serve();
    let resolve = |revision: &str| {
        server
            .call("revision_resolve", json!({ "revision": revision }))
            .unwrap()
    };
    let main = resolve("main");
    assert_eq!(
        (&main["revision"], &main["branch"]),
        (&json!(second), &json!("main"))
    );
    assert_eq!(
        (&main["author"], &main["subject"]),
        (&json!("Ada"), &json!("Change"))
    );
    assert!(main["committed_at"].as_str().unwrap().contains('T'));
    assert_eq!(resolve("v1")["revision"], first);
    assert_eq!(resolve("main~1")["revision"], first);
    assert_eq!(resolve(&second[..12])["revision"], second);
    assert!(resolve(&second).get("branch").is_none());
    for revision in [
        "nothing",
        "--all",
        "-h",
        "main:a.txt",
        "main..main",
        ":/Change",
        "main^{tree}",
        "",
        "a b",
        "@{-1}",
    ] {
        assert_eq!(
            server.code("revision_resolve", json!({ "revision": revision })),
            "unknown_revision",
            "{revision}"
        );
    }
}

#[test]
fn files_are_read_from_the_revision_and_not_from_the_checkout() {
    let repository = Repository::new(&[("src/a.txt", "committed\n")]);
    repository.write("src/a.txt", "dirty\n");
    repository.write("untracked.txt", "secret\n");
    let server = repository.serve();
    let read = server
        .call("file_read", json!({ "revision": "main", "path": "src/a.txt" }))
        .unwrap();
    assert_eq!(
        (&read["content"], &read["encoding"], &read["size"]),
        (&json!("committed\n"), &json!("utf-8"), &json!(10))
    );
    let code = |path: &str| server.code("file_read", json!({ "revision": "main", "path": path }));
    assert_eq!(code("untracked.txt"), "not_found");
    assert_eq!(code("src"), "not_found");
    assert_eq!(code("src/a.txt/b"), "not_found");
}

#[test]
fn paths_that_lead_out_of_the_repository_are_refused() {
    let repository = Repository::new(&[("a.txt", "a\n"), ("dir/b.txt", "b\n")]);
    std::fs::write(repository.outside().join("secret"), "secret\n").unwrap();
    for (target, link) in [
        ("/etc/passwd", "absolute"),
        ("../secret", "up"),
        ("../../secret", "dir/up"),
        ("/etc", "etc"),
        ("..", "parent"),
        ("loop", "loop"),
        ("missing", "dangling"),
        ("a.txt", "inside"),
        ("../a.txt", "dir/inside"),
        ("dir", "folder"),
        (".git/config", "gitconfig"),
    ] {
        symlink(target, repository.path().join(link)).unwrap();
    }
    repository.commit(&[]);
    let server = repository.serve();
    let code = |path: &str| server.code("file_read", json!({ "revision": "main", "path": path }));
    for path in [
        "/etc/passwd",
        "../secret",
        "dir/../../secret",
        ".git/config",
        ".GIT/HEAD",
        "dir/.git/x",
        "a\0b",
        "./a.txt",
        "dir//b.txt",
        "git~1/config",
        ".git./config",
        "absolute",
        "up",
        "dir/up",
        "etc/passwd",
        "parent/secret",
        "parent/repo/a.txt",
        "a\nb",
        "C:\\a",
    ] {
        assert_eq!(code(path), "path_refused", "{path:?}");
    }
    for path in [
        "loop",
        "dangling",
        "gitconfig",
        "nothing",
        &"x/".repeat(1000)[..1999],
    ] {
        assert_eq!(code(path), "not_found", "{path:?}");
    }
    for (path, content) in [("inside", "a\n"), ("dir/inside", "a\n"), ("folder/b.txt", "b\n")] {
        let read = server
            .call("file_read", json!({ "revision": "main", "path": path }))
            .unwrap();
        assert_eq!(read["content"], content, "{path}");
    }
    let list = |path: &str| server.call("file_list", json!({ "revision": "main", "path": path }));
    assert_eq!(list("etc").unwrap_err()["code"], "path_refused");
    assert_eq!(list("..").unwrap_err()["code"], "path_refused");
    let search = json!({ "revision": "main", "pattern": "root", "path": "../" });
    assert_eq!(server.code("text_search", search), "path_refused");
}

#[test]
fn a_file_comes_in_parts_that_do_not_cut_characters() {
    let text = "aé€😀\n".repeat(50);
    let repository = Repository::new(&[("t.txt", &text)]);
    repository.write("b.bin", [0u8, 159, 146, 150]);
    repository.commit(&[]);
    let server = repository.serve();
    let (mut whole, mut offset) = (String::new(), json!(0));
    while !offset.is_null() {
        let ask = json!({ "revision": "main", "path": "t.txt", "offset": offset, "max_bytes": 7 });
        let part = server.call("file_read", ask).unwrap();
        assert_eq!(part["encoding"], "utf-8", "{part}");
        whole.push_str(part["content"].as_str().unwrap());
        offset = part["next_offset"].clone();
    }
    assert_eq!(whole, text);
    let binary = server
        .call("file_read", json!({ "revision": "main", "path": "b.bin" }))
        .unwrap();
    assert_eq!(
        (&binary["encoding"], &binary["content"]),
        (&json!("base64"), &json!("AJ+Slg=="))
    );
    let beyond = server
        .call(
            "file_read",
            json!({ "revision": "main", "path": "t.txt", "offset": u64::MAX }),
        )
        .unwrap();
    assert_eq!(beyond["content"], "");
}

#[test]
fn a_listing_goes_on_where_it_stopped() {
    let names: Vec<String> = (0..25).map(|n| format!("d/f{n:02}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let repository = Repository::new(&files);
    let server = repository.serve();
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let ask = json!({ "revision": "main", "path": "d", "limit": 10, "cursor": cursor });
        let page = server.call("file_list", ask).unwrap();
        for entry in page["entries"].as_array().unwrap() {
            assert_eq!((&entry["kind"], &entry["size"]), (&json!("file"), &json!(1)));
            seen.push(entry["path"].as_str().unwrap().to_owned());
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, names);
    let root = server.call("file_list", json!({ "revision": "main" })).unwrap();
    assert_eq!(root["entries"], json!([{ "path": "d", "kind": "directory" }]));
    let all = server
        .call("file_list", json!({ "revision": "main", "recursive": true }))
        .unwrap();
    assert_eq!(all["entries"].as_array().unwrap().len(), 25);
    assert_eq!(
        server.code("file_list", json!({ "revision": "main", "cursor": "x" })),
        "invalid_arguments"
    );
}

#[test]
fn text_is_found_literally_or_by_expression() {
    let repository = Repository::new(&[("a.txt", "one\n--flag [x]\nthree\n"), ("b/c.txt", "one two\n")]);
    let server = repository.serve();
    let search = |arguments: Value| server.call("text_search", arguments).unwrap()["matches"].clone();
    let literal = search(json!({ "revision": "main", "pattern": "--flag [x]" }));
    assert_eq!(
        literal,
        json!([{ "path": "a.txt", "line": 2, "text": "--flag [x]" }])
    );
    assert_eq!(
        search(json!({ "revision": "main", "pattern": "absent" })),
        json!([])
    );
    let expression = search(json!({ "revision": "main", "pattern": "^(one|three)$", "regex": true }));
    assert_eq!(expression.as_array().unwrap().len(), 2);
    let below = search(json!({ "revision": "main", "pattern": "one", "path": "b" }));
    assert_eq!(below[0]["path"], "b/c.txt");
    let limited = server
        .call(
            "text_search",
            json!({ "revision": "main", "pattern": "one", "limit": 1 }),
        )
        .unwrap();
    assert_eq!(
        (
            limited["matches"].as_array().unwrap().len(),
            &limited["truncated"]
        ),
        (1, &json!(true))
    );
    let broken = json!({ "revision": "main", "pattern": "(", "regex": true });
    assert_eq!(server.code("text_search", broken), "invalid_arguments");
    assert_eq!(
        server.code("text_search", json!({ "revision": "main", "pattern": "" })),
        "invalid_arguments"
    );
}

#[test]
fn a_change_is_described_from_its_merge_base() {
    let body = "line\n".repeat(20);
    let repository = Repository::new(&[("old name.txt", &body), ("gone.txt", "x\n")]);
    let base = repository.head("main");
    repository.git(&["checkout", "-q", "-b", "feature"]);
    repository.git(&["mv", "old name.txt", "neü.txt"]);
    repository.git(&["rm", "-q", "gone.txt"]);
    repository.write("b.bin", [0u8, 1, 2]);
    let head = repository.commit(&[("added.txt", "1\n2\n")]);
    repository.git(&["checkout", "-q", "main"]);
    let later = repository.commit(&[("main.txt", "later\n")]);
    let server = repository.serve();
    let change = server
        .call("change_describe", json!({ "base": "main", "head": "feature" }))
        .unwrap();
    assert_eq!(
        (
            &change["base_revision"],
            &change["head_revision"],
            &change["merge_base"]
        ),
        (&json!(later), &json!(head), &json!(base))
    );
    assert_eq!(
        (&change["ahead"], &change["behind"], &change["files_total"]),
        (&json!(1), &json!(1), &json!(4))
    );
    assert_eq!(change["commits"][0]["email"], "ada@example.org");
    let mut files = change["files"].as_array().unwrap().clone();
    files.sort_by_key(|file| file["path"].as_str().unwrap().to_owned());
    assert_eq!(
        files,
        [
            json!({ "path": "added.txt", "status": "added", "added": 2, "removed": 0 }),
            json!({ "path": "b.bin", "status": "added", "added": null, "removed": null }),
            json!({ "path": "gone.txt", "status": "deleted", "added": 0, "removed": 1 }),
            json!({ "path": "neü.txt", "previous_path": "old name.txt", "status": "renamed", "added": 0, "removed": 0 }),
        ]
    );
    let diff = server
        .call("change_diff", json!({ "base": "main", "head": "feature" }))
        .unwrap();
    let text = diff["diff"].as_str().unwrap();
    assert!(
        text.contains("rename to neü.txt") && text.contains("+2\n") && !text.contains("main.txt"),
        "{text}"
    );
    assert_eq!(
        (&diff["truncated"], diff["bytes"].as_u64().unwrap()),
        (&json!(false), text.len() as u64)
    );
    repository.git(&["checkout", "-q", "--orphan", "stranger"]);
    repository.commit(&[("s.txt", "s\n")]);
    assert_eq!(
        server.code("change_diff", json!({ "base": "main", "head": "stranger" })),
        "unrelated_histories"
    );
    assert_eq!(
        server.code("change_diff", json!({ "base": "main", "head": "absent" })),
        "unknown_revision"
    );
}

#[test]
fn a_long_diff_is_cut_at_a_line() {
    let repository = Repository::new(&[("a.txt", "")]);
    let long: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
    repository.branch("feature", &[("a.txt", &long)]);
    let server = repository.serve();
    let diff = server
        .call("change_diff", json!({ "base": "main", "head": "feature" }))
        .unwrap();
    assert_eq!(
        (&diff["truncated"], diff["diff"].as_str().unwrap().lines().count()),
        (&json!(false), 50_005)
    );
    let part = json!({ "base": "main", "head": "feature", "max_bytes": 1000 });
    let diff = server.call("change_diff", part).unwrap();
    let text = diff["diff"].as_str().unwrap();
    assert!(
        diff["truncated"] == true
            && text.len() <= 1000
            && text.ends_with('\n')
            && text.contains("+line 50\n")
    );
}

#[test]
fn programs_that_the_repository_names_for_git_are_not_run() {
    let repository = Repository::new(&[
        ("a.txt", "a\n"),
        (".gitattributes", "*.txt diff=evil filter=evil\n"),
    ]);
    let sentinel = repository.outside().join("ran");
    let touch = format!("touch {}", sentinel.display());
    for name in [
        "diff.evil.command",
        "diff.evil.textconv",
        "diff.external",
        "core.fsmonitor",
        "core.pager",
        "alias.diff",
    ] {
        let value = if name == "alias.diff" {
            format!("!{touch}")
        } else {
            touch.clone()
        };
        repository.git(&["config", name, &value]);
    }
    repository.branch("feature", &[("b.txt", "b\n")]);
    std::fs::remove_file(&sentinel).ok(); // The user's own git may well have run them.
    let server = repository.serve();
    for (tool, arguments) in [
        ("repository_describe", json!({})),
        ("change_diff", json!({ "base": "main", "head": "feature" })),
        ("change_describe", json!({ "base": "main", "head": "feature" })),
        ("file_read", json!({ "revision": "feature", "path": "b.txt" })),
        ("text_search", json!({ "revision": "feature", "pattern": "b" })),
    ] {
        server.call(tool, arguments).unwrap();
    }
    assert!(!sentinel.exists());
}
