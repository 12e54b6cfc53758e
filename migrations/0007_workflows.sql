-- Runs execute documents of the Serverless Workflow DSL: workflows in versions, the engine's snapshot on the run, an inbox
-- for what happened to a run, and rows of their own for what a run waits for: timers, subscriptions, calls.

-- ---- workflows ----------------------------------------------------------------------------------------------------

create table guildhall.workflows (
    namespace text collate "C" not null check (length(namespace) between 1 and 100),
    name text collate "C" not null check (length(name) between 1 and 100),
    version text collate "C" not null check (length(version) between 1 and 100),
    -- Sorts as semantic versions do; a release has a last element that is above every pre-release.
    precedence text[] collate "C" not null,
    released boolean not null,
    digest text not null check (digest ~ '^[0-9a-f]{64}$'),
    definition jsonb not null check (jsonb_typeof(definition) = 'object'),
    source text not null,
    created_by text not null check (length(created_by) between 1 and 200),
    created_at timestamptz not null,
    primary key (namespace, name, version)
);
create index workflows_latest on guildhall.workflows (namespace, name, released, precedence);
comment on table guildhall.workflows is 'Documents by namespace, name and version; a version never changes.';

-- ---- runs ---------------------------------------------------------------------------------------------------------

drop trigger if exists run_guard on guildhall.runs;
drop trigger if exists journal_guard on guildhall.journal;
drop trigger if exists request_guard on guildhall.requests;
drop trigger if exists approval_guard on guildhall.approvals;

alter table guildhall.runs
    alter column definition drop not null,
    add column workflow_namespace text collate "C",
    add column workflow_name text collate "C",
    add column workflow_version text collate "C",
    add column digest text,
    add column input jsonb not null default '{}',
    add column state jsonb check (jsonb_typeof(state) = 'object'),
    add column snapshot_position bigint not null default 0 check (snapshot_position >= 0),
    add column suspended boolean not null default false,
    add column parent_run_id uuid references guildhall.runs (id),
    add column parent_seq bigint,
    add column parent_step text,
    add column depth integer not null default 0 check (depth between 0 and 20),
    add constraint runs_workflow foreign key (workflow_namespace, workflow_name, workflow_version)
        references guildhall.workflows (namespace, name, version),
    add constraint runs_workflow_whole check (
        (workflow_name is null) = (workflow_namespace is null) and (workflow_name is null) = (workflow_version is null)),
    -- A document of a workflow stays there; one that was given inline stays here.
    add constraint runs_document check ((definition is null) = (workflow_name is not null)),
    add constraint runs_snapshot check (snapshot_position <= journal_position),
    add constraint runs_child check (
        (parent_run_id is null) = (parent_step is null) and (parent_run_id is not null or parent_seq is null)
        and (parent_run_id is null) = (depth = 0));
create index runs_children on guildhall.runs (parent_run_id, parent_seq) where parent_run_id is not null;
comment on column guildhall.runs.state is 'The engine''s snapshot after the entries up to snapshot_position; gone when the run has ended.';
comment on column guildhall.runs.parent_seq is 'Which command of the parent waits for the run''s end; null when none does.';

-- Keys are few: what has none need not be in their index, at every update that moves a row.
alter table guildhall.runs drop constraint runs_idempotency;
create unique index runs_idempotency on guildhall.runs (requester, idempotency_key) where idempotency_key is not null;
alter table guildhall.requests drop constraint requests_idempotency;
create unique index requests_idempotency on guildhall.requests (requester, idempotency_key) where idempotency_key is not null;

alter table guildhall.journal
    -- guard_journal reads the run anyway.
    drop constraint journal_run_id_fkey,
    drop constraint journal_kind_check,
    drop constraint journal_step,
    add constraint journal_kind_check check (kind in (
        'run_started', 'event', 'run_completed', 'run_faulted', 'run_cancelled',
        -- Of runs before there were documents:
        'step_started', 'step_completed', 'step_failed', 'approval_requested')),
    add constraint journal_step check (
        case when kind in ('step_started', 'step_completed', 'step_failed', 'approval_requested') then step is not null
            else kind = 'event' or step is null end);
