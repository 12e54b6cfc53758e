//! What every command shares: where the fleet is, who asks, how to answer.

use crate::error::{CliError, Result};
use crate::http::Api;
use crate::output::{ColourChoice, Output};
use guildhall_provision::fleet::{self, Credentials};
use std::path::{Path, PathBuf};

/// Where `guildhall up` listens by default.
pub const DEFAULT_URL: &str = "http://127.0.0.1:3000";

/// Flags of every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Global {
    /// Base URL of the fleet [default: that of the state directory's fleet, else http://127.0.0.1:3000]
    #[arg(
        long,
        global = true,
        env = "GUILDHALL_URL",
        value_name = "URL",
        help_heading = "Global options"
    )]
    pub url: Option<String>,
    /// API token. An argument is visible to other users; prefer GUILDHALL_TOKEN or --token-file
    #[arg(
        long,
        global = true,
        env = "GUILDHALL_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = "Global options"
    )]
    pub token: Option<String>,
    /// File with the API token
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "token",
        help_heading = "Global options"
    )]
    pub token_file: Option<PathBuf>,
    /// Where `guildhall up` keeps everything [default: .guildhall here or in a folder above]
    #[arg(
        long,
        global = true,
        env = "GUILDHALL_STATE_DIR",
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub state_dir: Option<PathBuf>,
    /// Print JSON documents, one a line
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub color: ColourChoice,
}

/// The resolved flags.
#[derive(Clone, Debug)]
pub struct Context {
    global: Global,
    /// Where data goes.
    pub output: Output,
}

impl Context {
    /// Resolves the flags.
    pub fn new(global: Global) -> Context {
        let output = Output::new(global.json, global.color);
        Context { global, output }
    }

    /// The state directory that a fleet would use: the one named, else `.guildhall` here or above, else here.
    pub fn state_dir(&self) -> PathBuf {
        if let Some(dir) = &self.global.state_dir {
            return dir.clone();
        }
        let here = std::env::current_dir().unwrap_or_else(|_| ".".into());
        let found = here
            .ancestors()
            .map(|dir| dir.join(".guildhall"))
            .find(|dir| fleet::credentials_file(dir).exists());
        found.unwrap_or_else(|| here.join(".guildhall"))
    }

    /// The secrets in the state directory, if there are any.
    pub fn credentials(&self) -> Option<Credentials> {
        fleet::credentials(&self.state_dir()).ok()
    }

    /// The fleet's URL: flag or variable, else the state directory's fleet, else the default.
    pub fn url(&self) -> String {
        if let Some(url) = &self.global.url {
            return url.clone();
        }
        let running = fleet::running(&self.state_dir()).map(|running| running.url);
        running
            .or_else(|| self.credentials().map(|known| known.url))
            .unwrap_or_else(|| DEFAULT_URL.into())
    }

    /// The API token: flag, variable or file, else the state directory's, but never that one for another URL than
    /// its own fleet's.
    pub fn token(&self) -> Result<Option<String>> {
        if let Some(token) = &self.global.token {
            return Ok(Some(token.trim().to_string()));
        }
        if let Some(file) = &self.global.token_file {
            return read_token(file).map(Some);
        }
        let own_fleet = self.global.url.as_deref().is_none_or(|url| {
            let same = |known: &str| known.trim_end_matches('/') == url.trim_end_matches('/');
            self.credentials().is_some_and(|known| same(&known.url))
        });
        Ok(if own_fleet {
            self.credentials().map(|known| known.admin_token)
        } else {
            None
        })
    }

    /// A client of the fleet.
    pub fn api(&self) -> Result<Api> {
        Api::new(&self.url(), self.token()?)
    }
}

fn read_token(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        CliError::new(format!("cannot read the token file {}", file.display())).cause(&error)
    })?;
    Ok(text.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(global: Global) -> Context {
        Context::new(global)
    }

    fn state_dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let credentials = Credentials {
            url: "http://127.0.0.1:4000".into(),
            admin_token: "guildhall_admin".into(),
            internal_token: String::new(),
            workspace_token: String::new(),
            workspace_url: String::new(),
            database: String::new(),
            redis: String::new(),
        };
        fleet::write_credentials(dir.path(), &credentials).unwrap();
        dir
    }

    #[test]
    fn the_state_directory_names_fleet_and_token() {
        let dir = state_dir();
        let context = context(Global {
            state_dir: Some(dir.path().into()),
            ..Global::default()
        });
        assert_eq!(context.url(), "http://127.0.0.1:4000");
        assert_eq!(context.token().unwrap().as_deref(), Some("guildhall_admin"));
    }

    #[test]
    fn the_admin_token_is_never_sent_to_another_fleet() {
        let dir = state_dir();
        let other = Global {
            state_dir: Some(dir.path().into()),
            url: Some("https://hall.example".into()),
            ..Global::default()
        };
        assert_eq!(context(other).token().unwrap(), None);
    }

    #[test]
    fn a_token_file_is_trimmed_and_a_missing_one_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "guildhall_x\n").unwrap();
        let global = Global {
            token_file: Some(file.clone()),
            ..Global::default()
        };
        assert_eq!(
            context(global.clone()).token().unwrap().as_deref(),
            Some("guildhall_x")
        );
        std::fs::remove_file(&file).unwrap();
        assert!(context(global).token().unwrap_err().what.contains("token"));
    }
}
