-- The registry: what an agent is (agents), whether it is there (agent_liveness), and what it can do (skills).
--
-- Liveness has a table of its own, so that a heartbeat writes some eighty bytes and no index. A skill is stored once
-- however many agents offer it, so that a search reads each text once. Words that skills are made of are kept with
-- their trigrams, so that a misspelt query finds the word that was meant: no extension is needed, whoever owns the
-- database.

-- Only the fleet's own agents could be registered so far, and they come back by themselves within seconds.
delete from guildhall.agents;

alter table guildhall.agents
    drop column heartbeat_at,
    drop column expires_at,
    add column kind text not null check (kind in ('fleet', 'remote')),
    add column url text check (length(url) between 1 and 2000),
    add column project text check (length(project) between 1 and 200),
    add column max_concurrency integer not null check (max_concurrency between 1 and 10000),
    add column max_queue integer not null check (max_queue between 0 and 1000000),
    add column liveness text not null check (liveness in ('heartbeat', 'probe')),
    add column probe_url text check (length(probe_url) between 1 and 2000),
    add column registered_by text not null check (length(registered_by) between 1 and 200),
    add column updated_at timestamptz not null,
    add column summary jsonb not null check (jsonb_typeof(summary) = 'object'),
    drop constraint agents_check,
    add constraint agents_name check (kind = 'remote' or card ->> 'name' = id),
    add constraint agents_updated check (updated_at >= registered_at),
    add constraint agents_reached check (kind = 'fleet' or url is not null),
    add constraint agents_probed check (liveness = 'heartbeat' or probe_url is not null);
create index agents_newest on guildhall.agents (updated_at desc, id);
comment on table guildhall.agents is 'Agents by id: what each is and how it is reached. Whether it is there is in agent_liveness.';

create table guildhall.agent_liveness (
    agent_id text primary key references guildhall.agents (id) on delete cascade,
    reported text not null check (reported in ('active', 'busy', 'draining')),
    ttl_s integer not null check (ttl_s between 1 and 86400),
    heartbeat_at timestamptz not null,
    expires_at timestamptz not null,
    in_flight integer not null default 0 check (in_flight >= 0),
    load real not null default 0 check (load between 0 and 1),
    success real not null default 0.8 check (success between 0 and 1),
    known text not null check (known in ('live', 'suspect', 'offline')),
    probe_failures integer not null default 0 check (probe_failures >= 0),
    probe_epoch bigint not null default 0,
    probe_at timestamptz,
    probe_detail text,
    constraint agent_liveness_lease check (expires_at > heartbeat_at)
) with (fillfactor = 50);
comment on table guildhall.agent_liveness is
    'Whether each agent is there. Nothing but agent_id is indexed, so that heartbeats stay heap-only.';

create table guildhall.skills (
    skill_no bigint generated always as identity primary key,
    digest text not null unique check (digest ~ '^[0-9a-f]{64}$'),
    id text not null check (length(id) between 1 and 200),
    content jsonb not null check (jsonb_typeof(content) = 'object' and content ->> 'id' = id),
    tags text[] not null,
    document tsvector not null
);
create index skills_id on guildhall.skills (id);
create index skills_tags on guildhall.skills using gin (tags) with (fastupdate = off);
create index skills_document on guildhall.skills using gin (document) with (fastupdate = off);
comment on table guildhall.skills is 'Each skill that was ever offered, once, by the SHA-256 of its content.';

create table guildhall.skill_words (
    word text primary key,
    trigrams text[] not null
);
create index skill_words_trigrams on guildhall.skill_words using gin (trigrams) with (fastupdate = off);
comment on table guildhall.skill_words is 'The words of all skills, with the trigrams that a misspelt word is found by.';

alter table guildhall.agent_skills
    add column skill_no bigint not null references guildhall.skills (skill_no);
create index agent_skills_offered on guildhall.agent_skills (skill_no, agent_id);

alter table guildhall.tokens
    add column agent_id text check (length(agent_id) between 1 and 200);
comment on column guildhall.tokens.agent_id is 'The only agent that the token may register and report for; null for any.';

drop function if exists guildhall.agent_json(guildhall.agents, timestamptz);
drop function if exists guildhall.token_create(text, text, text, jsonb, bigint, text);
drop function if exists guildhall.token_verify(text);
drop function if exists guildhall.ticker_tick(text, bigint);
drop function if exists guildhall.agent_deregister(text);
