-- Callbacks: the end of a request told to the URL that its requester gave, with patience and a bound.

create or replace function guildhall.callback_claim(p_worker text, p_limit bigint, p_lease_s bigint)
returns table (request_id uuid, epoch bigint, attempt integer, url text, event jsonb, requester text)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_text('worker', p_worker, 200);
    perform guildhall.ensure_int('limit', p_limit, 1, 100);
    perform guildhall.ensure_int('lease_s', p_lease_s, 1, 3600);
    return query
    with due as (
        select c.request_id from guildhall.callbacks c
        where c.state = 'pending' and c.next_wake_at <= v_now
        order by c.next_wake_at, c.request_id
        limit p_limit
        for no key update skip locked
    ), claimed as (
        update guildhall.callbacks c
        set epoch = c.epoch + 1, attempts = c.attempts + 1, lease_owner = p_worker,
            lease_expires_at = v_now + make_interval(secs => p_lease_s),
            next_wake_at = v_now + make_interval(secs => p_lease_s)
        from due where c.request_id = due.request_id
        returning c.*
    )
    select c.request_id, c.epoch, c.attempts, c.url, c.event, r.requester
    from claimed c join guildhall.requests r on r.id = c.request_id;
end;
$$;
comment on function guildhall.callback_claim(text, bigint, bigint) is
    'Leases due callbacks; what is not reported in time comes again.';

create or replace function guildhall.callback_report(p_id text, p_epoch bigint, p_outcome text, p_detail text)
returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
    v_callback guildhall.callbacks;
    v_now timestamptz;
    v_state text;
begin
    if p_outcome not in ('delivered', 'retry', 'refused') then
        raise exception using errcode = 'GH001', message = 'outcome must be delivered, retry or refused';
    end if;
    select c.* into v_callback from guildhall.callbacks c where c.request_id = v_id for no key update;
    v_now := guildhall.clock();
    if v_callback.state is distinct from 'pending' or v_callback.epoch <> p_epoch or v_callback.lease_owner is null then
        return 'stale';
    elsif p_outcome = 'retry' and v_callback.attempts < 10 then
        -- One second, doubled each time up to ten minutes: about half an hour in all.
        update guildhall.callbacks c
        set lease_owner = null, lease_expires_at = null, last_error = left(p_detail, 1000),
            next_wake_at = v_now + make_interval(secs => least(600, 2 ^ (c.attempts - 1)) * (0.5 + random() / 2))
        where c.request_id = v_id;
        return 'retry';
    end if;
    v_state := case p_outcome when 'delivered' then 'delivered' else 'failed' end;
    update guildhall.callbacks c
    set state = v_state, lease_owner = null, lease_expires_at = null, next_wake_at = null, finished_at = v_now,
        last_error = case p_outcome when 'delivered' then c.last_error
            else left(coalesce(p_detail, 'no reason given'), 1000) end
    where c.request_id = v_id;
    perform guildhall.outbox_emit('dev.guildhall.callback.' || v_state || '.v1', v_id::text, jsonb_build_object(
        'request_id', v_id, 'attempts', v_callback.attempts, 'detail', p_detail), v_now);
    return v_state;
end;
$$;
comment on function guildhall.callback_report(text, bigint, text, text) is
    'Records what became of an attempt to call back: delivered, tried again up to ten times, or given up.';
