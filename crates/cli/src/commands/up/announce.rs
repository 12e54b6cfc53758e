//! What `guildhall up` prints when the fleet is ready: where it is, where the secrets are, what to do next.

use super::ModeChoice;
use crate::error::Result;
use crate::output::{Output, Tone};
use guildhall_provision::fleet::credentials_file;
use serde_json::json;
use std::path::Path;

/// What there is to tell.
pub struct News<'a> {
    /// Where the fleet listens.
    pub url: &'a str,
    /// How the runtime behaves.
    pub mode: ModeChoice,
    /// The state directory.
    pub state_dir: &'a Path,
    /// The repository, if there is one.
    pub repository: Option<&'a Path>,
    /// How long it took to get ready, in milliseconds.
    pub took_ms: u128,
}

/// Prints it.
pub fn print(output: &Output, news: &News<'_>) -> Result<()> {
    let mode = match news.mode {
        ModeChoice::Hardened => "hardened",
        ModeChoice::Strict => "strict",
    };
    let credentials = credentials_file(news.state_dir);
    if output.json {
        let document = json!({
            "url": news.url,
            "mode": mode,
            "pid": std::process::id(),
            "state_dir": news.state_dir,
            "credentials": credentials,
            "repository": news.repository,
            "took_ms": news.took_ms,
        });
        return output.document("guildhall.up.v1", document);
    }
    let ready = output.paint(Tone::Good, "ready");
    output.line(&format!(
        "guildhall is {ready} at {} ({mode} mode, after {:.1} s)",
        news.url,
        news.took_ms as f64 / 1e3
    ))?;
    output.line(&format!(
        "  admin token  {} (field admin_token; only you can read it)",
        credentials.display()
    ))?;
    let repository = match news.repository {
        Some(path) => path.display().to_string(),
        None => "none: give --repo PATH, so that the agents have something to work on".into(),
    };
    output.line(&format!("  repository   {repository}"))?;
    output.line(&format!(
        "  logs         {}",
        news.state_dir.join("logs").display()
    ))?;
    output.line("next, in another terminal:")?;
    output.line("  guildhall doctor")?;
    output.line("  guildhall agents list")?;
    output.line("  guildhall chat \"review branch my-branch\" --watch")?;
    output
        .line("  guildhall token create --principal ada --scope approvals:read,approvals:decide,runs:read")?;
    output.line("Ctrl-C stops everything that was started; the data stays.")
}
