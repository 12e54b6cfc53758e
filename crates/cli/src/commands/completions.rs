//! `guildhall completions`: tab completion for shells.

use crate::context::Context;
use crate::error::Result;
use clap::CommandFactory;
use serde_json::json;

/// Prints the script that teaches a shell the commands.
pub fn run(context: &Context, shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::args::Cli::command(), "guildhall", &mut script);
    let script = String::from_utf8_lossy(&script).to_string();
    if context.output.json {
        let document = json!({ "shell": shell.to_string(), "script": script });
        return context.output.document("guildhall.completions.v1", document);
    }
    context.output.write(&script)
}
