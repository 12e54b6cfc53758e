-- What people and programs look at: locks, the history of them, who waits for whom, where it is crowded.

create or replace function guildhall.lock_get(p_resource text) returns setof jsonb
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_root text := guildhall.lock_root(p_resource);
    v_holders jsonb;
    v_waiters jsonb;
    v_intentions jsonb;
begin
    select jsonb_agg(guildhall.lock_grant_json(g) order by g.fencing_token) into v_holders
    from guildhall.lock_grants g
    where g.root = v_root and g.resource = p_resource and g.expires_at > v_now;
    select jsonb_agg(jsonb_build_object('holder', w.holder, 'run_id', w.run_id, 'mode', x.mode,
        'priority', (array['low', 'normal', 'high', 'urgent'])[w.priority + 1], 'reason', w.reason,
        'requested_at', w.requested_at, 'deadline_at', w.deadline_at) order by w.priority desc, w.ticket) into v_waiters
    from guildhall.lock_wants x join guildhall.lock_waiters w on w.ticket = x.ticket
    where x.root = v_root and x.resource = p_resource;
    -- A lock below is an intention here.
    select jsonb_agg(jsonb_build_object('resource', g.resource, 'holder', g.holder,
        'mode', case g.mode when 'exclusive' then 'intention_exclusive' else 'intention_shared' end) order by g.resource)
    into v_intentions
    from (
        select x.* from guildhall.lock_grants x
        where x.root = v_root and x.resource >= p_resource || '/' and x.resource < p_resource || '0' and x.expires_at > v_now
        order by x.resource limit 100
    ) g;
    if coalesce(v_holders, v_waiters, v_intentions) is not null or exists (
        select from guildhall.locks l where l.resource = p_resource and l.grants > 0)
    then
        return next guildhall.lock_json(p_resource, v_now) || jsonb_build_object(
            'holders', coalesce(v_holders, '[]'), 'waiters', coalesce(v_waiters, '[]'),
            'intentions', coalesce(v_intentions, '[]'));
    end if;
end;
$$;
comment on function guildhall.lock_get(text) is
    'A lock with its holders, who waits, and what is held below; no row when nobody ever asked for the resource.';

create or replace function guildhall.lock_list(p_after text, p_limit bigint, p_state text default null) returns setof jsonb
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    if p_state not in ('held', 'waited_for') then
        raise exception using errcode = 'GH001', message = format(
            'state must be held or waited_for, not %L', left(p_state, 60));
    end if;
    return query
    select guildhall.lock_json(l.resource, v_now)
    from guildhall.locks l
    where (p_after is null or l.resource > p_after)
        and (l.grants > 0 or p_state = 'waited_for')
        and (p_state is distinct from 'held' or exists (
            select from guildhall.lock_grants g
            where g.root = split_part(l.resource, '/', 1) and g.resource = l.resource and g.expires_at > v_now))
        and (p_state is distinct from 'waited_for' or exists (
            select from guildhall.lock_wants w
            where w.root = split_part(l.resource, '/', 1) and w.resource = l.resource))
    order by l.resource
    limit p_limit;
end;
$$;
comment on function guildhall.lock_list(text, bigint, text) is
    'Locks by resource after p_after: all that were ever held, free ones too, or those held or waited for now.';

create or replace function guildhall.lock_history_list(p_resource text, p_before bigint, p_limit bigint) returns setof jsonb
language plpgsql stable set search_path = '' as $$
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    return query
    select jsonb_build_object('id', h.id, 'resource', h.resource, 'mode', h.mode, 'holder', h.holder,
        'run_id', h.run_id, 'reason', h.reason, 'fencing_token', h.fencing_token, 'requested_at', h.requested_at,
        'acquired_at', h.acquired_at, 'ended_at', h.ended_at, 'ended_how', h.ended_how, 'ended_by', h.ended_by,
        'wait_ms', (extract(epoch from coalesce(h.acquired_at, h.ended_at) - h.requested_at) * 1000)::bigint,
        'hold_ms', (extract(epoch from h.ended_at - h.acquired_at) * 1000)::bigint,
        'cycle', h.detail)
    from guildhall.lock_history h
    where (p_resource is null or h.resource = p_resource) and (p_before is null or h.id < p_before)
    order by h.id desc
    limit p_limit;
end;
$$;
comment on function guildhall.lock_history_list(text, bigint, bigint) is
    'Grants and vain waits that are over, newest first, of one resource or all, before the id p_before.';

