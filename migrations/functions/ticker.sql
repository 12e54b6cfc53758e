-- The ticker: whoever holds its lease does what time alone demands, at least every second.

create or replace function guildhall.ticker_prune(p_now timestamptz) returns integer
language plpgsql volatile set search_path = '' as $$
declare
    v_count integer;
    v_total integer := 0;
begin
    v_total := guildhall.event_maintain(p_now, 7);
    delete from guildhall.events_accepted e where (e.source, e.event_id) in (
        select x.source, x.event_id from guildhall.events_accepted x
        where x.accepted_at < p_now - interval '30 days' limit 1000 for update skip locked);
    get diagnostics v_count = row_count;
    return v_total + v_count;
end;
$$;
comment on function guildhall.ticker_prune(timestamptz) is
    'Internal. Drops events of more than 7 days ago and the ids of events accepted over 30 days ago, 1,000 at a time.';

create or replace function guildhall.ticker_tick(p_worker text, p_lease_s bigint)
returns table (
    leader boolean, runs_due boolean, requests_due boolean, outbox_due boolean, probes_due boolean, callbacks_due boolean,
    calls_due boolean
)
-- Sweeping what is not there must cost next to nothing: no plan is made anew each second.
language plpgsql volatile set search_path = '' set plan_cache_mode = 'force_generic_plan' as $$
declare
    v_ticker guildhall.ticker;
    v_now timestamptz;
begin
    perform guildhall.ensure_text('worker', p_worker, 200);
    perform guildhall.ensure_int('lease_s', p_lease_s, 1, 3600);
    select t.* into v_ticker from guildhall.ticker t for no key update skip locked;
    v_now := guildhall.clock();
    if v_ticker.singleton is null or (v_ticker.lease_owner <> p_worker and v_ticker.lease_expires_at > v_now) then
        return query select false, false, false, false, false, false, false;
        return;
    end if;
    update guildhall.ticker t
    set lease_owner = p_worker, lease_expires_at = v_now + make_interval(secs => p_lease_s), swept_at = v_now,
        epoch = case when t.lease_owner = p_worker then t.epoch else t.epoch + 1 end;
    perform guildhall.request_sweep(100);
    perform guildhall.approval_sweep(100);
    perform guildhall.run_call_sweep(100);
    perform guildhall.run_sweep(1000);
    perform guildhall.lock_sweep(100);
    perform guildhall.agent_sweep(100);
    -- Pruning is for old rows only, so once a minute does.
    if v_ticker.swept_at is null or date_trunc('minute', v_ticker.swept_at) < date_trunc('minute', v_now) then
        perform guildhall.ticker_prune(v_now);
    end if;
    if v_ticker.swept_at is null
        or floor(extract(epoch from v_ticker.swept_at) / 15) < floor(extract(epoch from v_now) / 15)
    then
        perform guildhall.agent_score();
    end if;
    return query select true,
        exists (
            select from guildhall.runs r
            where r.next_wake_at <= v_now and (r.lease_expires_at is null or r.lease_expires_at <= v_now))
        or exists (
            select from guildhall.run_inbox i join guildhall.runs r on r.id = i.run_id
            where r.finished_at is null and (r.lease_expires_at is null or r.lease_expires_at <= v_now)),
        exists (
            select from guildhall.requests r
            where r.finished_at is null and r.next_wake_at <= v_now
                and (r.lease_expires_at is null or r.lease_expires_at <= v_now)
                and r.deadline_at > v_now and r.attempt < r.max_attempts
                and exists (select from guildhall.agent_assignable(r.skill, r.agent_wanted, v_now))),
        exists (
            select from guildhall.events e, guildhall.relay y
            where (e.position_xid, e.id) > (y.position_xid, y.position_id)
                and (y.lease_expires_at is null or y.lease_expires_at <= v_now)),
        exists (select from guildhall.agent_liveness l where l.probe_at <= v_now),
        exists (select from guildhall.callbacks c where c.state = 'pending' and c.next_wake_at <= v_now),
        exists (
            select from guildhall.run_calls c
            where c.next_wake_at <= v_now and (c.lease_expires_at is null or c.lease_expires_at <= v_now));
end;
$$;
comment on function guildhall.ticker_tick(text, bigint) is
    'Takes or keeps the ticker''s lease and, as its holder, sweeps and says what is due; others get false everywhere.';
