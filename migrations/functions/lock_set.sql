-- Several locks in one call: all or nothing, whatever the order they are named in.

create or replace function guildhall.lock_acquire_all(
    p_locks jsonb, p_holder text, p_run_id text, p_ttl_s bigint, p_reason text,
    p_wait_s bigint, p_priority text, p_announced boolean
) returns table (outcome text, locks jsonb, ticket bigint, blockers jsonb, cycle jsonb, bells jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_run_id uuid := case when p_run_id is not null then guildhall.lock_ensure_run(p_run_id) end;
    v_priority smallint := guildhall.lock_priority(p_priority);
    v_resources text[];
    v_modes text[];
    v_roots text[];
    v_blockers jsonb;
    v_now timestamptz;
    v_bells jsonb := jsonb_build_array();
begin
    perform guildhall.ensure_text('holder', p_holder, 1300);
    perform guildhall.ensure_text('reason', p_reason, 2000);
    perform guildhall.ensure_int('ttl_s', p_ttl_s, 1, 86400);
    perform guildhall.ensure_int('wait_s', p_wait_s, 0, 60);
    if jsonb_typeof(p_locks) is distinct from 'array' or jsonb_array_length(p_locks) not between 1 and 32 then
        raise exception using errcode = 'GH001', message = 'locks must be 1 to 32 objects with resource and mode';
    end if;
    select array_agg(x.resource order by x.resource collate "C"), array_agg(x.mode order by x.resource collate "C"),
        array_agg(guildhall.lock_root(x.resource))
    into v_resources, v_modes, v_roots
    from (
        select e.value ->> 'resource' as resource, coalesce(e.value ->> 'mode', 'exclusive') as mode
        from jsonb_array_elements(p_locks) e
    ) x;
    for v_place in 1 .. cardinality(v_resources) loop
        perform guildhall.lock_ensure(v_resources[v_place], v_modes[v_place]);
        if v_resources[v_place] = v_resources[v_place - 1] then
            raise exception using errcode = 'GH001', message = format(
                'locks must name each resource once, not %L twice', v_resources[v_place]);
        end if;
    end loop;
    perform guildhall.lock_roots_take(v_roots);
    v_now := guildhall.clock();
    if exists (select from guildhall.lock_grants g where g.root = any (v_roots))
        or exists (select from guildhall.lock_wants w where w.root = any (v_roots))
    then
        v_bells := guildhall.lock_settle(v_roots, v_now);
        v_blockers := guildhall.lock_in_the_way(v_resources, v_modes, p_holder, v_run_id, v_priority);
        if v_blockers is not null then
            if p_wait_s > 0 then
                return query select w.outcome, '[]'::jsonb, w.ticket, v_blockers, w.cycle, v_bells || w.bells
                from guildhall.lock_wait(v_resources, v_modes, p_holder, v_run_id, p_reason, v_priority, p_ttl_s,
                    p_wait_s, p_announced, v_now) w;
            else
                return query select 'held', '[]'::jsonb, null::bigint, v_blockers, null::jsonb, v_bells;
            end if;
            return;
        end if;
    end if;
    select jsonb_agg(guildhall.lock_grant_json(guildhall.lock_give(r.resource, r.mode, p_holder, v_run_id, p_reason,
        p_announced, v_now, v_now + make_interval(secs => p_ttl_s), v_now)) order by r.place)
    into locks
    from unnest(v_resources, v_modes) with ordinality r (resource, mode, place);
    return query select 'acquired', locks, null::bigint, null::jsonb, null::jsonb, v_bells;
end;
$$;
comment on function guildhall.lock_acquire_all(jsonb, text, text, bigint, text, bigint, text, boolean) is
    'Takes several locks or none of them, whatever the order they are named in; otherwise as lock_acquire.';

create or replace function guildhall.lock_renew_all(p_locks jsonb, p_holder text, p_ttl_s bigint)
returns table (outcome text, locks jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz;
    v_wanted integer;
begin
    perform guildhall.ensure_int('ttl_s', p_ttl_s, 1, 86400);
    v_wanted := guildhall.lock_ensure_tokens(p_locks);
    -- Several grants at once: those who end grants of these trees take them in no order of ours.
    perform guildhall.lock_roots_take((
        select array_agg(guildhall.lock_root(e.value ->> 'resource')) from jsonb_array_elements(p_locks) e));
    perform guildhall.lock_renew_take(p_locks);
    v_now := guildhall.clock();
    if v_wanted = (select count(*) from guildhall.lock_of_tokens(p_locks, p_holder, v_now)) then
        update guildhall.lock_grants g set expires_at = greatest(g.expires_at, v_now + make_interval(secs => p_ttl_s))
        from guildhall.lock_of_tokens(p_locks, p_holder, v_now) x
        where g.root = x.root and g.resource = x.resource and g.fencing_token = x.fencing_token;
        return query select 'renewed', jsonb_agg(guildhall.lock_grant_json(x) order by x.resource)
        from guildhall.lock_of_tokens(p_locks, p_holder, v_now) x;
    else
        return query select 'stale', guildhall.lock_stale_of_tokens(p_locks, p_holder, v_now);
    end if;
end;
$$;
comment on function guildhall.lock_renew_all(jsonb, text, bigint) is
    'Extends several grants or none; when one of them is stale, the answer has those that are.';

create or replace function guildhall.lock_ensure_tokens(p_locks jsonb) returns integer
language plpgsql immutable set search_path = '' as $$
declare
    v_lock jsonb;
begin
    if jsonb_typeof(p_locks) is distinct from 'array' or jsonb_array_length(p_locks) not between 1 and 32 then
        raise exception using errcode = 'GH001', message = 'locks must be 1 to 32 objects with resource and fencing_token';
    end if;
    for v_lock in select e.value from jsonb_array_elements(p_locks) e loop
        perform guildhall.ensure_field_text(v_lock, 'resource', 300);
        perform guildhall.ensure_field_int(v_lock, 'fencing_token', null, 1, 9223372036854775807);
    end loop;
    if (select count(distinct e.value ->> 'resource') from jsonb_array_elements(p_locks) e) < jsonb_array_length(p_locks) then
        raise exception using errcode = 'GH001', message = 'locks must name each resource once';
    end if;
    return jsonb_array_length(p_locks);
end;
$$;
comment on function guildhall.lock_ensure_tokens(jsonb) is
    'Internal. How many grants a list names by resource and token, each resource once, or GH001.';

create or replace function guildhall.lock_renew_take(p_locks jsonb) returns void
language plpgsql volatile set search_path = '' as $$
begin
    perform from (
        select from guildhall.lock_grants g
        join jsonb_array_elements(p_locks) e on g.root = guildhall.lock_root(e.value ->> 'resource')
            and g.resource = e.value ->> 'resource' and g.fencing_token = (e.value ->> 'fencing_token')::bigint
        order by g.root, g.resource
        for no key update of g
    ) taken;
end;
$$;
comment on function guildhall.lock_renew_take(jsonb) is 'Internal. Locks the rows of the grants that a list names.';

create or replace function guildhall.lock_of_tokens(p_locks jsonb, p_holder text, p_now timestamptz)
returns setof guildhall.lock_grants
language sql stable set search_path = '' as $$
    select g.* from jsonb_array_elements(p_locks) e
    join guildhall.lock_grants g on g.root = guildhall.lock_root(e.value ->> 'resource')
        and g.resource = e.value ->> 'resource' and g.fencing_token = (e.value ->> 'fencing_token')::bigint
    where g.holder = p_holder and g.expires_at > p_now;
$$;
comment on function guildhall.lock_of_tokens(jsonb, text, timestamptz) is
    'Internal. Those grants of a list that the holder has at p_now.';

create or replace function guildhall.lock_stale_of_tokens(p_locks jsonb, p_holder text, p_now timestamptz) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(guildhall.lock_json(e.value ->> 'resource', p_now) order by e.value ->> 'resource'), '[]')
    from jsonb_array_elements(p_locks) e
    where not exists (
        select from guildhall.lock_of_tokens(p_locks, p_holder, p_now) g where g.resource = e.value ->> 'resource');
$$;
comment on function guildhall.lock_stale_of_tokens(jsonb, text, timestamptz) is
    'Internal. Those resources of a list that the holder does not have under the token named, as they stand.';

create or replace function guildhall.lock_release_all(p_locks jsonb, p_holder text)
returns table (outcome text, locks jsonb, bells jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_roots text[];
    v_grant guildhall.lock_grants;
    v_now timestamptz;
begin
    perform guildhall.lock_ensure_tokens(p_locks);
    select array_agg(distinct guildhall.lock_root(e.value ->> 'resource')) into v_roots
    from jsonb_array_elements(p_locks) e;
    perform guildhall.lock_roots_take(v_roots);
    v_now := guildhall.clock();
    locks := guildhall.lock_stale_of_tokens(p_locks, p_holder, v_now);
    for v_grant in select x.* from guildhall.lock_of_tokens(p_locks, p_holder, v_now) x loop
        delete from guildhall.lock_grants g
        where g.root = v_grant.root and g.resource = v_grant.resource and g.fencing_token = v_grant.fencing_token;
        perform guildhall.lock_end(v_grant, 'released', null, v_now);
    end loop;
    bells := guildhall.lock_settle(v_roots, v_now);
    return query select case when locks = '[]' then 'released' else 'stale' end, locks, bells;
end;
$$;
comment on function guildhall.lock_release_all(jsonb, text) is
    'Ends those of several grants that the holder has, with all levels; stale, with the rest, when it has not all.';
