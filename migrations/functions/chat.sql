-- Chat sessions. The principal that begins one owns it.

create or replace function guildhall.chat_open(p_session_id text, p_requester text, p_now timestamptz) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
    perform guildhall.ensure_text('session_id', p_session_id, 200);
    insert into guildhall.chat_sessions (session_id, requester, created_at)
    values (p_session_id, p_requester, p_now)
    on conflict (session_id) do nothing;
    return exists (
        select from guildhall.chat_sessions s where s.session_id = p_session_id and s.requester = p_requester);
end;
$$;
comment on function guildhall.chat_open(text, text, timestamptz) is
    'Internal. Begins the session unless it exists; whether it is the requester''s.';

create or replace function guildhall.chat_append(
    p_session_id text, p_message text, p_reply text, p_run_id uuid, p_now timestamptz
) returns void
language plpgsql volatile set search_path = '' as $$
begin
    insert into guildhall.chat_messages (session_id, role, content, run_id, at)
    values (p_session_id, 'user', coalesce(p_message, ''), p_run_id, p_now);
    insert into guildhall.chat_messages (session_id, role, content, run_id, at)
    values (p_session_id, 'assistant', coalesce(p_reply, ''), p_run_id, p_now);
end;
$$;
comment on function guildhall.chat_append(text, text, text, uuid, timestamptz) is
    'Internal. Keeps a message and its reply in a session that chat_open found to be the requester''s.';

create or replace function guildhall.chat_record(
    p_session_id text, p_requester text, p_message text, p_reply text, p_run_id text
) returns text
language plpgsql volatile set search_path = '' as $$
declare
    v_run_id uuid := case when p_run_id is not null then guildhall.ensure_uuid('run_id', p_run_id) end;
    v_now timestamptz := guildhall.clock();
begin
    perform guildhall.ensure_text('requester', p_requester, 200);
    if guildhall.chat_open(p_session_id, p_requester, v_now) then
        perform guildhall.chat_append(p_session_id, p_message, p_reply, v_run_id, v_now);
        return 'recorded';
    else
        return 'not_yours';
    end if;
end;
$$;
comment on function guildhall.chat_record(text, text, text, text, text) is
    'Keeps a message and its reply, in the requester''s own session only.';

create or replace function guildhall.chat_history(p_session_id text, p_requester text, p_limit bigint)
returns setof jsonb
language plpgsql stable set search_path = '' as $$
begin
    perform guildhall.ensure_int('limit', p_limit, 1, 1000);
    return query
    select jsonb_build_object('role', m.role, 'content', m.content, 'run_id', m.run_id, 'at', m.at)
    from (
        select c.* from guildhall.chat_messages c
        join guildhall.chat_sessions s on s.session_id = c.session_id
        where c.session_id = p_session_id and s.requester = p_requester
        order by c.id desc
        limit p_limit
    ) m
    order by m.id;
end;
$$;
comment on function guildhall.chat_history(text, text, bigint) is
    'The last p_limit messages of the requester''s session, oldest first.';
