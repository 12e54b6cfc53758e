-- What no function may do by mistake: skip a state, go back, rewrite history.

create or replace function guildhall.guard_append_only() returns trigger
language plpgsql volatile set search_path = '' as $$
begin
    raise exception using errcode = 'GH004', message = format(
        '%s of %s refused: its rows are only ever added', lower(tg_op), tg_table_name);
end;
$$;
comment on function guildhall.guard_append_only() is 'Refuses update, delete and truncate of records.';

create or replace trigger audit_append_only before update or delete on guildhall.audit
    for each row execute function guildhall.guard_append_only();
create or replace trigger audit_never_truncated before truncate on guildhall.audit
    for each statement execute function guildhall.guard_append_only();
create or replace trigger journal_append_only before update or delete on guildhall.journal
    for each row execute function guildhall.guard_append_only();
create or replace trigger journal_never_truncated before truncate on guildhall.journal
    for each statement execute function guildhall.guard_append_only();
create or replace trigger lock_history_append_only before update on guildhall.lock_history
    for each row execute function guildhall.guard_append_only();

create or replace function guildhall.guard_journal() returns trigger
language plpgsql volatile set search_path = '' as $$
declare
    v_run record;
begin
    select r.journal_position, r.finished_at, r.status, new.position = 1 or exists (
            select from guildhall.journal j where j.run_id = new.run_id and j.position = new.position - 1) as follows
    into v_run
    from guildhall.runs r where r.id = new.run_id;
    if v_run.finished_at is not null
        and (new.kind <> 'run_' || v_run.status or new.position <> v_run.journal_position)
    then
        raise exception using errcode = 'GH003', message = format(
            'run %s has ended; its journal takes no %s', new.run_id, new.kind);
    end if;
    if not coalesce(v_run.follows, false) or new.position > v_run.journal_position then
        raise exception using errcode = 'GH005', message = format(
            'journal of run %s: position %s refused, the run is at %s', new.run_id, new.position, v_run.journal_position);
    end if;
    return new;
end;
$$;
comment on function guildhall.guard_journal() is
    'Refuses an entry that would leave a gap, that the run''s position does not cover, or that comes after its end.';

create or replace trigger journal_guard before insert on guildhall.journal
    for each row execute function guildhall.guard_journal();

create or replace function guildhall.guard_run() returns trigger
language plpgsql volatile set search_path = '' as $$
begin
    if tg_op = 'INSERT' then
        if new.status = 'pending' and new.epoch = 0 and new.journal_position = 1 then
            return new;
        end if;
        raise exception using errcode = 'GH003', message = 'a run begins pending, at epoch 0, with its first journal entry';
    end if;
    if old.finished_at is not null then
        raise exception using errcode = 'GH003', message = format('run %s has ended: %s is final', old.id, old.status);
    end if;
    if new.epoch < old.epoch or new.journal_position < old.journal_position then
        raise exception using errcode = 'GH003', message = format(
            'run %s: epoch %s to %s, journal %s to %s refused', old.id, old.epoch, new.epoch,
            old.journal_position, new.journal_position);
    end if;
    if (new.status = 'running' and new.epoch > old.epoch)
        or (new.status = old.status and new.epoch = old.epoch)
        or (old.status = 'running' and new.status in ('waiting', 'completed', 'faulted') and new.epoch = old.epoch)
        or (new.status = 'cancelled' and new.epoch > old.epoch)
    then
        return new;
    end if;
    raise exception using errcode = 'GH003', message = format(
        'run %s: %s (epoch %s) to %s (epoch %s) is no transition', old.id, old.status, old.epoch, new.status, new.epoch);
end;
$$;
comment on function guildhall.guard_run() is
    'Refuses illegal transitions of a run: it becomes running under a new epoch only, and what has ended stays so.';

create or replace trigger run_guard before insert or update on guildhall.runs
    for each row execute function guildhall.guard_run();
-- A trigger of its own, by the columns that are set: comparing documents at every update would cost more than the update.
create or replace trigger run_document_stays before update of
    definition, digest, input, workflow_namespace, workflow_name, workflow_version, parent_run_id, parent_seq on guildhall.runs
    for each row execute function guildhall.guard_append_only();
create or replace trigger run_call_action_stays before update of action, key, step on guildhall.run_calls
    for each row execute function guildhall.guard_append_only();
create or replace trigger workflow_append_only before update or delete on guildhall.workflows
    for each row execute function guildhall.guard_append_only();
create or replace trigger workflow_never_truncated before truncate on guildhall.workflows
    for each statement execute function guildhall.guard_append_only();

create or replace function guildhall.guard_run_call() returns trigger
language plpgsql volatile set search_path = '' as $$
begin
    if tg_op = 'INSERT' then
        if new.state = 'queued' and new.epoch = 0 then
            return new;
        end if;
        raise exception using errcode = 'GH003', message = 'a call begins queued, at epoch 0';
    end if;
    if old.finished_at is not null or new.run_id <> old.run_id or new.seq <> old.seq then
        raise exception using errcode = 'GH003', message = format(
            'call %s of run %s: its end is final', old.seq, old.run_id);
    end if;
    if (new.state = 'leased' and new.epoch > old.epoch)
        or (new.state = old.state and new.epoch = old.epoch)
        or (old.state = 'leased' and new.state in ('succeeded', 'failed') and new.epoch = old.epoch)
        or (new.state = 'cancelled' and new.epoch = old.epoch)
    then
        return new;
    end if;
    raise exception using errcode = 'GH003', message = format(
        'call %s of run %s: %s (epoch %s) to %s (epoch %s) is no transition',
        old.seq, old.run_id, old.state, old.epoch, new.state, new.epoch);
