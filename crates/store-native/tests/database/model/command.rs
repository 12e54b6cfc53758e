//! What a test may do next. An index chooses among what there is; a command about nothing is skipped.

use super::locks::{Terms, Want};
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub enum Ended {
    Completed,
    Faulted,
}

/// What the engine makes of a run. An index chooses among what is open in it.
#[derive(Clone, Debug)]
pub enum Advance {
    Wait,
    Request { max_attempts: i64, timeout_s: i64 },
    Approval { expires_s: i64 },
    Both,
    Timer { after_ms: i64 },
    Call,
    Listen { kind: &'static str },
    Child { wait: bool },
    Acquire { locks: Vec<&'static str> },
    Release { index: usize },
    Withdraw { index: usize },
    GoOn,
    Suspend,
    End(Ended),
}

#[derive(Clone, Debug)]
pub enum Command {
    Pass {
        ms: i64,
    },
    Heartbeat {
        ttl_s: i64,
    },
    Start,
    ClaimRun {
        lease_s: i64,
        then: Option<Advance>,
    },
    Advance {
        claim: usize,
        wrong_position: bool,
        advance: Advance,
    },
    CancelRun {
        run: usize,
    },
    /// Somebody pauses a run.
    Pause {
        run: usize,
    },
    Publish {
        kind: &'static str,
        again: bool,
    },
    ClaimCalls {
        limit: usize,
        lease_s: i64,
    },
    RenewCall {
        call: usize,
        older: bool,
        lease_s: i64,
    },
    FinishCall {
        call: usize,
        older: bool,
        fails: bool,
    },
    Submit {
        priority: i64,
        max_attempts: i64,
        timeout_s: i64,
        callback: bool,
    },
    Letter(LetterCommand),
    ClaimRequests {
        limit: i64,
        lease_s: i64,
    },
    Renew {
        request: usize,
        older: bool,
        lease_s: i64,
    },
    Complete {
        request: usize,
        older: bool,
    },
    Fail {
        request: usize,
        older: bool,
        retryable: bool,
    },
    CancelRequest {
        request: usize,
    },
    Decide {
        approval: usize,
        by: &'static str,
        person: bool,
        approve: bool,
    },
    Consume {
        approval: usize,
        request: usize,
        older: bool,
        same_action: bool,
    },
    Lock(LockCommand),
    Tick,
}

/// About broadcasts, dead letters and callbacks. An index chooses among the requests or the callbacks that there are.
#[derive(Clone, Debug)]
pub enum LetterCommand {
    Broadcast {
        key: Option<&'static str>,
        fingerprint: &'static str,
        to_all: bool,
        excluded: bool,
    },
    Retry {
        request: usize,
    },
    Discard {
        request: usize,
    },
    List {
        limit: usize,
    },
    ClaimCallbacks {
        limit: usize,
        lease_s: i64,
    },
    Report {
        callback: usize,
        older: bool,
        outcome: &'static str,
    },
}

/// About locks. An index chooses among the grants or the waiters that there are.
#[derive(Clone, Debug)]
pub enum LockCommand {
    Acquire {
        wants: Vec<Want>,
        terms: Terms,
        several: bool,
    },
    Enter {
        index: usize,
        older: bool,
        exclusive: bool,
        ttl_s: i64,
    },
    Renew {
        index: usize,
        older: bool,
        ttl_s: i64,
    },
    Release {
        index: usize,
        older: bool,
    },
    Force {
        index: usize,
    },
    Status {
        index: usize,
    },
    Cancel {
        index: usize,
    },
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.15)
}

fn mostly() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.85)
}

fn index() -> impl Strategy<Value = usize> {
    0..100usize
}

