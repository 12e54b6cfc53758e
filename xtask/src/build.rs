//! Builds every component that spin.toml names, in one go, and the native program.

use crate::suites::native_selection;
use crate::{cargo, setup};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// What to build.
#[derive(Clone, Debug, clap::Args)]
pub struct Build {
    /// Only the components
    #[arg(long, conflicts_with = "native")]
    components: bool,
    /// Only the guildhall program
    #[arg(long)]
    native: bool,
}

impl Build {
    /// Builds.
    pub fn run(&self) -> anyhow::Result<()> {
        if !self.native {
            setup::ensure_target()?;
            components(&[])?;
        }
        if !self.components {
            native()?;
        }
        Ok(())
    }
}

/// Builds everything and gives the path of the guildhall program.
pub fn all() -> anyhow::Result<PathBuf> {
    setup::ensure_target()?;
    components(&[])?;
    native()
}

/// Builds the components and the guests of the host's tests.
pub fn components_and_fixtures() -> anyhow::Result<()> {
    setup::ensure_target()?;
    components(&["probe", "listener"])
}

/// A component as spin.toml names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its id.
    pub id: String,
    /// The cargo package that makes it.
    pub package: String,
    /// Where its file is looked for.
    pub source: PathBuf,
}

/// The components of spin.toml, in its order.
pub fn named() -> anyhow::Result<Vec<Component>> {
    let file = cargo::root().join("spin.toml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    read_manifest(&text).with_context(|| format!("cannot read {}", file.display()))
}

fn read_manifest(text: &str) -> anyhow::Result<Vec<Component>> {
    let manifest: toml::Table = text.parse().context("it is not TOML")?;
    let components = manifest
        .get("component")
        .and_then(toml::Value::as_table)
        .context("it names no component")?;
    components
        .iter()
        .map(|(id, component)| {
            let source = component.get("source").and_then(toml::Value::as_str);
            let source = source.with_context(|| format!("component.{id}.source is not a path"))?;
            let command = component
                .get("build")
                .and_then(|build| build.get("command"))
                .and_then(toml::Value::as_str);
            let command = command.with_context(|| format!("component.{id}.build.command is missing"))?;
            let mut words = command
                .split_whitespace()
                .skip_while(|word| !matches!(*word, "-p" | "--package"));
            let package = words
                .nth(1)
                .with_context(|| format!("component.{id}.build.command names no package"))?;
            Ok(Component {
                id: id.clone(),
                package: package.into(),
                source: source.into(),
            })
        })
        .collect()
}

/// Builds the components, and further packages of the same kind, with one run of cargo.
fn components(further: &[&str]) -> anyhow::Result<()> {
    let components = named()?;
    let mut args = vec!["build", "--release", "--target", setup::WASM_TARGET];
    for package in components
        .iter()
        .map(|component| component.package.as_str())
        .chain(further.iter().copied())
    {
        args.extend(["-p", package]);
    }
    eprintln!("building {} components", components.len());
    cargo::run("build the components", &args)?;
    place(&components)
}

/// spin.toml looks into `target/`; a build elsewhere (CARGO_TARGET_DIR) is copied there.
fn place(components: &[Component]) -> anyhow::Result<()> {
    for component in components {
        let wanted = cargo::root().join(&component.source);
        let relative = component
            .source
            .strip_prefix("target")
            .unwrap_or(&component.source);
        let built = cargo::target_dir().join(relative);
        if built != wanted {
            let copied = wanted
                .parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| copy_if_newer(&built, &wanted));
            copied.with_context(|| format!("cannot copy {} to {}", built.display(), wanted.display()))?;
        }
        if !wanted.is_file() {
            bail!(
                "cargo built {}, but {} is not there",
                component.package,
                wanted.display()
            );
        }
    }
    Ok(())
}

fn copy_if_newer(from: &Path, to: &Path) -> std::io::Result<()> {
    let time = |path: &Path| path.metadata().and_then(|meta| meta.modified());
    if !matches!((time(from), time(to)), (Ok(from), Ok(to)) if to >= from) {
        std::fs::copy(from, to)?;
    }
    Ok(())
}

/// Builds the guildhall program.
fn native() -> anyhow::Result<PathBuf> {
    eprintln!("building the guildhall program");
    let selection = native_selection()?;
    let mut args = vec!["build", "--bin", "guildhall"];
    args.extend(selection.iter().map(String::as_str));
    cargo::run("build the guildhall program", &args)?;
    Ok(cargo::target_dir().join("debug/guildhall"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_has_a_package_and_a_source() {
        let text = "[component.a-b]\nsource = \"target/x.wasm\"\n[component.a-b.build]\ncommand = \"cargo build --release -p component-a-b\"\n";
        let found = read_manifest(text).unwrap();
        let expected = Component {
            id: "a-b".into(),
            package: "component-a-b".into(),
            source: "target/x.wasm".into(),
        };
        assert_eq!(found, [expected]);
        let error = read_manifest("[component.x]\nsource = \"y\"\n")
            .unwrap_err()
            .to_string();
        assert_eq!(error, "component.x.build.command is missing");
    }
}
