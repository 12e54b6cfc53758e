-- Locks: names in a tree, grants with tokens that only rise, the calls of holders. Several at once are in lock_set.sql,
-- the queue is in lock_queue.sql, what people look at in lock_read.sql.
--
-- Whoever decides about a resource locks the row of its root (the name up to the first `/`) first; several roots are
-- locked in byte order. All names that can conflict have the same root, so that this one row puts every decision about
-- them in order. A renewal changes its own grant only and does without.

create or replace function guildhall.lock_root(p_resource text) returns text
language plpgsql immutable set search_path = '' as $$
begin
    return split_part(p_resource, '/', 1);
end;
$$;
comment on function guildhall.lock_root(text) is 'Internal. The name up to its first slash: the top of its tree.';

create or replace function guildhall.lock_line(p_resource text) returns text[]
language plpgsql immutable set search_path = '' as $$
declare
    v_line text[] := array[p_resource];
begin
    for v_length in 1 .. length(p_resource) - 1 loop
        if substr(p_resource, v_length + 1, 1) = '/' then
            v_line := v_line || left(p_resource, v_length);
        end if;
    end loop;
    return v_line;
end;
$$;
comment on function guildhall.lock_line(text) is
    'Internal. A name and its ancestors, which are what stands before each of its slashes.';

create or replace function guildhall.lock_conflicts(
    p_resource text, p_mode text, p_other text, p_other_mode text
) returns boolean
language plpgsql immutable set search_path = '' as $$
begin
    -- A lock below a name is an intention at that name (IX or IS). Written out for names of one line, the usual matrix
    -- says just this: X against S, IS or IX, S against IX; only S and IS get along.
    return (p_mode = 'exclusive' or p_other_mode = 'exclusive')
        and (p_resource = p_other
            or starts_with(p_resource, p_other || '/')
            or starts_with(p_other, p_resource || '/'));
end;
$$;
comment on function guildhall.lock_conflicts(text, text, text, text) is
    'Internal. Whether two locks of different holders exclude each other: names of one line of the tree, one exclusive.';

create or replace function guildhall.lock_ensure(p_resource text, p_mode text) returns void
language plpgsql immutable set search_path = '' as $$
begin
    if p_resource is null or length(p_resource) not between 1 and 300 then
        perform guildhall.ensure_text('resource', p_resource, 300);
    end if;
    if p_resource in ('contention', 'graph', 'history', 'release', 'renew', 'statistics') then
        raise exception using errcode = 'GH001', message = format(
            'resource must not be %L, which is a word of the API; use a name with a kind, such as job:%s',
            p_resource, p_resource);
    end if;
    if p_mode is null or p_mode not in ('exclusive', 'shared') then
        raise exception using errcode = 'GH001', message = format(
            'mode must be exclusive or shared, not %s', coalesce(quote_literal(left(p_mode, 60)), 'null'));
    end if;
end;
$$;
comment on function guildhall.lock_ensure(text, text) is 'Internal. GH001 unless the name and the mode can be locked.';

create or replace function guildhall.lock_ensure_run(p_run_id text) returns uuid
language plpgsql stable set search_path = '' as $$
declare
    v_run_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
begin
    if not exists (select from guildhall.runs r where r.id = v_run_id) then
        raise exception using errcode = 'GH001', message = format('run_id must be a run that there is, not %s', v_run_id);
    end if;
    return v_run_id;
end;
$$;
comment on function guildhall.lock_ensure_run(text) is 'Internal. The id of a run that exists, or GH001.';

create or replace function guildhall.lock_priority(p_priority text) returns smallint
language plpgsql immutable set search_path = '' as $$
declare
    v_place integer := array_position(array['low', 'normal', 'high', 'urgent'], p_priority);
begin
    if v_place is null then
        raise exception using errcode = 'GH001', message = format(
            'priority must be low, normal, high or urgent, not %s', coalesce(quote_literal(left(p_priority, 60)), 'null'));
    end if;
    return (v_place - 1)::smallint;
