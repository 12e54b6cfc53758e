//! Runs tests/sql/*.sql, each in a copy of the prepared database, and reads their TAP.

use crate::support::{prepared, program, root};
use guildhall_testkit::Database;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(root().join("tests/sql"))
        .expect("tests/sql is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            name.ends_with(".sql") && name.starts_with(|c: char| c.is_ascii_digit())
        })
        .collect();
    files.sort();
    files
}

/// What psql printed, or why it is not a passing TAP stream.
fn run(database: &Database, file: &Path) -> Result<String, String> {
    let output = program("psql")
        .args(["-XqtA", "-v", "ON_ERROR_STOP=1", "-d", &database.url(), "-f"])
        .arg(file)
        .output()
        .map_err(|error| format!("psql cannot be started: {error}"))?;
    let tap = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = |why: String| {
        format!(
            "{}: {why}\n{tap}{}",
            file.display(),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    if !output.status.success() {
        return Err(complaint(format!("psql ended with {}", output.status)));
    }
    let planned: usize = tap
        .lines()
        .find_map(|line| line.strip_prefix("1.."))
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| complaint("no plan".into()))?;
    let passed = tap.lines().filter(|line| line.starts_with("ok ")).count();
    let failed = tap.lines().filter(|line| line.starts_with("not ok")).count();
    if failed > 0 || passed != planned {
        return Err(complaint(format!(
            "planned {planned}, passed {passed}, failed {failed}"
        )));
    }
    Ok(tap)
}

/// The functions that the descriptions of passed assertions begin with.
fn subjects(tap: &str) -> impl Iterator<Item = String> + '_ {
    tap.lines().filter_map(|line| {
        let (_, description) = line.strip_prefix("ok ")?.split_once(" - ")?;
        let (subject, _) = description.split_once(": ")?;
        Some(subject.to_owned())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_keeps_its_promises() {
    let files = files();
    assert!(files.len() >= 10, "tests/sql has its files");
    let mut tasks = Vec::new();
    for file in files {
        let database = prepared().await;
        tasks.push(tokio::task::spawn_blocking(move || run(&database, &file)));
    }
    let mut covered = BTreeSet::new();
    let mut complaints = Vec::new();
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(tap) => covered.extend(subjects(&tap)),
            Err(complaint) => complaints.push(complaint),
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));

    let database = prepared().await;
    let client = database.client().await.expect("connects");
    let rows = client
        .query(
            "select distinct p.proname::text from pg_proc p where p.pronamespace = 'guildhall'::regnamespace",
            &[],
        )
        .await
        .expect("pg_proc can be read");
    let functions: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let uncovered: Vec<_> = functions.difference(&covered).collect();
    assert!(
        uncovered.is_empty(),
        "no assertion in tests/sql is about {uncovered:?}"
    );
}
