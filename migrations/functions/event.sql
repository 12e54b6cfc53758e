-- Events from outside. Every replica receives every Redis message, so the first insert of (source, id) wins.

create or replace function guildhall.event_accept(p_event jsonb, p_options jsonb)
returns table (outcome text, request_id uuid, detail text, input_schema jsonb, schema_digest text)
language plpgsql volatile set search_path = '' as $$
declare
    v_source text;
    v_event_id text;
    v_type text;
    v_request record;
    v_request_id uuid;
    v_detail text;
    v_now timestamptz := guildhall.clock();
begin
    begin
        v_source := guildhall.ensure_field_text(p_event, 'source', 180);
        v_event_id := guildhall.ensure_field_text(p_event, 'id', 200);
        v_type := guildhall.ensure_field_text(p_event, 'type', 200);
        if p_event ->> 'specversion' is distinct from '1.0' then
            return query select 'invalid', null::uuid, 'specversion must be "1.0"', null::jsonb, null::text;
            return;
        end if;
        if v_type <> 'dev.guildhall.request.v1' then
            return query select 'invalid', null::uuid, 'type must be dev.guildhall.request.v1; no other event is taken here', null::jsonb, null::text;
            return;
        end if;
        insert into guildhall.events_accepted (source, event_id, type, accepted_at)
        values (v_source, v_event_id, v_type, v_now)
        on conflict (source, event_id) do nothing;
        if not found then
            return query
            select 'duplicate', e.request_id, null::text, null::jsonb, null::text from guildhall.events_accepted e
            where e.source = v_source and e.event_id = v_event_id;
            return;
        end if;
        select s.outcome, (s.request ->> 'id')::uuid as id, s.input_schema, s.schema_digest into v_request
        from guildhall.request_submit(p_event -> 'data', 'redis:' || v_source, null, null, p_options) s;
        if v_request.outcome = 'schema_changed' then
            -- Nothing is kept: the caller validates against this schema and comes again.
            delete from guildhall.events_accepted e where e.source = v_source and e.event_id = v_event_id;
            return query select 'schema_changed', null::uuid, null::text, v_request.input_schema, v_request.schema_digest;
            return;
        elsif v_request.outcome in ('queue_full', 'overloaded') then
            raise exception using errcode = 'GH001', message =
                'too much waits already; send the event again later';
        elsif v_request.outcome <> 'accepted' then
            -- Undoes the insert above: the sender may send the same event again once an agent offers the skill.
            raise exception using errcode = 'GH001', message = format(
                'no agent offers the skill %s', p_event -> 'data' ->> 'skill');
        end if;
        v_request_id := v_request.id;
        update guildhall.events_accepted e set request_id = v_request_id
        where e.source = v_source and e.event_id = v_event_id;
    exception when sqlstate 'GH001' then
        get stacked diagnostics v_detail = message_text;
        if v_source is not null and v_event_id is not null then
            -- Nobody waits for the answer on the way in, so the refusal is told the way results are.
            perform guildhall.outbox_emit('dev.guildhall.request.refused.v1', v_event_id,
                jsonb_build_object('source', v_source, 'event_id', v_event_id, 'detail', v_detail), v_now);
        end if;
        return query select 'invalid', null::uuid, v_detail, null::jsonb, null::text;
        return;
    end;
    return query select 'accepted', v_request_id, null::text, null::jsonb, null::text;
end;
$$;
comment on function guildhall.event_accept(jsonb, jsonb) is
    'Accepts a CloudEvent once per source and id and does what it asks: submits its data as a request.';

create or replace function guildhall.event_refuse(p_event jsonb, p_detail text) returns text
language plpgsql volatile set search_path = '' as $$
begin
    perform guildhall.outbox_emit('dev.guildhall.request.refused.v1',
        guildhall.ensure_field_text(p_event, 'id', 200),
        jsonb_build_object('source', guildhall.ensure_field_text(p_event, 'source', 180), 'event_id', p_event ->> 'id',
            'detail', guildhall.ensure_text('detail', p_detail, 10000)), guildhall.clock());
    return 'told';
end;
$$;
comment on function guildhall.event_refuse(jsonb, text) is
    'Tells listeners that an event from outside was refused before it was stored, as nobody waits for the answer.';
