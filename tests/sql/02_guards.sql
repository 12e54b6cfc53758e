select plan(41);

-- audit, journal, lock_history: only ever added to
select guildhall.audit_append('ada', 'test', 'x', '{}', guildhall.clock());
select throws_ok($$update guildhall.audit set actor = 'eve'$$, 'GH004',
    'update of audit refused: its rows are only ever added', 'guard_append_only: the audit cannot be rewritten');
select throws_ok($$delete from guildhall.audit$$, 'GH004', null, 'guard_append_only: nor thinned out');
select throws_ok($$truncate guildhall.audit$$, 'GH004', null, 'guard_append_only: nor emptied');
select test.asked();
select throws_ok($$update guildhall.journal set kind = 'run_completed'$$, 'GH004', null,
    'guard_append_only: a journal cannot be rewritten');
select throws_ok($$delete from guildhall.journal$$, 'GH004', null, 'guard_append_only: nor thinned out');
select guildhall.lock_acquire('r', 'h', null, 10, 'x');
select guildhall.lock_release('r', 'h', 1);
select throws_ok($$update guildhall.lock_history set holder = 'eve'$$, 'GH004', null,
    'guard_append_only: the history of locks cannot be rewritten');

-- journal
select throws_ok($$insert into guildhall.journal (run_id, position, at, kind, step, data)
    select id, 99, guildhall.clock(), 'event', '/x', '{}' from guildhall.runs$$, 'GH005', null,
    'guard_journal: what lies beyond the run''s position is refused');
begin;
update guildhall.runs set journal_position = 9;
select throws_ok($$insert into guildhall.journal (run_id, position, at, kind, step, data)
    select id, 9, guildhall.clock(), 'event', '/x', '{}' from guildhall.runs$$, 'GH005', null, 'guard_journal: a gap is refused');
select lives_ok($$insert into guildhall.journal (run_id, position, at, kind, step, data)
    select r.id, n, guildhall.clock(), 'event', null, '{}' from guildhall.runs r, generate_series(2, 9) n order by n$$,
    'guard_journal: entries one after the other are taken');
rollback;
select throws_ok($$insert into guildhall.journal (run_id, position, at, kind, step, data)
    select id, 1, guildhall.clock(), 'run_started', null, null from guildhall.runs$$, '23505', null,
    'guard_journal: a position is not used twice');

-- runs
select throws_ok($$insert into guildhall.runs (name, title, requester, definition, status, next_wake_at, epoch, journal_position, created_at)
    values ('n', 't', 'r', '{}', 'pending', now(), 5, 1, now())$$, 'GH003', null, 'guard_run: a run begins at epoch 0');
select throws_ok($$insert into guildhall.runs (name, title, requester, definition, status, next_wake_at, journal_position, created_at)
    values ('n', 't', 'r', '{}', 'waiting', now(), 1, now())$$, 'GH003', null, 'guard_run: a run begins pending');
select throws_ok($$insert into guildhall.runs (name, title, requester, definition, status, next_wake_at, created_at)
    values ('n', 't', 'r', '{}', 'pending', now(), now())$$, 'GH003', null, 'guard_run: a run begins with a journal entry');
select throws_ok($$update guildhall.runs set input = '{"other": 1}'$$, 'GH004', null, 'guard_append_only: a run''s input stays');
select throws_ok($$update guildhall.runs set definition = '{"other": 1}'$$, 'GH004', null, 'guard_append_only: and its document');
select throws_ok($$update guildhall.runs set status = 'running', lease_owner = 'w', lease_expires_at = next_wake_at$$,
    'GH003', null, 'guard_run: running needs a new epoch');
select throws_ok($$update guildhall.runs set epoch = 0$$, 'GH003', null, 'guard_run: an epoch never falls');
select throws_ok($$update guildhall.runs set journal_position = journal_position - 1$$, 'GH003', null,
    'guard_run: a position never falls');
select throws_ok($$update guildhall.runs set status = 'completed', output = '{}', next_wake_at = null,
    finished_at = now()$$, 'GH003', null, 'guard_run: only a running run completes');
select guildhall.run_cancel(id::text, 'ada', 'enough') from guildhall.runs;
select throws_ok($$update guildhall.runs set status = 'waiting', finished_at = null, next_wake_at = now(),
    epoch = epoch + 1$$, 'GH003', null, 'guard_run: an end is final');
select throws_ok($$insert into guildhall.journal (run_id, position, at, kind, data)
    select id, journal_position, guildhall.clock(), 'event', '{}' from guildhall.runs$$, 'GH003', null,
    'guard_journal: nothing comes after the end');

