-- What happens to runs, and what people want of them.
select plan(42);

select is(guildhall.run_problem('{"code": "not_configured", "detail": "set x"}', 'failed'), '{"type": "https://guildhall.dev/errors/not-configured",
    "status": 500, "title": "Not configured", "detail": "set x"}'::jsonb, 'run_problem: a failure of an agent');
select is(guildhall.run_problem('{"code": "timed_out", "detail": "late"}', 'timed_out') ->> 'type',
    'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', 'run_problem: time was up');
select is(guildhall.run_problem('{"code": "invalid_input", "detail": "x"}', 'rejected') - 'title',
    '{"type": "https://guildhall.dev/errors/invalid-input", "status": 400, "detail": "x"}'::jsonb, 'run_problem: the agent would not begin');
select is(guildhall.run_problem('{"code": "approval_rejected", "detail": "x"}', 'rejected') ->> 'status', '403', 'run_problem: a person said no');
select is((guildhall.run_problem(null, 'failed') ->> 'type'), 'https://guildhall.dev/errors/failed', 'run_problem: even of nothing');

-- order
select test.run() as run \gset
select is(guildhall.run_inbox_end(:'run'), 9223372036854775807, 'run_inbox_end: all of a short one');
select guildhall.run_tell(:'run', jsonb_build_object('event', 'fired', 'step', '/s', 'seq', n), guildhall.clock()) from generate_series(1, 1500) n;
select is((select count(*) from guildhall.run_inbox where id <= guildhall.run_inbox_end(:'run')), 1000::bigint, 'run_inbox_end: the first thousand of a long one');
select is((select count(*) || ' ' || min((e ->> 'seq')::int) || ' ' || max((e ->> 'seq')::int) from guildhall.run_claim('w', 30, '[]') c, jsonb_array_elements(c.events) e),
    '1000 1 1000', 'run_claim: a thousand at a time, the first first');
select test.pass_time('30 s');
select test.advance('[]');
select is(test.journal_kinds(:'run'), 'run_started' || repeat(' fired', 1500), 'run_claim: then the rest');
select is((select count(*) from guildhall.journal where run_id = :'run' and position - 1 <> coalesce((data ->> 'seq')::bigint, 0)), 0::bigint,
    'run_claim: in the order in which they came');
-- A timer whose time came before an answer goes before it, and after one that came before.
select test.first(:'run');
select test.advance(jsonb_build_array(test.command('timer', '/t', jsonb_build_object('at', guildhall.clock() + interval '5 s'))));
select guildhall.run_tell(:'run', '{"event": "completed", "step": "/a", "seq": 1, "output": 1}', guildhall.clock());
select test.pass_time('6 s');
select guildhall.run_tell(:'run', '{"event": "completed", "step": "/b", "seq": 2, "output": 1}', guildhall.clock());
select is((select jsonb_agg(e -> 'step') from guildhall.run_claim('w', 30, '[]') c, jsonb_array_elements(c.events) e), '["/a", "/t", "/b"]'::jsonb,
    'run_claim: timers stand where their time came');
select guildhall.run_cancel(:'run', 'ada', 'x');

-- whoever has waited longest
select test.pass_time('1 s');
select (r.run ->> 'id') as early from guildhall.run_start(test.new_run(), 'ada', null, null, null, null, null) r \gset
select test.pass_time('1 s');
select (r.run ->> 'id') as told from guildhall.run_start(test.new_run(), 'ada', null, null, null, null, null) r \gset
update guildhall.runs set next_wake_at = guildhall.clock() + interval '1 day' where id = :'told';
select guildhall.run_tell(:'told', '{"event": "pause"}', guildhall.clock());
select is(guildhall.run_due(guildhall.clock()), :'early'::uuid, 'run_due: a run that has waited longer than an answer');
update guildhall.runs set next_wake_at = guildhall.clock() + interval '1 s' where id = :'early';
select test.pass_time('2 s');
select is(guildhall.run_due(guildhall.clock()), :'told'::uuid, 'run_due: an answer that has waited longer than a run');
select is((select run_id from guildhall.run_claim('w', 30, '[]')), :'told'::uuid, 'run_claim: so that is claimed');
select guildhall.run_tell(:'told', '{"event": "resume"}', guildhall.clock());
select is(guildhall.run_due(guildhall.clock()), :'early'::uuid, 'run_due: what a worker has is not due, whatever it is told');
select guildhall.run_cancel(id::text, 'ada', 'x') from guildhall.runs where finished_at is null;

-- pause, resume
select test.run() as run \gset
select is(guildhall.run_pause(:'run', 'bob'), 'accepted', 'run_pause: of an open run');
select is(guildhall.run_resume(:'run', 'bob'), 'accepted', 'run_resume: of an open run');
select is(test.inbox(:'run'), 'pause resume', 'run_note: the run is told');
select is((select string_agg(actor || ' ' || verb, ', ' order by id) from guildhall.audit where verb in ('run_pause', 'run_resume')), 'bob run_pause, bob run_resume',
    'run_note: audited');
