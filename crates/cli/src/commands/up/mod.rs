//! `guildhall up`: a whole fleet on one machine, from nothing but the system's Postgres and Redis binaries.

mod announce;
mod fleet;
mod guard;
mod ready;
mod services;
mod variables;
mod workspace;

use super::workspace::listen_for;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::output::say;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::signal::unix::SignalKind;

/// How faithfully Spin's weaknesses are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeChoice {
    /// With limits, reconnects, timeouts and an orderly shutdown
    #[default]
    Hardened,
    /// As Spin behaves, faults included
    Strict,
}

/// Where the components' own output goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogChoice {
    /// To logs/COMPONENT.log in the state directory
    #[default]
    Files,
    /// To standard error
    Stderr,
    /// To both
    Both,
}

/// What to start.
#[derive(Clone, Debug, clap::Args)]
pub struct Up {
    /// The git repository that the agents work on; without one they have no tools
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,
    /// The branch that changes are merged into [default: as the repository says]
    #[arg(long, requires = "repo", value_name = "BRANCH")]
    base: Option<String>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// How others reach the fleet, when that differs from where it listens
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// How the runtime behaves
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    mode: ModeChoice,
    /// A database to use instead of a private one, as postgres:// URL or libpq key=value words
    #[arg(
        long,
        env = "GUILDHALL_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    database_url: Option<String>,
    /// A Redis to use instead of a private one
    #[arg(long, env = "GUILDHALL_REDIS_URL", hide_env_values = true, value_name = "URL")]
    redis_url: Option<String>,
    /// The application [default: spin.toml here or in a folder above]
    #[arg(long, env = "GUILDHALL_APP", value_name = "FILE")]
    app: Option<PathBuf>,
    /// Where compiled components are kept; fleets can share it [default: cache/ in the state directory]
    #[arg(long, env = "GUILDHALL_CACHE_DIR", value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Where the components' output goes
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    log: LogChoice,
    /// For development and tests: what components send over HTTP to HOST:PORT goes, unencrypted, to ADDRESS
    #[arg(long = "stand-in", value_name = "HOST:PORT=ADDRESS", value_delimiter = ',', value_parser = stand_in)]
    stand_ins: Vec<(String, SocketAddr)>,
}

/// A service, and who plays it.
fn stand_in(text: &str) -> std::result::Result<(String, SocketAddr), String> {
    let (service, address) = text.split_once('=').ok_or("it has no `=`")?;
    let port = service
        .rsplit_once(':')
        .map(|(host, port)| (host, port.parse::<u16>()));
    if !matches!(port, Some((host, Ok(_))) if !host.is_empty()) {
        return Err(format!("`{service}` is not HOST:PORT"));
    }
    let address = address
        .parse()
        .map_err(|_| format!("`{address}` is not an address with a port, such as 127.0.0.1:8080"))?;
    Ok((service.to_ascii_lowercase(), address))
}

impl Up {
    /// The manifest to run.
    fn manifest(&self) -> Result<PathBuf> {
        let here = std::env::current_dir()
            .map_err(|error| CliError::new("cannot tell where we are").cause(&error))?;
        let found = match &self.app {
            Some(path) if path.is_dir() => Some(path.join("spin.toml")),
            Some(path) => Some(path.clone()),
            None => here
                .ancestors()
                .map(|dir| dir.join("spin.toml"))
                .find(|path| path.is_file()),
        };
        found.filter(|path| path.is_file()).ok_or_else(|| {
            CliError::new("cannot find the application")
                .because(match &self.app {
                    Some(path) => format!("there is no file {}", path.display()),
                    None => format!("neither {} nor a folder above it has a spin.toml", here.display()),
                })
                .hint("run it in the checkout of Guildhall, or give --app PATH/spin.toml")
        })
    }
}

/// Starts everything, serves until SIGINT, SIGTERM or SIGHUP, stops everything it started. A second signal kills.
pub async fn run(context: &Context, up: Up) -> Result<()> {
    crate::start_logging();
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut hang_up = listen_for(SignalKind::hangup())?;
    let mut signal = async || {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            _ = hang_up.recv() => "SIGHUP",
        }
    };
    let mut fleet = tokio::select! {
        started = fleet::Fleet::start(context, &up) => started?,
        name = signal() => {
            say(&format!("{name} while starting: stopping what was started"));
            return Ok(());
        }
    };
    let ended = tokio::select! {
        ended = fleet.serve(context) => ended,
        name = signal() => {
            say(&format!("{name}: stopping; once more to kill"));
            Ok(())
        }
    };
    let pids = fleet.children();
    tokio::select! {
        () = fleet.stop() => ended,
        _ = signal() => {
            for pid in pids {
                guildhall_provision::os::signal(pid, guildhall_provision::os::Signal::Kill);
            }
            say("killed");
            std::process::exit(130);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::stand_in;

    #[test]
    fn stand_ins_are_read() {
        let (service, address) = stand_in("API.example:443=127.0.0.1:8080").expect("a stand-in");
        assert_eq!((service.as_str(), address.port()), ("api.example:443", 8080));
        for bad in [
            "api.example:443",
            "api.example=127.0.0.1:1",
            ":1=127.0.0.1:1",
            "a:x=127.0.0.1:1",
            "a:1=b:1",
        ] {
            assert!(stand_in(bad).is_err(), "{bad}");
        }
    }
}
