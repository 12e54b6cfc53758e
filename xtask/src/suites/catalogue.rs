//! Which test program belongs to which suite.

use crate::cargo;
use anyhow::Context;
use serde_json::Value;
use std::path::PathBuf;

/// A group of tests that is run and counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// Fast tests beside the code, and the rules of the checkout
    Unit,
    /// The state machines in Postgres
    Sql,
    /// The embedded host, and what each component imports and exports
    Components,
    /// A whole fleet over HTTP
    E2e,
    /// Faults: kills, lost connections
    Chaos,
    /// Other people's test suites for the standards spoken
    Conformance,
}

impl Suite {
    /// All of them, the quickest first.
    pub const ALL: [Suite; 6] = [
        Suite::Unit,
        Suite::Sql,
        Suite::Components,
        Suite::E2e,
        Suite::Chaos,
        Suite::Conformance,
    ];

    /// The name on the command line and in the closing line.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Unit => "unit",
            Suite::Sql => "sql",
            Suite::Components => "components",
            Suite::E2e => "e2e",
            Suite::Chaos => "chaos",
            Suite::Conformance => "conformance",
        }
    }

    /// Whether its tests run the guildhall program or components.
    pub fn needs_programs(self) -> bool {
        matches!(
            self,
            Suite::Components | Suite::E2e | Suite::Chaos | Suite::Conformance
        )
    }

    /// Whether its programs spend their time waiting, for restarts and time limits, and so may run beside each other.
    pub fn mostly_waits(self) -> bool {
        self == Suite::Chaos
    }

    /// The suite of a test program: `target` is its cargo target, `integration` whether it lies beside the package's
    /// sources instead of in them.
    fn of(package: &str, target: &str, integration: bool) -> Suite {
        let named = Suite::ALL
            .into_iter()
            .find(|suite| target.split(['_', '-']).next() == Some(suite.name()));
        match (package, integration) {
            (_, false) => Suite::Unit,
            ("guildhall-store-native", true) => Suite::Sql,
            ("guildhall-host", true) => Suite::Components,
            _ => named.unwrap_or(Suite::Unit),
        }
    }
}

/// A compiled test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its suite.
    pub suite: Suite,
    /// The package it tests.
    pub package: String,
    /// What to call it, for example `guildhall-host tests/host`.
    pub name: String,
    /// The file.
    pub executable: PathBuf,
    /// The package's Cargo.toml.
    pub manifest: String,
}

/// A member of the workspace.
struct Member {
    name: String,
    manifest: String,
    targets: Vec<(String, String)>,
}

/// Packages whose code only runs in a guest: their tests are those of the crates and suites around them.
fn is_guest(member: &Member) -> bool {
    let components = member.manifest.contains("/components/");
    components && member.targets.iter().any(|(kind, _)| kind == "cdylib")
}

fn members() -> anyhow::Result<Vec<Member>> {
    let mut documents = cargo::messages(
        "read the workspace's metadata",
        &["metadata", "--format-version", "1", "--no-deps"],
    )?;
    let metadata = documents.pop().context("cargo metadata said nothing")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let targets = |package: &Value| {
        let targets = package["targets"].as_array().cloned().unwrap_or_default();
        targets
            .iter()
            .map(|target| (text(&target["kind"][0]), text(&target["name"])))
            .collect()
    };
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?;
    Ok(packages
        .iter()
        .map(|package| Member {
            name: text(&package["name"]),
            manifest: text(&package["manifest_path"]),
            targets: targets(package),
        })
        .collect())
}

fn native(members: &[Member]) -> Vec<&Member> {
    members.iter().filter(|member| !is_guest(member)).collect()
}

/// Arguments that select all native packages. Cargo compiles a dependency once for each set of features that the selected
/// packages want of it, so a build of some of them would compile most of it again for the next build of others.
fn selection(native: &[&Member]) -> Vec<String> {
    native
        .iter()
        .flat_map(|member| ["-p".to_string(), member.name.clone()])
        .collect()
}

/// The selection of every native package, for whoever builds one of their programs.
pub fn native_selection() -> anyhow::Result<Vec<String>> {
    Ok(selection(&native(&members()?)))
}

/// What was compiled.
#[derive(Debug, Default)]
pub struct Compiled {
    /// The test programs of the suites.
    pub programs: Vec<Program>,
    /// The guildhall program; none when no suite needs it.
    pub guildhall: Option<PathBuf>,
}

/// The test whose compilation brings the guildhall program along, as cargo builds a package's programs for its tests.
const BRINGS_GUILDHALL: &str = "command";

