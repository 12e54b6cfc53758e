-- What is installed, and whether it can serve.

create or replace function guildhall.schema_version() returns table (version integer, checksum text)
language sql stable set search_path = '' as $$
    select
        (select max(m.version) from guildhall.schema_migrations m),
        encode(sha256(convert_to(concat(
            (select string_agg(m.version || ':' || m.checksum, ',' order by m.version)
             from guildhall.schema_migrations m), ';',
            (select string_agg(f.name || ':' || f.checksum, ',' order by f.name)
             from guildhall.schema_functions f)), 'UTF8')), 'hex');
$$;
comment on function guildhall.schema_version() is
    'The newest migration applied, and a digest over all migrations and function files as applied.';

create or replace function guildhall.readiness() returns table (ok boolean, schema_version integer)
language sql stable set search_path = '' as $$
    -- A server in recovery answers reads and refuses every unit of work.
    select not pg_catalog.pg_is_in_recovery(), (select max(m.version) from guildhall.schema_migrations m);
$$;
comment on function guildhall.readiness() is 'Whether units of work can run here, and the newest migration applied.';
