//! Every error code has a page, and every page a code.

use crate::cargo;
use anyhow::Context;
use guildhall_domain::Code;
use std::collections::BTreeSet;

/// A line for each code without a page and each page without a code.
pub fn mismatches() -> anyhow::Result<Vec<String>> {
    let dir = cargo::root().join("docs/errors");
    let entries = std::fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().to_string());
    let pages: BTreeSet<String> = names
        .filter_map(|name| name.strip_suffix(".md").map(str::to_string))
        .filter(|name| name != "README")
        .collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| code.as_str().to_string()).collect();
    let without_page = codes
        .difference(&pages)
        .map(|code| format!("the code {code} has no page docs/errors/{code}.md"));
    let without_code = pages
        .difference(&codes)
        .map(|page| format!("docs/errors/{page}.md is about no code"));
    Ok(without_page.chain(without_code).collect())
}
