select plan(28);

-- versions
select is((
    select string_agg(v, ' < ' order by guildhall.workflow_precedence(v) collate "C") from unnest(array['1.0.0', '1.0.0-rc.1', '1.0.0-alpha', '0.9.0',
        '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-beta', '1.0.0-beta.11', '1.0.0-beta.2', '10.0.0', '2.0.0', '1.10.0', '1.9.0']) v),
    '0.9.0 < 1.0.0-alpha < 1.0.0-alpha.1 < 1.0.0-alpha.beta < 1.0.0-beta < 1.0.0-beta.2 < 1.0.0-beta.11 < 1.0.0-rc.1 < 1.0.0 < 1.9.0 < 1.10.0 < 2.0.0 < 10.0.0',
    'workflow_precedence: as semver.org has it');
select is(guildhall.workflow_precedence('1.0.0+a'), guildhall.workflow_precedence('1.0.0'), 'workflow_precedence: a build says nothing');
select throws_ok($$select guildhall.workflow_precedence('1.0')$$, 'GH001', null, 'workflow_precedence: three numbers');
select throws_ok($$select guildhall.workflow_precedence('latest')$$, 'GH001', null, 'workflow_precedence: and no word');

-- put
select is(to_jsonb(r), '{"outcome": "created", "workflow": {"namespace": "tests", "name": "child", "version": "1.0.0", "title": null,
    "summary": null, "created_by": "ada", "created_at": "2030-01-01T12:00:00+00:00"}}'::jsonb
    || jsonb_build_object('workflow', to_jsonb(r) -> 'workflow'), 'workflow_put: keeps a version')
from guildhall.workflow_put(test.document('child'), 'the source', repeat('e', 64), 'ada') r;
select is((select guildhall.workflow_json(w) from guildhall.workflows w), jsonb_build_object('namespace', 'tests', 'name', 'child',
    'version', '1.0.0', 'digest', repeat('e', 64), 'title', null, 'summary', null, 'created_by', 'ada',
    'created_at', '2030-01-01T12:00:00+00:00'), 'workflow_json: without the document');
select is(r.outcome, 'exists', 'workflow_put: the same again') from guildhall.workflow_put(test.document('child'), 's', repeat('e', 64), 'bob') r;
select is(r.outcome || ' ' || (r.workflow ->> 'digest'), 'conflict ' || repeat('e', 64), 'workflow_put: a version never changes')
from guildhall.workflow_put(test.document('child'), 's', repeat('f', 64), 'bob') r;
select throws_ok($$select guildhall.workflow_put(test.document('child', '1'), 's', repeat('f', 64), 'bob')$$, 'GH001', null,
    'workflow_put: a version is a semantic one');
select throws_ok($$select guildhall.workflow_put('{}', 's', repeat('f', 64), 'bob')$$, 'GH001', null, 'workflow_put: a document says what it is');
select throws_ok($$select guildhall.workflow_put(test.document('child', '3.0.0'), 's', 'short', 'bob')$$, 'GH001', null,
    'workflow_put: a digest is whole');
select throws_ok($$update guildhall.workflows set source = 'other'$$, 'GH004', null, 'guard_append_only: a workflow is final');
select throws_ok($$truncate guildhall.workflows cascade$$, 'GH004', null, 'guard_append_only: and stays');
select is((select array_agg(verb || ' ' || subject) from guildhall.audit), array['workflow_put tests/child/1.0.0'], 'workflow_put: is audited');
select is((select count(*) from guildhall.events where type = 'dev.guildhall.workflow.created.v1'), 1::bigint, 'workflow_put: is told');

-- get
select test.workflow('child', '1.1.0'), test.workflow('child', '2.0.0-rc.1'), test.workflow('early', '0.1.0-b'), test.workflow('early', '0.1.0-a');
select is(r -> 'definition', test.document('child'), 'workflow_get: with the document') from guildhall.workflow_get('tests', 'child', '1.0.0') r;
select is(r ->> 'source', 'the source', 'workflow_get: as it was written') from guildhall.workflow_get('tests', 'child', '1.0.0') r;
select is(r ->> 'version', '1.1.0', 'workflow_get: latest is the highest release') from guildhall.workflow_get('tests', 'child', 'latest') r;
select is(w.version, '0.1.0-b', 'workflow_find: or the highest of those before a release') from guildhall.workflow_find('tests', 'early', 'latest') w;
select is_empty($$select guildhall.workflow_get('tests', 'child', '9.0.0')$$, 'workflow_get: no such version');

-- list
select is((select string_agg(w ->> 'name' || ' ' || (w ->> 'version'), ', ') from guildhall.workflow_list(null, null, 10) w),
    'child 1.0.0, child 1.1.0, child 2.0.0-rc.1, early 0.1.0-a, early 0.1.0-b', 'workflow_list: all versions in order');
select is((select string_agg(w ->> 'version', ', ') from guildhall.workflow_list('tests', 'tests/child/1.1.0', 2) w),
    '2.0.0-rc.1, 0.1.0-a', 'workflow_list: after one');
select is_empty($$select guildhall.workflow_list('other', null, 10)$$, 'workflow_list: of a namespace');
select throws_ok($$select guildhall.workflow_list(null, 'x', 10)$$, 'GH001', null, 'workflow_list: a cursor names a version');

-- runs of a workflow are pinned to the version and read its document
select (r.run ->> 'id') as run from guildhall.run_start('{"title": "t", "workflow": {"namespace": "tests", "name": "child"}, "input": null}',
    'ada', null, null, null, null, null) r \gset
select test.workflow('child', '1.2.0');
select is(r.run -> 'workflow', '{"namespace": "tests", "name": "child", "version": "1.1.0"}'::jsonb, 'run_start: latest is pinned')
from (select guildhall.run_json(x) as run from guildhall.runs x where x.id = :'run') r;
select is((select definition from guildhall.runs where id = :'run'), null, 'run_start: the document is not copied');
select is(guildhall.run_definition(r), test.document('child', '1.1.0'), 'run_definition: but read from the workflow') from guildhall.runs r where r.id = :'run';
select is((select c.definition from guildhall.run_claim('w', 30, '[]') c), test.document('child', '1.1.0'), 'run_claim: for the engine too');

select * from finish();
