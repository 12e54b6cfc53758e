-- Guildhall's state machines. Callers run one function per unit of work and nothing else.
--
-- Tables   tokens · agents, agent_liveness, agent_skills, skills, skill_words · workflows · runs, journal, run_inbox,
--          run_timers, run_subscriptions, run_calls · requests · approvals ·
--          locks, lock_grants, lock_waiters, lock_wants, lock_history · events, relay, events_accepted ·
--          chat_sessions, chat_messages · ticker · audit (all in ../0001_core.sql and later)
-- Names    noun_verb. get/list read; start/submit/register/create accept; claim leases due work under a new epoch;
--          renew/advance/complete/fail/release act under that epoch or token, or answer `stale`; sweep does what time
--          alone demands. A leading `p_` is a parameter, `v_` a variable.
-- Answers  an outcome that a correct caller can meet is a row (`outcome text, …`). An exception means that the caller
--          has a bug, or that the statement never happened:
--            GH001 an argument is out of range or malformed      GH002 a command is malformed
--            GH003 an illegal transition, or a step begun twice  GH004 a record that is only ever added to was changed
--            GH005 a journal position would leave a gap
-- Time     guildhall.clock() and nothing else. It is read after the rows that a decision rests on are locked: a wait
--          for a lock must not let an expired lease pass for a live one.
-- Locks    rows are locked in this order, and within a table one at a time or with `skip locked`:
--            ticker → runs → requests → run_calls → (advisory) seats of agents → approvals → locks → lock_grants → lock_waiters → agents →
--            agent_liveness → skills → skill_words → relay → the rest
--          Of locks, only the rows of roots (names up to the first `/`) are locked for their own sake, in byte order; out
--          of order only with `skip locked`.
--          What happens to a run goes into its inbox, so that nobody but its worker, and who cancels it, locks its row.

create or replace function guildhall.clock() returns timestamptz
language plpgsql volatile set search_path = '' as $$
begin
    return pg_catalog.clock_timestamp();
end;
$$;
comment on function guildhall.clock() is 'The only clock. Tests replace it; nothing else can.';

create or replace function guildhall.ensure_text(p_name text, p_value text, p_max bigint) returns text
language plpgsql immutable set search_path = '' as $$
begin
    if p_value is null or length(p_value) not between 1 and p_max then
        raise exception using errcode = 'GH001', message = format(
            '%s must have 1 to %s characters, not %s', p_name, p_max, coalesce(length(p_value)::text, 'none'));
    end if;
    return p_value;
end;
$$;
comment on function guildhall.ensure_text(text, text, bigint) is 'The text, or GH001 when it is empty or too long.';

create or replace function guildhall.ensure_int(p_name text, p_value bigint, p_min bigint, p_max bigint)
returns bigint
language plpgsql immutable set search_path = '' as $$
begin
    if p_value is null or p_value not between p_min and p_max then
        raise exception using errcode = 'GH001', message = format(
            '%s must be %s to %s, not %s', p_name, p_min, p_max, coalesce(p_value::text, 'null'));
    end if;
    return p_value;
end;
$$;
comment on function guildhall.ensure_int(text, bigint, bigint, bigint) is 'The number, or GH001 when out of range.';

create or replace function guildhall.ensure_uuid(p_name text, p_value text) returns uuid
language plpgsql immutable set search_path = '' as $$
begin
    if p_value is null or p_value !~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then
        raise exception using errcode = 'GH001', message = format(
            '%s must be a UUID, not %s', p_name, coalesce(quote_literal(left(p_value, 60)), 'null'));
    end if;
    return p_value::uuid;
end;
$$;
comment on function guildhall.ensure_uuid(text, text) is 'The UUID that the text spells, or GH001.';

create or replace function guildhall.ensure_field_text(p_object jsonb, p_key text, p_max bigint) returns text
language plpgsql immutable set search_path = '' as $$
begin
    if jsonb_typeof(p_object -> p_key) is distinct from 'string' then
        raise exception using errcode = 'GH001', message = format(
            '%s must be a string, not %s', p_key, coalesce(jsonb_typeof(p_object -> p_key), 'absent'));
    end if;
    return guildhall.ensure_text(p_key, p_object ->> p_key, p_max);
end;
$$;
comment on function guildhall.ensure_field_text(jsonb, text, bigint) is 'A string member of an object, or GH001.';

create or replace function guildhall.ensure_field_int(
    p_object jsonb, p_key text, p_default bigint, p_min bigint, p_max bigint
) returns bigint
language plpgsql immutable set search_path = '' as $$
declare
    v_number numeric;
begin
    if coalesce(jsonb_typeof(p_object -> p_key), 'null') = 'null' then
        return guildhall.ensure_int(p_key, p_default, p_min, p_max);
    end if;
    if jsonb_typeof(p_object -> p_key) = 'number' then
        v_number := (p_object ->> p_key)::numeric;
    end if;
    if v_number is null or v_number <> trunc(v_number) or v_number not between p_min and p_max then
        raise exception using errcode = 'GH001', message = format(
            '%s must be a whole number from %s to %s, not %s', p_key, p_min, p_max, left((p_object -> p_key)::text, 60));
    end if;
    return v_number::bigint;
end;
$$;
comment on function guildhall.ensure_field_int(jsonb, text, bigint, bigint, bigint) is
    'A whole-number member of an object, the default when it is absent or null, or GH001.';
