select plan(65);

-- run_start
select is(to_jsonb(r) #- '{run,id}', '{"outcome": "started", "run": {"name": "deliver", "title": "ship it", "status": "pending",
    "requester": "ada", "definition": {"name": "deliver", "do": []}, "output": null, "error": null, "journal_position": 1,
    "created_at": "2030-01-01T12:00:00+00:00", "finished_at": null, "steps": []}}'::jsonb, 'run_start: accepts a run')
from guildhall.run_start('{"name": "deliver", "do": []}', 'ship it', 'ada', 'key', 'body', 's', 'please', 'gladly') r;
select is(r.outcome, 'exists', 'run_start: the same key and body is the same run')
from guildhall.run_start('{"name": "deliver", "do": []}', 'ship it', 'ada', 'key', 'body', 's', 'please', 'gladly') r;
select is(to_jsonb(r), '{"outcome": "conflict", "run": null}'::jsonb, 'run_start: the same key and another body is a conflict')
from guildhall.run_start('{"name": "other"}', 'x', 'ada', 'key', 'other body', 's', 'please', 'gladly') r;
select is(r.outcome, 'not_yours', 'run_start: another''s chat session is refused')
from guildhall.run_start('{"name": "x"}', 'x', 'bob', null, null, 's', 'please', 'gladly') r;
select is(r.outcome, 'started', 'run_start: keys are the requester''s own')
from guildhall.run_start('{"name": "x"}', 'x', 'bob', 'key', 'other body', null, null, null) r;
select is((select count(*) from guildhall.runs), 2::bigint, 'run_start: nothing else was kept');
select is((select count(*) from guildhall.chat_messages), 2::bigint, 'run_start: the chat turn was kept once');
select is((select string_agg(o.event ->> 'type', ' ' order by o.id) from guildhall.events o),
    'dev.guildhall.run.started.v1 dev.guildhall.run.started.v1', 'run_start: each start is told');
select throws_ok($$select guildhall.run_start('{}', 't', 'ada', null, null, null, null, null)$$, 'GH001', null,
    'run_start: a definition has a name');
select throws_ok($$select guildhall.run_start('{"name": "x"}', '', 'ada', null, null, null, null, null)$$, 'GH001', null,
    'run_start: a run has a title');
select throws_ok($$select guildhall.run_start('{"name": "x"}', 't', 'ada', 'k', null, null, null, null)$$, 'GH001', null,
    'run_start: a key comes with a fingerprint');

-- run_claim
select test.pass_time('1 s');
select run_id as run, epoch, journal_position from guildhall.run_claim('w1', 30) \gset
select is(:epoch, 1, 'run_claim: the first claim has epoch 1');
select is((select status || ' ' || lease_owner from guildhall.runs where id = :'run'), 'running w1', 'run_claim: leases the run');
select is((select count(*) from guildhall.run_claim('w2', 30)), 1::bigint, 'run_claim: the other run');
select is_empty($$select * from guildhall.run_claim('w3', 30)$$, 'run_claim: nothing else is due');
select test.pass_time('30 s');
select is((select array_agg(epoch) from guildhall.run_claim('w3', 30)), array[2::bigint],
    'run_claim: an expired lease is taken over under a new epoch');
select is((select epoch from guildhall.run_claim('w3', 30)), 2::bigint, 'run_claim: the other too');
select throws_ok($$select guildhall.run_claim('w', 0)$$, 'GH001', null, 'run_claim: a lease has some time');
select throws_ok($$select guildhall.run_claim('', 30)$$, 'GH001', null, 'run_claim: a worker has a name');

-- run_advance: who may
select is(to_jsonb(r), '{"outcome": "stale", "requests_queued": 0, "status": "running"}'::jsonb,
    'run_advance: an older epoch is stale') from guildhall.run_advance(:'run', 1, 1, '[]') r;
select is(to_jsonb(r), '{"outcome": "stale", "requests_queued": 0, "status": null}'::jsonb,
    'run_advance: so is a run that is not there') from guildhall.run_advance(gen_random_uuid()::text, 1, 1, '[]') r;
select is(to_jsonb(r), '{"outcome": "behind", "requests_queued": 0, "status": "waiting"}'::jsonb,
    'run_advance: another journal position is behind') from guildhall.run_advance(:'run', 2, 0, '[]') r;
