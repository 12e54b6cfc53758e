-- Calls over HTTP that runs make. queued → leased → succeeded | failed; queued | leased → cancelled. Made at least once:
-- a worker that was lost leaves a lease that runs out, and the call is made again under the same key.

create or replace function guildhall.run_call_sweep(p_limit bigint) returns integer
language plpgsql volatile set search_path = '' as $$
declare
    v_call guildhall.run_calls;
    v_count integer := 0;
    v_now timestamptz := guildhall.clock();
begin
    for v_call in
        select c.* from guildhall.run_calls c
        where c.next_wake_at <= v_now and c.state = 'leased' and c.lease_expires_at <= v_now and c.epoch >= 5
        order by c.next_wake_at, c.run_id, c.seq
        limit p_limit
        for no key update skip locked
    loop
        perform guildhall.run_call_end(v_call, null, jsonb_build_object(
            'type', 'https://serverlessworkflow.io/spec/1.0.0/errors/communication', 'status', 500,
            'title', 'Communication Error', 'detail', 'five workers were lost with the call; it may have taken effect'), v_now);
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$;
comment on function guildhall.run_call_sweep(bigint) is
    'Internal. Gives up on up to p_limit calls with which five workers were lost.';

create or replace function guildhall.run_call_end(
    p_call guildhall.run_calls, p_output jsonb, p_error jsonb, p_now timestamptz
) returns void
language plpgsql volatile set search_path = '' as $$
begin
    update guildhall.run_calls c
    set state = case when p_error is null then 'succeeded' else 'failed' end, output = p_output, error = p_error,
        lease_owner = null, lease_expires_at = null, next_wake_at = null, finished_at = p_now
    where c.run_id = (p_call).run_id and c.seq = (p_call).seq;
    perform guildhall.run_tell((p_call).run_id, jsonb_build_object('step', (p_call).step, 'seq', (p_call).seq)
        || case when p_error is null then jsonb_build_object('event', 'completed', 'output', p_output)
        else jsonb_build_object('event', 'failed', 'error', p_error) end, p_now);
end;
$$;
comment on function guildhall.run_call_end(guildhall.run_calls, jsonb, jsonb, timestamptz) is
    'Internal. Ends a call whose row the caller holds, and tells its run.';

create or replace function guildhall.run_call_claim(p_worker text, p_limit bigint, p_lease_s bigint)
returns table (
    run_id uuid, seq bigint, epoch bigint, step text, key text, attempt integer, action jsonb, fences jsonb,
    created_at timestamptz
)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz;
begin
    perform guildhall.ensure_text('worker', p_worker, 200);
    perform guildhall.ensure_int('limit', p_limit, 1, 100);
    perform guildhall.ensure_int('lease_s', p_lease_s, 1, 3600);
    perform guildhall.run_call_sweep(100);
    v_now := guildhall.clock();
    return query
    with due as (
        select c.run_id, c.seq from guildhall.run_calls c
        where c.next_wake_at <= v_now and (c.lease_expires_at is null or c.lease_expires_at <= v_now)
        order by c.next_wake_at, c.run_id, c.seq
        limit p_limit
        for no key update skip locked
    ), claimed as (
        update guildhall.run_calls c
        set state = 'leased', epoch = c.epoch + 1, lease_owner = p_worker,
            lease_expires_at = v_now + make_interval(secs => p_lease_s),
            next_wake_at = v_now + make_interval(secs => p_lease_s)
        from due where c.run_id = due.run_id and c.seq = due.seq
        returning c.*
    )
    select c.run_id, c.seq, c.epoch, c.step, c.key, c.attempt, c.action, c.fences, c.created_at
    from claimed c
    order by c.created_at, c.run_id, c.seq;
end;
$$;
comment on function guildhall.run_call_claim(text, bigint, bigint) is
    'Leases due calls, those longest due first, each under a new epoch; takes over leases that ran out.';

create or replace function guildhall.run_call_renew(p_run_id text, p_seq bigint, p_epoch bigint, p_lease_s bigint) returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_run_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
    v_call guildhall.run_calls;
    v_now timestamptz;
begin
    perform guildhall.ensure_int('lease_s', p_lease_s, 1, 3600);
    select c.* into v_call from guildhall.run_calls c where c.run_id = v_run_id and c.seq = p_seq for no key update;
    v_now := guildhall.clock();
    if v_call.state = 'leased' and v_call.epoch = p_epoch and v_call.lease_expires_at > v_now then
        update guildhall.run_calls c
        set lease_expires_at = greatest(c.lease_expires_at, v_now + make_interval(secs => p_lease_s))
        where c.run_id = v_run_id and c.seq = p_seq;
        return 'renewed';
    else
        return 'stale';
    end if;
end;
$$;
comment on function guildhall.run_call_renew(text, bigint, bigint, bigint) is
    'Extends the lease of a call, never shortens it; stale when it ran out, or the call was taken over or back.';

create or replace function guildhall.run_call_finish(
    p_run_id text, p_seq bigint, p_epoch bigint, p_output jsonb, p_error jsonb
) returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_run_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
    v_call guildhall.run_calls;
begin
    if (p_output is null) = (p_error is null) then
        raise exception using errcode = 'GH001', message = 'a call ends with an output or an error; an output of null is spelled null';
    end if;
    if p_error is not null then
        perform guildhall.ensure_field_text(p_error, 'type', 2000);
        perform guildhall.ensure_field_int(p_error, 'status', null, -2147483648, 2147483647);
    end if;
    select c.* into v_call from guildhall.run_calls c where c.run_id = v_run_id and c.seq = p_seq for no key update;
    if v_call.epoch is distinct from p_epoch or v_call.state not in ('leased', 'succeeded', 'failed')
        or (v_call.state = 'succeeded' and p_output is null) or (v_call.state = 'failed' and p_error is null)
    then
        return 'stale';
    elsif v_call.state = 'leased' then
        perform guildhall.run_call_end(v_call, p_output, p_error, guildhall.clock());
    end if;
    -- Else the same report again: its answer was lost on the way.
    return 'finished';
end;
$$;
comment on function guildhall.run_call_finish(text, bigint, bigint, jsonb, jsonb) is
    'Ends a call with what came of it, for whoever holds it, and tells its run; stale once it was taken over or back.';
