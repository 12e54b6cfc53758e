select plan(27);

select is(to_jsonb(r), '{"leader": true, "runs_due": false, "requests_due": false, "outbox_due": false,
    "probes_due": false, "callbacks_due": false, "calls_due": false}'::jsonb,
    'ticker_tick: the first leads, nothing is due') from guildhall.ticker_tick('w1', 5) r;
select ok(not r.leader, 'ticker_tick: the second does not') from guildhall.ticker_tick('w2', 5) r;
select test.pass_time('4 s');
select ok(r.leader, 'ticker_tick: the leader keeps it') from guildhall.ticker_tick('w1', 5) r;
select test.pass_time('4 s');
select ok(not r.leader, 'ticker_tick: for as long as it ticks') from guildhall.ticker_tick('w2', 5) r;
select test.pass_time('1 s');
select ok(r.leader, 'ticker_tick: and no longer') from guildhall.ticker_tick('w2', 5) r;
select is((select epoch from guildhall.ticker), 2::bigint, 'ticker_tick: each reign has an epoch');
select ok(not r.leader, 'ticker_tick: the first has lost it') from guildhall.ticker_tick('w1', 5) r;
select throws_ok($$select guildhall.ticker_tick('w', 0)$$, 'GH001', null, 'ticker_tick: a lease has some time');

-- what is due
select test.run();
select ok(r.runs_due and r.outbox_due and not r.requests_due, 'ticker_tick: a run and its event are due') from guildhall.ticker_tick('w2', 5) r;
select test.advance(jsonb_build_array(test.request_command('/do/0/x')));
select ok(not r.runs_due and not r.requests_due, 'ticker_tick: a request for which there is no agent is not due')
from guildhall.ticker_tick('w2', 5) r;
select test.agent('code-review', 'review_change');
select ok(r.requests_due, 'ticker_tick: with one it is') from guildhall.ticker_tick('w2', 5) r;
select test.claim_requests();
select ok(not r.requests_due, 'ticker_tick: not while it is leased') from guildhall.ticker_tick('w2', 5) r;
select test.pass_time('30 s');
select ok(r.requests_due, 'ticker_tick: but when the lease ran out') from guildhall.ticker_tick('w2', 5) r;
begin;
select test.pass_time('1 day');
select ok(r.runs_due, 'ticker_tick: a waiting run is due after a day in any case') from guildhall.ticker_tick('w2', 5) r;
rollback;
begin;
select guildhall.run_tell(id, '{"event": "pause"}', guildhall.clock()) from guildhall.runs;
select ok(r.runs_due and not r.calls_due, 'ticker_tick: and as soon as it is told something') from guildhall.ticker_tick('w2', 5) r;
select test.advance(jsonb_build_array(test.command('http', '/do/1/get')));
select ok(r.calls_due, 'ticker_tick: a call that nobody makes is due') from guildhall.ticker_tick('w2', 5) r;
select guildhall.run_call_claim('w', 10, 10);
select ok(not r.calls_due, 'ticker_tick: not while it is leased') from guildhall.ticker_tick('w2', 5) r;
rollback;
select test.pass_time('30 s');
select guildhall.outbox_claim('relay', 100, 60);
select ok(not r.outbox_due, 'ticker_tick: what is being published is not due') from guildhall.ticker_tick('w2', 5) r;

-- what it sweeps
select guildhall.lock_acquire('l', 'h', null, 10, 'x');
select test.asked();
select test.pass_time('1 h');
select ok(r.leader and r.runs_due, 'ticker_tick: sweeps as leader') from guildhall.ticker_tick('w2', 5) r;
select is((select state from guildhall.approvals), 'expired', 'ticker_tick: lapsed approvals');
select is((select state from guildhall.requests), 'timed_out', 'ticker_tick: late requests');
select is((select holder from guildhall.lock_grants), null, 'ticker_tick: expired locks');
select is((select swept_at from guildhall.ticker), guildhall.clock(), 'ticker_tick: says when');

-- pruning
select guildhall.ticker_prune(guildhall.clock() + interval '7 days');
select ok((select count(*) from guildhall.events) > 0, 'ticker_prune: keeps a week');
select ok(guildhall.ticker_prune(guildhall.clock() + interval '9 days') > 0, 'ticker_prune: drops what is older');
select is((select count(*) from guildhall.events), 0::bigint, 'ticker_prune: all of it');
select is_empty('select * from test.broken_invariants()', 'ticker_tick: invariants hold');

select * from finish();
