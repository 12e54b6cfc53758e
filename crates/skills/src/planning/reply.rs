//! What is asked back, and the help text.

use super::lexicon::Other;
use super::{Intent, Missing, Operations};

pub(super) const HELP: &str = "You can ask, in plain words, for work on a branch: review it, run the repository's own \
checks (test), deploy it, write its change-log entry (document). For example:
  review, test and deploy branch good-change
  review feature/login against main
  run the tests on fix-1
  deploy release-2 to staging, but don't document it
You can also ask: what is the status of run RUN_ID; which approvals are pending; which agents are there.
Approvals are never given by chat: `guildhall approvals approve APPROVAL_ID` does that, as another person than the requester.";

pub(super) fn unclear(missing: &[Missing], question: impl Into<String>) -> Intent {
    Intent::Unclear {
        missing: missing.to_vec(),
        question: question.into(),
    }
}

pub(super) fn which_branch(operations: Operations, invalid: &[String]) -> Intent {
    let mut question = String::new();
    if let Some(word) = invalid.first() {
        question = format!("`{word}` cannot be the name of a branch. ");
    }
    question.push_str(&format!(
        "Which branch shall I {}? For example: `{} branch my-change`.",
        super::list(&operations.names(), "and"),
        operations.sentence()
    ));
    unclear(&[Missing::Branch], question)
}

pub(super) fn what_to_do(heads: &[String]) -> Intent {
    match heads {
        [head, ..] => unclear(
            &[Missing::Operation],
            format!(
                "What shall I do with `{head}`: review, test, deploy or document it? For example: `review and test {head}`."
            ),
        ),
        [] => unclear(
            &[Missing::Operation, Missing::Branch],
            "What shall I do (review, test, deploy, document), and with which branch? For example: \
             `review, test and deploy branch my-change`. Say `help` for everything else.",
        ),
    }
}

pub(super) fn one_of(missing: Missing, what: &str, names: &[String]) -> Intent {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let question = format!(
        "I understood several {what}: {}. One task is about one; which do you mean? (Put a name in quotes to make it plain.)",
        super::list(&names, "and")
    );
    unclear(&[missing], question)
}

/// Why a deployment is not begun on words that may mean something else.
pub(super) fn plainly(doubts: &[String], head: Option<&String>) -> Intent {
    let doubts: Vec<String> = doubts.iter().map(|word| format!("`{word}`")).collect();
    let head = head.map_or("my-change", String::as_str);
    unclear(
        &[Missing::Meaning],
        format!(
            "I deploy only when every word of the request is plain to me, and {} is not. If you want it deployed, say \
             just that: `deploy {head} to ENVIRONMENT`; otherwise say what else to do, for example `review {head}`.",
            super::list(&doubts, "and")
        ),
    )
}

/// Why something understood is not done, and what to say instead.
pub(super) fn other(other: Other, head: Option<&String>) -> Intent {
    let head = head.map_or("my-change", String::as_str);
    let question = match other {
        Other::Merge => format!(
            "Merging is a part of deploying here: a change is merged once it is reviewed, tested and approved. \
             Say `deploy {head}` for that, or `review and test {head}` to leave it unmerged."
        ),
        Other::Rollback => "Rolling back is not planned by chat. Ask the infrastructure agent for its skill `rollback` \
             through POST /v1/requests, or deploy the revision that you want: `deploy branch NAME to ENVIRONMENT`."
            .to_owned(),
        Other::Implement => "Writing code is not planned by chat. The feature-dev agent does it through POST /v1/requests: \
             skill `implement_feature` (needs a model) or `apply_change` (takes the files). By chat I can review, test, deploy \
             and document a branch."
            .to_owned(),
        Other::Schedule => format!(
            "I cannot do things at a later time: what is asked for starts at once. Ask again when it should begin, \
             for example `test {head}`."
        ),
        Other::Check => format!(
            "Do you mean a review of the difference, or the repository's own checks? \
             Say `review {head}` or `test {head}` (or both)."
        ),
        Other::PullRequest => {
            "Pull requests are not looked up here. Which branch holds the change? For example: `review branch my-change`."
                .to_owned()
        }
        Other::Push => format!("Shall I deploy it? Then say where to, for example `deploy {head} to production`."),
    };
    let missing = match other {
        Other::Check => Missing::Operation,
        Other::PullRequest => Missing::Branch,
        Other::Push => Missing::Environment,
        _ => Missing::Meaning,
    };
    unclear(&[missing], question)
}