select is((select next_wake_at from guildhall.runs where id = :'run'), guildhall.clock(),
    'run_advance: who is behind looks again at once');
select is((select run_id from guildhall.run_claim('w4', 30)), :'run'::uuid, 'run_claim: and so it is due');
select test.pass_time('30 s');
select is(r.outcome, 'stale', 'run_advance: an expired lease is stale though nobody took it')
from guildhall.run_advance(:'run', 3, 1, '[]') r;
select test.pass_time('1 s');

-- run_advance: what
select run_id as run, epoch, journal_position from guildhall.run_claim('w5', 30) \gset
select run_id as other from guildhall.run_claim('w5', 30) \gset
select throws_ok(format('select guildhall.run_advance(%L, %s, 1, ''{}'')', :'run', :epoch), 'GH002', null,
    'run_advance: commands are an array');
select throws_ok(format('select guildhall.run_advance(%L, %s, 1, ''[{"command": "dance"}]'')', :'run', :epoch), 'GH002', null,
    'run_apply: an unknown command');
select throws_ok(format('select guildhall.run_advance(%L, %s, 1, ''[{"command": "complete", "output": {}}, {"command": "complete"}]'')',
    :'run', :epoch), 'GH002', null, 'run_advance: nothing follows the end');
select throws_ok(format('select guildhall.run_advance(%L, %s, 1, %L)', :'run', :epoch,
    jsonb_build_array(test.request_command('/a'), test.request_command('/a'))), 'GH003', null,
    'run_apply: a step begins once');
select throws_ok(format('select guildhall.run_advance(%L, %s, 1, ''[{"command": "fault"}]'')', :'run', :epoch), 'GH001', null,
    'run_apply: a fault says why');
select is((select journal_position from guildhall.runs where id = :'run'), 1::bigint,
    'run_advance: what was refused left nothing behind');
select is(to_jsonb(r), '{"outcome": "advanced", "requests_queued": 2, "status": "waiting"}'::jsonb,
    'run_advance: applies every command') from guildhall.run_advance(:'run', :epoch, 1,
    jsonb_build_array(test.request_command('/a'), test.request_command('/b'), test.approval_command('/c'))) r;
select is(test.journal_kinds(:'run'), 'run_started step_started step_started approval_requested',
    'run_apply: each begins its step in the journal');
select is((select next_wake_at from guildhall.runs where id = :'run'), guildhall.clock() + interval '60 s',
    'run_advance: a waiting run is looked at again in a minute at the latest');
select is(r.outcome, 'stale', 'run_advance: a claim is used once')
from guildhall.run_advance(:'run', :epoch, 4, '[]') r;

-- run_get, run_steps, run_list, run_journal
select is((select array_agg(concat_ws(' ', s ->> 'step', s ->> 'skill', s ->> 'status', s ->> 'attempts')) from jsonb_array_elements(r -> 'steps') s),
    array['/a review_change waiting 0', '/b review_change waiting 0', '/c approval waiting 1'], 'run_get: has the timeline')
from guildhall.run_get(:'run') r;
select is_empty('select guildhall.run_get(gen_random_uuid()::text)', 'run_get: no such run');
select test.agent('code-review', 'review_change');
select test.claim_requests();
select guildhall.request_complete(id::text, 1, '{"summary": "fine"}') from guildhall.requests where step = '/a';
select is(guildhall.run_steps(:'run') #> '{0}', '{"step": "/a", "status": "completed", "agent": "code-review",
    "skill": "review_change", "attempts": 1, "started_at": "2030-01-01T12:01:02+00:00",
    "finished_at": "2030-01-01T12:01:02+00:00", "result": {"summary": "fine"}, "error": null}'::jsonb,
    'run_steps: a completed step with its result');
