-- What agents say of their own work, and what was recorded of checks.
select plan(19);

select is_empty($$select guildhall.agent_queue('nobody')$$, 'agent_queue: nothing of an agent that is not known');
select throws_ok($$select guildhall.agent_queue('')$$, 'GH001', null, 'agent_queue: an agent has a name');
select test.agent('cicd', 'run_checks', 'get_status');
select test.agent('other', 'get_status');
select is(guildhall.agent_queue('cicd') - 'max_concurrency' - 'max_queue', '{"agent": "cicd", "status": "active", "queued": 0,
    "leased": 0, "oldest_open_age_s": 0, "ended_last_hour": {}, "last_errors": []}', 'agent_queue: idle');

create function test.ask(p_skill text, p_agent text default null) returns uuid language sql as $$
    select (s.request ->> 'id')::uuid from guildhall.request_submit(jsonb_build_object(
        'skill', p_skill, 'agent', p_agent, 'input', '{}'::jsonb), 'ada', null, null, '{}') s;
$$;
create function test.check_result(p_revision text, p_checks jsonb, p_agent text default 'cicd') returns void language plpgsql as $$
declare
    v_id uuid := test.ask('run_checks', p_agent);
    v_epoch bigint;
begin
    select (c.request ->> 'epoch')::bigint into v_epoch from guildhall.request_claim('w', 100, 30) c
    where c.request ->> 'request_id' = v_id::text;
    perform guildhall.request_complete(v_id::text, v_epoch,
        jsonb_build_object('revision', p_revision, 'checks', p_checks));
end;
$$;
select test.ask('run_checks'), test.ask('get_status', 'other'), test.ask('get_status');
select is(guildhall.agent_queue('cicd') ->> 'queued', '2', 'agent_queue: what it could be given, and not what another was asked');
select is(guildhall.agent_queue('other') ->> 'queued', '2', 'agent_queue: what anybody with the skill may be given counts for each');
select test.pass_time('7 s');
select is(guildhall.agent_queue('cicd') ->> 'oldest_open_age_s', '7.000', 'agent_queue: how long the oldest is open');
select count(*) from guildhall.request_claim('w', 100, 30);
select is((guildhall.agent_queue('cicd') ->> 'leased')::int + (guildhall.agent_queue('other') ->> 'leased')::int, 3,
    'agent_queue: at work, each at one agent');
select guildhall.request_fail(r.id::text, r.epoch, '{"code": "tool_failed", "detail": "no", "retryable": false}')
from guildhall.requests r where r.skill = 'run_checks';
select is(guildhall.agent_queue('cicd') #> '{ended_last_hour,failed}', '1', 'agent_queue: what ended, by state');
select is((guildhall.agent_queue('cicd') #> '{last_errors,0}') - 'request_id' - 'finished_at',
    '{"skill": "run_checks", "code": "tool_failed", "detail": "no"}', 'agent_queue: with its error');
select is(guildhall.agent_queue('other') -> 'last_errors', '[]', 'agent_queue: and no other''s');
select test.pass_time('61 min');
select is(guildhall.agent_queue('cicd') -> 'ended_last_hour', '{}', 'agent_queue: an hour later that is past');

select test.agent('cicd', 'run_checks', 'get_status');
select is_empty($$select guildhall.check_results(repeat('a', 40))$$, 'check_results: nothing is recorded');
select throws_ok($$select guildhall.check_results(repeat('a', 65))$$, 'GH001', null, 'check_results: a commit id is no longer');
select test.check_result(repeat('a', 40), jsonb_build_array(
    jsonb_build_object('check', 'test', 'revision', repeat('a', 40), 'status', 'failed', 'exit_code', 1),
    jsonb_build_object('check', 'lint', 'revision', repeat('a', 40), 'status', 'passed', 'exit_code', 0)));
select test.pass_time('1 s');
select test.check_result(repeat('a', 40), jsonb_build_array(
    jsonb_build_object('check', 'test', 'revision', repeat('a', 40), 'status', 'passed', 'exit_code', 0)));
select test.check_result(repeat('b', 40), jsonb_build_array(
    jsonb_build_object('check', 'test', 'revision', repeat('b', 40), 'status', 'failed', 'exit_code', 2)));
select results_eq($$select (r ->> 'check') || ' ' || (r ->> 'status') || ' ' || (r ->> 'exit_code')
    from guildhall.check_results(repeat('a', 40)) r$$, array['lint passed 0', 'test passed 0'],
    'check_results: the newest of each check, on this commit only');
select test.check_result(repeat('c', 40), '"odd"'), test.check_result(repeat('d', 5000), '[]'),
    test.check_result(repeat('e', 40), '[{"check": 1}, 2, {"check": "x", "status": "passed", "revision": "f"}]');
select is_empty($$select guildhall.check_results(repeat('c', 40))$$, 'check_results: what is no list holds none');
select is((select count(*) from guildhall.requests where length(result ->> 'revision') = 5000), 1::bigint,
    'check_results: its index takes results of any length');
select is_empty($$select guildhall.check_results(repeat('e', 40))$$, 'check_results: what is no outcome of this commit is none');
select test.agent('rival', 'run_checks');
select test.check_result(repeat('9', 40), jsonb_build_array(
    jsonb_build_object('check', 'test', 'revision', repeat('9', 40), 'status', 'passed', 'exit_code', 0)), 'rival');
select is_empty($$select guildhall.check_results(repeat('9', 40))$$, 'check_results: another agent''s word does not count');
select ok(exists (select from pg_indexes where indexname = 'requests_check_results'), 'check_results: there is an index for it');
select * from finish();
