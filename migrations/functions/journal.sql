-- The journal: appended to under the run's row lock, so that positions have no gaps.

create or replace function guildhall.journal_append(
    p_run_id uuid, p_kind text, p_step text, p_data jsonb, p_now timestamptz
) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
    v_position bigint;
begin
    update guildhall.runs r set journal_position = r.journal_position + 1
    where r.id = p_run_id
    returning r.journal_position into v_position;
    insert into guildhall.journal (run_id, position, at, kind, step, data)
    values (p_run_id, v_position, p_now, p_kind, p_step, p_data);
    return v_position;
end;
$$;
comment on function guildhall.journal_append(uuid, text, text, jsonb, timestamptz) is
    'Internal. Adds an entry at the next position; the caller holds the run''s row lock.';

create or replace function guildhall.journal_entry_json(p_entry guildhall.journal) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object('position', (p_entry).position, 'at', (p_entry).at, 'kind', (p_entry).kind)
        || case when (p_entry).step is null then '{}' else jsonb_build_object('step', (p_entry).step) end
        || case (p_entry).kind
            when 'run_started' then '{}'
            when 'step_completed' then jsonb_build_object('result', (p_entry).data)
            when 'step_failed' then jsonb_build_object('error', (p_entry).data)
            when 'run_faulted' then jsonb_build_object('error', (p_entry).data)
            when 'run_completed' then jsonb_build_object('output', (p_entry).data)
            else jsonb_build_object('data', (p_entry).data)
        end;
end;
$$;
comment on function guildhall.journal_entry_json(guildhall.journal) is
    'Internal. An entry in the shape of the domain type JournalEntry.';
