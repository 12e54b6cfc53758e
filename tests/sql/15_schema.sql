select plan(7);

select is((select version from guildhall.schema_version()), (select max(version) from guildhall.schema_migrations),
    'schema_version: the newest migration');
select matches((select checksum from guildhall.schema_version()), '^[0-9a-f]{64}$', 'schema_version: a digest');
select checksum as before from guildhall.schema_version() \gset
insert into guildhall.schema_functions values ('another', 'x', guildhall.clock());
select isnt((select checksum from guildhall.schema_version()), :'before', 'schema_version: of functions too');
select is(to_jsonb(r), jsonb_build_object('ok', true, 'schema_version', (select max(version) from guildhall.schema_migrations)),
    'readiness: can serve') from guildhall.readiness() r;

select guildhall.audit_append('ada', 'verb', 'subject', '{"a": 1}', guildhall.clock());
select is((select to_jsonb(a) - 'id' from guildhall.audit a), '{"at": "2030-01-01T12:00:00+00:00", "actor": "ada", "verb": "verb",
    "subject": "subject", "detail": {"a": 1}}'::jsonb, 'audit_append: adds a row');
select throws_ok($$delete from guildhall.audit$$, 'GH004', null, 'audit_append: for good');
select throws_ok($$select guildhall.audit_append(null, 'verb', 'subject', '{}', guildhall.clock())$$, '23502', null,
    'audit_append: somebody did it');

select * from finish();
