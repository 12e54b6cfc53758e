select plan(69);

-- run_start
select is(to_jsonb(r) #- '{run,id}', jsonb_build_object('outcome', 'started', 'run', jsonb_build_object('name', 'deliver',
    'title', 'ship it', 'status', 'pending', 'requester', 'ada', 'definition', test.document(), 'digest', repeat('d', 64),
    'workflow', null, 'input', '{"n": 1}'::jsonb, 'output', null, 'error', null, 'journal_position', 1, 'parent_run_id', null,
    'created_at', '2030-01-01T12:00:00+00:00', 'finished_at', null, 'steps', '[]'::jsonb)), 'run_start: accepts a run of a document')
from guildhall.run_start(test.new_run('ship it') || '{"input": {"n": 1}}', 'ada', 'key', 'body', 's', 'please', 'gladly') r;
select is(r.outcome, 'exists', 'run_start: the same key and body is the same run')
from guildhall.run_start(test.new_run('ship it'), 'ada', 'key', 'body', 's', 'please', 'gladly') r;
select is(to_jsonb(r), '{"outcome": "conflict", "run": null}'::jsonb, 'run_start: the same key and another body is a conflict')
from guildhall.run_start(test.new_run('x'), 'ada', 'key', 'other body', 's', 'please', 'gladly') r;
select is(r.outcome, 'not_yours', 'run_start: another''s chat session is refused')
from guildhall.run_start(test.new_run('x'), 'bob', null, null, 's', 'please', 'gladly') r;
select is(r.outcome, 'started', 'run_start: keys are the requester''s own')
from guildhall.run_start(test.new_run('x'), 'bob', 'key', 'other body', null, null, null) r;
select is(r.outcome, 'unknown_workflow', 'run_start: there is no such workflow')
from guildhall.run_start('{"title": "t", "workflow": {"namespace": "tests", "name": "none"}}', 'ada', null, null, null, null, null) r;
select is((select count(*) from guildhall.runs), 2::bigint, 'run_open: nothing else was kept');
select is((select count(*) from guildhall.chat_messages), 2::bigint, 'run_start: the chat turn was kept once');
select is((select string_agg(o.event ->> 'type', ' ' order by o.id) from guildhall.events o),
    'dev.guildhall.run.started.v1 dev.guildhall.run.started.v1', 'run_open: each start is told');
select throws_ok($$select guildhall.run_start('{"title": "t", "definition": {}, "digest": "d"}', 'ada', null, null, null, null, null)$$,
    'GH001', null, 'run_start: a document has a name');
select throws_ok($$select guildhall.run_start(test.new_run() - 'digest', 'ada', null, null, null, null, null)$$, 'GH001', null,
    'run_start: and a digest');
select throws_ok($$select guildhall.run_start(test.new_run(''), 'ada', null, null, null, null, null)$$, 'GH001', null,
    'run_start: a run has a title');
select throws_ok($$select guildhall.run_start(test.new_run(), 'ada', 'k', null, null, null, null)$$, 'GH001', null,
    'run_start: a key comes with a fingerprint');

-- run_claim
select id as run from guildhall.runs where requester = 'ada' \gset
select id as other from guildhall.runs where requester = 'bob' \gset
select test.pass_time('1 s');
select test.first(:'run');
select is((select (c).definition from guildhall.run_claim('w', 30, jsonb_build_array(repeat('d', 64))) c), null,
    'run_claim: who knows the document does not get it again');
select test.pass_time('30 s');
select is(to_jsonb(c) - 'run_id', jsonb_build_object('epoch', 2, 'journal_position', 1, 'digest', repeat('d', 64),
    'definition', test.document(), 'input', '{"n": 1}'::jsonb, 'started_at', '2030-01-01T12:00:00+00:00', 'state', null, 'events', '[]'::jsonb),
    'run_claim: an expired lease is taken over under a new epoch, with all that the engine needs')
from guildhall.run_claim('w1', 30, null) c;
select is((select status || ' ' || lease_owner from guildhall.runs where id = :'run'), 'running w1', 'run_claim: leases the run');
select is((select run_id from guildhall.run_claim('w2', 30, '[]')), :'other'::uuid, 'run_claim: then the other');
select is_empty($$select * from guildhall.run_claim('w3', 30, '[]')$$, 'run_claim: nothing else is due');
select is(guildhall.run_due(guildhall.clock()), null, 'run_due: nothing');
select test.pass_time('30 s');
select is((select epoch from guildhall.run_claim('w3', 30, '[]')), 3::bigint, 'run_claim: each claim has an epoch of its own');
select is((select epoch from guildhall.run_claim('w3', 30, '[]')), 2::bigint, 'run_claim: and each run');
select throws_ok($$select guildhall.run_claim('w', 0, '[]')$$, 'GH001', null, 'run_claim: a lease has some time');
select throws_ok($$select guildhall.run_claim('', 30, '[]')$$, 'GH001', null, 'run_claim: a worker has a name');