drop index guildhall.journal_step_begins_once;
drop index guildhall.journal_step_ends_once;

-- Nobody adds a foreign key's lock on a run to what happened to it: whoever inserts here must not touch the run's row.
create table guildhall.run_inbox (
    id bigint generated always as identity primary key,
    run_id uuid not null,
    at timestamptz not null,
    input jsonb not null check (jsonb_typeof(input) = 'object' and input ? 'event')
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
create index run_inbox_run on guildhall.run_inbox (run_id, id);
comment on table guildhall.run_inbox is
    'What happened to a run and its engine has not seen; a claim moves it into the journal.';

create table guildhall.run_timers (
    run_id uuid not null,
    seq bigint not null,
    step text not null,
    at timestamptz not null,
    due_at timestamptz not null,
    primary key (run_id, seq)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
comment on table guildhall.run_timers is 'Times that a run waits for; the earliest is in its next_wake_at.';

create table guildhall.run_subscriptions (
    run_id uuid not null,
    seq bigint not null,
    filter_no integer not null check (filter_no >= 0),
    step text not null,
    type text,
    attributes jsonb not null check (jsonb_typeof(attributes) = 'object'),
    at timestamptz not null,
    primary key (run_id, seq, filter_no)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
create index run_subscriptions_type on guildhall.run_subscriptions (type);
comment on table guildhall.run_subscriptions is
    'Kinds of events that a run listens for: attributes that must be equal, the type (its first 500 characters) apart.';

create table guildhall.run_calls (
    run_id uuid not null references guildhall.runs (id),
    seq bigint not null,
    step text not null,
    key text not null,
    attempt integer not null check (attempt >= 1),
    action jsonb not null check (jsonb_typeof(action) = 'object' and action ? 'action'),
    fences jsonb not null default '[]' check (jsonb_typeof(fences) = 'array'),
    state text not null check (state in ('queued', 'leased', 'succeeded', 'failed', 'cancelled')),
    epoch bigint not null default 0 check (epoch >= 0),
    lease_owner text,
    lease_expires_at timestamptz,
    next_wake_at timestamptz,
    output jsonb,
    error jsonb,
    created_at timestamptz not null,
    finished_at timestamptz,
    primary key (run_id, seq),
    constraint run_calls_lease check (
        (state = 'leased') = (lease_owner is not null) and (state = 'leased') = (lease_expires_at is not null)),
    constraint run_calls_wake check ((state in ('queued', 'leased')) = (next_wake_at is not null)),
    constraint run_calls_leased_wake check (state <> 'leased' or next_wake_at <= lease_expires_at),
    constraint run_calls_finished check ((state in ('queued', 'leased')) = (finished_at is null)),
    constraint run_calls_output check ((state = 'succeeded') = (output is not null)),
    constraint run_calls_error check ((state = 'failed') = (error is not null)),
    constraint run_calls_claimed check (state <> 'leased' or epoch > 0)
) with (fillfactor = 70);
create index run_calls_due on guildhall.run_calls (next_wake_at) where next_wake_at is not null;
comment on table guildhall.run_calls is
    'Calls over HTTP that runs make; a leased one is being made under an epoch, an expired lease makes it due again.';

-- ---- what a run asks for ------------------------------------------------------------------------------------------

alter table guildhall.requests
    drop constraint requests_step_once,
    add column seq bigint,
    add column fences jsonb check (jsonb_typeof(fences) = 'array'),
    add constraint requests_seq check (seq is null or run_id is not null);
create unique index requests_of_run on guildhall.requests (run_id, seq) where run_id is not null;
comment on column guildhall.requests.seq is 'The number of the run''s command that asks, which the answer carries.';
comment on column guildhall.requests.fences is 'The locks that the run holds around the step, each with its fencing token.';

alter table guildhall.approvals
    drop constraint approvals_step_once,
    add column seq bigint,
    add column summary text,
    add column ended_at timestamptz;
create unique index approvals_of_run on guildhall.approvals (run_id, seq);

alter table guildhall.lock_waiters
    drop constraint lock_waiters_ttl_s_check,
    add column run_seq bigint,
    add column run_step text,
    add column run_fences jsonb check (jsonb_typeof(run_fences) = 'array'),
    add constraint lock_waiters_ttl_s_check check (ttl_s between 1 and case when run_seq is null then 86400 else 315360000 end),
    add constraint lock_waiters_of_run check (
        (run_seq is null) = (run_step is null) and (run_seq is null) = (run_fences is null)
        and (run_seq is null or run_id is not null));
comment on column guildhall.lock_waiters.run_seq is
    'The run''s command that waits. Nobody polls for it: the run is told of the end of the wait in its inbox.';

alter table guildhall.events_accepted
    add column accepted_by text check (length(accepted_by) between 1 and 200);

-- ---- runs of definitions that are none any more -------------------------------------------------------------------

with retired as (
    update guildhall.runs r
    set status = 'faulted', lease_owner = null, lease_expires_at = null, next_wake_at = null,
        finished_at = pg_catalog.now(), journal_position = r.journal_position + 1,
        error = jsonb_build_object(
            'code', 'definition_retired', 'type', 'https://guildhall.dev/errors/definition-retired', 'status', 410,
            'title', 'The definition is retired', 'instance', null, 'step', null,
            'detail', 'Runs execute documents of the Serverless Workflow DSL now, and this one has none. Ask for the task again.')
    where r.finished_at is null
    returning r.*
), told as (
    insert into guildhall.events (at, position_xid, type, subject, event)
    select x.finished_at, pg_catalog.pg_current_xact_id(), 'dev.guildhall.run.faulted.v1', x.id::text, jsonb_build_object(
        'specversion', '1.0', 'id', pg_catalog.gen_random_uuid(), 'source', '/guildhall', 'type', 'dev.guildhall.run.faulted.v1',
        'subject', x.id::text, 'time', x.finished_at, 'datacontenttype', 'application/json', 'data', jsonb_build_object(
            'run_id', x.id, 'status', 'faulted', 'journal_position', x.journal_position, 'error', x.error))
    from retired x
)
insert into guildhall.journal (run_id, position, at, kind, data)
select x.id, x.journal_position, x.finished_at, 'run_faulted', x.error from retired x;
update guildhall.requests r
set state = 'cancelled', lease_owner = null, lease_expires_at = null, next_wake_at = null, finished_at = pg_catalog.now(),
    error = jsonb_build_object('code', 'cancelled', 'retryable', false, 'detail', 'the run ended (faulted) before the request did')
where r.run_id is not null and r.finished_at is null;
update guildhall.approvals a set state = 'cancelled', next_wake_at = null where a.state = 'pending';

drop function if exists guildhall.run_start(jsonb, text, text, text, text, text, text, text);
drop function if exists guildhall.run_claim(text, bigint);
drop function if exists guildhall.run_advance(text, bigint, bigint, jsonb);
drop function if exists guildhall.run_apply(guildhall.runs, jsonb, timestamptz);
drop function if exists guildhall.run_finish(uuid, text, jsonb, timestamptz);
drop function if exists guildhall.run_wake(uuid, timestamptz);
drop function if exists guildhall.journal_append(uuid, text, text, jsonb, timestamptz);
drop function if exists guildhall.approval_lock(uuid);
drop function if exists guildhall.approval_insert(jsonb, text, uuid, text, timestamptz);
drop function if exists guildhall.ticker_tick(text, bigint);
drop function if exists guildhall.lock_wait(
    text[], text[], text, uuid, text, smallint, bigint, bigint, boolean, timestamptz);
