-- Priorities, room, schemas, broadcasts, dead letters and callbacks.
select plan(52);

-- priorities and boosts
select is(guildhall.request_priority('{}'), 'normal', 'request_priority: normal when nothing is said');
select is(guildhall.request_priority('{"priority": "urgent"}'), 'urgent', 'request_priority: by name');
select is(guildhall.request_priority('{"priority": 2}'), 'high', 'request_priority: by the number of old definitions');
select throws_ok($$select guildhall.request_priority('{"priority": "huge"}')$$, 'GH001', null, 'request_priority: no other');
select ok(guildhall.request_boost('urgent') > guildhall.request_boost('high')
    and guildhall.request_boost('high') > guildhall.request_boost('normal')
    and guildhall.request_boost('normal') > guildhall.request_boost('low'), 'request_boost: rises with priority');
select is(guildhall.request_field('{"a": null}', 'a', 5), null, 'request_field: null is absent');
select throws_ok($$select guildhall.request_field('{"a": "123456"}', 'a', 5)$$, 'GH001', null, 'request_field: bounded');

create function test.submit(p_more jsonb default '{}', p_options jsonb default '{}') returns text
language sql as $$
    select s.outcome from guildhall.request_submit('{"skill": "fly", "input": {}}'::jsonb || p_more, 'ada', null, null, p_options) s;
$$;
create function test.order() returns text language sql as $$
    select string_agg(r.priority, ' ' order by r.queue_at, r.id) from guildhall.requests r where r.finished_at is null;
$$;
select test.agent('a', 'fly');
select is((select count(*) from guildhall.agent_assignable('fly', null, guildhall.clock())), 1::bigint,
    'agent_assignable: the live agent with the skill');
select test.submit('{"priority": "low"}');
select test.pass_time('60 s');
select test.submit('{"priority": "high"}'), test.submit('{"priority": "urgent"}'), test.submit();
select is(test.order(), 'urgent high normal low', 'request_submit: by priority at first');
select test.pass_time('6 min 1 s');
select test.submit('{"priority": "urgent"}');
select test.pass_time('61 s');
select test.submit('{"priority": "urgent"}');
select is(test.order(), 'urgent high normal low urgent urgent',
    'request_submit: who waits long enough is overtaken by nobody that comes later');
