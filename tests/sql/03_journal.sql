select plan(7);

select test.run() as run \gset
select is(test.journal_kinds(:'run'), 'run_started', 'run_open: a run begins its journal');
select guildhall.run_tell(:'run', '{"event": "fired", "step": "/a", "seq": 7}', guildhall.clock());
select guildhall.run_tell(:'run', '{"event": "pause"}', guildhall.clock());
select test.advance('[]');
select is(test.journal_kinds(:'run'), 'run_started fired pause', 'run_tell: what happened gets into the journal, in order');

select is(guildhall.journal_entry_json(j), '{"position": 1, "at": "2030-01-01T12:00:00+00:00", "kind": "run_started"}'::jsonb,
    'journal_entry_json: run_started has no payload') from guildhall.journal j where position = 1;
select is(guildhall.journal_entry_json(j) - 'at', '{"position": 2, "kind": "event", "step": "/a",
    "data": {"event": "fired", "step": "/a", "seq": 7}}'::jsonb,
    'journal_entry_json: an event has its step and what the engine was told') from guildhall.journal j where position = 2;
select is(guildhall.journal_entry_json(j) - 'at', '{"position": 3, "kind": "event", "data": {"event": "pause"}}'::jsonb,
    'journal_entry_json: or no step') from guildhall.journal j where position = 3;

-- Entries of runs from before there were documents stay readable.
alter table guildhall.journal disable trigger user;
update guildhall.journal set kind = 'step_failed', step = '/b', data = '{"code": "x"}' where position = 3;
select is(guildhall.journal_entry_json(j) -> 'error', '{"code": "x"}'::jsonb,
    'journal_entry_json: step_failed has an error') from guildhall.journal j where position = 3;
update guildhall.journal set kind = 'step_completed', data = '{"x": 1}' where position = 3;
select is(guildhall.journal_entry_json(j) - 'at',
    '{"position": 3, "kind": "step_completed", "step": "/b", "result": {"x": 1}}'::jsonb,
    'journal_entry_json: step_completed has a result') from guildhall.journal j where position = 3;

select * from finish();
