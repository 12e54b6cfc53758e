select plan(24);

select is(guildhall.clock(), '2030-01-01 12:00:00+00'::timestamptz, 'clock: tests can replace it');
select test.pass_time('1 minute');
select is(guildhall.clock(), '2030-01-01 12:01:00+00'::timestamptz, 'clock: it moves when the test moves it');

select is(guildhall.ensure_text('name', 'abc', 3), 'abc', 'ensure_text: gives the text');
select throws_ok($$select guildhall.ensure_text('name', '', 3)$$, 'GH001',
    'name must have 1 to 3 characters, not 0', 'ensure_text: refuses the empty text');
select throws_ok($$select guildhall.ensure_text('name', 'abcd', 3)$$, 'GH001',
    'name must have 1 to 3 characters, not 4', 'ensure_text: refuses a long text');
select throws_ok($$select guildhall.ensure_text('name', null, 3)$$, 'GH001',
    'name must have 1 to 3 characters, not none', 'ensure_text: refuses null');

select is(guildhall.ensure_int('n', 5, 1, 5), 5::bigint, 'ensure_int: gives the number');
select throws_ok($$select guildhall.ensure_int('n', 6, 1, 5)$$, 'GH001', 'n must be 1 to 5, not 6',
    'ensure_int: refuses what is above');
select throws_ok($$select guildhall.ensure_int('n', 0, 1, 5)$$, 'GH001', 'n must be 1 to 5, not 0',
    'ensure_int: refuses what is below');
select throws_ok($$select guildhall.ensure_int('n', null, 1, 5)$$, 'GH001', 'n must be 1 to 5, not null',
    'ensure_int: refuses null');

select is(guildhall.ensure_uuid('id', 'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'),
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'ensure_uuid: gives the UUID');
select throws_ok($$select guildhall.ensure_uuid('id', 'x; drop table')$$, 'GH001', $$id must be a UUID, not 'x; drop table'$$,
    'ensure_uuid: refuses other text');
select throws_ok($$select guildhall.ensure_uuid('id', null)$$, 'GH001', 'id must be a UUID, not null',
    'ensure_uuid: refuses null');

select is(guildhall.ensure_field_text('{"a": "x"}', 'a', 5), 'x', 'ensure_field_text: gives the member');
select throws_ok($$select guildhall.ensure_field_text('{"a": 1}', 'a', 5)$$, 'GH001', 'a must be a string, not number',
    'ensure_field_text: refuses a number');
select throws_ok($$select guildhall.ensure_field_text('{}', 'a', 5)$$, 'GH001', 'a must be a string, not absent',
    'ensure_field_text: refuses absence');
select throws_ok($$select guildhall.ensure_field_text('[1]', 'a', 5)$$, 'GH001', null,
    'ensure_field_text: refuses what is no object');

select is(guildhall.ensure_field_int('{"a": 7}', 'a', 1, 0, 9), 7::bigint, 'ensure_field_int: gives the member');
select is(guildhall.ensure_field_int('{"a": null}', 'a', 3, 0, 9), 3::bigint, 'ensure_field_int: null is the default');
select is(guildhall.ensure_field_int('{}', 'a', 3, 0, 9), 3::bigint, 'ensure_field_int: absence is the default');
select throws_ok($$select guildhall.ensure_field_int('{"a": 1.5}', 'a', 3, 0, 9)$$, 'GH001',
    'a must be a whole number from 0 to 9, not 1.5', 'ensure_field_int: refuses a fraction');
select throws_ok($$select guildhall.ensure_field_int('{"a": 1e40}', 'a', 3, 0, 9)$$, 'GH001', null,
    'ensure_field_int: refuses what no bigint holds');
select throws_ok($$select guildhall.ensure_field_int('{"a": "7"}', 'a', 3, 0, 9)$$, 'GH001', null,
    'ensure_field_int: refuses a string');
select throws_ok($$select guildhall.ensure_field_int('{}', 'a', null, 0, 9)$$, 'GH001', null,
    'ensure_field_int: without a default the member is required');

select * from finish();
