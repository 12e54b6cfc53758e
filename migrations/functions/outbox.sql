-- Events: committed with the change that they tell of, published after, in order and at least once.
--
-- A reader's position is (position_xid, id). Transactions commit in another order than they began, so nothing at or
-- above the oldest transaction that is still going on is read: what appears later always lies behind a reader, never
-- before it. An event's position_xid is its own transaction's, raised to the newest that had begun when it was written:
-- a transaction that waited for a subject's row may be older than the one it waited for, and must come after it.

create or replace function guildhall.event_horizon() returns xid8
language plpgsql stable set search_path = '' as $$
begin
    return pg_snapshot_xmin(pg_current_snapshot());
end;
$$;
comment on function guildhall.event_horizon() is
    'Internal. The oldest transaction that may still add events; only what lies below is read. Of the whole server: a writer in another database holds it back too.';

create or replace function guildhall.event_position_xid() returns xid8
language plpgsql stable set search_path = '' as $$
begin
    -- The snapshot is that of the statement, taken after whatever row the writer waited for; what it does not know has
    -- not begun.
    return greatest(pg_current_xact_id(), (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text::xid8);
end;
$$;
comment on function guildhall.event_position_xid() is
    'Internal. Where an event stands that is written now: behind whatever was written of its subject before.';

create or replace function guildhall.outbox_emit(
    p_type text, p_subject text, p_data jsonb, p_now timestamptz, p_traceparent text default null
) returns void
language plpgsql volatile set search_path = '' as $$
begin
    insert into guildhall.events (at, position_xid, type, subject, event)
    select p_now, guildhall.event_position_xid(), p_type, p_subject,
        jsonb_build_object(
            'specversion', '1.0',
            'id', gen_random_uuid(),
            'source', '/guildhall',
            'type', p_type,
            'subject', p_subject,
            'time', p_now,
            'datacontenttype', 'application/json',
            'data', p_data
        ) || case when p_traceparent is null then '{}'::jsonb
            else jsonb_build_object('traceparent', p_traceparent) end;
    -- What others may read must not be lost with the machine: its position would be given to another event, which a
    -- reader who has gone on never sees.
    perform set_config('guildhall.told', 'yes', true);
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
end;
$$;
comment on function guildhall.outbox_emit(text, text, jsonb, timestamptz, text) is
    'Internal. Records a CloudEvent with the change that it tells of.';

create or replace function guildhall.outbox_add(p_subject text, p_events jsonb, p_now timestamptz) returns void
language plpgsql volatile set search_path = '' as $$
begin
    insert into guildhall.events (at, position_xid, type, subject, event)
    select p_now, x.position_xid, left(e.event ->> 'type', 500), p_subject, e.event
    from (select guildhall.event_position_xid() as position_xid offset 0) x
    cross join lateral jsonb_array_elements(p_events) with ordinality e (event, place)
    order by e.place;
    perform set_config('guildhall.told', 'yes', true);
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
end;
$$;
comment on function guildhall.outbox_add(text, jsonb, timestamptz) is
    'Internal. Records CloudEvents as they are, under a subject of the hall''s, as outbox_emit does its own.';

create or replace function guildhall.commit_need_not_wait() returns void
language plpgsql volatile set search_path = '' as $$
begin
    if coalesce(current_setting('guildhall.told', true), '') = '' then
        perform set_config('synchronous_commit', 'off', true);
    end if;
end;
$$;
comment on function guildhall.commit_need_not_wait() is
    'Internal. Lets this transaction commit without waiting for the disk, unless it tells of events.';

create or replace function guildhall.outbox_claim(p_worker text, p_limit bigint, p_lease_s bigint)
returns table ("position" text, event jsonb, channel text)
language plpgsql volatile set search_path = '' as $$
declare
    v_relay guildhall.relay;
    v_now timestamptz;
begin
    perform guildhall.ensure_text('worker', p_worker, 200);
    perform guildhall.ensure_int('limit', p_limit, 1, 500);
    perform guildhall.ensure_int('lease_s', p_lease_s, 1, 3600);
    select r.* into v_relay from guildhall.relay r for no key update skip locked;
    v_now := guildhall.clock();
    if v_relay.singleton is null or (v_relay.lease_owner <> p_worker and v_relay.lease_expires_at > v_now) then
        return;
    end if;
    update guildhall.relay r
    set lease_owner = p_worker, lease_expires_at = v_now + make_interval(secs => p_lease_s);
    return query
    select e.position_xid || '-' || e.id, e.event, 'guildhall.events.' || e.type
    from guildhall.events e
    where (e.position_xid, e.id) > (v_relay.position_xid, v_relay.position_id)
        and e.position_xid < guildhall.event_horizon()
    order by e.position_xid, e.id
    limit p_limit;
end;
$$;
comment on function guildhall.outbox_claim(text, bigint, bigint) is
    'The next events to publish, in order, for the one relay; nothing while another has the lease.';

create or replace function guildhall.outbox_published(p_position text, p_worker text) returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_relay guildhall.relay;
    v_to record;
begin
    select * into v_to from guildhall.event_position(p_position);
    select r.* into v_relay from guildhall.relay r for no key update;
    if v_relay.lease_owner is distinct from p_worker
        or (v_to.xid, v_to.id) < (v_relay.position_xid, v_relay.position_id)
    then
        return 'stale';
    end if;
    update guildhall.relay r
    set position_xid = v_to.xid, position_id = v_to.id, lease_owner = null, lease_expires_at = null;
    return 'advanced';
end;
$$;
comment on function guildhall.outbox_published(text, text) is
    'Moves the cursor behind what was published and gives the lease back; stale once another relay has taken over.';

create or replace function guildhall.event_position(p_position text)
returns table (xid xid8, id bigint)
language plpgsql immutable set search_path = '' as $$
begin
    if p_position !~ '^[0-9]{1,18}-[0-9]{1,18}$' then
        raise exception using errcode = 'GH001', message = format(
            'a position is the id of an event of the stream, such as 731-12, not %s', quote_literal(left(p_position, 60)));
    end if;
    return query select split_part(p_position, '-', 1)::xid8, split_part(p_position, '-', 2)::bigint;
end;
$$;
comment on function guildhall.event_position(text) is 'Internal. A position from its text, or GH001.';

create or replace function guildhall.event_list(
    p_after text, p_type text, p_subject text, p_since text, p_limit bigint
) returns table (events jsonb, "position" text, more boolean)
language plpgsql stable set search_path = '' as $$
declare
    v_xid xid8 := '0'::xid8;
    v_id bigint := 0::bigint;
    v_scanned bigint;
    v_last text;
    v_events jsonb;
    v_since timestamptz;
    v_horizon xid8 := guildhall.event_horizon();
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    begin
        v_since := p_since::timestamptz;
    exception when datetime_field_overflow or invalid_datetime_format then
        raise exception using errcode = 'GH001', message = 'since must be a time such as 2026-11-25T12:00:00Z';
    end;
    if p_after = 'now' then
        -- Nothing that is there yet, everything that comes.
        return query select '[]'::jsonb, (v_horizon::text::bigint - 1) || '-' || 999999999999999999, false;
        return;
    elsif p_after is not null then
        select t.xid, t.id into v_xid, v_id from guildhall.event_position(p_after) t;
    end if;
    -- A filter that little fits must not make one statement read everything: it goes on from where it stopped.
    with scanned as materialized (
        select e.position_xid as xid, e.id, e.type, e.subject, e.event from guildhall.events e
        where (e.position_xid, e.id) > (v_xid, v_id) and e.position_xid < v_horizon
            and (v_since is null or e.at >= v_since)
        order by e.position_xid, e.id
        limit case when p_type is null and p_subject is null then p_limit else 1000 end
    ), fitting as (
        select s.xid, s.id, s.event from scanned s
        where (p_type is null or starts_with(s.type, p_type)) and (p_subject is null or s.subject = p_subject)
        order by s.xid, s.id
        limit p_limit
    )
    select (select count(*) from scanned),
        (select coalesce(jsonb_agg(jsonb_build_object('position', f.xid || '-' || f.id, 'event', f.event)
            order by f.xid, f.id), '[]') from fitting f),
        case when (select count(*) from fitting) = p_limit
            then (select f.xid || '-' || f.id from fitting f order by f.xid desc, f.id desc limit 1)
            else (select s.xid || '-' || s.id from scanned s order by s.xid desc, s.id desc limit 1) end
    into v_scanned, v_events, v_last;
    return query select v_events, coalesce(v_last, p_after, '0-0'),
        v_scanned >= case when p_type is null and p_subject is null then p_limit else 1000 end
            or jsonb_array_length(v_events) = p_limit;
end;
$$;
comment on function guildhall.event_list(text, text, text, text, bigint) is
    'Events behind a position (none: from the oldest; now: only those to come), the next position, and whether to go on.';

create or replace function guildhall.event_maintain(p_now timestamptz, p_keep_days bigint) returns integer
language plpgsql volatile set search_path = '' as $$
declare
    v_day date;
    v_name text;
    v_old record;
    v_count integer := 0;
begin
    perform guildhall.ensure_int('keep_days', p_keep_days, 1, 3650);
    -- Partitions are made and dropped by statements that take no parameters, so their text is composed: of dates and of
    -- names from the catalogue only, quoted by format().
    for v_day in select (p_now at time zone 'UTC')::date + n from generate_series(0, 2) n loop
        v_name := 'events_' || to_char(v_day, 'YYYYMMDD');
        continue when to_regclass('guildhall.' || v_name) is not null;
        -- A day that has begun in the common partition stays there.
        continue when exists (
            select from guildhall.events_other e
            where e.at >= v_day::timestamp at time zone 'UTC' and e.at < (v_day + 1)::timestamp at time zone 'UTC');
        execute format('create table guildhall.%I partition of guildhall.events for values from (%L) to (%L)',
            v_name, v_day::timestamp at time zone 'UTC', (v_day + 1)::timestamp at time zone 'UTC');
        execute format('comment on table guildhall.%I is %L', v_name, 'Events of one day (UTC).');
        v_count := v_count + 1;
    end loop;
    for v_old in
        select c.relname from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'guildhall.events'::regclass and c.relname ~ '^events_[0-9]{8}$'
            and to_date(right(c.relname, 8), 'YYYYMMDD') < (p_now at time zone 'UTC')::date - p_keep_days::int
    loop
        execute format('drop table guildhall.%I', v_old.relname);
        v_count := v_count + 1;
    end loop;
    delete from guildhall.events_other e where (e.at, e.id) in (
        select x.at, x.id from guildhall.events_other x
        where x.at < p_now - make_interval(days => p_keep_days::int) limit 1000);
    return v_count;
end;
$$;
comment on function guildhall.event_maintain(timestamptz, bigint) is
    'Internal. Makes the partitions of today and the two days after, and drops those older than p_keep_days.';
