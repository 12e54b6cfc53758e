select plan(15);

select test.agent('a', 'fly');
select '{"specversion": "1.0", "id": "1", "source": "/ci", "type": "dev.guildhall.request.v1",
    "data": {"skill": "fly", "input": {"x": 1}}}' as event \gset
select request_id as request, outcome from guildhall.event_accept(:'event', '{}') \gset
select is(:'outcome'::text, 'accepted', 'event_accept: a request');
select is(r.requester || ' ' || r.state, 'redis:/ci queued', 'event_accept: submits its data for its source')
from guildhall.requests r where id = :'request';
select is(to_jsonb(r), jsonb_build_object('outcome', 'duplicate', 'request_id', :'request', 'detail', null,
    'input_schema', null, 'schema_digest', null),
    'event_accept: once, and says which request it made') from guildhall.event_accept(:'event', '{}') r;
select is(r.outcome, 'accepted', 'event_accept: another source has ids of its own')
from guildhall.event_accept(:'event'::jsonb || '{"source": "/other"}', '{}') r;
select is((select count(*) from guildhall.requests), 2::bigint, 'event_accept: one request each');

select is(r.outcome || ': ' || r.detail, 'invalid: source must be a string, not absent', 'event_accept: without a source')
from guildhall.event_accept(:'event'::jsonb - 'source', '{}') r;
select is(r.outcome || ': ' || r.detail, 'invalid: id must be a string, not number', 'event_accept: an id is a string')
from guildhall.event_accept(:'event'::jsonb || '{"id": 5}', '{}') r;
select is(r.outcome || ': ' || r.detail, 'invalid: specversion must be "1.0"', 'event_accept: another version')
from guildhall.event_accept(:'event'::jsonb || '{"specversion": "0.3", "id": "2"}', '{}') r;
select is(r.outcome, 'invalid', 'event_accept: another type')
from guildhall.event_accept(:'event'::jsonb || '{"type": "dev.guildhall.doorbell.v1", "id": "2"}', '{}') r;
select is(r.outcome || ': ' || r.detail, 'invalid: no agent offers the skill swim', 'event_accept: a skill that nobody has')
from guildhall.event_accept(:'event'::jsonb || '{"id": "2", "data": {"skill": "swim", "input": {}}}', '{}') r;
select is(r.outcome, 'invalid', 'event_accept: data that is no request')
from guildhall.event_accept(:'event'::jsonb || '{"id": "2", "data": "fly"}', '{}') r;
select is(r.outcome, 'invalid', 'event_accept: no object at all') from guildhall.event_accept('[1, 2]', '{}') r;
select is((select count(*) from guildhall.events_accepted), 2::bigint, 'event_accept: what is refused is not kept');
select is((select count(*) from guildhall.events where event ->> 'type' = 'dev.guildhall.request.refused.v1'), 2::bigint,
    'event_accept: a refused request is told to whoever listens');
select is(r.outcome, 'accepted', 'event_accept: and may come again once it can be served')
from test.agent('b', 'swim'), guildhall.event_accept(:'event'::jsonb || '{"id": "2", "data": {"skill": "swim", "input": {}}}', '{}') r;

select * from finish();
