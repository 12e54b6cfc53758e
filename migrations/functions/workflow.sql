-- Workflows: documents by namespace, name and version. A version is put once and never changes.

create or replace function guildhall.workflow_precedence(p_version text) returns text[]
language plpgsql immutable set search_path = '' as $$
declare
    v_parts text[] := regexp_match(p_version,
        '^(0|[1-9][0-9]{0,18})\.(0|[1-9][0-9]{0,18})\.(0|[1-9][0-9]{0,18})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$');
    v_key text[];
    v_identifier text;
begin
    if v_parts is null then
        raise exception using errcode = 'GH001', message = format(
            'version must be a semantic version such as 1.0.0, not %s', quote_literal(left(p_version, 60)));
    end if;
    v_key := array[lpad(v_parts[1], 19, '0'), lpad(v_parts[2], 19, '0'), lpad(v_parts[3], 19, '0')];
    if v_parts[4] is null then
        return v_key || '2'::text;
    end if;
    -- Numbers stand before words, and both before a release (semver.org, 11).
    foreach v_identifier in array string_to_array(v_parts[4], '.') loop
        v_key := v_key || case when v_identifier ~ '^[0-9]+$' then '0' || lpad(v_identifier, greatest(30, length(v_identifier)), '0')
            else '1' || v_identifier end;
    end loop;
    return v_key;
end;
$$;
comment on function guildhall.workflow_precedence(text) is
    'Internal. A key that sorts byte by byte as semantic versions do, or GH001.';

create or replace function guildhall.workflow_json(p_workflow guildhall.workflows) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object(
        'namespace', (p_workflow).namespace, 'name', (p_workflow).name, 'version', (p_workflow).version,
        'digest', (p_workflow).digest, 'title', (p_workflow).definition #>> '{document,title}',
        'summary', (p_workflow).definition #>> '{document,summary}',
        'created_by', (p_workflow).created_by, 'created_at', (p_workflow).created_at);
end;
$$;
comment on function guildhall.workflow_json(guildhall.workflows) is
    'Internal. A workflow in the shape of the domain type Workflow, without definition and source.';

create or replace function guildhall.workflow_put(p_definition jsonb, p_source text, p_digest text, p_by text)
returns table (outcome text, workflow jsonb)
language plpgsql volatile set search_path = '' as $$
declare
    v_document jsonb := p_definition -> 'document';
    v_namespace text := guildhall.ensure_field_text(v_document, 'namespace', 100);
    v_name text := guildhall.ensure_field_text(v_document, 'name', 100);
    v_version text := guildhall.ensure_field_text(v_document, 'version', 100);
    v_precedence text[] := guildhall.workflow_precedence(v_version);
    v_workflow guildhall.workflows;
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_text('source', p_source, 4194304);
    perform guildhall.ensure_text('by', p_by, 200);
    if p_digest is null or p_digest !~ '^[0-9a-f]{64}$' then
        raise exception using errcode = 'GH001', message = 'digest must be 64 hexadecimal digits';
    end if;
    insert into guildhall.workflows as w (
        namespace, name, version, precedence, released, digest, definition, source, created_by, created_at
    ) values (
        v_namespace, v_name, v_version, v_precedence, v_precedence[4] = '2', p_digest, p_definition, p_source, p_by, v_now
    )
    on conflict (namespace, name, version) do nothing
    returning w.* into v_workflow;
    if not found then
        select w.* into strict v_workflow from guildhall.workflows w
        where w.namespace = v_namespace and w.name = v_name and w.version = v_version;
        return query select case when v_workflow.digest = p_digest then 'exists' else 'conflict' end,
            guildhall.workflow_json(v_workflow);
        return;
    end if;
    perform guildhall.audit_append(p_by, 'workflow_put', concat_ws('/', v_namespace, v_name, v_version),
        jsonb_build_object('digest', p_digest), v_now);
    perform guildhall.outbox_emit('dev.guildhall.workflow.created.v1', concat_ws('/', v_namespace, v_name, v_version),
        jsonb_build_object('namespace', v_namespace, 'name', v_name, 'version', v_version, 'digest', p_digest,
            'created_by', p_by), v_now);
    return query select 'created', guildhall.workflow_json(v_workflow);
end;
$$;
comment on function guildhall.workflow_put(jsonb, text, text, text) is
    'Keeps a validated document under its namespace, name and version; the same digest again is the same, another a conflict.';

create or replace function guildhall.workflow_find(p_namespace text, p_name text, p_version text)
returns setof guildhall.workflows
language plpgsql stable set search_path = '' as $$
begin
    if p_version = 'latest' then
        return query
        select w.* from guildhall.workflows w
        where w.namespace = p_namespace and w.name = p_name
        order by w.released desc, w.precedence desc, w.version desc limit 1;
    else
        return query
        select w.* from guildhall.workflows w
        where w.namespace = p_namespace and w.name = p_name and w.version = p_version;
    end if;
end;
$$;
comment on function guildhall.workflow_find(text, text, text) is
    'Internal. A version; latest is the highest release, or the highest pre-release while there is no release.';

create or replace function guildhall.workflow_get(p_namespace text, p_name text, p_version text) returns setof jsonb
language plpgsql stable set search_path = '' as $$
begin
    return query
    select guildhall.workflow_json(w) || jsonb_build_object('definition', w.definition, 'source', w.source)
    from guildhall.workflow_find(p_namespace, p_name, p_version) w;
end;
$$;
comment on function guildhall.workflow_get(text, text, text) is
    'A version with its document, latest for the newest release, or no row.';

create or replace function guildhall.workflow_list(p_namespace text, p_after text, p_limit bigint) returns setof jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_after text[] := string_to_array(p_after, '/');
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    if cardinality(v_after) <> 3 then
        raise exception using errcode = 'GH001', message = 'after must be namespace/name/version';
    end if;
    return query
    select guildhall.workflow_json(w)
    from guildhall.workflows w
    where (p_namespace is null or w.namespace = p_namespace)
        and (v_after is null or (w.namespace, w.name, w.precedence, w.version) > (
            v_after[1], v_after[2], guildhall.workflow_precedence(v_after[3]), v_after[3]))
    order by w.namespace, w.name, w.precedence, w.version
    limit p_limit;
end;
$$;
comment on function guildhall.workflow_list(text, text, bigint) is
    'All versions in order of namespace, name and version, optionally of a namespace, after namespace/name/version.';
