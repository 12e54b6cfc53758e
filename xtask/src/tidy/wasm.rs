//! What a component imports and exports, read from the component itself.

use anyhow::Context;
use std::path::Path;
use wasmparser::{ComponentExternalKind, Parser, Payload};

/// The names at a component's outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// What it wants, sorted.
    pub imports: Vec<String>,
    /// What it offers, sorted.
    pub exports: Vec<String>,
}

/// Reads a component. Core modules and components inside it are not looked at: nothing of theirs reaches outside.
pub fn outside(file: &Path) -> anyhow::Result<Outside> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut found = Outside::default();
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.with_context(|| format!("{} is not a component", file.display()))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    found.imports.push(import?.name.name.to_string());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export?;
                    if export.kind != ComponentExternalKind::Type {
                        found.exports.push(export.name.name.to_string());
                    }
                }
            }
            _ => {}
        }
    }
    found.imports.sort();
    found.exports.sort();
    Ok(found)
}

/// Names of `names` that come neither from WASI nor from Spin.
pub fn foreign(names: &[String]) -> Vec<&String> {
    let known = |name: &&String| {
        ["wasi:", "spin:", "fermyon:spin/"]
            .iter()
            .any(|origin| name.starts_with(origin))
    };
    names.iter().filter(|name| !known(name)).collect()
}