create or replace function guildhall.lock_statistics(p_hours bigint) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_int('hours', p_hours, 1, 720);
    return (
        select jsonb_build_object(
            'hours', p_hours,
            'held', (select count(*) from guildhall.lock_grants g where g.expires_at > v_now),
            'waiting', (select count(*) from guildhall.lock_waiters w where w.state in ('waiting', 'due')),
            'grants_ended', count(h.fencing_token),
            'released', count(*) filter (where h.ended_how = 'released'),
            'expired', count(*) filter (where h.ended_how in ('expired', 'abandoned')),
            'reacquired', count(*) filter (where h.ended_how = 'reacquired'),
            'forced', count(*) filter (where h.ended_how = 'forced'),
            'timed_out', count(*) filter (where h.ended_how = 'timed_out'),
            'deadlocks', count(*) filter (where h.ended_how = 'deadlock'),
            'wait_ms_mean', coalesce(avg(x.wait_ms), 0)::bigint,
            'wait_ms_p95', coalesce(percentile_disc(0.95) within group (order by x.wait_ms), 0)::bigint,
            'wait_ms_max', coalesce(max(x.wait_ms), 0)::bigint,
            'hold_ms_mean', coalesce(avg(x.hold_ms), 0)::bigint,
            'hold_ms_p95', coalesce(percentile_disc(0.95) within group (order by x.hold_ms), 0)::bigint,
            'hold_ms_max', coalesce(max(x.hold_ms), 0)::bigint)
        from guildhall.lock_history h
        cross join lateral (
            select extract(epoch from coalesce(h.acquired_at, h.ended_at) - h.requested_at) * 1000 as wait_ms,
                extract(epoch from h.ended_at - h.acquired_at) * 1000 as hold_ms
        ) x
        where h.ended_at > v_now - make_interval(hours => p_hours::integer));
end;
$$;
comment on function guildhall.lock_statistics(bigint) is
    'How many are held and waited for now, and how grants and waits of the last hours ended and how long they took.';

create or replace function guildhall.lock_contention(p_limit bigint) returns setof jsonb
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    return query
    with waits as (
        select h.resource::text as resource, coalesce(h.acquired_at, h.ended_at) - h.requested_at as waited,
            h.ended_how in ('timed_out', 'deadlock') as vain, false as waiting
        from guildhall.lock_history h
        where h.ended_at > v_now - interval '1 hour'
            and (h.acquired_at is null or h.acquired_at > h.requested_at)
        union all
        select g.resource::text, g.acquired_at - g.requested_at, false, false
        from guildhall.lock_grants g
        where g.acquired_at > g.requested_at and g.acquired_at > v_now - interval '1 hour'
        union all
        select x.resource::text, v_now - w.requested_at, false, true
        from guildhall.lock_wants x join guildhall.lock_waiters w on w.ticket = x.ticket
    )
    select jsonb_build_object('resource', w.resource, 'waits', count(*),
        'in_vain', count(*) filter (where w.vain), 'waiting', count(*) filter (where w.waiting),
        'wait_ms_total', (extract(epoch from sum(w.waited)) * 1000)::bigint,
        'wait_ms_max', (extract(epoch from max(w.waited)) * 1000)::bigint)
    from waits w
    group by w.resource
    order by sum(w.waited) desc, w.resource
    limit p_limit;
end;
$$;
comment on function guildhall.lock_contention(bigint) is
    'What was waited for longest in the last hour, all waits taken together: those over and those that go on.';

create or replace function guildhall.lock_graph() returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    return jsonb_build_object(
        'edges', (
            select coalesce(jsonb_agg(e.edge), '[]') from (
                select jsonb_build_object('holder', w.holder, 'run_id', w.run_id, 'waits_for', r.resource, 'mode', r.mode,
                    'priority', (array['low', 'normal', 'high', 'urgent'])[w.priority + 1],
                    'since', w.requested_at, 'held', b.by_resource, 'held_by', b.by_holder,
                    'held_by_run_id', b.by_run_id, 'queue', b.by_ticket is not null) as edge
                from guildhall.lock_waiters w
                cross join lateral unnest(w.resources, w.modes) r (resource, mode)
                cross join lateral guildhall.lock_blockers(
                    r.resource, r.mode, w.holder, w.run_id, w.priority, w.ticket, null) b
                where w.state in ('waiting', 'due')
                order by w.ticket, r.resource, b.by_ticket nulls first
                limit 1000
            ) e),
        'deadlocks', (
            select coalesce(jsonb_agg(d.deadlock), '[]') from (
                select jsonb_build_object('at', h.ended_at, 'victim', h.holder, 'victim_run_id', h.run_id,
                    'resource', h.resource, 'cycle', h.detail) as deadlock
                from guildhall.lock_history h
                where h.ended_at > v_now - interval '1 hour' and h.ended_how = 'deadlock'
                order by h.id desc
                limit 100
            ) d));
end;
$$;
comment on function guildhall.lock_graph() is
    'Who waits for whom and for what, up to 1,000 edges, and the deadlocks that were resolved in the last hour.';
