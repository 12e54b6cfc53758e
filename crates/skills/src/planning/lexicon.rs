//! The words that the planner knows, each with one class. Everything else may be a name.

/// An operation of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Review,
    Test,
    Deploy,
    Document,
}

/// How an operation is worded: decides how far a negation reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `deploy`
    Base,
    /// `deploying`
    Gerund,
    /// `deployed`: tells of something rather than asking for it.
    Past,
    /// `deployment`, `docs`
    Noun,
}

/// Something understood that chat does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    /// Merge without a deployment.
    Merge,
    /// Undo a deployment.
    Rollback,
    /// Write code.
    Implement,
    /// Do it at another time.
    Schedule,
    /// `check`, `verify`: a review or the checks?
    Check,
    /// A pull request rather than a branch.
    PullRequest,
    /// `push`: to a remote, or to an environment?
    Push,
}

/// The class of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Op(Op, Form),
    /// `not`, `don't`, `without`, `skip`
    Negator,
    And,
    Or,
    /// `but`, `then`, `instead`, `only`: ends a list.
    Turn,
    /// `on`, `of`, `for`, `from`: a branch follows.
    Of,
    /// `in`: an environment may follow.
    In,
    /// `against`, `versus`: the base follows.
    Against,
    /// `to`, `into`: an environment or the base follows.
    To,
    Branch,
    /// `called`, `named`
    Called,
    Environment,
    /// A usual name of an environment; may be a branch as well.
    EnvironmentName,
    /// A usual name of a default branch.
    Mainline,
    Run,
    Status,
    Approvals,
    Approve,
    Reject,
    Cancel,
    Agents,
    Help,
    List,
    /// Begins a question.
    Interrogative,
    /// `can`, `could`, `would`: begins a request when `you` follows.
    Modal,
    /// `should`, `may`
    Advice,
    /// `is`, `has`, `did`
    Auxiliary,
    You,
    Other(Other),
    Filler,
    Unknown,
}

/// The operation that a word names.
pub(super) fn operation(lower: &str) -> Option<(Op, Form)> {
    use {Form::*, Op::*};
    Some(match lower {
        "review" | "re-review" | "inspect" | "audit" => (Review, Base),
        "reviewing" | "inspecting" | "auditing" => (Review, Gerund),
        "reviewed" | "inspected" | "audited" => (Review, Past),
        "reviews" | "code-review" | "inspection" => (Review, Noun),
        "test" | "retest" | "re-test" => (Test, Base),
        "testing" | "retesting" => (Test, Gerund),
        "tested" | "retested" => (Test, Past),
        "tests" | "checks" | "ci" | "pipeline" | "testsuite" | "test-suite" => (Test, Noun),
        "deploy" | "redeploy" | "re-deploy" | "release" | "ship" | "promote" | "launch" => (Deploy, Base),
        "deploying" | "redeploying" | "releasing" | "shipping" | "promoting" | "launching" => {
            (Deploy, Gerund)
        }
        "deployed" | "redeployed" | "released" | "shipped" | "promoted" | "launched" => (Deploy, Past),
        "deployment" | "deployments" | "deploys" | "rollout" | "roll-out" | "live" => (Deploy, Noun),
        "document" => (Document, Base),
        "documenting" => (Document, Gerund),
        "documented" => (Document, Past),
        "documentation" | "docs" | "changelog" | "change-log" | "changelogs" | "doc" => (Document, Noun),
        _ => return None,
    })
}

/// The class of a word in lower case.
pub(super) fn class(lower: &str) -> Class {
    use Class::*;
    if let Some((op, form)) = operation(lower) {
        return Op(op, form);
    }
    match lower {
        "not" | "don't" | "dont" | "do-not" | "doesn't" | "without" | "w/o" | "no" | "never" | "skip"
        | "skipping" | "omit" | "omitting" | "except" | "excluding" | "exclude" | "avoid" | "neither"
        | "minus" | "nothing" | "none" | "nobody" | "cannot" | "can't" | "mustn't" | "shouldn't"
        | "won't" => Negator,
        "and" | "&" | "+" | "plus" | "also" | "as" | "well" => And,
        "or" | "nor" => Or,
        "but" | "then" | "instead" | "only" | "just" | "afterwards" | "finally" | "after" | "before"
        | "once" | "when" | "if" | "unless" | "until" | "because" | "since" | "while" | "followed"
        | "otherwise" => Turn,
        "on" | "of" | "for" | "from" | "with" | "at" | "about" => Of,
        "in" | "inside" | "within" => In,
        "against" | "versus" | "vs" | "relative" | "compared" | "base" => Against,
        "to" | "into" | "onto" | "towards" => To,
        "branch" | "branches" | "revision" | "commit" | "tag" | "ref" | "sha" => Branch,
        "called" | "named" => Called,
        "environment" | "env" | "environments" => Environment,
        "production" | "prod" | "staging" | "stage" | "preprod" | "pre-production" | "qa" | "uat" | "dev"
        | "development" | "sandbox" | "canary" | "preview" => EnvironmentName,
        "main" | "master" | "trunk" | "mainline" => Mainline,
        "run" | "runs" | "running" | "task" | "tasks" | "job" | "jobs" | "workflow" | "workflows" => Run,
        "status" | "progress" | "state" | "timeline" | "happened" | "happening" | "finished" | "done"
        | "completed" | "failed" | "fail" | "going" | "doing" | "stuck" | "far" => Status,
        "approvals" | "approval" | "pending" | "waiting" => Approvals,
        "approve" | "approving" | "approved" | "lgtm" | "accept" | "confirm" => Approve,
        "reject" | "rejecting" | "decline" | "deny" | "refuse" | "veto" => Reject,
        "cancel" | "stop" | "abort" | "kill" | "withdraw" => Cancel,
        "agents" | "agent" | "skills" | "fleet" => Agents,
        "help" | "hello" | "hi" | "hey" | "usage" | "commands" => Help,
        "list" | "show" | "display" => List,
        "what" | "what's" | "whats" | "how" | "how's" | "which" | "who" | "who's" | "where" | "where's"
        | "why" => Interrogative,
        "can" | "could" | "would" | "will" => Modal,
        "should" | "shall" | "may" | "must" => Advice,
        "is" | "are" | "was" | "were" | "has" | "have" | "had" | "did" | "does" => Auxiliary,
        "you" | "we" => You,
        _ => other(lower),
    }
}