end;
$$;
comment on function guildhall.lock_priority(text) is 'Internal. The rank of a priority, 0 for low to 3 for urgent, or GH001.';

create or replace function guildhall.lock_roots_take(p_roots text[]) returns void
language plpgsql volatile set search_path = '' as $$
declare
    v_root text;
begin
    for v_root in select distinct r.root collate "C" from unnest(p_roots) r (root) order by 1 loop
        perform from guildhall.locks l where l.resource = v_root for no key update;
        if not found then
            insert into guildhall.locks (resource, fencing_token)
            select v_root, f.fencing_token from guildhall.lock_floor f
            on conflict (resource) do nothing;
            perform from guildhall.locks l where l.resource = v_root for no key update;
        end if;
    end loop;
end;
$$;
comment on function guildhall.lock_roots_take(text[]) is
    'Internal. Locks the rows of roots, each once and in byte order; makes those that there were not.';

create or replace function guildhall.lock_grant_json(p_grant guildhall.lock_grants) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
    return jsonb_build_object(
        'resource', (p_grant).resource,
        'fencing_token', (p_grant).fencing_token,
        'mode', (p_grant).mode,
        'holder', (p_grant).holder,
        'run_id', (p_grant).run_id,
        'reason', (p_grant).reason,
        'depth', (p_grant).depth,
        'requested_at', (p_grant).requested_at,
        'acquired_at', (p_grant).acquired_at,
        'expires_at', (p_grant).expires_at
    );
end;
$$;
comment on function guildhall.lock_grant_json(guildhall.lock_grants) is
    'Internal. A grant in the shape of the domain type Lock.';

create or replace function guildhall.lock_json(p_resource text, p_now timestamptz) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_grant guildhall.lock_grants;
begin
    -- A lock whose time is up is free, whether or not a sweep has been by.
    select g.* into v_grant from guildhall.lock_grants g
    where g.root = guildhall.lock_root(p_resource) and g.resource = p_resource and g.expires_at > p_now
    order by g.fencing_token limit 1;
    if found then
        return guildhall.lock_grant_json(v_grant);
    end if;
    v_grant := null;
    v_grant.resource := p_resource;
    v_grant.fencing_token := coalesce(
        (select l.fencing_token from guildhall.locks l where l.resource = p_resource), 0);
    return guildhall.lock_grant_json(v_grant);
end;
$$;
comment on function guildhall.lock_json(text, timestamptz) is
    'Internal. A resource in the shape of the domain type Lock: its first holder at p_now, or free with its last token.';

