-- Locks that runs take for their tasks.
select plan(33);

create function test.acquire(p_step text, variadic p_locks text[]) returns jsonb language sql as $$
    select test.command('acquire', p_step, jsonb_build_object('locks', to_jsonb(p_locks))) $$;
-- Gives a run commands, wherever others stand.
create function test.give(p_run text, variadic p_commands jsonb[]) returns integer language plpgsql as $$
declare
    v_claim record;
    v_due integer;
begin
    update guildhall.runs set next_wake_at = '1990-01-01' where id = p_run::uuid;
    select * into strict v_claim from guildhall.run_claim('worker', 30, '[]');
    if v_claim.run_id <> p_run::uuid then raise 'another run was due'; end if;
    select a.runs_due into v_due from guildhall.run_advance(p_run, v_claim.epoch, v_claim.journal_position, '{}', to_jsonb(p_commands), '[]') a;
    return v_due;
end;
$$;
create function test.told(p_run text) returns jsonb language sql as $$
    select jsonb_agg(i.input - 'seq' order by i.id) from guildhall.run_inbox i where i.run_id = p_run::uuid $$;

select test.run('one') as one \gset
select test.run('two') as two \gset
select test.acquire('/do/0/a', 'job:a', 'job:b') as first \gset

-- granted at once
select is(test.give(:'one', :'first'), 1, 'run_acquire: a grant makes the run due');
select is(test.told(:'one'), '[{"event": "granted", "step": "/do/0/a", "fences": [{"lock": "job:a", "token": 1}, {"lock": "job:b", "token": 1}]}]'::jsonb,
    'run_acquire: with the tokens');
select is((select array_agg(distinct holder) from guildhall.lock_grants), array[guildhall.run_lock_holder(:'one', (:'first'::jsonb ->> 'seq')::bigint)],
    'run_lock_holder: for the command that asked');
select ok((select bool_and(expires_at > guildhall.clock() + interval '9 years') from guildhall.lock_grants), 'run_acquire: for as long as the task lasts');
select test.pass_time('2 days');
select is(guildhall.lock_sweep(100), 0, 'lock_sweep: time does not take it');

-- waiting, and the hand-over
select test.acquire('/do/0/b', 'job:a') as second \gset
select is(test.give(:'two', :'second'), 0, 'run_acquire: who must wait is not due');
select is(test.told(:'two'), null, 'run_acquire: and is told nothing');
select is((select array_agg(concat_ws(' ', s ->> 'name', s ->> 'kind', s ->> 'status')) from jsonb_array_elements(guildhall.run_steps(:'two')) s),
    array['b lock waiting'], 'run_steps: a wait for locks');
select test.pass_time('2 days');
select is(guildhall.lock_sweep(100), 0, 'lock_sweep: a run is as patient as can be');
select is(test.give(:'one', test.command('release', '/do/0/a', jsonb_build_object('target', :'first'::jsonb -> 'seq', 'locks', '["job:a", "job:b"]'::jsonb))), 1,
    'run_release: says that somebody may have got some');
select is(test.told(:'two'), '[{"event": "granted", "step": "/do/0/b", "fences": [{"lock": "job:a", "token": 2}]}]'::jsonb, 'run_granted: the next is told');
select is((select count(*) from guildhall.lock_waiters), 0::bigint, 'lock_settle: and waits no more');
select ok((select expires_at > guildhall.clock() + interval '9 years' from guildhall.lock_grants), 'lock_settle: with the full term at once');
select is((select array_agg(ended_how order by resource) from guildhall.lock_history), array['released', 'released'], 'run_release: written into the history');

-- others wait for runs, and runs for others
select is((select outcome from guildhall.lock_acquire('job:a', 'h', null, 60, 'x', 'exclusive', 30)), 'waiting', 'lock_acquire: waits for a run''s lock');
select test.give(:'one', test.acquire('/do/1/c', 'job:a'));
select guildhall.run_cancel(:'two', 'ada', 'x');
select is((select outcome from guildhall.lock_wait_status(ticket, 'h')), 'acquired', 'run_finish: lets go of all locks') from guildhall.lock_waiters where holder = 'h';
select guildhall.lock_release('job:a', 'h', 3);
select is(test.told(:'one') -> -1, '{"event": "granted", "step": "/do/1/c", "fences": [{"lock": "job:a", "token": 4}]}'::jsonb, 'lock_release: hands over to a run');

-- an admin takes it away; the run's own release then finds nothing
select guildhall.lock_force_release('job:a', 'root', 'stuck');
select is((select count(*) from guildhall.lock_grants), 0::bigint, 'lock_force_release: a run''s lock too');
select is(guildhall.run_release(:'one', null, guildhall.clock()), false, 'run_release: nothing left');

