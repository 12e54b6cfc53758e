//! What a path says about the file's content.

/// Traits of a file that rules ask for, read from its path alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traits {
    /// A lock file, list of checksums or snapshot: full of random-looking text that is no secret.
    pub lock: bool,
    /// Test code or test data.
    pub test: bool,
    /// Vendored or generated: nobody wrote it by hand.
    pub generated: bool,
    /// Prose, or an example for people to adapt.
    pub docs: bool,
}

impl Traits {
    pub fn of(path: &str) -> Traits {
        let lower = path.to_ascii_lowercase();
        let name = file_name(&lower);
        let folders: Vec<&str> = lower.split('/').rev().skip(1).collect();
        let within = |names: &[&str]| folders.iter().any(|folder| names.contains(folder));
        Traits {
            lock: is_lock(name),
            test: within(TEST_FOLDERS) || is_test_name(name),
            generated: within(GENERATED_FOLDERS) || is_generated_name(name),
            docs: within(&["docs", "doc", "examples", "example", "samples"])
                || [".md", ".rst", ".adoc", ".txt", ".mdx"]
                    .iter()
                    .any(|end| name.ends_with(end))
                || [".example", ".sample", ".template", ".dist", ".tmpl"]
                    .iter()
                    .any(|end| name.ends_with(end))
                || name.contains(".example.")
                || name.contains(".sample."),
        }
    }
}

const TEST_FOLDERS: &[&str] = &[
    "test",
    "tests",
    "__tests__",
    "spec",
    "specs",
    "testdata",
    "test-data",
    "test_data",
    "fixture",
    "fixtures",
    "__fixtures__",
    "mock",
    "mocks",
    "__mocks__",
    "e2e",
    "testing",
    "testkit",
    "benches",
    "golden",
];

const GENERATED_FOLDERS: &[&str] = &[
    "vendor",
    "vendored",
    "node_modules",
    "third_party",
    "third-party",
    "dist",
    "generated",
    "__generated__",
];

/// The part after the last slash.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The part of the file name after its last dot, or an empty text.
pub(crate) fn extension(path: &str) -> &str {
    let name = file_name(path);
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

fn is_lock(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "package-lock.json",
        "npm-shrinkwrap.json",
        "pnpm-lock.yaml",
        "go.sum",
        "go.work.sum",
        ".terraform.lock.hcl",
        "bun.lockb",
        "packages.lock.json",
        "gradle.lockfile",
        "verification-metadata.xml",
        "deno.lock",
        "checksums.txt",
        "checksums",
        "sha256sums",
        "sha512sums",
        "md5sums",
        "cargo-checksum.json",
        ".cargo-checksum.json",
        "package.resolved",
    ];
    const ENDS: &[&str] = &[
        ".lock",
        ".lockfile",
        ".sha256",
        ".sha512",
        ".sha1",
        ".md5",
        ".snap",
        ".sum",
        ".svg",
        ".map",
    ];
    NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

fn is_test_name(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    name == "conftest.py"
        || stem == "tests"
        || stem == "test"
        || stem.starts_with("test_")
        || [".test", ".spec", "_test", "_tests", "_spec", "-test", "-tests"]
            .iter()
            .any(|end| stem.ends_with(end))
        || ((name.ends_with(".java") || name.ends_with(".kt") || name.ends_with(".cs"))
            && (stem.ends_with("test") || stem.ends_with("tests")))
}

fn is_generated_name(name: &str) -> bool {
    [
        ".min.js",
        ".min.css",
        ".pb.go",
        ".pb.rs",
        "_pb2.py",
        ".g.dart",
        ".designer.cs",
    ]
    .iter()
    .any(|end| name.ends_with(end))
        || name.contains("_generated.")
        || name.contains(".generated.")
        || name.contains(".gen.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_tests_locks_and_generated_files_apart() {
        let traits = |path| Traits::of(path);
        assert!(
            traits("crates/x/tests/a.rs").test
                && traits("src/user_test.go").test
                && traits("a/UserTest.java").test
        );
        assert!(
            !traits("src/contest.rs").test && !traits("src/latest.rs").test && !traits("protest/x.rs").test
        );
        assert!(
            traits("Cargo.lock").lock && traits("web/package-lock.json").lock && !traits("src/lock.rs").lock
        );
        assert!(
            traits("vendor/x.go").generated
                && traits("a.min.js").generated
                && !traits("src/vendor.rs").generated
        );
        assert!(traits("README.md").docs && traits(".env.example").docs && !traits("src/docs.rs").docs);
        assert_eq!(
            (file_name("a/b.c"), extension("a/b.c"), extension("Makefile")),
            ("b.c", "c", "")
        );
    }
}
