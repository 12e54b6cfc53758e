select plan(22);

select is(r.outcome, 'registered', 'agent_register: a new agent')
from guildhall.agent_register('{"name": "a", "skills": [{"id": "s1"}, {"id": "s2"}, {"id": "s1"}]}', 30) r;
select results_eq('select skill_id from guildhall.agent_skills order by 1', array['s1', 's2'],
    'agent_register: keeps each skill once');
select test.pass_time('10 s');
select is(to_jsonb(r) #- '{agent,card}', '{"outcome": "refreshed", "agent": {"id": "a", "status": "active",
    "heartbeat_at": "2030-01-01T12:00:10+00:00", "expires_at": "2030-01-01T12:00:40+00:00", "ttl_s": 30,
    "registered_at": "2030-01-01T12:00:00+00:00", "updated_at": "2030-01-01T12:00:00+00:00", "kind": "fleet",
    "url": null, "project": null, "liveness": "heartbeat", "reported": "active", "in_flight": 0, "load": 0.000,
    "max_concurrency": 16, "max_queue": 1000, "probe_detail": null}}'::jsonb, 'agent_register: the same card is a heartbeat')
from guildhall.agent_register('{"skills": [{"id": "s1"}, {"id": "s2"}, {"id": "s1"}], "name": "a"}', 30) r;
select is(r.outcome, 'registered', 'agent_register: another card replaces it')
from guildhall.agent_register('{"name": "a", "skills": [{"id": "s2"}, {"id": "s3"}]}', 30) r;
select results_eq('select skill_id from guildhall.agent_skills order by 1', array['s2', 's3'],
    'agent_register: skills that are gone are gone');
select is((select registered_at from guildhall.agents), '2030-01-01 12:00:00+00'::timestamptz,
    'agent_register: when it first came stays');
select throws_ok($$select guildhall.agent_register('{"skills": []}', 30)$$, 'GH001', null, 'agent_register: a card has a name');
select throws_ok($$select guildhall.agent_register('{"name": "b"}', 30)$$, 'GH001', null, 'agent_register: and skills');
select throws_ok($$select guildhall.agent_register('{"name": "b", "skills": [{}]}', 30)$$, 'GH001', null,
    'agent_register: with ids');
select throws_ok($$select guildhall.agent_register('{"name": "b", "skills": []}', 0)$$, 'GH001', null,
    'agent_register: and a time to live');

select guildhall.agent_register('{"name": "b", "skills": [{"id": "s3"}]}', 60);
select test.pass_time('33 s');
select is(r ->> 'status', 'offline', 'agent_get: not heard of in time') from guildhall.agent_get('a') r;
select is(r ->> 'status', 'active', 'agent_get: heard of in time') from guildhall.agent_get('b') r;
select is_empty($$select guildhall.agent_get('nobody')$$, 'agent_get: nobody');
select is((select array_agg(r ->> 'id') from guildhall.agent_list(null, null, null, 10) r), array['a', 'b'], 'agent_list: all');
select is((select array_agg(r ->> 'id') from guildhall.agent_list('s3', 'active', null, 10) r), array['b'],
    'agent_list: live ones with a skill');
select is((select array_agg(r ->> 'id') from guildhall.agent_list(null, 'offline', null, 10) r), array['a'],
    'agent_list: offline ones');
select is((select array_agg(r ->> 'id') from guildhall.agent_list(null, null, 'a', 10) r), array['b'], 'agent_list: after one');
select is((select count(*) from guildhall.agent_list(null, null, null, 1) r), 1::bigint, 'agent_list: no more than asked for');
select throws_ok($$select guildhall.agent_list(null, 'asleep', null, 1)$$, 'GH001', null, 'agent_list: an unknown status');

select is(guildhall.agent_deregister('a'), 'deregistered', 'agent_deregister: takes it out');
select is(guildhall.agent_deregister('a'), 'not_found', 'agent_deregister: once');
select is(guildhall.agent_json(a, l, guildhall.clock()) ->> 'status', 'active', 'agent_json: by the time it is given')
from guildhall.agents a join guildhall.agent_liveness l on l.agent_id = a.id;

select * from finish();
