select plan(72);

-- request_submit, request_insert
select is(r.outcome, 'unknown_skill', 'request_submit: nobody has the skill')
from guildhall.request_submit('{"skill": "fly", "input": {}}', 'ada', null, null, '{}') r;
select test.agent('a', 'fly');
select is(to_jsonb(r) #- '{request,id}', '{"claimed": null, "input_schema": null, "schema_digest": null, "outcome": "accepted", "request": {"run_id": null, "step": null, "skill": "fly",
    "agent": null, "input": {"to": "x"}, "requester": "ada", "state": "queued", "attempt": 0, "max_attempts": 3,
    "result": null, "error": null, "created_at": "2030-01-01T12:00:00+00:00", "deadline_at": "2030-01-01T12:10:00+00:00",
    "finished_at": null, "life": 1, "letter": null, "source": null, "priority": "normal", "retry_of": null, "broadcast_id": null,
    "callback_url": null, "causation_id": null, "correlation_id": null}}'::jsonb, 'request_submit: accepts with the defaults')
from guildhall.request_submit('{"skill": "fly", "input": {"to": "x"}}', 'ada', 'k', 'f', '{}') r;
select is(r.outcome, 'exists', 'request_submit: the same again') from guildhall.request_submit('{"skill": "fly", "input": {"to": "x"}}', 'ada', 'k', 'f', '{}') r;
select is(r.outcome, 'conflict', 'request_submit: the key for another body')
from guildhall.request_submit('{"skill": "fly", "input": {"to": "y"}}', 'ada', 'k', 'g', '{}') r;
select is(r.outcome, 'unknown_skill', 'request_submit: the agent asked for does not have it')
from guildhall.request_submit('{"skill": "fly", "agent": "b", "input": {}}', 'ada', null, null, '{}') r;
select throws_ok($$select guildhall.request_submit('{"skill": "fly"}', 'ada', null, null, '{}')$$, 'GH001', null,
    'request_insert: there must be input');
select throws_ok($$select guildhall.request_submit('{"skill": "fly", "input": 1, "timeout_s": 0}', 'ada', null, null, '{}')$$, 'GH001',
    null, 'request_insert: and time');
select throws_ok($$select guildhall.request_submit('{"skill": "fly", "input": 1, "max_attempts": 0}', 'ada', null, null, '{}')$$,
    'GH001', null, 'request_insert: and an attempt');
select throws_ok($$select guildhall.request_submit('{"skill": "fly", "input": 1, "agent": 5}', 'ada', null, null, '{}')$$,
    'GH001', null, 'request_insert: an agent is a string');
select is((select count(*) from guildhall.requests), 1::bigint, 'request_insert: nothing else was kept');

-- request_claim: priority, age, limit, skill, agent, liveness
select guildhall.request_submit('{"skill": "fly", "input": "low"}', 'ada', null, null, '{}');
select test.pass_time('1 s');
select guildhall.request_submit('{"skill": "fly", "input": "high", "priority": "high"}', 'ada', null, null, '{}');
select throws_ok($$select guildhall.request_claim('w', 0, 30)$$, 'GH001', null, 'request_claim: a limit is at least 1');
select is((select array_agg(r.request -> 'input') from guildhall.request_claim('w', 2, 30) r),
    array['"high"', '{"to": "x"}']::jsonb[], 'request_claim: priority first, then age')
where (select id from guildhall.requests where input = '"low"') > (select id from guildhall.requests where input = '{"to": "x"}')
union all
select is((select array_agg(r.request -> 'input') from guildhall.request_claim('w', 2, 30) r),
    array['"high"', '"low"']::jsonb[], 'request_claim: priority first, then age, then id')
where (select id from guildhall.requests where input = '"low"') < (select id from guildhall.requests where input = '{"to": "x"}');
select is((select count(*) from guildhall.request_claim('w', 100, 30)), 1::bigint, 'request_claim: what is left');
select is((select count(*) from guildhall.request_claim('w', 100, 30)), 0::bigint, 'request_claim: nothing is left');
select results_eq('select count(*) from guildhall.requests where state = ''leased'' and epoch = 1 and attempt = 1 and agent = ''a''',
    array[3::bigint], 'request_claim: each under a new epoch, for a live agent');

select test.requested('/do/0/review') as request \gset
select is(to_jsonb(r) #- '{request,run_id}' #- '{request,idempotency_key}', '{"url": null, "is_remote": false, "traceparent": null}' || jsonb_build_object(
    'agent', 'code-review', 'lease_ms', 30000, 'request', jsonb_build_object('request_id', :'request', 'epoch', 1,
    'attempt', 1, 'step', '/do/0/review', 'skill', 'review_change', 'input', '{"for": "/do/0/review"}'::jsonb,
    'requester', 'ada', 'fences', '[]'::jsonb, 'deadline_at', '2030-01-01T12:10:01+00:00')), 'request_claim: gives what the agent needs')
from guildhall.request_claim('w', 1, 30) r;
select is((select idempotency_key from guildhall.requests where id = :'request'), null,
    'request_claim: its key is not the requester''s');
