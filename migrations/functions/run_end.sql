-- How runs end: by themselves, or because somebody wanted it.

create or replace function guildhall.run_error(p_problem jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
    return jsonb_build_object(
        'code', coalesce(nullif(left(replace(regexp_replace(p_problem ->> 'type', '^.*[/#:]', ''), '-', '_'), 200), ''), 'unknown'),
        'type', p_problem -> 'type', 'status', p_problem -> 'status', 'title', p_problem -> 'title',
        'detail', p_problem -> 'detail', 'instance', p_problem -> 'instance', 'step', p_problem -> 'instance');
end;
$$;
comment on function guildhall.run_error(jsonb) is
    'Internal. The engine''s Problem as the error of a run: with the last part of its type as code.';

create or replace function guildhall.run_finish(
    p_run guildhall.runs, p_status text, p_data jsonb, p_now timestamptz
) returns void
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := (p_run).id;
    v_position bigint;
    v_open record;
begin
    update guildhall.runs r
    set status = p_status, journal_position = r.journal_position + 1,
        epoch = case when p_status = 'cancelled' then r.epoch + 1 else r.epoch end,
        lease_owner = null, lease_expires_at = null, next_wake_at = null, finished_at = p_now, state = null,
        suspended = false, snapshot_position = (p_run).snapshot_position,
        output = case when p_status = 'completed' then p_data end,
        error = case when p_status = 'faulted' then p_data end
    where r.id = v_id
    returning r.journal_position into strict v_position;
    insert into guildhall.journal (run_id, position, at, kind, data)
    select v_id, v_position, greatest(p_now, j.at), 'run_' || p_status, p_data
    from guildhall.journal j where j.run_id = v_id and j.position = v_position - 1;
    for v_open in
        select r.id from guildhall.requests r
        where r.run_id = v_id and r.finished_at is null
        order by r.id for no key update
    loop
        perform guildhall.request_finish(v_open.id, 'cancelled', null, jsonb_build_object(
            'code', 'cancelled', 'detail', 'the run ended (' || p_status || ') before the request did',
            'retryable', false), false, p_now);
    end loop;
    for v_open in
        select a.id from guildhall.approvals a
        where a.run_id = v_id and a.state = 'pending'
        order by a.id for no key update
    loop
        perform guildhall.approval_finish(v_open.id, 'cancelled', null, null, false, p_now);
    end loop;
    update guildhall.run_calls c
    set state = 'cancelled', lease_owner = null, lease_expires_at = null, next_wake_at = null, finished_at = p_now
    where c.run_id = v_id and c.finished_at is null;
    delete from guildhall.run_timers t where t.run_id = v_id;
    delete from guildhall.run_subscriptions s where s.run_id = v_id;
    perform guildhall.run_release(v_id, null, p_now);
    insert into guildhall.run_inbox (run_id, at, input)
    select r.id, p_now, '{"event": "cancel"}' from guildhall.runs r
    where r.parent_run_id = v_id and r.parent_seq is not null and r.finished_at is null;
    delete from guildhall.run_inbox i where i.run_id = v_id;
    if (p_run).parent_seq is not null then
        perform guildhall.run_tell((p_run).parent_run_id,
            jsonb_build_object('step', (p_run).parent_step, 'seq', (p_run).parent_seq)
            || case p_status when 'completed' then jsonb_build_object('event', 'completed', 'output', p_data)
            else jsonb_build_object('event', 'failed', 'error', case p_status
                -- Where in the child it was says nothing in the parent.
                when 'faulted' then jsonb_strip_nulls(p_data - array['code', 'instance', 'step'])
                else guildhall.run_problem(jsonb_build_object('code', 'cancelled', 'detail', format(
                    'the run %s was cancelled by %s: %s', v_id, p_data ->> 'by', p_data ->> 'reason')), 'cancelled') end) end,
            p_now);
    end if;
    perform guildhall.outbox_emit('dev.guildhall.run.' || p_status || '.v1', v_id::text,
        jsonb_build_object('run_id', v_id, 'status', p_status, 'journal_position', v_position,
            case p_status when 'completed' then 'output' when 'faulted' then 'error' else 'cancellation' end, p_data),
        p_now);
end;
$$;
comment on function guildhall.run_finish(guildhall.runs, text, jsonb, timestamptz) is
    'Internal. Ends a run with everything open in it and tells its parent; the caller holds its row and the roots of its locks.';

create or replace function guildhall.run_cancel(p_run_id text, p_by text, p_reason text)
returns table (outcome text, run jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
    v_run guildhall.runs;
    v_outcome text := 'already_ended';
    v_now timestamptz;
begin
    perform guildhall.ensure_text('by', p_by, 200);
    perform guildhall.ensure_text('reason', p_reason, 2000);
    select r.* into v_run from guildhall.runs r where r.id = v_id for no key update;
    if v_run.id is null then
        return query select 'not_found', null::jsonb;
        return;
    end if;
    if v_run.finished_at is null then
        v_outcome := 'cancelled';
        perform guildhall.run_locks_take(v_id, '[]');
        v_now := guildhall.clock();
        perform guildhall.run_finish(v_run, 'cancelled', jsonb_build_object('by', p_by, 'reason', p_reason), v_now);
        perform guildhall.audit_append(p_by, 'run_cancel', v_id::text, jsonb_build_object('reason', p_reason), v_now);
        select r.* into v_run from guildhall.runs r where r.id = v_id;
    end if;
    return query select v_outcome, guildhall.run_json(v_run) || jsonb_build_object('steps', guildhall.run_steps(v_id));
end;
$$;
comment on function guildhall.run_cancel(text, text, text) is
    'Withdraws a run with everything open in it, children included; what is under way learns it at its next renewal.';
