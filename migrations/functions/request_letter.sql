-- Dead letters: requests outside runs that came to nothing wait for somebody to retry them or to let them go.

create or replace function guildhall.request_letters(p_after text, p_limit bigint) returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_after uuid := case when p_after is not null then guildhall.ensure_uuid('after', p_after) end;
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    return query
    select guildhall.request_json(r) from guildhall.requests r
    where r.letter = 'open'
        and (v_after is null or (r.finished_at, r.id) < (
            select a.finished_at, a.id from guildhall.requests a where a.id = v_after))
    order by r.finished_at desc, r.id desc
    limit p_limit;
end;
$$;
comment on function guildhall.request_letters(text, bigint) is
    'Dead letters that wait for somebody, the latest first, after the request p_after.';

create or replace function guildhall.request_retry(p_id text, p_by text, p_reason text)
returns table (outcome text, request jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
    v_old guildhall.requests;
    v_new guildhall.requests;
    v_new_id uuid;
    v_now timestamptz;
begin
    perform guildhall.ensure_text('by', p_by, 200);
    perform guildhall.ensure_text('reason', p_reason, 2000);
    select r.* into v_old from guildhall.requests r where r.id = v_id for no key update;
    v_now := guildhall.clock();
    if v_old.id is null then
        return query select 'not_found', null::jsonb;
        return;
    elsif v_old.letter is distinct from 'open' then
        return query select 'no_letter', guildhall.request_json(v_old);
        return;
    elsif v_old.life >= 10 then
        return query select 'exhausted', guildhall.request_json(v_old);
        return;
    end if;
    update guildhall.requests r set letter = 'retried' where r.id = v_id;
    v_new_id := guildhall.request_insert(jsonb_build_object(
            'skill', v_old.skill, 'agent', v_old.agent_wanted, 'input', v_old.input, 'priority', v_old.priority,
            'max_attempts', v_old.max_attempts, 'callback_url', v_old.callback_url, 'source', v_old.source,
            'timeout_s', greatest(1, round(extract(epoch from v_old.deadline_at - v_old.created_at))),
            'correlation_id', v_old.correlation_id, 'causation_id', v_old.id),
        v_old.requester, null, null, null, null, v_now, jsonb_build_object('traceparent', v_old.traceparent,
            'schema_digest', v_old.schema_digest, 'broadcast_id', v_old.broadcast_id, 'life', v_old.life + 1,
            'retry_of', v_old.id));
    perform guildhall.audit_append(p_by, 'request_retry', v_id::text,
        jsonb_build_object('reason', p_reason, 'as', v_new_id, 'life', v_old.life + 1), v_now);
    select r.* into strict v_new from guildhall.requests r where r.id = v_new_id;
    return query select 'retried', guildhall.request_json(v_new);
end;
$$;
comment on function guildhall.request_retry(text, text, text) is
    'Gives a dead letter a new life: the same request again, under a new id, at most nine times in a row.';

create or replace function guildhall.request_discard(p_id text, p_by text, p_reason text)
returns table (outcome text, request jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
    v_old guildhall.requests;
begin
    perform guildhall.ensure_text('by', p_by, 200);
    perform guildhall.ensure_text('reason', p_reason, 2000);
    select r.* into v_old from guildhall.requests r where r.id = v_id for no key update;
    if v_old.id is null then
        return query select 'not_found', null::jsonb;
        return;
    elsif v_old.letter is distinct from 'open' then
        return query select 'no_letter', guildhall.request_json(v_old);
        return;
    end if;
    update guildhall.requests r set letter = 'discarded' where r.id = v_id returning r.* into strict v_old;
    perform guildhall.audit_append(p_by, 'request_discard', v_id::text, jsonb_build_object('reason', p_reason),
        guildhall.clock());
    return query select 'discarded', guildhall.request_json(v_old);
end;
$$;
comment on function guildhall.request_discard(text, text, text) is 'Lets a dead letter go; it stays on record.';
