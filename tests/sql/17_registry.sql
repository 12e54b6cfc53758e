select plan(76);

create function test.card(p_name text, variadic p_skills text[]) returns jsonb
language sql as $$
    select jsonb_build_object('name', p_name, 'description', 'An agent.', 'version', '1',
        'supportedInterfaces', '[{"url": "https://agents.example.com/a"}]'::jsonb,
        'skills', (select jsonb_agg(jsonb_build_object('id', s, 'name', initcap(replace(s, '_', ' ')),
            'description', 'Does ' || s, 'tags', jsonb_build_array(split_part(s, '_', 1), 'all'))) from unnest(p_skills) s));
$$;
create function test.ids(p_query jsonb, p_after text default null, p_limit bigint default 50) returns text
language sql as $$
    select coalesce(string_agg(r ->> 'id', ' ' order by n), '')
    from guildhall.agent_search(p_query, p_after, p_limit) with ordinality x (r, n);
$$;
create function test.status(p_id text) returns text
language sql as $$ select r ->> 'status' from guildhall.agent_get(p_id) r $$;
create function test.events(p_id text) returns text
language sql as $$
    select coalesce(string_agg(split_part(o.event ->> 'type', '.', 4), ' ' order by o.id), '') from guildhall.events o
    where o.event ->> 'subject' = p_id and o.event ->> 'type' like 'dev.guildhall.agent.%';
$$;

-- Skills.
select is(guildhall.schema_digest('{"type": "object"}'), encode(sha256('{"type": "object"}'::bytea), 'hex'),
    'schema_digest: of the text that Postgres shows');
