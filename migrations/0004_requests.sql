-- Requests with priorities that starve nobody, broadcasts, dead letters and callbacks; events as the one record of every
-- state change, in partitions by day, published in order by a relay with one cursor.

-- ---- requests -----------------------------------------------------------------------------------------------------

drop trigger if exists request_guard on guildhall.requests;
drop trigger if exists request_guard_insert on guildhall.requests;
drop index guildhall.requests_open;

alter table guildhall.requests
    drop constraint requests_priority_check,
    drop constraint requests_state_check,
    drop constraint requests_error,
    alter column priority drop default,
    alter column priority type text using case
        when priority = 0 then 'normal' when priority < 5 then 'high' else 'urgent' end,
    add column queue_at timestamptz,
    add column source text check (length(source) between 1 and 200),
    add column correlation_id text check (length(correlation_id) between 1 and 200),
    add column causation_id text check (length(causation_id) between 1 and 200),
    add column traceparent text check (length(traceparent) = 55),
    add column callback_url text check (length(callback_url) between 1 and 2000),
    add column schema_digest text,
    add column broadcast_id uuid,
    add column mailbox text check (length(mailbox) between 1 and 200),
    add column ticket text check (length(ticket) between 1 and 200),
    add column life integer not null default 1 check (life between 1 and 10),
    add column retry_of uuid references guildhall.requests (id),
    add column letter text check (letter in ('open', 'retried', 'discarded'));
update guildhall.requests set queue_at = created_at - case priority
    when 'urgent' then interval '300 s' when 'high' then interval '60 s' else interval '0 s' end,
    letter = case when run_id is null and state in ('dead', 'timed_out') then 'open' end;
alter table guildhall.requests
    alter column queue_at set not null,
    add constraint requests_priority_check check (priority in ('low', 'normal', 'high', 'urgent')),
    add constraint requests_state_check check (state in (
        'queued', 'leased', 'succeeded', 'failed', 'rejected', 'timed_out', 'cancelled', 'dead')),
    add constraint requests_error check (
        state not in ('failed', 'rejected', 'timed_out', 'cancelled', 'dead') or error is not null),
    -- A step of a run that ended without a result is the run's business; what nobody else looks after is a dead letter.
    add constraint requests_letter check (
        (letter is not null) = (run_id is null and state in ('dead', 'timed_out'))),
    add constraint requests_waiter check ((mailbox is null) = (ticket is null)),
    add constraint requests_life check ((life = 1) = (retry_of is null));
create index requests_open on guildhall.requests (queue_at, id) where finished_at is null;
create index requests_busy on guildhall.requests (agent) where state = 'leased';
create index requests_waiting on guildhall.requests (skill, agent_wanted) where state = 'queued';
create index requests_letters on guildhall.requests (finished_at desc, id desc) where letter = 'open';
create unique index requests_retried_once on guildhall.requests (retry_of) where retry_of is not null;
create index requests_broadcast on guildhall.requests (broadcast_id, id) where broadcast_id is not null;
comment on column guildhall.requests.queue_at is
    'A virtual arrival: created_at less a boost for priority. Whoever waits long enough is overtaken by nobody.';
comment on column guildhall.requests.letter is
    'A dead letter that waits for somebody (open), was given a new life (retried) or was let go (discarded).';

create table guildhall.agent_slots (
    agent_id text primary key check (length(agent_id) between 1 and 200)
);
comment on table guildhall.agent_slots is
    'One row per agent, locked by whoever leases a request to it, so that its concurrency limit holds exactly.';

