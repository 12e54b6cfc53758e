select plan(74);

-- lock_acquire
select is(to_jsonb(r) -> 'outcome' || (to_jsonb(r) -> 'lock'), '["acquired", {"resource": "deployment:production", "holder": "h1",
    "fencing_token": 1, "mode": "exclusive", "run_id": null, "depth": 1, "reason": "deploy v1",
    "requested_at": "2030-01-01T12:00:00+00:00", "acquired_at": "2030-01-01T12:00:00+00:00",
    "expires_at": "2030-01-01T12:00:30+00:00"}]'::jsonb,
    'lock_acquire: a new resource') from guildhall.lock_acquire('deployment:production', 'h1', null, 30, 'deploy v1') r;
select is(r.outcome || ' ' || (r.lock ->> 'holder') || (r.blockers #>> '{0,holder}'), 'held h1h1', 'lock_acquire: held by another')
from guildhall.lock_acquire('deployment:production', 'h2', null, 30, 'deploy v2') r;
select is(r.lock -> 'fencing_token', '2', 'lock_acquire: its holder gets it again under a new token')
from guildhall.lock_acquire('deployment:production', 'h1', null, 30, 'deploy v1 again') r;
select is(r.outcome, 'stale', 'lock_renew: the earlier grant of the same holder is fenced off')
from guildhall.lock_renew('deployment:production', 'h1', 1, 30) r;
select is(r.outcome, 'stale', 'lock_release: by the earlier grant too')
from guildhall.lock_release('deployment:production', 'h1', 1) r;
select ok(not guildhall.lock_check('deployment:production', 1), 'lock_check: the earlier grant guards nothing');
select ok(guildhall.lock_check('deployment:production', 2), 'lock_check: the current one does');
select ok(not guildhall.lock_check('nothing', 1), 'lock_check: nothing was ever locked');
select ok(guildhall.lock_guard('deployment:production', 2), 'lock_guard: the current token guards');
select ok(not guildhall.lock_guard('deployment:production', 1), 'lock_guard: an earlier one does not');
select throws_ok($$select guildhall.lock_acquire('', 'h', null, 30, 'x')$$, 'GH001', null, 'lock_acquire: a resource has a name');
select throws_ok($$select guildhall.lock_acquire('graph', 'h', null, 30, 'x')$$, 'GH001', null, 'lock_ensure: not a word of the API');
select throws_ok($$select guildhall.lock_acquire('r', 'h', null, 30, 'x', 'both')$$, 'GH001', null, 'lock_ensure: nor another mode');
select throws_ok($$select guildhall.lock_acquire('r', 'h', null, 30, 'x', 'shared', 61)$$, 'GH001', null, 'lock_acquire: no longer wait');
select throws_ok($$select guildhall.lock_priority('top')$$, 'GH001', null, 'lock_priority: four of them');
select throws_ok($$select guildhall.lock_acquire('r', 'h', null, 0, 'x')$$, 'GH001', null, 'lock_acquire: for some time');
select throws_ok($$select guildhall.lock_acquire('r', 'h', null, 86401, 'x')$$, 'GH001', null, 'lock_acquire: not for more than a day');
select throws_ok($$select guildhall.lock_acquire('r', 'h', null, 10, null)$$, 'GH001', null, 'lock_acquire: for a reason');
select throws_ok($$select guildhall.lock_acquire('r', 'h', 'no uuid', 10, 'x')$$, 'GH001', null, 'lock_acquire: a run is a UUID');
select throws_ok($$select guildhall.lock_acquire('r', 'h', gen_random_uuid()::text, 10, 'x')$$, 'GH001', null,
    'lock_ensure_run: of a run that there is');
select is((select count(*) from guildhall.locks), 1::bigint, 'lock_acquire: nothing else was kept');

-- re-entry by the token
select is(r.outcome || (r.lock ->> 'fencing_token') || (r.lock ->> 'depth'), 'acquired22', 'lock_acquire: its token lets a holder re-enter')
from guildhall.lock_acquire('deployment:production', 'h1', null, 30, 'inner', 'exclusive', 0, 'normal', 2) r;
select is(r.outcome, 'stale', 'lock_acquire: an older token does not')
from guildhall.lock_acquire('deployment:production', 'h1', null, 30, 'inner', 'exclusive', 0, 'normal', 1) r;
select is(r.outcome || (r.lock ->> 'depth'), 'left1', 'lock_release: one level at a time')
from guildhall.lock_release('deployment:production', 'h1', 2) r;

-- renew, expiry
select test.pass_time('29 s');
select is(r.outcome || ' ' || (r.lock ->> 'expires_at'), 'renewed 2030-01-01T12:00:59+00:00', 'lock_renew: from now')
from guildhall.lock_renew('deployment:production', 'h1', 2, 30) r;
select is(r.lock ->> 'expires_at', '2030-01-01T12:00:59+00:00', 'lock_renew: never shortens')
from guildhall.lock_renew('deployment:production', 'h1', 2, 1) r;
select is(r.outcome, 'stale', 'lock_renew: not by another holder') from guildhall.lock_renew('deployment:production', 'h2', 2, 30) r;
select is(r.outcome || (r.lock ->> 'fencing_token'), 'stale0', 'lock_renew: what was never locked')
from guildhall.lock_renew('never', 'h1', 1, 30) r;
select throws_ok($$select guildhall.lock_renew('deployment:production', 'h1', 2, 0)$$, 'GH001', null, 'lock_renew: for some time');
select test.pass_time('30 s');
select is(r.outcome, 'stale', 'lock_renew: not when time is up') from guildhall.lock_renew('deployment:production', 'h1', 2, 30) r;
select is(r.outcome, 'stale', 'lock_release: not when time is up') from guildhall.lock_release('deployment:production', 'h1', 2) r;
select ok(not guildhall.lock_check('deployment:production', 2), 'lock_check: not when time is up');
select is(r ->> 'holder', null, 'lock_json: a lock whose time is up is free') from guildhall.lock_get('deployment:production') r;
select is(r -> 'fencing_token', '2', 'lock_get: and keeps its token') from guildhall.lock_get('deployment:production') r;
select is(r.lock ->> 'holder' || (r.lock ->> 'fencing_token'), 'h23', 'lock_give: an expired lock is taken over')
from guildhall.lock_acquire('deployment:production', 'h2', null, 30, 'deploy v2') r;
select is(r.outcome, 'stale', 'lock_release: the one who lost it') from guildhall.lock_release('deployment:production', 'h1', 2) r;

-- release, and the token afterwards
select is(r.outcome || coalesce(r.lock ->> 'holder', ' free'), 'released free', 'lock_release: frees it')
from guildhall.lock_release('deployment:production', 'h2', 3) r;
select is(r.outcome, 'stale', 'lock_release: once') from guildhall.lock_release('deployment:production', 'h2', 3) r;
select is(r.lock -> 'fencing_token', '4', 'lock_token_next: the token rises across release')
from guildhall.lock_acquire('deployment:production', 'h3', null, 30, 'x') r;
select is((select string_agg(h.fencing_token || ended_how, ' ' order by h.fencing_token) from guildhall.lock_history h),
    '1reacquired 2expired 3released', 'lock_end: the history knows how each grant ended');
select is((select ended_at from guildhall.lock_history where fencing_token = 2), '2030-01-01 12:00:59+00'::timestamptz,
    'lock_expire: an expired grant ended when its time was up');
select is((select count(*) from guildhall.events where event ->> 'type' = 'dev.guildhall.lock.expired.v1'), 1::bigint,
    'lock_end: an expiry is told of');

-- sweep, list
select guildhall.lock_acquire('another', 'h', null, 60, 'x');
select is(guildhall.lock_sweep(100), 0, 'lock_sweep: nothing before its time');
select test.pass_time('30 s');
select is(guildhall.lock_sweep(100), 1, 'lock_sweep: frees what has expired');
select is((select count(*) from guildhall.lock_grants where resource = 'deployment:production'), 0::bigint, 'lock_sweep: the row goes');
select is((select array_agg(r ->> 'resource') from guildhall.lock_list(null, 10) r), array['another', 'deployment:production'],
    'lock_list: all, free ones too');
select is((select array_agg(r ->> 'resource') from guildhall.lock_list('another', 10) r), array['deployment:production'],
    'lock_list: after one');
select is((select array_agg(r ->> 'resource') from guildhall.lock_list(null, 10, 'held') r), array['another'], 'lock_list: those held');
select throws_ok($$select guildhall.lock_list(null, 10, 'open')$$, 'GH001', null, 'lock_list: in a state that there is');
select is_empty($$select guildhall.lock_get('never')$$, 'lock_get: never locked');
select is(guildhall.lock_grant_json(g) ->> 'holder', 'h', 'lock_grant_json: a held lock')
from guildhall.lock_grants g where resource = 'another';

-- names in a tree, modes: the usual matrix, with what is held below a name as intention at the name
select is(guildhall.lock_root('a:b/c/d'), 'a:b', 'lock_root: up to the first slash');
select is(guildhall.lock_line('a:b/c/d'), array['a:b/c/d', 'a:b', 'a:b/c'], 'lock_line: a name and what is above it');
select is((
    select string_agg(format('%s-%s:%s', a.mode, b.mode, not guildhall.lock_conflicts(
        case when a.mode like 'I%' then 'a:b/x' else 'a:b' end, case when a.mode like '%X' then 'exclusive' else 'shared' end,
        case when b.mode like 'I%' then 'a:b/y' else 'a:b' end, case when b.mode like '%X' then 'exclusive' else 'shared' end)),
        ' ' order by a.place, b.place)
    from unnest(array['IS', 'IX', 'S', 'X']) with ordinality a (mode, place)
    cross join unnest(array['IS', 'IX', 'S', 'X']) with ordinality b (mode, place)),
    'IS-IS:t IS-IX:t IS-S:t IS-X:f IX-IS:t IX-IX:t IX-S:f IX-X:f S-IS:t S-IX:f S-S:t S-X:f X-IS:f X-IX:f X-S:f X-X:f',
    'lock_conflicts: the matrix of intention modes');
select ok(not guildhall.lock_conflicts('a:b', 'exclusive', 'a:bc', 'exclusive'), 'lock_conflicts: a longer name is not below');
select is(r.outcome, 'acquired', 'lock_acquire: below a name') from guildhall.lock_acquire('t:x/1', 'h1', null, 60, 'x') r;
select is(r.outcome, 'acquired', 'lock_acquire: beside it') from guildhall.lock_acquire('t:x/2', 'h2', null, 60, 'x') r;
select is(r.outcome, 'held', 'lock_held_by: not above it') from guildhall.lock_acquire('t:x', 'h2', null, 60, 'x') r;
select is(r.outcome, 'held', 'lock_held_by: nor shared above it') from guildhall.lock_acquire('t:x', 'h3', null, 60, 'x', 'shared') r;
select is(r.outcome, 'acquired', 'lock_held_by: a longer name is another') from guildhall.lock_acquire('t:x-1', 'h3', null, 60, 'x') r;
select is(jsonb_array_length(r -> 'intentions') || (r #>> '{intentions,0,mode}'), '2intention_exclusive', 'lock_get: what is held below')
from guildhall.lock_get('t:x') r;
select guildhall.lock_release('t:x/1', 'h1', 1);
select is(r.outcome, 'acquired', 'lock_acquire: above what is one''s own') from guildhall.lock_acquire('t:x', 'h2', null, 60, 'x') r;
select is(r.outcome, 'held', 'lock_held_by: below what is held') from guildhall.lock_acquire('t:x/1/2', 'h1', null, 60, 'x', 'shared') r;
select is(r.outcome, 'acquired', 'lock_acquire: shared') from guildhall.lock_acquire('s', 'h1', null, 60, 'x', 'shared') r;
select is(r.outcome, 'acquired', 'lock_acquire: shared with another') from guildhall.lock_acquire('s/1', 'h2', null, 60, 'x', 'shared') r;
select is(r.outcome, 'held', 'lock_acquire: not exclusive beside shared') from guildhall.lock_acquire('s', 'h1', null, 60, 'x') r;

-- force-release, tokens after a restore
select is(r.outcome || jsonb_array_length(r.locks), 'forced1', 'lock_force_release: takes a lock from its holder')
from guildhall.lock_force_release('t:x', 'ada', 'he is on holiday') r;
select is(r.outcome, 'free', 'lock_force_release: what is held at all') from guildhall.lock_force_release('t:x', 'ada', 'again') r;
select is((select detail ->> 'reason' from guildhall.audit where verb = 'lock_force_release'), 'he is on holiday',
    'lock_force_release: audited');
select throws_ok($$select guildhall.lock_force_release('s', 'ada', '')$$, 'GH001', null, 'lock_force_release: for a reason');
select is(guildhall.lock_token_raise(1000, 'ada'), 1000::bigint, 'lock_token_raise: to what was asked for');
select is((select count(*) from guildhall.lock_grants), 0::bigint, 'lock_token_raise: no grant survives a restore');
select is((select array_agg((r.lock ->> 'fencing_token')::int) from unnest(array['s', 'new/1']) n, guildhall.lock_acquire(n, 'h', null, 9, 'x') r),
    array[1001, 1001], 'lock_token_raise: tokens begin above it, of new names too');
select is_empty('select * from test.broken_invariants()', 'lock_end: invariants hold');

select * from finish();