-- a wait is taken back
select guildhall.lock_acquire('job:a', 'h', null, 3600, 'x');
select test.acquire('/do/2/d', 'job:a') as third \gset
select test.give(:'one', :'third');
select test.give(:'one', test.command('cancel', '/do/2/d', jsonb_build_object('target', :'third'::jsonb -> 'seq')));
select is((select count(*) from guildhall.lock_waiters), 0::bigint, 'run_withdraw: a wait for locks');
select guildhall.lock_release('job:a', 'h', 5);

-- two runs that wait for each other: the younger gives way
select test.pass_time('1 s');
select test.run('three') as three \gset
select test.acquire('/do/0/x', 'job:x') as x \gset
select test.acquire('/do/0/y', 'job:y') as y \gset
select test.give(:'one', :'x');
select test.give(:'three', :'y');
select test.give(:'three', test.acquire('/do/0/y/do/0/x', 'job:x') || jsonb_build_object('fences', '[{"lock": "job:y", "token": 1}]'::jsonb));
select test.give(:'one', test.acquire('/do/0/x/do/0/y', 'job:y') || jsonb_build_object('fences', '[{"lock": "job:x", "token": 1}]'::jsonb));
select is((test.told(:'three') #> '{-1,error}') - 'detail', '{"type": "https://guildhall.dev/errors/deadlock", "status": 409, "title": "Deadlock"}'::jsonb,
    'run_deadlock: the younger of two runs is told');
select matches(test.told(:'three') #>> '{-1,error,detail}', 'waiting for job:x would never end: run/.* waits for job:., which run/.* holds; run/.* waits for job',
    'run_deadlock: and why');
select is((select count(*) from guildhall.lock_wants), 1::bigint, 'lock_wait: the other goes on waiting');
select guildhall.lock_sweep(100);
select is((select array_agg(state) from guildhall.lock_waiters), array['waiting'], 'lock_sweep: forgets the one that gave way');
select guildhall.run_cancel(:'three', 'ada', 'x');
select is(test.told(:'one') #>> '{-1,fences,0,lock}', 'job:y', 'run_finish: what it held is handed over');
select guildhall.run_cancel(:'one', 'ada', 'x');

-- within a run: branches side by side, and a task within a task
select test.pass_time('1 s');
select test.run('four') as four \gset
select test.give(:'four', test.acquire('/do/0/f/fork/branches/0/a', 'job:a'), test.acquire('/do/0/f/fork/branches/1/b', 'job:b'),
    test.acquire('/do/0/f/fork/branches/2/c', 'job:a'));
select is((select count(*) from guildhall.lock_waiters), 1::bigint, 'lock_cycle: a branch that waits for another is no deadlock');
select test.give(:'four', test.acquire('/do/0/f/fork/branches/0/a/do/0/b', 'job:b') || jsonb_build_object('fences', '[{"lock": "job:a", "token": 1}]'::jsonb));
select is(test.told(:'four'), null, 'lock_cycle: nor is one that waits for a branch that goes on');
select test.give(:'four', test.acquire('/do/0/f/fork/branches/1/b/do/0/a', 'job:a') || jsonb_build_object('fences', '[{"lock": "job:b", "token": 1}]'::jsonb));
select is(test.told(:'four') #>> '{-1,error,title}', 'Deadlock', 'lock_cycle: two branches that wait for each other are');
select test.give(:'four', test.acquire('/do/9/z', 'tree'));
select test.give(:'four', test.acquire('/do/9/z/do/0/leaf', 'tree/leaf') || jsonb_build_object('fences', '[{"lock": "tree", "token": 1}]'::jsonb));
select is(test.told(:'four') #>> '{-1,error,title}', 'Deadlock', 'lock_cycle: so is waiting for what is around oneself');
select guildhall.run_cancel(:'four', 'ada', 'x');

-- a waiter for several whose other root was taken at that moment is tried for by the sweep
select guildhall.lock_acquire('job:m', 'h', null, 3600, 'x');
select test.pass_time('1 s');
select test.run('five') as five \gset
select test.give(:'five', test.acquire('/do/0/m', 'job:m', 'job:n'));
select guildhall.lock_release('job:m', 'h', 1);
select is(test.told(:'five') #>> '{0,event}', 'granted', 'lock_settle: several at once');
begin;
update guildhall.lock_grants set holder = 'other', run_id = null where resource = 'job:m';
select test.give(:'five', test.acquire('/do/1/m', 'job:m'));
update guildhall.lock_waiters set state = 'due' where run_seq is not null;
delete from guildhall.lock_grants where resource = 'job:m';
select guildhall.lock_sweep(100);
select is(test.told(:'five') #>> '{-1,step}', '/do/1/m', 'lock_sweep: tries for a run that is due');
rollback;
select lives_ok($$select guildhall.run_locks_take(gen_random_uuid(), '[{"action": "acquire", "locks": ["/x", "job:q"]}]')$$,
    'run_locks_take: names without a root are none');
select is_empty('select * from test.broken_invariants()', 'run_release: invariants hold');

select * from finish();