fn other(lower: &str) -> Class {
    use Other::*;
    match lower {
        "merge" | "merging" | "merged" => Class::Other(Merge),
        "rollback" | "roll-back" | "revert" | "undo" => Class::Other(Rollback),
        "implement" | "fix" | "refactor" | "develop" | "code-up" | "rewrite" | "rename" | "delete"
        | "remove" => Class::Other(Implement),
        "tomorrow" | "tonight" | "later" | "monday" | "tuesday" | "wednesday" | "thursday" | "friday"
        | "saturday" | "sunday" | "midnight" | "noon" | "schedule" | "weekly" | "daily" | "nightly"
        | "hourly" | "o'clock" | "hour" | "hours" | "minutes" => Class::Other(Schedule),
        "check" | "verify" | "validate" | "lint" | "analyse" | "analyze" | "checking" | "verifying"
        | "build" | "compile" => Class::Other(Check),
        "pr" | "prs" | "mr" | "pull-request" => Class::Other(PullRequest),
        "push" | "pushing" => Class::Other(Push),
        _ if FILLER.contains(&lower) || lower.starts_with('@') => Class::Filler,
        _ if lower.starts_with('#') || lower.contains("://") => Class::Other(PullRequest),
        _ if is_time(lower) => Class::Other(Schedule),
        _ => Class::Unknown,
    }
}

/// Whether the word is a time of day: `5pm`, `17:00`, `9:30am`.
fn is_time(lower: &str) -> bool {
    let digits = lower.trim_end_matches(['a', 'p', 'm']);
    let number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == ':');
    number && (digits.contains(':') || matches!(&lower[digits.len()..], "am" | "pm"))
}

/// Words that carry no meaning for planning and are never names unless quoted or put after `branch`.
const FILLER: &[&str] = &[
    "a",
    "an",
    "the",
    "this",
    "that",
    "these",
    "those",
    "my",
    "our",
    "your",
    "its",
    "it",
    "it's",
    "i",
    "i'd",
    "i'm",
    "me",
    "us",
    "they",
    "them",
    "everything",
    "all",
    "both",
    "any",
    "some",
    "something",
    "anything",
    "please",
    "pls",
    "kindly",
    "thanks",
    "thank",
    "do",
    "doing",
    "be",
    "been",
    "being",
    "am",
    "so",
    "let",
    "let's",
    "lets",
    "want",
    "wants",
    "like",
    "need",
    "needs",
    "needed",
    "go",
    "ahead",
    "get",
    "got",
    "make",
    "making",
    "sure",
    "perform",
    "execute",
    "start",
    "starting",
    "begin",
    "trigger",
    "kick",
    "take",
    "give",
    "have",
    "write",
    "writing",
    "add",
    "update",
    "updating",
    "put",
    "bring",
    "send",
    "move",
    "carry",
    "see",
    "look",
    "looks",
    "looking",
    "there",
    "here",
    "now",
    "right",
    "away",
    "soon",
    "asap",
    "immediately",
    "quickly",
    "change",
    "changes",
    "changed",
    "change-set",
    "diff",
    "code",
    "work",
    "feature",
    "topic",
    "new",
    "latest",
    "last",
    "current",
    "recent",
    "same",
    "next",
    "first",
    "second",
    "full",
    "whole",
    "complete",
    "entire",
    "entry",
    "entries",
    "notes",
    "log",
    "suite",
    "unit",
    "integration",
    "end-to-end",
    "e2e",
    "out",
    "up",
    "over",
    "through",
    "by",
    "via",
    "using",
    "use",
    "step",
    "steps",
    "part",
    "version",
    "service",
    "app",
    "application",
    "system",
    "server",
    "repository",
    "repo",
    "project",
    "team",
    "request",
    "too",
    "again",
    "yet",
    "still",
    "already",
    "prior",
    "other",
    "everyone",
    "someone",
    "pass",
    "passes",
    "passed",
    "green",
    "good",
    "ok",
    "okay",
    "fine",
    "great",
    "well",
    "anyway",
    "per",
    "such",
    "than",
    "their",
    "would",
    "hold",
    "based",
    "comparing",
    "file",
    "files",
    "time",
    "ones",
    "one",
    "thing",
    "things",
    "fleet",
    "today",
    "need",
    "create",
    "off",
    "know",
    "tell",
    "say",
    "find",
    "possible",
    "able",
    "ready",
    "wait",
    "healthy",
    "health",
    "user",
    "s",
];
