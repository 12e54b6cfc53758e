select plan(10);

select test.run() as run \gset
select is(test.journal_kinds(:'run'), 'run_started', 'journal_append: a run begins its journal');
select is(guildhall.journal_append(:'run', 'step_started', '/a', '{"request_id": 1}', guildhall.clock()), 2::bigint,
    'journal_append: gives the next position');
select is(guildhall.journal_append(:'run', 'step_completed', '/a', '{"x": 1}', guildhall.clock()), 3::bigint,
    'journal_append: without gaps');
select is((select journal_position from guildhall.runs where id = :'run'), 3::bigint,
    'journal_append: the run knows its length');
select throws_ok(format('select guildhall.journal_append(%L, ''step_failed'', ''/a'', ''{}'', guildhall.clock())', :'run'),
    '23505', null, 'journal_append: a step ends once');
select guildhall.journal_append(:'run', 'step_failed', '/b', '{"code": "x"}', guildhall.clock());

select is(guildhall.journal_entry_json(j), '{"position": 1, "at": "2030-01-01T12:00:00+00:00", "kind": "run_started"}'::jsonb,
    'journal_entry_json: run_started has no payload') from guildhall.journal j where position = 1;
select is(guildhall.journal_entry_json(j) -> 'data', '{"request_id": 1}'::jsonb,
    'journal_entry_json: step_started has data') from guildhall.journal j where position = 2;
select is(guildhall.journal_entry_json(j) - 'at',
    '{"position": 3, "kind": "step_completed", "step": "/a", "result": {"x": 1}}'::jsonb,
    'journal_entry_json: step_completed has a result') from guildhall.journal j where position = 3;
select is(guildhall.journal_entry_json(j) -> 'error', '{"code": "x"}'::jsonb,
    'journal_entry_json: step_failed has an error') from guildhall.journal j where position = 4;
select is_empty('select * from test.broken_invariants()', 'journal_append: invariants hold');

select * from finish();
