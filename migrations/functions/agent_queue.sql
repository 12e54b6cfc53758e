-- What agents say of their own work, and what was recorded of checks.

create or replace function guildhall.agent_queue(p_agent text) returns setof jsonb
language plpgsql volatile set search_path = '' set jit = off as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_text('agent', p_agent, 200);
    return query
    with open_ones as materialized (
        select r.state, r.created_at
        from guildhall.agent_skills k
        join guildhall.requests r on r.skill = k.skill_id and r.state = 'queued'
            and (r.agent_wanted is null or r.agent_wanted = p_agent)
        where k.agent_id = p_agent
        union all
        select r.state, r.created_at from guildhall.requests r where r.agent = p_agent and r.state = 'leased'
    ), ended as materialized (
        -- Newest first along its index, and bounded, so that asking costs the same however much there is.
        select n.id, n.skill, n.state, n.error, n.finished_at
        from (
            select r.id, r.skill, r.state, r.error, r.finished_at, r.agent from guildhall.requests r
            where r.created_at > v_now - interval '1 hour'
            order by r.created_at desc, r.id desc
            limit 10000
        ) n
        where n.agent = p_agent and n.finished_at is not null
    )
    select jsonb_build_object(
        'agent', a.id,
        'status', guildhall.agent_status(l.reported, l.expires_at, l.probe_failures, v_now),
        'max_concurrency', a.max_concurrency, 'max_queue', a.max_queue,
        'queued', (select count(*) from open_ones o where o.state = 'queued'),
        'leased', (select count(*) from open_ones o where o.state = 'leased'),
        'oldest_open_age_s', coalesce((
            select round(extract(epoch from v_now - min(o.created_at))::numeric, 3) from open_ones o), 0),
        'ended_last_hour', coalesce((
            select jsonb_object_agg(e.state, e.count)
            from (select e.state, count(*) as count from ended e group by e.state) e), '{}'),
        'last_errors', coalesce((
            select jsonb_agg(jsonb_build_object('request_id', e.id, 'skill', e.skill, 'code', e.error ->> 'code',
                'detail', left(e.error ->> 'detail', 300), 'finished_at', e.finished_at)
                order by e.finished_at desc, e.id)
            from (
                select * from ended f where f.error is not null and f.state <> 'succeeded'
                order by f.finished_at desc, f.id limit 5
            ) e), '[]'))
    from guildhall.agents a
    join guildhall.agent_liveness l on l.agent_id = a.id
    where a.id = p_agent;
end;
$$;
comment on function guildhall.agent_queue(text) is
    'What waits for an agent, is at work and ended in the last hour (of the newest 10,000 requests), with the last errors; no row for an unknown agent.';

create or replace function guildhall.check_results(p_revision text) returns setof jsonb
language plpgsql stable set search_path = '' set jit = off as $$
begin
    perform guildhall.ensure_text('revision', p_revision, 64);
    return query
    select distinct on (c.value ->> 'check') jsonb_build_object(
        'check', c.value ->> 'check', 'status', c.value ->> 'status', 'exit_code', c.value -> 'exit_code',
        'request_id', r.id, 'finished_at', r.finished_at)
    from guildhall.requests r
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof(r.result -> 'checks') = 'array' then r.result -> 'checks' else '[]' end) c
    -- As the index has it; only what the fleet's own agent reported counts.
    where left(r.result ->> 'revision', 64) = p_revision
        and r.skill in ('run_checks', 'run_pipeline') and r.result is not null and r.agent = 'cicd'
        and c.value ->> 'revision' = p_revision
        and jsonb_typeof(c.value -> 'check') = 'string' and jsonb_typeof(c.value -> 'status') = 'string'
    order by c.value ->> 'check', r.finished_at desc, r.id;
end;
$$;
comment on function guildhall.check_results(text) is
    'The newest recorded outcome of each check on exactly this commit, as the agent cicd reported it.';
