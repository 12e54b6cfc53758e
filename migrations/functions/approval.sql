-- Approvals. pending → approved | rejected | expired | cancelled; an approved one is used once, by one request.

create or replace function guildhall.action_hash(p_action jsonb) returns text
language plpgsql immutable set search_path = '' as $$
begin
    -- The text of a jsonb value is canonical: keys sorted and single, no insignificant white space.
    return encode(sha256(convert_to(p_action::text, 'UTF8')), 'hex');
end;
$$;
comment on function guildhall.action_hash(jsonb) is 'SHA-256, hex, of an action''s canonical text.';

create or replace function guildhall.approval_json(p_approval guildhall.approvals) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object(
        'id', (p_approval).id, 'run_id', (p_approval).run_id, 'step', (p_approval).step,
        'state', (p_approval).state, 'action', (p_approval).action, 'action_hash', (p_approval).action_hash,
        'risk', (p_approval).risk, 'summary', (p_approval).summary, 'requester', (p_approval).requester, 'decided_by', (p_approval).decided_by,
        'reason', (p_approval).reason, 'created_at', (p_approval).created_at,
        'expires_at', (p_approval).expires_at, 'decided_at', (p_approval).decided_at,
        'consumed_at', (p_approval).consumed_at
    );
end;
$$;
comment on function guildhall.approval_json(guildhall.approvals) is
    'Internal. An approval in the shape of the domain type Approval.';

create or replace function guildhall.approval_insert(
    p_command jsonb, p_requester text, p_run_id uuid, p_now timestamptz
) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
    v_step text := p_command ->> 'step';
    v_summary text := p_command ->> 'summary';
    v_risk jsonb := coalesce(nullif(p_command -> 'risk', 'null'), '{}');
    -- Nobody is asked for longer than a day, unless the document says so.
    v_expires_at timestamptz := p_now + make_interval(secs => greatest(1, ceil(
        coalesce((p_command ->> 'expires_ms')::float8, 86400000) / 1000)));
    v_id uuid;
begin
    insert into guildhall.approvals (
        run_id, seq, step, state, action, action_hash, risk, summary, requester, created_at, expires_at, next_wake_at
    ) values (
        p_run_id, (p_command ->> 'seq')::bigint, v_step, 'pending', p_command -> 'proposal',
        guildhall.action_hash(p_command -> 'proposal'), v_risk, v_summary, p_requester, p_now, v_expires_at, v_expires_at
    )
    returning id into v_id;
    perform guildhall.outbox_emit('dev.guildhall.approval.requested.v1', v_id::text,
        jsonb_build_object('approval_id', v_id, 'run_id', p_run_id, 'step', v_step, 'action', p_command -> 'proposal',
            'summary', v_summary, 'risk', v_risk, 'requester', p_requester, 'expires_at', v_expires_at), p_now);
    return v_id;
end;
$$;
comment on function guildhall.approval_insert(jsonb, text, uuid, timestamptz) is
    'Internal. Asks for an approval as a command of the engine wants it, in which run_command_flaw found nothing wrong.';

create or replace function guildhall.approval_finish(
    p_id uuid, p_state text, p_by text, p_reason text, p_tell_run boolean, p_now timestamptz
) returns guildhall.approvals
language plpgsql volatile set search_path = '' as $$
declare
    v_approval guildhall.approvals;
begin
    update guildhall.approvals a
    set state = p_state, decided_by = p_by, reason = p_reason, next_wake_at = null, ended_at = p_now,
        decided_at = case when p_by is not null then p_now end
    where a.id = p_id
    returning a.* into strict v_approval;
    if p_tell_run then
        perform guildhall.run_tell(v_approval.run_id, jsonb_build_object('step', v_approval.step, 'seq', v_approval.seq)
            || case when p_state = 'approved' then jsonb_build_object('event', 'completed', 'output', jsonb_build_object(
                'approval_id', p_id, 'decision', 'approved', 'decided_by', p_by, 'reason', p_reason,
                'action_hash', v_approval.action_hash, 'summary', 'approved by ' || p_by))
            else jsonb_build_object('event', 'failed', 'error', guildhall.run_problem(
                guildhall.approval_error(v_approval), p_state)) end, p_now);
    end if;
    perform guildhall.outbox_emit('dev.guildhall.approval.' || p_state || '.v1', p_id::text,
        jsonb_build_object('approval_id', p_id, 'run_id', v_approval.run_id, 'step', v_approval.step,
            'state', p_state, 'decided_by', p_by, 'reason', p_reason), p_now);
    return v_approval;
end;
$$;
comment on function guildhall.approval_finish(uuid, text, text, text, boolean, timestamptz) is
    'Internal. Ends a pending approval and, when told to, tells its run; the caller holds the approval.';

create or replace function guildhall.approval_error(p_approval guildhall.approvals) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
    return case (p_approval).state
        when 'rejected' then jsonb_build_object('code', 'approval_rejected', 'retryable', false, 'detail', format(
            '%s refused%s', (p_approval).decided_by, coalesce(': ' || (p_approval).reason, '')))
        when 'expired' then jsonb_build_object('code', 'approval_expired', 'retryable', false, 'detail', 'nobody decided in time')
        when 'cancelled' then jsonb_build_object('code', 'cancelled', 'retryable', false, 'detail',
            'the run ended or went on before anybody decided')
    end;
end;
$$;
comment on function guildhall.approval_error(guildhall.approvals) is
    'Internal. Why an approval gave no leave, as the domain type AgentError; null while it may, or did.';

