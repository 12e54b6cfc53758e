-- The engine's commands, applied by run_advance.
select plan(53);

select test.agent('code-review', 'review_change');
select test.workflow();
create function test.newest(p_requester text default 'ada') returns guildhall.runs language sql as
$$ select r.* from guildhall.runs r where r.requester = p_requester order by r.created_at desc, r.depth limit 1 $$;
-- Gives a run's one command and what came of it.
create function test.apply(p_command jsonb) returns table (outcome text, requests_queued int, calls_queued int, runs_due int, status text)
language plpgsql as $$
declare
    v_claim record;
begin
    select * into v_claim from guildhall.run_claim('worker', 30, '[]');
    return query select * from guildhall.run_advance(v_claim.run_id::text, v_claim.epoch, v_claim.journal_position,
        '{"status": "running"}', jsonb_build_array(p_command), '[]');
end;
$$;

-- shape
select test.run() as run \gset
select throws_ok($$select test.apply('{"action": "dance", "step": "/a", "seq": 1}')$$, 'GH002', null, 'run_apply: an unknown action');
select throws_ok($$select test.apply('{"action": "timer", "seq": 1}')$$, 'GH002', null, 'run_apply: a command has a step');
select is(guildhall.run_error('{"status": 1}') ->> 'code', 'unknown', 'run_error: an error without a type ends the run all the same');

