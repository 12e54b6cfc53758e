-- What happens to runs. Whoever finishes something that a run waits for only adds a row to the run's inbox; a claim moves
-- it into the journal. So nobody but the run's worker, and whoever cancels it, ever locks the run's row.

create or replace function guildhall.run_tell(p_run_id uuid, p_input jsonb, p_now timestamptz) returns void
language plpgsql volatile set search_path = '' as $$
begin
    insert into guildhall.run_inbox (run_id, at, input) values (p_run_id, p_now, p_input);
end;
$$;
comment on function guildhall.run_tell(uuid, jsonb, timestamptz) is
    'Internal. Tells a run what happened, as the engine''s Input has it. To a run that has ended it means nothing.';

create or replace function guildhall.run_problem(p_error jsonb, p_state text) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
    v_standard text := case
        when p_state in ('timed_out', 'expired') then 'timeout' when p_state = 'rejected' and p_error ->> 'code' = 'approval_rejected'
        then 'authorization' end;
    v_code text := coalesce(p_error ->> 'code', 'failed');
begin
    return jsonb_build_object(
        'type', case when v_standard is null then 'https://guildhall.dev/errors/' || replace(v_code, '_', '-')
            else 'https://serverlessworkflow.io/spec/1.0.0/errors/' || v_standard end,
        'status', case when v_standard = 'timeout' then 408 when v_standard = 'authorization' then 403
            when p_state = 'rejected' then 400 when v_code = 'cancelled' then 409 else 500 end,
        'title', case when v_standard = 'timeout' then 'Timeout' when v_standard = 'authorization' then 'Authorization Error'
            else upper(left(v_code, 1)) || replace(substr(v_code, 2), '_', ' ') end,
        'detail', coalesce(p_error ->> 'detail', p_state));
end;
$$;
comment on function guildhall.run_problem(jsonb, text) is
    'Internal. Why a request or an approval came to nothing, as the engine''s Problem.';

create or replace function guildhall.run_note(p_run_id text, p_event text, p_by text) returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
    v_ended boolean;
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_text('by', p_by, 200);
    select r.finished_at is not null into v_ended from guildhall.runs r where r.id = v_id;
    if v_ended is null then
        return 'not_found';
    elsif v_ended then
        return 'ended';
    end if;
    perform guildhall.run_tell(v_id, jsonb_build_object('event', p_event), v_now);
    perform guildhall.audit_append(p_by, 'run_' || p_event, v_id::text, '{}', v_now);
    return 'accepted';
end;
$$;
comment on function guildhall.run_note(text, text, text) is
    'Internal. Tells a run that has not ended what somebody wants of it, audited.';

create or replace function guildhall.run_pause(p_run_id text, p_by text) returns text
language plpgsql volatile set search_path = '' as $$
begin
    return guildhall.run_note(p_run_id, 'pause', p_by);
end;
$$;
comment on function guildhall.run_pause(text, text) is
    'Suspends a run: what is under way ends, nothing begins. accepted, not_found or ended.';

create or replace function guildhall.run_resume(p_run_id text, p_by text) returns text
language plpgsql volatile set search_path = '' as $$
begin
    return guildhall.run_note(p_run_id, 'resume', p_by);
end;
$$;
comment on function guildhall.run_resume(text, text) is 'Lets a suspended run go on. accepted, not_found or ended.';

create or replace function guildhall.event_flaw(p_event jsonb) returns text
language plpgsql immutable set search_path = '' as $$
begin
    if p_event ->> 'specversion' is distinct from '1.0' then
        return 'specversion must be "1.0"';
    end if;
    perform guildhall.ensure_field_text(p_event, 'source', 400);
    perform guildhall.ensure_field_text(p_event, 'id', 200);
    perform guildhall.ensure_field_text(p_event, 'type', 500);
    if p_event ->> 'source' ~ '^/(guildhall|v1)(/|$)' then
        return format('source %s is the hall''s own; nobody else speaks for it', p_event ->> 'source');
    end if;
    return null;
exception when sqlstate 'GH001' then
    return sqlerrm;
end;
$$;
comment on function guildhall.event_flaw(jsonb) is
    'Internal. What is wrong with a CloudEvent from outside, or null; the hall''s own sources are nobody else''s.';

create or replace function guildhall.event_deliver(p_event jsonb, p_now timestamptz) returns integer
language plpgsql volatile set search_path = '' as $$
declare
    v_count integer;
begin
    insert into guildhall.run_inbox (run_id, at, input)
    select x.run_id, p_now, jsonb_build_object('event', 'delivered', 'cloud_event', p_event)
    from (
        select distinct s.run_id from guildhall.run_subscriptions s
        where (s.type = left(p_event ->> 'type', 500) or s.type is null) and p_event @> s.attributes
    ) x;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
comment on function guildhall.event_deliver(jsonb, timestamptz) is
    'Internal. Tells each run that listens for such an event of it, once; how many there are.';

create or replace function guildhall.event_publish(p_event jsonb, p_by text)
returns table (outcome text, delivered integer, detail text)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_flaw text := guildhall.event_flaw(p_event);
begin
    perform guildhall.ensure_text('by', p_by, 200);
    if v_flaw is not null then
        return query select 'invalid', 0, v_flaw;
        return;
    end if;
    insert into guildhall.events_accepted (source, event_id, type, accepted_at, accepted_by)
    values (p_event ->> 'source', p_event ->> 'id', p_event ->> 'type', v_now, p_by)
    on conflict (source, event_id) do nothing;
    if not found then
        return query select 'duplicate', 0, null::text;
        return;
    end if;
    return query select 'accepted', guildhall.event_deliver(p_event, v_now), null::text;
end;
$$;
comment on function guildhall.event_publish(jsonb, text) is
    'Delivers a CloudEvent from outside to all runs that listen for it, once per source and id.';

create or replace function guildhall.run_signal(p_run_id text, p_event jsonb, p_by text) returns table (outcome text, detail text)
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('run_id', p_run_id);
    v_ended boolean;
    v_now timestamptz := guildhall.clock();
    v_flaw text := guildhall.event_flaw(p_event);
begin
    perform guildhall.ensure_text('by', p_by, 200);
    select r.finished_at is not null into v_ended from guildhall.runs r where r.id = v_id;
    if v_ended is null then
        return query select 'not_found', null::text;
    elsif v_ended then
        return query select 'ended', null::text;
    elsif v_flaw is not null then
        return query select 'invalid', v_flaw;
    else
        perform guildhall.run_tell(v_id, jsonb_build_object('event', 'delivered', 'cloud_event', p_event), v_now);
        perform guildhall.audit_append(p_by, 'run_signal', v_id::text, jsonb_build_object('source', p_event ->> 'source',
            'id', p_event ->> 'id', 'type', p_event ->> 'type'), v_now);
        return query select 'accepted', null::text;
    end if;
end;
$$;
comment on function guildhall.run_signal(text, jsonb, text) is
    'Delivers a CloudEvent from outside to one run, whatever it listens for, audited.';

create or replace function guildhall.run_sweep(p_limit bigint) returns integer
language plpgsql volatile set search_path = '' as $$
declare
    v_count integer;
begin
    delete from guildhall.run_inbox i where i.id in (
        select x.id from guildhall.run_inbox x join guildhall.runs r on r.id = x.run_id
        where r.finished_at is not null
        order by x.id limit p_limit);
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
comment on function guildhall.run_sweep(bigint) is
    'Internal. Forgets up to p_limit things that happened to runs which have ended.';
