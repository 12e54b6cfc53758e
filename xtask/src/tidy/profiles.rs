//! Our own native crates are exceptions of the optimised profile, each by name: cargo has no pattern for them.

use crate::{cargo, suites::native_selection};
use anyhow::Context;

/// The native crates that Cargo.toml has no `[profile.dev.package.NAME]` for, a sentence each.
pub fn missing() -> anyhow::Result<Vec<String>> {
    let file = cargo::root().join("Cargo.toml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let manifest: toml::Table = text.parse().context("Cargo.toml is not TOML")?;
    let named = manifest["profile"]["dev"]["package"]
        .as_table()
        .context("Cargo.toml has no [profile.dev.package]")?;
    let selection = native_selection()?;
    let ours = selection.iter().filter(|word| *word != "-p");
    Ok(ours
        .filter(|name| !named.contains_key(name.as_str()))
        .map(|name| {
            format!("Cargo.toml: {name} has no [profile.dev.package.{name}], so it is built slowly and without its assertions")
        })
        .collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_native_crate_has_its_profile() {
        assert_eq!(super::missing().unwrap(), Vec::<String>::new());
    }
}
