//! Who may import whom, as docs/architecture.md says, held against `cargo metadata`.

use crate::cargo;
use anyhow::Context;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Crates that decide and do nothing else.
const PURE: [&str; 5] = [
    "guildhall-domain",
    "guildhall-flow",
    "guildhall-outbound",
    "guildhall-policy",
    "guildhall-skills",
];

/// What pure crates never see, directly or through others.
const FORBIDDEN_TO_PURE: [&str; 7] = [
    "spin-sdk",
    "wit-bindgen",
    "wasip3",
    "tokio",
    "hyper",
    "tokio-postgres",
    "reqwest",
];

/// What pure crates do not name themselves. Through others they may come into sight, because cargo switches a shared
/// dependency's features on for everybody; what matters then is that nothing asks for chance, see [`impure`].
const NOT_NAMED_BY_PURE: [&str; 2] = ["rand", "getrandom"];

/// What a crate of ours may import of ours. What is not listed may import nothing of ours.
const ALLOWED: [(&str, &[&str]); 17] = [
    ("guildhall-domain", &[]),
    ("guildhall-flow", &[]),
    ("guildhall-policy", &["guildhall-domain"]),
    ("guildhall-openapi", &["guildhall-domain"]),
    ("guildhall-outbound", &["guildhall-domain", "guildhall-flow"]),
    (
        "guildhall-skills",
        &["guildhall-domain", "guildhall-flow", "guildhall-policy"],
    ),
    (
        "guildhall-store",
        &["guildhall-domain", "guildhall-flow", "guildhall-policy"],
    ),
    (
        "guildhall-guest",
        &[
            "guildhall-domain",
            "guildhall-flow",
            "guildhall-policy",
            "guildhall-skills",
            "guildhall-store",
        ],
    ),
    ("guildhall-store-native", &["guildhall-domain", "guildhall-store"]),
    ("guildhall-host", &[]),
    ("guildhall-workspace", &["guildhall-domain"]),
    ("guildhall-provision", &[]),
    (
        "guildhall-testkit",
        &[
            "guildhall-domain",
            "guildhall-provision",
            "guildhall-store",
            "guildhall-store-native",
        ],
    ),
    (
        "guildhall-cli",
        &[
            "guildhall-domain",
            "guildhall-flow",
            "guildhall-host",
            "guildhall-provision",
            "guildhall-store",
            "guildhall-store-native",
            "guildhall-workspace",
        ],
    ),
    (
        "guildhall-tests",
        &[
            "guildhall-domain",
            "guildhall-flow",
            "guildhall-provision",
            "guildhall-testkit",
        ],
    ),
    (
        "xtask",
        &[
            "guildhall-domain",
            "guildhall-provision",
            "guildhall-store",
            "guildhall-testkit",
        ],
    ),
    (
        "component-*",
        &[
            "guildhall-domain",
            "guildhall-flow",
            "guildhall-guest",
            "guildhall-outbound",
            "guildhall-policy",
            "guildhall-skills",
            "guildhall-store",
        ],
    ),
];

/// Package names and what each depends on, dependencies of tests and build scripts left out.
struct Graph {
    ours: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

fn graph() -> anyhow::Result<Graph> {
    let metadata = cargo::metadata()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?;
    let names: BTreeMap<String, String> = packages
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let name = |id: &Value| {
        names
            .get(id.as_str().unwrap_or_default())
            .cloned()
            .unwrap_or_default()
    };
    let members = metadata["workspace_members"]
        .as_array()
        .context("cargo metadata names no members")?;
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"]
        .as_array()
        .context("cargo metadata has no graph")?
    {
        let own = edges.entry(name(&node["id"])).or_default();
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                own.insert(name(&dependency["pkg"]));
            }
        }
    }
    Ok(Graph {
        ours: members.iter().map(name).collect(),
        edges,
    })
}

impl Graph {
    /// The shortest chain of packages from `from` to `to`.
    fn chain(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            if at == to {
                let mut chain = vec![to.to_string()];
                let mut step = to;
                while let Some(before) = came_from.get(step) {
                    chain.insert(0, before.to_string());
                    step = before;
                }
                return Some(chain);
            }
            for next in self.edges.get(at).into_iter().flatten() {
                if next != from && !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, at);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

/// A line for each import that the architecture does not allow.
pub fn forbidden() -> anyhow::Result<Vec<String>> {
    let graph = graph()?;
    let mut wrong = Vec::new();
    for name in &graph.ours {
        let key = if name.starts_with("component-") {
            "component-*"
        } else {
            name.as_str()
        };
        let allowed = ALLOWED
            .iter()
            .find(|(of, _)| *of == key)
            .map_or(&[][..], |(_, allowed)| allowed);
        for import in graph
            .edges
            .get(name)
            .into_iter()
            .flatten()
            .filter(|import| graph.ours.contains(*import))
        {
            if !allowed.contains(&import.as_str()) {
                wrong.push(format!(
                    "{name} imports {import}, which docs/architecture.md does not allow"
                ));
            }
        }
    }
    for pure in PURE {
        for name in NOT_NAMED_BY_PURE {
            if graph
                .edges
                .get(pure)
                .is_some_and(|imports| imports.contains(name))
            {
                wrong.push(format!("{pure} is pure and must not import {name}"));
            }
        }
        for far in FORBIDDEN_TO_PURE {
            if let Some(chain) = graph.chain(pure, far) {
                wrong.push(format!(
                    "{pure} is pure and must not see {far}: {}",
                    chain.join(" → ")
                ));
            }
        }
    }
    Ok(wrong)
}

/// A line for each place where a pure crate asks for the time, for chance or for the outside.
pub fn impure() -> anyhow::Result<Vec<String>> {
    let asks = [
        "Utc::now",
        "Local::now",
        "SystemTime",
        "Instant::now",
        "std::fs",
        "std::net",
        "std::process",
        "std::env",
        "new_v4",
        "now_v7",
    ];
    let mut wrong = Vec::new();
    for path in super::files::tracked()? {
        let text = path.to_string_lossy().to_string();
        let pure = PURE
            .iter()
            .any(|name| text.starts_with(&format!("crates/{}/src/", name.trim_start_matches("guildhall-"))));
        if !pure || path.extension().is_none_or(|extension| extension != "rs") || text.ends_with("tests.rs") {
            continue;
        }
        let source = std::fs::read_to_string(cargo::root().join(&path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        // Tests at the end of a file may do what they like.
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            if let Some(ask) = asks
                .iter()
                .find(|ask| line.contains(**ask) && !line.contains('"'))
            {
                wrong.push(format!(
                    "{text}:{}: {ask} in a pure crate; pass it in",
                    number + 1
                ));
            }
        }
    }
    Ok(wrong)
}
