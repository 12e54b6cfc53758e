select plan(23);

select guildhall.token_create(repeat('a', 64), ' ada ', 'person', '["chat", "runs:read"]', null, null, 'cli') as token \gset
select is(:'token'::jsonb - 'id', '{"principal": "ada", "kind": "person", "scopes": ["chat", "runs:read"],
    "agent_id": null, "created_at": "2030-01-01T12:00:00+00:00", "expires_at": null, "revoked_at": null}'::jsonb,
    'token_create: gives the token without its hash');
select is((select count(*) from guildhall.audit where verb = 'token_create' and actor = 'cli'), 1::bigint,
    'token_create: is audited');
select ok(not exists (select from guildhall.audit where detail::text like '%aaaa%'), 'token_create: the audit holds no hash');
select throws_ok($$select guildhall.token_create(repeat('a', 64), 'eve', 'person', '[]', null, null, 'cli')$$, '23505', null,
    'token_create: a hash is used once');
select throws_ok($$select guildhall.token_create('secret', 'eve', 'person', '[]', null, null, 'cli')$$, 'GH001', null,
    'token_create: a secret itself is refused');
select throws_ok($$select guildhall.token_create(repeat('b', 64), 'eve', 'robot', '[]', null, null, 'cli')$$, 'GH001', null,
    'token_create: kind is person or service');
select throws_ok($$select guildhall.token_create(repeat('b', 64), '  ', 'person', '[]', null, null, 'cli')$$, 'GH001', null,
    'token_create: a principal has a name');
select throws_ok($$select guildhall.token_create(repeat('b', 64), 'eve', 'person', '[1]', null, null, 'cli')$$, 'GH001', null,
    'token_create: scopes are strings');
select throws_ok($$select guildhall.token_create(repeat('b', 64), 'eve', 'person', '{}', null, null, 'cli')$$, 'GH001', null,
    'token_create: scopes are an array');
select throws_ok($$select guildhall.token_create(repeat('b', 64), 'eve', 'person', '[]', null, 0, 'cli')$$, 'GH001', null,
    'token_create: no token without any time');

select is(to_jsonb(r), '{"outcome": "ok", "principal": "ada", "kind": "person", "scopes": ["chat", "runs:read"],
    "agent_id": null, "remaining_ms": null}'::jsonb, 'token_verify: a token for good') from guildhall.token_verify(repeat('a', 64)) r;
select is(r.outcome, 'unknown', 'token_verify: nobody''s hash') from guildhall.token_verify(repeat('f', 64)) r;
select test.pass_time('1 s');
select guildhall.token_create(repeat('b', 64), 'ci', 'service', '["runs:write"]', null, 60, 'cli');
select test.pass_time('59.5 s');
select is(r.remaining_ms, 500::bigint, 'token_verify: says how long it is good') from guildhall.token_verify(repeat('b', 64)) r;
select test.pass_time('0.5 s');
select is(to_jsonb(r), '{"outcome": "expired", "principal": null, "kind": null, "scopes": null, "agent_id": null,
    "remaining_ms": null}'::jsonb,
    'token_verify: an expired one says no more') from guildhall.token_verify(repeat('b', 64)) r;

select is(guildhall.token_revoke(:'token'::jsonb ->> 'id', 'root'), 'revoked', 'token_revoke: ends a token');
select is(r.outcome, 'revoked', 'token_revoke: at once') from guildhall.token_verify(repeat('a', 64)) r;
select is(guildhall.token_revoke(:'token'::jsonb ->> 'id', 'root'), 'already_revoked', 'token_revoke: once');
select is(guildhall.token_revoke(gen_random_uuid()::text, 'root'), 'not_found', 'token_revoke: nothing to revoke');
select is((select count(*) from guildhall.audit where verb = 'token_revoke'), 1::bigint,
    'token_revoke: only what happened is audited');

select guildhall.token_create(repeat('c', 64), 'agent', 'service', '["agents:register"]', 'remote-1', 5, 'cli');
select is(r.agent_id, 'remote-1', 'token_verify: says which agent a token is bound to') from guildhall.token_verify(repeat('c', 64)) r;
select is((select detail ->> 'agent_id' from guildhall.audit where verb = 'token_create' order by id desc limit 1), 'remote-1',
    'token_create: audits the binding');
update guildhall.tokens set created_at = created_at - interval '1 day', expires_at = null where principal = 'agent';
select is((select array_agg(r ->> 'principal') from guildhall.token_list() r), array['ci', 'ada', 'agent'],
    'token_list: newest first, revoked ones too');
select is(guildhall.token_json(t) -> 'revoked_at', '"2030-01-01T12:01:01+00:00"'::jsonb,
    'token_json: shows when it was revoked') from guildhall.tokens t where principal = 'ada';

select * from finish();