-- run_advance: who may
select epoch from guildhall.runs where id = :'run' \gset
select is(to_jsonb(r), '{"outcome": "stale", "requests_queued": 0, "calls_queued": 0, "runs_due": 0, "status": "running"}'::jsonb,
    'run_advance: an older epoch is stale') from guildhall.run_advance(:'run', 1, 1, '{}', '[]', '[]') r;
select is(to_jsonb(r), '{"outcome": "stale", "requests_queued": 0, "calls_queued": 0, "runs_due": 0, "status": null}'::jsonb,
    'run_advance: so is a run that is not there') from guildhall.run_advance(gen_random_uuid()::text, 1, 1, '{}', '[]', '[]') r;
select is(r.outcome, 'stale', 'run_advance: another journal position is of another claim')
from guildhall.run_advance(:'run', :epoch, 0, '{}', '[]', '[]') r;
select test.pass_time('30 s');
select is(r.outcome, 'stale', 'run_advance: an expired lease is stale though nobody took it')
from guildhall.run_advance(:'run', :epoch, 1, '{}', '[]', '[]') r;
select test.pass_time('1 s');

-- run_advance: what
select test.first(:'run');
select run_id as run, epoch, journal_position from guildhall.run_claim('w5', 30, '[]') \gset
select guildhall.run_claim('w5', 30, '[]');
select throws_ok(format('select guildhall.run_advance(%L, %s, 1, ''{}'', ''{}'', ''[]'')', :'run', :epoch), 'GH002', null,
    'run_advance: commands are an array');
select throws_ok(format('select guildhall.run_advance(%L, %s, 1, ''{}'', %L, ''[]'')', :'run', :epoch,
    jsonb_build_array(test.end_command(), test.end_command())), 'GH002', null, 'run_advance: nothing follows the end');
select is((select journal_position from guildhall.runs where id = :'run'), 1::bigint,
    'run_advance: what was refused left nothing behind');
select is(to_jsonb(r), '{"outcome": "advanced", "requests_queued": 2, "calls_queued": 0, "runs_due": 0, "status": "waiting"}'::jsonb,
    'run_advance: applies every command') from guildhall.run_advance(:'run', :epoch, 1, '{"status": "running", "n": 1}',
    jsonb_build_array(test.request_command('/do/0/a'), test.request_command('/do/1/b'), test.approval_command('/do/2/c')),
    '[{"type": "io.x.v1", "id": "1"}, {"type": "io.y.v1", "id": "2"}]') r;
select is((select state from guildhall.runs where id = :'run'), '{"status": "running", "n": 1}'::jsonb, 'run_advance: keeps the snapshot');
select is((select string_agg(e.event::text, ' ' order by e.id) from guildhall.events e where e.subject = :'run' and e.type like 'io.%'),
    '{"id": "1", "type": "io.x.v1"} {"id": "2", "type": "io.y.v1"}', 'outbox_add: lifecycle events go out as they are, in order');
select is((select next_wake_at from guildhall.runs where id = :'run'), guildhall.clock() + interval '1 day',
    'run_advance: a waiting run is looked at again in a day at the latest');
select is(r.outcome, 'stale', 'run_advance: a claim is used once')
from guildhall.run_advance(:'run', :epoch, 1, '{}', '[]', '[]') r;

-- run_get, run_steps, run_list, run_journal
select is((select array_agg(concat_ws(' ', s ->> 'name', s ->> 'kind', s ->> 'skill', s ->> 'status', s ->> 'attempts')) from jsonb_array_elements(r -> 'steps') s),
    array['a agent review_change waiting 0', 'b agent review_change waiting 0', 'c approval approval waiting 1'], 'run_get: has the timeline')
from guildhall.run_get(:'run') r;
select is_empty('select guildhall.run_get(gen_random_uuid()::text)', 'run_get: no such run');
select test.agent('code-review', 'review_change');
select test.claim_requests();
select guildhall.request_complete(id::text, 1, '{"summary": "fine"}') from guildhall.requests where step = '/do/0/a';
select is(guildhall.run_steps(:'run') #> '{0}', '{"step": "/do/0/a", "name": "a", "kind": "agent", "status": "completed", "agent": "code-review",
    "skill": "review_change", "attempts": 1, "started_at": "2030-01-01T12:01:32+00:00", "child_run_id": null,
    "finished_at": "2030-01-01T12:01:32+00:00", "result": {"summary": "fine"}, "error": null}'::jsonb,
    'run_steps: a completed step with its result');