fn advance() -> impl Strategy<Value = Advance> {
    prop_oneof![
        1 => Just(Advance::Wait),
        5 => (1..4i64, prop_oneof![1 => Just(20i64), 3 => Just(600)])
            .prop_map(|(max_attempts, timeout_s)| Advance::Request { max_attempts, timeout_s }),
        3 => prop_oneof![1 => Just(15i64), 3 => Just(3600)].prop_map(|expires_s| Advance::Approval { expires_s }),
        4 => Just(Advance::Both),
        3 => prop_oneof![Just(0i64), 1..3_000i64, Just(20_000)].prop_map(|after_ms| Advance::Timer { after_ms }),
        4 => Just(Advance::Call),
        2 => prop::sample::select(vec!["a", "b"]).prop_map(|kind| Advance::Listen { kind }),
        2 => any::<bool>().prop_map(|wait| Advance::Child { wait }),
        5 => prop::sample::subsequence(vec!["job:a", "job:a/x", "job:b", "job:c"], 1..=2)
            .prop_map(|locks| Advance::Acquire { locks }),
        3 => index().prop_map(|index| Advance::Release { index }),
        3 => index().prop_map(|index| Advance::Withdraw { index }),
        1 => Just(Advance::GoOn),
        1 => Just(Advance::Suspend),
        1 => Just(Advance::End(Ended::Completed)),
        1 => Just(Advance::End(Ended::Faulted)),
    ]
}

fn lock_command() -> impl Strategy<Value = LockCommand> {
    let names = vec!["job:a", "job:a/x", "job:a/x/y", "job:a/z", "job:b"];
    let wants = prop::sample::subsequence(names, 1..=3)
        .prop_flat_map(|names| {
            let modes = prop::collection::vec(prop::bool::weighted(0.6), names.len());
            (Just(names), modes)
        })
        .prop_map(|(names, modes)| names.into_iter().zip(modes).collect::<Vec<Want>>());
    let terms = (
        prop::sample::select(vec!["h1", "h2", "h3", "h4"]),
        0..4i64,
        prop_oneof![Just(3i64), Just(10), Just(30)],
        prop_oneof![Just(0i64), Just(2), Just(20)],
    )
        .prop_map(|(holder, priority, ttl_s, wait_s)| Terms {
            holder,
            priority,
            ttl_s,
            wait_s,
        });
    let lease = || prop_oneof![Just(10i64), Just(30)];
    prop_oneof![
        8 => (wants, terms, rarely())
            .prop_map(|(wants, terms, several)| LockCommand::Acquire { wants, terms, several }),
        1 => (index(), rarely(), any::<bool>(), lease())
            .prop_map(|(index, older, exclusive, ttl_s)| LockCommand::Enter { index, older, exclusive, ttl_s }),
        1 => (index(), rarely(), lease()).prop_map(|(index, older, ttl_s)| LockCommand::Renew { index, older, ttl_s }),
        5 => (index(), rarely()).prop_map(|(index, older)| LockCommand::Release { index, older }),
        1 => index().prop_map(|index| LockCommand::Force { index }),
        3 => index().prop_map(|index| LockCommand::Status { index }),
        1 => index().prop_map(|index| LockCommand::Cancel { index }),
    ]
}

fn letter_command() -> impl Strategy<Value = LetterCommand> {
    let key = prop::option::weighted(0.5, prop::sample::select(vec!["k1", "k2"]));
    let lease = prop_oneof![Just(10i64), Just(30)];
    prop_oneof![
        3 => (key, prop::sample::select(vec!["f", "f", "g"]), any::<bool>(), rarely())
            .prop_map(|(key, fingerprint, to_all, excluded)| LetterCommand::Broadcast { key, fingerprint, to_all, excluded }),
        3 => index().prop_map(|request| LetterCommand::Retry { request }),
        2 => index().prop_map(|request| LetterCommand::Discard { request }),
        1 => (1..4usize).prop_map(|limit| LetterCommand::List { limit }),
        3 => (1..4usize, lease).prop_map(|(limit, lease_s)| LetterCommand::ClaimCallbacks { limit, lease_s }),
        5 => (index(), rarely(), prop::sample::select(vec!["delivered", "retry", "retry", "refused"]))
            .prop_map(|(callback, older, outcome)| LetterCommand::Report { callback, older, outcome }),
    ]
}

