-- Waiting: order, hand-over, several at once, deadlocks.
create function test.lock_wait(p_resource text, p_holder text, p_mode text default 'exclusive', p_priority text default 'normal',
    p_run_id text default null) returns text
language sql as $$
    select r.outcome || coalesce(' ' || r.ticket, '') from guildhall.lock_acquire(p_resource, p_holder, p_run_id, 60, 'x', p_mode,
        20, p_priority) r;
$$;
create function test.lock_bells(p_bells jsonb) returns text
language sql as $$ select coalesce(string_agg(b.value #>> '{}', ' '), 'none') from jsonb_array_elements(p_bells) b $$;
create function test.holders(p_resource text) returns text
language sql as $$
    select coalesce(string_agg(g.holder, ' ' order by g.fencing_token), 'none') from guildhall.lock_grants g where g.resource = p_resource
$$;

select plan(62);

-- order: priority, then arrival; shared waiters next to each other together
select is(test.lock_wait('a', 'h1'), 'acquired', 'lock_acquire: does not wait for what is free');
select is(test.lock_wait('a', 'h2'), 'waiting 1', 'lock_wait: gives a ticket');
select is(test.lock_wait('a', 'h3', 'shared'), 'waiting 2', 'lock_wait: another');
select is(test.lock_wait('a', 'h4', 'shared', 'high'), 'waiting 3', 'lock_wait: of higher priority');
select is(test.lock_wait('a', 'h5', 'shared', 'high'), 'waiting 4', 'lock_wait: of the same');
select is((select string_agg(b.by_holder, ' ') from guildhall.lock_blockers('a', 'exclusive', 'h9', null, 2::smallint, null, null) b), 'h1 h4 h5',
    'lock_blockers: the holder, and those who wait in front');
select is((select string_agg(b.by_holder, ' ') from guildhall.lock_blockers('a', 'exclusive', 'h9', null, 2::smallint, null, 2) b), 'h1 h4',
    'lock_blockers: no more than are asked for');
select is((select string_agg((b ->> 'holder') || (b ->> 'waiting'), ' ')
    from jsonb_array_elements(guildhall.lock_in_the_way(array['a'], array['exclusive'], 'h9', null, 2::smallint)) b),
    'h1false h4true h5true', 'lock_in_the_way: the same, to be shown');
select is(guildhall.lock_in_the_way(array['b'], array['exclusive'], 'h9', null, 0::smallint), null, 'lock_in_the_way: nobody');
select is(r.outcome, 'held', 'lock_acquire: who does not wait does not pass') from guildhall.lock_acquire('a/b', 'h6', null, 9, 'x', 'shared') r;
select is((select string_agg(w ->> 'holder', ' ') from guildhall.lock_get('a') r, jsonb_array_elements(r -> 'waiters') w), 'h4 h5 h2 h3',
    'lock_get: those who wait, in order');
select is((select array_agg(r ->> 'resource') from guildhall.lock_list(null, 10, 'waited_for') r), array['a'], 'lock_list: what is waited for');
select is(r.outcome || ' ' || test.lock_bells(r.bells), 'released 3 4', 'lock_settle: hands over to all that can go, and rings them')
from guildhall.lock_release('a', 'h1', 1) r;
select is(test.holders('a'), 'h4 h5', 'lock_settle: they hold it');
select is(r.outcome, 'waiting', 'lock_wait_status: the others wait') from guildhall.lock_wait_status(1, 'h2') r;
select is(r.outcome, 'timed_out', 'lock_wait_status: takes nothing of another holder') from guildhall.lock_wait_status(3, 'h2') r;
select is(r.outcome, 'timed_out', 'lock_wait_cancel: nor does that') from guildhall.lock_wait_cancel(3, 'h2') r;
select is(r.outcome || (r.locks #>> '{0,expires_at}') || (r.locks #>> '{0,fencing_token}'), 'acquired2030-01-01T12:01:00+00:002',
    'lock_collect: a waiter that takes notice has it for its whole time') from guildhall.lock_wait_status(3, 'h4') r;
select is(r.outcome, 'timed_out', 'lock_wait_status: once') from guildhall.lock_wait_status(3, 'h4') r;
select guildhall.lock_release('a', 'h4', 2);
select is((select expires_at from guildhall.lock_grants where holder = 'h5'), '2030-01-01 12:00:05+00'::timestamptz,
    'lock_settle: for five seconds, who does not take notice');
select test.pass_time('3 s');
select is(r.outcome, 'waiting', 'lock_wait_status: says that somebody is there') from guildhall.lock_wait_status(1, 'h2') r;
select test.pass_time('2 s');
select is(guildhall.lock_sweep(10), 2, 'lock_sweep: ends what was never collected, and a wait that nobody looks after');
select is((select string_agg(ended_how || holder, ' ' order by id) from guildhall.lock_history where ended_how not in ('released')),
    'abandonedh5 timed_outh3', 'lock_is_uncollected: in the history, too');
select is(test.holders('a'), 'h2', 'lock_sweep: hands over');
select is(r.outcome, 'acquired', 'lock_wait_cancel: who was granted it meanwhile has it') from guildhall.lock_wait_cancel(1, 'h2') r;
select is(test.lock_wait('a', 'h7'), 'waiting 5', 'lock_wait: a last one');
select is(r.outcome, 'timed_out', 'lock_wait_cancel: leaves the queue') from guildhall.lock_wait_cancel(5, 'h7') r;
select is((select count(*) from guildhall.lock_waiters), 0::bigint, 'lock_wait_act: and nothing behind');
select is((select count(*) from guildhall.lock_history where holder = 'h7' and ended_how = 'timed_out'), 1::bigint,
    'lock_give_up: but in the history');

-- nobody barges, but who holds something is not put behind who waits for it
select is(test.lock_wait('n/1', 'h1'), 'acquired', 'lock_acquire: below');
select is(test.lock_wait('n', 'h2'), 'waiting 6', 'lock_wait: above');
select is(test.lock_wait('n/2', 'h3'), 'waiting 7', 'lock_blockers: behind him who waits above');
select is(test.lock_wait('n/2', 'h1'), 'acquired', 'lock_blockers: whom he waits for passes');
select guildhall.lock_wait_cancel(6, 'h2');
select is(test.holders('n/2'), 'h1', 'lock_wait_cancel: what is held still is');
select is(test.lock_bells(r.bells), '7', 'lock_settle: below') from guildhall.lock_release('n/2', 'h1', 1) r;

-- several at once
select is(r.outcome || (select string_agg(l ->> 'resource', ' ') from jsonb_array_elements(r.locks) l), 'acquireda:m a:z',
    'lock_acquire_all: in order of names')
from guildhall.lock_acquire_all('[{"resource": "a:z"}, {"resource": "a:m", "mode": "shared"}]', 'h1', null, 60, 'x', 0, 'normal', false) r;
select is(r.outcome, 'held', 'lock_acquire_all: all or nothing')
from guildhall.lock_acquire_all('[{"resource": "a:b"}, {"resource": "a:m"}]', 'h2', null, 60, 'x', 0, 'normal', false) r;
select is(test.holders('a:b'), 'none', 'lock_acquire_all: nothing');
select is(r.outcome || r.ticket, 'waiting8', 'lock_acquire_all: waits for all of them')
from guildhall.lock_acquire_all('[{"resource": "a:b"}, {"resource": "a:m"}, {"resource": "a:z"}]', 'h2', null, 60, 'x', 20, 'normal', false) r;
select is(test.lock_wait('a:b', 'h3'), 'waiting 9', 'lock_acquire_all: and is not overtaken where it could go');
select is(r.outcome || jsonb_array_length(r.locks), 'renewed2', 'lock_renew_all: renews')
from guildhall.lock_renew_all('[{"resource": "a:z", "fencing_token": 1}, {"resource": "a:m", "fencing_token": 1}]', 'h1', 70) r;
select is(r.outcome || (r.locks #>> '{0,resource}'), 'stalea:m', 'lock_stale_of_tokens: or says which it cannot')
from guildhall.lock_renew_all('[{"resource": "a:z", "fencing_token": 1}, {"resource": "a:m", "fencing_token": 7}]', 'h1', 80) r;
select is((select count(*) from guildhall.lock_of_tokens('[{"resource": "a:z", "fencing_token": 1}]', 'h1', guildhall.clock())), 1::bigint,
    'lock_of_tokens: what is held');
select lives_ok($$select guildhall.lock_renew_take('[{"resource": "a:z", "fencing_token": 1}]')$$, 'lock_renew_take: locks rows');
select lives_ok($$select guildhall.lock_roots_take(array['b', 'a', 'b'])$$, 'lock_roots_take: each once');
select throws_ok($$select guildhall.lock_ensure_tokens('[{"resource": "a"}]')$$, 'GH001', null, 'lock_ensure_tokens: with tokens');
select throws_ok($$select guildhall.lock_acquire_all('[{"resource": "a"}, {"resource": "a"}]', 'h', null, 9, 'x', 0, 'low', false)$$,
    'GH001', null, 'lock_acquire_all: each once');
select is(r.outcome || test.lock_bells(r.bells), 'released8', 'lock_release_all: hands several over at once')
from guildhall.lock_release_all('[{"resource": "a:z", "fencing_token": 1}, {"resource": "a:m", "fencing_token": 1}]', 'h1') r;
select is(test.holders('a:b') || test.holders('a:m') || test.holders('a:z'), 'h2h2h2', 'lock_settle: all of them');
select is(r.outcome || jsonb_array_length(r.locks), 'acquired3', 'lock_collect: all of them') from guildhall.lock_wait_status(8, 'h2') r;

-- deadlocks
select is(test.lock_wait('p', 'd1') || test.lock_wait('q', 'd2'), 'acquiredacquired', 'lock_acquire: one each');
select is(test.lock_wait('q', 'd1', 'exclusive', 'low'), 'waiting 10', 'lock_cycle: there is none yet');
select is(r.outcome || ' ' || test.lock_bells(r.bells), 'waiting 10', 'lock_wait: the victim is of lower priority, and rung')
from guildhall.lock_acquire('p', 'd2', null, 60, 'x', 'exclusive', 20, 'normal') r;
select is(r.outcome || jsonb_array_length(r.cycle), 'deadlock2', 'lock_wait_status: it learns the cycle') from guildhall.lock_wait_status(10, 'd1') r;
select is(r.outcome || (select string_agg(c ->> 'waits_for', ' ') from jsonb_array_elements(r.cycle) c), 'deadlockq p',
    'lock_cycle: of equal ones the youngest gives way, the newcomer')
from guildhall.lock_acquire('q', 'd1', null, 60, 'x', 'exclusive', 20) r;
select is(jsonb_array_length(g -> 'edges') || ' ' || jsonb_array_length(g -> 'deadlocks'), '2 2', 'lock_graph: who waits, and what was resolved')
from guildhall.lock_graph() g;
select is((select count(*) from guildhall.events where event ->> 'type' = 'dev.guildhall.lock.deadlock.v1'), 2::bigint, 'lock_give_up: deadlocks are told of');

-- looking
select is((select r ->> 'wait_ms' from guildhall.lock_history_list('a', null, 10) r where r ->> 'holder' = 'h3'), '5000', 'lock_history_list: with times');
select is((guildhall.lock_statistics(1) ->> 'deadlocks') || (guildhall.lock_statistics(1) ->> 'timed_out'), '23', 'lock_statistics: counts');
select is((select r ->> 'resource' from guildhall.lock_contention(1) r), 'a', 'lock_contention: what was waited for most');
select is_empty('select * from test.broken_invariants()', 'lock_settle: invariants hold');
select is_empty('select * from guildhall.lock_wants w where not exists (select from guildhall.lock_waiters x where x.ticket = w.ticket)',
    'lock_wait: no want without its waiter');
select * from finish();