create table guildhall.broadcasts (
    id uuid primary key default gen_random_uuid(),
    requester text not null check (length(requester) between 1 and 200),
    skill text not null check (length(skill) between 1 and 200),
    scope text not null check (scope in ('all', 'skill')),
    excluded jsonb not null check (jsonb_typeof(excluded) = 'array'),
    targets integer not null check (targets >= 1),
    idempotency_key text check (length(idempotency_key) between 1 and 200),
    fingerprint text,
    created_at timestamptz not null,
    constraint broadcasts_idempotency unique (requester, idempotency_key),
    constraint broadcasts_fingerprint check ((idempotency_key is null) = (fingerprint is null))
);
comment on table guildhall.broadcasts is 'One question to many agents: a request for each that was live when it was asked.';
alter table guildhall.requests add constraint requests_of_broadcast
    foreign key (broadcast_id) references guildhall.broadcasts (id);

create table guildhall.callbacks (
    request_id uuid primary key references guildhall.requests (id),
    url text not null,
    event jsonb not null,
    state text not null check (state in ('pending', 'delivered', 'failed')),
    attempts integer not null default 0 check (attempts >= 0),
    epoch bigint not null default 0 check (epoch >= 0),
    lease_owner text,
    lease_expires_at timestamptz,
    next_wake_at timestamptz,
    last_error text,
    created_at timestamptz not null,
    finished_at timestamptz,
    constraint callbacks_wake check ((state = 'pending') = (next_wake_at is not null)),
    constraint callbacks_finished check ((state = 'pending') = (finished_at is null)),
    constraint callbacks_lease check ((lease_owner is null) = (lease_expires_at is null)),
    constraint callbacks_leased check (lease_owner is null or state = 'pending'),
    constraint callbacks_failed check (state <> 'failed' or last_error is not null)
) with (fillfactor = 70);
create index callbacks_due on guildhall.callbacks (next_wake_at) where state = 'pending';
comment on table guildhall.callbacks is 'Ends of requests that are to be told to a URL, until told or given up.';

-- ---- events -------------------------------------------------------------------------------------------------------

create table guildhall.events (
    at timestamptz not null,
    id bigint generated always as identity,
    position_xid xid8 not null,
    type text not null,
    subject text not null,
    event jsonb not null check (jsonb_typeof(event) = 'object'),
    primary key (at, id)
) partition by range (at);
create index events_position on guildhall.events (position_xid, id);
create index events_subject on guildhall.events (subject, position_xid desc, id desc);
comment on table guildhall.events is
    'Every state change as a CloudEvent, committed with the change. Rows are only ever added; old days are dropped whole.';
create table guildhall.events_other partition of guildhall.events default;
comment on table guildhall.events_other is 'Events of days that have no partition of their own yet.';

create table guildhall.relay (
    singleton boolean primary key default true check (singleton),
    lease_owner text,
    lease_expires_at timestamptz,
    position_xid xid8 not null,
    position_id bigint not null,
    constraint relay_lease check ((lease_owner is null) = (lease_expires_at is null))
) with (fillfactor = 50);
insert into guildhall.relay (position_xid, position_id) values ('0', 0);
comment on table guildhall.relay is 'The one cursor behind which events were published, and who moves it.';

-- What waited to be published still does, in its order.
insert into guildhall.events (at, position_xid, type, subject, event)
select o.created_at, pg_catalog.pg_current_xact_id(), o.event ->> 'type', o.event ->> 'subject', o.event
from guildhall.outbox o where o.published_at is null order by o.id;

drop function if exists guildhall.outbox_claim(text, bigint, bigint);
drop function if exists guildhall.outbox_published(jsonb, text);
drop function if exists guildhall.outbox_emit(text, text, jsonb, timestamptz);
drop function if exists guildhall.request_submit(jsonb, text, text, text);
drop function if exists guildhall.request_insert(jsonb, text, uuid, text, text, text, timestamptz);
drop function if exists guildhall.request_claim(text, bigint, bigint);
drop function if exists guildhall.request_complete(text, bigint, jsonb);
drop function if exists guildhall.request_fail(text, bigint, jsonb);
drop function if exists guildhall.event_accept(jsonb);
drop function if exists guildhall.ticker_tick(text, bigint);
drop table guildhall.outbox;