-- requests
select test.requested() as request \gset
select throws_ok($$insert into guildhall.requests (skill, input, requester, state, max_attempts, next_wake_at, deadline_at,
    created_at, epoch) values ('s', '{}', 'r', 'queued', 3, now(), now(), now(), 7)$$, 'GH003', null,
    'guard_request: a request begins at epoch 0');
select throws_ok($$update guildhall.requests set state = 'leased', lease_owner = 'w', lease_expires_at = next_wake_at,
    agent = 'a', attempt = 1, first_leased_at = now()$$, 'GH003', null,
    'guard_request: no attempt without an epoch of its own');
select throws_ok($$update guildhall.requests set state = 'leased', lease_owner = 'w', lease_expires_at = next_wake_at,
    agent = 'a', epoch = 1$$, 'GH003', null, 'guard_request: every lease is an attempt');
select throws_ok($$update guildhall.requests set state = 'succeeded', result = '1', next_wake_at = null,
    finished_at = now()$$, 'GH003', null, 'guard_request: what nobody attempted does not succeed');
select throws_ok($$update guildhall.requests set skill = 'other'$$, 'GH003', null,
    'guard_request: what was asked is final');
select test.claim_requests();
select guildhall.request_complete(:'request', 1, '{}');
select throws_ok($$update guildhall.requests set result = '{"better": true}'$$, 'GH003', null,
    'guard_request: a result is final');
select throws_ok($$update guildhall.requests set state = 'queued', result = null, finished_at = null, next_wake_at = now()$$,
    'GH003', null, 'guard_request: an end is final');

-- calls
begin;
select test.run();
select test.advance(jsonb_build_array(test.command('http', '/a')));
select throws_ok($$insert into guildhall.run_calls (run_id, seq, step, key, attempt, action, state, next_wake_at, created_at, epoch)
    select run_id, 99, '/b', 'k', 1, action, 'queued', now(), now(), 3 from guildhall.run_calls$$, 'GH003', null,
    'guard_run_call: a call begins at epoch 0');
select throws_ok($$update guildhall.run_calls set state = 'succeeded', output = '1', next_wake_at = null, finished_at = now()$$,
    'GH003', null, 'guard_run_call: what nobody made does not succeed');
select guildhall.run_call_claim('w', 10, 30);
select guildhall.run_call_finish(run_id::text, seq, 1, '1', null) from guildhall.run_calls;
select throws_ok($$update guildhall.run_calls set output = '2'$$, 'GH003', null, 'guard_run_call: an end is final');
rollback;

-- approvals
select test.asked() as approval \gset
select throws_ok($$insert into guildhall.approvals (run_id, step, state, action, action_hash, risk, requester, created_at,
    expires_at, decided_by, decided_at) select run_id, '/x', 'approved', action, action_hash, risk, requester, created_at,
    expires_at, 'bob', created_at from guildhall.approvals where state = 'pending'$$, 'GH003', null,
    'guard_approval: an approval begins pending');
select throws_ok($$update guildhall.approvals set action = '{"a": 2}', action_hash = guildhall.action_hash('{"a": 2}')
    where state = 'pending'$$, 'GH003', null, 'guard_approval: what was asked is final');
select throws_ok($$update guildhall.approvals set expires_at = expires_at + interval '1 year' where state = 'pending'$$,
    'GH003', null, 'guard_approval: its time cannot be stretched');
select guildhall.approval_decide(:'approval', 'bob', 'person', 'reject', 'no');
select throws_ok($$update guildhall.approvals set state = 'approved' where state = 'rejected'$$, 'GH003', null,
    'guard_approval: a decision is final');

-- locks
select throws_ok($$update guildhall.locks set grants = grants + 1$$, 'GH003', null, 'guard_lock: no grant without a new token');
select throws_ok($$update guildhall.locks set fencing_token = 0$$, 'GH003', null, 'guard_lock: a token never falls');
select throws_ok($$delete from guildhall.locks$$, 'GH004', null, 'guard_lock: a lock is never forgotten');
select throws_ok($$truncate guildhall.locks cascade$$, 'GH004', null, 'guard_lock: not even by truncate');
select lives_ok($$update guildhall.locks set fencing_token = fencing_token + 1$$, 'guard_lock: a grant with a higher token is one');
select is_empty('select * from test.broken_invariants() b where b not like ''token of%''',
    'guard_run: nothing above left broken rows');

select * from finish();
