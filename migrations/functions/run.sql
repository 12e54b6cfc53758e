-- Runs. pending → running ⇄ waiting → completed | faulted; any of the open ones → cancelled.

create or replace function guildhall.run_json(p_run guildhall.runs) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object(
        'id', (p_run).id, 'name', (p_run).name, 'status', (p_run).status, 'requester', (p_run).requester,
        'title', (p_run).title, 'definition', (p_run).definition, 'output', (p_run).output, 'error', (p_run).error,
        'journal_position', (p_run).journal_position, 'created_at', (p_run).created_at,
        'finished_at', (p_run).finished_at, 'steps', '[]'::jsonb
    );
end;
$$;
comment on function guildhall.run_json(guildhall.runs) is
    'Internal. A run in the shape of the domain type Run, without its timeline.';

create or replace function guildhall.run_steps(p_run_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(s.view order by j.position), '[]'::jsonb)
    from guildhall.journal j
    join lateral (
        select jsonb_build_object(
            'step', r.step,
            'status', case r.state
                when 'queued' then 'waiting' when 'leased' then 'running'
                when 'succeeded' then 'completed' else 'faulted' end,
            'agent', coalesce(r.agent, r.agent_wanted), 'skill', r.skill, 'attempts', r.attempt,
            'started_at', r.created_at, 'finished_at', r.finished_at, 'result', r.result, 'error', r.error
        ) as view
        from guildhall.requests r where r.run_id = j.run_id and r.step = j.step
        union all
        select jsonb_build_object(
            'step', a.step,
            'status', case a.state when 'pending' then 'waiting' when 'approved' then 'completed' else 'faulted' end,
            'agent', null, 'skill', 'approval', 'attempts', 1,
            'started_at', a.created_at,
            'finished_at', coalesce(a.decided_at, e.at, (
                select x.finished_at from guildhall.runs x where x.id = a.run_id and a.state = 'cancelled')),
            'result', case when e.kind = 'step_completed' then e.data end,
            'error', case
                when e.kind = 'step_failed' then e.data
                when a.state = 'cancelled' then jsonb_build_object(
                    'code', 'cancelled', 'detail', 'the run ended before anybody decided', 'retryable', false) end
        )
        from guildhall.approvals a
        left join guildhall.journal e
            on e.run_id = a.run_id and e.step = a.step and e.kind in ('step_completed', 'step_failed')
        where a.run_id = j.run_id and a.step = j.step
    ) s on true
    where j.run_id = p_run_id and j.kind in ('step_started', 'approval_requested');
$$;
comment on function guildhall.run_steps(uuid) is
    'Internal. A run''s timeline, an array in the shape of the domain type StepView, in the order of the journal.';

