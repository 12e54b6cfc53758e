-- The audit: who did what that needs a privilege.

create or replace function guildhall.audit_append(
    p_actor text, p_verb text, p_subject text, p_detail jsonb, p_now timestamptz
) returns void
language plpgsql volatile set search_path = '' as $$
begin
    insert into guildhall.audit (at, actor, verb, subject, detail)
    values (p_now, p_actor, p_verb, p_subject, p_detail);
end;
$$;
comment on function guildhall.audit_append(text, text, text, jsonb, timestamptz) is
    'Internal. Adds a privileged act to the audit, in the statement that commits it.';
