//! Files that git knows: none too long, none unfinished.

use crate::cargo;
use anyhow::{Context, bail};
use std::path::PathBuf;
use std::process::Command;

/// The most lines of a source file, tests included.
pub const LINES_MAX: usize = 600;

/// Files of these kinds have a limit.
const LIMITED: [&str; 4] = ["rs", "sql", "sh", "toml"];

/// The files of the checkout, relative to its root: those in git and those that could be added.
pub fn tracked() -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(cargo::root())
        .output()
        .context("cannot start git")?;
    if !output.status.success() {
        bail!(
            "git ls-files failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let text = String::from_utf8_lossy(&output.stdout).to_string();
    let files = text
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from);
    Ok(files.filter(|path| cargo::root().join(path).is_file()).collect())
}

fn sources() -> anyhow::Result<Vec<(PathBuf, String)>> {
    let limited = |path: &PathBuf| {
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_string());
        // A snapshot is written by a test and as long as what it shows.
        let written_by_people = !path.to_string_lossy().ends_with(".snapshot.sql");
        written_by_people && extension.is_some_and(|extension| LIMITED.contains(&extension.as_str()))
    };
    let files = tracked()?.into_iter().filter(limited);
    Ok(files
        .filter_map(|path| {
            Some((
                path.clone(),
                std::fs::read_to_string(cargo::root().join(path)).ok()?,
            ))
        })
        .collect())
}

/// A line for each file that has grown too long.
pub fn too_long() -> anyhow::Result<Vec<String>> {
    let long = sources()?
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()));
    Ok(long
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| {
            format!(
                "{}: {lines} lines; more than {LINES_MAX} become a folder",
                path.display()
            )
        })
        .collect())
}

/// A line for each mark of unfinished work.
pub fn unfinished() -> anyhow::Result<Vec<String>> {
    // Put together here, so that this file does not find itself.
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X:"].concat(),
    ];
    let mut found = Vec::new();
    for (path, text) in sources()? {
        for (number, line) in text.lines().enumerate() {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
            let marked = words.clone().any(|word| {
                marks
                    .iter()
                    .any(|mark| word.trim_end_matches(':') == mark.trim_end_matches(':') && word.len() <= 5)
            });
            // What a rule or its test says about the marks of others is quoted.
            if marked && !line.contains('"') && !line.contains('`') && !line.contains('\'') {
                found.push(format!(
                    "{}:{}: unfinished: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    Ok(found)
}