select is(guildhall.run_pause(gen_random_uuid()::text, 'bob'), 'not_found', 'run_pause: no such run');
select throws_ok(format('select guildhall.run_pause(%L, '''')', :'run'), 'GH001', null, 'run_note: somebody wants it');
select test.advance('[]', '{"status": "suspended"}');
select is(r ->> 'status', 'suspended', 'run_json: a suspended run') from guildhall.run_get(:'run') r;
select is((select count(*) from guildhall.run_list('suspended', null, 10)), 1::bigint, 'run_list: suspended runs');
select is((select count(*) from guildhall.run_list('waiting', null, 10)), 0::bigint, 'run_list: which wait for somebody, not for something');
select is((select value from guildhall.metrics() where name = 'guildhall_runs' and labels ->> 'status' = 'suspended'), 1::float8, 'metrics: suspended runs');
select test.first(:'run');
select test.advance(jsonb_build_array(test.end_command()), '{"status": "completed"}');
select is(guildhall.run_resume(:'run', 'bob'), 'ended', 'run_resume: not after the end');

-- events from outside
create function test.event(p_type text, p_id text default '1', p_source text default 'https://x.example.com/s') returns jsonb
language sql as $$ select jsonb_build_object('specversion', '1.0', 'id', p_id, 'source', p_source, 'type', p_type) $$;
select is(guildhall.event_flaw(test.event('a.b')), null, 'event_flaw: fine');
select is(guildhall.event_flaw(test.event('a.b') - 'id'), 'id must be a string, not absent', 'event_flaw: without an id');
select is(guildhall.event_flaw(test.event('a.b') || '{"specversion": "0.3"}'), 'specversion must be "1.0"', 'event_flaw: of another version');
select is(guildhall.event_flaw(test.event('a.b', '1', '/guildhall')), 'source /guildhall is the hall''s own; nobody else speaks for it', 'event_flaw: in the hall''s name');
select is(guildhall.event_flaw(test.event('a.b', '1', '/v1/runs/x')) is null, false, 'event_flaw: in a run''s name');
select is(guildhall.event_flaw('[]') is null, false, 'event_flaw: no object');

select test.run('one') as one \gset
select test.advance(jsonb_build_array(test.command('subscribe', '/do/0/l', '{"filters": [{"type": "a.b"}, {"type": "a.b", "source": "https://x.example.com/s"}]}')));
select test.run('two') as two \gset
select test.advance(jsonb_build_array(test.command('subscribe', '/do/0/l', '{"filters": [{}]}')));
select test.run('three') as three \gset
select test.advance(jsonb_build_array(test.command('subscribe', '/do/0/l', '{"filters": [{"type": "a.b", "subject": "other"}, {"type": "a.c"}]}')));
select is(to_jsonb(r), '{"outcome": "accepted", "delivered": 2, "detail": null}'::jsonb, 'event_publish: to whoever listens for it')
from guildhall.event_publish(test.event('a.b'), 'bob') r;
select is((select array_agg(coalesce(test.inbox(id::uuid), '') order by n) from unnest(array[:'one', :'two', :'three']) with ordinality x (id, n)), array['delivered', 'delivered', ''],
    'event_deliver: once per run, however many filters fit');
select is((select input from guildhall.run_inbox where run_id = :'one'), jsonb_build_object('event', 'delivered', 'cloud_event', test.event('a.b')),
    'event_deliver: as it came');
select is(to_jsonb(r), '{"outcome": "duplicate", "delivered": 0, "detail": null}'::jsonb, 'event_publish: once per source and id')
from guildhall.event_publish(test.event('a.b'), 'bob') r;
select is(r.delivered, 1, 'event_publish: nobody but those who listen for everything') from guildhall.event_publish(test.event('a.x', '2'), 'bob') r;
select is(r.outcome, 'invalid', 'event_publish: no event') from guildhall.event_publish('{}', 'bob') r;
select is((select accepted_by from guildhall.events_accepted where event_id = '1'), 'bob', 'event_publish: says by whom');

-- signals
select is(to_jsonb(r), '{"outcome": "accepted", "detail": null}'::jsonb, 'run_signal: to one run, whatever it listens for')
from guildhall.run_signal(:'three', test.event('z'), 'bob') r;
select is(test.inbox(:'three'), 'delivered', 'run_signal: as an event');
select is((select r.outcome from guildhall.run_signal(:'three', '{}', 'bob') r) || ' ' || (select r.outcome from guildhall.run_signal(:'run', test.event('z'), 'bob') r) || ' '
    || (select r.outcome from guildhall.run_signal(gen_random_uuid()::text, test.event('z'), 'bob') r), 'invalid ended not_found', 'run_signal: or not');

select * from finish();