pub fn command() -> impl Strategy<Value = Command> {
    let lease = || prop_oneof![Just(10i64), Just(30)];
    prop_oneof![
        5 => prop_oneof![5 => 1..3_000i64, 1 => Just(10_000), 1 => Just(30_000)]
            .prop_map(|ms| Command::Pass { ms }),
        2 => prop_oneof![1 => Just(5i64), 6 => Just(3600)].prop_map(|ttl_s| Command::Heartbeat { ttl_s }),
        3 => Just(Command::Start),
        14 => (lease(), prop::option::weighted(0.7, advance())).prop_map(|(lease_s, then)| Command::ClaimRun { lease_s, then }),
        4 => (index(), rarely(), advance())
            .prop_map(|(claim, wrong_position, advance)| Command::Advance { claim, wrong_position, advance }),
        1 => index().prop_map(|run| Command::CancelRun { run }),
        1 => index().prop_map(|run| Command::Pause { run }),
        2 => (prop::sample::select(vec!["a", "b"]), rarely()).prop_map(|(kind, again)| Command::Publish { kind, again }),
        5 => (1..4usize, prop_oneof![Just(3i64), Just(10)]).prop_map(|(limit, lease_s)| Command::ClaimCalls { limit, lease_s }),
        2 => (index(), rarely(), lease()).prop_map(|(call, older, lease_s)| Command::RenewCall { call, older, lease_s }),
        3 => (index(), rarely(), any::<bool>()).prop_map(|(call, older, fails)| Command::FinishCall { call, older, fails }),
        3 => (0..4i64, 1..4i64, prop_oneof![Just(20i64), Just(600)], any::<bool>()).prop_map(
            |(priority, max_attempts, timeout_s, callback)| Command::Submit { priority, max_attempts, timeout_s, callback }),
        8 => letter_command().prop_map(Command::Letter),
        7 => (1..4i64, lease()).prop_map(|(limit, lease_s)| Command::ClaimRequests { limit, lease_s }),
        3 => (index(), rarely(), lease())
            .prop_map(|(request, older, lease_s)| Command::Renew { request, older, lease_s }),
        5 => (index(), rarely()).prop_map(|(request, older)| Command::Complete { request, older }),
        5 => (index(), rarely(), any::<bool>())
            .prop_map(|(request, older, retryable)| Command::Fail { request, older, retryable }),
        1 => index().prop_map(|request| Command::CancelRequest { request }),
        5 => (index(), prop::sample::select(vec!["bob", "bob", "bob", "eve", "eve", "Ada "]), mostly(), any::<bool>())
            .prop_map(|(approval, by, person, approve)| Command::Decide { approval, by, person, approve }),
        8 => (index(), index(), rarely(), mostly()).prop_map(|(approval, request, older, same_action)| {
            Command::Consume { approval, request, older, same_action }
        }),
        20 => lock_command().prop_map(Command::Lock),
        3 => Just(Command::Tick),
    ]
}

/// Two holders wait for each other's lock; the one that waited already is less urgent, gives way, and is told.
pub fn a_waiter_gives_way() -> Vec<Command> {
    in_a_circle(0, 3)
}

/// The same, but the one that closes the circle is the less urgent.
pub fn a_newcomer_gives_way() -> Vec<Command> {
    in_a_circle(3, 0)
}

fn in_a_circle(first_priority: i64, second_priority: i64) -> Vec<Command> {
    let acquire = |name, holder, priority, wait_s| {
        Command::Lock(LockCommand::Acquire {
            wants: vec![(name, true)],
            terms: Terms {
                holder,
                priority,
                ttl_s: 30,
                wait_s,
            },
            several: false,
        })
    };
    vec![
        acquire("job:a", "h1", 1, 0),
        acquire("job:b", "h2", 1, 0),
        acquire("job:b", "h1", first_priority, 20),
        acquire("job:a", "h2", second_priority, 20),
        Command::Lock(LockCommand::Status { index: 0 }),
    ]
}
