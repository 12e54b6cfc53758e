//! From words to an intent: rules first; a model, when one is configured, only where the rules have doubts.

use guildhall_guest::{Trace, llm::Model};
use guildhall_skills::planning::{self, Intent, Understanding};
use serde::Serialize;

/// Most tokens of a model's answer.
const ANSWER_MAX_TOKENS: u32 = 400;

/// Who understood the message, and why not the other.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Planner {
    kind: &'static str,
    reason: String,
}

fn rules(reason: impl Into<String>) -> Planner {
    Planner {
        kind: "rules",
        reason: reason.into(),
    }
}

/// Understands a message; `earlier` are the requester's messages before it that started nothing, newest first.
pub(crate) async fn understand(trace: &Trace, message: &str, earlier: &[&str]) -> (Understanding, Planner) {
    let mut understanding = planning::understand(message);
    if matches!(understanding.intent, Intent::Unclear { .. })
        && let Some(together) = planning::understand_after(earlier, message)
    {
        understanding = together;
    }
    let Some(model) = Model::configured().await else {
        return (
            understanding,
            rules("no model is configured (llm_api_key, llm_model)"),
        );
    };
    let doubtful = match understanding.intent {
        Intent::Unclear { .. } => true,
        Intent::Deliver { .. } => !understanding.ignored.is_empty(),
        _ => false,
    };
    if !doubtful {
        return (understanding, rules("the rules understood every word"));
    }
    let answer = match model
        .complete(trace, planning::instructions(), message, true, ANSWER_MAX_TOKENS)
        .await
    {
        Ok(answer) => answer,
        Err(error) => {
            return (
                understanding,
                rules(format!("the model did not answer: {}", error.detail)),
            );
        }
    };
    match planning::understand_model(message, &answer) {
        Ok(understood) => (
            understood,
            Planner {
                kind: "model",
                reason: model.name().to_owned(),
            },
        ),
        Err(error) => (
            understanding,
            rules(format!("the model's answer was not used: {error}")),
        ),
    }
}