select is((select count(*) from guildhall.request_claim('w', 100, 30)), 6::bigint, 'request_claim: all of them');
select is((select event #>> '{data,state}' from guildhall.events where type = 'dev.guildhall.request.leased.v1' limit 1), 'leased',
    'request_tell: every state is told');

-- room
create or replace function guildhall.agent_assignable(p_skill text, p_agent text, p_now timestamptz)
returns table (agent_id text, url text, is_remote boolean, max_concurrency integer, max_queue integer, input_schema jsonb,
    schema_digest text, rank double precision) language sql stable set search_path = '' as $$
    select a.id, 'http://x', false, 8, 3, null::jsonb, null::text, 1::double precision from guildhall.agents a
    join guildhall.agent_skills s on s.agent_id = a.id
    join guildhall.agent_liveness l on l.agent_id = a.id
    where s.skill_id = p_skill and a.id = coalesce(p_agent, a.id) and l.expires_at > p_now;
$$;
select is(test.submit('{}', '{"worker": "me"}'), 'leased', 'request_submit: leased at once when there is room');
select is(s.claimed ->> 'agent' || ' ' || (s.claimed #>> '{request,epoch}'), 'a 1', 'request_wire: with what the agent is sent')
from guildhall.request_submit('{"skill": "fly", "input": {}}', 'ada', null, null, '{"worker": "me"}') s;
select is((select count(*) from guildhall.requests where state = 'leased'), 8::bigint, 'request_lease: eight at work');
select is((select array_agg(seat order by seat) from guildhall.requests where state = 'leased'), '{1,2,3,4,5,6,7,8}',
    'request_slot: each in a seat of its own');
select is(test.submit('{}', '{"worker": "me"}'), 'accepted', 'request_slot: the ninth waits');
select is((select count(*) from guildhall.request_claim('w', 100, 30)), 0::bigint, 'request_claim: while there is no room');
select is_empty($$select guildhall.request_slot(gen_random_uuid(), 'fly', null, guildhall.clock())$$, 'request_slot: none');
select test.submit(), test.submit();
select is(test.submit(), 'queue_full', 'request_submit: and the queue has an end');
select is((select count(*) from guildhall.requests), 11::bigint, 'request_submit: what is refused is not kept');
select guildhall.request_complete(id::text, 1, '1') from guildhall.requests where state = 'leased' limit 1;
select is(test.submit('{"priority": "low"}', '{"worker": "me"}'), 'queue_full', 'request_submit: nobody jumps the queue');
select is((select count(*) from guildhall.request_claim('w', 100, 30)), 1::bigint, 'request_claim: room for one, one is given');
select test.pass_time('31 s');
select is((select count(*) from guildhall.request_claim('w2', 100, 30)), 8::bigint,
    'request_claim: takes over the eight that were lost, and no more');
select is((select max(n) from (select count(*) n from guildhall.requests where state = 'leased' group by agent) x), 8::bigint,
    'request_lease: never more than the limit');

-- schemas
create or replace function guildhall.agent_assignable(p_skill text, p_agent text, p_now timestamptz)
returns table (agent_id text, url text, is_remote boolean, max_concurrency integer, max_queue integer, input_schema jsonb,
    schema_digest text, rank double precision) language sql stable set search_path = '' as $$
    select a.id, 'http://x', false, 800, 300, '{"type": "object"}'::jsonb, 'd1', 1::double precision from guildhall.agents a
    join guildhall.agent_skills s on s.agent_id = a.id
    join guildhall.agent_liveness l on l.agent_id = a.id
    where s.skill_id = p_skill and a.id = coalesce(p_agent, a.id) and l.expires_at > p_now;
$$;
select is(s.outcome || s.schema_digest || s.input_schema, 'schema_changedd1{"type": "object"}',
    'request_submit: gives the schema to validate against')
from guildhall.request_submit('{"skill": "fly", "input": {}}', 'ada', null, null, '{"schema_digest": "d0"}') s;
select is(test.submit('{}', '{"schema_digest": "d1"}'), 'accepted', 'request_submit: validated against the current one');
select is(e.outcome || e.schema_digest, 'schema_changedd1', 'event_accept: so does the way in over Redis')
from guildhall.event_accept('{"specversion": "1.0", "id": "1", "source": "/ci", "type": "dev.guildhall.request.v1",
    "data": {"skill": "fly", "input": {}}}', '{}') e;
select is((select count(*) from guildhall.events_accepted), 0::bigint, 'event_accept: and keeps nothing meanwhile');

-- rejected
select test.submit('{"correlation_id": "rej", "source": "cicd"}', '{"schema_digest": "d1", "worker": "w",
    "mailbox": "m", "ticket": "t", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}');
select test.claim_requests();
select is(f.outcome || f.mailbox || f.ticket, 'rejectedmt', 'request_fail: an agent that would not begin; the waiter is named')
from guildhall.requests r, guildhall.request_fail(r.id::text, 1, '{"code": "invalid_input", "detail": "d"}') f where r.correlation_id = 'rej';
select is((select event ->> 'traceparent' from guildhall.events where type = 'dev.guildhall.request.rejected.v1'),
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'request_tell: carries the trace on');

-- broadcasts
select test.agent('b', 'fly'), test.agent('c', 'swim');
select is(b.outcome, 'schema_changed', 'broadcast_submit: validates as well')
from guildhall.broadcast_submit('{"skill": "fly", "input": {}}', 'ada', null, null, '{}') b;
select b.outcome as outcome, b.broadcast ->> 'id' as bid, b.broadcast ->> 'targets' as targets
from guildhall.broadcast_submit('{"skill": "fly", "input": {}, "exclude": ["b"]}', 'ada', 'k', 'f', '{"schema_digest": "d1"}') b \gset
select is(:'outcome'::text || ' ' || :'targets', 'accepted 1', 'broadcast_submit: who has the skill, but the excluded');
select is(b.outcome || (b.broadcast ->> 'id'), 'exists' || :'bid', 'broadcast_submit: once per key')
from guildhall.broadcast_submit('{"skill": "fly", "input": {}}', 'ada', 'k', 'f', '{"schema_digest": "d1"}') b;
select is(b.outcome, 'conflict', 'broadcast_submit: the key for another body')
from guildhall.broadcast_submit('{"skill": "fly", "input": {}}', 'ada', 'k', 'g', '{"schema_digest": "d1"}') b;
select is(b.broadcast ->> 'targets', '3', 'broadcast_submit: everyone')
from guildhall.broadcast_submit('{"skill": "fly", "to": "all", "input": {}}', 'ada', null, null, '{"schema_digest": "d1"}') b;
select is(b.outcome, 'nobody', 'broadcast_submit: nobody is left')
from guildhall.broadcast_submit('{"skill": "fly", "input": {}, "exclude": ["a", "b"]}', 'ada', null, null, '{"schema_digest": "d1"}') b;
select test.claim_requests();
select guildhall.request_complete(id::text, epoch, '"here"') from guildhall.requests where broadcast_id = :'bid';
select is(b -> 'answers' -> 0 ->> 'result' || ' ' || (b ->> 'open'), 'here 0', 'broadcast_json: the answers') from guildhall.broadcast_get(:'bid') b;
select is_empty('select guildhall.broadcast_get(gen_random_uuid()::text)', 'broadcast_get: no such broadcast');

-- dead letters and callbacks
select test.submit('{"correlation_id": "dead", "max_attempts": 1, "callback_url": "https://x.test/cb"}', '{"schema_digest": "d1"}');
select test.claim_requests();
select id as request from guildhall.requests where correlation_id = 'dead' \gset
select guildhall.request_fail(:'request', 1, '{"code": "unreachable", "detail": "gone", "retryable": true}');
select is((select array_agg(l ->> 'id') from guildhall.request_letters(null, 10) l), array[:'request'], 'request_letters: the dead one');
select c.epoch as epoch, c.event ->> 'type' as type from guildhall.callback_claim('w', 10, 30) c \gset
select is(:'type'::text, 'dev.guildhall.request.dead.v1', 'callback_claim: tells the end');
select is((select count(*) from guildhall.callback_claim('w', 10, 30)), 0::bigint, 'callback_claim: one at a time');
select is(guildhall.callback_report(:'request', 1, 'retry', 'refused'), 'retry', 'callback_report: tried again');
select ok((select next_wake_at - guildhall.clock() between '0.5 s' and '1 s' from guildhall.callbacks), 'callback_report: soon');
select is(guildhall.callback_report(:'request', 2, 'delivered', null), 'stale', 'callback_report: only under its epoch');
select test.pass_time('1 s');
select guildhall.callback_claim('w', 10, 30);
select is(guildhall.callback_report(:'request', 2, 'delivered', null), 'delivered', 'callback_report: done');
select throws_ok(format($$select guildhall.callback_report(%L, 2, 'x', null)$$, :'request'), 'GH001', null, 'callback_report: of an outcome');
select r.request ->> 'id' as again, r.outcome as outcome from guildhall.request_retry(:'request', 'bob', 'fixed') r \gset
select is(:'outcome'::text, 'retried', 'request_retry: a new life');
select is((select r.life || ' ' || r.state || ' ' || (r.causation_id = :'request') from guildhall.requests r where id = :'again'),
    '2 queued true', 'request_retry: under a new id, for the old cause');
select is(r.outcome, 'no_letter', 'request_retry: once') from guildhall.request_retry(:'request', 'bob', 'x') r;
select test.claim_requests();
select guildhall.request_fail(:'again', 1, '{"code": "unreachable", "detail": "gone", "retryable": true}');
select is(r.outcome, 'discarded', 'request_discard: lets it go') from guildhall.request_discard(:'again', 'bob', 'x') r;
select is((select count(*) from guildhall.request_letters(null, 10)) || ' ' || (select count(*) from guildhall.audit), '0 2',
    'request_discard: audited, and off the list');

select * from finish();
