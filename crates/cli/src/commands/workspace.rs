//! `guildhall workspace`: the agents' tools over one local git repository, as an MCP server.

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::output::say;
use crate::secret;
use guildhall_workspace::WorkspaceOptions;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// The command, with or without the word `serve`.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct WorkspaceCommand {
    #[command(subcommand)]
    serve: Option<Verb>,
    #[command(flatten)]
    options: Serve,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Verb {
    /// Serve the tools
    Serve(Serve),
}

/// What to serve.
#[derive(Clone, Debug, clap::Args)]
pub struct Serve {
    /// The repository
    #[arg(long, default_value = ".", value_name = "PATH")]
    repo: PathBuf,
    /// The branch that changes are merged into [default: as the repository says]
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// Where to listen; the loopback interface only
    #[arg(long, default_value = "127.0.0.1:7420", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The bearer token that callers must send [default: made at the first start]
    #[arg(
        long,
        env = "GUILDHALL_WORKSPACE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    workspace_token: Option<String>,
    /// Where the server keeps what it did [default: workspace/ in the state directory]
    #[arg(long, value_name = "DIR")]
    workspace_dir: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM.
pub async fn run(context: &Context, command: WorkspaceCommand) -> Result<()> {
    crate::start_logging();
    let serve = match command.serve {
        Some(Verb::Serve(serve)) => serve,
        None => command.options,
    };
    let dir = serve
        .workspace_dir
        .unwrap_or_else(|| context.state_dir().join("workspace"));
    std::fs::create_dir_all(&dir)
        .map_err(|error| CliError::new(format!("cannot make {}", dir.display())).cause(&error))?;
    let token = match serve.workspace_token {
        Some(token) => token,
        None => own_token(&dir)?,
    };
    let options = WorkspaceOptions {
        repository: serve.repo.clone(),
        state_dir: dir,
        listen: serve.listen,
        token,
        base_branch: serve.base,
    };
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut running = guildhall_workspace::serve(options).await.map_err(|error| {
        CliError::new(format!("cannot serve the workspace {}", serve.repo.display())).cause(error.as_ref())
    })?;
    if context.output.json {
        context
            .output
            .document("guildhall.workspace.v1", json!({ "url": running.url() }))?;
    } else {
        context.output.line(&running.url())?;
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = running.stopped() => return Err(CliError::new("the workspace server has stopped by itself")),
    }
    running.shutdown().await;
    Ok(())
}

/// The token kept beside the server's state, made at the first start.
fn own_token(dir: &std::path::Path) -> Result<String> {
    let file = dir.join("token");
    if let Ok(token) = std::fs::read_to_string(&file) {
        return Ok(token.trim().to_string());
    }
    let token = secret::random()?;
    guildhall_provision::secret::write(&file, &token)?;
    say(&format!("the bearer token is in {}", file.display()));
    Ok(token)
}

/// A stream of one signal.
pub(crate) fn listen_for(kind: SignalKind) -> Result<tokio::signal::unix::Signal> {
    signal(kind).map_err(|error| CliError::new("cannot listen for signals").cause(&error))
}
