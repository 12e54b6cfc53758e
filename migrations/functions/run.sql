-- Runs. pending → running ⇄ waiting → completed | faulted; any of the open ones → cancelled. A waiting run may be suspended.
-- How they begin is here, what a worker does with them in run_claim.sql and run_command.sql, how they end in run_end.sql.

create or replace function guildhall.run_open(p_run guildhall.runs) returns guildhall.runs
language plpgsql volatile set search_path = '' as $$
declare
    v_run guildhall.runs;
begin
    insert into guildhall.runs as r (
        name, title, requester, definition, digest, workflow_namespace, workflow_name, workflow_version, input, status,
        journal_position, next_wake_at, idempotency_key, fingerprint, session_id, created_at, parent_run_id, parent_seq,
        parent_step, depth
    ) values (
        (p_run).name, (p_run).title, (p_run).requester, (p_run).definition, (p_run).digest, (p_run).workflow_namespace,
        (p_run).workflow_name, (p_run).workflow_version, (p_run).input, 'pending', 1, (p_run).created_at,
        (p_run).idempotency_key, (p_run).fingerprint, (p_run).session_id, (p_run).created_at, (p_run).parent_run_id,
        (p_run).parent_seq, (p_run).parent_step, coalesce((p_run).depth, 0)
    )
    on conflict (requester, idempotency_key) where idempotency_key is not null do nothing
    returning r.* into v_run;
    if v_run.id is null then
        return null;
    end if;
    insert into guildhall.journal (run_id, position, at, kind) values (v_run.id, 1, v_run.created_at, 'run_started');
    perform guildhall.outbox_emit('dev.guildhall.run.started.v1', v_run.id::text,
        jsonb_build_object('run_id', v_run.id, 'name', v_run.name, 'title', v_run.title, 'requester', v_run.requester,
            'parent_run_id', v_run.parent_run_id, 'journal_position', 1), v_run.created_at);
    return v_run;
end;
$$;
comment on function guildhall.run_open(guildhall.runs) is
    'Internal. Accepts a run, due at once; null when the requester''s idempotency key is taken.';

create or replace function guildhall.run_start(
    p_run jsonb, p_requester text, p_idempotency_key text, p_fingerprint text,
    p_session_id text, p_message text, p_reply text
) returns table (outcome text, run jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_run guildhall.runs;
    v_workflow guildhall.workflows;
    v_existing guildhall.runs;
begin
    v_run.title := guildhall.ensure_field_text(p_run, 'title', 1000);
    v_run.requester := guildhall.ensure_text('requester', p_requester, 200);
    v_run.input := coalesce(p_run -> 'input', '{}');
    v_run.created_at := guildhall.clock();
    if p_idempotency_key is not null then
        v_run.idempotency_key := guildhall.ensure_text('idempotency_key', p_idempotency_key, 200);
        v_run.fingerprint := guildhall.ensure_text('fingerprint', p_fingerprint, 200);
    end if;
    if coalesce(jsonb_typeof(p_run -> 'workflow'), 'null') <> 'null' then
        select w.* into v_workflow from guildhall.workflow_find(p_run #>> '{workflow,namespace}',
            p_run #>> '{workflow,name}', coalesce(p_run #>> '{workflow,version}', 'latest')) w;
        if not found then
            return query select 'unknown_workflow', null::jsonb;
            return;
        end if;
        v_run.name := v_workflow.name;
        v_run.digest := v_workflow.digest;
        v_run.workflow_namespace := v_workflow.namespace;
        v_run.workflow_name := v_workflow.name;
        v_run.workflow_version := v_workflow.version;
    else
        v_run.definition := p_run -> 'definition';
        v_run.name := guildhall.ensure_field_text(v_run.definition -> 'document', 'name', 200);
        v_run.digest := guildhall.ensure_field_text(p_run, 'digest', 200);
    end if;
    if p_session_id is not null and not guildhall.chat_open(p_session_id, p_requester, v_run.created_at) then
        return query select 'not_yours', null::jsonb;
        return;
    end if;
    v_run.session_id := p_session_id;
    v_run := guildhall.run_open(v_run);
    if v_run.id is null then
        select r.* into strict v_existing from guildhall.runs r
        where r.requester = p_requester and r.idempotency_key = p_idempotency_key;
        if v_existing.fingerprint = p_fingerprint then
            return query select 'exists', guildhall.run_json(v_existing);
        else
            return query select 'conflict', null::jsonb;
        end if;
        return;
    end if;
    if p_session_id is not null then
        perform guildhall.chat_append(p_session_id, p_message, p_reply, v_run.id, v_run.created_at);
    end if;
    return query select 'started', guildhall.run_json(v_run);
end;
$$;
comment on function guildhall.run_start(jsonb, text, text, text, text, text, text) is
    'Accepts a run of a document or of a workflow, due at once, with the chat turn that asked for it. The key makes it repeatable.';
