-- Who may be given work now.

create or replace function guildhall.schema_digest(p_schema jsonb) returns text
language plpgsql immutable set search_path = '' as $$
begin
    return encode(sha256(convert_to(p_schema::text, 'UTF8')), 'hex');
end;
$$;
comment on function guildhall.schema_digest(jsonb) is
    'Internal. What a caller names to say which schema it validated an input against; null for no schema.';

create or replace function guildhall.agent_assignable(p_skill text, p_agent text, p_now timestamptz)
returns table (
    agent_id text, url text, is_remote boolean, max_concurrency integer, max_queue integer, input_schema jsonb,
    schema_digest text, rank double precision
)
-- PL/pgSQL, because that keeps the plan: this is part of every request's way.
language plpgsql stable rows 10 set search_path = '' set jit = off as $$
begin
    return query
    select a.id, a.url, a.kind = 'remote', a.max_concurrency, a.max_queue, s.content -> 'inputSchema', guildhall.schema_digest(s.content -> 'inputSchema'),
        -- What it finished well of late, less what it is busy with.
        (l.success * (1 - l.load / 2) * case l.reported when 'busy' then 0.5 else 1 end)::double precision as rank
    from guildhall.agent_skills k
    join guildhall.agent_liveness l on l.agent_id = k.agent_id
    join guildhall.agents a on a.id = k.agent_id
    join guildhall.skills s on s.skill_no = k.skill_no
    where k.skill_id = p_skill
        and (p_agent is null or k.agent_id = p_agent)
        and l.expires_at > p_now and l.probe_failures < 2 and l.reported <> 'draining'
    -- Equals take turns by chance, so that no one of them gets everything.
    order by 8 desc, pg_catalog.random();
end;
$$;
comment on function guildhall.agent_assignable(text, text, timestamptz) is
    'Internal. Agents that may be given work with a skill at p_now, best first; none whose lease has run out.';

create or replace function guildhall.agent_best(p_skill text, p_tags jsonb, p_project text) returns setof jsonb
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_tags text[] := array[]::text[];
begin
    perform guildhall.ensure_text('skill', p_skill, 200);
    if p_tags is not null then
        select coalesce(array_agg(t.value), '{}') into v_tags from jsonb_array_elements_text(p_tags) t;
    end if;
    return query
    select jsonb_build_object(
        'agent', guildhall.agent_current(b.agent_id, v_now), 'rank', round(b.rank::numeric, 4),
        'reason', jsonb_build_object('match', 'skill', 'success', round(l.success::numeric, 3),
            'load', round(l.load::numeric, 3), 'status', l.reported))
    from guildhall.agent_assignable(p_skill, null, v_now) b
    join guildhall.agents a on a.id = b.agent_id
    join guildhall.agent_liveness l on l.agent_id = b.agent_id
    where (p_project is null or a.project is null or a.project = p_project)
        and (v_tags = '{}' or exists (
            select from guildhall.agent_skills k join guildhall.skills s on s.skill_no = k.skill_no
            where k.agent_id = b.agent_id and k.skill_id = p_skill and s.tags @> v_tags))
    order by b.rank desc
    limit 1;
end;
$$;
comment on function guildhall.agent_best(text, jsonb, text) is
    'The live agent that is best placed to use a skill now, with the reason, or no row.';
