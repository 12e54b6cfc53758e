-- The engine's commands (crates/flow/src/engine/command.rs), each applied in the statement that keeps the snapshot it
-- belongs to. A command that cannot be carried out is a failed step, not a failed statement: that would come again for ever.

create or replace function guildhall.run_command_flaw(p_command jsonb) returns text
language plpgsql immutable set search_path = '' as $$
declare
    v_lock text;
begin
    case p_command ->> 'action'
        when 'agent' then
            perform guildhall.ensure_field_text(p_command, 'skill', 200);
            perform guildhall.request_field(p_command, 'agent', 200);
            perform guildhall.ensure_field_int(p_command, 'attempts', 3, 1, 65535);
        when 'approval' then
            if jsonb_typeof(p_command -> 'proposal') is distinct from 'object' then
                return 'the action of an approval must be an object that says exactly what would be done';
            elsif coalesce(jsonb_typeof(p_command -> 'risk'), 'null') not in ('object', 'null') then
                return 'the risk of an approval must be an object';
            end if;
        when 'acquire' then
            if jsonb_array_length(p_command -> 'locks') not between 1 and 32 then
                return 'a task may hold at most 32 locks';
            end if;
            for v_lock in select e.value from jsonb_array_elements_text(p_command -> 'locks') e loop
                perform guildhall.lock_ensure(v_lock, 'exclusive');
                if starts_with(v_lock, '/') then
                    return format('the lock %s must have a name before its first slash', quote_literal(left(v_lock, 60)));
                end if;
            end loop;
    end case;
    return null;
exception when sqlstate 'GH001' then
    return sqlerrm;
end;
$$;
comment on function guildhall.run_command_flaw(jsonb) is
    'Internal. Why an agent, an approval or locks cannot be asked for as a command wants it, or null.';

create or replace function guildhall.run_refuse(
    p_run_id uuid, p_command jsonb, p_type text, p_status integer, p_title text, p_detail text, p_now timestamptz
) returns text
language plpgsql volatile set search_path = '' as $$
begin
    perform guildhall.run_tell(p_run_id, jsonb_build_object('event', 'failed', 'step', p_command -> 'step',
        'seq', p_command -> 'seq', 'error', jsonb_build_object('type', p_type, 'status', p_status, 'title', p_title,
            'detail', p_detail)), p_now);
    return 'run';
end;
$$;
comment on function guildhall.run_refuse(uuid, jsonb, text, integer, text, text, timestamptz) is
    'Internal. Tells a run that its command failed before it began.';

create or replace function guildhall.run_apply(p_run guildhall.runs, p_command jsonb, p_now timestamptz) returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_action text := coalesce(p_command ->> 'action', '');
    v_step text := p_command ->> 'step';
    v_seq bigint := (p_command ->> 'seq')::bigint;
    v_flaw text;