end;
$$;
comment on function guildhall.guard_run_call() is
    'Refuses illegal transitions of a call: each lease has a new epoch, and an end is final.';

create or replace trigger run_call_guard_insert before insert on guildhall.run_calls
    for each row execute function guildhall.guard_run_call();
-- Not for renewals, which change neither state nor epoch and come often.
create or replace trigger run_call_guard before update on guildhall.run_calls
    for each row when (
        old.state is distinct from new.state or old.epoch is distinct from new.epoch or old.finished_at is not null
        or old.seq is distinct from new.seq
    ) execute function guildhall.guard_run_call();

create or replace function guildhall.guard_request() returns trigger
language plpgsql volatile set search_path = '' as $$
begin
    if tg_op = 'INSERT' then
        if new.state = 'queued' and new.epoch = 0 then
            return new;
        end if;
        raise exception using errcode = 'GH003', message = 'a request begins queued, at epoch 0';
    end if;
    if old.finished_at is not null then
        -- What became of a dead letter is written on it, once, and nothing else.
        if old.letter = 'open' and new.letter in ('retried', 'discarded')
            and to_jsonb(new) - 'letter' = to_jsonb(old) - 'letter'
        then
            return new;
        end if;
        raise exception using errcode = 'GH003', message = format(
            'request %s has ended: %s is final', old.id, old.state);
    end if;
    if new.run_id is distinct from old.run_id or new.step is distinct from old.step or new.skill <> old.skill
        or new.seq is distinct from old.seq
    then
        raise exception using errcode = 'GH003', message = format('request %s: what was asked is final', old.id);
    end if;
    if (new.state = 'leased' and new.epoch > old.epoch and new.attempt = old.attempt + 1)
        or (new.state = old.state and new.epoch = old.epoch and new.attempt = old.attempt)
        or (old.state = 'leased' and new.state in ('queued', 'succeeded', 'failed', 'rejected', 'dead') and new.epoch = old.epoch)
        or (new.state in ('timed_out', 'cancelled') and new.epoch = old.epoch)
    then
        return new;
    end if;
    raise exception using errcode = 'GH003', message = format(
        'request %s: %s (epoch %s) to %s (epoch %s) is no transition',
        old.id, old.state, old.epoch, new.state, new.epoch);
end;
$$;
comment on function guildhall.guard_request() is
    'Refuses illegal transitions of a request: each lease is a new attempt under a new epoch, and an end is final.';

create or replace trigger request_guard_insert before insert on guildhall.requests
    for each row execute function guildhall.guard_request();
-- Not for renewals, which change neither state nor epoch and come often.
create or replace trigger request_guard before update on guildhall.requests
    for each row when (
        old.state is distinct from new.state or old.epoch is distinct from new.epoch
        or old.attempt is distinct from new.attempt or old.finished_at is not null
        or old.run_id is distinct from new.run_id or old.step is distinct from new.step
        or old.skill is distinct from new.skill
    ) execute function guildhall.guard_request();

create or replace function guildhall.guard_approval() returns trigger
language plpgsql volatile set search_path = '' as $$
begin
    if tg_op = 'INSERT' then
        if new.state = 'pending' then
            return new;
        end if;
        raise exception using errcode = 'GH003', message = 'an approval begins pending';
    end if;
    if new.run_id <> old.run_id or new.step <> old.step or new.action <> old.action
        or new.action_hash <> old.action_hash or new.risk <> old.risk or new.requester <> old.requester
        or new.expires_at <> old.expires_at
    then
        raise exception using errcode = 'GH003', message = format('approval %s: what was asked is final', old.id);
    end if;
    if old.state = 'pending' and new.consumed_at is null then
        return new;
    end if;
    if old.state = 'approved' and new.state = 'approved' and old.consumed_at is null
        and new.decided_by = old.decided_by and new.decided_at = old.decided_at
        and new.reason is not distinct from old.reason
    then
        return new;
    end if;
    raise exception using errcode = 'GH003', message = format(
        'approval %s is %s%s: that is final', old.id, old.state,
        case when old.consumed_at is null then '' else ' and used' end);
end;
$$;
comment on function guildhall.guard_approval() is
    'Refuses to change what was asked, to decide twice, and to use an approval twice.';

create or replace trigger approval_guard before insert or update on guildhall.approvals
    for each row execute function guildhall.guard_approval();

create or replace function guildhall.guard_lock() returns trigger
language plpgsql volatile set search_path = '' as $$
begin
    if tg_op = 'UPDATE' then
        raise exception using errcode = 'GH003', message = format(
            'lock %s: its fencing token only rises (%s to %s refused)',
            old.resource, old.fencing_token, new.fencing_token);
    end if;
    raise exception using errcode = 'GH004', message = format(
        '%s of locks refused: a fencing token must rise for ever', lower(tg_op));
end;
$$;
comment on function guildhall.guard_lock() is 'Refuses a fencing token that does not rise, and to forget a lock.';

-- The condition keeps the function out of every grant.
create or replace trigger lock_rises before update on guildhall.locks
    for each row when (new.resource <> old.resource or new.fencing_token <= old.fencing_token)
    execute function guildhall.guard_lock();
create or replace trigger lock_guard before delete on guildhall.locks
    for each row execute function guildhall.guard_lock();
create or replace trigger lock_never_truncated before truncate on guildhall.locks
    for each statement execute function guildhall.guard_lock();