-- lease: renew, expiry, takeover
select test.pass_time('29 s');
select is(guildhall.request_renew(:'request', 1, 30), 'renewed', 'request_renew: in time');
select is((select lease_expires_at - guildhall.clock() from guildhall.requests where id = :'request'), interval '30 s',
    'request_renew: from now');
select guildhall.request_renew(:'request', 1, 1);
select is((select lease_expires_at - guildhall.clock() from guildhall.requests where id = :'request'), interval '30 s',
    'request_renew: never shortens');
select is(guildhall.request_renew(:'request', 2, 30), 'stale', 'request_renew: another epoch');
select is(guildhall.request_renew(gen_random_uuid()::text, 1, 30), 'stale', 'request_renew: no such request');
select test.pass_time('15 s');
select is((select count(*) from guildhall.request_claim('w2', 100, 30) c where c.request ->> 'request_id' = :'request'), 0::bigint,
    'request_claim: a renewed lease is not taken over');
select test.pass_time('15 s');
select is(guildhall.request_renew(:'request', 1, 30), 'stale', 'request_renew: too late, though nobody took over');
select is((select (c.request ->> 'epoch')::int from guildhall.request_claim('w2', 100, 30) c where c.request ->> 'request_id' = :'request'),
    2, 'request_claim: an expired lease is taken over');
select is((select attempt from guildhall.requests where id = :'request'), 2, 'request_claim: as a new attempt');
select is((select outcome from guildhall.request_complete(:'request', 1, '{"late": true}')), 'stale', 'request_complete: the earlier attempt is fenced off');
select is((select outcome from guildhall.request_fail(:'request', 1, '{"code": "x", "detail": "late", "retryable": true}')), 'stale',
    'request_fail: so is its failure');

-- complete
select throws_ok(format('select guildhall.request_complete(%L, 2, null)', :'request'), 'GH001', null,
    'request_complete: a result is a value');
select test.pass_time('31 s');
select is((select outcome from guildhall.request_complete(:'request', 2, 'null')), 'completed',
    'request_complete: a lease that ran out but was not taken over still counts');
select is((select outcome from guildhall.request_complete(:'request', 2, 'null')), 'completed', 'request_complete: the same report again');
select is((select outcome from guildhall.request_complete(:'request', 1, 'null')), 'stale', 'request_complete: not of another attempt');
select is((select outcome from guildhall.request_complete(gen_random_uuid()::text, 1, '1')), 'stale', 'request_complete: no such request');
select is((select result from guildhall.requests where id = :'request'), 'null'::jsonb, 'request_finish: keeps the result');
select is((select jsonb_agg(i.input - 'seq') from guildhall.run_inbox i join guildhall.requests q on q.run_id = i.run_id
    where q.id = :'request'), '[{"event": "completed", "step": "/do/0/review", "output": null}]'::jsonb,
    'request_finish: tells the run once');
select ok((select (i.input ->> 'seq')::bigint = q.seq from guildhall.run_inbox i join guildhall.requests q on q.run_id = i.run_id
    where q.id = :'request'), 'request_finish: under the command''s number');
