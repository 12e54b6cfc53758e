-- The registry. An agent is live while its lease lasts, by the database's clock, and whoever gives out work looks at
-- that in the statement that gives it out (agent_assignable, agent_search, agent_best).
--
--   active, busy   live, as the agent itself last said; both get work
--   draining       live, and wants no more work
--   suspect        the lease has run out, or two probes in a row failed: gets no work
--   offline        3 s after the lease ran out, or after the fourth failed probe in a row; the sweep says so in an event

create or replace function guildhall.agent_status(
    p_reported text, p_expires_at timestamptz, p_probe_failures integer, p_now timestamptz
) returns text
language plpgsql immutable set search_path = '' as $$
begin
    return case
        when p_probe_failures >= 4 or p_expires_at + interval '3 s' <= p_now then 'offline'
        when p_probe_failures >= 2 or p_expires_at <= p_now then 'suspect'
        else p_reported
    end;
end;
$$;
comment on function guildhall.agent_status(text, timestamptz, integer, timestamptz) is
    'Internal. What an agent is at p_now, from what it reported and when it was heard of.';

create or replace function guildhall.agent_json(
    p_agent guildhall.agents, p_liveness guildhall.agent_liveness, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object(
        'id', (p_agent).id, 'card', (p_agent).card, 'kind', (p_agent).kind, 'url', (p_agent).url,
        'project', (p_agent).project, 'max_concurrency', (p_agent).max_concurrency,
        'max_queue', (p_agent).max_queue, 'liveness', (p_agent).liveness,
        'status', guildhall.agent_status((p_liveness).reported, (p_liveness).expires_at,
            (p_liveness).probe_failures, p_now),
        'reported', (p_liveness).reported, 'ttl_s', (p_liveness).ttl_s, 'in_flight', (p_liveness).in_flight,
        'load', round((p_liveness).load::numeric, 3), 'probe_detail', (p_liveness).probe_detail,
        'heartbeat_at', (p_liveness).heartbeat_at, 'expires_at', (p_liveness).expires_at,
        'registered_at', (p_agent).registered_at, 'updated_at', (p_agent).updated_at
    );
end;
$$;
comment on function guildhall.agent_json(guildhall.agents, guildhall.agent_liveness, timestamptz) is
    'Internal. An agent in the shape of the domain type Agent, as it stands at p_now.';

create or replace function guildhall.agent_emit(p_verb text, p_id text, p_data jsonb, p_now timestamptz) returns void
language plpgsql volatile set search_path = '' as $$
begin
    perform guildhall.outbox_emit('dev.guildhall.agent.' || p_verb || '.v1', p_id,
        jsonb_build_object('agent', p_id) || p_data, p_now);
end;
$$;
comment on function guildhall.agent_emit(text, text, jsonb, timestamptz) is 'Internal. An event about an agent.';

create or replace function guildhall.agent_beat(
    p_id text, p_ttl_s bigint, p_in_flight bigint, p_load_percent bigint, p_now timestamptz
) returns guildhall.agent_liveness
language plpgsql volatile set search_path = '' as $$
declare
    v_before text;
    v_live guildhall.agent_liveness;
begin
    select l.known into v_before from guildhall.agent_liveness l where l.agent_id = p_id;
    -- What the agent reported stays: a heartbeat says that it is there, not what it does.
    update guildhall.agent_liveness l
    set heartbeat_at = greatest(l.heartbeat_at, p_now),
        expires_at = greatest(l.heartbeat_at, p_now) + make_interval(secs => coalesce(p_ttl_s, l.ttl_s)),
        ttl_s = coalesce(p_ttl_s, l.ttl_s),
        in_flight = coalesce(p_in_flight, l.in_flight),
        load = coalesce(p_load_percent / 100.0, l.load),
        known = case when l.probe_failures < 2 then 'live' else l.known end
    where l.agent_id = p_id
    returning l.* into v_live;
    if v_before = 'offline' and v_live.known = 'live' then
        perform guildhall.agent_emit('online', p_id, jsonb_build_object('status', v_live.reported), p_now);
    end if;
    return v_live;
end;
$$;
comment on function guildhall.agent_beat(text, bigint, bigint, bigint, timestamptz) is
    'Internal. Notes that an agent was heard of; no indexed column changes. Nulls when there is no such agent.';

create or replace function guildhall.agent_put(
    p_id text, p_kind text, p_card jsonb, p_ttl_s bigint, p_options jsonb, p_by text, p_now timestamptz
) returns boolean
language plpgsql volatile set search_path = '' as $$
declare
    v_url text := coalesce(p_options ->> 'url', p_card #>> '{supportedInterfaces,0,url}');
    v_nos bigint[];
    v_ids text[];
    v_new boolean;
begin
    perform guildhall.ensure_int('ttl_s', p_ttl_s, 1, 86400);
    if jsonb_typeof(p_card -> 'skills') is distinct from 'array' then
        raise exception using errcode = 'GH001', message = 'skills must be an array';
    end if;
    -- In the order of their ids, so that two cards with the same new skills do not wait for each other in a circle.
    select coalesce(array_agg(k.skill_id order by k.skill_id), '{}'),
        coalesce(array_agg(guildhall.skill_store(k.skill) order by k.skill_id), '{}') into v_ids, v_nos
    from (
        select distinct on (1) guildhall.ensure_field_text(s.value, 'id', 200) as skill_id, s.value as skill
        from jsonb_array_elements(p_card -> 'skills') with ordinality s (value, position)
        order by 1, s.position
    ) k;
    -- All words of the card in one order, for the same reason.
    insert into guildhall.skill_words (word, trigrams)
    select w.word, guildhall.skill_trigrams(w.word)
    from (
        select distinct m.word[1] as word
        from unnest(v_nos) n (skill_no)
        join guildhall.skills s on s.skill_no = n.skill_no
        cross join regexp_matches(lower(concat_ws(' ', guildhall.skill_plain(s.id), s.content ->> 'name',
            s.content ->> 'description', array_to_string(s.tags, ' '))), '[[:alpha:]]{3,40}', 'g') m (word)
    ) w
    where not exists (select from guildhall.skill_words k where k.word = w.word)
    order by w.word
    on conflict (word) do nothing;
    insert into guildhall.agents as a (
        id, card, kind, url, project, max_concurrency, max_queue, liveness, probe_url, registered_by, registered_at,
        updated_at, summary
    ) values (
        p_id, p_card, p_kind, v_url, p_options ->> 'project',
        guildhall.ensure_field_int(p_options, 'max_concurrency', 16, 1, 10000),
        guildhall.ensure_field_int(p_options, 'max_queue', 1000, 0, 1000000),
        coalesce(p_options ->> 'liveness', 'heartbeat'), p_options ->> 'probe_url', p_by, p_now, p_now,
        jsonb_build_object('id', p_id, 'kind', p_kind, 'name', p_card -> 'name', 'url', v_url,
            'description', p_card -> 'description', 'version', p_card -> 'version',
            'project', p_options -> 'project', 'skills', to_jsonb(v_ids))
    )
    on conflict (id) do update
    set card = excluded.card, kind = excluded.kind, url = excluded.url, project = excluded.project,
        max_concurrency = excluded.max_concurrency, max_queue = excluded.max_queue, liveness = excluded.liveness,
        probe_url = excluded.probe_url, registered_by = excluded.registered_by,
        updated_at = greatest(a.updated_at, excluded.updated_at), summary = excluded.summary
    -- Nobody has deleted or locked a version that is just made: of two that come first at once, one has made the row.
    returning a.xmax = 0 into v_new;
    insert into guildhall.agent_liveness as l (
        agent_id, reported, ttl_s, heartbeat_at, expires_at, known, probe_at
    ) values (
        p_id, coalesce(p_options ->> 'status', 'active'), p_ttl_s, p_now, p_now + make_interval(secs => p_ttl_s),
        'live', case when p_options ->> 'probe_url' is not null then p_now end
    )
    on conflict (agent_id) do update
    set reported = coalesce(p_options ->> 'status', l.reported), ttl_s = excluded.ttl_s,
        heartbeat_at = greatest(l.heartbeat_at, excluded.heartbeat_at),
        expires_at = greatest(l.heartbeat_at, excluded.heartbeat_at) + make_interval(secs => p_ttl_s), known = 'live',
        -- Another address is another question: it is asked anew, at once.
        probe_failures = 0, probe_epoch = l.probe_epoch + 1, probe_at = excluded.probe_at, probe_detail = null;
    delete from guildhall.agent_skills s where s.agent_id = p_id and s.skill_id <> all (v_ids);
    insert into guildhall.agent_skills as s (skill_id, agent_id, skill_no)
    select k.skill_id, p_id, k.skill_no from unnest(v_ids, v_nos) k (skill_id, skill_no)
    on conflict (skill_id, agent_id) do update set skill_no = excluded.skill_no
    where s.skill_no <> excluded.skill_no;
    return v_new;
end;
$$;
comment on function guildhall.agent_put(text, text, jsonb, bigint, jsonb, text, timestamptz) is
    'Internal. Writes an agent with its liveness and skills, and tells whether it is new; the caller holds the row, if there is one.';

create or replace function guildhall.agent_current(p_id text, p_now timestamptz) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return (
        select guildhall.agent_json(a, l, p_now)
        from guildhall.agents a join guildhall.agent_liveness l on l.agent_id = a.id
        where a.id = p_id);
end;
$$;
comment on function guildhall.agent_current(text, timestamptz) is 'Internal. The agent at p_now, or null.';

create or replace function guildhall.agent_register(p_card jsonb, p_ttl_s bigint)
returns table (outcome text, agent jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_id text := guildhall.ensure_field_text(p_card, 'name', 200);
    v_agent guildhall.agents;
    v_live guildhall.agent_liveness;
    v_now timestamptz;
begin
    perform guildhall.ensure_int('ttl_s', p_ttl_s, 1, 86400);
    -- A card that is known is a heartbeat, and the row is not locked for that.
    select a.* into v_agent from guildhall.agents a where a.id = v_id;
    if v_agent.card is distinct from p_card or v_agent.kind is distinct from 'fleet' then
        select a.* into v_agent from guildhall.agents a where a.id = v_id for no key update;
    end if;
    v_now := guildhall.clock();
    if v_agent.card = p_card and v_agent.kind = 'fleet' then
        v_live := guildhall.agent_beat(v_id, p_ttl_s, null, null, v_now);
        if v_live.agent_id is not null then
            return query select 'refreshed', guildhall.agent_json(v_agent, v_live, v_now);
            return;
        end if;
    end if;
    perform guildhall.agent_put(v_id, 'fleet', p_card, p_ttl_s, '{}', 'fleet', v_now);
    return query select 'registered', guildhall.agent_current(v_id, v_now);
end;
$$;
comment on function guildhall.agent_register(jsonb, bigint) is
    'The fleet''s own: registers a card, or notes that the agent is there when the card is known, for p_ttl_s seconds.';

create or replace function guildhall.agent_enrol(
    p_id text, p_card jsonb, p_ttl_s bigint, p_options jsonb, p_by text
) returns table (outcome text, agent jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_agent guildhall.agents;
    v_new boolean;
    v_now timestamptz;
begin
    perform guildhall.ensure_text('id', p_id, 200);
    perform guildhall.ensure_text('by', p_by, 200);
    if jsonb_typeof(p_card) is distinct from 'object' or jsonb_typeof(p_options) is distinct from 'object' then
        raise exception using errcode = 'GH001', message = 'card and options must be objects';
    end if;
    if coalesce(p_options ->> 'status', 'active') not in ('active', 'busy', 'draining') then
        raise exception using errcode = 'GH001', message = 'status must be active, busy or draining';
    end if;
    if coalesce(p_options ->> 'liveness', 'heartbeat') not in ('heartbeat', 'probe') then
        raise exception using errcode = 'GH001', message = 'liveness must be heartbeat or probe';
    end if;
    if p_options ->> 'liveness' = 'probe' and p_options ->> 'probe_url' is null then
        raise exception using errcode = 'GH001', message = 'an agent that lives by probes needs a probe_url';
    end if;
    if coalesce(p_options ->> 'url', p_card #>> '{supportedInterfaces,0,url}') is null then
        raise exception using errcode = 'GH001', message = 'the card names no interface with a url';
    end if;
    select a.* into v_agent from guildhall.agents a where a.id = p_id for no key update;
    v_now := guildhall.clock();
    if v_agent.kind = 'fleet' then
        return query select 'reserved', null::jsonb;
        return;
    end if;
    v_new := guildhall.agent_put(p_id, 'remote', p_card, p_ttl_s, p_options, p_by, v_now);
    if v_agent.card is distinct from p_card then
        perform guildhall.agent_emit('registered', p_id, jsonb_build_object('by', p_by, 'skills', (
            select jsonb_agg(s.skill_id order by s.skill_id) from guildhall.agent_skills s where s.agent_id = p_id)),
            v_now);
    end if;
    return query select case when v_new then 'registered' else 'updated' end,
        guildhall.agent_current(p_id, v_now);
end;
$$;
comment on function guildhall.agent_enrol(text, jsonb, bigint, jsonb, text) is
    'Registers or updates a remote agent; it is live for p_ttl_s seconds. The fleet''s own entries are reserved.';

create or replace function guildhall.agent_heartbeat(p_id text, p_in_flight bigint, p_load_percent bigint)
returns table (outcome text, status text, expires_at timestamptz, ttl_s integer)
language plpgsql volatile set search_path = '' as $$
declare
    v_live guildhall.agent_liveness;
    v_now timestamptz;
begin
    perform guildhall.ensure_int('in_flight', coalesce(p_in_flight, 0), 0, 1000000);
    perform guildhall.ensure_int('load_percent', coalesce(p_load_percent, 0), 0, 100);
    -- A heartbeat lost with the machine is made good by the next one; waiting for the disk gains nothing.
    perform guildhall.commit_need_not_wait();
    v_now := guildhall.clock();
    v_live := guildhall.agent_beat(p_id, null, p_in_flight, p_load_percent, v_now);
    if v_live.agent_id is null then
        return query select 'not_found', null::text, null::timestamptz, null::integer;
    else
        return query select 'ok',
            guildhall.agent_status(v_live.reported, v_live.expires_at, v_live.probe_failures, v_now),
            v_live.expires_at, v_live.ttl_s;
    end if;
end;
$$;
comment on function guildhall.agent_heartbeat(text, bigint, bigint) is
    'Prolongs an agent''s lease by its time to live; not_found tells it to register again. What it reported stays.';

create or replace function guildhall.agent_report(p_id text, p_status text)
returns table (outcome text, agent jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_live guildhall.agent_liveness;
    v_now timestamptz;
begin
    if p_status is null or p_status not in ('active', 'busy', 'draining') then
        raise exception using errcode = 'GH001', message = 'status must be active, busy or draining';
    end if;
    select l.* into v_live from guildhall.agent_liveness l where l.agent_id = p_id for no key update;
    v_now := guildhall.clock();
    if v_live.agent_id is null then
        return query select 'not_found', null::jsonb;
        return;
    end if;
    if v_live.reported <> p_status then
        update guildhall.agent_liveness l set reported = p_status where l.agent_id = p_id;
        perform guildhall.agent_emit('status_changed', p_id,
            jsonb_build_object('status', p_status, 'before', v_live.reported), v_now);
    end if;
    return query select case when v_live.reported = p_status then 'unchanged' else 'changed' end,
        guildhall.agent_current(p_id, v_now);
end;
$$;
comment on function guildhall.agent_report(text, text) is
    'Notes what an agent says of itself; whether it is there at all stays the business of heartbeats and probes.';

create or replace function guildhall.agent_get(p_id text) returns setof jsonb
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    return query
    select guildhall.agent_json(a, l, v_now)
    from guildhall.agents a join guildhall.agent_liveness l on l.agent_id = a.id
    where a.id = p_id;
end;
$$;
comment on function guildhall.agent_get(text) is 'The agent, or no row.';

create or replace function guildhall.agent_list(p_skill text, p_status text, p_after text, p_limit bigint)
returns setof jsonb
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    if p_status not in ('active', 'busy', 'draining', 'suspect', 'offline') then
        raise exception using errcode = 'GH001', message = 'status must be active, busy, draining, suspect or offline';
    end if;
    return query
    select guildhall.agent_json(a, l, v_now)
    from guildhall.agents a
    join guildhall.agent_liveness l on l.agent_id = a.id
    where (p_after is null or a.id > p_after)
        and (p_status is null
            or p_status = guildhall.agent_status(l.reported, l.expires_at, l.probe_failures, v_now))
        and (p_skill is null or exists (
            select from guildhall.agent_skills s where s.skill_id = p_skill and s.agent_id = a.id))
    order by a.id
    limit p_limit;
end;
$$;
comment on function guildhall.agent_list(text, text, text, bigint) is
    'Agents with their cards by id, optionally with a skill or of a status, after the id p_after.';

create or replace function guildhall.agent_deregister(p_id text, p_by text default 'fleet') returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz;
begin
    perform guildhall.ensure_text('by', p_by, 200);
    delete from guildhall.agents a where a.id = p_id;
    if not found then
        return 'not_found';
    end if;
    v_now := guildhall.clock();
    perform guildhall.audit_append(p_by, 'agent_deregister', p_id, '{}', v_now);
    perform guildhall.agent_emit('deregistered', p_id, jsonb_build_object('by', p_by), v_now);
    return 'deregistered';
end;
$$;
comment on function guildhall.agent_deregister(text, text) is
    'Takes an agent out of the registry, and audits it; work that it was given goes on under its lease.';