create or replace function guildhall.lock_token_next(p_resource text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
    v_token bigint;
begin
    update guildhall.locks l set fencing_token = l.fencing_token + 1, grants = l.grants + 1
    where l.resource = p_resource
    returning l.fencing_token into v_token;
    if not found then
        insert into guildhall.locks as l (resource, fencing_token, grants)
        select p_resource, f.fencing_token + 1, 1 from guildhall.lock_floor f
        on conflict (resource) do update set fencing_token = l.fencing_token + 1, grants = l.grants + 1
        returning l.fencing_token into v_token;
    end if;
    return v_token;
end;
$$;
comment on function guildhall.lock_token_next(text) is
    'Internal. Raises a resource''s token for a grant; the caller holds the row of its root.';

create or replace function guildhall.lock_end(p_grant guildhall.lock_grants, p_how text, p_by text, p_now timestamptz)
returns void
language plpgsql volatile set search_path = '' as $$
declare
    v_ended_at timestamptz := greatest(p_grant.acquired_at, least(p_now, p_grant.expires_at));
begin
    insert into guildhall.lock_history (
        resource, fencing_token, mode, holder, run_id, reason, requested_at, acquired_at, ended_at, ended_how, ended_by
    ) values (
        p_grant.resource, p_grant.fencing_token, p_grant.mode, p_grant.holder, p_grant.run_id, p_grant.reason,
        p_grant.requested_at, p_grant.acquired_at, v_ended_at, p_how, p_by
    );
    -- That somebody gave back what he took is of interest only to those who asked; the rest is.
    if p_grant.announced or p_how in ('expired', 'abandoned', 'forced') then
        perform guildhall.outbox_emit('dev.guildhall.lock.' || p_how || '.v1', p_grant.resource,
            guildhall.lock_grant_json(p_grant) || jsonb_build_object('ended_at', v_ended_at, 'ended_by', p_by), p_now);
    end if;
end;
$$;
comment on function guildhall.lock_end(guildhall.lock_grants, text, text, timestamptz) is
    'Internal. Writes a grant whose row is gone into the history, and tells of it when it did not just end well.';

create or replace function guildhall.lock_expire(p_roots text[], p_now timestamptz) returns integer
language plpgsql volatile set search_path = '' set plan_cache_mode = 'force_generic_plan' as $$
declare
    v_grant guildhall.lock_grants;
    v_count integer := 0;
begin
    for v_grant in
        delete from guildhall.lock_grants g where g.root = any (p_roots) and g.expires_at <= p_now returning g.*
    loop
        perform guildhall.lock_end(v_grant,
            case when guildhall.lock_is_uncollected(v_grant) then 'abandoned' else 'expired' end, null, p_now);
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$;
comment on function guildhall.lock_expire(text[], timestamptz) is
    'Internal. Ends the grants whose time is up below these roots, whose rows the caller holds.';

create or replace function guildhall.lock_is_uncollected(p_grant guildhall.lock_grants) returns boolean
language plpgsql stable set search_path = '' as $$
begin
    return exists (
        select from guildhall.lock_waiters w
        where w.holder = p_grant.holder and w.state = 'granted'
            and p_grant.resource = any (w.resources) and p_grant.fencing_token = any (w.fencing_tokens));
end;
$$;
comment on function guildhall.lock_is_uncollected(guildhall.lock_grants) is
    'Internal. Whether a grant was handed to a waiter that has not taken notice of it yet.';

create or replace function guildhall.lock_give(
    p_resource text, p_mode text, p_holder text, p_run_id uuid, p_reason text, p_announced boolean,
    p_requested_at timestamptz, p_expires_at timestamptz, p_now timestamptz
) returns guildhall.lock_grants
language plpgsql volatile set search_path = '' as $$
declare
    v_root text := guildhall.lock_root(p_resource);
    v_grant guildhall.lock_grants;
begin
    -- What the same holder had of the resource is fenced off by the new grant.
    for v_grant in
        delete from guildhall.lock_grants g
        where g.root = v_root and g.resource = p_resource and g.holder = p_holder
            and g.run_id is not distinct from p_run_id
        returning g.*
    loop
        perform guildhall.lock_end(v_grant, case when v_grant.expires_at > p_now then 'reacquired' else 'expired' end,
            null, p_now);
    end loop;
    insert into guildhall.lock_grants (
        root, resource, fencing_token, mode, holder, run_id, reason, announced, requested_at, acquired_at, expires_at
    ) values (
        v_root, p_resource, guildhall.lock_token_next(p_resource), p_mode, p_holder, p_run_id, p_reason, p_announced,
        p_requested_at, p_now, p_expires_at
    )
    returning * into strict v_grant;
    if p_announced then
        perform guildhall.outbox_emit('dev.guildhall.lock.acquired.v1', p_resource,
            guildhall.lock_grant_json(v_grant), p_now);
    end if;
    return v_grant;
end;
$$;
comment on function guildhall.lock_give(text, text, text, uuid, text, boolean, timestamptz, timestamptz, timestamptz) is
    'Internal. Grants a resource under its next token; the caller holds the root''s row and found nothing in the way.';

create or replace function guildhall.lock_acquire(
    p_resource text, p_holder text, p_run_id text, p_ttl_s bigint, p_reason text,
    p_mode text default 'exclusive', p_wait_s bigint default 0, p_priority text default 'normal',
    p_token bigint default null, p_announced boolean default false
) returns table (outcome text, lock jsonb, ticket bigint, blockers jsonb, cycle jsonb, bells jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_run_id uuid;
    v_priority smallint := guildhall.lock_priority(p_priority);
    v_root text := guildhall.lock_root(p_resource);
    v_grant guildhall.lock_grants;
    v_blockers jsonb;
    v_now timestamptz;
    v_is_settled boolean := false;
    v_bells jsonb := jsonb_build_array();
begin
    perform guildhall.lock_ensure(p_resource, p_mode);
    perform guildhall.ensure_text('holder', p_holder, 1300);
    perform guildhall.ensure_text('reason', p_reason, 2000);
    perform guildhall.ensure_int('ttl_s', p_ttl_s, 1, 86400);
    perform guildhall.ensure_int('wait_s', p_wait_s, 0, 60);
    if p_run_id is not null then
        v_run_id := guildhall.lock_ensure_run(p_run_id);
    end if;
    -- Whoever does not wait and finds it held is told so without a lock on any row: polling costs holders nothing.
    if p_wait_s = 0 and p_token is null then
        v_now := guildhall.clock();
        v_blockers := guildhall.lock_held_by(p_resource, p_mode, p_holder, v_run_id, v_now);
        if v_blockers is not null then
            return query select 'held', guildhall.lock_json(p_resource, v_now), null::bigint, v_blockers, null::jsonb, v_bells;
            return;
        end if;
    end if;
    perform from guildhall.locks l where l.resource = v_root for no key update;
    if not found then
        perform guildhall.lock_roots_take(array[v_root]);
    end if;
    v_now := guildhall.clock();
    if p_token is not null then
        update guildhall.lock_grants g
        set depth = g.depth + 1, expires_at = greatest(g.expires_at, v_now + make_interval(secs => p_ttl_s))
        where g.root = v_root and g.resource = p_resource and g.fencing_token = p_token and g.holder = p_holder
            and g.run_id is not distinct from v_run_id and g.expires_at > v_now
            and (g.mode = p_mode or g.mode = 'exclusive')
        returning g.* into v_grant;
        if not found then
            return query select 'stale', guildhall.lock_json(p_resource, v_now), null::bigint, null::jsonb, null::jsonb, v_bells;
        else
            return query select 'acquired', guildhall.lock_grant_json(v_grant), null::bigint, null::jsonb, null::jsonb, v_bells;
        end if;
        return;
    end if;
    -- Most of the time nobody has or wants anything in the whole tree, and this is all there is to do.
    if exists (select from guildhall.lock_grants g where g.root = v_root)
        or exists (select from guildhall.lock_wants w where w.root = v_root)
    then
        -- Whoever comes to a lock that is held changes nothing for those in front, unless a grant has run out meanwhile.
        if exists (select from guildhall.lock_grants g where g.root = v_root and g.expires_at <= v_now) then
            v_bells := guildhall.lock_settle(array[v_root], v_now);
            v_is_settled := true;
        end if;
        v_blockers := guildhall.lock_in_the_way(array[p_resource], array[p_mode], p_holder, v_run_id, v_priority);
        if not v_is_settled and (v_blockers -> 0 -> 'waiting') is distinct from 'false' then
            v_bells := guildhall.lock_settle(array[v_root], v_now);
            v_blockers := guildhall.lock_in_the_way(array[p_resource], array[p_mode], p_holder, v_run_id, v_priority);
        end if;
        if v_blockers is not null then
            if p_wait_s > 0 then
                return query select w.outcome, guildhall.lock_json(p_resource, v_now), w.ticket, v_blockers, w.cycle,
                    v_bells || w.bells
                from guildhall.lock_wait(array[p_resource], array[p_mode], p_holder, v_run_id, p_reason, v_priority,
                    p_ttl_s, p_wait_s, p_announced, v_now) w;
            else
                return query select 'held', guildhall.lock_json(p_resource, v_now), null::bigint, v_blockers, null::jsonb,
                    v_bells;
            end if;
            return;
        end if;
    end if;
    v_grant := guildhall.lock_give(p_resource, p_mode, p_holder, v_run_id, p_reason, p_announced, v_now,
        v_now + make_interval(secs => p_ttl_s), v_now);
    return query select 'acquired', guildhall.lock_grant_json(v_grant), null::bigint, null::jsonb, null::jsonb, v_bells;
end;
$$;
comment on function guildhall.lock_acquire(
    text, text, text, bigint, text, text, bigint, text, bigint, boolean) is
    'Takes a lock under a new token, or says who has it, or queues. With its own live token a holder re-enters instead.';

create or replace function guildhall.lock_renew(p_resource text, p_holder text, p_token bigint, p_ttl_s bigint)
returns table (outcome text, lock jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_root text := guildhall.lock_root(p_resource);
    v_grant guildhall.lock_grants;
    v_now timestamptz;
begin
    perform guildhall.ensure_text('resource', p_resource, 300);
    perform guildhall.ensure_int('ttl_s', p_ttl_s, 1, 86400);
    select g.* into v_grant from guildhall.lock_grants g
    where g.root = v_root and g.resource = p_resource and g.fencing_token = p_token
    for no key update;
    v_now := guildhall.clock();
    if v_grant.holder = p_holder and v_grant.expires_at > v_now then
        update guildhall.lock_grants g
        set expires_at = greatest(g.expires_at, v_now + make_interval(secs => p_ttl_s))
        where g.root = v_root and g.resource = p_resource and g.fencing_token = p_token
        returning g.* into strict v_grant;
        return query select 'renewed', guildhall.lock_grant_json(v_grant);
    else
        return query select 'stale', guildhall.lock_json(p_resource, v_now);
    end if;
end;
$$;
comment on function guildhall.lock_renew(text, text, bigint, bigint) is
    'Extends a grant, never shortens it; stale when holder or token are not those of a grant or time is up.';

create or replace function guildhall.lock_release(p_resource text, p_holder text, p_token bigint)
returns table (outcome text, lock jsonb, bells jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_root text := guildhall.lock_root(p_resource);
    v_grant guildhall.lock_grants;
    v_now timestamptz;
    v_bells jsonb := jsonb_build_array();
begin
    perform guildhall.ensure_text('resource', p_resource, 300);
    perform from guildhall.locks l where l.resource = v_root for no key update;
    v_now := guildhall.clock();
    delete from guildhall.lock_grants g
    where g.root = v_root and g.resource = p_resource and g.fencing_token = p_token and g.holder = p_holder
        and g.depth = 1 and g.expires_at > v_now
    returning g.* into v_grant;
    if not found then
        update guildhall.lock_grants g set depth = g.depth - 1
        where g.root = v_root and g.resource = p_resource and g.fencing_token = p_token and g.holder = p_holder
            and g.expires_at > v_now
        returning g.* into v_grant;
        if found then
            return query select 'left', guildhall.lock_grant_json(v_grant), v_bells;
        else
            return query select 'stale', guildhall.lock_json(p_resource, v_now), v_bells;
        end if;
        return;
    end if;
    perform guildhall.lock_end(v_grant, 'released', null, v_now);
    if exists (select from guildhall.lock_wants w where w.root = v_root) then
        v_bells := guildhall.lock_settle(array[v_root], v_now);
    end if;
    -- Lost with the machine, this leaves a lock that runs out. Whoever is next uses it only after lock_collect, whose
    -- commit comes later in the log and waits for the disk.
    perform guildhall.commit_need_not_wait();
    return query select 'released', guildhall.lock_json(p_resource, v_now), v_bells;
end;
$$;
comment on function guildhall.lock_release(text, text, bigint) is
    'Ends a grant, or one level of its re-entry (`left`), and hands over to who is next; stale as for lock_renew.';

create or replace function guildhall.lock_force_release(p_resource text, p_actor text, p_reason text)
returns table (outcome text, locks jsonb, bells jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_root text := guildhall.lock_root(p_resource);
    v_grant guildhall.lock_grants;
    v_now timestamptz;
begin
    perform guildhall.ensure_text('resource', p_resource, 300);
    perform guildhall.ensure_text('actor', p_actor, 200);
    perform guildhall.ensure_text('reason', p_reason, 2000);
    perform from guildhall.locks l where l.resource = v_root for no key update;
    v_now := guildhall.clock();
    perform guildhall.lock_expire(array[v_root], v_now);
    locks := '[]';
    for v_grant in
        delete from guildhall.lock_grants g where g.root = v_root and g.resource = p_resource returning g.*
    loop
        perform guildhall.lock_end(v_grant, 'forced', p_actor, v_now);
        locks := locks || guildhall.lock_grant_json(v_grant);
    end loop;
    if locks <> '[]' then
        perform guildhall.audit_append(p_actor, 'lock_force_release', p_resource,
            jsonb_build_object('reason', p_reason, 'locks', locks), v_now);
    end if;
    bells := guildhall.lock_settle(array[v_root], v_now);
    return query select case when locks = '[]' then 'free' else 'forced' end, locks, bells;
end;
$$;
comment on function guildhall.lock_force_release(text, text, text) is
    'Ends every grant of exactly this resource, audited, and hands over; the holders'' tokens guard nothing any more.';

create or replace function guildhall.lock_check(p_resource text, p_token bigint) returns boolean
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    return exists (
        select from guildhall.lock_grants g
        where g.root = guildhall.lock_root(p_resource) and g.resource = p_resource and g.fencing_token = p_token
            and g.expires_at > v_now
    );
end;
$$;
comment on function guildhall.lock_check(text, bigint) is 'Whether the token is that of a grant now: true may be over a moment later.';

create or replace function guildhall.lock_guard(p_resource text, p_token bigint) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
    -- Whoever would end or give a grant locks this row for himself, so that none of that happens before our commit.
    perform from guildhall.locks l where l.resource = guildhall.lock_root(p_resource) for share;
    return guildhall.lock_check(p_resource, p_token);
end;
$$;
comment on function guildhall.lock_guard(text, bigint) is
    'Whether the token is that of a grant, and keeps it from passing on until this transaction ends: for guarded writes.';

create or replace function guildhall.lock_token_raise(p_floor bigint, p_actor text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
    v_grant guildhall.lock_grants;
    v_floor bigint;
    v_now timestamptz;
begin
    perform guildhall.ensure_text('actor', p_actor, 200);
    if p_floor is not null then
        perform guildhall.ensure_int('floor', p_floor, 1, 4611686018427387904);
    end if;
    perform guildhall.lock_roots_take((select array_agg(guildhall.lock_root(l.resource)) from guildhall.locks l));
    v_now := guildhall.clock();
    for v_grant in delete from guildhall.lock_grants g where true returning g.* loop
        perform guildhall.lock_end(v_grant, 'forced', p_actor, v_now);
    end loop;
    -- No resource is granted a thousand times a second from 1970 on, so this is above whatever was granted.
    v_floor := greatest(coalesce(p_floor, floor(extract(epoch from v_now) * 1000)::bigint),
        (select max(l.fencing_token) from guildhall.locks l),
        (select f.fencing_token from guildhall.lock_floor f));
    update guildhall.lock_floor f set fencing_token = v_floor;
    update guildhall.locks l set fencing_token = v_floor where l.fencing_token < v_floor;
    perform guildhall.audit_append(p_actor, 'lock_token_raise', 'locks', jsonb_build_object('floor', v_floor), v_now);
    return v_floor;
end;
$$;
comment on function guildhall.lock_token_raise(bigint, text) is
    'After a restore: ends all grants, and lets every token begin above the floor (or the milliseconds since 1970).';