begin
    if v_step is null or v_seq is null then
        raise exception using errcode = 'GH002', message = format(
            'a command must have a step and a number, not %s', left(p_command::text, 200));
    end if;
    if v_action in ('agent', 'approval', 'acquire') then
        v_flaw := guildhall.run_command_flaw(p_command);
        if v_flaw is not null then
            return guildhall.run_refuse((p_run).id, p_command,
                'https://serverlessworkflow.io/spec/1.0.0/errors/configuration', 400, 'Configuration Error', v_flaw, p_now);
        end if;
    end if;
    case v_action
        when 'agent' then
            perform guildhall.request_insert(jsonb_build_object(
                    'skill', p_command -> 'skill', 'agent', p_command -> 'agent', 'input', p_command -> 'input',
                    'priority', least(9, greatest(0, (p_command ->> 'priority')::numeric)),
                    'max_attempts', p_command -> 'attempts',
                    'timeout_s', case when p_command ->> 'timeout_ms' is not null
                        then least(4294967295, greatest(1, ceil((p_command ->> 'timeout_ms')::numeric / 1000))) end),
                (p_run).requester, (p_run).id, v_step, null, null, p_now,
                jsonb_build_object('seq', v_seq, 'fences', p_command -> 'fences'));
            return 'request';
        when 'approval' then
            perform guildhall.approval_insert(p_command, (p_run).requester, (p_run).id, p_now);
        when 'http', 'openapi', 'a2a', 'mcp', 'function' then
            insert into guildhall.run_calls (
                run_id, seq, step, key, attempt, action, fences, state, next_wake_at, created_at
            ) values (
                (p_run).id, v_seq, v_step, p_command ->> 'key', coalesce((p_command ->> 'attempt')::integer, 1),
                p_command - array['step', 'seq', 'key', 'attempt', 'fences'], coalesce(p_command -> 'fences', '[]'),
                'queued', p_now, p_now);
            return 'call';
        when 'timer' then
            insert into guildhall.run_timers (run_id, seq, step, at, due_at)
            values ((p_run).id, v_seq, v_step, p_now, (p_command ->> 'at')::timestamptz);
        when 'subscribe' then
            insert into guildhall.run_subscriptions (run_id, seq, filter_no, step, type, attributes, at)
            select (p_run).id, v_seq, f.place - 1, v_step,
                case when jsonb_typeof(f.filter -> 'type') = 'string' then left(f.filter ->> 'type', 500) end, f.filter, p_now
            from jsonb_array_elements(p_command -> 'filters') with ordinality f (filter, place);
        when 'emit' then
            perform guildhall.outbox_add(left(coalesce(p_command #>> '{event,subject}', (p_run).id::text), 500),
                jsonb_build_array(p_command -> 'event'), p_now);
            return case guildhall.event_deliver(p_command -> 'event', p_now) when 0 then 'none' else 'run' end;
        when 'notify' then
            perform guildhall.outbox_emit('dev.guildhall.notification.requested.v1', (p_run).id::text, jsonb_build_object(
                'run_id', (p_run).id, 'step', v_step, 'key', p_command -> 'key', 'message', p_command -> 'message',
                'channel', p_command -> 'channel', 'data', p_command -> 'data'), p_now);
        when 'start_child' then
            return guildhall.run_start_child(p_run, p_command, p_now);
        when 'acquire' then
            return guildhall.run_acquire(p_run, p_command, p_now);
        when 'release' then
            return case when guildhall.run_release((p_run).id, (p_command ->> 'target')::bigint, p_now) then 'run' else 'none' end;
        when 'cancel' then
            return guildhall.run_withdraw((p_run).id, (p_command ->> 'target')::bigint, p_now);
        when 'continue' then
            perform guildhall.run_tell((p_run).id, '{"event": "continue"}', p_now);
            return 'run';
        when 'complete' then
            perform guildhall.run_finish(p_run, 'completed', coalesce(p_command -> 'output', 'null'), p_now);
            return 'completed';
        when 'fault' then
            perform guildhall.run_finish(p_run, 'faulted', guildhall.run_error(p_command -> 'error'), p_now);
            return 'faulted';
        when 'cancelled' then
            perform guildhall.run_finish(p_run, 'cancelled', jsonb_build_object(
                'by', coalesce('run/' || (p_run).parent_run_id, (p_run).requester),
                'reason', 'the run that started it does not want it any more'), p_now);
            return 'cancelled';
        else
            raise exception using errcode = 'GH002', message = format('%s is no action of the engine', left(p_command::text, 200));
    end case;
    return 'none';
end;
$$;
comment on function guildhall.run_apply(guildhall.runs, jsonb, timestamptz) is
    'Internal. Applies one command to a run whose row the caller holds: request, call, run (some run is due), none, or its end.';

create or replace function guildhall.run_start_child(p_run guildhall.runs, p_command jsonb, p_now timestamptz) returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_workflow guildhall.workflows;
    v_child guildhall.runs;
    v_reference text := concat_ws('/', p_command ->> 'namespace', p_command ->> 'name', p_command ->> 'version');
    v_refused text;
begin
    select w.* into v_workflow
    from guildhall.workflow_find(p_command ->> 'namespace', p_command ->> 'name', p_command ->> 'version') w;
    if v_workflow.name is null then
        v_refused := format('there is no workflow %s', v_reference);
    elsif (p_run).depth >= 20 then
        v_refused := format('%s would be the 21st run within runs; at most 20 are allowed', v_reference);
    end if;
    if v_refused is not null then
        -- Nobody waits for one that is not awaited, so the refusal is told the way notices are.
        perform guildhall.outbox_emit('dev.guildhall.run.refused.v1', (p_run).id::text, jsonb_build_object(
            'run_id', (p_run).id, 'step', p_command -> 'step', 'workflow', v_reference, 'detail', v_refused), p_now);
        return guildhall.run_refuse((p_run).id, p_command, 'https://guildhall.dev/errors/'
            || case when v_workflow.name is null then 'unknown-workflow' else 'runs-too-deep' end,
            case when v_workflow.name is null then 404 else 400 end,
            case when v_workflow.name is null then 'Unknown workflow' else 'Runs too deep' end, v_refused, p_now);
    end if;
    v_child.name := v_workflow.name;
    v_child.title := left(format('%s, for: %s', v_workflow.name, (p_run).title), 1000);
    v_child.requester := (p_run).requester;
    v_child.digest := v_workflow.digest;
    v_child.workflow_namespace := v_workflow.namespace;
    v_child.workflow_name := v_workflow.name;
    v_child.workflow_version := v_workflow.version;
    v_child.input := coalesce(p_command -> 'input', '{}');
    v_child.created_at := p_now;
    v_child.parent_run_id := (p_run).id;
    v_child.parent_step := p_command ->> 'step';
    if p_command -> 'wait' = 'true' then
        v_child.parent_seq := (p_command ->> 'seq')::bigint;
    end if;
    v_child.depth := (p_run).depth + 1;
    perform guildhall.run_open(v_child);
    return 'run';
end;
$$;
comment on function guildhall.run_start_child(guildhall.runs, jsonb, timestamptz) is
    'Internal. Starts the workflow that a run wants run; its end is told to the run if that waits.';

create or replace function guildhall.run_withdraw(p_run_id uuid, p_target bigint, p_now timestamptz) returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid;
begin
    delete from guildhall.run_timers t where t.run_id = p_run_id and t.seq = p_target;
    if found then
        return 'none';
    end if;
    select r.id into v_id from guildhall.requests r
    where r.run_id = p_run_id and r.seq = p_target and r.finished_at is null for no key update;
    if found then
        perform guildhall.request_finish(v_id, 'cancelled', null, jsonb_build_object('code', 'cancelled',
            'detail', 'its run went on without it', 'retryable', false), false, p_now);
        return 'none';
    end if;
    update guildhall.run_calls c
    set state = 'cancelled', lease_owner = null, lease_expires_at = null, next_wake_at = null, finished_at = p_now
    where c.run_id = p_run_id and c.seq = p_target and c.finished_at is null;
    if found then
        return 'none';
    end if;
    delete from guildhall.run_subscriptions s where s.run_id = p_run_id and s.seq = p_target;
    if found then
        return 'none';
    end if;
    select a.id into v_id from guildhall.approvals a
    where a.run_id = p_run_id and a.seq = p_target and a.state = 'pending' for no key update;
    if found then
        perform guildhall.approval_finish(v_id, 'cancelled', null, null, false, p_now);
        return 'none';
    end if;
    select r.id into v_id from guildhall.runs r
    where r.parent_run_id = p_run_id and r.parent_seq = p_target and r.finished_at is null;
    if found then
        perform guildhall.run_tell(v_id, '{"event": "cancel"}', p_now);
        return 'run';
    end if;
    return case when guildhall.run_release(p_run_id, p_target, p_now) then 'run' else 'none' end;
end;
$$;
comment on function guildhall.run_withdraw(uuid, bigint, timestamptz) is
    'Internal. Takes back whatever a command of a run, whose row the caller holds, asked for; none when it is over already.';