select is((select event #> '{data,result}' from guildhall.events where event ->> 'type' = 'dev.guildhall.request.succeeded.v1'),
    'null'::jsonb, 'request_finish: the end is told, a run''s result is not in the event');

-- fail and retry
select test.requested('/do/1/retry') as request \gset
select test.claim_requests();
select throws_ok(format('select guildhall.request_fail(%L, 1, ''{"code": "x"}'')', :'request'), 'GH001', null,
    'request_fail: an error says why');
select is((select outcome from guildhall.request_fail(:'request', 1, '{"code": "unreachable", "detail": "d", "retryable": true}')), 'retry',
    'request_fail: is tried again');
select ok((select state = 'queued' and agent is null and next_wake_at - guildhall.clock() between '0.25 s' and '0.5 s'
    from guildhall.requests where id = :'request'), 'request_fail: after half a second at most');
select is((select count(*) from guildhall.request_claim('w', 100, 30) c where c.request ->> 'request_id' = :'request'), 0::bigint,
    'request_claim: not before');
select is(guildhall.request_json(r) #>> '{error,detail}', 'd', 'request_json: shows the last error') from guildhall.requests r
where id = :'request';
select test.pass_time('0.5 s');
select test.claim_requests();
select is((select outcome from guildhall.request_fail(:'request', 2, '{"code": "unreachable", "detail": "e", "retryable": true}')), 'retry',
    'request_fail: and again');
select ok((select next_wake_at - guildhall.clock() between '0.5 s' and '1 s' from guildhall.requests where id = :'request'),
    'request_fail: after twice as long');
select test.pass_time('1 s');
select test.claim_requests();
select is((select outcome from guildhall.request_fail(:'request', 3, '{"code": "unreachable", "detail": "f", "retryable": true}')), 'dead',
    'request_fail: until attempts are used up');
select is((select input -> 'error' from guildhall.run_inbox where input ->> 'event' = 'failed'),
    '{"type": "https://guildhall.dev/errors/unreachable", "status": 500, "title": "Unreachable", "detail": "f"}'::jsonb,
    'request_finish: the run learns why');
select test.requested('/do/2/no') as request \gset
select test.claim_requests();
select is((select outcome from guildhall.request_fail(:'request', 1, '{"code": "not_configured", "detail": "g"}')), 'failed',
    'request_fail: what is not retryable ends at once');
select is((select outcome from guildhall.request_fail(:'request', 1, '{"code": "not_configured", "detail": "g"}')), 'stale', 'request_fail: once');

-- sweep: deadline and lost last attempt
select test.requested('/do/3/slow') as request \gset
select test.pass_time('599 s');
select is(guildhall.request_sweep(100), 3, 'request_sweep: ends the three that were submitted first and are late');
select is((select state from guildhall.requests where id = :'request'), 'queued', 'request_sweep: not before the deadline');
select guildhall.agent_register('{"name": "code-review", "skills": [{"id": "review_change"}]}', 86400);
select test.claim_requests();
select test.pass_time('1 s');
select is((select outcome from guildhall.request_complete(:'request', 1, '{}')), 'stale', 'request_complete: not after the deadline');
select is(guildhall.request_renew(:'request', 1, 30), 'stale', 'request_renew: nor longer than the deadline');
select is((select count(*) from guildhall.request_claim('w', 100, 30) c where c.request ->> 'request_id' = :'request'), 0::bigint,
    'request_claim: ends what is late');
select is((select state || ' ' || (error ->> 'code') from guildhall.requests where id = :'request'), 'timed_out timed_out',
    'request_sweep: says that time was up');
select test.requested('/do/4/lost', 1) as request \gset
select test.claim_requests();
select test.pass_time('30 s');
select is(guildhall.request_sweep(100), 1, 'request_sweep: ends what lost its last attempt');
select is((select state || ' ' || (error ->> 'code') from guildhall.requests where id = :'request'), 'dead unreachable',
    'request_sweep: as dead');

-- liveness of agents decides
select guildhall.agent_deregister('code-review');
select guildhall.agent_register('{"name": "code-review", "skills": [{"id": "review_change"}]}', 10);
select test.run();
select test.advance(jsonb_build_array(test.request_command('/do/0/x')));
select id as request from guildhall.requests where step = '/do/0/x' \gset
select test.pass_time('10 s');
select is((select count(*) from guildhall.request_claim('w', 100, 30)), 0::bigint, 'request_claim: nothing for an agent that is gone');
select is((select state from guildhall.requests where id = :'request'), 'queued', 'request_claim: it waits for one');
select test.agent('second', 'review_change');
select is((select array_agg(c.agent) from guildhall.request_claim('w', 100, 30) c), array['second'],
    'request_claim: any live agent with the skill will do');

-- an agent asked for by name
select test.agent('third', 'review_change');
select guildhall.request_submit('{"skill": "review_change", "agent": "third", "input": 1}', 'ada', null, null, '{}');
select is((select array_agg(c.agent) from guildhall.request_claim('w', 100, 30) c), array['third'],
    'request_claim: the agent that was asked for');

-- cancel, get, list, lock
select is(r.outcome, 'not_found', 'request_cancel: no such request') from guildhall.request_cancel(gen_random_uuid()::text, 'ada', 'x') r;
select is(r.request #>> '{error,detail}', 'ada withdrew it: not needed', 'request_cancel: says who and why')
from guildhall.request_cancel(:'request', 'ada', 'not needed') r;
select is(r.outcome, 'already_ended', 'request_cancel: once') from guildhall.request_cancel(:'request', 'ada', 'x') r;
select is((select i.input #>> '{error,type}' from guildhall.run_inbox i join guildhall.requests q on q.run_id = i.run_id
    where q.id = :'request'), 'https://guildhall.dev/errors/cancelled', 'request_cancel: its step fails');
select is(r ->> 'state', 'cancelled', 'request_get: as it stands') from guildhall.request_get(:'request') r;
select is_empty('select guildhall.request_get(gen_random_uuid()::text)', 'request_get: no such request');
select is((select count(*) from guildhall.request_list('dead', null, null, 100)), 2::bigint, 'request_list: of a state');
select is((select count(*) from guildhall.request_list(null, (select run_id::text from guildhall.requests where id = :'request'), null, 100)),
    1::bigint, 'request_list: of a run');
select is((select count(*) from guildhall.request_list(null, null, (select r ->> 'id' from guildhall.request_list(null, null, null, 1) r), 100)),
    (select count(*) - 1 from guildhall.requests), 'request_list: after one');
select is((select (l).id from guildhall.request_lock(:'request') l), :'request'::uuid, 'request_lock: gives the row');
select is((select (l).id from guildhall.request_lock(gen_random_uuid()) l), null, 'request_lock: nulls when there is none');
select is_empty('select * from test.broken_invariants()', 'request_finish: invariants hold');

select * from finish();
