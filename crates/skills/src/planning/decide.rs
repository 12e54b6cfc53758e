//! From a reading to an intent.

use super::lexicon::{Class, Op, Other};
use super::negation::Polarity;
use super::reading::{Mood, Reading};
use super::{Intent, Missing, Operations, Task, Understanding, add_gates, reply};

pub(super) fn decide(reading: &Reading) -> Understanding {
    let mut notes = Vec::new();
    let intent = intent(reading, &mut notes);
    let ignored = match intent {
        Intent::Deliver { .. } => reading.ignored.clone(),
        _ => Vec::new(),
    };
    Understanding {
        intent,
        notes,
        ignored,
    }
}

fn intent(reading: &Reading, notes: &mut Vec<String>) -> Intent {
    let run = reading.runs.first().copied();
    let asserted = operations(reading, Polarity::Asserted);
    let asks = reading.mood == Mood::Request;
    let decides = reading.has(Class::Approve) || reading.has(Class::Reject);

    if reading.has(Class::Cancel)
        && (run.is_some() || reading.has(Class::Run) || !reading.mentions.is_empty())
    {
        return Intent::RunCancel { run };
    }
    if decides && asks && (asserted.is_empty() || leads_with_decision(reading)) {
        return Intent::Decide {
            approve: !reading.has(Class::Reject),
            approval: run,
        };
    }
    if asks && run.is_none() && (!asserted.is_empty() || ambiguous(reading)) {
        return deliver(reading, asserted, decides, notes);
    }
    if decides || reading.has(Class::Approvals) {
        return Intent::ApprovalsList;
    }
    if reading.mood == Mood::HowTo {
        return Intent::Help;
    }
    let hypothetical = reading.mood == Mood::Question && reading.only_infinitives;
    if (reading.mood == Mood::Advice || hypothetical) && !reading.mentions.is_empty() {
        return reply::unclear(
            &[Missing::Operation],
            "I give no advice on whether to do it, and a question starts nothing. To have it done, say so: \
             for example `deploy my-change`. A review says what speaks against a change: `review my-change`.",
        );
    }
    if let (None, Some(partial)) = (run, &reading.partial_run) {
        return reply::unclear(
            &[Missing::Run],
            format!("`{partial}` is not the whole id of a run. `guildhall runs list` shows the ids."),
        );
    }
    if reading.has(Class::Agents) && !reading.has(Class::Status) && run.is_none() {
        return Intent::AgentsList;
    }
    let told = reading
        .mentions
        .iter()
        .any(|mention| mention.polarity != Polarity::Negated);
    if run.is_some()
        || reading.has(Class::Status)
        || (reading.mood == Mood::Question && told)
        || (reading.has(Class::Run) && (reading.has(Class::List) || reading.mood == Mood::Question))
    {
        return Intent::RunStatus { run };
    }
    if let Some(other) = unsupported(reading) {
        return reply::other(other, reading.targets.heads.first());
    }
    if reading
        .mentions
        .iter()
        .any(|mention| mention.polarity == Polarity::Negated)
    {
        return reply::unclear(
            &[Missing::Operation],
            "I understood what to leave out, but not what to do. For example: `review my-change, but don't deploy it`.",
        );
    }
    let asks_what = reading.has(Class::Interrogative) || reading.has(Class::Modal);
    if reading.has(Class::Help) || (asks_what && reading.targets.heads.is_empty()) {
        return Intent::Help;
    }
    reply::what_to_do(&reading.targets.heads)
}

fn deliver(reading: &Reading, asserted: Operations, decides: bool, notes: &mut Vec<String>) -> Intent {
    let heads = &reading.targets.heads;
    let negated = operations(reading, Polarity::Negated);
    if ambiguous(reading) || overlap(asserted, negated) {
        return reply::unclear(
            &[Missing::Negation],
            "I cannot tell what is to be left out. Put it in two sentences, for example: \
             `Review my-change. Do not deploy it.`",
        );
    }
    if asserted.deploy && !reading.deploy_doubts.is_empty() {
        return reply::plainly(&reading.deploy_doubts, heads.first());
    }
    for other in [Other::Schedule, Other::Rollback, Other::Implement] {
        if reading.has_other(other) {
            return reply::other(other, heads.first());
        }
    }
    let mut operations = asserted;
    if reading.has_other(Other::Push) && !operations.deploy {
        return reply::other(Other::Push, heads.first());
    }
    if reading.has_other(Other::Merge) && !operations.deploy {
        return reply::other(Other::Merge, heads.first());
    }
    match heads.as_slice() {
        [] if reading.has_other(Other::PullRequest) => return reply::other(Other::PullRequest, None),
        [] => return reply::which_branch(operations, &reading.targets.invalid),
        [_] => {}
        several => return reply::one_of(Missing::OneBranch, "branches", several),
    }
    if let [_, _, ..] = reading.targets.bases.as_slice() {
        return reply::one_of(
            Missing::OneBase,
            "branches to compare with",
            &reading.targets.bases,
        );
    }
    let environment = match reading.targets.environments.as_slice() {
        [] => None,
        // `don't deploy to production` names an environment only to leave it out.
        _ if !operations.deploy && negated.deploy => None,
        [one] if operations.deploy || operations.document => Some(one.clone()),
        [one] => {
            return reply::unclear(
                &[Missing::Operation],
                format!(
                    "Reviews and checks do not happen in an environment. Shall I deploy `{}` to `{one}`? \
                     Then say so; otherwise leave `{one}` out.",
                    heads[0]
                ),
            );
        }
        several => return reply::one_of(Missing::Environment, "environments", several),
    };
    notes.extend(add_gates(&mut operations, negated));
    if operations.deploy && (decides || reading.has(Class::Approvals)) {
        notes.push(
            "Words in a message approve nothing and waive nothing: where the risk asks for an approval, a person other \
             than the requester decides it."
                .to_owned(),
        );
    }
    let spoken = self::operations(reading, Polarity::Mentioned);
    if spoken.deploy && !operations.deploy {
        notes.push("Deploying was read as something you spoke of, not as something to do now.".to_owned());
    }
    Intent::Deliver {
        task: Task {
            operations,
            head: heads[0].clone(),
            base: reading.targets.bases.first().cloned(),
            environment,
        },
    }
}

fn operations(reading: &Reading, polarity: Polarity) -> Operations {
    let mut operations = Operations::default();
    for mention in reading
        .mentions
        .iter()
        .filter(|mention| mention.polarity == polarity)
    {
        match mention.op {
            Op::Review => operations.review = true,
            Op::Test => operations.test = true,
            Op::Deploy => operations.deploy = true,
            Op::Document => operations.document = true,
        }
    }
    operations
}

fn overlap(one: Operations, other: Operations) -> bool {
    (one.review && other.review)
        || (one.test && other.test)
        || (one.deploy && other.deploy)
        || (one.document && other.document)
}

fn ambiguous(reading: &Reading) -> bool {
    reading
        .mentions
        .iter()
        .any(|mention| mention.polarity == Polarity::Ambiguous)
}

/// Whether the message's first demand is to approve or reject: `approve the deployment of fix-1`.
fn leads_with_decision(reading: &Reading) -> bool {
    let first = reading.classes.iter().find(|class| {
        matches!(
            class,
            Class::Op(..) | Class::Approve | Class::Reject | Class::Negator
        )
    });
    matches!(first, Some(Class::Approve | Class::Reject))
}

fn unsupported(reading: &Reading) -> Option<Other> {
    use Other::*;
    [Rollback, Implement, Merge, Push, PullRequest, Check, Schedule]
        .into_iter()
        .find(|other| reading.has_other(*other))
}
