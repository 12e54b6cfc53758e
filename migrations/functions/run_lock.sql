-- Locks that a run's engine takes for its tasks. They are held until the task ends, over crashes, waits and restarts, so
-- they are granted far ahead. Whoever waits is told in the run's inbox (lock_settle, lock_wait) and polls for nothing.

create or replace function guildhall.run_lock_holder(p_run_id uuid, p_seq bigint) returns text
language plpgsql immutable set search_path = '' as $$
begin
    return 'run/' || p_run_id || '/' || coalesce(p_seq::text, '');
end;
$$;
comment on function guildhall.run_lock_holder(uuid, bigint) is
    'Internal. As whom a run''s command holds locks; without a number, what all of them begin with.';

create or replace function guildhall.run_locks_take(p_run_id uuid, p_commands jsonb) returns void
language plpgsql volatile set search_path = '' as $$
declare
    v_roots text[];
begin
    -- All at once and in byte order, whatever the order of the commands.
    select array_agg(x.root) into v_roots from (
        select g.root::text as root from guildhall.lock_grants g where g.run_id = p_run_id
        union
        select guildhall.lock_root(n.resource) from guildhall.lock_waiters w cross join unnest(w.resources) n (resource)
        where w.run_id = p_run_id
        union
        select guildhall.lock_root(n.resource)
        from jsonb_array_elements(p_commands) c
        cross join lateral jsonb_array_elements_text(c.value -> 'locks') n (resource)
        where c.value ->> 'action' = 'acquire' and length(n.resource) between 1 and 300
    ) x
    where x.root <> '';
    if v_roots is not null then
        perform guildhall.lock_roots_take(v_roots);
    end if;
end;
$$;
comment on function guildhall.run_locks_take(uuid, jsonb) is
    'Internal. Locks the rows of the roots of all locks that a run has or waits for, or that its commands ask for.';

create or replace function guildhall.run_rows_take(p_run_id uuid, p_commands jsonb) returns void
language plpgsql volatile set search_path = '' as $$
declare
    v_actions text[] := array(select distinct e.value ->> 'action' from jsonb_array_elements(p_commands) e);
begin
    -- Before any approval: whoever uses one has its request first.
    if v_actions && array['complete', 'fault', 'cancelled'] then
        perform from guildhall.requests r
        where r.run_id = p_run_id and r.finished_at is null
        order by r.id for no key update;
    elsif 'cancel' = any (v_actions) then
        -- By number, so that a run's many requests that are over are not read each time.
        perform from guildhall.requests r
        where r.run_id = p_run_id and r.finished_at is null and r.seq = any (array(
            select (e.value ->> 'target')::bigint from jsonb_array_elements(p_commands) e
            where e.value ->> 'action' = 'cancel'))
        order by r.id for no key update;
    end if;
    if v_actions && array['acquire', 'release', 'cancel', 'complete', 'fault', 'cancelled'] then
        perform guildhall.run_locks_take(p_run_id, p_commands);
    end if;
end;
$$;
comment on function guildhall.run_rows_take(uuid, jsonb) is
    'Internal. Locks what commands may end, in the order that all keep, whatever the order of the commands.';

create or replace function guildhall.run_acquire(p_run guildhall.runs, p_command jsonb, p_now timestamptz) returns text
language plpgsql volatile set search_path = '' as $$
declare
    -- As long as anything may last; the end of the task, or of the run, is the end of it.
    v_ttl_s bigint := 315360000::bigint;
    v_holder text := guildhall.run_lock_holder((p_run).id, (p_command ->> 'seq')::bigint);
    v_reason text := left('held for ' || (p_command ->> 'step'), 2000);
    v_resources text[];
    v_modes text[];
    v_roots text[];
    v_wait record;
    v_fences jsonb;
