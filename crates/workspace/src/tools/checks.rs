//! Running the repository's own checks.

use super::{Kind, Tools};
use crate::commands::{self, CommandOutcome, Status};
use crate::effects::Ended;
use crate::error::ToolResult;
use crate::workspace::{Launch, Workspace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ffi::OsString;

pub(super) fn register(tools: &mut Tools) {
    tools.add_effect::<Run, Ran>(
        "check_run",
        Kind::Run,
        "Run a check of the base branch's guildhall.toml on a clean checkout of a revision.",
        run,
    );
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Run {
    /// The branch, tag or commit id to check.
    revision: String,
    /// The check's name, as repository_describe lists it.
    check: String,
    /// The same for every attempt at this effect.
    idempotency_key: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Ran {
    /// The check's name.
    check: String,
    /// The commit id that was checked.
    revision: String,
    /// The commit id of the base branch whose guildhall.toml named the command.
    configured_at: String,
    #[serde(flatten)]
    outcome: CommandOutcome,
}

fn run(workspace: &Workspace, input: Run, arguments: &Value) -> ToolResult<Value> {
    workspace
        .effects
        .run(&input.idempotency_key, "check_run", arguments, |attempt| {
            if let Some(ran) = attempt.recorded::<Ran>("command")? {
                attempt.found_done("command")?;
                return Ok(Ended::Durably(ran));
            }
            let (base, configuration) = workspace.configured()?;
            let check = configuration.check_named(&input.check)?;
            let revision = workspace.git.resolve(&input.revision)?;
            let worktree = workspace.worktree(&revision)?;
            let own: [(&str, OsString); 4] = [
                ("GUILDHALL_CHECK", input.check.clone().into()),
                ("GUILDHALL_REVISION", revision.clone().into()),
                ("GUILDHALL_IDEMPOTENCY_KEY", attempt.key.into()),
                (
                    "GUILDHALL_CACHE_DIR",
                    workspace.cache_directory(&input.check)?.into(),
                ),
            ];
            let command = Launch::from(check).command(&worktree.path, &own, check.timeout_s);
            // A missing program is the machine's state, not the check's outcome: once it is there, the same key may try.
            let has_outcome = |ran: &Ran| ran.outcome.status != Status::NotStarted;
            let ran = attempt.recorded_step(
                "command",
                || {
                    Ok(Ran {
                        check: input.check.clone(),
                        revision,
                        configured_at: base.revision,
                        outcome: commands::run(&command, &workspace.stopping)?,
                    })
                },
                |ran| ran.outcome.status.as_str().to_owned(),
                has_outcome,
            )?;
            Ok(if has_outcome(&ran) {
                Ended::Durably(ran)
            } else {
                Ended::Openly(ran)
            })
        })
}
