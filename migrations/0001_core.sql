-- The tables of Guildhall: who is registered, what was asked, how far each run got, who holds which lock, what a person
-- approved. Functions (functions/*.sql, the only way in) keep them; these constraints forbid the rows that must not be.
--
-- Three habits hold everywhere:
--   * a row that is not finished says when somebody must look at it next (next_wake_at), a finished row never does;
--   * a lease is owner and expiry together or not at all, and every grant of it has a new epoch;
--   * no column that a heartbeat or a renewal changes is indexed, so that those updates stay heap-only.

create table guildhall.tokens (
    id uuid primary key default gen_random_uuid(),
    token_hash text not null unique check (token_hash ~ '^[0-9a-f]{64}$'),
    principal text not null check (length(principal) between 1 and 200),
    kind text not null check (kind in ('person', 'service')),
    scopes jsonb not null check (jsonb_typeof(scopes) = 'array'),
    created_by text not null,
    created_at timestamptz not null,
    expires_at timestamptz check (expires_at > created_at),
    revoked_at timestamptz,
    revoked_by text,
    constraint tokens_revoked check ((revoked_at is null) = (revoked_by is null))
);
comment on table guildhall.tokens is 'API tokens by the SHA-256 of their secret; the secret itself is nowhere.';

create table guildhall.agents (
    id text primary key check (length(id) between 1 and 200),
    card jsonb not null check (jsonb_typeof(card) = 'object' and card ->> 'name' = id),
    registered_at timestamptz not null,
    heartbeat_at timestamptz not null check (heartbeat_at >= registered_at),
    expires_at timestamptz not null,
    constraint agents_lease check (expires_at > heartbeat_at)
) with (fillfactor = 70);
comment on table guildhall.agents is 'Agents by id, each with its card; live while expires_at is ahead of clock().';

create table guildhall.agent_skills (
    skill_id text not null check (length(skill_id) between 1 and 200),
    agent_id text not null references guildhall.agents (id) on delete cascade,
    primary key (skill_id, agent_id)
);
create index agent_skills_agent on guildhall.agent_skills (agent_id);
comment on table guildhall.agent_skills is 'The skills of each card, for routing by index.';

create table guildhall.runs (
    id uuid primary key default gen_random_uuid(),
    name text not null,
    title text not null,
    requester text not null,
    definition jsonb not null check (jsonb_typeof(definition) = 'object'),
    status text not null check (status in ('pending', 'running', 'waiting', 'completed', 'faulted', 'cancelled')),
    epoch bigint not null default 0 check (epoch >= 0),
    lease_owner text,
    lease_expires_at timestamptz,
    journal_position bigint not null default 0 check (journal_position >= 0),
    next_wake_at timestamptz,
    idempotency_key text check (length(idempotency_key) between 1 and 200),
    fingerprint text,
    session_id text,
    output jsonb,
    error jsonb,
    created_at timestamptz not null,
    finished_at timestamptz,
    constraint runs_idempotency unique (requester, idempotency_key),
    constraint runs_fingerprint check ((idempotency_key is null) = (fingerprint is null)),
    constraint runs_lease check (
        (status = 'running') = (lease_owner is not null) and (status = 'running') = (lease_expires_at is not null)
    ),
    constraint runs_wake check ((status in ('completed', 'faulted', 'cancelled')) = (next_wake_at is null)),
    constraint runs_leased_wake check (status <> 'running' or next_wake_at <= lease_expires_at),
    constraint runs_finished check ((status in ('completed', 'faulted', 'cancelled')) = (finished_at is not null)),
    constraint runs_output check ((status = 'completed') = (output is not null)),
    constraint runs_error check ((status = 'faulted') = (error is not null)),
    constraint runs_claimed check (status <> 'running' or epoch > 0)
) with (fillfactor = 70);
create index runs_due on guildhall.runs (next_wake_at) where next_wake_at is not null;
create index runs_newest on guildhall.runs (created_at desc, id desc);
comment on table guildhall.runs is 'Executions of definitions; a running one is leased to a worker under an epoch.';

create table guildhall.journal (
    run_id uuid not null references guildhall.runs (id),
    position bigint not null check (position >= 1),
    at timestamptz not null,
    kind text not null check (kind in (
        'run_started', 'step_started', 'step_completed', 'step_failed', 'approval_requested',
        'run_completed', 'run_faulted', 'run_cancelled'
    )),
    step text,
    data jsonb,
    primary key (run_id, position),
    constraint journal_step check (
        (kind in ('step_started', 'step_completed', 'step_failed', 'approval_requested')) = (step is not null)
    ),
    constraint journal_data check ((kind = 'run_started') = (data is null)),
    constraint journal_first check ((kind = 'run_started') = (position = 1))
);
create unique index journal_step_begins_once on guildhall.journal (run_id, step)
    where kind in ('step_started', 'approval_requested');
create unique index journal_step_ends_once on guildhall.journal (run_id, step)
    where kind in ('step_completed', 'step_failed');
create unique index journal_run_ends_once on guildhall.journal (run_id)
    where kind in ('run_completed', 'run_faulted', 'run_cancelled');
comment on table guildhall.journal is 'The ordered record of each run: positions from 1 without gaps, never changed.';

create table guildhall.requests (
    id uuid primary key default gen_random_uuid(),
    run_id uuid references guildhall.runs (id),
    step text,
    skill text not null check (length(skill) between 1 and 200),
    agent_wanted text,
    agent text,
    input jsonb not null,
    requester text not null,
    priority smallint not null default 0 check (priority between 0 and 9),
    state text not null check (state in (
        'queued', 'leased', 'succeeded', 'failed', 'timed_out', 'cancelled', 'dead'
    )),
    attempt integer not null default 0 check (attempt >= 0),
    max_attempts integer not null check (max_attempts >= 1),
    epoch bigint not null default 0 check (epoch >= 0),
    lease_owner text,
    lease_expires_at timestamptz,
    next_wake_at timestamptz,
    deadline_at timestamptz not null,
    result jsonb,
    error jsonb,
    idempotency_key text check (length(idempotency_key) between 1 and 200),
    fingerprint text,
    created_at timestamptz not null,
    first_leased_at timestamptz,
    finished_at timestamptz,
    constraint requests_step_once unique (run_id, step),
    constraint requests_idempotency unique (requester, idempotency_key),
    constraint requests_fingerprint check ((idempotency_key is null) = (fingerprint is null)),
    constraint requests_step check ((run_id is null) = (step is null)),
    constraint requests_attempts check (attempt <= max_attempts and attempt <= epoch),
    constraint requests_lease check (
        (state = 'leased') = (lease_owner is not null) and (state = 'leased') = (lease_expires_at is not null)
    ),
    constraint requests_leased check (state <> 'leased' or (agent is not null and attempt >= 1)),
    constraint requests_leased_wake check (state <> 'leased' or next_wake_at <= lease_expires_at),
    constraint requests_first_lease check ((attempt = 0) = (first_leased_at is null)),
    constraint requests_wake check ((state in ('queued', 'leased')) = (next_wake_at is not null)),
    constraint requests_finished check ((state in ('queued', 'leased')) = (finished_at is null)),
    constraint requests_result check ((state = 'succeeded') = (result is not null)),
    constraint requests_error check (state not in ('failed', 'timed_out', 'cancelled', 'dead') or error is not null)
) with (fillfactor = 70);
create index requests_open on guildhall.requests (priority desc, created_at, id) where finished_at is null;
create index requests_newest on guildhall.requests (created_at desc, id desc);
comment on table guildhall.requests is 'Durable requests for a skill; a leased one is being attempted under an epoch.';

create table guildhall.approvals (
    id uuid primary key default gen_random_uuid(),
    run_id uuid not null references guildhall.runs (id),
    step text not null,
    state text not null check (state in ('pending', 'approved', 'rejected', 'expired', 'cancelled')),
    action jsonb not null,
    action_hash text not null,
    risk jsonb not null,
    requester text not null,
    decided_by text,
    reason text,
    created_at timestamptz not null,
    expires_at timestamptz not null check (expires_at > created_at),
    next_wake_at timestamptz,
    decided_at timestamptz,
    consumed_at timestamptz,
    consumed_by uuid references guildhall.requests (id),
    constraint approvals_step_once unique (run_id, step),
    constraint approvals_hash check (action_hash = encode(sha256(convert_to(action::text, 'UTF8')), 'hex')),
    constraint approvals_wake check ((state = 'pending') = (next_wake_at is not null)),
    constraint approvals_wake_in_time check (next_wake_at <= expires_at),
    constraint approvals_decided check ((state in ('approved', 'rejected')) = (decided_at is not null)),
    constraint approvals_decider check ((decided_at is null) = (decided_by is null)),
    constraint approvals_in_time check (decided_at < expires_at),
    constraint approvals_other_person check (lower(btrim(decided_by)) <> lower(btrim(requester))),
    constraint approvals_consumed check ((consumed_at is null) = (consumed_by is null)),
    constraint approvals_consumed_approved check (consumed_at is null or state = 'approved')
);
create index approvals_pending on guildhall.approvals (next_wake_at) where state = 'pending';
create index approvals_newest on guildhall.approvals (created_at desc, id desc);
comment on table guildhall.approvals is 'What a person is asked to agree to, bound to the hash of exactly that action.';

create table guildhall.locks (
    resource text primary key check (length(resource) between 1 and 300),
    fencing_token bigint not null default 0 check (fencing_token >= 0),
    holder text,
    run_id uuid references guildhall.runs (id),
    reason text,
    acquired_at timestamptz,
    expires_at timestamptz,
    constraint locks_held check (
        (holder is null) = (acquired_at is null)
        and (holder is null) = (expires_at is null)
        and (holder is null) = (reason is null)
    ),
    constraint locks_run check (run_id is null or holder is not null),
    constraint locks_granted check (holder is null or fencing_token >= 1)
) with (fillfactor = 70);
comment on table guildhall.locks is
    'Named resources. A free one keeps its row, so that the fencing token rises for as long as the database lives.';

create table guildhall.lock_history (
    id bigint generated always as identity primary key,
    resource text not null references guildhall.locks (resource),
    fencing_token bigint not null,
    holder text not null,
    run_id uuid references guildhall.runs (id),
    reason text not null,
    acquired_at timestamptz not null,
    ended_at timestamptz not null,
    ended_how text not null check (ended_how in ('released', 'expired', 'reacquired')),
    constraint lock_history_once unique (resource, fencing_token)
);
comment on table guildhall.lock_history is 'Every grant of a lock that has ended.';

create table guildhall.outbox (
    id bigint generated always as identity primary key,
    event jsonb not null,
    channel text not null,
    created_at timestamptz not null,
    attempts integer not null default 0,
    lease_owner text,
    next_wake_at timestamptz,
    published_at timestamptz,
    constraint outbox_wake check ((published_at is null) = (next_wake_at is not null)),
    constraint outbox_attempted check ((attempts = 0) = (lease_owner is null))
) with (fillfactor = 70);
create index outbox_unpublished on guildhall.outbox (id) where published_at is null;
create index outbox_published on guildhall.outbox (published_at) where published_at is not null;
comment on table guildhall.outbox is 'Events committed with the change they tell of; published after, at least once.';

create table guildhall.events_accepted (
    source text not null,
    event_id text not null,
    type text not null,
    request_id uuid references guildhall.requests (id),
    accepted_at timestamptz not null,
    primary key (source, event_id)
);
comment on table guildhall.events_accepted is 'Events from outside, once per source and id.';

create table guildhall.chat_sessions (
    session_id text primary key check (length(session_id) between 1 and 200),
    requester text not null,
    created_at timestamptz not null
);
comment on table guildhall.chat_sessions is 'Whose a chat session is: nobody else reads it or speaks in it.';

create table guildhall.chat_messages (
    id bigint generated always as identity primary key,
    session_id text not null references guildhall.chat_sessions (session_id),
    role text not null check (role in ('user', 'assistant')),
    content text not null,
    run_id uuid references guildhall.runs (id),
    at timestamptz not null
);
create index chat_messages_session on guildhall.chat_messages (session_id, id);
comment on table guildhall.chat_messages is 'What was said in each session, in order.';

create table guildhall.ticker (
    singleton boolean primary key default true check (singleton),
    lease_owner text,
    lease_expires_at timestamptz,
    epoch bigint not null default 0,
    swept_at timestamptz,
    constraint ticker_lease check ((lease_owner is null) = (lease_expires_at is null))
) with (fillfactor = 50);
insert into guildhall.ticker default values;
comment on table guildhall.ticker is 'The one row whose lease holder sweeps.';

create table guildhall.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    actor text not null,
    verb text not null,
    subject text not null,
    detail jsonb not null
);
comment on table guildhall.audit is 'Privileged acts, in order; rows are only ever added.';
