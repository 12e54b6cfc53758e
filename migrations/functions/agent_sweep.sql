-- What time alone does to agents, and what probing them does.

create or replace function guildhall.agent_sweep(p_limit bigint) returns integer
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_over text;
    v_live guildhall.agent_liveness;
    v_status text;
    v_count integer := 0;
begin
    for v_over in
        select l.agent_id from guildhall.agent_liveness l
        -- Of ten thousand that are well, each costs one look at its lease.
        where (l.expires_at <= v_now or l.probe_failures >= 2 or l.known = 'suspect')
            and (l.known = 'live'
                or (l.known = 'suspect' and (l.expires_at + interval '3 s' <= v_now or l.probe_failures >= 4
                    or (l.expires_at > v_now and l.probe_failures < 2))))
        order by l.agent_id
        limit p_limit
    loop
        -- Who holds the row now is hearing of the agent; the next sweep sees what became of it.
        select l.* into v_live from guildhall.agent_liveness l
        where l.agent_id = v_over for no key update skip locked;
        continue when not found;
        v_status := guildhall.agent_status(v_live.reported, v_live.expires_at, v_live.probe_failures, v_now);
        if v_status not in ('suspect', 'offline') then
            v_status := 'live';
        end if;
        continue when v_status = v_live.known;
        update guildhall.agent_liveness l set known = v_status where l.agent_id = v_over;
        if v_status = 'live' then
            perform guildhall.agent_emit('online', v_over, jsonb_build_object('status', v_live.reported), v_now);
        else
            perform guildhall.agent_emit(v_status, v_over, jsonb_build_object(
                'heartbeat_at', v_live.heartbeat_at, 'expires_at', v_live.expires_at,
                'probe_failures', v_live.probe_failures, 'probe_detail', v_live.probe_detail), v_now);
        end if;
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$;
comment on function guildhall.agent_sweep(bigint) is
    'Internal. Tells of up to p_limit agents that became suspect or offline; routing does not wait for it.';

create or replace function guildhall.agent_score() returns integer
language plpgsql volatile set search_path = '' as $$
declare
    v_count integer;
begin
    with ended as (
        select r.agent, r.state from guildhall.requests r
        order by r.created_at desc, r.id desc
        limit 2000
    ), scored as (
        -- Four good ones are taken for granted, so that one failure does not condemn a newcomer.
        select e.agent, (4 + count(*) filter (where e.state = 'succeeded'))::real / (5 + count(*)) as success
        from ended e
        where e.agent is not null and e.state in ('succeeded', 'failed', 'dead', 'timed_out')
        group by e.agent
    ), changed as (
        select l.agent_id, s.success from guildhall.agent_liveness l
        join scored s on s.agent = l.agent_id
        where abs(l.success - s.success) > 0.001
        order by l.agent_id
        for no key update of l skip locked
    )
    update guildhall.agent_liveness l set success = c.success from changed c where l.agent_id = c.agent_id;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
comment on function guildhall.agent_score() is
    'Internal. Notes the share of good ends among each agent''s part in the newest 2,000 requests.';

create or replace function guildhall.agent_probe_claim(p_limit bigint)
returns table (agent_id text, url text, epoch bigint)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 100);
    return query
    with due as (
        select l.agent_id from guildhall.agent_liveness l
        where l.probe_at <= v_now
        order by l.probe_at, l.agent_id
        limit p_limit
        for no key update skip locked
    ), claimed as (
        update guildhall.agent_liveness l
        -- Who dies over a probe leaves it to be asked again in half a minute.
        set probe_at = v_now + interval '30 s', probe_epoch = l.probe_epoch + 1
        from due where l.agent_id = due.agent_id
        returning l.agent_id, l.probe_epoch
    )
    select c.agent_id, a.probe_url, c.probe_epoch
    from claimed c join guildhall.agents a on a.id = c.agent_id
    where a.probe_url is not null;
end;
$$;
comment on function guildhall.agent_probe_claim(bigint) is 'Agents whose probe is due, each under a new epoch.';

create or replace function guildhall.agent_probe_record(p_id text, p_epoch bigint, p_ok boolean, p_detail text)
returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_live guildhall.agent_liveness;
    v_liveness text;
    v_now timestamptz;
begin
    perform guildhall.ensure_text('detail', p_detail, 500);
    select l.* into v_live from guildhall.agent_liveness l where l.agent_id = p_id for no key update;
    v_now := guildhall.clock();
    if v_live.agent_id is null or v_live.probe_epoch <> p_epoch then
        return 'stale';
    end if;
    select a.liveness into v_liveness from guildhall.agents a where a.id = p_id;
    update guildhall.agent_liveness l
    set probe_failures = case when p_ok then 0 else l.probe_failures + 1 end,
        probe_detail = p_detail,
        -- A good one is repeated every half minute; a bad one after 2, 4, 8 … 300 s; both spread by a fifth.
        probe_at = v_now + make_interval(secs => (0.9 + random() / 5)
            * case when p_ok then 30 else least(300, 2 ^ least(l.probe_failures + 1, 10)) end)
    where l.agent_id = p_id;
    if p_ok and v_liveness = 'probe' then
        perform guildhall.agent_beat(p_id, null, null, null, v_now);
    end if;
    return 'recorded';
end;
$$;
comment on function guildhall.agent_probe_record(text, bigint, boolean, text) is
    'Notes how a probe ended. A good one prolongs the lease of an agent that chose to live by probes, of no other.';
