CREATE SCHEMA guildhall;
CREATE FUNCTION guildhall.action_hash(p_action jsonb) RETURNS text
CREATE FUNCTION guildhall.agent_assignable(p_skill text, p_agent text, p_now timestamp with time zone) RETURNS TABLE(agent_id text, url text, is_remote boolean, max_concurrency integer, max_queue integer, input_schema jsonb, schema_digest text, rank double precision)
CREATE TABLE guildhall.agent_liveness (
    agent_id text NOT NULL,
    reported text NOT NULL,
    ttl_s integer NOT NULL,
    heartbeat_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    in_flight integer DEFAULT 0 NOT NULL,
    load real DEFAULT 0 NOT NULL,
    success real DEFAULT 0.8 NOT NULL,
    known text NOT NULL,
    probe_failures integer DEFAULT 0 NOT NULL,
    probe_epoch bigint DEFAULT 0 NOT NULL,
    probe_at timestamp with time zone,
    probe_detail text,
    CONSTRAINT agent_liveness_in_flight_check CHECK ((in_flight >= 0)),
    CONSTRAINT agent_liveness_known_check CHECK ((known = ANY (ARRAY['live'::text, 'suspect'::text, 'offline'::text]))),
    CONSTRAINT agent_liveness_lease CHECK ((expires_at > heartbeat_at)),
    CONSTRAINT agent_liveness_load_check CHECK (((load >= (0)::double precision) AND (load <= (1)::double precision))),
    CONSTRAINT agent_liveness_probe_failures_check CHECK ((probe_failures >= 0)),
    CONSTRAINT agent_liveness_reported_check CHECK ((reported = ANY (ARRAY['active'::text, 'busy'::text, 'draining'::text]))),
    CONSTRAINT agent_liveness_success_check CHECK (((success >= (0)::double precision) AND (success <= (1)::double precision))),
    CONSTRAINT agent_liveness_ttl_s_check CHECK (((ttl_s >= 1) AND (ttl_s <= 86400)))
)
WITH (fillfactor='50');
COMMENT ON TABLE guildhall.agent_liveness IS 'Whether each agent is there. Nothing but agent_id is indexed, so that heartbeats stay heap-only.';
CREATE FUNCTION guildhall.agent_beat(p_id text, p_ttl_s bigint, p_in_flight bigint, p_load_percent bigint, p_now timestamp with time zone) RETURNS guildhall.agent_liveness
CREATE FUNCTION guildhall.agent_best(p_skill text, p_tags jsonb, p_project text) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.agent_current(p_id text, p_now timestamp with time zone) RETURNS jsonb
CREATE FUNCTION guildhall.agent_deregister(p_id text, p_by text DEFAULT 'fleet'::text) RETURNS text
CREATE FUNCTION guildhall.agent_emit(p_verb text, p_id text, p_data jsonb, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.agent_enrol(p_id text, p_card jsonb, p_ttl_s bigint, p_options jsonb, p_by text) RETURNS TABLE(outcome text, agent jsonb)
CREATE FUNCTION guildhall.agent_get(p_id text) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.agent_heartbeat(p_id text, p_in_flight bigint, p_load_percent bigint) RETURNS TABLE(outcome text, status text, expires_at timestamp with time zone, ttl_s integer)
CREATE TABLE guildhall.agents (
    id text NOT NULL,
    card jsonb NOT NULL,
    registered_at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    url text,
    project text,
    max_concurrency integer NOT NULL,
    max_queue integer NOT NULL,
    liveness text NOT NULL,
    probe_url text,
    registered_by text NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    summary jsonb NOT NULL,
    CONSTRAINT agents_id_check CHECK (((length(id) >= 1) AND (length(id) <= 200))),
    CONSTRAINT agents_kind_check CHECK ((kind = ANY (ARRAY['fleet'::text, 'remote'::text]))),
    CONSTRAINT agents_liveness_check CHECK ((liveness = ANY (ARRAY['heartbeat'::text, 'probe'::text]))),
    CONSTRAINT agents_max_concurrency_check CHECK (((max_concurrency >= 1) AND (max_concurrency <= 10000))),
    CONSTRAINT agents_max_queue_check CHECK (((max_queue >= 0) AND (max_queue <= 1000000))),
    CONSTRAINT agents_name CHECK (((kind = 'remote'::text) OR ((card ->> 'name'::text) = id))),
    CONSTRAINT agents_probe_url_check CHECK (((length(probe_url) >= 1) AND (length(probe_url) <= 2000))),
    CONSTRAINT agents_probed CHECK (((liveness = 'heartbeat'::text) OR (probe_url IS NOT NULL))),
    CONSTRAINT agents_project_check CHECK (((length(project) >= 1) AND (length(project) <= 200))),
    CONSTRAINT agents_reached CHECK (((kind = 'fleet'::text) OR (url IS NOT NULL))),
    CONSTRAINT agents_registered_by_check CHECK (((length(registered_by) >= 1) AND (length(registered_by) <= 200))),
    CONSTRAINT agents_summary_check CHECK ((jsonb_typeof(summary) = 'object'::text)),
    CONSTRAINT agents_updated CHECK ((updated_at >= registered_at)),
    CONSTRAINT agents_url_check CHECK (((length(url) >= 1) AND (length(url) <= 2000)))
)
WITH (fillfactor='70');
COMMENT ON TABLE guildhall.agents IS 'Agents by id: what each is and how it is reached. Whether it is there is in agent_liveness.';
CREATE FUNCTION guildhall.agent_json(p_agent guildhall.agents, p_liveness guildhall.agent_liveness, p_now timestamp with time zone) RETURNS jsonb
CREATE FUNCTION guildhall.agent_list(p_skill text, p_status text, p_after text, p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.agent_probe_claim(p_limit bigint) RETURNS TABLE(agent_id text, url text, epoch bigint)
CREATE FUNCTION guildhall.agent_probe_record(p_id text, p_epoch bigint, p_ok boolean, p_detail text) RETURNS text
CREATE FUNCTION guildhall.agent_put(p_id text, p_kind text, p_card jsonb, p_ttl_s bigint, p_options jsonb, p_by text, p_now timestamp with time zone) RETURNS boolean
CREATE FUNCTION guildhall.agent_queue(p_agent text) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.agent_register(p_card jsonb, p_ttl_s bigint) RETURNS TABLE(outcome text, agent jsonb)
CREATE FUNCTION guildhall.agent_report(p_id text, p_status text) RETURNS TABLE(outcome text, agent jsonb)
CREATE FUNCTION guildhall.agent_score() RETURNS integer
CREATE FUNCTION guildhall.agent_search(p_query jsonb, p_after text, p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.agent_status(p_reported text, p_expires_at timestamp with time zone, p_probe_failures integer, p_now timestamp with time zone) RETURNS text
CREATE FUNCTION guildhall.agent_sweep(p_limit bigint) RETURNS integer
CREATE FUNCTION guildhall.approval_consume(p_id text, p_action jsonb, p_request_id text, p_epoch bigint) RETURNS TABLE(outcome text, approval jsonb)
CREATE FUNCTION guildhall.approval_decide(p_id text, p_principal text, p_kind text, p_decision text, p_reason text) RETURNS TABLE(outcome text, approval jsonb)
CREATE TABLE guildhall.approvals (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    run_id uuid NOT NULL,
    step text NOT NULL,
    state text NOT NULL,
    action jsonb NOT NULL,
    action_hash text NOT NULL,
    risk jsonb NOT NULL,
    requester text NOT NULL,
    decided_by text,
    reason text,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    next_wake_at timestamp with time zone,
    decided_at timestamp with time zone,
    consumed_at timestamp with time zone,
    consumed_by uuid,
    seq bigint,
    summary text,
    ended_at timestamp with time zone,
    CONSTRAINT approvals_check CHECK ((expires_at > created_at)),
    CONSTRAINT approvals_consumed CHECK (((consumed_at IS NULL) = (consumed_by IS NULL))),
    CONSTRAINT approvals_consumed_approved CHECK (((consumed_at IS NULL) OR (state = 'approved'::text))),
    CONSTRAINT approvals_decided CHECK (((state = ANY (ARRAY['approved'::text, 'rejected'::text])) = (decided_at IS NOT NULL))),
    CONSTRAINT approvals_decider CHECK (((decided_at IS NULL) = (decided_by IS NULL))),
    CONSTRAINT approvals_hash CHECK ((action_hash = encode(sha256(convert_to((action)::text, 'UTF8'::name)), 'hex'::text))),
    CONSTRAINT approvals_in_time CHECK ((decided_at < expires_at)),
    CONSTRAINT approvals_other_person CHECK ((lower(btrim(decided_by)) <> lower(btrim(requester)))),
    CONSTRAINT approvals_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'approved'::text, 'rejected'::text, 'expired'::text, 'cancelled'::text]))),
    CONSTRAINT approvals_wake CHECK (((state = 'pending'::text) = (next_wake_at IS NOT NULL))),
    CONSTRAINT approvals_wake_in_time CHECK ((next_wake_at <= expires_at))
);
COMMENT ON TABLE guildhall.approvals IS 'What a person is asked to agree to, bound to the hash of exactly that action.';
CREATE FUNCTION guildhall.approval_error(p_approval guildhall.approvals) RETURNS jsonb
CREATE FUNCTION guildhall.approval_finish(p_id uuid, p_state text, p_by text, p_reason text, p_tell_run boolean, p_now timestamp with time zone) RETURNS guildhall.approvals
CREATE FUNCTION guildhall.approval_get(p_id text) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.approval_insert(p_command jsonb, p_requester text, p_run_id uuid, p_now timestamp with time zone) RETURNS uuid
CREATE FUNCTION guildhall.approval_json(p_approval guildhall.approvals) RETURNS jsonb
CREATE FUNCTION guildhall.approval_list(p_state text, p_after text, p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.approval_sweep(p_limit bigint) RETURNS integer
CREATE FUNCTION guildhall.audit_append(p_actor text, p_verb text, p_subject text, p_detail jsonb, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.broadcast_get(p_id text) RETURNS SETOF jsonb
CREATE TABLE guildhall.broadcasts (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    requester text NOT NULL,
    skill text NOT NULL,
    scope text NOT NULL,
    excluded jsonb NOT NULL,
    targets integer NOT NULL,
    idempotency_key text,
    fingerprint text,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT broadcasts_excluded_check CHECK ((jsonb_typeof(excluded) = 'array'::text)),
    CONSTRAINT broadcasts_fingerprint CHECK (((idempotency_key IS NULL) = (fingerprint IS NULL))),
    CONSTRAINT broadcasts_idempotency_key_check CHECK (((length(idempotency_key) >= 1) AND (length(idempotency_key) <= 200))),
    CONSTRAINT broadcasts_requester_check CHECK (((length(requester) >= 1) AND (length(requester) <= 200))),
    CONSTRAINT broadcasts_scope_check CHECK ((scope = ANY (ARRAY['all'::text, 'skill'::text]))),
    CONSTRAINT broadcasts_skill_check CHECK (((length(skill) >= 1) AND (length(skill) <= 200))),
    CONSTRAINT broadcasts_targets_check CHECK ((targets >= 1))
);
COMMENT ON TABLE guildhall.broadcasts IS 'One question to many agents: a request for each that was live when it was asked.';
CREATE FUNCTION guildhall.broadcast_json(p_broadcast guildhall.broadcasts) RETURNS jsonb
CREATE FUNCTION guildhall.broadcast_submit(p_request jsonb, p_requester text, p_idempotency_key text, p_fingerprint text, p_options jsonb) RETURNS TABLE(outcome text, broadcast jsonb, input_schema jsonb, schema_digest text)
CREATE FUNCTION guildhall.callback_claim(p_worker text, p_limit bigint, p_lease_s bigint) RETURNS TABLE(request_id uuid, epoch bigint, attempt integer, url text, event jsonb, requester text)
CREATE FUNCTION guildhall.callback_report(p_id text, p_epoch bigint, p_outcome text, p_detail text) RETURNS text
CREATE FUNCTION guildhall.chat_append(p_session_id text, p_message text, p_reply text, p_run_id uuid, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.chat_history(p_session_id text, p_requester text, p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.chat_open(p_session_id text, p_requester text, p_now timestamp with time zone) RETURNS boolean
CREATE FUNCTION guildhall.chat_record(p_session_id text, p_requester text, p_message text, p_reply text, p_run_id text) RETURNS text
CREATE FUNCTION guildhall.check_results(p_revision text) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.clock() RETURNS timestamp with time zone
CREATE FUNCTION guildhall.commit_need_not_wait() RETURNS void
CREATE FUNCTION guildhall.ensure_field_int(p_object jsonb, p_key text, p_default bigint, p_min bigint, p_max bigint) RETURNS bigint
CREATE FUNCTION guildhall.ensure_field_text(p_object jsonb, p_key text, p_max bigint) RETURNS text
CREATE FUNCTION guildhall.ensure_int(p_name text, p_value bigint, p_min bigint, p_max bigint) RETURNS bigint
CREATE FUNCTION guildhall.ensure_text(p_name text, p_value text, p_max bigint) RETURNS text
CREATE FUNCTION guildhall.ensure_uuid(p_name text, p_value text) RETURNS uuid
CREATE FUNCTION guildhall.event_accept(p_event jsonb, p_options jsonb) RETURNS TABLE(outcome text, request_id uuid, detail text, input_schema jsonb, schema_digest text)
CREATE FUNCTION guildhall.event_deliver(p_event jsonb, p_now timestamp with time zone) RETURNS integer
CREATE FUNCTION guildhall.event_flaw(p_event jsonb) RETURNS text
CREATE FUNCTION guildhall.event_horizon() RETURNS xid8
CREATE FUNCTION guildhall.event_list(p_after text, p_type text, p_subject text, p_since text, p_limit bigint) RETURNS TABLE(events jsonb, "position" text, more boolean)
CREATE FUNCTION guildhall.event_maintain(p_now timestamp with time zone, p_keep_days bigint) RETURNS integer
CREATE FUNCTION guildhall.event_position(p_position text) RETURNS TABLE(xid xid8, id bigint)
CREATE FUNCTION guildhall.event_position_xid() RETURNS xid8
CREATE FUNCTION guildhall.event_publish(p_event jsonb, p_by text) RETURNS TABLE(outcome text, delivered integer, detail text)
CREATE FUNCTION guildhall.event_refuse(p_event jsonb, p_detail text) RETURNS text
CREATE FUNCTION guildhall.guard_append_only() RETURNS trigger
CREATE FUNCTION guildhall.guard_approval() RETURNS trigger
CREATE FUNCTION guildhall.guard_journal() RETURNS trigger
CREATE FUNCTION guildhall.guard_lock() RETURNS trigger
CREATE FUNCTION guildhall.guard_request() RETURNS trigger
CREATE FUNCTION guildhall.guard_run() RETURNS trigger
CREATE FUNCTION guildhall.guard_run_call() RETURNS trigger
CREATE TABLE guildhall.journal (
    run_id uuid NOT NULL,
    "position" bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    step text,
    data jsonb,
    CONSTRAINT journal_data CHECK (((kind = 'run_started'::text) = (data IS NULL))),
    CONSTRAINT journal_first CHECK (((kind = 'run_started'::text) = ("position" = 1))),
    CONSTRAINT journal_kind_check CHECK ((kind = ANY (ARRAY['run_started'::text, 'event'::text, 'run_completed'::text, 'run_faulted'::text, 'run_cancelled'::text, 'step_started'::text, 'step_completed'::text, 'step_failed'::text, 'approval_requested'::text]))),
    CONSTRAINT journal_position_check CHECK (("position" >= 1)),
    CONSTRAINT journal_step CHECK (
CASE
    WHEN (kind = ANY (ARRAY['step_started'::text, 'step_completed'::text, 'step_failed'::text, 'approval_requested'::text])) THEN (step IS NOT NULL)
    ELSE ((kind = 'event'::text) OR (step IS NULL))
END)
);
COMMENT ON TABLE guildhall.journal IS 'The ordered record of each run: positions from 1 without gaps, never changed.';
CREATE FUNCTION guildhall.journal_entry_json(p_entry guildhall.journal) RETURNS jsonb
CREATE FUNCTION guildhall.lock_acquire(p_resource text, p_holder text, p_run_id text, p_ttl_s bigint, p_reason text, p_mode text DEFAULT 'exclusive'::text, p_wait_s bigint DEFAULT 0, p_priority text DEFAULT 'normal'::text, p_token bigint DEFAULT NULL::bigint, p_announced boolean DEFAULT false) RETURNS TABLE(outcome text, lock jsonb, ticket bigint, blockers jsonb, cycle jsonb, bells jsonb)
CREATE FUNCTION guildhall.lock_acquire_all(p_locks jsonb, p_holder text, p_run_id text, p_ttl_s bigint, p_reason text, p_wait_s bigint, p_priority text, p_announced boolean) RETURNS TABLE(outcome text, locks jsonb, ticket bigint, blockers jsonb, cycle jsonb, bells jsonb)
CREATE FUNCTION guildhall.lock_blockers(p_resource text, p_mode text, p_holder text, p_run_id uuid, p_priority smallint, p_ticket bigint, p_limit integer) RETURNS TABLE(by_resource text, by_mode text, by_holder text, by_run_id uuid, by_expires_at timestamp with time zone, by_ticket bigint)
CREATE FUNCTION guildhall.lock_check(p_resource text, p_token bigint) RETURNS boolean
CREATE TABLE guildhall.lock_waiters (
    ticket bigint NOT NULL,
    holder text NOT NULL,
    run_id uuid,
    reason text NOT NULL,
    priority smallint NOT NULL,
    born_at timestamp with time zone NOT NULL,
    ttl_s bigint NOT NULL,
    announced boolean DEFAULT false NOT NULL,
    resources text[] NOT NULL COLLATE pg_catalog."C",
    modes text[] NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone NOT NULL,
    next_wake_at timestamp with time zone NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    fencing_tokens bigint[],
    granted_at timestamp with time zone,
    cycle jsonb,
    run_seq bigint,
    run_step text,
    run_fences jsonb,
    CONSTRAINT lock_waiters_cycle CHECK (((state = 'deadlock'::text) = (cycle IS NOT NULL))),
    CONSTRAINT lock_waiters_granted CHECK ((((state = 'granted'::text) = (fencing_tokens IS NOT NULL)) AND ((state = 'granted'::text) = (granted_at IS NOT NULL)))),
    CONSTRAINT lock_waiters_modes CHECK ((cardinality(modes) = cardinality(resources))),
    CONSTRAINT lock_waiters_of_run CHECK ((((run_seq IS NULL) = (run_step IS NULL)) AND ((run_seq IS NULL) = (run_fences IS NULL)) AND ((run_seq IS NULL) OR (run_id IS NOT NULL)))),
    CONSTRAINT lock_waiters_patience CHECK ((deadline_at > requested_at)),
    CONSTRAINT lock_waiters_priority_check CHECK (((priority >= 0) AND (priority <= 3))),
    CONSTRAINT lock_waiters_resources_check CHECK (((cardinality(resources) >= 1) AND (cardinality(resources) <= 32))),
    CONSTRAINT lock_waiters_run_fences_check CHECK ((jsonb_typeof(run_fences) = 'array'::text)),
    CONSTRAINT lock_waiters_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'due'::text, 'granted'::text, 'deadlock'::text]))),
    CONSTRAINT lock_waiters_ttl_s_check CHECK (((ttl_s >= 1) AND (ttl_s <=
CASE
    WHEN (run_seq IS NULL) THEN 86400
    ELSE 315360000
END)))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.05', autovacuum_vacuum_threshold='500');
COMMENT ON TABLE guildhall.lock_waiters IS 'Who waits, and how it ended until whoever waited has taken notice. `due` asks the waiter to try for itself.';
COMMENT ON COLUMN guildhall.lock_waiters.run_seq IS 'The run''s command that waits. Nobody polls for it: the run is told of the end of the wait in its inbox.';
CREATE FUNCTION guildhall.lock_collect(p_waiter guildhall.lock_waiters) RETURNS TABLE(outcome text, locks jsonb)
CREATE FUNCTION guildhall.lock_conflicts(p_resource text, p_mode text, p_other text, p_other_mode text) RETURNS boolean
CREATE FUNCTION guildhall.lock_contention(p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.lock_cycle(p_ticket bigint) RETURNS jsonb
CREATE TABLE guildhall.lock_grants (
    root text NOT NULL COLLATE pg_catalog."C",
    resource text NOT NULL COLLATE pg_catalog."C",
    fencing_token bigint NOT NULL,
    mode text NOT NULL,
    holder text NOT NULL,
    run_id uuid,
    reason text NOT NULL,
    depth integer DEFAULT 1 NOT NULL,
    announced boolean DEFAULT false NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    acquired_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT lock_grants_depth_check CHECK ((depth >= 1)),
    CONSTRAINT lock_grants_fencing_token_check CHECK ((fencing_token >= 1)),
    CONSTRAINT lock_grants_mode_check CHECK ((mode = ANY (ARRAY['exclusive'::text, 'shared'::text]))),
    CONSTRAINT lock_grants_resource_check CHECK (((length(resource) >= 1) AND (length(resource) <= 300))),
    CONSTRAINT lock_grants_root CHECK ((root = split_part(resource, '/'::text, 1))),
    CONSTRAINT lock_grants_waited CHECK ((requested_at <= acquired_at))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.05', autovacuum_vacuum_threshold='500');
COMMENT ON TABLE guildhall.lock_grants IS 'Who holds what; the row goes when the grant ends. Nobody but its holder may go by a grant whose time is up.';
CREATE FUNCTION guildhall.lock_end(p_grant guildhall.lock_grants, p_how text, p_by text, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.lock_ensure(p_resource text, p_mode text) RETURNS void
CREATE FUNCTION guildhall.lock_ensure_run(p_run_id text) RETURNS uuid
CREATE FUNCTION guildhall.lock_ensure_tokens(p_locks jsonb) RETURNS integer
CREATE FUNCTION guildhall.lock_expire(p_roots text[], p_now timestamp with time zone) RETURNS integer
CREATE FUNCTION guildhall.lock_force_release(p_resource text, p_actor text, p_reason text) RETURNS TABLE(outcome text, locks jsonb, bells jsonb)
CREATE FUNCTION guildhall.lock_get(p_resource text) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.lock_give(p_resource text, p_mode text, p_holder text, p_run_id uuid, p_reason text, p_announced boolean, p_requested_at timestamp with time zone, p_expires_at timestamp with time zone, p_now timestamp with time zone) RETURNS guildhall.lock_grants
CREATE FUNCTION guildhall.lock_give_up(p_waiter guildhall.lock_waiters, p_how text, p_detail jsonb, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.lock_grant_json(p_grant guildhall.lock_grants) RETURNS jsonb
CREATE FUNCTION guildhall.lock_graph() RETURNS jsonb
CREATE FUNCTION guildhall.lock_guard(p_resource text, p_token bigint) RETURNS boolean
CREATE FUNCTION guildhall.lock_held_by(p_resource text, p_mode text, p_holder text, p_run_id uuid, p_now timestamp with time zone) RETURNS jsonb
CREATE FUNCTION guildhall.lock_history_list(p_resource text, p_before bigint, p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.lock_in_the_way(p_resources text[], p_modes text[], p_holder text, p_run_id uuid, p_priority smallint) RETURNS jsonb
CREATE FUNCTION guildhall.lock_is_uncollected(p_grant guildhall.lock_grants) RETURNS boolean
CREATE FUNCTION guildhall.lock_json(p_resource text, p_now timestamp with time zone) RETURNS jsonb
CREATE FUNCTION guildhall.lock_line(p_resource text) RETURNS text[]
CREATE FUNCTION guildhall.lock_list(p_after text, p_limit bigint, p_state text DEFAULT NULL::text) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.lock_of_tokens(p_locks jsonb, p_holder text, p_now timestamp with time zone) RETURNS SETOF guildhall.lock_grants
CREATE FUNCTION guildhall.lock_priority(p_priority text) RETURNS smallint
CREATE FUNCTION guildhall.lock_release(p_resource text, p_holder text, p_token bigint) RETURNS TABLE(outcome text, lock jsonb, bells jsonb)
CREATE FUNCTION guildhall.lock_release_all(p_locks jsonb, p_holder text) RETURNS TABLE(outcome text, locks jsonb, bells jsonb)
CREATE FUNCTION guildhall.lock_renew(p_resource text, p_holder text, p_token bigint, p_ttl_s bigint) RETURNS TABLE(outcome text, lock jsonb)
CREATE FUNCTION guildhall.lock_renew_all(p_locks jsonb, p_holder text, p_ttl_s bigint) RETURNS TABLE(outcome text, locks jsonb)
CREATE FUNCTION guildhall.lock_renew_take(p_locks jsonb) RETURNS void
CREATE FUNCTION guildhall.lock_root(p_resource text) RETURNS text
CREATE FUNCTION guildhall.lock_roots_take(p_roots text[]) RETURNS void
CREATE FUNCTION guildhall.lock_settle(p_roots text[], p_now timestamp with time zone) RETURNS jsonb
CREATE FUNCTION guildhall.lock_stale_of_tokens(p_locks jsonb, p_holder text, p_now timestamp with time zone) RETURNS jsonb
CREATE FUNCTION guildhall.lock_statistics(p_hours bigint) RETURNS jsonb
CREATE FUNCTION guildhall.lock_sweep(p_limit bigint) RETURNS integer
CREATE FUNCTION guildhall.lock_token_next(p_resource text) RETURNS bigint
CREATE FUNCTION guildhall.lock_token_raise(p_floor bigint, p_actor text) RETURNS bigint
CREATE FUNCTION guildhall.lock_wait(p_resources text[], p_modes text[], p_holder text, p_run_id uuid, p_reason text, p_priority smallint, p_ttl_s bigint, p_wait_s bigint, p_announced boolean, p_now timestamp with time zone, p_run_seq bigint DEFAULT NULL::bigint, p_run_step text DEFAULT NULL::text, p_run_fences jsonb DEFAULT NULL::jsonb) RETURNS TABLE(outcome text, ticket bigint, cycle jsonb, bells jsonb)
CREATE FUNCTION guildhall.lock_wait_act(p_waiter guildhall.lock_waiters, p_last boolean) RETURNS TABLE(outcome text, locks jsonb, cycle jsonb, bells jsonb)
CREATE FUNCTION guildhall.lock_wait_cancel(p_ticket bigint, p_holder text) RETURNS TABLE(outcome text, locks jsonb, cycle jsonb, bells jsonb)
CREATE FUNCTION guildhall.lock_wait_status(p_ticket bigint, p_holder text) RETURNS TABLE(outcome text, locks jsonb, cycle jsonb, bells jsonb)
CREATE FUNCTION guildhall.metrics() RETURNS TABLE(name text, family text, type text, help text, labels jsonb, value double precision)
CREATE FUNCTION guildhall.outbox_add(p_subject text, p_events jsonb, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.outbox_claim(p_worker text, p_limit bigint, p_lease_s bigint) RETURNS TABLE("position" text, event jsonb, channel text)
CREATE FUNCTION guildhall.outbox_emit(p_type text, p_subject text, p_data jsonb, p_now timestamp with time zone, p_traceparent text DEFAULT NULL::text) RETURNS void
CREATE FUNCTION guildhall.outbox_published(p_position text, p_worker text) RETURNS text
CREATE FUNCTION guildhall.readiness() RETURNS TABLE(ok boolean, schema_version integer)
CREATE FUNCTION guildhall.request_boost(p_priority text) RETURNS interval
CREATE FUNCTION guildhall.request_cancel(p_id text, p_by text, p_reason text) RETURNS TABLE(outcome text, request jsonb)
CREATE FUNCTION guildhall.request_claim(p_worker text, p_limit bigint, p_lease_s bigint) RETURNS TABLE(request jsonb, agent text, lease_ms bigint, url text, is_remote boolean, traceparent text)
CREATE FUNCTION guildhall.request_complete(p_id text, p_epoch bigint, p_result jsonb) RETURNS TABLE(outcome text, mailbox text, ticket text, finished_at timestamp with time zone)
CREATE FUNCTION guildhall.request_discard(p_id text, p_by text, p_reason text) RETURNS TABLE(outcome text, request jsonb)
CREATE FUNCTION guildhall.request_fail(p_id text, p_epoch bigint, p_error jsonb) RETURNS TABLE(outcome text, mailbox text, ticket text, finished_at timestamp with time zone)
CREATE FUNCTION guildhall.request_field(p_request jsonb, p_key text, p_max bigint) RETURNS text
CREATE FUNCTION guildhall.request_finish(p_id uuid, p_state text, p_result jsonb, p_error jsonb, p_tell_run boolean, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.request_get(p_id text) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.request_insert(p_request jsonb, p_requester text, p_run_id uuid, p_step text, p_idempotency_key text, p_fingerprint text, p_now timestamp with time zone, p_options jsonb DEFAULT '{}'::jsonb) RETURNS uuid
CREATE TABLE guildhall.requests (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    run_id uuid,
    step text,
    skill text NOT NULL,
    agent_wanted text,
    agent text,
    input jsonb NOT NULL,
    requester text NOT NULL,
    priority text NOT NULL,
    state text NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    max_attempts integer NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    lease_owner text,
    lease_expires_at timestamp with time zone,
    next_wake_at timestamp with time zone,
    deadline_at timestamp with time zone NOT NULL,
    result jsonb,
    error jsonb,
    idempotency_key text,
    fingerprint text,
    created_at timestamp with time zone NOT NULL,
    first_leased_at timestamp with time zone,
    finished_at timestamp with time zone,
    queue_at timestamp with time zone NOT NULL,
    source text,
    correlation_id text,
    causation_id text,
    traceparent text,
    callback_url text,
    schema_digest text,
    broadcast_id uuid,
    mailbox text,
    ticket text,
    life integer DEFAULT 1 NOT NULL,
    retry_of uuid,
    letter text,
    seat integer,
    seq bigint,
    fences jsonb,
    CONSTRAINT requests_attempt_check CHECK ((attempt >= 0)),
    CONSTRAINT requests_attempts CHECK (((attempt <= max_attempts) AND (attempt <= epoch))),
    CONSTRAINT requests_callback_url_check CHECK (((length(callback_url) >= 1) AND (length(callback_url) <= 2000))),
    CONSTRAINT requests_causation_id_check CHECK (((length(causation_id) >= 1) AND (length(causation_id) <= 200))),
    CONSTRAINT requests_correlation_id_check CHECK (((length(correlation_id) >= 1) AND (length(correlation_id) <= 200))),
    CONSTRAINT requests_epoch_check CHECK ((epoch >= 0)),
    CONSTRAINT requests_error CHECK (((state <> ALL (ARRAY['failed'::text, 'rejected'::text, 'timed_out'::text, 'cancelled'::text, 'dead'::text])) OR (error IS NOT NULL))),
    CONSTRAINT requests_fences_check CHECK ((jsonb_typeof(fences) = 'array'::text)),
    CONSTRAINT requests_fingerprint CHECK (((idempotency_key IS NULL) = (fingerprint IS NULL))),
    CONSTRAINT requests_finished CHECK (((state = ANY (ARRAY['queued'::text, 'leased'::text])) = (finished_at IS NULL))),
    CONSTRAINT requests_first_lease CHECK (((attempt = 0) = (first_leased_at IS NULL))),
    CONSTRAINT requests_idempotency_key_check CHECK (((length(idempotency_key) >= 1) AND (length(idempotency_key) <= 200))),
    CONSTRAINT requests_lease CHECK ((((state = 'leased'::text) = (lease_owner IS NOT NULL)) AND ((state = 'leased'::text) = (lease_expires_at IS NOT NULL)))),
    CONSTRAINT requests_leased CHECK (((state <> 'leased'::text) OR ((agent IS NOT NULL) AND (attempt >= 1)))),
    CONSTRAINT requests_leased_wake CHECK (((state <> 'leased'::text) OR (next_wake_at <= lease_expires_at))),
    CONSTRAINT requests_letter CHECK (((letter IS NOT NULL) = ((run_id IS NULL) AND (state = ANY (ARRAY['dead'::text, 'timed_out'::text]))))),
    CONSTRAINT requests_letter_check CHECK ((letter = ANY (ARRAY['open'::text, 'retried'::text, 'discarded'::text]))),
    CONSTRAINT requests_life CHECK (((life = 1) = (retry_of IS NULL))),
    CONSTRAINT requests_life_check CHECK (((life >= 1) AND (life <= 10))),
    CONSTRAINT requests_mailbox_check CHECK (((length(mailbox) >= 1) AND (length(mailbox) <= 200))),
    CONSTRAINT requests_max_attempts_check CHECK ((max_attempts >= 1)),
    CONSTRAINT requests_priority_check CHECK ((priority = ANY (ARRAY['low'::text, 'normal'::text, 'high'::text, 'urgent'::text]))),
    CONSTRAINT requests_result CHECK (((state = 'succeeded'::text) = (result IS NOT NULL))),
    CONSTRAINT requests_seat_check CHECK ((seat >= 1)),
    CONSTRAINT requests_seq CHECK (((seq IS NULL) OR (run_id IS NOT NULL))),
    CONSTRAINT requests_skill_check CHECK (((length(skill) >= 1) AND (length(skill) <= 200))),
    CONSTRAINT requests_source_check CHECK (((length(source) >= 1) AND (length(source) <= 200))),
    CONSTRAINT requests_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'leased'::text, 'succeeded'::text, 'failed'::text, 'rejected'::text, 'timed_out'::text, 'cancelled'::text, 'dead'::text]))),
    CONSTRAINT requests_step CHECK (((run_id IS NULL) = (step IS NULL))),
    CONSTRAINT requests_ticket_check CHECK (((length(ticket) >= 1) AND (length(ticket) <= 200))),
    CONSTRAINT requests_traceparent_check CHECK ((length(traceparent) = 55)),
    CONSTRAINT requests_waiter CHECK (((mailbox IS NULL) = (ticket IS NULL))),
    CONSTRAINT requests_wake CHECK (((state = ANY (ARRAY['queued'::text, 'leased'::text])) = (next_wake_at IS NOT NULL)))
)
WITH (fillfactor='70');
COMMENT ON TABLE guildhall.requests IS 'Durable requests for a skill; a leased one is being attempted under an epoch.';
COMMENT ON COLUMN guildhall.requests.queue_at IS 'A virtual arrival: created_at less a boost for priority. Whoever waits long enough is overtaken by nobody.';
COMMENT ON COLUMN guildhall.requests.letter IS 'A dead letter that waits for somebody (open), was given a new life (retried) or was let go (discarded).';
COMMENT ON COLUMN guildhall.requests.seat IS 'Which of its agent''s places an attempt has, 1 to max_concurrency; of the last attempt once it is over.';
COMMENT ON COLUMN guildhall.requests.seq IS 'The number of the run''s command that asks, which the answer carries.';
COMMENT ON COLUMN guildhall.requests.fences IS 'The locks that the run holds around the step, each with its fencing token.';
CREATE FUNCTION guildhall.request_json(p_request guildhall.requests) RETURNS jsonb
CREATE FUNCTION guildhall.request_lease(p_id uuid, p_agent text, p_seat integer, p_worker text, p_lease_s bigint, p_now timestamp with time zone) RETURNS guildhall.requests
CREATE FUNCTION guildhall.request_letters(p_after text, p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.request_list(p_state text, p_run_id text, p_after text, p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.request_lock(p_id uuid) RETURNS guildhall.requests
CREATE FUNCTION guildhall.request_priority(p_request jsonb) RETURNS text
CREATE FUNCTION guildhall.request_renew(p_id text, p_epoch bigint, p_lease_s bigint) RETURNS text
CREATE FUNCTION guildhall.request_retry(p_id text, p_by text, p_reason text) RETURNS TABLE(outcome text, request jsonb)
CREATE FUNCTION guildhall.request_slot(p_id uuid, p_skill text, p_agent text, p_now timestamp with time zone) RETURNS TABLE(agent_id text, url text, is_remote boolean, seat integer)
CREATE FUNCTION guildhall.request_submit(p_request jsonb, p_requester text, p_idempotency_key text, p_fingerprint text, p_options jsonb) RETURNS TABLE(outcome text, request jsonb, input_schema jsonb, schema_digest text, claimed jsonb)
CREATE FUNCTION guildhall.request_sweep(p_limit bigint) RETURNS integer
CREATE FUNCTION guildhall.request_tell(p_request guildhall.requests, p_state text, p_result jsonb, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.request_wire(p_request guildhall.requests) RETURNS jsonb
CREATE TABLE guildhall.runs (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    title text NOT NULL,
    requester text NOT NULL,
    definition jsonb,
    status text NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    lease_owner text,
    lease_expires_at timestamp with time zone,
    journal_position bigint DEFAULT 0 NOT NULL,
    next_wake_at timestamp with time zone,
    idempotency_key text,
    fingerprint text,
    session_id text,
    output jsonb,
    error jsonb,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    workflow_namespace text COLLATE pg_catalog."C",
    workflow_name text COLLATE pg_catalog."C",
    workflow_version text COLLATE pg_catalog."C",
    digest text,
    input jsonb DEFAULT '{}'::jsonb NOT NULL,
    state jsonb,
    snapshot_position bigint DEFAULT 0 NOT NULL,
    suspended boolean DEFAULT false NOT NULL,
    parent_run_id uuid,
    parent_seq bigint,
    parent_step text,
    depth integer DEFAULT 0 NOT NULL,
    CONSTRAINT runs_child CHECK ((((parent_run_id IS NULL) = (parent_step IS NULL)) AND ((parent_run_id IS NOT NULL) OR (parent_seq IS NULL)) AND ((parent_run_id IS NULL) = (depth = 0)))),
    CONSTRAINT runs_claimed CHECK (((status <> 'running'::text) OR (epoch > 0))),
    CONSTRAINT runs_definition_check CHECK ((jsonb_typeof(definition) = 'object'::text)),
    CONSTRAINT runs_depth_check CHECK (((depth >= 0) AND (depth <= 20))),
    CONSTRAINT runs_document CHECK (((definition IS NULL) = (workflow_name IS NOT NULL))),
    CONSTRAINT runs_epoch_check CHECK ((epoch >= 0)),
    CONSTRAINT runs_error CHECK (((status = 'faulted'::text) = (error IS NOT NULL))),
    CONSTRAINT runs_fingerprint CHECK (((idempotency_key IS NULL) = (fingerprint IS NULL))),
    CONSTRAINT runs_finished CHECK (((status = ANY (ARRAY['completed'::text, 'faulted'::text, 'cancelled'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT runs_idempotency_key_check CHECK (((length(idempotency_key) >= 1) AND (length(idempotency_key) <= 200))),
    CONSTRAINT runs_journal_position_check CHECK ((journal_position >= 0)),
    CONSTRAINT runs_lease CHECK ((((status = 'running'::text) = (lease_owner IS NOT NULL)) AND ((status = 'running'::text) = (lease_expires_at IS NOT NULL)))),
    CONSTRAINT runs_leased_wake CHECK (((status <> 'running'::text) OR (next_wake_at <= lease_expires_at))),
    CONSTRAINT runs_output CHECK (((status = 'completed'::text) = (output IS NOT NULL))),
    CONSTRAINT runs_snapshot CHECK ((snapshot_position <= journal_position)),
    CONSTRAINT runs_snapshot_position_check CHECK ((snapshot_position >= 0)),
    CONSTRAINT runs_state_check CHECK ((jsonb_typeof(state) = 'object'::text)),
    CONSTRAINT runs_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'waiting'::text, 'completed'::text, 'faulted'::text, 'cancelled'::text]))),
    CONSTRAINT runs_wake CHECK (((status = ANY (ARRAY['completed'::text, 'faulted'::text, 'cancelled'::text])) = (next_wake_at IS NULL))),
    CONSTRAINT runs_workflow_whole CHECK ((((workflow_name IS NULL) = (workflow_namespace IS NULL)) AND ((workflow_name IS NULL) = (workflow_version IS NULL))))
)
WITH (fillfactor='70');
COMMENT ON TABLE guildhall.runs IS 'Executions of definitions; a running one is leased to a worker under an epoch.';
COMMENT ON COLUMN guildhall.runs.state IS 'The engine''s snapshot after the entries up to snapshot_position; gone when the run has ended.';
COMMENT ON COLUMN guildhall.runs.parent_seq IS 'Which command of the parent waits for the run''s end; null when none does.';
CREATE FUNCTION guildhall.run_acquire(p_run guildhall.runs, p_command jsonb, p_now timestamp with time zone) RETURNS text
CREATE FUNCTION guildhall.run_advance(p_run_id text, p_epoch bigint, p_journal_position bigint, p_state jsonb, p_commands jsonb, p_lifecycle jsonb) RETURNS TABLE(outcome text, requests_queued integer, calls_queued integer, runs_due integer, status text)
CREATE FUNCTION guildhall.run_apply(p_run guildhall.runs, p_command jsonb, p_now timestamp with time zone) RETURNS text
CREATE FUNCTION guildhall.run_call_claim(p_worker text, p_limit bigint, p_lease_s bigint) RETURNS TABLE(run_id uuid, seq bigint, epoch bigint, step text, key text, attempt integer, action jsonb, fences jsonb, created_at timestamp with time zone)
CREATE TABLE guildhall.run_calls (
    run_id uuid NOT NULL,
    seq bigint NOT NULL,
    step text NOT NULL,
    key text NOT NULL,
    attempt integer NOT NULL,
    action jsonb NOT NULL,
    fences jsonb DEFAULT '[]'::jsonb NOT NULL,
    state text NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    lease_owner text,
    lease_expires_at timestamp with time zone,
    next_wake_at timestamp with time zone,
    output jsonb,
    error jsonb,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT run_calls_action_check CHECK (((jsonb_typeof(action) = 'object'::text) AND (action ? 'action'::text))),
    CONSTRAINT run_calls_attempt_check CHECK ((attempt >= 1)),
    CONSTRAINT run_calls_claimed CHECK (((state <> 'leased'::text) OR (epoch > 0))),
    CONSTRAINT run_calls_epoch_check CHECK ((epoch >= 0)),
    CONSTRAINT run_calls_error CHECK (((state = 'failed'::text) = (error IS NOT NULL))),
    CONSTRAINT run_calls_fences_check CHECK ((jsonb_typeof(fences) = 'array'::text)),
    CONSTRAINT run_calls_finished CHECK (((state = ANY (ARRAY['queued'::text, 'leased'::text])) = (finished_at IS NULL))),
    CONSTRAINT run_calls_lease CHECK ((((state = 'leased'::text) = (lease_owner IS NOT NULL)) AND ((state = 'leased'::text) = (lease_expires_at IS NOT NULL)))),
    CONSTRAINT run_calls_leased_wake CHECK (((state <> 'leased'::text) OR (next_wake_at <= lease_expires_at))),
    CONSTRAINT run_calls_output CHECK (((state = 'succeeded'::text) = (output IS NOT NULL))),
    CONSTRAINT run_calls_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'leased'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT run_calls_wake CHECK (((state = ANY (ARRAY['queued'::text, 'leased'::text])) = (next_wake_at IS NOT NULL)))
)
WITH (fillfactor='70');
COMMENT ON TABLE guildhall.run_calls IS 'Calls over HTTP that runs make; a leased one is being made under an epoch, an expired lease makes it due again.';
CREATE FUNCTION guildhall.run_call_end(p_call guildhall.run_calls, p_output jsonb, p_error jsonb, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.run_call_finish(p_run_id text, p_seq bigint, p_epoch bigint, p_output jsonb, p_error jsonb) RETURNS text
CREATE FUNCTION guildhall.run_call_renew(p_run_id text, p_seq bigint, p_epoch bigint, p_lease_s bigint) RETURNS text
CREATE FUNCTION guildhall.run_call_sweep(p_limit bigint) RETURNS integer
CREATE FUNCTION guildhall.run_cancel(p_run_id text, p_by text, p_reason text) RETURNS TABLE(outcome text, run jsonb)
CREATE FUNCTION guildhall.run_claim(p_worker text, p_lease_s bigint, p_known jsonb) RETURNS TABLE(run_id uuid, epoch bigint, journal_position bigint, digest text, definition jsonb, input jsonb, started_at timestamp with time zone, state jsonb, events jsonb)
CREATE FUNCTION guildhall.run_command_flaw(p_command jsonb) RETURNS text
CREATE FUNCTION guildhall.run_deadlock(p_step text, p_seq bigint, p_resources text[], p_cycle jsonb) RETURNS jsonb
CREATE FUNCTION guildhall.run_definition(p_run guildhall.runs) RETURNS jsonb
CREATE FUNCTION guildhall.run_due(p_now timestamp with time zone) RETURNS uuid
CREATE FUNCTION guildhall.run_error(p_problem jsonb) RETURNS jsonb
CREATE FUNCTION guildhall.run_finish(p_run guildhall.runs, p_status text, p_data jsonb, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.run_get(p_run_id text) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.run_granted(p_waiter guildhall.lock_waiters, p_tokens bigint[]) RETURNS jsonb
CREATE FUNCTION guildhall.run_inbox_end(p_run_id uuid) RETURNS bigint
CREATE FUNCTION guildhall.run_journal(p_run_id text, p_after_position bigint, p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.run_json(p_run guildhall.runs) RETURNS jsonb
CREATE FUNCTION guildhall.run_list(p_status text, p_after text, p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.run_lock_holder(p_run_id uuid, p_seq bigint) RETURNS text
CREATE FUNCTION guildhall.run_locks_take(p_run_id uuid, p_commands jsonb) RETURNS void
CREATE FUNCTION guildhall.run_note(p_run_id text, p_event text, p_by text) RETURNS text
CREATE FUNCTION guildhall.run_open(p_run guildhall.runs) RETURNS guildhall.runs
CREATE FUNCTION guildhall.run_pause(p_run_id text, p_by text) RETURNS text
CREATE FUNCTION guildhall.run_problem(p_error jsonb, p_state text) RETURNS jsonb
CREATE FUNCTION guildhall.run_refuse(p_run_id uuid, p_command jsonb, p_type text, p_status integer, p_title text, p_detail text, p_now timestamp with time zone) RETURNS text
CREATE FUNCTION guildhall.run_release(p_run_id uuid, p_seq bigint, p_now timestamp with time zone) RETURNS boolean
CREATE FUNCTION guildhall.run_resume(p_run_id text, p_by text) RETURNS text
CREATE FUNCTION guildhall.run_rows_take(p_run_id uuid, p_commands jsonb) RETURNS void
CREATE FUNCTION guildhall.run_signal(p_run_id text, p_event jsonb, p_by text) RETURNS TABLE(outcome text, detail text)
CREATE FUNCTION guildhall.run_start(p_run jsonb, p_requester text, p_idempotency_key text, p_fingerprint text, p_session_id text, p_message text, p_reply text) RETURNS TABLE(outcome text, run jsonb)
CREATE FUNCTION guildhall.run_start_child(p_run guildhall.runs, p_command jsonb, p_now timestamp with time zone) RETURNS text
CREATE FUNCTION guildhall.run_step_name(p_step text) RETURNS text
CREATE FUNCTION guildhall.run_steps(p_run_id uuid) RETURNS jsonb
CREATE FUNCTION guildhall.run_sweep(p_limit bigint) RETURNS integer
CREATE FUNCTION guildhall.run_tell(p_run_id uuid, p_input jsonb, p_now timestamp with time zone) RETURNS void
CREATE FUNCTION guildhall.run_withdraw(p_run_id uuid, p_target bigint, p_now timestamp with time zone) RETURNS text
CREATE FUNCTION guildhall.schema_digest(p_schema jsonb) RETURNS text
CREATE FUNCTION guildhall.schema_version() RETURNS TABLE(version integer, checksum text)
CREATE FUNCTION guildhall.skill_corrected(p_query text) RETURNS text
CREATE FUNCTION guildhall.skill_document(p_skill jsonb) RETURNS tsvector
CREATE FUNCTION guildhall.skill_plain(p_text text) RETURNS text
CREATE FUNCTION guildhall.skill_query(p_query text, p_mode text) RETURNS tsquery
CREATE FUNCTION guildhall.skill_store(p_skill jsonb) RETURNS bigint
CREATE FUNCTION guildhall.skill_trigrams(p_word text) RETURNS text[]
CREATE FUNCTION guildhall.ticker_prune(p_now timestamp with time zone) RETURNS integer
CREATE FUNCTION guildhall.ticker_tick(p_worker text, p_lease_s bigint) RETURNS TABLE(leader boolean, runs_due boolean, requests_due boolean, outbox_due boolean, probes_due boolean, callbacks_due boolean, calls_due boolean)
CREATE FUNCTION guildhall.token_create(p_token_hash text, p_principal text, p_kind text, p_scopes jsonb, p_agent_id text, p_ttl_s bigint, p_actor text) RETURNS jsonb
CREATE FUNCTION guildhall.token_json(p_token guildhall.tokens) RETURNS jsonb
CREATE FUNCTION guildhall.token_list() RETURNS SETOF jsonb
CREATE FUNCTION guildhall.token_revoke(p_id text, p_actor text) RETURNS text
CREATE FUNCTION guildhall.token_verify(p_token_hash text) RETURNS TABLE(outcome text, principal text, kind text, scopes jsonb, agent_id text, remaining_ms bigint)
CREATE TABLE guildhall.workflows (
    namespace text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    precedence text[] NOT NULL COLLATE pg_catalog."C",
    released boolean NOT NULL,
    digest text NOT NULL,
    definition jsonb NOT NULL,
    source text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT workflows_created_by_check CHECK (((length(created_by) >= 1) AND (length(created_by) <= 200))),
    CONSTRAINT workflows_definition_check CHECK ((jsonb_typeof(definition) = 'object'::text)),
    CONSTRAINT workflows_digest_check CHECK ((digest ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT workflows_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT workflows_namespace_check CHECK (((length(namespace) >= 1) AND (length(namespace) <= 100))),
    CONSTRAINT workflows_version_check CHECK (((length(version) >= 1) AND (length(version) <= 100)))
);
COMMENT ON TABLE guildhall.workflows IS 'Documents by namespace, name and version; a version never changes.';
CREATE FUNCTION guildhall.workflow_find(p_namespace text, p_name text, p_version text) RETURNS SETOF guildhall.workflows
CREATE FUNCTION guildhall.workflow_get(p_namespace text, p_name text, p_version text) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.workflow_json(p_workflow guildhall.workflows) RETURNS jsonb
CREATE FUNCTION guildhall.workflow_list(p_namespace text, p_after text, p_limit bigint) RETURNS SETOF jsonb
CREATE FUNCTION guildhall.workflow_precedence(p_version text) RETURNS text[]
CREATE FUNCTION guildhall.workflow_put(p_definition jsonb, p_source text, p_digest text, p_by text) RETURNS TABLE(outcome text, workflow jsonb)