-- agent
select test.pass_time('30 s');
select is(r.requests_queued || ' ' || r.status, '1 waiting', 'run_apply: an agent is asked') from test.apply(test.command('agent', '/do/0/a',
    '{"skill": "review_change", "agent": null, "input": {"x": 1}, "timeout_ms": 1500, "priority": 7, "attempts": 5,
      "fences": [{"lock": "job:a", "token": 4}]}')) r;
select is((select jsonb_build_array(r.step, r.input, r.max_attempts, r.priority, r.deadline_at - r.created_at, r.requester, r.fences)
    from guildhall.requests r), '["/do/0/a", {"x": 1}, 5, "urgent", "00:00:02", "ada", [{"lock": "job:a", "token": 4}]]'::jsonb,
    'run_apply: as the command has it');
select is((select (c.request ->> 'idempotency_key') || ' ' || (c.request ->> 'fences') from guildhall.request_claim('d', 10, 30) c),
    :'run' || '/do/0/a [{"lock": "job:a", "token": 4}]', 'request_wire: the key is that of run and step; fences come along');
select guildhall.request_complete(id::text, 1, '{}') from guildhall.requests;
select test.apply(test.command('agent', '/do/0/a', '{"skill": "review_change", "input": {}, "attempt": 2}'));
select is((select count(*) from guildhall.requests where step = '/do/0/a'), 2::bigint, 'run_apply: another attempt of a step is another request');
select is((select deadline_at - created_at || ' ' || max_attempts || ' ' || priority from guildhall.requests order by seq desc limit 1),
    '00:10:00 3 normal', 'run_apply: the defaults of requests');
select guildhall.run_cancel(:'run', 'ada', 'x');

-- what cannot be asked for fails the step, not the statement
select test.run() as run \gset
select is(r.runs_due, 1, 'run_refuse: makes its run due') from test.apply(test.command('agent', '/do/0/a', jsonb_build_object('skill', repeat('x', 201), 'input', 1))) r;
select is((select c.events -> 0 -> 'error' from guildhall.run_claim('w', 30, '[]') c),
    '{"type": "https://serverlessworkflow.io/spec/1.0.0/errors/configuration", "status": 400, "title": "Configuration Error",
      "detail": "skill must have 1 to 200 characters, not 201"}'::jsonb, 'run_refuse: says why');
select guildhall.run_cancel(:'run', 'ada', 'x');
select is(guildhall.run_command_flaw(test.command('approval', '/a', '{"proposal": "x"}')),
    'the action of an approval must be an object that says exactly what would be done', 'run_command_flaw: an approval of nothing');
select is(guildhall.run_command_flaw(test.command('approval', '/a', '{"proposal": {}, "risk": 3}')),
    'the risk of an approval must be an object', 'run_command_flaw: a risk that is none');
select is(guildhall.run_command_flaw(test.command('approval', '/a', '{"proposal": {}}')), null, 'run_command_flaw: fine');
select is(guildhall.run_command_flaw(test.command('agent', '/a', '{"skill": "x", "attempts": 0}')),
    'attempts must be a whole number from 1 to 65535, not 0', 'run_command_flaw: no attempt at all');
select is(guildhall.run_command_flaw(test.command('acquire', '/a', '{"locks": ["/x"]}')),
    'the lock ''/x'' must have a name before its first slash', 'run_command_flaw: a lock without a root');
select matches(guildhall.run_command_flaw(test.command('acquire', '/a', '{"locks": ["history"]}')), 'a word of the API', 'run_command_flaw: a lock that is a word');
select is(guildhall.run_command_flaw(test.command('acquire', '/a', jsonb_build_object('locks', (select jsonb_agg('l' || n) from generate_series(1, 33) n)))),
    'a task may hold at most 32 locks', 'run_command_flaw: too many locks');

-- timer
select test.run() as run \gset
select test.apply(test.command('timer', '/do/0/w', jsonb_build_object('at', guildhall.clock() + interval '5 s')));
select is((select next_wake_at - guildhall.clock() from guildhall.runs where id = :'run'), interval '5 s', 'run_advance: a timer is when the run is looked at');
select is_empty('select * from guildhall.run_claim(''w'', 30, ''[]'')', 'run_claim: not before');
select is((select array_agg(concat_ws(' ', s ->> 'name', s ->> 'kind', s ->> 'status')) from jsonb_array_elements(guildhall.run_steps(:'run')) s),
    array['w wait waiting'], 'run_steps: a wait');
select test.pass_time('5 s');
select is((select c.events #- '{0,now}' #- '{0,seq}' from guildhall.run_claim('w', 30, '[]') c), '[{"event": "fired", "step": "/do/0/w", "position": 2}]'::jsonb,
    'run_claim: a timer fires at its time');
select is_empty('select * from guildhall.run_timers', 'run_claim: once');
select guildhall.run_cancel(:'run', 'ada', 'x');
-- a timeout is not shown beside what it is of
select test.run() as run \gset
select test.advance(jsonb_build_array(test.command('timer', '/do/0/a', jsonb_build_object('at', guildhall.clock() + interval '5 s')),
    test.request_command('/do/0/a/do/1/b')));
select is((select array_agg(s ->> 'kind') from jsonb_array_elements(guildhall.run_steps(:'run')) s), array['agent'], 'run_steps: a timeout is no step');

-- cancel: whatever has the number
create function test.withdraw(p_command jsonb) returns text language plpgsql as $$
begin
    perform test.run();
    perform test.advance(jsonb_build_array(p_command));
    perform test.first((test.newest()).id);
    return test.advance(jsonb_build_array(test.command('cancel', '/a', jsonb_build_object('target', p_command -> 'seq'))));
end;
$$;
select guildhall.run_cancel(id::text, 'ada', 'x') from guildhall.runs where finished_at is null;
select test.pass_time('1 s');
select test.withdraw(test.command('timer', '/a', '{"at": "2040-01-01T00:00:00Z"}'));
select is((select count(*) from guildhall.run_timers), 0::bigint, 'run_withdraw: a timer');
select test.pass_time('1 s');
select test.withdraw(test.request_command('/a'));
select is((select state || ' ' || (error ->> 'detail') from guildhall.requests order by created_at desc limit 1), 'cancelled its run went on without it',
    'run_withdraw: a request');
select test.pass_time('1 s');
select test.withdraw(test.approval_command('/a'));
select is((select state from guildhall.approvals order by created_at desc limit 1), 'cancelled', 'run_withdraw: an approval');
select test.pass_time('1 s');
select test.withdraw(test.command('openapi', '/a'));
select is((select state from guildhall.run_calls order by created_at desc limit 1), 'cancelled', 'run_withdraw: a call');
select test.pass_time('1 s');
select test.withdraw(test.command('subscribe', '/a', '{"filters": [{}]}'));
select is((select count(*) from guildhall.run_subscriptions), 0::bigint, 'run_withdraw: a subscription');
select is((select coalesce(sum(case when i.input ->> 'event' in ('completed', 'failed') then 1 end), 0) from guildhall.run_inbox i), 0::bigint,
    'run_withdraw: nobody is told what he took back');
select test.pass_time('1 s');
select test.withdraw(test.command('start_child', '/a', '{"namespace": "tests", "name": "child", "version": "latest", "input": {}, "wait": true}'));
select is((select array_agg(test.inbox(id)) from guildhall.runs where depth = 1), array['cancel'], 'run_withdraw: a child is told to end');
select is(guildhall.run_withdraw((test.newest()).id, 999999, guildhall.clock()), 'none', 'run_withdraw: what is over already');
select guildhall.run_cancel(id::text, 'ada', 'x') from guildhall.runs where finished_at is null;

-- continue, notify, emit
select test.pass_time('1 s');
select test.run() as run \gset
select is(r.runs_due, 1, 'run_apply: continue') from test.apply(test.command('continue', '')) r;
select is(test.inbox(:'run'), 'continue', 'run_apply: comes back as an event');
select test.apply(test.command('notify', '/do/0/n', '{"message": "hi", "channel": "ops", "data": {"a": 1}}'));
select is((select (event -> 'data') - 'run_id' - 'key' from guildhall.events where type = 'dev.guildhall.notification.requested.v1'),
    '{"step": "/do/0/n", "message": "hi", "channel": "ops", "data": {"a": 1}}'::jsonb, 'run_apply: a notice is an event');
select test.first(:'run');
select test.apply(test.command('emit', '/do/1/e', '{"event": {"specversion": "1.0", "id": "9", "source": "/x", "type": "a.b", "subject": "s"}}'));
select is((select event from guildhall.events where type = 'a.b' and subject = 's'),
    '{"specversion": "1.0", "id": "9", "source": "/x", "type": "a.b", "subject": "s"}'::jsonb, 'run_apply: what is emitted goes out as it is');
select guildhall.run_cancel(:'run', 'ada', 'x');

-- children
select test.pass_time('1 s');
create function test.child_command(p_wait boolean, p_name text default 'child') returns jsonb language sql as $$
    select test.command('start_child', '/do/0/c', jsonb_build_object('namespace', 'tests', 'name', p_name, 'version', 'latest',
        'input', '{"x": 1}'::jsonb, 'wait', p_wait)) $$;
select test.run('the whole') as run \gset
select is(r.runs_due, 1, 'run_start_child: makes the child due') from test.apply(test.child_command(true)) r;
select id as child from guildhall.runs where parent_run_id = :'run' \gset
select is((select guildhall.run_json(r) - 'id' - 'definition' - 'steps' - 'created_at' - 'digest' from guildhall.runs r where id = :'child'),
    jsonb_build_object('name', 'child', 'title', 'child, for: the whole', 'status', 'pending', 'requester', 'ada', 'parent_run_id', :'run',
        'workflow', '{"namespace": "tests", "name": "child", "version": "1.0.0"}'::jsonb, 'input', '{"x": 1}'::jsonb, 'output', null,
        'error', null, 'journal_position', 1, 'finished_at', null), 'run_start_child: a run of the workflow, of the same requester');
select is((select array_agg(concat_ws(' ', s ->> 'name', s ->> 'kind', s ->> 'status', s ->> 'child_run_id')) from jsonb_array_elements(guildhall.run_steps(:'run')) s),
    array['c workflow running ' || :'child'], 'run_steps: a child');
select test.advance(jsonb_build_array(test.command('complete', '', '{"output": {"y": 2}}')));
select is((select input - 'seq' from guildhall.run_inbox where run_id = :'run'), '{"event": "completed", "step": "/do/0/c", "output": {"y": 2}}'::jsonb,
    'run_finish: a parent that waits is told the output');
select test.apply(test.child_command(true));
select id as child from guildhall.runs where parent_run_id = :'run' and finished_at is null \gset
select test.advance(jsonb_build_array(test.command('fault', '', '{"error": {"type": "https://x/bad", "status": 418, "title": "t", "detail": "d", "instance": "/do/7"}}')));
select is((select input -> 'error' from guildhall.run_inbox where run_id = :'run'), '{"type": "https://x/bad", "status": 418, "title": "t", "detail": "d"}'::jsonb,
    'run_finish: or the error, without where in the child it was');
select test.apply(test.child_command(true));
select guildhall.run_cancel(id::text, 'bob', 'no more') from guildhall.runs where parent_run_id = :'run' and finished_at is null;
select matches((select input #>> '{error,type}' || ' ' || (input #>> '{error,detail}') from guildhall.run_inbox where run_id = :'run'),
    'errors/cancelled the run .* was cancelled by bob: no more', 'run_finish: or that it was cancelled');
select test.apply(test.child_command(false));
select id as child from guildhall.runs where parent_run_id = :'run' and finished_at is null \gset
select test.first(:'child');
select test.advance(jsonb_build_array(test.end_command()));
select is(test.inbox(:'run'), null, 'run_finish: who does not wait is told nothing');
select test.first(:'run');
select test.apply(test.child_command(true, 'none'));
select is((select input #>> '{error,type}' from guildhall.run_inbox where run_id = :'run'), 'https://guildhall.dev/errors/unknown-workflow',
    'run_start_child: there is no such workflow');
select is((select count(*) from guildhall.events where type = 'dev.guildhall.run.refused.v1'), 1::bigint, 'run_start_child: told, too');
alter table guildhall.runs disable trigger user;
update guildhall.runs set depth = 20, parent_run_id = :'child', parent_step = '/x' where id = :'run';
alter table guildhall.runs enable trigger user;
select test.apply(test.child_command(true));
select is((select input #>> '{error,type}' from guildhall.run_inbox where run_id = :'run'), 'https://guildhall.dev/errors/runs-too-deep',
    'run_start_child: no more than 20 deep');

-- cancelling reaches children that are waited for, and they cancel themselves
select guildhall.run_cancel(:'run', 'ada', 'x');
select test.pass_time('1 s');
select test.run() as run \gset
select test.advance(jsonb_build_array(test.child_command(true), test.child_command(false)));
select guildhall.run_cancel(:'run', 'ada', 'enough');
select is((select array_agg(coalesce(test.inbox(id), 'nothing') order by test.inbox(id)) from guildhall.runs where parent_run_id = :'run'),
    array['cancel', 'nothing'], 'run_cancel: a child that is waited for ends too, another goes on');
select id as child from guildhall.runs where parent_run_id = :'run' and parent_seq is not null \gset
select test.first(:'child');
select test.advance(jsonb_build_array(test.end_command('cancelled')));
select is((select status || ' ' || epoch from guildhall.runs where id = :'child'), 'cancelled 2', 'run_apply: cancelled by its engine');
select is((select data from guildhall.journal where run_id = :'child' and kind = 'run_cancelled'),
    jsonb_build_object('by', 'run/' || :'run', 'reason', 'the run that started it does not want it any more'), 'run_apply: and says for whom');
select is((select count(*) from guildhall.run_inbox where run_id = :'run'), 1::bigint, 'run_finish: a parent that has ended is told in vain');
select is(guildhall.run_sweep(100), 1, 'run_sweep: forgets that');
select is(guildhall.run_sweep(100), 0, 'run_sweep: once');

-- rows are taken before anything is done, and the answer names what became due
select lives_ok($$select guildhall.run_rows_take(gen_random_uuid(), '[{"action": "cancel", "target": 1}, {"action": "complete"}]')$$,
    'run_rows_take: nothing there, nothing taken');
select is_empty('select * from test.broken_invariants()', 'run_apply: invariants hold');

select * from finish();