/// Compiles the test programs of the suites, and the guildhall program with them: built on its own it would get other
/// features of its dependencies, and all of them would be compiled twice.
pub fn compile(suites: &[Suite]) -> anyhow::Result<Compiled> {
    let members = members()?;
    let native = native(&members);
    let mut args: Vec<String> = ["test", "--no-run", "--message-format", "json-render-diagnostics"]
        .map(String::from)
        .into();
    let wanted: Vec<(&Member, &str, &str)> = native
        .iter()
        .flat_map(|member| {
            member
                .targets
                .iter()
                .map(|(kind, name)| (*member, kind.as_str(), name.as_str()))
        })
        .filter(|(member, kind, name)| suites.contains(&Suite::of(&member.name, name, *kind == "test")))
        .collect();
    if wanted.is_empty() {
        return Ok(Compiled::default());
    }
    args.extend(selection(&native));
    if suites.contains(&Suite::Unit) {
        args.extend(["--lib".into(), "--bins".into()]);
    }
    let mut tests: Vec<&str> = wanted
        .iter()
        .filter(|(_, kind, _)| *kind == "test")
        .map(|(_, _, name)| *name)
        .collect();
    if suites.iter().any(|suite| suite.needs_programs()) {
        tests.push(BRINGS_GUILDHALL);
    }
    tests.sort_unstable();
    tests.dedup();
    for test in tests {
        args.extend(["--test".into(), test.into()]);
    }
    eprintln!("compiling the tests");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let messages = cargo::messages("compile the tests", &args)?;
    let programs = messages.iter().filter_map(|message| program(message, &members));
    Ok(Compiled {
        programs: programs
            .filter(|program| suites.contains(&program.suite))
            .collect(),
        guildhall: messages.iter().find_map(guildhall),
    })
}

/// The guildhall program's file, when this message is of its compilation.
fn guildhall(message: &Value) -> Option<PathBuf> {
    let is_it = message["reason"] == "compiler-artifact"
        && message["profile"]["test"] == false
        && message["target"]["kind"][0] == "bin"
        && message["target"]["name"] == "guildhall";
    is_it.then(|| message["executable"].as_str().map(PathBuf::from))?
}

fn program(message: &Value, members: &[Member]) -> Option<Program> {
    let executable = message["executable"].as_str()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let manifest = message["manifest_path"].as_str()?;
    let member = members.iter().find(|member| member.manifest == manifest)?;
    let (kind, target) = (
        message["target"]["kind"][0].as_str()?,
        message["target"]["name"].as_str()?,
    );
    let integration = kind == "test";
    let name = match kind {
        "test" => format!("{} tests/{target}", member.name),
        "bin" => format!("{} (program {target})", member.name),
        _ => member.name.clone(),
    };
    Some(Program {
        suite: Suite::of(&member.name, target, integration),
        package: member.name.clone(),
        name,
        executable: executable.into(),
        manifest: manifest.into(),
    })
}

/// The packages whose documentation is to be tested: all with a library, as soon as any of them has an example.
pub fn documented(programs: &[Program]) -> Vec<String> {
    let mut libraries: Vec<&Program> = programs
        .iter()
        .filter(|program| program.suite == Suite::Unit && program.name == program.package)
        .collect();
    libraries.sort_by(|one, other| one.package.cmp(&other.package));
    libraries.dedup_by(|one, other| one.package == other.package);
    if !libraries.iter().any(|program| has_doc_tests(program)) {
        return Vec::new();
    }
    libraries
        .into_iter()
        .map(|program| program.package.clone())
        .collect()
}

/// Asking rustdoc takes seconds for each package; looking for an example takes none.
fn has_doc_tests(program: &Program) -> bool {
    fn search(dir: &std::path::Path) -> bool {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| match path.is_dir() {
            true => search(&path),
            false => std::fs::read_to_string(&path).is_ok_and(|text| has_example(&text)),
        })
    }
    search(&super::package_dir(&program.manifest).join("src"))
}

/// Whether a source's documentation has a fence that rustdoc would compile.
fn has_example(source: &str) -> bool {
    let mut open = false;
    source.lines().any(|line| {
        let line = line.trim_start();
        let Some(tag) = line.strip_prefix("//! ```").or(line.strip_prefix("/// ```")) else {
            return false;
        };
        open = !open;
        open && !["text", "ignore", "toml", "json", "console", "sh"].contains(&tag.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fences_that_rustdoc_compiles_are_examples() {
        assert!(has_example("//! ```\n//! let x = 1;\n//! ```\n"));
        assert!(has_example("/// ```no_run\n/// ```\n"));
        assert!(!has_example("/// ```text\n/// a -> b\n/// ```\nfn a() {}\n"));
    }

    #[test]
    fn programs_find_their_suites() {
        for (package, target, integration, suite) in [
            ("guildhall-domain", "guildhall_domain", false, Suite::Unit),
            ("guildhall-tests", "e2e", true, Suite::E2e),
            ("guildhall-tests", "chaos", true, Suite::Chaos),
            ("guildhall-tests", "conformance_mcp", true, Suite::Conformance),
            ("guildhall-store-native", "machine", true, Suite::Sql),
            (
                "guildhall-store-native",
                "guildhall_store_native",
                false,
                Suite::Unit,
            ),
            ("guildhall-host", "host", true, Suite::Components),
            ("xtask", "components", true, Suite::Components),
            ("xtask", "layout", true, Suite::Unit),
        ] {
            assert_eq!(
                Suite::of(package, target, integration),
                suite,
                "{package} {target}"
            );
        }
    }
}
