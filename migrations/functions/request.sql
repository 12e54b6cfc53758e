-- Requests. queued ⇄ leased → succeeded | failed | dead; queued | leased → timed_out | cancelled.
--
-- An epoch fences: whoever holds an older one than the row's can change nothing. A lease that has run out but was not
-- taken over still lets its attempt report, because nobody else has begun; it can no longer be renewed.

create or replace function guildhall.request_json(p_request guildhall.requests) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object(
        'id', (p_request).id, 'run_id', (p_request).run_id, 'step', (p_request).step, 'skill', (p_request).skill,
        'agent', coalesce((p_request).agent, (p_request).agent_wanted), 'input', (p_request).input,
        'requester', (p_request).requester, 'state', (p_request).state, 'attempt', (p_request).attempt,
        'max_attempts', (p_request).max_attempts, 'result', (p_request).result, 'error', (p_request).error,
        'created_at', (p_request).created_at, 'deadline_at', (p_request).deadline_at,
        'finished_at', (p_request).finished_at, 'priority', (p_request).priority, 'source', (p_request).source,
        'correlation_id', (p_request).correlation_id, 'causation_id', (p_request).causation_id,
        'callback_url', (p_request).callback_url, 'broadcast_id', (p_request).broadcast_id,
        'life', (p_request).life, 'retry_of', (p_request).retry_of, 'letter', (p_request).letter
    );
end;
$$;
comment on function guildhall.request_json(guildhall.requests) is
    'Internal. A request in the shape of the domain type Request.';

create or replace function guildhall.request_priority(p_request jsonb) returns text
language plpgsql immutable set search_path = '' as $$
declare
    v_value jsonb := coalesce(p_request -> 'priority', 'null');
begin
    if v_value = 'null' then
        return 'normal';
    elsif v_value in ('"low"', '"normal"', '"high"', '"urgent"') then
        return v_value #>> '{}';
    end if;
    -- Definitions that were stored before there were names have 0 to 9.
    return case guildhall.ensure_field_int(p_request, 'priority', 0, 0, 9)
        when 0 then 'normal' when 1 then 'high' when 2 then 'high' when 3 then 'high' when 4 then 'high'
        else 'urgent' end;
end;
$$;
comment on function guildhall.request_priority(jsonb) is
    'Internal. The priority that a request or command asks for: low, normal, high or urgent.';

create or replace function guildhall.request_boost(p_priority text) returns interval
language plpgsql immutable set search_path = '' as $$
begin
    return case p_priority
        when 'urgent' then interval '300 s' when 'high' then interval '60 s'
        when 'low' then interval '-120 s' else interval '0 s' end;
end;
$$;
comment on function guildhall.request_boost(text) is
    'Internal. By how much a priority seems to have come earlier; so nobody is overtaken for ever.';

create or replace function guildhall.request_field(p_request jsonb, p_key text, p_max bigint) returns text
language plpgsql immutable set search_path = '' as $$
begin
    return case when coalesce(jsonb_typeof(p_request -> p_key), 'null') <> 'null'
        then guildhall.ensure_field_text(p_request, p_key, p_max) end;
end;
$$;
comment on function guildhall.request_field(jsonb, text, bigint) is
    'Internal. A string member that may be absent or null.';

create or replace function guildhall.request_insert(
    p_request jsonb, p_requester text, p_run_id uuid, p_step text, p_idempotency_key text, p_fingerprint text,
    p_now timestamptz, p_options jsonb default '{}'
) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
    v_priority text := guildhall.request_priority(p_request);
    v_request guildhall.requests;
