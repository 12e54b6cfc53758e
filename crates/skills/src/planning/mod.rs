//! Understanding plain words by rules: no model, no clock, no IO.
//!
//! [`understand`] reads a message word by word and gives an [`Intent`]. It never guesses: what is missing or
//! can be read in two ways becomes [`Intent::Unclear`] with a question. A message can ask for work; it can never
//! approve any, and a deployment always keeps review and tests in front of it.

mod decide;
mod lexicon;
mod model;
mod negation;
mod reading;
mod reply;
mod targets;
mod token;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use model::{ModelError, instructions, understand_model};
pub use targets::{is_branch_name, is_environment_name};

/// The longest message that is read, in bytes. A longer one is answered with a question.
pub const MAX_MESSAGE_BYTES: usize = 4_000;

/// What a task asks to have done with a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operations {
    /// Review the difference to the base.
    pub review: bool,
    /// Run the repository's own checks.
    pub test: bool,
    /// Merge, deploy and check health.
    pub deploy: bool,
    /// Write the change-log entry.
    pub document: bool,
}

impl Operations {
    /// Whether nothing is asked for.
    pub fn is_empty(self) -> bool {
        self == Operations::default()
    }

    /// The names of what is asked for, in the order in which it is done.
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.review, "review"),
            (self.test, "test"),
            (self.deploy, "deploy"),
            (self.document, "document"),
        ]
        .into_iter()
        .filter_map(|(wanted, name)| wanted.then_some(name))
        .collect()
    }

    /// The names as people say them: `review, test and deploy`.
    pub fn sentence(self) -> String {
        list(&self.names(), "and")
    }
}

/// A delivery task: what to do with which branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What to do. A deployment always has review and test set as well, and document unless that was excluded.
    pub operations: Operations,
    /// The branch (or revision) that holds the change, as written in the message.
    pub head: String,
    /// The branch it is compared with and merged into; the repository's default branch otherwise.
    pub base: Option<String>,
    /// Where to deploy; the repository's only environment otherwise.
    pub environment: Option<String>,
}

impl Task {
    /// One line for people, for example `review, test and deploy good-change to production`.
    pub fn title(&self) -> String {
        let mut title = format!("{} {}", self.operations.sentence(), self.head);
        if let Some(base) = &self.base {
            title.push_str(&format!(" against {base}"));
        }
        if let (true, Some(environment)) = (self.operations.deploy, &self.environment) {
            title.push_str(&format!(" to {environment}"));
        }
        title
    }
}

/// What has to be said before anything can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// What to do.
    Operation,
    /// With which branch.
    Branch,
    /// Which one of several branches.
    OneBranch,
    /// Against which one of several bases.
    OneBase,
    /// Where to.
    Environment,
    /// Which run, as a full id.
    Run,
    /// Whether something is wanted or left out: the words can be read both ways.
    Negation,
    /// Other words: this is nothing that the fleet does by chat.
    Meaning,
}

/// What a message wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Intent {
    /// Work on a change.
    Deliver {
        /// The work.
        task: Task,
    },
    /// How a run stands; the latest ones without an id.
    RunStatus {
        /// The run asked about.
        run: Option<Uuid>,
    },
    /// Which approvals wait for a decision.
    ApprovalsList,
    /// Which agents there are.
    AgentsList,
    /// What can be asked for.
    Help,
    /// To decide an approval. Chat never decides; the answer names the command that does.
    Decide {
        /// `true` to approve, `false` to reject.
        approve: bool,
        /// The approval, when the message names one.
        approval: Option<Uuid>,
    },
    /// To withdraw a run. The answer names the call that does.
    RunCancel {
        /// The run, when the message names one.
        run: Option<Uuid>,
    },
    /// Something is missing, ambiguous or not offered.
    Unclear {
        /// What, most important first; never empty.
        missing: Vec<Missing>,
        /// The question to ask back.
        question: String,
    },
}

impl Intent {
    /// The intent's name as JSON spells it in `kind`.
    pub fn name(&self) -> &'static str {
        match self {
            Intent::Deliver { .. } => "deliver",
            Intent::RunStatus { .. } => "run_status",
            Intent::ApprovalsList => "approvals_list",
            Intent::AgentsList => "agents_list",
            Intent::Help => "help",
            Intent::Decide { .. } => "decide",
            Intent::RunCancel { .. } => "run_cancel",
            Intent::Unclear { .. } => "unclear",
        }
    }
}

/// An intent with what people should know about how it was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Understanding {
    /// What the message wants.
    pub intent: Intent,
    /// What was added or left out, in sentences.
    pub notes: Vec<String>,
    /// Words of the message that were not used.
    pub ignored: Vec<String>,
}

/// Understands a message by rules. Total: gives an answer for every text.
pub fn understand(message: &str) -> Understanding {
    if message.len() > MAX_MESSAGE_BYTES {
        let question = format!(
            "The message is longer than {MAX_MESSAGE_BYTES} bytes. Say in a sentence what to do with which branch."
        );
        return Understanding {
            intent: Intent::Unclear {
                missing: vec![Missing::Meaning],
                question,
            },
            notes: Vec::new(),
            ignored: Vec::new(),
        };
    }
    decide::decide(&reading::read(&token::tokens(message)))
}

/// Understands a message that is unclear alone as the answer to a question: together with the requester's earlier
/// messages, the newest first, that have started nothing. Gives something only when that makes a whole task of it.
pub fn understand_after(earlier: &[&str], message: &str) -> Option<Understanding> {
    let mut together = message.to_owned();
    for before in earlier.iter().take(3) {
        together = format!("{before} {together}");
        let mut understanding = understand(&together);
        if matches!(understanding.intent, Intent::Deliver { .. }) {
            understanding
                .notes
                .insert(0, "This was read together with what you said before.".to_owned());
            return Some(understanding);
        }
    }
    None
}

/// What can be asked for, as lines for people.
pub fn help() -> String {
    reply::HELP.to_owned()
}

/// Sets what belongs to every deployment: the gates before it, and the change-log entry after it unless that was
/// excluded. Says which gates were added.
pub(crate) fn add_gates(operations: &mut Operations, excluded: Operations) -> Vec<String> {
    if !operations.deploy {
        return Vec::new();
    }
    let asked = Operations {
        deploy: false,
        document: false,
        ..*operations
    };
    operations.review = true;
    operations.test = true;
    operations.document |= !excluded.document;
    let added: Vec<&str> = [(asked.review, "review"), (asked.test, "test")]
        .into_iter()
        .filter_map(|(asked, name)| (!asked).then_some(name))
        .collect();
    if added.is_empty() {
        return Vec::new();
    }
    let names = list(&added, "and");
    let (stays, was) = if added.len() == 1 {
        ("stays", "was")
    } else {
        ("stay", "were")
    };
    if excluded.review || excluded.test {
        return vec![format!(
            "Nothing is deployed unreviewed or untested, so {names} {stays} in the plan."
        )];
    }
    vec![format!(
        "Every deployment is reviewed and tested first, so {names} {was} added to the plan."
    )]
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list<T: AsRef<str>>(items: &[T], conjunction: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [init @ .., last] => {
            let init: Vec<&str> = init.iter().map(AsRef::as_ref).collect();
            format!("{} {conjunction} {}", init.join(", "), last.as_ref())
        }
    }
}
