-- Waiting for locks: who stands in whose way, handing over, deadlocks.
--
-- A waiter has a row of its own (lock_waiters) and one in the queue per resource (lock_wants). Whatever frees something
-- also decides who is next (lock_settle), in the same statement. A waiter looks at its own row only, at least every five
-- seconds, else it counts as gone. What it was handed lapses five seconds after unless it takes notice (lock_collect).

create or replace function guildhall.lock_held_by(
    p_resource text, p_mode text, p_holder text, p_run_id uuid, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_root text := guildhall.lock_root(p_resource);
    v_line text[];
begin
    if not exists (select from guildhall.lock_grants g where g.root = v_root) then
        return null;
    end if;
    v_line := guildhall.lock_line(p_resource);
    return (
        select jsonb_agg(b.blocker) from (
            select jsonb_build_object('resource', g.resource, 'mode', g.mode, 'holder', g.holder, 'run_id', g.run_id,
                'waiting', false, 'expires_at', g.expires_at) as blocker
            from guildhall.lock_grants g
            where g.root = v_root
                and (g.resource = any (v_line) or (g.resource >= p_resource || '/' and g.resource < p_resource || '0'))
                and (p_mode = 'exclusive' or g.mode = 'exclusive')
                and (g.holder <> p_holder or g.run_id is distinct from p_run_id)
                and g.expires_at > p_now
            limit 10
        ) b);
end;
$$;
comment on function guildhall.lock_held_by(text, text, text, uuid, timestamptz) is
    'Internal. Up to ten grants of others that exclude such a lock at p_now, or null; looks without locking anything.';

create or replace function guildhall.lock_blockers(
    p_resource text, p_mode text, p_holder text, p_run_id uuid, p_priority smallint, p_ticket bigint, p_limit integer
) returns table (
    by_resource text, by_mode text, by_holder text, by_run_id uuid, by_expires_at timestamptz, by_ticket bigint
)
language plpgsql stable rows 10 set search_path = '' set plan_cache_mode = 'force_generic_plan' as $$
declare
    v_root text := guildhall.lock_root(p_resource);
    v_line text[] := guildhall.lock_line(p_resource);
    v_got integer;
begin
    return query
    select g.resource::text, g.mode, g.holder, g.run_id, g.expires_at, null::bigint
    from guildhall.lock_grants g
    where g.root = v_root
        and (g.resource = any (v_line) or (g.resource >= p_resource || '/' and g.resource < p_resource || '0'))
        and (p_mode = 'exclusive' or g.mode = 'exclusive')
        and (g.holder <> p_holder or g.run_id is distinct from p_run_id)
    limit p_limit;
    get diagnostics v_got = row_count;
    if v_got >= p_limit then
        return;
    end if;
    return query
    select w.resource::text, w.mode, w.holder, w.run_id, null::timestamptz, w.ticket
    from guildhall.lock_wants w
    where w.root = v_root
        and (w.resource = any (v_line) or (w.resource >= p_resource || '/' and w.resource < p_resource || '0'))
        and (p_mode = 'exclusive' or w.mode = 'exclusive')
        and (w.holder <> p_holder or w.run_id is distinct from p_run_id)
        and (w.priority > p_priority or (w.priority = p_priority and (p_ticket is null or w.ticket < p_ticket)))
        -- While somebody in this tree waits for what is ours, we stand behind nobody here: he, or who stands behind him,
        -- cannot go before us, so that to wait for him would be a deadlock.
        and not exists (
            select from guildhall.lock_grants g
            join guildhall.lock_wants x on x.root = v_root and (x.holder <> p_holder or x.run_id is distinct from p_run_id)
            where g.root = v_root and g.holder = p_holder and g.run_id is not distinct from p_run_id
                and guildhall.lock_conflicts(g.resource, g.mode, x.resource, x.mode))
    limit p_limit - v_got;
end;
$$;
comment on function guildhall.lock_blockers(text, text, text, uuid, smallint, bigint, integer) is
    'Internal. What stands in the way of a lock, up to p_limit (null: all): grants of others, and others who wait in front of this ticket (null: all).';

create or replace function guildhall.lock_in_the_way(
    p_resources text[], p_modes text[], p_holder text, p_run_id uuid, p_priority smallint
) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = 'force_generic_plan' as $$
begin
    return (
        select jsonb_agg(jsonb_build_object('resource', x.by_resource, 'mode', x.by_mode, 'holder', x.by_holder,
            'run_id', x.by_run_id, 'waiting', x.by_ticket is not null, 'expires_at', x.by_expires_at))
        from (
            select b.* from unnest(p_resources, p_modes) r (resource, mode)
            cross join lateral guildhall.lock_blockers(r.resource, r.mode, p_holder, p_run_id, p_priority, null, 10) b
            limit 10
        ) x);
end;
$$;
comment on function guildhall.lock_in_the_way(text[], text[], text, uuid, smallint) is
    'Internal. Up to ten of those that stand in the way of a newcomer, or null; the caller holds the rows of the roots.';

create or replace function guildhall.lock_settle(p_roots text[], p_now timestamptz) returns jsonb
language plpgsql volatile set search_path = '' set plan_cache_mode = 'force_generic_plan' as $$
declare
    v_ticket bigint;
    v_resource text;
    v_holder text;
    v_is_holder boolean;
    v_waiter guildhall.lock_waiters;
    v_grant guildhall.lock_grants;
    v_held text[] := p_roots;
    v_closed text[] := array[]::text[];
    v_handed text[] := array[]::text[];
    v_last bigint;
    v_free boolean;
    v_tokens bigint[];
    v_term bigint;
    v_root text;
    v_bells jsonb := jsonb_build_array();
begin
    perform guildhall.lock_expire(p_roots, p_now);
    for v_ticket, v_resource, v_holder, v_is_holder in
        select x.ticket, x.resource::text, x.holder,
            x.holder in (select g.holder from guildhall.lock_grants g where g.root = any (p_roots))
        from guildhall.lock_wants x
        where x.root = any (p_roots)
        order by x.priority desc, x.ticket
    loop
        -- Behind somebody who waits for, or was just handed, the very same thing nobody needs a closer look, unless he
        -- holds something already and so may be let past. So a long queue costs a glance at each, not a search.
        continue when v_resource = any (v_closed) and not v_is_holder and v_holder <> all (v_handed);
        continue when v_ticket = v_last;
        v_last := v_ticket;
        v_is_holder := v_is_holder or v_holder = any (v_handed);
        select w.* into v_waiter from guildhall.lock_waiters w
        where w.ticket = v_ticket and w.state in ('waiting', 'due');
        continue when not found;
        v_free := v_waiter.next_wake_at > p_now and (not v_waiter.resources && v_closed or v_is_holder);
        if v_free then
            v_free := not exists (
                select from unnest(v_waiter.resources, v_waiter.modes) r (resource, mode)
                cross join lateral guildhall.lock_blockers(
                    r.resource, r.mode, v_waiter.holder, v_waiter.run_id, v_waiter.priority, v_waiter.ticket, 1) b);
        end if;
        if v_free then
            for v_root in
                select distinct guildhall.lock_root(r.resource) collate "C" from unnest(v_waiter.resources) r (resource)
                order by 1
            loop
                continue when v_root = any (v_held);
                -- These rows may be out of order here, so they are only taken when nobody has them.
                perform from guildhall.locks l where l.resource = v_root for no key update skip locked;
                if not found then
                    v_free := false;
                    update guildhall.lock_waiters w set state = 'due' where w.ticket = v_waiter.ticket;
                    if v_waiter.run_seq is null then
                        v_bells := v_bells || to_jsonb(v_waiter.ticket);
                    end if;
                    exit;
                end if;
                v_held := v_held || v_root;
            end loop;
        end if;
        -- Those rows may have been taken after we looked; what they stand for is looked at again.
        if v_free and cardinality(v_held) > cardinality(p_roots) then
            v_free := not exists (
                select from unnest(v_waiter.resources, v_waiter.modes) r (resource, mode)
                cross join lateral guildhall.lock_blockers(
                    r.resource, r.mode, v_waiter.holder, v_waiter.run_id, v_waiter.priority, v_waiter.ticket, 1) b);
        end if;
        if v_free then
            -- A search for deadlocks elsewhere, which has none of these roots, may be making it the victim just now.
            perform from guildhall.lock_waiters w
            where w.ticket = v_waiter.ticket and w.state in ('waiting', 'due') for no key update;
            continue when not found;
            delete from guildhall.lock_wants x where x.ticket = v_waiter.ticket;
            v_tokens := '{}';
            -- A run takes notice whenever it next runs, and lets go when its task ends: it has the whole term at once.
            v_term := case when v_waiter.run_seq is null then least(v_waiter.ttl_s, 5) else v_waiter.ttl_s end;
            for v_place in 1 .. cardinality(v_waiter.resources) loop
                v_grant := guildhall.lock_give(v_waiter.resources[v_place], v_waiter.modes[v_place], v_waiter.holder,
                    v_waiter.run_id, v_waiter.reason, v_waiter.announced, v_waiter.requested_at,
                    p_now + make_interval(secs => v_term), p_now);
                v_tokens := v_tokens || v_grant.fencing_token;
            end loop;
            v_handed := v_handed || v_waiter.holder;
            if v_waiter.run_seq is null then
                update guildhall.lock_waiters w
                set state = 'granted', fencing_tokens = v_tokens, granted_at = p_now,
                    next_wake_at = p_now + make_interval(secs => v_term)
                where w.ticket = v_waiter.ticket;
                v_bells := v_bells || to_jsonb(v_waiter.ticket);
            else
                delete from guildhall.lock_waiters w where w.ticket = v_waiter.ticket;
                perform guildhall.run_tell(v_waiter.run_id, guildhall.run_granted(v_waiter, v_tokens), p_now);
            end if;
        end if;
        if not v_free or 'exclusive' = any (v_waiter.modes) then
            v_closed := v_closed || coalesce((
                select array_agg(r.resource) from unnest(v_waiter.resources, v_waiter.modes) r (resource, mode)
                where r.mode = 'exclusive'), '{}');
        end if;
    end loop;
    return v_bells;
end;
$$;
comment on function guildhall.lock_settle(text[], timestamptz) is
    'Internal. Ends what is over below roots whose rows the caller holds, hands over in order, gives the tickets to ring.';

create or replace function guildhall.lock_cycle(p_ticket bigint) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_seen bigint[] := array[p_ticket];
    v_from integer[] := array[0];
    v_via jsonb[] := array[null::jsonb];
    v_place integer := 1;
    v_edge record;
    v_cycle jsonb;
begin
    -- Who only stands in line waits for earlier ones, so a cycle takes somebody who holds and waits. Mostly there is none.
    if not exists (
        select from guildhall.lock_grants g
        join guildhall.lock_waiters n on n.state in ('waiting', 'due') and (
            (n.holder = g.holder and n.run_id is not distinct from g.run_id) or n.run_id = g.run_id))
    then
        return null;
    end if;
    -- Breadth first, so that the shortest cycle is found; each waiter is looked at once.
    while v_place <= cardinality(v_seen) and v_place <= 1000 loop
        for v_edge in
            select n.ticket, jsonb_build_object('ticket', w.ticket, 'holder', w.holder, 'run_id', w.run_id,
                'waits_for', r.resource, 'mode', r.mode, 'held', b.by_resource, 'held_by', b.by_holder,
                'held_by_run_id', b.by_run_id) as hop
            from guildhall.lock_waiters w
            cross join lateral unnest(w.resources, w.modes) r (resource, mode)
            cross join lateral guildhall.lock_blockers(
                r.resource, r.mode, w.holder, w.run_id, w.priority, w.ticket, null) b
            join guildhall.lock_waiters n on n.state in ('waiting', 'due') and (
                n.ticket = b.by_ticket
                or (b.by_ticket is null and n.holder = b.by_holder and n.run_id is not distinct from b.by_run_id)
                -- To others a run is one: while any of it waits, so may what it holds. Within a run each holder is on
                -- his own, or branches that run side by side would be taken for a deadlock.
                or (b.by_ticket is null and n.run_id = b.by_run_id and n.run_id is distinct from w.run_id)
                -- A run's engine says which of its locks are around the task that waits.
                or (b.by_ticket is null and n.run_id = b.by_run_id and n.run_id = w.run_id
                    and n.run_fences @> jsonb_build_array(jsonb_build_object('lock', b.by_resource))))
            where w.ticket = v_seen[v_place] and w.state in ('waiting', 'due')
                and (n.ticket = p_ticket or n.ticket <> all (v_seen))
            order by b.by_ticket nulls first, n.ticket
        loop
            if v_edge.ticket = p_ticket then
                v_cycle := jsonb_build_array(v_edge.hop);
                while v_from[v_place] > 0 loop
                    v_cycle := jsonb_build_array(v_via[v_place]) || v_cycle;
                    v_place := v_from[v_place];
                end loop;
                return v_cycle;
            end if;
            if v_edge.ticket <> all (v_seen) then
                v_seen := v_seen || v_edge.ticket;
                v_from := v_from || v_place;
                v_via := v_via || v_edge.hop;
            end if;
        end loop;
        v_place := v_place + 1;
    end loop;
    return null;
end;
$$;
comment on function guildhall.lock_cycle(bigint) is
    'Internal. A shortest cycle of waiters that wait for each other through this ticket, as a list of hops, or null.';

create or replace function guildhall.lock_give_up(p_waiter guildhall.lock_waiters, p_how text, p_detail jsonb, p_now timestamptz)
returns void
language plpgsql volatile set search_path = '' as $$
begin
    insert into guildhall.lock_history (
        resource, mode, holder, run_id, reason, priority, requested_at, ended_at, ended_how, detail
    )
    select r.resource, r.mode, p_waiter.holder, p_waiter.run_id, p_waiter.reason, p_waiter.priority,
        p_waiter.requested_at, greatest(p_now, p_waiter.requested_at), p_how, p_detail
    from unnest(p_waiter.resources, p_waiter.modes) r (resource, mode);
    if p_how = 'deadlock' then
        perform guildhall.outbox_emit('dev.guildhall.lock.deadlock.v1', p_waiter.resources[1], jsonb_build_object(
            'holder', p_waiter.holder, 'run_id', p_waiter.run_id, 'resources', p_waiter.resources, 'cycle', p_detail),
            p_now);
    end if;
end;
$$;
comment on function guildhall.lock_give_up(guildhall.lock_waiters, text, jsonb, timestamptz) is
    'Internal. Writes a wait that was in vain into the history, one row per resource.';

create or replace function guildhall.lock_wait(
    p_resources text[], p_modes text[], p_holder text, p_run_id uuid, p_reason text, p_priority smallint, p_ttl_s bigint,
    p_wait_s bigint, p_announced boolean, p_now timestamptz, p_run_seq bigint default null, p_run_step text default null,
    p_run_fences jsonb default null
) returns table (outcome text, ticket bigint, cycle jsonb, bells jsonb)
language plpgsql volatile set search_path = '' set plan_cache_mode = 'force_generic_plan' as $$
declare
    v_waiter guildhall.lock_waiters;
    v_victim guildhall.lock_waiters;
    v_cycle jsonb;
    v_gave_way boolean := false;
begin
    bells := '[]';
    -- A waiter that is lost with the machine has lost its connection too; what it is handed waits for the disk. A run has
    -- no connection: its wait is kept with its snapshot.
    if p_run_seq is null then
        perform guildhall.commit_need_not_wait();
    end if;
    insert into guildhall.lock_waiters as w (
        holder, run_id, reason, priority, born_at, ttl_s, announced, resources, modes, requested_at, deadline_at,
        next_wake_at, run_seq, run_step, run_fences
    ) values (
        p_holder, p_run_id, p_reason, p_priority,
        coalesce((select r.created_at from guildhall.runs r where r.id = p_run_id), p_now), p_ttl_s, p_announced,
        p_resources, p_modes, p_now, p_now + make_interval(secs => p_wait_s),
        p_now + make_interval(secs => case when p_run_seq is null then least(p_wait_s, 5) else p_wait_s end),
        p_run_seq, p_run_step, p_run_fences
    )
    returning w.* into strict v_waiter;
    insert into guildhall.lock_wants (root, resource, ticket, mode, priority, holder, run_id)
    select guildhall.lock_root(r.resource), r.resource, v_waiter.ticket, r.mode, p_priority, p_holder, p_run_id
    from unnest(p_resources, p_modes) r (resource, mode);
    -- Only somebody for whom somebody else can wait closes a cycle: he holds something, waits elsewhere too, or stands
    -- in front of others.
    if exists (select from guildhall.lock_grants g where g.holder = p_holder or g.run_id = p_run_id)
        or exists (
            select from guildhall.lock_waiters w
            where (w.holder = p_holder or w.run_id = p_run_id) and w.ticket <> v_waiter.ticket)
        or exists (
            select from guildhall.lock_wants w
            where w.root in (select guildhall.lock_root(r.resource) from unnest(p_resources) r (resource))
                and w.priority < p_priority)
    then
        -- One search at a time, so that of two who close a cycle together the second sees the first.
        perform pg_advisory_xact_lock(7310868735422460);
        loop
            v_cycle := guildhall.lock_cycle(v_waiter.ticket);
            exit when v_cycle is null;
            select w.* into v_victim from guildhall.lock_waiters w
            where w.ticket in (select (e.value ->> 'ticket')::bigint from jsonb_array_elements(v_cycle) e)
            order by w.priority, w.born_at desc, w.ticket desc limit 1;
            if v_victim.ticket = v_waiter.ticket then
                delete from guildhall.lock_waiters w where w.ticket = v_waiter.ticket;
                perform guildhall.lock_give_up(v_waiter, 'deadlock', v_cycle, p_now);
                return query select 'deadlock', null::bigint, v_cycle, bells;
                return;
            end if;
            update guildhall.lock_waiters w
            set state = 'deadlock', cycle = v_cycle,
                -- For a run, lock_sweep takes notice.
                next_wake_at = case when w.run_seq is null then w.next_wake_at else p_now end
            where w.ticket = v_victim.ticket and w.state in ('waiting', 'due');
            if found then
                v_gave_way := true;
                delete from guildhall.lock_wants x where x.ticket = v_victim.ticket;
                perform guildhall.lock_give_up(v_victim, 'deadlock', v_cycle, p_now);
                if v_victim.run_seq is null then
                    bells := bells || to_jsonb(v_victim.ticket);
                else
                    perform guildhall.run_tell(v_victim.run_id, guildhall.run_deadlock(
                        v_victim.run_step, v_victim.run_seq, v_victim.resources, v_cycle), p_now);
                end if;
            end if;
        end loop;
        if v_gave_way then
            -- The victim may have stood in front of us; what it leaves elsewhere is handed over when it takes notice.
            bells := bells || guildhall.lock_settle((
                select array_agg(distinct guildhall.lock_root(r.resource)) from unnest(p_resources) r (resource)), p_now);
        end if;
    end if;
    return query select 'waiting', v_waiter.ticket, null::jsonb, bells;
end;
$$;
comment on function guildhall.lock_wait(
    text[], text[], text, uuid, text, smallint, bigint, bigint, boolean, timestamptz, bigint, text, jsonb) is
    'Internal. Queues for locks, unless that closes a cycle in which this waiter is the one to give way.';

create or replace function guildhall.lock_collect(p_waiter guildhall.lock_waiters)
returns table (outcome text, locks jsonb)
language plpgsql volatile set search_path = '' set plan_cache_mode = 'force_generic_plan' as $$
declare
    v_now timestamptz;
begin
    if cardinality(p_waiter.resources) > 1 then
        perform guildhall.lock_roots_take((
            select array_agg(guildhall.lock_root(r.resource)) from unnest(p_waiter.resources) r (resource)));
    end if;
    perform from (
        select from guildhall.lock_grants g
        where (g.root, g.resource, g.fencing_token) in (
            select guildhall.lock_root(r.resource), r.resource, r.token
            from unnest(p_waiter.resources, p_waiter.fencing_tokens) r (resource, token))
        order by g.root, g.resource
        for no key update
    ) taken;
    v_now := guildhall.clock();
    select jsonb_agg(guildhall.lock_grant_json(g) || jsonb_build_object('expires_at',
        greatest(g.expires_at, p_waiter.granted_at + make_interval(secs => p_waiter.ttl_s))) order by g.resource)
    into locks
    from unnest(p_waiter.resources, p_waiter.fencing_tokens) r (resource, token)
    join guildhall.lock_grants g on g.root = guildhall.lock_root(r.resource) and g.resource = r.resource
        and g.fencing_token = r.token
    where g.expires_at > v_now;
    if coalesce(jsonb_array_length(locks), 0) < cardinality(p_waiter.resources) then
        return query select 'timed_out', '[]'::jsonb;
        return;
    end if;
    update guildhall.lock_grants g
    set expires_at = greatest(g.expires_at, p_waiter.granted_at + make_interval(secs => p_waiter.ttl_s))
    from unnest(p_waiter.resources, p_waiter.fencing_tokens) r (resource, token)
    where g.root = guildhall.lock_root(r.resource) and g.resource = r.resource and g.fencing_token = r.token;
    delete from guildhall.lock_waiters w where w.ticket = p_waiter.ticket;
    return query select 'acquired', locks;
end;
$$;
comment on function guildhall.lock_collect(guildhall.lock_waiters) is
    'Internal. Lets what a waiter was handed last for its full time, unless it took notice of it too late.';

drop function if exists guildhall.lock_wait_status(bigint);
create or replace function guildhall.lock_wait_status(p_ticket bigint, p_holder text)
returns table (outcome text, locks jsonb, cycle jsonb, bells jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_waiter guildhall.lock_waiters;
    v_now timestamptz;
begin
    -- A wait does not wait for the disk, so after a crash its ticket may be given once more, to another holder.
    select w.* into v_waiter from guildhall.lock_waiters w where w.ticket = p_ticket and w.holder = p_holder and w.run_seq is null;
    if not found then
        return query select 'timed_out', '[]'::jsonb, null::jsonb, '[]'::jsonb;
    elsif v_waiter.state = 'waiting' then
        v_now := guildhall.clock();
        -- Says, now and then, that somebody is still there.
        if v_waiter.next_wake_at < least(v_waiter.deadline_at, v_now + interval '3 s') then
            perform guildhall.commit_need_not_wait();
            update guildhall.lock_waiters w set next_wake_at = least(w.deadline_at, v_now + interval '5 s')
            where w.ticket = p_ticket and w.state = 'waiting';
        end if;
        return query select 'waiting', '[]'::jsonb, null::jsonb, '[]'::jsonb;
    elsif v_waiter.state = 'granted' then
        return query select c.outcome, c.locks, null::jsonb, '[]'::jsonb from guildhall.lock_collect(v_waiter) c;
    else
        return query select a.* from guildhall.lock_wait_act(v_waiter, false) a;
    end if;
end;
$$;
comment on function guildhall.lock_wait_status(bigint, text) is
    'How a wait stands, from its own row: waiting, acquired (with the grants), deadlock (with the cycle) or timed_out.';

create or replace function guildhall.lock_wait_act(p_waiter guildhall.lock_waiters, p_last boolean)
returns table (outcome text, locks jsonb, cycle jsonb, bells jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_roots text[] := (
        select array_agg(distinct guildhall.lock_root(r.resource)) from unnest(p_waiter.resources) r (resource));
    v_waiter guildhall.lock_waiters;
    v_now timestamptz;
begin
    perform guildhall.lock_roots_take(v_roots);
    v_now := guildhall.clock();
    -- Grants before waiters, as lock_collect has them.
    perform guildhall.lock_expire(v_roots, v_now);
    update guildhall.lock_waiters w
    set state = case when w.state = 'due' then 'waiting' else w.state end,
        next_wake_at = case when w.state in ('due', 'waiting') then least(w.deadline_at, v_now + interval '5 s')
            else w.next_wake_at end
    where w.ticket = p_waiter.ticket;
    bells := guildhall.lock_settle(v_roots, v_now);
    select w.* into v_waiter from guildhall.lock_waiters w where w.ticket = p_waiter.ticket;
    if not found then
        return query select 'timed_out', '[]'::jsonb, null::jsonb, bells;
    elsif v_waiter.state = 'granted' then
        return query select c.outcome, c.locks, null::jsonb, bells from guildhall.lock_collect(v_waiter) c;
    elsif v_waiter.state = 'deadlock' then
        delete from guildhall.lock_waiters w where w.ticket = v_waiter.ticket;
        return query select 'deadlock', '[]'::jsonb, v_waiter.cycle, bells;
    elsif p_last then
        delete from guildhall.lock_waiters w where w.ticket = v_waiter.ticket;
        perform guildhall.lock_give_up(v_waiter, 'timed_out', null, v_now);
        bells := bells || guildhall.lock_settle(v_roots, v_now);
        return query select 'timed_out', '[]'::jsonb, null::jsonb, bells;
    else
        return query select 'waiting', '[]'::jsonb, null::jsonb, bells;
    end if;
end;
$$;
comment on function guildhall.lock_wait_act(guildhall.lock_waiters, boolean) is
    'Internal. Tries for a waiter with all its roots locked; the last time, it leaves the queue when that is in vain.';

drop function if exists guildhall.lock_wait_cancel(bigint);
create or replace function guildhall.lock_wait_cancel(p_ticket bigint, p_holder text)
returns table (outcome text, locks jsonb, cycle jsonb, bells jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_waiter guildhall.lock_waiters;
begin
    select w.* into v_waiter from guildhall.lock_waiters w where w.ticket = p_ticket and w.holder = p_holder and w.run_seq is null;
    if not found then
        return query select 'timed_out', '[]'::jsonb, null::jsonb, '[]'::jsonb;
    else
        return query select a.* from guildhall.lock_wait_act(v_waiter, true) a;
    end if;
end;
$$;
comment on function guildhall.lock_wait_cancel(bigint, text) is
    'Ends a wait: timed_out, and the queue moves up; but acquired when it was the waiter''s turn already.';

create or replace function guildhall.lock_sweep(p_limit bigint) returns integer
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_waiter guildhall.lock_waiters;
    v_root text;
    v_taken boolean;
    v_count integer := 0;
    v_roots text[];
begin
    for v_root in
        select distinct g.root from guildhall.lock_grants g where g.expires_at <= v_now order by g.root limit p_limit
    loop
        perform from guildhall.locks l where l.resource = v_root for no key update skip locked;
        continue when not found;
        v_count := v_count + guildhall.lock_expire(array[v_root], v_now);
        perform guildhall.lock_settle(array[v_root], v_now);
    end loop;
    for v_waiter in
        select w.* from guildhall.lock_waiters w
        where w.next_wake_at <= v_now or (w.state = 'due' and w.run_seq is not null)
        order by w.ticket limit p_limit
    loop
        v_roots := (select array_agg(distinct guildhall.lock_root(r.resource)) from unnest(v_waiter.resources) r (resource));
        v_taken := true;
        foreach v_root in array v_roots loop
            perform from guildhall.locks l where l.resource = v_root for no key update skip locked;
            v_taken := v_taken and found;
        end loop;
        continue when not v_taken;
        -- Grants before waiters, as lock_collect has them.
        perform guildhall.lock_expire(v_roots, v_now);
        -- Nobody tries for a run but this.
        update guildhall.lock_waiters w set state = 'waiting'
        where w.ticket = v_waiter.ticket and w.state = 'due' and w.run_seq is not null;
        if found then
            perform guildhall.lock_settle(v_roots, v_now);
            continue;
        end if;
        delete from guildhall.lock_waiters w
        where w.ticket = v_waiter.ticket and w.next_wake_at <= v_now
        returning w.* into v_waiter;
        continue when not found;
        if v_waiter.state in ('waiting', 'due') then
            perform guildhall.lock_give_up(v_waiter, 'timed_out', null, v_now);
            v_count := v_count + 1;
        end if;
        perform guildhall.lock_settle(v_roots, v_now);
    end loop;
    return v_count;
end;
$$;
comment on function guildhall.lock_sweep(bigint) is
    'Internal. Ends up to p_limit trees'' grants and p_limit waits whose time is up, and hands over what that frees.';
