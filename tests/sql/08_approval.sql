select plan(51);

select is(guildhall.action_hash('{"b": 1, "a": [1, 2]}'), guildhall.action_hash('{ "a":[1,2],  "b":1 }'),
    'action_hash: order of keys and white space do not matter');
select isnt(guildhall.action_hash('{"a": 1}'), guildhall.action_hash('{"a": "1"}'), 'action_hash: types do');
select is(guildhall.action_hash('{"a": 1}'), 'f9d86028c6e0d64e225186f96acb69338b2c59764df79162107f5c4bb34d1310',
    'action_hash: SHA-256 of {"a": 1}');

select test.asked() as approval \gset
select is(guildhall.approval_json(a) - 'id' - 'run_id' - 'risk', jsonb_build_object('step', '/do/0/approve', 'state', 'pending',
    'action', a.action, 'action_hash', guildhall.action_hash(a.action), 'requester', 'ada', 'decided_by', null,
    'reason', null, 'summary', null, 'created_at', '2030-01-01T12:00:00+00:00', 'expires_at', '2030-01-01T13:00:00+00:00',
    'decided_at', null, 'consumed_at', null), 'approval_json: the whole approval') from guildhall.approvals a;
select is((select event #> '{data,action}' from guildhall.events where event ->> 'type' = 'dev.guildhall.approval.requested.v1'),
    '{"deploy": "v1", "to": "production"}'::jsonb, 'approval_insert: is told with the exact action');
begin;
select test.run() as run \gset
select test.advance(jsonb_build_array(test.command('approval', '/x', '{"proposal": {"a": 1}, "summary": "please", "risk": null}')));
select is((select expires_at - created_at from guildhall.approvals where step = '/x'), interval '1 day',
    'approval_insert: nobody is asked for longer than a day unless the document says so');
select is((select summary || ' ' || risk from guildhall.approvals where step = '/x'), 'please {}',
    'approval_insert: keeps what it means for people');
rollback;

-- who may decide
select is(r.outcome, 'not_eligible', 'approval_decide: not the requester')
from guildhall.approval_decide(:'approval', 'ada', 'person', 'approve', null) r;
select is(r.outcome, 'not_eligible', 'approval_decide: not under another spelling either')
from guildhall.approval_decide(:'approval', ' Ada', 'person', 'approve', null) r;
select is(r.outcome, 'not_eligible', 'approval_decide: not a service')
from guildhall.approval_decide(:'approval', 'ci', 'service', 'approve', null) r;
select is(r.outcome, 'not_eligible', 'approval_decide: not an unknown kind')
from guildhall.approval_decide(:'approval', 'ci', null, 'approve', null) r;
select is(to_jsonb(r), '{"outcome": "not_found", "approval": null}'::jsonb, 'approval_decide: no such approval')
from guildhall.approval_decide(gen_random_uuid()::text, 'bob', 'person', 'approve', null) r;
select throws_ok(format('select guildhall.approval_decide(%L, ''bob'', ''person'', ''maybe'', null)', :'approval'), 'GH001', null,
    'approval_decide: yes or no');
select is((select count(*) from guildhall.audit), 0::bigint, 'approval_decide: nothing was decided, nothing is audited');

-- deciding
select test.pass_time('59 min');
select is(r.outcome, 'decided', 'approval_decide: another person, in time')
from guildhall.approval_decide(:'approval', 'bob', 'person', 'approve', 'looks right') r;
select is((select (input -> 'output') - 'action_hash' from guildhall.run_inbox where input ->> 'event' = 'completed'), jsonb_build_object(
    'approval_id', :'approval', 'decision', 'approved', 'decided_by', 'bob', 'reason', 'looks right', 'summary', 'approved by bob'),
    'approval_finish: the step''s result names approval and decider');
select ok((select (i.input ->> 'seq')::bigint = a.seq from guildhall.run_inbox i join guildhall.approvals a on a.run_id = i.run_id),
    'approval_finish: under the command''s number');
select is(guildhall.approval_error(a), null, 'approval_error: none while it stands') from guildhall.approvals a;
select is(r.outcome, 'already_decided', 'approval_decide: single and final')
from guildhall.approval_decide(:'approval', 'eve', 'person', 'reject', null) r;
select is((select state || ' ' || decided_by from guildhall.approvals), 'approved bob', 'approval_decide: the first decision stands');
select is((select actor || ' ' || verb from guildhall.audit), 'bob approval_approve', 'approval_decide: is audited');

-- consuming
select test.advance(jsonb_build_array(test.request_command('/do/1/deploy', 'deploy_service')));
select test.agent('infrastructure', 'deploy_service');
select id as request from guildhall.requests where step = '/do/1/deploy' \gset
select is(r.outcome, 'stale', 'approval_consume: not for a request that nobody attempts')
from guildhall.approval_consume(:'approval', '{"to": "production", "deploy": "v1"}', :'request', 0) r;
select test.claim_requests();
select is(r.outcome, 'stale', 'approval_consume: not under another epoch')
from guildhall.approval_consume(:'approval', '{"to": "production", "deploy": "v1"}', :'request', 2) r;
select is(r.outcome, 'mismatch', 'approval_consume: not for another action')
from guildhall.approval_consume(:'approval', '{"to": "production", "deploy": "v2"}', :'request', 1) r;
select is(r.outcome, 'mismatch', 'approval_consume: not for no action')
from guildhall.approval_consume(:'approval', null, :'request', 1) r;
select is(r.outcome, 'mismatch', 'approval_consume: no such approval')
from guildhall.approval_consume(gen_random_uuid()::text, '{}', :'request', 1) r;
select is(r.outcome, 'consumed', 'approval_consume: exactly the action, under the live epoch')
from guildhall.approval_consume(:'approval', '{"to": "production", "deploy": "v1"}', :'request', 1) r;
select is((select actor || ' ' || verb from guildhall.audit order by id desc limit 1), 'infrastructure approval_consume',
    'approval_consume: is audited under the agent');
select test.pass_time('10 min');
select is(r.outcome, 'stale', 'approval_consume: not under a lease that ran out')
from guildhall.approval_consume(:'approval', '{"to": "production", "deploy": "v1"}', :'request', 1) r;
select guildhall.run_cancel(run_id::text, 'ada', 'x') from guildhall.approvals;

-- a second run: retry of the same request, and another request
select test.asked() as approval \gset
select guildhall.approval_decide(:'approval', 'bob', 'person', 'approve', null);
select test.advance(jsonb_build_array(test.request_command('/do/1/deploy', 'deploy_service'),
    test.request_command('/do/2/deploy', 'deploy_service')));
select test.claim_requests();
select id as first from guildhall.requests where step = '/do/1/deploy' and state = 'leased' \gset
select id as second from guildhall.requests where step = '/do/2/deploy' \gset
select is(r.outcome, 'consumed', 'approval_consume: by the first') from guildhall.approval_consume(:'approval', '{"to": "production", "deploy": "v1"}', :'first', 1) r;
select is(r.outcome, 'used', 'approval_consume: not by a second request') from guildhall.approval_consume(:'approval', '{"to": "production", "deploy": "v1"}', :'second', 1) r;
select test.pass_time('30 s');
select test.claim_requests();
select is(r.outcome, 'consumed', 'approval_consume: again by the next attempt of the first')
from guildhall.approval_consume(:'approval', '{"to": "production", "deploy": "v1"}', :'first', 2) r;
select is((select count(*) from guildhall.audit where verb = 'approval_consume'), 2::bigint, 'approval_consume: audited once each');
-- another run's request may not use it
select test.requested('/do/0/other') as foreign_request \gset
select test.claim_requests();
select is(r.outcome, 'mismatch', 'approval_consume: not by a request of another run')
from guildhall.approval_consume(:'approval', '{"to": "production", "deploy": "v1"}', :'foreign_request', 1) r;

-- refused
select test.asked() as approval \gset
select is(r.approval ->> 'state', 'rejected', 'approval_decide: a no') from guildhall.approval_decide(:'approval', 'bob', 'person', 'reject', 'not today') r;
select is((select i.input -> 'error' from guildhall.run_inbox i join guildhall.approvals a on a.run_id = i.run_id where a.id = :'approval'),
    '{"type": "https://serverlessworkflow.io/spec/1.0.0/errors/authorization", "status": 403, "title": "Authorization Error",
    "detail": "bob refused: not today"}'::jsonb, 'approval_finish: the run learns why');
select is(guildhall.approval_error(a), '{"code": "approval_rejected", "detail": "bob refused: not today", "retryable": false}'::jsonb,
    'approval_error: says who refused') from guildhall.approvals a where a.id = :'approval';

-- lapsed: decided too late, and swept
select test.asked() as approval \gset
select test.pass_time('1 h');
select is(r.outcome, 'expired', 'approval_decide: too late') from guildhall.approval_decide(:'approval', 'bob', 'person', 'approve', null) r;
select is((select state from guildhall.approvals where id = :'approval'), 'expired', 'approval_decide: and lapsed for good');
select is(r.outcome, 'expired', 'approval_decide: still too late') from guildhall.approval_decide(:'approval', 'bob', 'person', 'approve', null) r;
select test.asked() as approval \gset
select is(guildhall.approval_sweep(100), 0, 'approval_sweep: nothing before its time');
select test.pass_time('1 h');
select is(guildhall.approval_sweep(100), 1, 'approval_sweep: lapses what nobody decided');
select is((select i.input #>> '{error,type}' from guildhall.run_inbox i join guildhall.approvals a on a.run_id = i.run_id
    where a.id = :'approval'), 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', 'approval_finish: the run learns that too');
select is((select ended_at from guildhall.approvals where id = :'approval'), guildhall.clock(), 'approval_finish: says when');

-- approved but not used in time
select test.asked() as approval \gset
select guildhall.approval_decide(:'approval', 'bob', 'person', 'approve', null);
select test.first(run_id) from guildhall.approvals where id = :'approval';
select test.pass_time('1 h');
select test.agent('infrastructure', 'deploy_service');
select test.advance(jsonb_build_array(test.request_command('/do/9/deploy', 'deploy_service')));
select test.claim_requests();
select id as request from guildhall.requests where step = '/do/9/deploy' \gset
select is(r.outcome, 'expired', 'approval_consume: not after its time')
from guildhall.approval_consume(:'approval', '{"to": "production", "deploy": "v1"}', :'request', 1) r;
select is((select count(*) from guildhall.approvals where state = 'pending'), 0::bigint, 'approval_list: none is pending');
select is((select count(*) from guildhall.approval_list('approved', null, 100)), 3::bigint, 'approval_list: of a state');
select is((select count(*) from guildhall.approval_list(null, (select r ->> 'id' from guildhall.approval_list(null, null, 1) r), 100)),
    (select count(*) - 1 from guildhall.approvals), 'approval_list: after one');
select is(r ->> 'id', :'approval', 'approval_get: the approval') from guildhall.approval_get(:'approval') r;
select is_empty('select guildhall.approval_get(gen_random_uuid()::text)', 'approval_get: no such approval');
select is_empty('select * from test.broken_invariants()', 'approval_finish: invariants hold');

select * from finish();