begin
    if jsonb_typeof(p_request) is distinct from 'object' or not p_request ? 'input' then
        raise exception using errcode = 'GH001', message = 'a request must be an object with skill and input';
    end if;
    insert into guildhall.requests as r (
        run_id, step, skill, agent_wanted, input, requester, priority, queue_at, state, max_attempts, next_wake_at,
        deadline_at, idempotency_key, fingerprint, created_at, source, correlation_id, causation_id, traceparent,
        callback_url, schema_digest, broadcast_id, mailbox, ticket, life, retry_of, seq, fences
    ) values (
        p_run_id, p_step, guildhall.ensure_field_text(p_request, 'skill', 200),
        guildhall.request_field(p_request, 'agent', 200), p_request -> 'input',
        p_requester, v_priority, p_now - guildhall.request_boost(v_priority), 'queued',
        guildhall.ensure_field_int(p_request, 'max_attempts', 3, 1, 65535), p_now,
        p_now + make_interval(secs => guildhall.ensure_field_int(p_request, 'timeout_s', 600, 1, 4294967295)),
        p_idempotency_key, p_fingerprint, p_now, guildhall.request_field(p_request, 'source', 200),
        guildhall.request_field(p_request, 'correlation_id', 200), guildhall.request_field(p_request, 'causation_id', 200),
        p_options ->> 'traceparent', guildhall.request_field(p_request, 'callback_url', 2000),
        p_options ->> 'schema_digest', (p_options ->> 'broadcast_id')::uuid, p_options ->> 'mailbox',
        p_options ->> 'ticket', coalesce((p_options ->> 'life')::int, 1), (p_options ->> 'retry_of')::uuid,
        (p_options ->> 'seq')::bigint, nullif(p_options -> 'fences', 'null')
    )
    on conflict (requester, idempotency_key) where idempotency_key is not null do nothing
    returning r.* into v_request;
    if v_request.id is not null then
        perform guildhall.request_tell(v_request, 'queued', null, p_now);
    end if;
    return v_request.id;
end;
$$;
comment on function guildhall.request_insert(jsonb, text, uuid, text, text, text, timestamptz, jsonb) is
    'Internal. Queues a request, due at once; null when the requester''s idempotency key is taken.';

create or replace function guildhall.request_tell(
    p_request guildhall.requests, p_state text, p_result jsonb, p_now timestamptz
) returns void
language plpgsql volatile set search_path = '' as $$
begin
    perform guildhall.outbox_emit('dev.guildhall.request.' || p_state || '.v1', (p_request).id::text,
        jsonb_build_object('request_id', (p_request).id, 'run_id', (p_request).run_id, 'step', (p_request).step,
            'skill', (p_request).skill, 'agent', coalesce((p_request).agent, (p_request).agent_wanted),
            'state', p_state, 'attempt', (p_request).attempt, 'error', (p_request).error,
            'correlation_id', (p_request).correlation_id, 'causation_id', (p_request).causation_id,
            -- Inside a run the result belongs to the run; outside, this event is the reply.
            'result', case when (p_request).run_id is null then p_result end), p_now, (p_request).traceparent);
end;
$$;
comment on function guildhall.request_tell(guildhall.requests, text, jsonb, timestamptz) is
    'Internal. Records the event that a request has entered a state.';

create or replace function guildhall.request_lease(
    p_id uuid, p_agent text, p_seat integer, p_worker text, p_lease_s bigint, p_now timestamptz
) returns guildhall.requests
language plpgsql volatile set search_path = '' as $$
declare
    v_request guildhall.requests;
begin
    update guildhall.requests r
    set state = 'leased', epoch = r.epoch + 1, attempt = r.attempt + 1, lease_owner = p_worker, agent = p_agent,
        seat = p_seat,
        lease_expires_at = p_now + make_interval(secs => p_lease_s),
        next_wake_at = p_now + make_interval(secs => p_lease_s),
        first_leased_at = coalesce(r.first_leased_at, p_now)
    where r.id = p_id
    returning r.* into strict v_request;
    perform guildhall.request_tell(v_request, 'leased', null, p_now);
    return v_request;
end;
$$;
comment on function guildhall.request_lease(uuid, text, integer, text, bigint, timestamptz) is
    'Internal. Begins an attempt; the caller holds the request and a seat with the agent.';

create or replace function guildhall.request_slot(p_id uuid, p_skill text, p_agent text, p_now timestamptz)
returns table (agent_id text, url text, is_remote boolean, seat integer)
language plpgsql volatile set search_path = '' as $$
declare
    v_agent record;
    v_taken integer;
    v_seat integer;
