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

create function test.document(p_name text default 'deliver', p_version text default '1.0.0') returns jsonb
language sql as $$
    select jsonb_build_object('document', jsonb_build_object('dsl', '1.0.3', 'namespace', 'tests', 'name', p_name,
        'version', p_version), 'do', jsonb_build_array());
$$;

-- A run of a document, as run_start takes it.
create function test.new_run(p_title text default 'a run', p_name text default 'deliver') returns jsonb
language sql as $$
    select jsonb_build_object('definition', test.document(p_name), 'digest', repeat('d', 64), 'title', p_title, 'input', '{}'::jsonb);
$$;

-- A workflow that children are runs of.
create function test.workflow(p_name text default 'child', p_version text default '1.0.0') returns void
language sql as $$
    select guildhall.workflow_put(test.document(p_name, p_version), 'source', repeat('e', 64), 'ada');
$$;

-- Starts a run of `ada`, the next one to be claimed, and gives its id.
create function test.run(p_title text default 'a run') returns text
language plpgsql as $$
declare
    v_id text;
begin
    select r.run ->> 'id' into v_id
    from guildhall.run_start(test.new_run(p_title), 'ada', null, null, null, null, null) r;
    perform test.first(v_id::uuid);
    return v_id;
end;
$$;

-- Claims the run that has waited longest and applies commands to it; gives the outcome.
create function test.advance(p_commands jsonb, p_state jsonb default '{"status": "running"}') returns text
language plpgsql as $$
declare
    v_claim record;
begin
    select * into v_claim from guildhall.run_claim('worker', 30, '[]');
    return (select a.outcome from guildhall.run_advance(
        v_claim.run_id::text, v_claim.epoch, v_claim.journal_position, p_state, p_commands, '[]') a);
end;
$$;

-- The engine numbers the commands of each run; here all have numbers of one sequence.
create sequence test.command_seq;
create function test.command(p_action text, p_step text, p_more jsonb default '{}') returns jsonb
language sql as $$
    select jsonb_build_object('step', p_step, 'seq', nextval('test.command_seq'), 'attempt', 1, 'key', 'RUN' || p_step,
        'action', p_action) || p_more;
$$;

create function test.request_command(p_step text, p_skill text default 'review_change', p_max_attempts int default 3)
returns jsonb
language sql as $$
    select test.command('agent', p_step, jsonb_build_object('skill', p_skill, 'agent', null,
        'input', jsonb_build_object('for', p_step), 'timeout_ms', 600000, 'priority', null, 'attempts', p_max_attempts));
$$;

create function test.approval_command(p_step text, p_expires_s int default 3600) returns jsonb
language sql as $$
    select test.command('approval', p_step, jsonb_build_object('proposal', '{"deploy": "v1", "to": "production"}'::jsonb,
        'summary', null, 'risk', '{"tier": "high", "score": 80}'::jsonb, 'expires_ms', p_expires_s * 1000));
$$;

create function test.end_command(p_status text default 'complete') returns jsonb
language sql as $$
    select test.command(p_status, '', case p_status when 'complete' then '{"output": {}}'::jsonb
        when 'fault' then '{"error": {"type": "https://x.example.com/errors/too-bad", "status": 500}}' else '{}' end);
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

-- A run's journal in short: what kind each entry is, events as what the engine is told.
create function test.journal_kinds(p_run_id uuid) returns text
language sql as $$
    select string_agg(coalesce(j.data ->> 'event', j.kind), ' ' order by j.position) from guildhall.journal j where j.run_id = p_run_id;
$$;

-- What is in a run's inbox, in short.
create function test.inbox(p_run_id uuid) returns text
language sql as $$
    select string_agg(i.input ->> 'event', ' ' order by i.id) from guildhall.run_inbox i where i.run_id = p_run_id;
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
    select 'open call in ended run ' || r.id from guildhall.runs r
    join guildhall.run_calls c on c.run_id = r.id and c.finished_at is null
    where r.finished_at is not null
    union all
    select 'ended run still waits: ' || r.id from guildhall.runs r
    where r.finished_at is not null and (
        exists (select from guildhall.run_timers t where t.run_id = r.id)
        or exists (select from guildhall.run_subscriptions s where s.run_id = r.id)
        or exists (select from guildhall.lock_waiters w where w.run_id = r.id and w.run_seq is not null)
        or exists (select from guildhall.lock_grants g where starts_with(g.holder, 'run/' || r.id || '/')))
    union all
    select 'a timer would be late for ' || r.id from guildhall.runs r
    join guildhall.run_timers t on t.run_id = r.id
    where r.status = 'waiting' and r.next_wake_at > t.due_at
    union all
    select 'run ' || x.run_id || ' was not told of, or told twice of, the end of ' || x.seq from (
        select q.run_id, q.seq from guildhall.requests q where q.finished_at is not null and q.state <> 'cancelled' and q.seq is not null
        union all
        select a.run_id, a.seq from guildhall.approvals a where a.state in ('approved', 'rejected', 'expired') and a.seq is not null
        union all
        select c.run_id, c.seq from guildhall.run_calls c where c.state in ('succeeded', 'failed')
        union all
        select c.parent_run_id, c.parent_seq from guildhall.runs c where c.finished_at is not null and c.parent_seq is not null
    ) x join guildhall.runs r on r.id = x.run_id
    where r.finished_at is null and 1 <> (
        select count(*) from (
            select j.data as input from guildhall.journal j where j.run_id = x.run_id and j.kind = 'event'
            union all
            select i.input from guildhall.run_inbox i where i.run_id = x.run_id
        ) t
        where (t.input ->> 'seq')::bigint = x.seq and t.input ->> 'event' in ('completed', 'failed'))
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