select is(guildhall.run_steps(:'run') #>> '{1,status}', 'running', 'run_steps: a leased step runs');
select is(guildhall.run_steps(:'other'), '[]'::jsonb, 'run_steps: nothing begun, nothing shown');
select is(guildhall.run_step_name('/do[2]/0/a~1b~0'), 'a/b~', 'run_step_name: the last part of the pointer');
select is((select array_agg(r ->> 'status' order by r ->> 'status') from guildhall.run_list(null, null, 10) r), array['running', 'waiting'],
    'run_list: all');
select is((select array_agg(r ->> 'id') from guildhall.run_list('waiting', null, 10) r), array[:'run'], 'run_list: of a status');
select is((select count(*) from guildhall.run_list(null, (select r ->> 'id' from guildhall.run_list(null, null, 1) r), 10)),
    1::bigint, 'run_list: after one');
select throws_ok($$select guildhall.run_list(null, 'junk', 10)$$, 'GH001', null, 'run_list: a cursor is an id');
select throws_ok($$select guildhall.run_list(null, null, 0)$$, 'GH001', null, 'run_list: a page has something on it');
select is(guildhall.run_json(r) -> 'steps', '[]'::jsonb, 'run_json: no timeline in lists') from guildhall.runs r
where id = :'run';

-- what happened comes with the next claim
select is((select array_agg(e ->> 'event') from guildhall.run_claim('w6', 30, '[]') c, jsonb_array_elements(c.events) e), array['completed'],
    'run_claim: an answer makes its run due, and comes as an event');
select is((select j.data from guildhall.journal j where j.run_id = :'run' and j.position = 2), jsonb_build_object('event', 'completed',
    'step', '/do/0/a', 'seq', (select seq from guildhall.requests where step = '/do/0/a'), 'output', '{"summary": "fine"}'::jsonb),
    'run_claim: what the engine is told is in the journal');
select is_empty('select * from guildhall.run_inbox', 'run_claim: and no longer in the inbox');
select is((select array_agg((r ->> 'position')::int) from guildhall.run_journal(:'run', 1, 10) r), array[2],
    'run_journal: the entries behind a position');
select is((select count(*) from guildhall.run_journal(:'run', 0, 1)), 1::bigint, 'run_journal: no more than asked for');
-- The worker is lost; more happens; the next one gets both, each once.
select test.pass_time('30 s');
select guildhall.approval_decide(id::text, 'bob', 'person', 'approve', null) from guildhall.approvals;
select test.first(:'run');
select epoch, journal_position, events from guildhall.run_claim('w7', 30, '[]') \gset
select is((select array_agg(e ->> 'position' || ' ' || (e ->> 'now')) from jsonb_array_elements(:'events'::jsonb) e),
    array['2 2030-01-01T12:01:32+00:00', '3 2030-01-01T12:02:02+00:00'],
    'run_claim: what a lost worker was told is told again, as of the same time');
-- Time that goes back does not, for the engine.
select guildhall.run_advance(:'run', :epoch, :journal_position, '{"status": "running"}', '[]', '[]');
select is((select snapshot_position from guildhall.runs where id = :'run'), 3::bigint, 'run_advance: the snapshot is as of the claim');
begin;
select test.pass_time('-1 h');
select guildhall.run_tell(:'run', '{"event": "pause"}', guildhall.clock());
update guildhall.runs set next_wake_at = guildhall.clock() - interval '1 s' where id = :'run';
select is((select c.events #>> '{0,now}' from guildhall.run_claim('w', 30, '[]') c), '2030-01-01T12:02:02+00:00',
    'run_claim: no event is earlier than the one before');
rollback;

-- run_finish by fault: everything open ends
select test.first(:'run');
select run_id, epoch, journal_position from guildhall.run_claim('w8', 30, '[]') \gset
select is(r.status, 'faulted', 'run_advance: a fault ends the run') from guildhall.run_advance(:'run_id', :epoch, :journal_position, '{}',
    jsonb_build_array(test.command('fault', '', '{"error": {"type": "https://guildhall.dev/errors/review-blocked", "status": 409,
        "title": "t", "detail": "d", "instance": "/do/0/a"}}')), '[]') r;
select is(test.journal_kinds(:'run'), 'run_started completed completed run_faulted', 'run_finish: the end is the journal''s last entry');
select is((select array_agg(state order by step) from guildhall.requests where run_id = :'run'), array['succeeded', 'cancelled'],
    'run_finish: open requests are cancelled, finished ones stay');
select is((select error from guildhall.runs where id = :'run'), '{"code": "review_blocked", "type": "https://guildhall.dev/errors/review-blocked",
    "status": 409, "title": "t", "detail": "d", "instance": "/do/0/a", "step": "/do/0/a"}'::jsonb, 'run_error: the error of the run');
select is((select outcome from guildhall.request_complete(id::text, 1, '{}')), 'stale', 'run_finish: a result that comes after is dropped')
from guildhall.requests where step = '/do/1/b';
select is((select count(*) from guildhall.events where event ->> 'type' = 'dev.guildhall.run.faulted.v1'), 1::bigint,
    'run_finish: the end is told');
select is((select state from guildhall.runs where id = :'run'), null, 'run_finish: nobody needs the snapshot');

-- complete and cancel
select test.pass_time('1 h');
select run_id, epoch from guildhall.run_claim('w7', 30, '[]') \gset
select is(r.status, 'completed', 'run_advance: complete ends the run well')
from guildhall.run_advance(:'run_id', :epoch, 1, '{}', jsonb_build_array(test.command('complete', '', '{"output": {"a": 1}}')), '[]') r;
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
