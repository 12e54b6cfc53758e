-- What a worker does with a run: claim it with what happened, advance it with what the engine made of that.

create or replace function guildhall.run_due(p_now timestamptz) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
    v_since timestamptz;
    v_told record;
    v_id uuid;
begin
    select r.next_wake_at into v_since from guildhall.runs r
    where r.next_wake_at <= p_now and (r.lease_expires_at is null or r.lease_expires_at <= p_now)
    order by r.next_wake_at limit 1;
    select r.id, i.at into v_told
    from guildhall.run_inbox i join guildhall.runs r on r.id = i.run_id
    where r.finished_at is null and (r.lease_expires_at is null or r.lease_expires_at <= p_now)
    order by i.id
    limit 1
    for no key update of r skip locked;
    -- Whichever has waited longer, so that a stream of answers does not keep runs from beginning, or timers from firing.
    if v_told.id is null or v_since < v_told.at then
        select r.id into v_id from guildhall.runs r
        where r.next_wake_at <= p_now and (r.lease_expires_at is null or r.lease_expires_at <= p_now)
        order by r.next_wake_at
        limit 1
        for no key update skip locked;
    end if;
    return coalesce(v_id, v_told.id);
end;
$$;
comment on function guildhall.run_due(timestamptz) is
    'Internal. Locks the run that has waited longest for a worker, by its time or its inbox; null when there is none.';

create or replace function guildhall.run_inbox_end(p_run_id uuid) returns bigint
language plpgsql stable set search_path = '' as $$
begin
    return coalesce((
        select min(x.id) - 1 from (
            select i.id, row_number() over w as place, sum(octet_length(i.input::text)) over w as bytes
            from (
                select n.id, n.input from guildhall.run_inbox n where n.run_id = p_run_id order by n.id limit 1001
            ) i
            window w as (order by i.id)
        ) x
        where x.place > 1000 or (x.place > 1 and x.bytes > 8388608)), 9223372036854775807);
end;
$$;
comment on function guildhall.run_inbox_end(uuid) is
    'Internal. Up to where one claim empties an inbox: a thousand things or 8 MiB at a time, and at least one.';

create or replace function guildhall.run_claim(p_worker text, p_lease_s bigint, p_known jsonb)
returns table (
    run_id uuid, epoch bigint, journal_position bigint, digest text, definition jsonb, input jsonb, started_at timestamptz,
    state jsonb, events jsonb
)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_id uuid;
    v_run guildhall.runs;
    v_events jsonb;
    v_was bigint;
begin
    perform guildhall.ensure_text('worker', p_worker, 200);
    perform guildhall.ensure_int('lease_s', p_lease_s, 1, 3600);
    v_id := guildhall.run_due(v_now);
    if v_id is null then
        return;
    end if;
    if exists (select from guildhall.run_timers t where t.run_id = v_id and t.due_at <= v_now) then
        with told as (
            delete from guildhall.run_inbox i where i.run_id = v_id and i.id <= guildhall.run_inbox_end(v_id)
            returning i.id, i.at, i.input
        ), fired as (
            delete from guildhall.run_timers t where t.run_id = v_id and t.due_at <= v_now
            returning t.seq, t.due_at, jsonb_build_object('event', 'fired', 'step', t.step, 'seq', t.seq) as input
        ), happened as (
            -- In the order of the inbox, and timers where their time came.
            select max(t.at) over (order by t.id) as at, 0 as rank, t.id, t.input from told t
            union all
            select f.due_at, 1, f.seq, f.input from fired f
        )
        select jsonb_agg(h.input order by h.at, h.rank, h.id) into v_events from happened h;
    else
        with told as (
            delete from guildhall.run_inbox i where i.run_id = v_id and i.id <= guildhall.run_inbox_end(v_id)
            returning i.id, i.input
        )
        select jsonb_agg(t.input order by t.id) into v_events from told t;
    end if;
    update guildhall.runs r
    set status = 'running', epoch = r.epoch + 1, lease_owner = p_worker,
        lease_expires_at = v_now + make_interval(secs => p_lease_s),
        -- Left alone when it is past already: an update that changes no indexed column is cheap.
        next_wake_at = least(r.next_wake_at, v_now + make_interval(secs => p_lease_s)),
        journal_position = r.journal_position + coalesce(jsonb_array_length(v_events), 0)
    where r.id = v_id
    returning r.* into strict v_run;
    v_was := v_run.journal_position - coalesce(jsonb_array_length(v_events), 0);
    if v_events is not null then
        -- The engine's time never goes back, whatever the clock does.
        select greatest(v_now, j.at) into strict v_now from guildhall.journal j where j.run_id = v_id and j.position = v_was;
        insert into guildhall.journal (run_id, position, at, kind, step, data)
        select v_id, v_was + e.place, v_now, 'event', e.input ->> 'step', e.input
        from jsonb_array_elements(v_events) with ordinality e (input, place)
        order by e.place;
    end if;
    return query
    select v_run.id, v_run.epoch, v_run.journal_position, v_run.digest,
        case when p_known ? v_run.digest then null else guildhall.run_definition(v_run) end,
        v_run.input, v_run.created_at, v_run.state,
        case when v_run.journal_position > greatest(v_run.snapshot_position, 1) then (
            select coalesce(jsonb_agg(j.data || jsonb_build_object('position', j.position, 'now', j.at) order by j.position), '[]')
            from guildhall.journal j
            where j.run_id = v_id and j.position > v_run.snapshot_position and j.kind = 'event')
        else '[]'::jsonb end;