create or replace function guildhall.run_start(
    p_definition jsonb, p_title text, p_requester text, p_idempotency_key text, p_fingerprint text,
    p_session_id text, p_message text, p_reply text
) returns table (outcome text, run jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_run guildhall.runs;
begin
    perform guildhall.ensure_field_text(p_definition, 'name', 200);
    perform guildhall.ensure_text('title', p_title, 1000);
    perform guildhall.ensure_text('requester', p_requester, 200);
    if p_idempotency_key is not null then
        perform guildhall.ensure_text('idempotency_key', p_idempotency_key, 200);
        perform guildhall.ensure_text('fingerprint', p_fingerprint, 200);
    end if;
    if p_session_id is not null and not guildhall.chat_open(p_session_id, p_requester, v_now) then
        return query select 'not_yours', null::jsonb;
        return;
    end if;

    insert into guildhall.runs as r (
        name, title, requester, definition, status, next_wake_at, idempotency_key, fingerprint, session_id, created_at
    ) values (
        p_definition ->> 'name', p_title, p_requester, p_definition, 'pending', v_now, p_idempotency_key,
        case when p_idempotency_key is not null then p_fingerprint end, p_session_id, v_now
    )
    on conflict (requester, idempotency_key) do nothing
    returning r.* into v_run;
    if not found then
        select r.* into strict v_run from guildhall.runs r
        where r.requester = p_requester and r.idempotency_key = p_idempotency_key;
        if v_run.fingerprint = p_fingerprint then
            return query select 'exists', guildhall.run_json(v_run);
        else
            return query select 'conflict', null::jsonb;
        end if;
        return;
    end if;

    perform guildhall.journal_append(v_run.id, 'run_started', null, null, v_now);
    v_run.journal_position := 1;
    if p_session_id is not null then
        perform guildhall.chat_append(p_session_id, p_message, p_reply, v_run.id, v_now);
    end if;
    perform guildhall.outbox_emit('dev.guildhall.run.started.v1', v_run.id::text,
        jsonb_build_object('run_id', v_run.id, 'name', v_run.name, 'title', p_title, 'requester', p_requester,
            'journal_position', 1), v_now);
    return query select 'started', guildhall.run_json(v_run);
end;
$$;
comment on function guildhall.run_start(jsonb, text, text, text, text, text, text, text) is
    'Accepts a run, due at once, with the chat turn that asked for it. The key makes it repeatable per requester.';

create or replace function guildhall.run_claim(p_worker text, p_lease_s bigint)
returns table (run_id uuid, epoch bigint, journal_position bigint, definition jsonb, journal jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_run guildhall.runs;
begin
    perform guildhall.ensure_text('worker', p_worker, 200);
    perform guildhall.ensure_int('lease_s', p_lease_s, 1, 3600);
    with due as (
        select r.id from guildhall.runs r
        where r.next_wake_at <= v_now and (r.lease_expires_at is null or r.lease_expires_at <= v_now)
        order by r.next_wake_at
        limit 1
        for no key update skip locked
    )
    update guildhall.runs r
    set status = 'running', epoch = r.epoch + 1, lease_owner = p_worker,
        lease_expires_at = v_now + make_interval(secs => p_lease_s),
        next_wake_at = v_now + make_interval(secs => p_lease_s)
    from due where r.id = due.id
    returning r.* into v_run;
    if v_run.id is null then
        return;
    end if;
    return query
    select v_run.id, v_run.epoch, v_run.journal_position, v_run.definition, (
        select jsonb_agg(guildhall.journal_entry_json(j) order by j.position)
        from guildhall.journal j where j.run_id = v_run.id
    );
end;
$$;
comment on function guildhall.run_claim(text, bigint) is
    'Leases the run that has been due longest, if any, under a new epoch; an expired lease makes a run due.';

create or replace function guildhall.run_wake(p_run_id uuid, p_now timestamptz) returns void
language plpgsql volatile set search_path = '' as $$
begin
    -- A running one is not due before its lease ends: its worker will find the journal ahead and give it back.
    update guildhall.runs r set next_wake_at = p_now
    where r.id = p_run_id and r.status in ('pending', 'waiting') and r.next_wake_at > p_now;
end;
$$;
comment on function guildhall.run_wake(uuid, timestamptz) is
    'Internal. Makes a waiting run due; the caller holds its row lock.';

create or replace function guildhall.run_finish(
    p_run_id uuid, p_status text, p_data jsonb, p_now timestamptz
) returns void
language plpgsql volatile set search_path = '' as $$
declare
    v_position bigint;
    v_open record;
begin
    v_position := guildhall.journal_append(p_run_id, 'run_' || p_status, null, p_data, p_now);
    for v_open in
        select r.id from guildhall.requests r
        where r.run_id = p_run_id and r.finished_at is null
        order by r.id for no key update
    loop
        perform guildhall.request_finish(v_open.id, 'cancelled', null, jsonb_build_object(
            'code', 'cancelled', 'detail', 'the run ended (' || p_status || ') before the request did',
            'retryable', false), false, p_now);
    end loop;
    for v_open in
        select a.id from guildhall.approvals a
        where a.run_id = p_run_id and a.state = 'pending'
        order by a.id for no key update
    loop
        perform guildhall.approval_finish(v_open.id, 'cancelled', null, null, false, p_now);
    end loop;
    update guildhall.runs r
    set status = p_status,
        epoch = case when p_status = 'cancelled' then r.epoch + 1 else r.epoch end,
        lease_owner = null, lease_expires_at = null, next_wake_at = null, finished_at = p_now,
        output = case when p_status = 'completed' then p_data end,
        error = case when p_status = 'faulted' then p_data end
    where r.id = p_run_id;
    perform guildhall.outbox_emit('dev.guildhall.run.' || p_status || '.v1', p_run_id::text,
        jsonb_build_object('run_id', p_run_id, 'status', p_status, 'journal_position', v_position,
            case p_status when 'completed' then 'output' when 'faulted' then 'error' else 'cancellation' end, p_data),
        p_now);
end;
$$;
comment on function guildhall.run_finish(uuid, text, jsonb, timestamptz) is
    'Internal. Ends a run with everything open in it; the caller holds its row lock.';

create or replace function guildhall.run_apply(p_run guildhall.runs, p_command jsonb, p_now timestamptz) returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_command text := coalesce(p_command ->> 'command', '');
    v_step text;
    v_id uuid;
begin
    if v_command in ('request', 'approval') then
        v_step := guildhall.ensure_field_text(p_command, 'step', 1000);
        if exists (
            select from guildhall.journal j
            where j.run_id = p_run.id and j.step = v_step and j.kind in ('step_started', 'approval_requested')
        ) then
            raise exception using errcode = 'GH003', message = format(
                'step %s of run %s was begun before', v_step, p_run.id);
        end if;
    end if;
    case v_command
        when 'request' then
            v_id := guildhall.request_insert(p_command, p_run.requester, p_run.id, v_step, null, null, p_now);
            perform guildhall.journal_append(p_run.id, 'step_started', v_step,
                jsonb_build_object('request_id', v_id), p_now);
        when 'approval' then
            v_id := guildhall.approval_insert(p_command, p_run.requester, p_run.id, v_step, p_now);
            perform guildhall.journal_append(p_run.id, 'approval_requested', v_step,
                jsonb_build_object('approval_id', v_id), p_now);
        when 'complete' then
            perform guildhall.run_finish(p_run.id, 'completed', coalesce(p_command -> 'output', 'null'), p_now);
        when 'fault' then
            perform guildhall.ensure_field_text(p_command -> 'error', 'code', 200);
            perform guildhall.run_finish(p_run.id, 'faulted', p_command -> 'error', p_now);
        else
            raise exception using errcode = 'GH002', message = format(
                'a command must be request, approval, complete or fault, not %s', left(p_command::text, 200));
    end case;
    return v_command;
end;
$$;
comment on function guildhall.run_apply(guildhall.runs, jsonb, timestamptz) is
    'Internal. Applies one command to a run whose row lock the caller holds.';

create or replace function guildhall.run_advance(
    p_run_id text, p_epoch bigint, p_journal_position bigint, p_commands jsonb
) returns table (outcome text, requests_queued integer, status text)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
    v_run guildhall.runs;
    v_now timestamptz;
    v_command jsonb;
    v_ended boolean := false;
    v_queued integer := 0;
    v_status text;
begin
    if jsonb_typeof(p_commands) is distinct from 'array' then
        raise exception using errcode = 'GH002', message = 'commands must be an array';
    end if;
    select r.* into v_run from guildhall.runs r where r.id = v_id for no key update;
    v_now := guildhall.clock();
    if v_run.id is null or v_run.status <> 'running' or v_run.epoch <> p_epoch or v_run.lease_expires_at <= v_now then
        return query select 'stale', 0, v_run.status;
        return;
    end if;
    if v_run.journal_position <> p_journal_position then
        update guildhall.runs r
        set status = 'waiting', lease_owner = null, lease_expires_at = null, next_wake_at = v_now
        where r.id = v_id;
        return query select 'behind', 0, 'waiting';
        return;
    end if;
    for v_command in select e.value from jsonb_array_elements(p_commands) with ordinality e order by e.ordinality loop
        if v_ended then
            raise exception using errcode = 'GH002', message = 'no command may follow complete or fault';
        end if;
        case guildhall.run_apply(v_run, v_command, v_now)
            when 'request' then v_queued := v_queued + 1;
            when 'approval' then null;
            else v_ended := true;
        end case;
    end loop;
    if not v_ended then
        -- Whatever the run waits for wakes it; the minute is for what nobody thought of.
        update guildhall.runs r
        set status = 'waiting', lease_owner = null, lease_expires_at = null,
            next_wake_at = v_now + make_interval(secs => 60)
        where r.id = v_id;
    end if;
    select r.status into v_status from guildhall.runs r where r.id = v_id;
    return query select 'advanced', v_queued, v_status;
end;
$$;
comment on function guildhall.run_advance(text, bigint, bigint, jsonb) is
    'Applies commands under the claim''s epoch and journal position, then gives the lease back; stale or behind: nothing.';

create or replace function guildhall.run_cancel(p_run_id text, p_by text, p_reason text)
returns table (outcome text, run jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
    v_run guildhall.runs;
    v_outcome text := 'already_ended';
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
        perform guildhall.run_finish(v_id, 'cancelled', jsonb_build_object('by', p_by, 'reason', p_reason),
            guildhall.clock());
        perform guildhall.audit_append(p_by, 'run_cancel', v_id::text, jsonb_build_object('reason', p_reason),
            guildhall.clock());
        select r.* into v_run from guildhall.runs r where r.id = v_id;
    end if;
    return query select v_outcome, guildhall.run_json(v_run) || jsonb_build_object('steps', guildhall.run_steps(v_id));
end;
$$;
comment on function guildhall.run_cancel(text, text, text) is
    'Withdraws a run with its open requests and pending approvals; what is under way learns it at its next renewal.';

create or replace function guildhall.run_get(p_run_id text) returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
begin
    return query
    select guildhall.run_json(r) || jsonb_build_object('steps', guildhall.run_steps(v_id))
    from guildhall.runs r where r.id = v_id;
end;
$$;
comment on function guildhall.run_get(text) is 'The run with its timeline, or no row.';

create or replace function guildhall.run_list(p_status text, p_after text, p_limit bigint) returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_after uuid := case when p_after is not null then guildhall.ensure_uuid('after', p_after) end;
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    return query
    select guildhall.run_json(r)
    from guildhall.runs r
    where (p_status is null or r.status = p_status)
        and (v_after is null or (r.created_at, r.id) < (
            select a.created_at, a.id from guildhall.runs a where a.id = v_after))
    order by r.created_at desc, r.id desc
    limit p_limit;
end;
$$;
comment on function guildhall.run_list(text, text, bigint) is
    'Runs without timelines, newest first, optionally of a status, after the run p_after.';

create or replace function guildhall.run_journal(p_run_id text, p_after_position bigint, p_limit bigint)
returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    return query
    select guildhall.journal_entry_json(j)
    from guildhall.journal j
    where j.run_id = v_id and j.position > p_after_position
    order by j.position
    limit p_limit;
end;
$$;
comment on function guildhall.run_journal(text, bigint, bigint) is
    'The entries of a run''s journal behind a position, in order.';
