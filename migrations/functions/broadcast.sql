-- Broadcasts: one question to many agents, a request for each that is live when it is asked.

create or replace function guildhall.broadcast_submit(
    p_request jsonb, p_requester text, p_idempotency_key text, p_fingerprint text, p_options jsonb
) returns table (outcome text, broadcast jsonb, input_schema jsonb, schema_digest text)
language plpgsql volatile set search_path = '' as $$
declare
    v_skill text := guildhall.ensure_field_text(p_request, 'skill', 200);
    v_scope text := coalesce(guildhall.request_field(p_request, 'to', 20), 'skill');
    v_excluded jsonb := coalesce(nullif(p_request -> 'exclude', 'null'), '[]');
    v_now timestamptz := guildhall.clock();
    v_offer record;
    v_targets text[];
    v_target text;
    v_broadcast guildhall.broadcasts;
begin
    perform guildhall.ensure_text('requester', p_requester, 200);
    if v_scope not in ('all', 'skill') or jsonb_typeof(v_excluded) <> 'array' then
        raise exception using errcode = 'GH001', message = 'to must be all or skill, exclude a list of agents';
    end if;
    if p_idempotency_key is not null then
        perform guildhall.ensure_text('idempotency_key', p_idempotency_key, 200);
        perform guildhall.ensure_text('fingerprint', p_fingerprint, 200);
        -- What was accepted stays accepted, whoever is there by now.
        select b.* into v_broadcast from guildhall.broadcasts b
        where b.requester = p_requester and b.idempotency_key = p_idempotency_key;
        if v_broadcast.id is not null then
            return query select case when v_broadcast.fingerprint = p_fingerprint then 'exists' else 'conflict' end,
                case when v_broadcast.fingerprint = p_fingerprint then guildhall.broadcast_json(v_broadcast) end,
                null::jsonb, null::text;
            return;
        end if;
    end if;
    select a.input_schema, a.schema_digest into v_offer from guildhall.agent_assignable(v_skill, null, v_now) a
    order by a.schema_digest is distinct from p_options ->> 'schema_digest', a.rank desc, a.agent_id limit 1;
    if not found then
        return query select 'unknown_skill', null::jsonb, null::jsonb, null::text;
        return;
    elsif v_offer.schema_digest is distinct from p_options ->> 'schema_digest' and v_offer.schema_digest is not null then
        return query select 'schema_changed', null::jsonb, v_offer.input_schema, v_offer.schema_digest;
        return;
    end if;
    if v_scope = 'all' then
        select array_agg(l.agent_id order by l.agent_id) into v_targets from guildhall.agent_liveness l
        where l.expires_at > v_now and l.probe_failures < 2 and l.reported <> 'draining'
            and not v_excluded ? l.agent_id;
    else
        select array_agg(a.agent_id order by a.agent_id) into v_targets
        from guildhall.agent_assignable(v_skill, null, v_now) a where not v_excluded ? a.agent_id;
    end if;
    if v_targets is null then
        return query select 'nobody', null::jsonb, null::jsonb, null::text;
        return;
    elsif cardinality(v_targets) > 1000 or exists (
        select from guildhall.requests r where r.finished_at is null order by r.queue_at offset 20000 limit 1)
    then
        return query select 'overloaded', null::jsonb, null::jsonb, null::text;
        return;
    end if;
    insert into guildhall.broadcasts as b (
        requester, skill, scope, excluded, targets, idempotency_key, fingerprint, created_at
    ) values (
        p_requester, v_skill, v_scope, v_excluded, cardinality(v_targets), p_idempotency_key,
        case when p_idempotency_key is not null then p_fingerprint end, v_now
    ) on conflict (requester, idempotency_key) do nothing
    returning b.* into v_broadcast;
    if v_broadcast.id is null then
        select b.* into strict v_broadcast from guildhall.broadcasts b
        where b.requester = p_requester and b.idempotency_key = p_idempotency_key;
        return query select case when v_broadcast.fingerprint = p_fingerprint then 'exists' else 'conflict' end,
            case when v_broadcast.fingerprint = p_fingerprint then guildhall.broadcast_json(v_broadcast) end,
            null::jsonb, null::text;
        return;
    end if;
    foreach v_target in array v_targets loop
        perform guildhall.request_insert(p_request - 'to' - 'exclude' || jsonb_build_object('agent', v_target,
                'correlation_id', coalesce(p_request ->> 'correlation_id', v_broadcast.id::text)),
            p_requester, null, null, null, null, v_now,
            p_options || jsonb_build_object('broadcast_id', v_broadcast.id));
    end loop;
    perform guildhall.outbox_emit('dev.guildhall.broadcast.submitted.v1', v_broadcast.id::text, jsonb_build_object(
        'broadcast_id', v_broadcast.id, 'skill', v_skill, 'targets', to_jsonb(v_targets)), v_now, p_options ->> 'traceparent');
    return query select 'accepted', guildhall.broadcast_json(v_broadcast), null::jsonb, null::text;
end;
$$;
comment on function guildhall.broadcast_submit(jsonb, text, text, text, jsonb) is
    'Asks every live agent (to: all), or every one with the skill, but the excluded, with a request for each.';

create or replace function guildhall.broadcast_json(p_broadcast guildhall.broadcasts) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object('id', (p_broadcast).id, 'requester', (p_broadcast).requester,
        'skill', (p_broadcast).skill, 'to', (p_broadcast).scope, 'exclude', (p_broadcast).excluded,
        'targets', (p_broadcast).targets, 'created_at', (p_broadcast).created_at,
        'open', count(*) filter (where r.finished_at is null),
        'answers', coalesce(jsonb_agg(jsonb_build_object('request_id', r.id, 'agent', r.agent_wanted,
            'state', r.state, 'result', r.result, 'error', r.error) order by r.agent_wanted), '[]'))
    from guildhall.requests r where r.broadcast_id = (p_broadcast).id;
end;
$$;
comment on function guildhall.broadcast_json(guildhall.broadcasts) is
    'Internal. A broadcast with the answers that there are.';

create or replace function guildhall.broadcast_get(p_id text) returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
begin
    return query select guildhall.broadcast_json(b) from guildhall.broadcasts b where b.id = v_id;
end;
$$;
comment on function guildhall.broadcast_get(text) is 'The broadcast with its answers, or no row.';
