//! Every statement the store runs, so that a test can hold the list against a migrated database.

/// One call of one SQL function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The call as written, for example `run_get($1::text)`.
    pub call: &'static str,
    /// The whole statement; its single column `r` is the row as `jsonb`.
    pub sql: &'static str,
    /// Whether running it twice does no more than running it once, so that it may be tried again when the
    /// connection broke before the answer came.
    pub replay_safe: bool,
}

impl Statement {
    /// The function's name, without schema.
    pub fn function(&self) -> &'static str {
        self.call.split('(').next().unwrap_or_default()
    }

    /// The types of its arguments, in order, as Postgres spells them.
    pub fn argument_types(&self) -> Vec<&'static str> {
        self.call
            .split("::")
            .skip(1)
            .map(|rest| {
                rest.trim_end_matches([')', ' '])
                    .split([',', ')'])
                    .next()
                    .unwrap_or_default()
            })
            .collect()
    }
}

macro_rules! statements {
    ($($name:ident = $call:literal, $replay_safe:literal;)+) => {
        $(pub(crate) static $name: Statement = Statement {
            call: $call,
            sql: concat!("select to_jsonb(r) as r from guildhall.", $call, " r"),
            replay_safe: $replay_safe,
        };)+
        /// Every statement there is.
        pub static CATALOGUE: &[&Statement] = &[$(&$name),+];
    };
}