begin
    for v_agent in
        select a.agent_id, a.url, a.is_remote, a.max_concurrency from guildhall.agent_assignable(p_skill, p_agent, p_now) a
        order by a.rank desc, a.agent_id
    loop
        select count(*)::integer into v_taken from guildhall.requests r
        where r.agent = v_agent.agent_id and r.state = 'leased' and r.id <> p_id;
        continue when v_taken >= v_agent.max_concurrency;
        -- A seat is locked until its lease is committed, and each lease has another: so they commit side by side, and
        -- there are never more of them than seats. That many others are being taken at this moment is not waited for.
        for v_seat in
            select s.seat from generate_series(1, least(v_agent.max_concurrency, v_taken + 64)) s (seat)
            where not exists (
                select from guildhall.requests r
                where r.agent = v_agent.agent_id and r.state = 'leased' and r.seat = s.seat and r.id <> p_id)
            order by 1
        loop
            continue when not pg_try_advisory_xact_lock(hashtextextended(v_agent.agent_id, v_seat));
            -- Whoever had the lock until just now has committed since we looked.
            continue when exists (
                select from guildhall.requests r
                where r.agent = v_agent.agent_id and r.state = 'leased' and r.seat = v_seat and r.id <> p_id);
            return query select v_agent.agent_id, v_agent.url, v_agent.is_remote, v_seat;
            return;
        end loop;
    end loop;
end;
$$;
comment on function guildhall.request_slot(uuid, text, text, timestamptz) is
    'Internal. The best live agent with room for one more, and a seat with it that is ours; no row when there is none.';

create or replace function guildhall.request_wire(p_request guildhall.requests) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object(
        'request_id', (p_request).id, 'epoch', (p_request).epoch, 'attempt', (p_request).attempt,
        'run_id', (p_request).run_id, 'step', (p_request).step, 'skill', (p_request).skill,
        'input', (p_request).input, 'requester', (p_request).requester,
        'idempotency_key', coalesce((p_request).run_id || (p_request).step, 'request/' || (p_request).id),
        'deadline_at', (p_request).deadline_at, 'fences', coalesce((p_request).fences, '[]'));
end;
$$;
comment on function guildhall.request_wire(guildhall.requests) is
    'Internal. What an agent is sent: the domain type AgentRequest.';

