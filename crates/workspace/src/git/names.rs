//! Names that come from outside: paths, branches and revisions. What is not plainly harmless is refused.

use crate::error::{ToolError, ToolResult};

/// The longest path, in bytes, as Linux has it.
pub const PATH_MAX: usize = 4096;
const COMPONENT_MAX: usize = 255;
const NAME_MAX: usize = 250;

/// Checks a path inside the repository: relative, with `/` between components, and nothing that could leave the
/// tree or reach git's own files on any file system.
pub fn check_path(path: &str) -> ToolResult<()> {
    let refuse = |why: &str| {
        let shown: String = path.chars().take(120).collect();
        Err(ToolError::new(
            "path_refused",
            format!("the path {shown:?} is refused: {why}"),
            "Give a path relative to the repository's root, such as \"src/main.rs\".",
        ))
    };
    if path.is_empty() {
        return refuse("it is empty");
    }
    if path.len() > PATH_MAX {
        return refuse("it is too long");
    }
    if path.starts_with('/') {
        return refuse("it is absolute");
    }
    if path.contains('\\') {
        return refuse("a backslash separates directories on some systems");
    }
    if path.chars().any(|c| c.is_control()) {
        return refuse("it holds a control character");
    }
    for component in path.split('/') {
        match component {
            "" => return refuse("it has an empty component"),
            "." | ".." => return refuse("it has a . or .. component"),
            long if long.len() > COMPONENT_MAX => return refuse("a component is too long"),
            git if names_git_directory(git) => return refuse("git's own files are out of reach"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether some file system would take this component for `.git`: case, NTFS short names, trailing dots, spaces and
/// streams, and the code points that HFS+ ignores.
fn names_git_directory(component: &str) -> bool {
    let visible: String = component.chars().filter(|c| !ignored_by_hfs(*c)).collect();
    let stem = visible.split(':').next().unwrap_or_default();
    let stem = stem.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    stem == ".git"
        || stem
            .strip_prefix("git~")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Checks the form of a branch name; [`super::Git`] asks git itself as well before it makes one.
pub fn check_branch(name: &str) -> ToolResult<()> {
    let bad = name.is_empty()
        || name.len() > NAME_MAX
        || name.starts_with(['-', '/', '.'])
        || name.ends_with(['/', '.'])
        || name.ends_with(".lock")
        || name.contains("..")
        || name.contains("//")
        || name.contains("/.")
        || name.contains("@{")
        || name == "@"
        || name == "HEAD"
        || name.starts_with("refs/")
        || looks_like_object_id(name)
        || name.split('/').any(|part| part.ends_with(".lock"))
        || name
            .chars()
            .any(|c| c.is_control() || c == ' ' || "~^:?*[\\".contains(c));
    if bad {
        return Err(ToolError::invalid(
            format!(
                "{:?} is not a branch name",
                name.chars().take(120).collect::<String>()
            ),
            "Give a plain branch name such as \"feature/login\", without refs/heads/.",
        ));
    }
    Ok(())
}

/// Checks the form of a revision: a branch, a tag, an object id, or one of these with `~` and `^`.
pub fn check_revision(revision: &str) -> ToolResult<()> {
    let bad = revision.is_empty()
        || revision.len() > NAME_MAX
        || revision.starts_with('-')
        || revision.contains("..")
        || revision.contains("^{")
        || revision.contains("^@")
        || revision.contains("^!")
        || revision.contains("^-")
        || revision
            .chars()
            .any(|c| c.is_control() || c == ' ' || ":?*[\\".contains(c));
    if bad {
        return Err(unknown_revision(revision));
    }
    Ok(())
}

/// Whether this is a whole object id (SHA-1 or SHA-256), which can mean nothing else.
pub fn looks_like_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// There is no such commit.
pub fn unknown_revision(revision: &str) -> ToolError {
    ToolError::new(
        "unknown_revision",
        format!(
            "the repository has no branch, tag or commit {:?}",
            revision.chars().take(120).collect::<String>()
        ),
        "Name a local branch, a tag or a commit id; `git branch --list` shows the branches.",
    )
}

/// There is no such branch.
pub fn unknown_branch(branch: &str) -> ToolError {
    ToolError::new(
        "unknown_branch",
        format!(
            "the repository has no branch {:?}",
            branch.chars().take(120).collect::<String>()
        ),
        "`git branch --list` shows the branches.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_that_leave_or_reach_git_are_refused() {
        let long = "a/".repeat(3000) + "a";
        let wide = "x".repeat(256);
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/..",
            "./a",
            "a/./b",
            "a//b",
            "a/",
            "a\0b",
            "a\nb",
            ".git",
            ".git/config",
            ".GIT/config",
            ".GiT",
            "a/.git/hooks/x",
            ".git.",
            ".git ",
            ".git . .",
            "git~1",
            "GIT~2/config",
            ".git::$INDEX_ALLOCATION",
            ".git:x",
            "a\\..\\b",
            "C:\\x",
            ".g\u{200c}it/config",
            "\u{feff}.git",
            &long,
            &wide,
        ] {
            assert_eq!(
                check_path(path).map_err(|e| e.code),
                Err("path_refused"),
                "{path:?}"
            );
        }
    }

    #[test]
    fn ordinary_paths_pass() {
        for path in [
            "a",
            "src/main.rs",
            ".gitignore",
            ".github/workflows/ci.yml",
            "a b/ü.txt",
            "...",
            "git~x",
            "a..b",
            "-x",
        ] {
            check_path(path).unwrap();
        }
    }

    #[test]
    fn branch_names_and_revisions_that_are_more_than_names_are_refused() {
        for branch in [
            "",
            "-d",
            "--upload-pack=x",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "HEAD",
            "@",
            "a@{1}",
            "refs/heads/x",
            "a/",
            "/a",
            "a.lock",
            "a.lock/b",
            ".a",
            "a/.b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a\u{7f}",
            "0123456789012345678901234567890123456789",
        ] {
            assert!(check_branch(branch).is_err(), "{branch:?}");
        }
        for revision in [
            "", "-x", "--all", "a..b", "a...b", "HEAD:x", ":/fix", "a^{/x}", "a b", "a^!", "a\0", "x*",
        ] {
            assert!(check_revision(revision).is_err(), "{revision:?}");
        }
        for revision in ["main", "HEAD~2", "v1.0^", "feature/x", "abc123"] {
            check_revision(revision).unwrap();
        }
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_inside_any_root(path in "[a-zA-Z.~/ :\\\\-]{1,24}") {
            if check_path(&path).is_ok() {
                let joined = std::path::Path::new("/root/of/repo").join(&path);
                prop_assert!(joined.starts_with("/root/of/repo"));
                prop_assert!(joined.components().all(|c| c != std::path::Component::ParentDir));
                prop_assert!(!path.to_ascii_lowercase().split('/').any(|c| c.trim_end_matches(['.', ' ']) == ".git"));
            }
        }
    }
}
