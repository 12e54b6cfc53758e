//! The code-review agent: reviews by rules, real differences read through the workspace tools or what it is given.

mod given;

use guildhall_guest::{
    GuestResponse, Request, Router,
    agent::{self, AgentCall},
    common,
    domain::{Code, request::AgentError},
    repository::{self, tool},
};
use guildhall_skills::{
    cards,
    inputs::{self, ReviewChange, ReviewPr},
    report,
};
use serde_json::{Value, json};
use spin_sdk::http_service;

const NAME: &str = "code-review";

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let card = agent::card(
        NAME,
        "Reviews changes by rules: leaked credentials, dangerous migrations, risky infrastructure and more.",
        cards::code_review(),
    );
    agent::routes(Router::new().without_ticker(), card, answer)
        .serve(request)
        .await
}

async fn answer(call: AgentCall) -> Result<Value, AgentError> {
    match call.skill.as_str() {
        "review_change" => review_change(&call, inputs::read(&call.skill, &call.input)?).await,
        "review_pr" => review_pr(&call).await,
        "review_code" => given::review_code(&call),
        "static_analysis" => given::static_analysis(&call),
        "explain_code" => common::explain_code(&call).await,
        "get_status" => common::get_status(&call, NAME).await,
        _ => Err(call.unknown_skill()),
    }
}

async fn review_change(call: &AgentCall, input: ReviewChange) -> Result<Value, AgentError> {
    let from = input.base_revision.as_ref().unwrap_or(&input.base);
    let arguments = json!({"base": from, "head": input.head_revision, "max_bytes": report::DIFF_MAX_BYTES});
    let answer = tool(call, "change_diff", arguments).await?;
    report::review_answer(
        &answer,
        &input.base,
        input.base_revision.as_deref(),
        input.head.as_deref(),
        &input.head_revision,
    )
    .map_err(repository::unexpected)
}

/// `review_change` at the tips of branches. A pull request that only a forge knows is not to be had from here.
async fn review_pr(call: &AgentCall) -> Result<Value, AgentError> {
    let input: ReviewPr = inputs::read(&call.skill, &call.input)?;
    let Some(head) = input.head else {
        return Err(repository::refused(
            Code::NotConfigured,
            "No connection to a forge is set up, so a pull request cannot be read by its number.",
            "Fetch its branch into the workspace's repository and give `head` (and `base`) instead.",
        ));
    };
    let base = repository::base(call, input.base.as_ref()).await?;
    let change = ReviewChange {
        base_revision: Some(repository::resolve(call, &base).await?),
        head_revision: repository::resolve(call, &head).await?,
        base,
        head: Some(head),
    };
    let mut result = review_change(call, change).await?;
    result["pr_number"] = json!(input.pr_number);
    Ok(result)
}