create or replace function guildhall.approval_decide(
    p_id text, p_principal text, p_kind text, p_decision text, p_reason text
) returns table (outcome text, approval jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
    v_approval guildhall.approvals;
    v_now timestamptz;
    v_outcome text;
begin
    perform guildhall.ensure_text('principal', btrim(p_principal), 200);
    if p_decision is null or p_decision not in ('approve', 'reject') then
        raise exception using errcode = 'GH001', message = 'decision must be approve or reject';
    end if;
    select a.* into v_approval from guildhall.approvals a where a.id = v_id for no key update;
    v_now := guildhall.clock();
    if v_approval.id is null then
        return query select 'not_found', null::jsonb;
        return;
    end if;
    if p_kind is distinct from 'person' or lower(btrim(p_principal)) = lower(btrim(v_approval.requester)) then
        v_outcome := 'not_eligible';
    elsif v_approval.state = 'pending' and v_approval.expires_at <= v_now then
        v_approval := guildhall.approval_finish(v_id, 'expired', null, null, true, v_now);
        v_outcome := 'expired';
    elsif v_approval.state = 'pending' then
        v_approval := guildhall.approval_finish(v_id, case p_decision when 'approve' then 'approved' else 'rejected' end,
            p_principal, p_reason, true, v_now);
        perform guildhall.audit_append(p_principal, 'approval_' || p_decision, v_id::text,
            jsonb_build_object('run_id', v_approval.run_id, 'step', v_approval.step,
                'action_hash', v_approval.action_hash, 'reason', p_reason), v_now);
        v_outcome := 'decided';
    else
        v_outcome := case v_approval.state
            when 'expired' then 'expired' when 'cancelled' then 'cancelled' else 'already_decided' end;
    end if;
    return query select v_outcome, guildhall.approval_json(v_approval);
end;
$$;
comment on function guildhall.approval_decide(text, text, text, text, text) is
    'A person other than the requester decides a pending approval, once and for good; its run is told.';

create or replace function guildhall.approval_consume(p_id text, p_action jsonb, p_request_id text, p_epoch bigint)
returns table (outcome text, approval jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
    v_request_id uuid := guildhall.ensure_uuid('request_id', p_request_id);
    v_request guildhall.requests := guildhall.request_lock(v_request_id);
    v_approval guildhall.approvals;
    v_now timestamptz;
    v_outcome text;
begin
    select a.* into v_approval from guildhall.approvals a where a.id = v_id for no key update;
    v_now := guildhall.clock();
    if v_approval.id is null then
        return query select 'mismatch', null::jsonb;
        return;
    end if;
    if v_request.state is distinct from 'leased' or v_request.epoch <> p_epoch
        or v_request.lease_expires_at <= v_now or v_request.deadline_at <= v_now
    then
        v_outcome := 'stale';
    elsif v_request.run_id is distinct from v_approval.run_id
        or v_approval.action_hash is distinct from guildhall.action_hash(p_action)
    then
        v_outcome := 'mismatch';
    elsif v_approval.state = 'expired' then
        v_outcome := 'expired';
    elsif v_approval.state <> 'approved' then
        v_outcome := 'not_approved';
    elsif v_approval.consumed_by = v_request_id then
        -- A later attempt of the same request: the action was begun, and its idempotency key keeps it single.
        v_outcome := 'consumed';
    elsif v_approval.consumed_by is not null then
        v_outcome := 'used';
    elsif v_approval.expires_at <= v_now then
        v_outcome := 'expired';
    else
        update guildhall.approvals a set consumed_at = v_now, consumed_by = v_request_id
        where a.id = v_id
        returning a.* into strict v_approval;
        perform guildhall.audit_append(v_request.agent, 'approval_consume', v_id::text,
            jsonb_build_object('run_id', v_approval.run_id, 'request_id', v_request_id, 'epoch', p_epoch,
                'action_hash', v_approval.action_hash), v_now);
        v_outcome := 'consumed';
    end if;
    return query select v_outcome, guildhall.approval_json(v_approval);
end;
$$;
comment on function guildhall.approval_consume(text, jsonb, text, bigint) is
    'Uses an approval for exactly the hashed action, once, on behalf of the live attempt of a request of its run.';

create or replace function guildhall.approval_sweep(p_limit bigint) returns integer
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_over record;
    v_count integer := 0;
begin
    for v_over in
        select a.id from guildhall.approvals a
        where a.state = 'pending' and a.next_wake_at <= v_now
        order by a.next_wake_at, a.id
        limit p_limit
    loop
        perform from guildhall.approvals a
        where a.id = v_over.id and a.state = 'pending'
        for no key update skip locked;
        continue when not found;
        perform guildhall.approval_finish(v_over.id, 'expired', null, null, true, v_now);
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$;
comment on function guildhall.approval_sweep(bigint) is
    'Internal. Lets up to p_limit approvals lapse that nobody decided in time.';

create or replace function guildhall.approval_get(p_id text) returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
begin
    return query select guildhall.approval_json(a) from guildhall.approvals a where a.id = v_id;
end;
$$;
comment on function guildhall.approval_get(text) is 'The approval, or no row.';

create or replace function guildhall.approval_list(p_state text, p_after text, p_limit bigint) returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_after uuid := case when p_after is not null then guildhall.ensure_uuid('after', p_after) end;
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    return query
    select guildhall.approval_json(a)
    from guildhall.approvals a
    where (p_state is null or a.state = p_state)
        and (v_after is null or (a.created_at, a.id) < (
            select x.created_at, x.id from guildhall.approvals x where x.id = v_after))
    order by a.created_at desc, a.id desc
    limit p_limit;
end;
$$;
comment on function guildhall.approval_list(text, text, bigint) is
    'Approvals, newest first, optionally of a state, after the approval p_after.';