select is(guildhall.skill_trigrams('cat'), array['  c', ' ca', 'at ', 'cat'], 'skill_trigrams: as pg_trgm pads');
select is(guildhall.skill_plain('review_change/v2'), 'review_change/v2 review change v2', 'skill_plain: an id as words');
select ok(guildhall.skill_document('{"id": "review_change", "name": "R", "tags": ["security"], "description": "reads diffs",
    "examples": ["look at main"]}') @@ plainto_tsquery('english', 'reviewing security diff main'), 'skill_document: all its words');
select is(guildhall.skill_store('{"id": "x", "tags": ["b", "a"]}'), guildhall.skill_store('{"tags": ["b", "a"], "id": "x"}'),
    'skill_store: the same content once, whatever its order');
select isnt(guildhall.skill_store('{"id": "x", "tags": ["b"]}'), guildhall.skill_store('{"id": "x", "tags": ["a"]}'),
    'skill_store: another content is another skill');
select throws_ok($$select guildhall.skill_store('{"id": "x", "tags": "a"}')$$, 'GH001', null, 'skill_store: tags are an array');

-- Enrolment.
select is(r.outcome, 'registered', 'agent_enrol: a new agent')
from guildhall.agent_enrol('r1', test.card('Remote one', 'translate_text', 'scan_image'), 60, '{"project": "p1"}', 'ada') r;
select is(r.outcome, 'updated', 'agent_enrol: again')
from guildhall.agent_enrol('r1', test.card('Remote one', 'translate_text', 'scan_image'), 60, '{"project": "p1"}', 'ada') r;
select is(test.events('r1'), 'registered', 'agent_emit: one event for one card');
select guildhall.agent_register('{"name": "own", "skills": [{"id": "s1"}]}', 30);
select is(r.outcome, 'reserved', 'agent_enrol: the fleet''s own entries are taken')
from guildhall.agent_enrol('own', test.card('Evil', 's1'), 60, '{}', 'eve') r;
select is((select registered_by from guildhall.agents where id = 'own'), 'fleet', 'agent_put: and stay as they were');
select throws_ok($$select guildhall.agent_enrol('r2', '{"skills": []}', 60, '{}', 'a')$$, 'GH001', null, 'agent_enrol: has an address');
select throws_ok($$select guildhall.agent_enrol('r2', test.card('x', 'a'), 60, '{"status": "offline"}', 'a')$$, 'GH001', null,
    'agent_enrol: nobody reports being offline');
select throws_ok($$select guildhall.agent_enrol('r2', test.card('x', 'a'), 60, '{"liveness": "faith"}', 'a')$$, 'GH001', null,
    'agent_enrol: lives by heartbeat or probe');
select throws_ok($$select guildhall.agent_enrol('r2', test.card('x', 'a'), 60, '{"liveness": "probe"}', 'a')$$, 'GH001', null,
    'agent_enrol: who lives by probes can be probed');
select throws_ok($$select guildhall.agent_enrol('r2', test.card('x', 'a'), 60, '{"max_concurrency": 0}', 'a')$$, 'GH001', null,
    'agent_enrol: limits are in range');
select throws_ok($$select guildhall.agent_enrol('r2', '{"supportedInterfaces": [{"url": "https://x"}]}', 60, '{}', 'a')$$, 'GH001',
    null, 'agent_put: a card has skills');

-- Liveness: a heartbeat says that the agent is there and nothing else.
select is(r.outcome, 'not_found', 'agent_heartbeat: of nobody') from guildhall.agent_heartbeat('nobody', null, null) r;
select is(r.outcome, 'not_found', 'agent_report: of nobody') from guildhall.agent_report('nobody', 'busy') r;
select is(r.outcome, 'changed', 'agent_report: busy') from guildhall.agent_report('r1', 'busy') r;
select is(r.outcome, 'unchanged', 'agent_report: once') from guildhall.agent_report('r1', 'busy') r;
select throws_ok($$select guildhall.agent_report('r1', 'offline')$$, 'GH001', null, 'agent_report: only what one can know of oneself');
select test.pass_time('10 s');
select is(to_jsonb(r), '{"outcome": "ok", "status": "busy", "expires_at": "2030-01-01T12:01:10+00:00", "ttl_s": 60}',
    'agent_heartbeat: prolongs the lease and leaves busy') from guildhall.agent_heartbeat('r1', 3, 50) r;
select is(r ->> 'in_flight', '3', 'agent_beat: notes the load') from guildhall.agent_get('r1') r;
select guildhall.agent_report('r1', 'draining');
select is(r.status, 'draining', 'agent_heartbeat: leaves draining') from guildhall.agent_heartbeat('r1', null, null) r;
select is(r #>> '{agent,status}', 'draining', 'agent_register: and so does an update') from (
    select to_jsonb(e) r from guildhall.agent_enrol('r1', test.card('Remote', 'translate_text', 'scan_image'), 60, '{}', 'ada') e) x;
select is((select count(*) from guildhall.agent_assignable('translate_text', null, guildhall.clock())), 0::bigint,
    'agent_assignable: not the draining');
select is(test.ids('{"skill": "translate_text"}'), '', 'agent_search: not the draining');
select is(test.ids('{"skill": "translate_text", "status": "draining"}'), 'r1', 'agent_search: unless asked for');
select guildhall.agent_report('r1', 'active');
select is((select agent_id || is_remote || url || max_concurrency from guildhall.agent_assignable('translate_text', null, guildhall.clock())),
    'r1truehttps://agents.example.com/a16', 'agent_assignable: who, and how to reach it');
select is((select count(*) from guildhall.agent_assignable('translate_text', 'own', guildhall.clock())), 0::bigint,
    'agent_assignable: only the agent that is named');
select is(r #>> '{agent,id}', 'r1', 'agent_best: the one there is') from guildhall.agent_best('translate_text', null, null) r;
select is_empty($$select guildhall.agent_best('translate_text', '["nonsense"]', null)$$, 'agent_best: with the tags');
select isnt_empty($$select guildhall.agent_best('translate_text', '["all"]', 'p9')$$, 'agent_best: one without a project is for all');

-- Expiry at the very moment, without any sweep.
select test.pass_time('59.999 s');
select is(test.status('r1'), 'active', 'agent_status: to the last moment');
select test.pass_time('0.001 s');
select is(test.status('r1'), 'suspect', 'agent_status: suspect at once');
select is(test.ids('{"skill": "translate_text"}'), '', 'agent_search: nobody is sent to it');
select is(test.ids('{"q": "translate"}'), '', 'agent_search: nor by words');
select is(test.ids('{"tags": ["translate"]}'), '', 'agent_search: nor by tags');
select is((select count(*) from guildhall.agent_assignable('translate_text', null, guildhall.clock())), 0::bigint,
    'agent_assignable: nobody whose lease ran out');
select is_empty($$select guildhall.agent_best('translate_text', null, null)$$, 'agent_best: nobody whose lease ran out');
select is(guildhall.agent_sweep(100), 2, 'agent_sweep: tells of those who became suspect, and of the one that is offline');
select is(guildhall.agent_sweep(100), 0, 'agent_sweep: once');
select test.pass_time('3 s');
select is(test.status('r1'), 'offline', 'agent_status: offline after the grace');
select is(guildhall.agent_sweep(100), 1, 'agent_sweep: tells of it');
select is(test.events('r1'), 'registered status_changed status_changed registered status_changed suspect offline',
    'agent_emit: what happened, in order');
select is(test.events('own'), 'offline', 'agent_sweep: skips what was over before it looked');
select is(r.status, 'active', 'agent_heartbeat: comes back') from guildhall.agent_heartbeat('r1', null, null) r;
select is(test.events('r1'), 'registered status_changed status_changed registered status_changed suspect offline online',
    'agent_beat: and is told of');

-- Discovery.
select guildhall.agent_enrol('d1', test.card('One', 'review_code', 'deploy_service'), 600, '{"project": "p1"}', 'a');
select guildhall.agent_enrol('d2', test.card('Two', 'review_code'), 600, '{"project": "p2"}', 'a');
select guildhall.agent_enrol('d3', test.card('Three', 'deploy_service', 'scan_image'), 600, '{}', 'a');
select is(test.ids('{"skill": "review_code"}'), 'd1 d2', 'agent_search: by skill');
select is(test.ids('{"skill": "review_code", "project": "p2"}'), 'd2', 'agent_search: in a project');
select is(test.ids('{"tags": ["deploy", "all"]}'), 'd1 d3', 'agent_search: with all tags');
select is(test.ids('{"any_tags": ["scan", "review"]}'), 'd3 r1 d1 d2', 'agent_search: with any tag, oldest skill first');
select is(test.ids('{"q": "reviewing code"}'), 'd1 d2', 'agent_search: by words and their forms');
select is((select r #>> '{match,field}' from guildhall.agent_search('{"q": "reviewing"}', null, 1) r), 'name',
    'agent_search: says where it was found');
select is(test.ids('{"q": "I want something that scans"}'), 'd3 r1', 'agent_search: by any word when none has all');
select is((select string_agg(r ->> 'id' || (r #>> '{match,field}'), ' ') from guildhall.agent_search('{"q": "reveiw"}', null, 9) r),
    'd1similar_word d2similar_word', 'agent_search: by a misspelt word');
select is(guildhall.skill_corrected('reveiw the depoly'), 'review the deploy', 'skill_corrected: to words there are');
select ok(guildhall.skill_query('it''s \ odd''s', 'any') is not null, 'skill_query: takes quotes and backslashes');
select is(test.ids('{"q": "''); drop table & | ! <-> :*"}'), '', 'agent_search: no query is an error');
select is((select r #>> '{match,score}' from guildhall.agent_search('{"q": "Review_Code"}', null, 1) r), '100',
    'agent_search: a skill''s own name fits best');
select is(test.ids('{}'), 'd1 d2 d3 own r1', 'agent_search: everybody, offline ones too');
select is(test.ids('{"status": "offline"}'), 'own', 'agent_search: by status');
select is((select r -> 'card' ->> 'name' from guildhall.agent_search('{"skill": "review_code", "card": true}', null, 1) r), 'One',
    'agent_search: with the card when asked');
select throws_ok($$select guildhall.agent_search('{"status": "asleep"}', null, 1)$$, 'GH001', null, 'agent_search: an unknown status');
select throws_ok($$select guildhall.agent_search('{}', 'nonsense', 1)$$, 'GH001', null, 'agent_search: a cursor is one of ours');

-- Probes.
select guildhall.agent_enrol('p', test.card('Probed', 'probed'), 30,
    '{"liveness": "probe", "probe_url": "https://p.example.com/health"}', 'a');
select is(to_jsonb(r), '{"agent_id": "p", "url": "https://p.example.com/health", "epoch": 1}', 'agent_probe_claim: at once')
from guildhall.agent_probe_claim(10) r;
select is_empty($$select guildhall.agent_probe_claim(10)$$, 'agent_probe_claim: by one at a time');
select is(guildhall.agent_probe_record('p', 0, true, 'late'), 'stale', 'agent_probe_record: not under an older epoch');
select test.pass_time('20 s');
select is(guildhall.agent_probe_record('p', 1, true, '200'), 'recorded', 'agent_probe_record: a good one');
select is((select expires_at from guildhall.agent_liveness where agent_id = 'p'), guildhall.clock() + interval '30 s',
    'agent_probe_record: prolongs a lease that lives by probes');
select guildhall.agent_probe_record('p', 1, false, 'refused') from generate_series(1, 2);
select is(test.status('p'), 'suspect', 'agent_probe_record: two failures make it suspect, whatever its lease');
select is(test.ids('{"skill": "probed"}'), '', 'agent_search: and nobody is sent to it');

-- Success.
select guildhall.agent_score();
select is((select success from guildhall.agent_liveness where agent_id = 'p'), 0.8::real, 'agent_score: a newcomer''s share');
select is((select guildhall.agent_current('d1', guildhall.clock()) ->> 'id'), 'd1', 'agent_current: as it is');

select * from finish();