select is(guildhall.run_steps(:'run') #>> '{1,status}', 'running', 'run_steps: a leased step runs');
select is(guildhall.run_steps(:'other'), '[]'::jsonb, 'run_steps: nothing begun, nothing shown');
select is((select array_agg(r ->> 'status') from guildhall.run_list(null, null, 10) r), array['running', 'waiting'],
    'run_list: all, newest first by age and id') where :'run' < :'other'
union all
select is((select array_agg(r ->> 'status') from guildhall.run_list(null, null, 10) r), array['waiting', 'running'],
    'run_list: all, newest first by age and id') where :'run' > :'other';
select is((select array_agg(r ->> 'id') from guildhall.run_list('waiting', null, 10) r), array[:'run'], 'run_list: of a status');
select is((select count(*) from guildhall.run_list(null, (select r ->> 'id' from guildhall.run_list(null, null, 1) r), 10)),
    1::bigint, 'run_list: after one');
select throws_ok($$select guildhall.run_list(null, 'junk', 10)$$, 'GH001', null, 'run_list: a cursor is an id');
select throws_ok($$select guildhall.run_list(null, null, 0)$$, 'GH001', null, 'run_list: a page has something on it');
select is((select array_agg((r ->> 'position')::int) from guildhall.run_journal(:'run', 3, 10) r), array[4, 5],
    'run_journal: the entries behind a position');
select is((select count(*) from guildhall.run_journal(:'run', 0, 2)), 2::bigint, 'run_journal: no more than asked for');
select is(guildhall.run_json(r) -> 'steps', '[]'::jsonb, 'run_json: no timeline in lists') from guildhall.runs r
where id = :'run';

-- run_wake
select is((select next_wake_at from guildhall.runs where id = :'run'), guildhall.clock(), 'run_wake: a result makes its run due');
select guildhall.run_wake(:'other', guildhall.clock());
select ok((select next_wake_at > guildhall.clock() from guildhall.runs where id = :'other'),
    'run_wake: a leased run is not due before its lease ends');

-- run_finish by fault: everything open ends
select run_id, epoch, journal_position from guildhall.run_claim('w6', 30) \gset
select is(r.status, 'faulted', 'run_advance: a fault ends the run') from guildhall.run_advance(:'run_id', :epoch, :journal_position,
    '[{"command": "fault", "error": {"code": "review_blocked", "title": "t", "detail": "d", "step": "/a"}}]') r;
select is(test.journal_kinds(:'run'),
    'run_started step_started step_started approval_requested step_completed run_faulted',
    'run_finish: the end is the journal''s last entry');
select is((select array_agg(state order by step) from guildhall.requests where run_id = :'run'), array['succeeded', 'cancelled'],
    'run_finish: open requests are cancelled, finished ones stay');
select is((select state from guildhall.approvals), 'cancelled', 'run_finish: pending approvals are cancelled');
select is((select error ->> 'code' from guildhall.runs where id = :'run'), 'review_blocked', 'run_finish: keeps the error');
select is(guildhall.run_steps(:'run') #>> '{2,error,code}', 'cancelled', 'run_steps: a step that the end cut off says so');
select is((select outcome from guildhall.request_complete(id::text, 1, '{}')), 'stale', 'run_finish: a result that comes after is dropped')
from guildhall.requests where step = '/b';
select is((select count(*) from guildhall.events where event ->> 'type' = 'dev.guildhall.run.faulted.v1'), 1::bigint,
    'run_finish: the end is told');

-- complete and cancel
select test.pass_time('1 h');
select run_id, epoch from guildhall.run_claim('w7', 30) \gset
select is(r.status, 'completed', 'run_advance: complete ends the run well')
from guildhall.run_advance(:'run_id', :epoch, 1, '[{"command": "complete", "output": {"a": 1}}]') r;
select is((select output from guildhall.runs where id = :'run_id'), '{"a": 1}'::jsonb, 'run_apply: keeps the output');
select is(r.outcome, 'already_ended', 'run_cancel: not after the end') from guildhall.run_cancel(:'run_id', 'ada', 'late') r;
select is(r.outcome, 'not_found', 'run_cancel: no such run') from guildhall.run_cancel(gen_random_uuid()::text, 'ada', 'x') r;
select test.requested() as request \gset
select test.claim_requests();
select is(r.run ->> 'status', 'cancelled', 'run_cancel: withdraws the run') from guildhall.run_cancel(
    (select run_id::text from guildhall.requests where id = :'request'), 'ada', 'changed my mind') r;
select is(guildhall.request_renew(:'request', 1, 30), 'stale', 'run_cancel: work under way learns it at its next renewal');
select is_empty('select * from test.broken_invariants()', 'run_finish: invariants hold');

select * from finish();
