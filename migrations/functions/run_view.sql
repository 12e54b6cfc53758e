-- Runs as people look at them.

create or replace function guildhall.run_definition(p_run guildhall.runs) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    if (p_run).definition is not null then
        return (p_run).definition;
    end if;
    return (
        select w.definition from guildhall.workflows w
        where w.namespace = (p_run).workflow_namespace and w.name = (p_run).workflow_name
            and w.version = (p_run).workflow_version);
end;
$$;
comment on function guildhall.run_definition(guildhall.runs) is
    'Internal. The document that a run executes: its own, or that of its workflow.';

create or replace function guildhall.run_json(p_run guildhall.runs) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object(
        'id', (p_run).id, 'name', (p_run).name,
        'status', case when (p_run).suspended then 'suspended' else (p_run).status end,
        'requester', (p_run).requester, 'title', (p_run).title,
        'workflow', case when (p_run).workflow_name is not null then jsonb_build_object('namespace', (p_run).workflow_namespace,
            'name', (p_run).workflow_name, 'version', (p_run).workflow_version) end,
        'digest', (p_run).digest, 'definition', guildhall.run_definition(p_run), 'input', (p_run).input,
        'output', (p_run).output, 'error', (p_run).error, 'journal_position', (p_run).journal_position,
        'parent_run_id', (p_run).parent_run_id, 'created_at', (p_run).created_at,
        'finished_at', (p_run).finished_at, 'steps', '[]'::jsonb
    );
end;
$$;
comment on function guildhall.run_json(guildhall.runs) is
    'Internal. A run in the shape of the domain type Run, without its timeline.';

create or replace function guildhall.run_step_name(p_step text) returns text
language plpgsql immutable set search_path = '' as $$
begin
    return replace(replace(regexp_replace(p_step, '^.*/', ''), '~1', '/'), '~0', '~');
end;
$$;
comment on function guildhall.run_step_name(text) is 'Internal. The name of a step''s task: the last part of its pointer.';

create or replace function guildhall.run_steps(p_run_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    with asked as (
        select r.seq, r.step, 'agent' as kind, case r.state
                when 'queued' then 'waiting' when 'leased' then 'running'
                when 'succeeded' then 'completed' else 'faulted' end as status,
            coalesce(r.agent, r.agent_wanted) as agent, r.skill, r.attempt as attempts, r.created_at as started_at,
            r.finished_at, r.result, r.error, null::uuid as child
        from guildhall.requests r where r.run_id = p_run_id
        union all
        select a.seq, a.step, 'approval', case a.state
                when 'pending' then 'waiting' when 'approved' then 'completed' else 'faulted' end,
            null, 'approval', 1, a.created_at,
            -- Approvals that ended before there was a column for when have their run's end.
            coalesce(a.ended_at, a.decided_at, case when a.state <> 'pending' then (
                select x.finished_at from guildhall.runs x where x.id = a.run_id) end),
            case when a.state = 'approved' then jsonb_build_object('approval_id', a.id, 'decision', 'approved',
                'decided_by', a.decided_by, 'reason', a.reason, 'action_hash', a.action_hash,
                'summary', 'approved by ' || a.decided_by) end,
            guildhall.approval_error(a), null
        from guildhall.approvals a where a.run_id = p_run_id
        union all
        select c.seq, c.step, c.action ->> 'action', case c.state
                when 'queued' then 'waiting' when 'leased' then 'running'
                when 'succeeded' then 'completed' else 'faulted' end,
            null, c.action ->> 'action', c.epoch::integer, c.created_at, c.finished_at, c.output,
            case when c.state = 'cancelled' then jsonb_build_object('code', 'cancelled', 'retryable', false,
                'detail', 'the run ended or went on without the call') else c.error end, null
        from guildhall.run_calls c where c.run_id = p_run_id
        union all
        select r.parent_seq, r.parent_step, 'workflow', case when r.finished_at is null then 'running'
                when r.status = 'completed' then 'completed' else 'faulted' end,
            null, 'workflow', 1, r.created_at, r.finished_at, r.output,
            case when r.status = 'cancelled' then jsonb_build_object('code', 'cancelled', 'retryable', false,
                'detail', 'the run was cancelled') else r.error end, r.id
        from guildhall.runs r where r.parent_run_id = p_run_id
        union all
        select w.run_seq, w.run_step, 'lock', 'waiting', null, 'lock', 1, w.requested_at, null, null, null, null
        from guildhall.lock_waiters w where w.run_id = p_run_id and w.run_seq is not null and w.state in ('waiting', 'due')
        union all
        select distinct s.seq, s.step, 'listen', 'waiting', null, 'listen', 1, s.at, null::timestamptz, null::jsonb,
            null::jsonb, null::uuid
        from guildhall.run_subscriptions s where s.run_id = p_run_id
    ), steps as (
        select * from asked
        union all
        -- A timer by which nothing else waits is a wait, or the pause before an attempt; the others are timeouts.
        select t.seq, t.step, 'wait', 'waiting', null, 'wait', 1, t.at, null, null, null, null
        from guildhall.run_timers t
        where t.run_id = p_run_id and t.step <> '' and not exists (
            select from (
                select a.step, a.seq from asked a where a.finished_at is null
                union all
                select x.step, x.seq from guildhall.run_timers x where x.run_id = p_run_id and x.seq > t.seq
            ) o
            where o.step = t.step or starts_with(o.step, t.step || '/'))
    ), newest as (
        select * from steps s order by s.started_at desc, s.seq desc nulls last, s.step desc limit 1000
    )
    select coalesce(jsonb_agg(jsonb_build_object('step', n.step, 'name', guildhall.run_step_name(n.step), 'kind', n.kind,
        'status', n.status, 'agent', n.agent, 'skill', n.skill, 'attempts', n.attempts, 'started_at', n.started_at,
        'finished_at', n.finished_at, 'result', n.result, 'error', n.error, 'child_run_id', n.child)
        order by n.started_at, n.seq nulls first, n.step), '[]')
    from newest n;
$$;
comment on function guildhall.run_steps(uuid) is
    'Internal. The last 1,000 steps of a run, an array in the shape of the domain type StepView, in the order in which they began.';

create or replace function guildhall.run_get(p_run_id text) returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
begin
    return query
    select guildhall.run_json(r) || jsonb_build_object('steps', guildhall.run_steps(v_id))
    from guildhall.runs r where r.id = v_id;
end;
$$;
comment on function guildhall.run_get(text) is 'The run with its timeline, or no row.';

create or replace function guildhall.run_list(p_status text, p_after text, p_limit bigint) returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_after uuid := case when p_after is not null then guildhall.ensure_uuid('after', p_after) end;
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    return query
    select guildhall.run_json(r)
    from guildhall.runs r
    where (p_status is null or case when r.suspended then 'suspended' else r.status end = p_status)
        and (v_after is null or (r.created_at, r.id) < (
            select a.created_at, a.id from guildhall.runs a where a.id = v_after))
    order by r.created_at desc, r.id desc
    limit p_limit;
end;
$$;
comment on function guildhall.run_list(text, text, bigint) is
    'Runs without timelines, newest first, optionally of a status, after the run p_after.';

create or replace function guildhall.run_journal(p_run_id text, p_after_position bigint, p_limit bigint)
returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    return query
    select guildhall.journal_entry_json(j)
    from guildhall.journal j
    where j.run_id = v_id and j.position > p_after_position
    order by j.position
    limit p_limit;
end;
$$;
comment on function guildhall.run_journal(text, bigint, bigint) is
    'The entries of a run''s journal behind a position, in order.';
