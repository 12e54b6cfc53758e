-- Discovery: by skill, tags, words, status and project, best match first, a page at a time.
--
-- The order is (rank, skill, agent). A rank depends on the query and the skill's text alone, so a cursor stays valid
-- while agents come and go: nobody who was there all the time is shown twice or left out.

create or replace function guildhall.agent_search(p_query jsonb, p_after text, p_limit bigint) returns setof jsonb
language plpgsql volatile rows 20
-- One plan for every call, since making one costs more than the search, and one that reads agents in their order and
-- stops at the limit: the planner takes an agent's being live for unlikely, and would rather read and sort them all.
set search_path = '' set plan_cache_mode = 'force_generic_plan' set enable_sort = off set jit = off as $$
declare
    v_now timestamptz := guildhall.clock();
    v_skill text := p_query ->> 'skill';
    v_q text := p_query ->> 'q';
    v_project text := p_query ->> 'project';
    v_card boolean := coalesce((p_query ->> 'card')::boolean, false);
    v_status text := p_query ->> 'status';
    v_tags text[] := array[]::text[];
    v_any text[] := array[]::text[];
    v_after text[];
    v_after_rank integer;
    v_after_no bigint := 0::bigint;
    v_after_agent text := '';
    v_modes text[] := array['all', 'any', 'similar'];
    v_mode text;
    v_ts tsquery;
    v_no bigint;
    v_rank integer;
    v_is_found boolean := false;
    v_better bigint[] := array[]::bigint[];
    v_left bigint := p_limit;
    v_got bigint;
    v_why jsonb := jsonb_build_object('skill', p_query -> 'skill', 'field', 'id', 'score', 100);
    v_at text;
    v_low text := lower(p_query ->> 'q');
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    if p_query ? 'tags' then
        select coalesce(array_agg(t.value), '{}') into v_tags from jsonb_array_elements_text(p_query -> 'tags') t;
    end if;
    if p_query ? 'any_tags' then
        select coalesce(array_agg(t.value), '{}') into v_any from jsonb_array_elements_text(p_query -> 'any_tags') t;
    end if;
    -- A search for somebody to do something is for those who can do it now; a plain list has everybody.
    if v_status is null then
        v_status := case when v_skill is null and v_q is null and v_tags = '{}' and v_any = '{}' then 'any' else 'live' end;
    elsif v_status not in ('live', 'any', 'active', 'busy', 'draining', 'suspect', 'offline') then
        raise exception using errcode = 'GH001',
            message = 'status must be live, any, active, busy, draining, suspect or offline';
    end if;
    if p_after is not null then
        v_after := regexp_match(p_after, '^(list|skill|filter|all|any|similar) ([0-9]{1,3}) ([0-9]{1,18}) (.{1,200})$');
        if v_after is null then
            raise exception using errcode = 'GH001', message = 'after is not the next of a page';
        end if;
        v_after_rank := v_after[2]::integer;
        v_after_no := v_after[3]::bigint;
        v_after_agent := v_after[4];
    end if;

    if v_q is null and v_skill is not null then
        -- By one skill's id: everybody fits equally, so the index gives them in their order.
        return query
        select a.summary || jsonb_build_object('status', case
                when l.probe_failures >= 4 or l.expires_at + interval '3 s' <= v_now then 'offline'
                when l.probe_failures >= 2 or l.expires_at <= v_now then 'suspect'
                else l.reported end,
            'heartbeat_at', l.heartbeat_at, 'expires_at', l.expires_at, 'registered_at', a.registered_at,
            'card', case when v_card then a.card end, 'match', v_why, 'at', 'skill 100 0 ' || a.id)
        from guildhall.agent_skills k
        join guildhall.agent_liveness l on l.agent_id = k.agent_id
        join guildhall.agents a on a.id = k.agent_id
        where k.skill_id = v_skill and k.agent_id > v_after_agent
            and (v_status <> 'live' or (l.expires_at > v_now and l.probe_failures < 2 and l.reported <> 'draining'))
            and (v_status in ('live', 'any')
                or v_status = guildhall.agent_status(l.reported, l.expires_at, l.probe_failures, v_now))
            and (v_project is null or a.project is null or a.project = v_project)
            and ((v_tags = '{}' and v_any = '{}') or exists (
                select from guildhall.skills s
                where s.skill_no = k.skill_no and s.tags @> v_tags and (v_any = '{}' or s.tags && v_any)))
        order by k.agent_id
        limit p_limit;
        return;
    end if;
    if v_q is null and v_tags = '{}' and v_any = '{}' then
        return query
        select a.summary || jsonb_build_object('status', case
                when l.probe_failures >= 4 or l.expires_at + interval '3 s' <= v_now then 'offline'
                when l.probe_failures >= 2 or l.expires_at <= v_now then 'suspect'
                else l.reported end,
            'heartbeat_at', l.heartbeat_at, 'expires_at', l.expires_at, 'registered_at', a.registered_at,
            'card', case when v_card then a.card end, 'match', null, 'at', 'list 0 0 ' || a.id)
        from guildhall.agents a
        join guildhall.agent_liveness l on l.agent_id = a.id
        where a.id > v_after_agent
            and (v_status <> 'live' or (l.expires_at > v_now and l.probe_failures < 2 and l.reported <> 'draining'))
            and (v_status in ('live', 'any')
                or v_status = guildhall.agent_status(l.reported, l.expires_at, l.probe_failures, v_now))
            and (v_project is null or a.project is null or a.project = v_project)
        order by a.id
        limit p_limit;
        return;
    end if;

    -- All words first; when no skill has them, any of them; when there is none, words that are similar.
    if v_q is null then
        v_modes := array['filter'];
    elsif v_after is not null then
        v_modes := array[v_after[1]];
    end if;
    foreach v_mode in array v_modes loop
        if v_mode <> 'filter' then
            v_ts := guildhall.skill_query(v_q, v_mode);
        end if;
        for v_no, v_rank in
            select s.skill_no, 100
            from guildhall.skills s
            where v_q is null and s.tags @> v_tags and (v_any = '{}' or s.tags && v_any)
            union all
            -- 1 to 100, by the query and the skill's text alone: its very name first, then by how well the words fit.
            select s.skill_no, case
                    when lower(s.id) = v_low or lower(s.content ->> 'name') = v_low then 100
                    else greatest(1, least(99, round(198 * ts_rank(s.document, v_ts, 32))))::integer end
            from guildhall.skills s
            -- The words are what the index is asked for: every skill has all of no tags.
            where v_q is not null and s.document @@ v_ts and (v_skill is null or s.id = v_skill)
                and (v_tags = '{}' or s.tags @> v_tags) and (v_any = '{}' or s.tags && v_any)
            order by 2 desc, 1
        loop
            v_is_found := true;
            -- An agent stands where its best skill does, and nowhere else: not with those that come after.
            if v_rank > v_after_rank or (v_rank = v_after_rank and v_no < v_after_no) then
                v_better := v_better || v_no;
                continue;
            end if;
            select jsonb_build_object('skill', s.id, 'score', v_rank, 'field', case
                when v_q is null then 'tags'
                when lower(s.id) = v_low then 'id'
                when lower(s.content ->> 'name') = v_low then 'name'
                when v_mode = 'similar' then 'similar_word'
                when ts_filter(s.document, '{a}') @@ v_ts then 'name'
                when ts_filter(s.document, '{b}') @@ v_ts then 'tags'
                when ts_filter(s.document, '{c}') @@ v_ts then 'description'
                when ts_filter(s.document, '{d}') @@ v_ts then 'examples'
                else 'several_fields'
            end) into strict v_why
            from guildhall.skills s where s.skill_no = v_no;
            v_at := concat_ws(' ', v_mode, v_rank, v_no, '');
            return query
            select a.summary || jsonb_build_object('status', case
                    when l.probe_failures >= 4 or l.expires_at + interval '3 s' <= v_now then 'offline'
                    when l.probe_failures >= 2 or l.expires_at <= v_now then 'suspect'
                    else l.reported end,
                'heartbeat_at', l.heartbeat_at, 'expires_at', l.expires_at, 'registered_at', a.registered_at,
                'card', case when v_card then a.card end, 'match', v_why, 'at', v_at || a.id)
            from guildhall.agent_skills k
            join guildhall.agent_liveness l on l.agent_id = k.agent_id
            join guildhall.agents a on a.id = k.agent_id
            where k.skill_no = v_no
                and (v_rank is distinct from v_after_rank or v_no <> v_after_no or k.agent_id > v_after_agent)
                and (v_status <> 'live' or (l.expires_at > v_now and l.probe_failures < 2 and l.reported <> 'draining'))
                and (v_status in ('live', 'any')
                    or v_status = guildhall.agent_status(l.reported, l.expires_at, l.probe_failures, v_now))
                and (v_project is null or a.project is null or a.project = v_project)
                and (v_better = '{}' or not exists (
                    select from guildhall.agent_skills o
                    where o.agent_id = k.agent_id and o.skill_no = any (v_better)))
            order by k.agent_id
            limit v_left;
            get diagnostics v_got = row_count;
            v_left := v_left - v_got;
            exit when v_left <= 0;
            v_better := v_better || v_no;
        end loop;
        exit when v_is_found;
    end loop;
end;
$$;
comment on function guildhall.agent_search(jsonb, text, bigint) is
    'Agents that fit, best match first, after a cursor; an expired one is live for nobody, whatever the sweep has done.';
