//! Questions, answered from Postgres. Who may not read something over the API is not told it by chat either.

use guildhall_guest::{
    Ctx,
    domain::{Code, Problem, approval::ApprovalState, id::RunId, scope::Scope},
    store::{agent, approval, run},
};
use guildhall_skills::{
    answers,
    planning::{self, Intent},
};

/// How many things a list in an answer has at most.
const LISTED: u32 = 10;

/// The answer to everything that starts no work, with the commands to try next.
pub(crate) async fn answer(ctx: &Ctx, intent: &Intent) -> Result<(String, Vec<String>), Problem> {
    Ok(match intent {
        Intent::RunStatus { run: Some(id) } => run_status(ctx, RunId(*id)).await?,
        Intent::RunStatus { run: None } => latest_runs(ctx).await?,
        Intent::ApprovalsList => {
            allow(ctx, Scope::ApprovalsRead)?;
            let page = approval::list(&ctx.db(), Some(ApprovalState::Pending), None, LISTED).await?;
            let commands = page
                .items
                .iter()
                .map(|approval| format!("guildhall approvals show {}", approval.id));
            (answers::approvals(&page.items), commands.collect())
        }
        Intent::AgentsList => {
            allow(ctx, Scope::AgentsRead)?;
            let page = agent::list(&ctx.db(), None, None, None, LISTED).await?;
            (answers::agents(&page.items), vec!["guildhall agents".to_owned()])
        }
        Intent::Decide { approve, approval } => {
            let verb = if *approve { "approve" } else { "reject" };
            let id = approval.map_or_else(|| "APPROVAL_ID".to_owned(), |id| id.to_string());
            let text = format!(
                "A message decides nothing. To {verb} it, a person other than the requester runs \
                 `guildhall approvals {verb} {id}` with a token of their own."
            );
            (
                text,
                vec![
                    "guildhall approvals list".to_owned(),
                    format!("guildhall approvals {verb} {id}"),
                ],
            )
        }
        Intent::RunCancel { run } => {
            let id = run.map_or_else(|| "RUN_ID".to_owned(), |id| id.to_string());
            let text = format!(
                "A message withdraws nothing. POST /v1/runs/{id}/cancel with {{\"reason\": \"...\"}} does; it needs the scope \
                 runs:write."
            );
            (text, vec![format!("guildhall runs show {id}")])
        }
        Intent::Unclear { question, .. } => (question.clone(), Vec::new()),
        Intent::Help | Intent::Deliver { .. } => (planning::help(), vec!["guildhall --help".to_owned()]),
    })
}

async fn run_status(ctx: &Ctx, id: RunId) -> Result<(String, Vec<String>), Problem> {
    let principal = ctx.principal()?;
    let found = run::get(&ctx.db(), id).await?;
    let readable =
        |requester: &str| requester == principal.name || Scope::RunsRead.is_granted_by(&principal.scopes);
    match found.filter(|run| readable(&run.requester)) {
        Some(run) => Ok((answers::run(&run), vec![format!("guildhall runs watch {id}")])),
        None => {
            let text = format!("There is no run {id}, or it is not yours to see.");
            Ok((text, vec!["guildhall runs list".to_owned()]))
        }
    }
}

async fn latest_runs(ctx: &Ctx) -> Result<(String, Vec<String>), Problem> {
    let principal = ctx.principal()?;
    let all = Scope::RunsRead.is_granted_by(&principal.scopes);
    let page = run::list(&ctx.db(), None, None, if all { LISTED } else { 200 }).await?;
    let mut runs = page.items;
    runs.retain(|run| all || run.requester == principal.name);
    runs.truncate(LISTED as usize);
    Ok((answers::runs(&runs), vec!["guildhall runs list".to_owned()]))
}

fn allow(ctx: &Ctx, scope: Scope) -> Result<(), Problem> {
    let principal = ctx.principal()?;
    if scope.is_granted_by(&principal.scopes) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Forbidden,
        format!("The token of `{}` lacks the scope `{scope}`.", principal.name),
    )
    .hint(format!(
        "Use a token with it: `guildhall token create --scope {scope} ...`."
    )))
}
