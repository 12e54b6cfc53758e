-- The journal: appended to by run_start, run_claim and run_finish, which hold the run's row and have raised its position.

create or replace function guildhall.journal_entry_json(p_entry guildhall.journal) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object('position', (p_entry).position, 'at', (p_entry).at, 'kind', (p_entry).kind)
        || case when (p_entry).step is null then '{}' else jsonb_build_object('step', (p_entry).step) end
        || case (p_entry).kind
            when 'run_started' then '{}'::jsonb
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