create or replace function guildhall.request_submit(
    p_request jsonb, p_requester text, p_idempotency_key text, p_fingerprint text, p_options jsonb
) returns table (outcome text, request jsonb, input_schema jsonb, schema_digest text, claimed jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_skill text := guildhall.ensure_field_text(p_request, 'skill', 200);
    v_agent text := guildhall.request_field(p_request, 'agent', 200);
    v_now timestamptz := guildhall.clock();
    v_offer record;
    v_id uuid;
    v_request guildhall.requests;
    v_slot record;
    v_claimed jsonb;
begin
    perform guildhall.ensure_text('requester', p_requester, 200);
    if p_idempotency_key is not null then
        perform guildhall.ensure_text('idempotency_key', p_idempotency_key, 200);
        perform guildhall.ensure_text('fingerprint', p_fingerprint, 200);
        select r.* into v_request from guildhall.requests r
        where r.requester = p_requester and r.idempotency_key = p_idempotency_key;
        if v_request.id is not null then
            return query select
                case when v_request.fingerprint = p_fingerprint then 'exists' else 'conflict' end,
                case when v_request.fingerprint = p_fingerprint then guildhall.request_json(v_request) end,
                null::jsonb, null::text, null::jsonb;
            return;
        end if;
    end if;
    select a.input_schema, a.schema_digest, sum(a.max_queue) over () as max_queue into v_offer
    from guildhall.agent_assignable(v_skill, v_agent, v_now) a
    order by a.schema_digest is distinct from p_options ->> 'schema_digest', a.rank desc, a.agent_id
    limit 1;
    if not found then
        -- Nobody is live: the skill's last known schema still tells what will be taken.
        select x.content -> 'inputSchema' as input_schema,
            guildhall.schema_digest(x.content -> 'inputSchema') as schema_digest, 100::bigint as max_queue
        into v_offer
        from guildhall.agent_skills s
        join guildhall.skills x on x.skill_no = s.skill_no
        join guildhall.agent_liveness l on l.agent_id = s.agent_id
        where s.skill_id = v_skill and s.agent_id = coalesce(v_agent, s.agent_id)
        order by l.heartbeat_at desc limit 1;
        if not found then
            return query select 'unknown_skill', null::jsonb, null::jsonb, null::text, null::jsonb;
            return;
        end if;
    end if;
    if v_offer.schema_digest is distinct from p_options ->> 'schema_digest' and v_offer.schema_digest is not null then
        return query select 'schema_changed', null::jsonb, v_offer.input_schema, v_offer.schema_digest, null::jsonb;
        return;
    end if;
    if (select count(*) from (
            select from guildhall.requests r
            where r.skill = v_skill and r.state = 'queued' and r.agent_wanted is not distinct from v_agent
            limit v_offer.max_queue) q) >= v_offer.max_queue
    then
        return query select 'queue_full', null::jsonb, null::jsonb, null::text, null::jsonb;
        return;
    elsif exists (select from guildhall.requests r where r.finished_at is null order by r.queue_at offset 20000 limit 1)
    then
        return query select 'overloaded', null::jsonb, null::jsonb, null::text, null::jsonb;
        return;
    end if;
    v_id := guildhall.request_insert(p_request, p_requester, null, null, p_idempotency_key,
        case when p_idempotency_key is not null then p_fingerprint end, v_now, p_options);
    if v_id is null then
        -- The same key came at the same moment and was first.
        select r.* into strict v_request from guildhall.requests r
        where r.requester = p_requester and r.idempotency_key = p_idempotency_key;
        return query select
            case when v_request.fingerprint = p_fingerprint then 'exists' else 'conflict' end,
            case when v_request.fingerprint = p_fingerprint then guildhall.request_json(v_request) end,
            null::jsonb, null::text, null::jsonb;
        return;
    end if;
    if p_options ? 'worker' and not exists (
        -- Whoever waits for this skill already is served first.
        select from guildhall.requests r
        where r.skill = v_skill and r.state = 'queued' and r.id <> v_id and r.next_wake_at <= v_now
            and (r.agent_wanted is null or v_agent is null or r.agent_wanted = v_agent))
    then
        -- The lease begins at the moment for which the agent was looked up: a later one might be after the agent's own end.
        v_now := guildhall.clock();
        select s.* into v_slot from guildhall.request_slot(v_id, v_skill, v_agent, v_now) s;
        if v_slot.agent_id is not null then
            v_request := guildhall.request_lease(v_id, v_slot.agent_id, v_slot.seat, p_options ->> 'worker',
                guildhall.ensure_field_int(p_options, 'lease_s', 10, 1, 3600), v_now);
            v_claimed := jsonb_build_object('request', guildhall.request_wire(v_request), 'agent', v_slot.agent_id,
                'url', v_slot.url, 'is_remote', v_slot.is_remote, 'traceparent', v_request.traceparent,
                'lease_ms', guildhall.ensure_field_int(p_options, 'lease_s', 10, 1, 3600) * 1000);
        end if;
    end if;
    select r.* into strict v_request from guildhall.requests r where r.id = v_id;
    return query select case when v_claimed is null then 'accepted' else 'leased' end,
        guildhall.request_json(v_request), null::jsonb, null::text, v_claimed;
end;
$$;
comment on function guildhall.request_submit(jsonb, text, text, text, jsonb) is
    'Accepts a request that belongs to no run, its input validated against the schema of this digest; with a worker in the options it is leased to it at once when an agent has room.';

create or replace function guildhall.request_finish(
    p_id uuid, p_state text, p_result jsonb, p_error jsonb, p_tell_run boolean, p_now timestamptz
) returns void
language plpgsql volatile set search_path = '' as $$
declare
    v_request guildhall.requests;
begin
    update guildhall.requests r
    set state = p_state, result = p_result, error = coalesce(p_error, case when p_result is null then r.error end),
        lease_owner = null, lease_expires_at = null, next_wake_at = null, finished_at = p_now,
        letter = case when r.run_id is null and p_state in ('dead', 'timed_out') then 'open' end
    where r.id = p_id
    returning r.* into strict v_request;
    if v_request.run_id is not null and p_tell_run then
        perform guildhall.run_tell(v_request.run_id, jsonb_build_object('step', v_request.step, 'seq', v_request.seq)
            || case when p_state = 'succeeded' then jsonb_build_object('event', 'completed', 'output', p_result)
            else jsonb_build_object('event', 'failed', 'error', guildhall.run_problem(v_request.error, p_state)) end, p_now);
    end if;
    perform guildhall.request_tell(v_request, p_state, p_result, p_now);
    if v_request.callback_url is not null then
        insert into guildhall.callbacks (request_id, url, event, state, next_wake_at, created_at)
        select p_id, v_request.callback_url, e.event, 'pending', p_now, p_now
        from guildhall.events e
        where e.subject = p_id::text and e.at = p_now and e.type = 'dev.guildhall.request.' || p_state || '.v1';
    end if;
end;
$$;
comment on function guildhall.request_finish(uuid, text, jsonb, jsonb, boolean, timestamptz) is
    'Internal. Ends a request and, when told to, tells its run; the caller holds the request.';

create or replace function guildhall.request_lock(p_id uuid) returns guildhall.requests
language plpgsql volatile set search_path = '' as $$
declare
    v_request guildhall.requests;
begin
    select r.* into v_request from guildhall.requests r where r.id = p_id for no key update;
    return v_request;
end;
$$;
comment on function guildhall.request_lock(uuid) is
    'Internal. Locks a request and gives it as it then is; nulls when unknown. Its run is told in the inbox, not locked.';

create or replace function guildhall.request_sweep(p_limit bigint) returns integer
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_over record;
    v_request guildhall.requests;
    v_count integer := 0;
begin
    for v_over in
        select r.id from guildhall.requests r
        where r.finished_at is null
            and (r.deadline_at <= v_now or (r.attempt >= r.max_attempts and r.lease_expires_at <= v_now))
        order by r.created_at, r.id
        limit p_limit
    loop
        -- Who holds the request now is changing it; the next sweep sees what became of it.
        select r.* into v_request from guildhall.requests r
        where r.id = v_over.id and r.finished_at is null
        for no key update skip locked;
        continue when not found;
        if v_request.deadline_at <= v_now then
            perform guildhall.request_finish(v_request.id, 'timed_out', null, jsonb_build_object(
                'code', 'timed_out', 'retryable', false, 'detail', format(
                    'no result within %s s after %s of %s attempts%s',
                    round(extract(epoch from v_request.deadline_at - v_request.created_at)),
                    v_request.attempt, v_request.max_attempts,
                    coalesce('; the last error was: ' || (v_request.error ->> 'detail'), ''))), true, v_now);
            v_count := v_count + 1;
        elsif v_request.attempt >= v_request.max_attempts and v_request.lease_expires_at <= v_now then
            perform guildhall.request_finish(v_request.id, 'dead', null, jsonb_build_object(
                'code', 'unreachable', 'retryable', false, 'detail', format(
                    'the worker of attempt %s of %s was not heard of again', v_request.attempt,
                    v_request.max_attempts)), true, v_now);
            v_count := v_count + 1;
        end if;
    end loop;
    return v_count;
end;
$$;
comment on function guildhall.request_sweep(bigint) is
    'Internal. Ends up to p_limit requests that are past their deadline, or whose last attempt lost its lease.';

create or replace function guildhall.request_claim(p_worker text, p_limit bigint, p_lease_s bigint)
returns table (request jsonb, agent text, lease_ms bigint, url text, is_remote boolean, traceparent text)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz;
    v_due record;
    v_full text[] := '{}'::text[];
    v_slot record;
    v_request guildhall.requests;
    v_count bigint := 0::bigint;
begin
    perform guildhall.ensure_text('worker', p_worker, 200);
    perform guildhall.ensure_int('limit', p_limit, 1, 100);
    perform guildhall.ensure_int('lease_s', p_lease_s, 1, 3600);
    perform guildhall.request_sweep(100);
    v_now := guildhall.clock();
    for v_due in
        select r.id, r.state, r.skill, r.agent_wanted, r.skill || ' ' || coalesce(r.agent_wanted, '') as wish
        from guildhall.requests r
        where r.finished_at is null
            and r.next_wake_at <= v_now
            and (r.lease_expires_at is null or r.lease_expires_at <= v_now)
            and r.deadline_at > v_now
            and r.attempt < r.max_attempts
        order by r.queue_at, r.id
    loop
        exit when v_count >= p_limit;
        -- Nobody has room for this wish: the next one may be for others. What is taken over has a place already.
        continue when v_due.state = 'queued' and v_due.wish = any (v_full);
        select r.* into v_request from guildhall.requests r
        where r.id = v_due.id and r.finished_at is null and r.next_wake_at <= v_now
            and (r.lease_expires_at is null or r.lease_expires_at <= v_now)
            and r.deadline_at > v_now and r.attempt < r.max_attempts
        for no key update skip locked;
        continue when not found;
        select s.* into v_slot from guildhall.request_slot(v_due.id, v_due.skill, v_due.agent_wanted, v_now) s;
        if v_slot.agent_id is null then
            v_full := v_full || v_due.wish;
            continue;
        end if;
        v_request := guildhall.request_lease(v_due.id, v_slot.agent_id, v_slot.seat, p_worker, p_lease_s, v_now);
        v_count := v_count + 1;
        return query select guildhall.request_wire(v_request), v_slot.agent_id, p_lease_s * 1000, v_slot.url,
            v_slot.is_remote, v_request.traceparent;
    end loop;
end;
$$;
comment on function guildhall.request_claim(text, bigint, bigint) is
    'Leases due requests for which a live agent has room, by virtual arrival; takes over leases that ran out.';

create or replace function guildhall.request_renew(p_id text, p_epoch bigint, p_lease_s bigint)
returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
    v_request guildhall.requests;
    v_now timestamptz;
begin
    perform guildhall.ensure_int('lease_s', p_lease_s, 1, 3600);
    select r.* into v_request from guildhall.requests r where r.id = v_id for no key update;
    v_now := guildhall.clock();
    if v_request.state = 'leased' and v_request.epoch = p_epoch
        and v_request.lease_expires_at > v_now and v_request.deadline_at > v_now
    then
        update guildhall.requests r
        set lease_expires_at = greatest(r.lease_expires_at, v_now + make_interval(secs => p_lease_s))
        where r.id = v_id;
        return 'renewed';
    else
        return 'stale';
    end if;
end;
$$;
comment on function guildhall.request_renew(text, bigint, bigint) is
    'Extends the lease of an attempt, never shortens it; stale when the lease ran out or the request moved on.';

create or replace function guildhall.request_complete(p_id text, p_epoch bigint, p_result jsonb)
returns table (outcome text, mailbox text, ticket text, finished_at timestamptz)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
    v_request guildhall.requests := guildhall.request_lock(v_id);
    v_now timestamptz := guildhall.clock();
begin
    if p_result is null then
        raise exception using errcode = 'GH001', message = 'a result must be a JSON value; null is spelled null';
    end if;
    if v_request.state = 'succeeded' and v_request.epoch = p_epoch then
        -- The same report again: its answer was lost on the way.
        return query select 'completed', v_request.mailbox, v_request.ticket, coalesce(v_request.finished_at, v_now);
    elsif v_request.state = 'leased' and v_request.epoch = p_epoch and v_request.deadline_at > v_now then
        perform guildhall.request_finish(v_id, 'succeeded', p_result, null, true, v_now);
        return query select 'completed', v_request.mailbox, v_request.ticket, coalesce(v_request.finished_at, v_now);
    else
        return query select 'stale', null::text, null::text, null::timestamptz;
    end if;
end;
$$;
comment on function guildhall.request_complete(text, bigint, jsonb) is
    'Ends a request with the result of the attempt that holds it, and tells its run.';

create or replace function guildhall.request_fail(p_id text, p_epoch bigint, p_error jsonb)
returns table (outcome text, mailbox text, ticket text, finished_at timestamptz)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
    v_request guildhall.requests := guildhall.request_lock(v_id);
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_field_text(p_error, 'code', 200);
    perform guildhall.ensure_field_text(p_error, 'detail', 1000000);
    if v_request.state is distinct from 'leased' or v_request.epoch <> p_epoch or v_request.deadline_at <= v_now then
        return query select 'stale', null::text, null::text, null::timestamptz;
    elsif p_error ->> 'code' in ('unknown_skill', 'invalid_parameter', 'invalid_input') then
        -- The agent would not begin, and another attempt would meet the same no.
        perform guildhall.request_finish(v_id, 'rejected', null, p_error, true, v_now);
        return query select 'rejected', v_request.mailbox, v_request.ticket, coalesce(v_request.finished_at, v_now);
    elsif p_error -> 'retryable' is distinct from 'true' then
        perform guildhall.request_finish(v_id, 'failed', null, p_error, true, v_now);
        return query select 'failed', v_request.mailbox, v_request.ticket, coalesce(v_request.finished_at, v_now);
    elsif v_request.attempt >= v_request.max_attempts then
        perform guildhall.request_finish(v_id, 'dead', null, p_error, true, v_now);
        return query select 'dead', v_request.mailbox, v_request.ticket, coalesce(v_request.finished_at, v_now);
    else
        -- Half a second, doubled with each attempt, at most 30 s, and spread so that many do not come back at once.
        update guildhall.requests r
        set state = 'queued', lease_owner = null, lease_expires_at = null, agent = null, error = p_error,
            next_wake_at = v_now + make_interval(secs =>
                least(30, 0.5 * 2 ^ least(r.attempt - 1, 10)) * (0.5 + random() / 2))
        where r.id = v_id
        returning r.* into strict v_request;
        perform guildhall.request_tell(v_request, 'queued', null, v_now);
        return query select 'retry', null::text, null::text, null::timestamptz;
    end if;
end;
$$;
comment on function guildhall.request_fail(text, bigint, jsonb) is
    'Records why the attempt that holds a request failed: tried again later when retryable and attempts are left.';

create or replace function guildhall.request_cancel(p_id text, p_by text, p_reason text)
returns table (outcome text, request jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
    v_request guildhall.requests := guildhall.request_lock(v_id);
    v_outcome text := 'already_ended';
begin
    perform guildhall.ensure_text('by', p_by, 200);
    perform guildhall.ensure_text('reason', p_reason, 2000);
    if v_request.id is null then
        return query select 'not_found', null::jsonb;
        return;
    end if;
    if v_request.finished_at is null then
        v_outcome := 'cancelled';
        perform guildhall.request_finish(v_id, 'cancelled', null, jsonb_build_object(
            'code', 'cancelled', 'detail', format('%s withdrew it: %s', p_by, p_reason), 'retryable', false),
            true, guildhall.clock());
        select r.* into strict v_request from guildhall.requests r where r.id = v_id;
    end if;
    return query select v_outcome, guildhall.request_json(v_request);
end;
$$;
comment on function guildhall.request_cancel(text, text, text) is
    'Withdraws a request; the step of its run fails. What is under way learns it at its next renewal.';

create or replace function guildhall.request_get(p_id text) returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
begin
    return query select guildhall.request_json(r) from guildhall.requests r where r.id = v_id;
end;
$$;
comment on function guildhall.request_get(text) is 'The request, or no row.';

create or replace function guildhall.request_list(p_state text, p_run_id text, p_after text, p_limit bigint)
returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_run_id uuid := case when p_run_id is not null then guildhall.ensure_uuid('run_id', p_run_id) end;
    v_after uuid := case when p_after is not null then guildhall.ensure_uuid('after', p_after) end;
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    return query
    select guildhall.request_json(r)
    from guildhall.requests r
    where (p_state is null or r.state = p_state)
        and (v_run_id is null or r.run_id = v_run_id)
        and (v_after is null or (r.created_at, r.id) < (
            select a.created_at, a.id from guildhall.requests a where a.id = v_after))
    order by r.created_at desc, r.id desc
    limit p_limit;
end;
$$;
comment on function guildhall.request_list(text, text, text, bigint) is
    'Requests, newest first, optionally of a state or a run, after the request p_after.';
