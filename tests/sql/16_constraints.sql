-- Rows that must not be, refused by the tables themselves: the guards are off here.
select plan(34);

select test.asked();
select test.requested('/do/0/a');
select guildhall.lock_acquire('l', 'h', null, 60, 'x');
select guildhall.outbox_claim('w', 1, 30);
alter table guildhall.runs disable trigger user;
alter table guildhall.requests disable trigger user;
alter table guildhall.approvals disable trigger user;
alter table guildhall.locks disable trigger user;
alter table guildhall.journal disable trigger user;
alter table guildhall.run_calls disable trigger user;

create function test.refused(p_sql text, p_constraint text, p_description text) returns text
language plpgsql as $$
declare
    v_name text;
begin
    execute p_sql;
    return fail(p_description || ' (was accepted)');
exception when check_violation then
    get stacked diagnostics v_name = constraint_name;
    return is(v_name, p_constraint, p_description);
end;
$$;

select test.refused($$update guildhall.runs set next_wake_at = null$$, 'runs_wake', 'runs: an open run nobody would wake');
select test.refused($$update guildhall.runs set lease_owner = 'w'$$, 'runs_lease', 'runs: an owner without a lease');
select test.refused($$update guildhall.runs set status = 'running', epoch = 1$$, 'runs_lease', 'runs: running without a lease');
select test.refused($$update guildhall.runs set status = 'completed', next_wake_at = null, finished_at = now()$$, 'runs_output',
    'runs: completed without output');
select test.refused($$update guildhall.runs set status = 'faulted', next_wake_at = null, finished_at = now()$$, 'runs_error',
    'runs: faulted without an error');
select test.refused($$update guildhall.runs set finished_at = now()$$, 'runs_finished', 'runs: finished but open');
select test.refused($$update guildhall.runs set status = 'running', lease_owner = 'w', lease_expires_at = next_wake_at - interval '1 s',
    epoch = 1$$, 'runs_leased_wake', 'runs: a wake-up after the lease is over');
select test.refused($$update guildhall.runs set idempotency_key = 'k'$$, 'runs_fingerprint', 'runs: a key without a fingerprint');
select test.refused($$update guildhall.requests set next_wake_at = null$$, 'requests_wake', 'requests: nobody would wake it');
select test.refused($$update guildhall.requests set state = 'leased', attempt = 1, epoch = 1, first_leased_at = now(), agent = 'a'$$,
    'requests_lease', 'requests: leased without a lease');
select test.refused($$update guildhall.requests set state = 'leased', lease_owner = 'w', lease_expires_at = next_wake_at$$,
    'requests_leased', 'requests: leased to no agent');
select test.refused($$update guildhall.requests set attempt = 4, epoch = 4, first_leased_at = now()$$, 'requests_attempts',
    'requests: more attempts than allowed');
select test.refused($$update guildhall.requests set attempt = 1, first_leased_at = now()$$, 'requests_attempts',
    'requests: an attempt without an epoch');
select test.refused($$update guildhall.requests set state = 'succeeded', next_wake_at = null, finished_at = now()$$,
    'requests_result', 'requests: succeeded without a result');
select test.refused($$update guildhall.requests set state = 'dead', next_wake_at = null, finished_at = now()$$,
    'requests_error', 'requests: dead without an error');
select test.refused($$update guildhall.requests set run_id = null, seq = null$$, 'requests_step', 'requests: a step without a run');
select test.refused($$update guildhall.requests set run_id = null, step = null$$, 'requests_seq', 'requests: a number without a run');
select test.refused($$update guildhall.approvals set action = '{"a": 3}'$$, 'approvals_hash', 'approvals: a hash of something else');
select test.refused($$update guildhall.approvals set state = 'approved', next_wake_at = null$$, 'approvals_decided',
    'approvals: approved by nobody');
select test.refused($$update guildhall.approvals set state = 'approved', next_wake_at = null, decided_by = ' ADA', decided_at = created_at$$,
    'approvals_other_person', 'approvals: decided by the requester');
select test.refused($$update guildhall.approvals set state = 'approved', next_wake_at = null, decided_by = 'bob', decided_at = expires_at$$,
    'approvals_in_time', 'approvals: decided after expiry');
select test.refused($$update guildhall.approvals set consumed_at = now(), consumed_by = (select id from guildhall.requests)$$,
    'approvals_consumed_approved', 'approvals: used without being approved');
select test.refused($$update guildhall.lock_grants set depth = 0$$, 'lock_grants_depth_check', 'lock_grants: held no times');
select test.refused($$update guildhall.lock_grants set fencing_token = 0$$, 'lock_grants_fencing_token_check', 'lock_grants: held without a token');
select test.refused($$insert into guildhall.journal (run_id, position, at, kind, data)
    select id, 2, now(), 'step_failed', '{}' from guildhall.runs limit 1$$, 'journal_step', 'journal: a step entry without a step');
select test.refused($$update guildhall.runs set definition = null$$, 'runs_document', 'runs: nothing to execute');
select test.refused($$update guildhall.runs set workflow_name = 'x', definition = null$$, 'runs_workflow_whole', 'runs: half a workflow');
select test.refused($$update guildhall.runs set snapshot_position = 99$$, 'runs_snapshot', 'runs: a snapshot of the future');
select test.refused($$update guildhall.runs set depth = 1$$, 'runs_child', 'runs: a child without a parent');
select test.refused($$insert into guildhall.run_calls (run_id, seq, step, key, attempt, action, state, created_at)
    select id, 1, '/x', 'k', 1, '{"action": "http"}', 'queued', now() from guildhall.runs limit 1$$, 'run_calls_wake',
    'run_calls: an open call nobody would make');
select test.refused($$insert into guildhall.run_calls (run_id, seq, step, key, attempt, action, state, created_at, finished_at)
    select id, 1, '/x', 'k', 1, '{"action": "http"}', 'failed', now(), now() from guildhall.runs limit 1$$, 'run_calls_error',
    'run_calls: failed without an error');
select test.refused($$insert into guildhall.run_inbox (run_id, at, input) values (gen_random_uuid(), now(), '{}')$$,
    'run_inbox_input_check', 'run_inbox: nothing that happened');
select test.refused($$update guildhall.journal set kind = 'run_cancelled' where kind = 'run_started'$$, 'journal_data',
    'journal: an entry without its payload');
select test.refused($$update guildhall.requests set letter = 'open'$$, 'requests_letter', 'requests: an open one as a dead letter');

select * from finish();
