-- What every test database gets on top of the schema: pgTAP, a clock that stands still until a test moves it, and
-- helpers that make the usual things. Each test file runs in a copy of its own, by psql.
--
-- The description of every assertion begins with the function it is about and a colon; a test holds the functions so
-- named against the functions that exist.

create extension pgtap schema public;
create schema test;

create table test.time (now timestamptz not null);
insert into test.time values ('2030-01-01 12:00:00+00');

create or replace function guildhall.clock() returns timestamptz
language sql volatile set search_path = '' as $$ select t.now from test.time t $$;

-- Other tests write on the same server, and would hold back what this one may read.
create or replace function guildhall.event_horizon() returns xid8
language sql stable set search_path = '' as $$ select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) $$;

create function test.pass_time(p_time interval) returns void
language sql as $$ update test.time set now = now + p_time $$;

-- Registers an agent that stays live for a day.
create function test.agent(p_id text, variadic p_skills text[]) returns void
language sql as $$
    select guildhall.agent_register(jsonb_build_object('name', p_id, 'skills', (
        select jsonb_agg(jsonb_build_object('id', s)) from unnest(p_skills) s)), 86400);
$$;

-- Makes a waiting run the next one to be claimed.
create function test.first(p_run_id uuid) returns void
language sql as $$ update guildhall.runs set next_wake_at = '2000-01-01' where id = p_run_id $$;

-- Starts a run of `ada`, the next one to be claimed, and gives its id.
create function test.run(p_title text default 'a run') returns text
language plpgsql as $$
declare
    v_id text;
begin
    select r.run ->> 'id' into v_id
    from guildhall.run_start('{"name": "deliver", "do": []}', p_title, 'ada', null, null, null, null, null) r;
    perform test.first(v_id::uuid);
    return v_id;
end;
$$;

-- Claims the run that is due longest and applies commands to it; gives the outcome.
create function test.advance(p_commands jsonb) returns text
language plpgsql as $$
declare
    v_claim record;
begin
    select * into v_claim from guildhall.run_claim('worker', 30);
    return (select a.outcome from guildhall.run_advance(
        v_claim.run_id::text, v_claim.epoch, v_claim.journal_position, p_commands) a);
end;
$$;

create function test.request_command(p_step text, p_skill text default 'review_change', p_max_attempts int default 3)
returns jsonb
language sql as $$
    select jsonb_build_object('command', 'request', 'step', p_step, 'skill', p_skill, 'agent', null,
        'input', jsonb_build_object('for', p_step), 'timeout_s', 600, 'max_attempts', p_max_attempts);
$$;

create function test.approval_command(p_step text) returns jsonb
language sql as $$
    select jsonb_build_object('command', 'approval', 'step', p_step, 'action', '{"deploy": "v1", "to": "production"}'::jsonb,
        'risk', '{"tier": "high", "score": 80}'::jsonb, 'expires_s', 3600);
$$;

-- A run that waits for one request; gives the request's id.
create function test.requested(p_step text default '/do/0/review', p_max_attempts int default 3) returns text
language plpgsql as $$
begin
    perform test.agent('code-review', 'review_change');
    perform test.run();
    perform test.advance(jsonb_build_array(test.request_command(p_step, 'review_change', p_max_attempts)));
    return (select r.id::text from guildhall.requests r where r.step = p_step order by r.created_at desc, r.id limit 1);
end;
$$;

-- A run that waits for one approval; gives the approval's id.
create function test.asked() returns text
language plpgsql as $$
begin
    perform test.run();
    perform test.advance(jsonb_build_array(test.approval_command('/do/0/approve')));
    return (select a.id::text from guildhall.approvals a where a.state = 'pending');
end;
$$;

-- Claims every due request; the first one's epoch.
create function test.claim_requests() returns bigint
language sql as $$
    select (c.request ->> 'epoch')::bigint from guildhall.request_claim('dispatcher', 100, 30) c limit 1;
$$;

create function test.journal_kinds(p_run_id uuid) returns text
language sql as $$
    select string_agg(j.kind, ' ' order by j.position) from guildhall.journal j where j.run_id = p_run_id;
$$;

-- What must hold of all rows at any time, as a list of what does not.
create function test.broken_invariants() returns setof text
language sql as $$
    select 'gap in journal of ' || r.id from guildhall.runs r
    where r.journal_position <> (select count(*) from guildhall.journal j where j.run_id = r.id)
        or r.journal_position <> (select coalesce(max(j.position), 0) from guildhall.journal j where j.run_id = r.id)
    union all
    select 'open request in ended run ' || r.id from guildhall.runs r
    join guildhall.requests q on q.run_id = r.id and q.finished_at is null
    where r.finished_at is not null
    union all
    select 'pending approval in ended run ' || r.id from guildhall.runs r
    join guildhall.approvals a on a.run_id = r.id and a.state = 'pending'
    where r.finished_at is not null
    union all
    select 'waiting run without anything to wake it in time: ' || r.id from guildhall.runs r
    where r.finished_at is null and r.next_wake_at is null
    union all
    select 'ended step without its journal entry: ' || q.id from guildhall.requests q
    join guildhall.runs r on r.id = q.run_id
    where q.finished_at is not null and r.finished_at is null and not exists (
        select from guildhall.journal j
        where j.run_id = q.run_id and j.step = q.step and j.kind in ('step_completed', 'step_failed'))
    union all
    select 'token of ' || l.resource || ' is not above its history' from guildhall.locks l
    where l.fencing_token < (select max(h.fencing_token) from guildhall.lock_history h where h.resource = l.resource)
    union all
    select 'overlapping grants of ' || a.resource from guildhall.lock_history a
    join guildhall.lock_history b on b.resource = a.resource and b.fencing_token > a.fencing_token
    where b.acquired_at < a.ended_at and (a.mode = 'exclusive' or b.mode = 'exclusive') and a.holder <> b.holder
    union all
    select 'conflicting grants ' || a.resource || ' and ' || b.resource from guildhall.lock_grants a
    join guildhall.lock_grants b on b.root = a.root and (b.resource, b.fencing_token) > (a.resource, a.fencing_token)
    where a.expires_at > guildhall.clock() and b.expires_at > guildhall.clock()
        and (a.holder <> b.holder or a.run_id is distinct from b.run_id)
        and guildhall.lock_conflicts(a.resource, a.mode, b.resource, b.mode)
    union all
    select 'waiter ' || w.ticket || ' is not in the queue as it should be' from guildhall.lock_waiters w
    where (w.state in ('waiting', 'due')) <> exists (select from guildhall.lock_wants x where x.ticket = w.ticket)
    union all
    select 'ended run without its last entry: ' || r.id from guildhall.runs r
    where r.finished_at is not null and not exists (
        select from guildhall.journal j
        where j.run_id = r.id and j.position = r.journal_position and j.kind = 'run_' || r.status);
$$;