begin
    select array_agg(distinct e.value::text collate "C"), array_agg(distinct guildhall.lock_root(e.value))
    into v_resources, v_roots
    from jsonb_array_elements_text(p_command -> 'locks') e;
    v_modes := array_fill('exclusive'::text, array[cardinality(v_resources)]);
    if exists (select from guildhall.lock_grants g where g.root = any (v_roots))
        or exists (select from guildhall.lock_wants w where w.root = any (v_roots))
    then
        perform guildhall.lock_settle(v_roots, p_now);
        if guildhall.lock_in_the_way(v_resources, v_modes, v_holder, (p_run).id, 1::smallint) is not null then
            select w.outcome, w.cycle into strict v_wait from guildhall.lock_wait(v_resources, v_modes, v_holder, (p_run).id,
                v_reason, 1::smallint, v_ttl_s, v_ttl_s, false, p_now, (p_command ->> 'seq')::bigint, p_command ->> 'step',
                coalesce(p_command -> 'fences', '[]')) w;
            if v_wait.outcome <> 'deadlock' then
                return 'none';
            end if;
            perform guildhall.run_tell((p_run).id, guildhall.run_deadlock(
                p_command ->> 'step', (p_command ->> 'seq')::bigint, v_resources, v_wait.cycle), p_now);
            return 'run';
        end if;
    end if;
    select jsonb_agg(jsonb_build_object('lock', r.resource, 'token', (guildhall.lock_give(r.resource, 'exclusive', v_holder,
        (p_run).id, v_reason, false, p_now, p_now + make_interval(secs => v_ttl_s), p_now)).fencing_token) order by r.place)
    into v_fences
    from unnest(v_resources) with ordinality r (resource, place);
    perform guildhall.run_tell((p_run).id, jsonb_build_object('event', 'granted', 'step', p_command -> 'step',
        'seq', p_command -> 'seq', 'fences', v_fences), p_now);
    return 'run';
end;
$$;
comment on function guildhall.run_acquire(guildhall.runs, jsonb, timestamptz) is
    'Internal. Takes locks for a task and tells its run, or queues for them; the caller holds the rows of their roots.';

create or replace function guildhall.run_deadlock(p_step text, p_seq bigint, p_resources text[], p_cycle jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
    return jsonb_build_object('event', 'failed', 'step', p_step, 'seq', p_seq, 'error', jsonb_build_object(
        'type', 'https://guildhall.dev/errors/deadlock', 'status', 409, 'title', 'Deadlock',
        'detail', format('waiting for %s would never end: %s', array_to_string(p_resources, ', '), (
            select string_agg(format('%s waits for %s, which %s holds', e.value ->> 'holder', e.value ->> 'waits_for',
                e.value ->> 'held_by'), '; ' order by e.ordinality)
            from jsonb_array_elements(p_cycle) with ordinality e))));
end;
$$;
comment on function guildhall.run_deadlock(text, bigint, text[], jsonb) is
    'Internal. What a run is told whose wait for locks gives way in a deadlock.';

create or replace function guildhall.run_granted(p_waiter guildhall.lock_waiters, p_tokens bigint[]) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
    return jsonb_build_object('event', 'granted', 'step', (p_waiter).run_step, 'seq', (p_waiter).run_seq, 'fences', (
        select jsonb_agg(jsonb_build_object('lock', r.resource, 'token', r.token) order by r.place)
        from unnest((p_waiter).resources, p_tokens) with ordinality r (resource, token, place)));
end;
$$;
comment on function guildhall.run_granted(guildhall.lock_waiters, bigint[]) is
    'Internal. What a run is told whose wait for locks is over.';

create or replace function guildhall.run_release(p_run_id uuid, p_seq bigint, p_now timestamptz) returns boolean
language plpgsql volatile set search_path = '' as $$
declare
    v_grant guildhall.lock_grants;
    v_waiter guildhall.lock_waiters;
    v_roots text[] := array[]::text[];
begin
    for v_grant in
        delete from guildhall.lock_grants g
        where g.run_id = p_run_id and case when p_seq is null then starts_with(g.holder, guildhall.run_lock_holder(p_run_id, null))
            else g.holder = guildhall.run_lock_holder(p_run_id, p_seq) end
        returning g.*
    loop
        perform guildhall.lock_end(v_grant, 'released', null, p_now);
        v_roots := v_roots || v_grant.root::text;
    end loop;
    for v_waiter in
        delete from guildhall.lock_waiters w
        where w.run_id = p_run_id and w.run_seq is not null and (p_seq is null or w.run_seq = p_seq)
        returning w.*
    loop
        if v_waiter.state in ('waiting', 'due') then
            perform guildhall.lock_give_up(v_waiter, 'timed_out', null, p_now);
        end if;
        v_roots := v_roots || (select array_agg(guildhall.lock_root(r.resource)) from unnest(v_waiter.resources) r (resource));
    end loop;
    if cardinality(v_roots) = 0
        or not exists (select from guildhall.lock_wants w where w.root = any (v_roots))
    then
        return false;
    end if;
    perform guildhall.lock_settle(v_roots, p_now);
    return true;
end;
$$;
comment on function guildhall.run_release(uuid, bigint, timestamptz) is
    'Internal. Ends the locks of one command of a run (null: of all), and waits for them; whether somebody else may have got some.';
