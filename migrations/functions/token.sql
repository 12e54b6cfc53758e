-- API tokens. The database knows a secret's SHA-256 only.

create or replace function guildhall.token_json(p_token guildhall.tokens) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'id', (p_token).id, 'principal', (p_token).principal, 'kind', (p_token).kind, 'scopes', (p_token).scopes,
        'agent_id', (p_token).agent_id,
        'created_at', (p_token).created_at, 'expires_at', (p_token).expires_at, 'revoked_at', (p_token).revoked_at
    );
$$;
comment on function guildhall.token_json(guildhall.tokens) is
    'Internal. A token in the shape of the domain type TokenInfo.';

create or replace function guildhall.token_create(
    p_token_hash text, p_principal text, p_kind text, p_scopes jsonb, p_agent_id text, p_ttl_s bigint, p_actor text
) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_token guildhall.tokens;
begin
    if p_token_hash is null or p_token_hash !~ '^[0-9a-f]{64}$' then
        raise exception using errcode = 'GH001', message = 'token_hash must be 64 lower-case hex digits';
    end if;
    perform guildhall.ensure_text('principal', btrim(p_principal), 200);
    perform guildhall.ensure_text('actor', p_actor, 200);
    if p_kind is null or p_kind not in ('person', 'service') then
        raise exception using errcode = 'GH001', message = 'kind must be person or service';
    end if;
    if jsonb_typeof(p_scopes) is distinct from 'array'
        or jsonb_path_exists(p_scopes, 'strict $[*] ? (@.type() != "string")')
    then
        raise exception using errcode = 'GH001', message = 'scopes must be an array of strings';
    end if;
    if p_agent_id is not null then
        perform guildhall.ensure_text('agent_id', p_agent_id, 200);
    end if;
    if p_ttl_s is not null then
        perform guildhall.ensure_int('ttl_s', p_ttl_s, 1, 315360000);
    end if;
    insert into guildhall.tokens as t (token_hash, principal, kind, scopes, agent_id, created_by, created_at, expires_at)
    values (p_token_hash, btrim(p_principal), p_kind, p_scopes, p_agent_id, p_actor, v_now,
        v_now + make_interval(secs => p_ttl_s))
    returning t.* into strict v_token;
    perform guildhall.audit_append(p_actor, 'token_create', v_token.id::text,
        jsonb_build_object('principal', v_token.principal, 'kind', p_kind, 'scopes', p_scopes,
            'agent_id', p_agent_id, 'expires_at', v_token.expires_at), v_now);
    return guildhall.token_json(v_token);
end;
$$;
comment on function guildhall.token_create(text, text, text, jsonb, text, bigint, text) is
    'Makes a token, for good when p_ttl_s is null and for one agent when p_agent_id is given, and audits it.';

create or replace function guildhall.token_verify(p_token_hash text)
returns table (outcome text, principal text, kind text, scopes jsonb, agent_id text, remaining_ms bigint)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
    v_token guildhall.tokens;
begin
    select t.* into v_token from guildhall.tokens t where t.token_hash = p_token_hash;
    if v_token.id is null then
        return query select 'unknown', null::text, null::text, null::jsonb, null::text, null::bigint;
    elsif v_token.revoked_at is not null then
        return query select 'revoked', null::text, null::text, null::jsonb, null::text, null::bigint;
    elsif v_token.expires_at <= v_now then
        return query select 'expired', null::text, null::text, null::jsonb, null::text, null::bigint;
    else
        return query select 'ok', v_token.principal, v_token.kind, v_token.scopes, v_token.agent_id,
            ceil(extract(epoch from v_token.expires_at - v_now) * 1000)::bigint;
    end if;
end;
$$;
comment on function guildhall.token_verify(text) is 'What a secret''s hash is worth: ok with its principal, or why not.';

create or replace function guildhall.token_list() returns setof jsonb
language sql stable set search_path = '' as $$
    select guildhall.token_json(t) from guildhall.tokens t order by t.created_at desc, t.id desc limit 1000;
$$;
comment on function guildhall.token_list() is 'The newest 1,000 tokens, revoked and expired ones too, newest first.';

create or replace function guildhall.token_revoke(p_id text, p_actor text) returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_id uuid := guildhall.ensure_uuid('id', p_id);
    v_now timestamptz := guildhall.clock();
    v_token guildhall.tokens;
begin
    perform guildhall.ensure_text('actor', p_actor, 200);
    select t.* into v_token from guildhall.tokens t where t.id = v_id for no key update;
    if v_token.id is null then
        return 'not_found';
    elsif v_token.revoked_at is not null then
        return 'already_revoked';
    else
        update guildhall.tokens t set revoked_at = v_now, revoked_by = p_actor where t.id = v_id;
        perform guildhall.audit_append(p_actor, 'token_revoke', v_id::text,
            jsonb_build_object('principal', v_token.principal), v_now);
        return 'revoked';
    end if;
end;
$$;
comment on function guildhall.token_revoke(text, text) is 'Ends a token at once and for good, and audits it.';