statements! {
    AGENT_BEST = "agent_best($1::text, $2::jsonb, $3::text)", true;
    AGENT_DEREGISTER = "agent_deregister($1::text, $2::text)", true;
    AGENT_ENROL = "agent_enrol($1::text, $2::jsonb, $3::bigint, $4::jsonb, $5::text)", true;
    AGENT_GET = "agent_get($1::text)", true;
    AGENT_HEARTBEAT = "agent_heartbeat($1::text, $2::bigint, $3::bigint)", true;
    AGENT_LIST = "agent_list($1::text, $2::text, $3::text, $4::bigint)", true;
    AGENT_PROBE_CLAIM = "agent_probe_claim($1::bigint)", false;
    AGENT_PROBE_RECORD = "agent_probe_record($1::text, $2::bigint, $3::boolean, $4::text)", false;
    AGENT_QUEUE = "agent_queue($1::text)", true;
    AGENT_REGISTER = "agent_register($1::jsonb, $2::bigint)", true;
    AGENT_REPORT = "agent_report($1::text, $2::text)", true;
    AGENT_SEARCH = "agent_search($1::jsonb, $2::text, $3::bigint)", true;
    APPROVAL_CONSUME = "approval_consume($1::text, $2::jsonb, $3::text, $4::bigint)", true;
    APPROVAL_DECIDE = "approval_decide($1::text, $2::text, $3::text, $4::text, $5::text)", false;
    APPROVAL_GET = "approval_get($1::text)", true;
    APPROVAL_LIST = "approval_list($1::text, $2::text, $3::bigint)", true;
    BROADCAST_GET = "broadcast_get($1::text)", true;
    BROADCAST_SUBMIT = "broadcast_submit($1::jsonb, $2::text, $3::text, $4::text, $5::jsonb)", false;
    CALLBACK_CLAIM = "callback_claim($1::text, $2::bigint, $3::bigint)", false;
    CALLBACK_REPORT = "callback_report($1::text, $2::bigint, $3::text, $4::text)", false;
    CHAT_HISTORY = "chat_history($1::text, $2::text, $3::bigint)", true;
    CHAT_RECORD = "chat_record($1::text, $2::text, $3::text, $4::text, $5::text)", false;
    CHECK_RESULTS = "check_results($1::text)", true;
    EVENT_ACCEPT = "event_accept($1::jsonb, $2::jsonb)", true;
    EVENT_LIST = "event_list($1::text, $2::text, $3::text, $4::text, $5::bigint)", true;
    EVENT_PUBLISH = "event_publish($1::jsonb, $2::text)", false;
    EVENT_REFUSE = "event_refuse($1::jsonb, $2::text)", false;
    LOCK_ACQUIRE = "lock_acquire($1::text, $2::text, $3::text, $4::bigint, $5::text, $6::text, $7::bigint, $8::text, $9::bigint, $10::boolean)", false;
    LOCK_ACQUIRE_ALL = "lock_acquire_all($1::jsonb, $2::text, $3::text, $4::bigint, $5::text, $6::bigint, $7::text, $8::boolean)", false;
    LOCK_CHECK = "lock_check($1::text, $2::bigint)", true;
    LOCK_CONTENTION = "lock_contention($1::bigint)", true;
    LOCK_FORCE_RELEASE = "lock_force_release($1::text, $2::text, $3::text)", false;
    LOCK_GET = "lock_get($1::text)", true;
    LOCK_GRAPH = "lock_graph()", true;
    LOCK_HISTORY_LIST = "lock_history_list($1::text, $2::bigint, $3::bigint)", true;
    LOCK_LIST = "lock_list($1::text, $2::bigint, $3::text)", true;
    LOCK_RELEASE = "lock_release($1::text, $2::text, $3::bigint)", false;
    LOCK_RELEASE_ALL = "lock_release_all($1::jsonb, $2::text)", false;
    LOCK_RENEW = "lock_renew($1::text, $2::text, $3::bigint, $4::bigint)", true;
    LOCK_RENEW_ALL = "lock_renew_all($1::jsonb, $2::text, $3::bigint)", true;
    LOCK_STATISTICS = "lock_statistics($1::bigint)", true;
    LOCK_WAIT_CANCEL = "lock_wait_cancel($1::bigint, $2::text)", false;
    LOCK_WAIT_STATUS = "lock_wait_status($1::bigint, $2::text)", false;
    METRICS = "metrics()", true;
    OUTBOX_CLAIM = "outbox_claim($1::text, $2::bigint, $3::bigint)", false;
    OUTBOX_PUBLISHED = "outbox_published($1::text, $2::text)", true;
    READINESS = "readiness()", true;
    REQUEST_CANCEL = "request_cancel($1::text, $2::text, $3::text)", false;
    REQUEST_CLAIM = "request_claim($1::text, $2::bigint, $3::bigint)", false;
    REQUEST_COMPLETE = "request_complete($1::text, $2::bigint, $3::jsonb)", true;
    REQUEST_DISCARD = "request_discard($1::text, $2::text, $3::text)", false;
    REQUEST_FAIL = "request_fail($1::text, $2::bigint, $3::jsonb)", false;
    REQUEST_GET = "request_get($1::text)", true;
    REQUEST_LETTERS = "request_letters($1::text, $2::bigint)", true;
    REQUEST_LIST = "request_list($1::text, $2::text, $3::text, $4::bigint)", true;
    REQUEST_RENEW = "request_renew($1::text, $2::bigint, $3::bigint)", true;
    REQUEST_RETRY = "request_retry($1::text, $2::text, $3::text)", false;
    REQUEST_SUBMIT = "request_submit($1::jsonb, $2::text, $3::text, $4::text, $5::jsonb)", false;
    RUN_ADVANCE = "run_advance($1::text, $2::bigint, $3::bigint, $4::jsonb, $5::jsonb, $6::jsonb)", false;
    RUN_CALL_CLAIM = "run_call_claim($1::text, $2::bigint, $3::bigint)", false;
    RUN_CALL_FINISH = "run_call_finish($1::text, $2::bigint, $3::bigint, $4::jsonb, $5::jsonb)", true;
    RUN_CALL_RENEW = "run_call_renew($1::text, $2::bigint, $3::bigint, $4::bigint)", true;
    RUN_CANCEL = "run_cancel($1::text, $2::text, $3::text)", false;
    RUN_CLAIM = "run_claim($1::text, $2::bigint, $3::jsonb)", false;
    RUN_GET = "run_get($1::text)", true;
    RUN_JOURNAL = "run_journal($1::text, $2::bigint, $3::bigint)", true;
    RUN_LIST = "run_list($1::text, $2::text, $3::bigint)", true;
    RUN_PAUSE = "run_pause($1::text, $2::text)", false;
    RUN_RESUME = "run_resume($1::text, $2::text)", false;
    RUN_SIGNAL = "run_signal($1::text, $2::jsonb, $3::text)", false;
    RUN_START = "run_start($1::jsonb, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text)", false;
    SCHEMA_VERSION = "schema_version()", true;
    TICKER_TICK = "ticker_tick($1::text, $2::bigint)", true;
    TOKEN_CREATE = "token_create($1::text, $2::text, $3::text, $4::jsonb, $5::text, $6::bigint, $7::text)", false;
    TOKEN_LIST = "token_list()", true;
    TOKEN_REVOKE = "token_revoke($1::text, $2::text)", true;
    TOKEN_VERIFY = "token_verify($1::text)", true;
    WORKFLOW_GET = "workflow_get($1::text, $2::text, $3::text)", true;
    WORKFLOW_LIST = "workflow_list($1::text, $2::text, $3::bigint)", true;
    WORKFLOW_PUT = "workflow_put($1::jsonb, $2::text, $3::text, $4::text)", false;
}

/// Whether `sql` may be run again after a connection broke before its answer came. Unknown text may not.
pub fn is_replay_safe(sql: &str) -> bool {
    CATALOGUE
        .iter()
        .any(|statement| statement.sql == sql && statement.replay_safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_taken_apart() {
        assert_eq!(LOCK_CHECK.function(), "lock_check");
        assert_eq!(LOCK_CHECK.argument_types(), ["text", "bigint"]);
        assert_eq!(METRICS.argument_types(), [""; 0]);
        assert_eq!(EVENT_ACCEPT.argument_types(), ["jsonb", "jsonb"]);
    }

    #[test]
    fn statements_are_sorted_distinct_and_numbered_without_gaps() {
        let calls: Vec<_> = CATALOGUE.iter().map(|statement| statement.function()).collect();
        let mut sorted = calls.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(calls, sorted);
        for statement in CATALOGUE {
            for index in 1..=statement.argument_types().len() {
                assert!(
                    statement.call.contains(&format!("${index}::")),
                    "{}",
                    statement.call
                );
            }
        }
    }

    #[test]
    fn only_listed_statements_are_replayed() {
        assert!(is_replay_safe(RUN_GET.sql));
        assert!(!is_replay_safe(LOCK_ACQUIRE.sql));
        assert!(!is_replay_safe("select 1"));
    }
}
