-- Locks with modes, names in a tree, waiters and hand-over: a resource keeps only its token counter, a grant and a
-- waiter have rows of their own. Names are compared byte by byte (collation "C"), so that what lies below a name is one
-- range of an index.

drop trigger if exists lock_guard on guildhall.locks;
drop function if exists guildhall.lock_json(guildhall.locks, timestamptz);
drop function if exists guildhall.lock_end(guildhall.locks, text, timestamptz);
drop function if exists guildhall.lock_acquire(text, text, text, bigint, text);
drop function if exists guildhall.lock_renew(text, text, bigint, bigint);
drop function if exists guildhall.lock_release(text, text, bigint);
drop function if exists guildhall.lock_list(text, bigint);

create table guildhall.lock_floor (
    singleton boolean primary key default true check (singleton),
    fencing_token bigint not null default 0 check (fencing_token >= 0)
);
insert into guildhall.lock_floor default values;
comment on table guildhall.lock_floor is
    'Where the tokens of a resource that was never locked begin: above all that were granted before a restore.';

create table guildhall.lock_grants (
    root text collate "C" not null,
    resource text collate "C" not null check (length(resource) between 1 and 300),
    fencing_token bigint not null check (fencing_token >= 1),
    mode text not null check (mode in ('exclusive', 'shared')),
    holder text not null,
    run_id uuid references guildhall.runs (id),
    reason text not null,
    depth integer not null default 1 check (depth >= 1),
    announced boolean not null default false,
    requested_at timestamptz not null,
    acquired_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (root, resource, fencing_token),
    constraint lock_grants_root check (root = split_part(resource, '/', 1)),
    constraint lock_grants_waited check (requested_at <= acquired_at)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
create index lock_grants_holder on guildhall.lock_grants (holder);
create index lock_grants_run on guildhall.lock_grants (run_id) where run_id is not null;
comment on table guildhall.lock_grants is
    'Who holds what; the row goes when the grant ends. Nobody but its holder may go by a grant whose time is up.';

create table guildhall.lock_waiters (
    ticket bigint generated always as identity primary key,
    holder text not null,
    run_id uuid references guildhall.runs (id),
    reason text not null,
    priority smallint not null check (priority between 0 and 3),
    born_at timestamptz not null,
    ttl_s bigint not null check (ttl_s between 1 and 86400),
    announced boolean not null default false,
    resources text[] collate "C" not null check (cardinality(resources) between 1 and 32),
    modes text[] not null,
    requested_at timestamptz not null,
    deadline_at timestamptz not null,
    next_wake_at timestamptz not null,
    state text not null default 'waiting' check (state in ('waiting', 'due', 'granted', 'deadlock')),
    fencing_tokens bigint[],
    granted_at timestamptz,
    cycle jsonb,
    constraint lock_waiters_modes check (cardinality(modes) = cardinality(resources)),
    constraint lock_waiters_granted check (
        (state = 'granted') = (fencing_tokens is not null) and (state = 'granted') = (granted_at is not null)),
    constraint lock_waiters_cycle check ((state = 'deadlock') = (cycle is not null)),
    constraint lock_waiters_patience check (deadline_at > requested_at)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
create index lock_waiters_holder on guildhall.lock_waiters (holder);
create index lock_waiters_run on guildhall.lock_waiters (run_id) where run_id is not null;
comment on table guildhall.lock_waiters is
    'Who waits, and how it ended until whoever waited has taken notice. `due` asks the waiter to try for itself.';

create table guildhall.lock_wants (
    root text collate "C" not null,
    resource text collate "C" not null,
    ticket bigint not null references guildhall.lock_waiters (ticket) on delete cascade,
    mode text not null check (mode in ('exclusive', 'shared')),
    priority smallint not null,
    holder text not null,
    run_id uuid,
    primary key (root, resource, ticket),
    constraint lock_wants_root check (root = split_part(resource, '/', 1))
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
create index lock_wants_ticket on guildhall.lock_wants (ticket);
comment on table guildhall.lock_wants is 'The queue: what each waiter that still waits wants, by resource.';

-- Whoever held a lock before goes on holding it.
insert into guildhall.lock_grants (
    root, resource, fencing_token, mode, holder, run_id, reason, requested_at, acquired_at, expires_at
)
select split_part(l.resource, '/', 1), l.resource, l.fencing_token, 'exclusive', l.holder, l.run_id, l.reason,
    l.acquired_at, l.acquired_at, l.expires_at
from guildhall.locks l where l.holder is not null;

-- The first segment of a name is the row that whoever decides about the tree locks.
insert into guildhall.locks (resource)
select distinct split_part(l.resource, '/', 1) from guildhall.locks l
on conflict (resource) do nothing;

alter table guildhall.locks
    drop constraint locks_held,
    drop constraint locks_run,
    drop constraint locks_granted,
    drop column holder,
    drop column run_id,
    drop column reason,
    drop column acquired_at,
    drop column expires_at,
    add column grants bigint not null default 0 check (grants >= 0);
update guildhall.locks set grants = fencing_token;
comment on table guildhall.locks is
    'Named resources with the last fencing token of each and how often it was granted; rows stay for ever, so that tokens rise.';

alter table guildhall.lock_history
    drop constraint lock_history_resource_fkey,
    drop constraint lock_history_ended_how_check,
    alter column fencing_token drop not null,
    alter column acquired_at drop not null,
    add column mode text not null default 'exclusive' check (mode in ('exclusive', 'shared')),
    add column priority smallint,
    add column requested_at timestamptz,
    add column ended_by text,
    add column detail jsonb;
alter table guildhall.lock_history disable trigger user;
update guildhall.lock_history set requested_at = acquired_at;
alter table guildhall.lock_history enable trigger user;
alter table guildhall.lock_history
    alter column requested_at set not null,
    alter column mode drop default,
    add constraint lock_history_how check (
        ended_how in ('released', 'expired', 'reacquired', 'forced', 'abandoned', 'timed_out', 'deadlock')),
    add constraint lock_history_granted check (
        (fencing_token is null) = (acquired_at is null)
        and (fencing_token is null) = (ended_how in ('timed_out', 'deadlock'))),
    add constraint lock_history_forced check ((ended_how = 'forced') = (ended_by is not null)),
    add constraint lock_history_deadlock check ((ended_how = 'deadlock') = (detail is not null));
create index lock_history_ended on guildhall.lock_history using brin (ended_at) with (autosummarize = on);
comment on table guildhall.lock_history is
    'Every grant that has ended and every wait that was in vain, with when it was asked for, begun and over.';