end;
$$;
comment on function guildhall.run_claim(text, bigint, jsonb) is
    'Leases the run that has waited longest under a new epoch, with what happened since its snapshot; no document of a known digest.';

create or replace function guildhall.run_advance(
    p_run_id text, p_epoch bigint, p_journal_position bigint, p_state jsonb, p_commands jsonb, p_lifecycle jsonb
) returns table (outcome text, requests_queued integer, calls_queued integer, runs_due integer, status text)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
    v_run guildhall.runs;
    v_now timestamptz;
    v_command jsonb;
    v_effect text;
begin
    if jsonb_typeof(p_commands) is distinct from 'array' or jsonb_typeof(p_lifecycle) is distinct from 'array' then
        raise exception using errcode = 'GH002', message = 'commands and lifecycle must be arrays';
    end if;
    select r.* into v_run from guildhall.runs r where r.id = v_id for no key update;
    v_now := guildhall.clock();
    requests_queued := 0;
    calls_queued := 0;
    runs_due := 0;
    if v_run.status is distinct from 'running' or v_run.epoch <> p_epoch or v_run.lease_expires_at <= v_now
        or v_run.journal_position <> p_journal_position
    then
        return query select 'stale', 0, 0, 0, v_run.status;
        return;
    end if;
    -- It is handed on with every command, and the old snapshot is of no use to any.
    v_run.state := null;
    v_run.snapshot_position := p_journal_position;
    perform guildhall.run_rows_take(v_id, p_commands);
    if p_lifecycle <> '[]' then
        perform guildhall.outbox_add(v_id::text, p_lifecycle, v_now);
    end if;
    status := 'waiting';
    for v_command in select e.value from jsonb_array_elements(p_commands) with ordinality e order by e.ordinality loop
        if status <> 'waiting' then
            raise exception using errcode = 'GH002', message = 'no command may follow the end of a run';
        end if;
        v_effect := guildhall.run_apply(v_run, v_command, v_now);
        case v_effect
            when 'request' then requests_queued := requests_queued + 1;
            when 'call' then calls_queued := calls_queued + 1;
            when 'run' then runs_due := runs_due + 1;
            when 'none' then null;
            else status := v_effect;
        end case;
    end loop;
    if status = 'waiting' then
        update guildhall.runs r
        set status = 'waiting', lease_owner = null, lease_expires_at = null, state = p_state,
            snapshot_position = p_journal_position, suspended = coalesce(p_state ->> 'status' = 'suspended', false),
            -- A day is for what nobody thought of; whatever a run waits for wakes it.
            next_wake_at = least(v_now + interval '1 day', (
                select min(t.due_at) from guildhall.run_timers t where t.run_id = v_id))
        where r.id = v_id;
    end if;
    return query select 'advanced', requests_queued, calls_queued, runs_due, status;
end;
$$;
comment on function guildhall.run_advance(text, bigint, bigint, jsonb, jsonb, jsonb) is
    'Keeps the snapshot, applies the engine''s commands and gives the lease back, under the claim''s epoch and position; or stale.';
