-- Calls over HTTP that runs make.
select plan(26);

select test.run() as run \gset
select is((select string_agg(a.calls_queued::text, '') from guildhall.run_claim('w', 30, '[]') c, guildhall.run_advance(c.run_id::text, c.epoch,
    c.journal_position, '{}', jsonb_build_array(test.command('http', '/do/0/a', '{"method": "GET", "fences": [{"lock": "l", "token": 3}], "attempt": 2}'),
        test.command('mcp', '/do/1/b')), '[]') a), '2', 'run_advance: says how many calls wait');
select is_empty($$select guildhall.run_call_claim('w', 10, 10) where false$$, 'run_call_claim: (nothing was claimed yet)');
select throws_ok($$select guildhall.run_call_claim('w', 0, 10)$$, 'GH001', null, 'run_call_claim: a limit is at least 1');
select throws_ok($$select guildhall.run_call_claim('w', 1, 0)$$, 'GH001', null, 'run_call_claim: a lease has some time');
select seq from guildhall.run_calls where step = '/do/0/a' \gset
select seq as other from guildhall.run_calls where step = '/do/1/b' \gset
select is(to_jsonb(c), jsonb_build_object('run_id', :'run', 'seq', :seq, 'epoch', 1, 'step', '/do/0/a', 'key', 'RUN/do/0/a', 'attempt', 2,
    'action', '{"action": "http", "method": "GET"}'::jsonb, 'fences', '[{"lock": "l", "token": 3}]'::jsonb, 'created_at', '2030-01-01T12:00:00+00:00'),
    'run_call_claim: with all that it takes') from guildhall.run_call_claim('w', 1, 10) c;
select is((select array_agg(c.seq) from guildhall.run_call_claim('w', 10, 10) c), array[:other::bigint], 'run_call_claim: each once');
select is((select array_agg(concat_ws(' ', s ->> 'name', s ->> 'kind', s ->> 'status')) from jsonb_array_elements(guildhall.run_steps(:'run')) s),
    array['a http running', 'b mcp running'], 'run_steps: calls under way');

-- lease
select test.pass_time('9 s');
select is(guildhall.run_call_renew(:'run', :seq, 1, 10), 'renewed', 'run_call_renew: in time');
select is(guildhall.run_call_renew(:'run', :seq, 2, 10), 'stale', 'run_call_renew: another epoch');
select is(guildhall.run_call_renew(:'run', 99, 1, 10), 'stale', 'run_call_renew: no such call');
select throws_ok(format('select guildhall.run_call_renew(%L, %s, 1, 0)', :'run', :seq), 'GH001', null, 'run_call_renew: for some time');
select test.pass_time('1 s');
select is(guildhall.run_call_renew(:'run', :other, 1, 10), 'stale', 'run_call_renew: too late');
select is((select array_agg(c.seq || ' ' || c.epoch) from guildhall.run_call_claim('w2', 10, 10) c), array[:other || ' 2'],
    'run_call_claim: a lease that ran out is taken over, one that was renewed is not');
select test.pass_time('9 s');
select is((select array_agg(c.seq || ' ' || c.epoch) from guildhall.run_call_claim('w2', 10, 10) c), array[:seq || ' 2'],
    'run_call_claim: nor longer than it was renewed for');

-- finish
select is(guildhall.run_call_finish(:'run', :seq, 1, '{"statusCode": 200}', null), 'stale', 'run_call_finish: the earlier worker is fenced off');
select throws_ok(format('select guildhall.run_call_finish(%L, %s, 2, null, null)', :'run', :seq), 'GH001', null, 'run_call_finish: with something');
select throws_ok(format('select guildhall.run_call_finish(%L, %s, 2, null, ''{"status": 1}'')', :'run', :seq), 'GH001', null, 'run_call_finish: an error has a type');
select is(guildhall.run_call_finish(:'run', :seq, 2, '{"statusCode": 200}', null), 'finished', 'run_call_finish: by whoever has it');
select is(guildhall.run_call_finish(:'run', :seq, 2, '{"statusCode": 200}', null), 'finished', 'run_call_finish: the same report again');
select is(guildhall.run_call_finish(:'run', :seq, 2, null, '{"type": "x", "status": 1}'), 'stale', 'run_call_finish: but not another');
select is((select jsonb_agg(input) from guildhall.run_inbox), jsonb_build_array(jsonb_build_object('event', 'completed', 'step', '/do/0/a', 'seq', :seq,
    'output', '{"statusCode": 200}'::jsonb)), 'run_call_end: the run is told once');

-- workers that are lost
select test.pass_time('10 s');
do $$ begin for n in 3 .. 5 loop perform guildhall.run_call_claim('w', 10, 10); perform test.pass_time('10 s'); end loop; end $$;
select is(guildhall.run_call_sweep(10), 1, 'run_call_sweep: after five workers it is enough');
select is((select input #>> '{error,type}' from guildhall.run_inbox where input ->> 'event' = 'failed'),
    'https://serverlessworkflow.io/spec/1.0.0/errors/communication', 'run_call_sweep: and the run is told');
select is(guildhall.run_call_sweep(10), 0, 'run_call_sweep: once');
select is((select array_agg(concat_ws(' ', s ->> 'name', s ->> 'status', s ->> 'attempts', s #>> '{error,status}', s #>> '{result,statusCode}'))
    from jsonb_array_elements(guildhall.run_steps(:'run')) s), array['a completed 2 200', 'b faulted 5 500'], 'run_steps: calls that are over');
select is_empty('select * from test.broken_invariants()', 'run_call_end: invariants hold');

select * from finish();
