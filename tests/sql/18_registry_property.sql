-- Random lives of agents against a model of a few lines: at no clock does anything that gives out work, or a search for
-- live agents, name one that is not live. The sweep runs now and then, and must make no difference.
select plan(3);

create table test.model (id text primary key, reported text, ttl int, expires_at timestamptz, failures int, epoch bigint);
create table test.differences (n int, what text, wanted text[], found text[]);
create table test.seen (live int);

select setseed(0.4711);
do $$
declare
    v_id text;
    v_ttl int;
    v_what int;
    v_status text;
    v_wanted text[];
begin
    for n in 1..1500 loop
        v_id := 'r' || floor(random() * 8);
        v_what := floor(random() * 9);
        if v_what = 0 then
            v_ttl := 1 + floor(random() * 20);
            perform guildhall.agent_enrol(v_id, jsonb_build_object('name', v_id, 'supportedInterfaces',
                '[{"url": "https://r.example.com"}]'::jsonb, 'skills', '[{"id": "s", "tags": ["t"], "name": "walk"}]'::jsonb),
                v_ttl, '{"probe_url": "https://r.example.com"}', 'x');
            insert into test.model as m values (v_id, 'active', v_ttl, guildhall.clock() + make_interval(secs => v_ttl), 0)
            on conflict (id) do update set ttl = excluded.ttl, expires_at = excluded.expires_at, failures = 0;
        elsif v_what = 1 then
            perform guildhall.agent_heartbeat(v_id, null, null);
            update test.model set expires_at = guildhall.clock() + make_interval(secs => ttl) where id = v_id;
        elsif v_what = 2 then
            v_status := (array['active', 'busy', 'draining'])[1 + floor(random() * 3)];
            perform guildhall.agent_report(v_id, v_status);
            update test.model set reported = v_status where id = v_id;
        elsif v_what = 3 then
            if random() < 0.2 then
                perform guildhall.agent_deregister(v_id, 'x');
                delete from test.model where id = v_id;
            end if;
        elsif v_what = 4 then
            perform guildhall.agent_sweep(3);
        elsif v_what = 5 then
            perform guildhall.agent_probe_record(v_id, l.probe_epoch, random() < 0.4, 'x') from guildhall.agent_liveness l
            where l.agent_id = v_id;
            -- What the probe said is chance's; the model reads it, not what follows from it.
            update test.model m set failures = l.probe_failures from guildhall.agent_liveness l
            where l.agent_id = m.id and m.id = v_id;
        else
            -- Often to the very moment at which a lease runs out.
            perform test.pass_time(coalesce(
                case when random() < 0.5 then (select min(expires_at) from test.model where expires_at > guildhall.clock())
                    - guildhall.clock() end, make_interval(secs => random() * 4)));
        end if;
        select coalesce(array_agg(id order by id), '{}') into v_wanted from test.model
        where expires_at > guildhall.clock() and failures < 2 and reported <> 'draining';
        insert into test.seen values (cardinality(v_wanted));
        insert into test.differences
        select n, f.what, v_wanted, f.found from (
            select 'skill', coalesce(array_agg(r ->> 'id' order by r ->> 'id'), '{}')
            from guildhall.agent_search('{"skill": "s"}', null, 50) r
            union all
            select 'words', coalesce(array_agg(r ->> 'id' order by r ->> 'id'), '{}')
            from guildhall.agent_search('{"q": "walking"}', null, 50) r
            union all
            select 'tags', coalesce(array_agg(r ->> 'id' order by r ->> 'id'), '{}')
            from guildhall.agent_search('{"tags": ["t"]}', null, 50) r
            union all
            select 'list', coalesce(array_agg(r ->> 'id' order by r ->> 'id'), '{}')
            from guildhall.agent_search('{"status": "live"}', null, 50) r
            union all
            select 'assignable', coalesce(array_agg(a.agent_id order by a.agent_id), '{}')
            from guildhall.agent_assignable('s', null, guildhall.clock()) a
        ) f (what, found)
        where f.found <> v_wanted;
        if exists (select from guildhall.agent_best('s', null, null) b where not b #>> '{agent,id}' = any (v_wanted)) then
            insert into test.differences values (n, 'best', v_wanted, null);
        end if;
    end loop;
end;
$$;
select is_empty('select * from test.differences', 'agent_assignable: names the live ones and nobody else, at any clock');
select ok((select count(distinct live) from test.seen) >= 5, 'agent_search: met with few and with many live ones');

-- Paging while agents come and go: who was there all the time is shown once.
create table test.shown (id text);
do $$
declare
    v_after text;
    v_page record;
    v_id text;
begin
    perform guildhall.agent_enrol('p' || lpad(n::text, 2, '0'), jsonb_build_object('name', 'p', 'supportedInterfaces',
        '[{"url": "https://r.example.com"}]'::jsonb, 'skills', jsonb_build_array(
            jsonb_build_object('id', 'juggle', 'name', 'juggle', 'tags', '["z"]'::jsonb, 'description', 'variant ' || n % 3),
            jsonb_build_object('id', 'other', 'name', 'juggle more', 'tags', '["z"]'::jsonb))), 86400, '{}', 'x')
    from generate_series(0, 29) n;
    loop
        select array_agg(r ->> 'id') as ids, (array_agg(r ->> 'at'))[count(*)] as last, count(*) as many into v_page
        from guildhall.agent_search('{"q": "juggle"}', v_after, 4) r;
        insert into test.shown select unnest(v_page.ids);
        exit when v_page.many < 4;
        v_after := v_page.last;
        -- Newcomers before, at and behind the cursor, and one that leaves.
        v_id := 'n' || (random() * 1e9)::int;
        perform guildhall.agent_enrol(v_id, jsonb_build_object('name', 'n', 'supportedInterfaces',
            '[{"url": "https://r.example.com"}]'::jsonb, 'skills', jsonb_build_array(jsonb_build_object('id', 'juggle',
                'name', 'juggle', 'description', 'variant ' || floor(random() * 9)))), 86400, '{}', 'x');
        perform guildhall.agent_deregister(v_id, 'x') where random() < 0.3;
    end loop;
end;
$$;
select results_eq($$select id, count(*) from test.shown where id like 'p%' group by id order by id$$,
    $$select 'p' || lpad(n::text, 2, '0'), 1::bigint from generate_series(0, 29) n order by 1$$,
    'agent_search: shows each once while others come and go');

select * from finish();
