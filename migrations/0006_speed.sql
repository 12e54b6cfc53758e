-- What is asked often is answered without reading everything.

-- What stands in the way of a lock is told up to a limit, and as columns: most who ask want to know only whether anything does.
drop function if exists guildhall.lock_blockers(text, text, text, uuid, smallint, bigint);

-- A lease takes one of the agent's numbered seats instead of a row that all leases for the agent would lock one after the
-- other, each until its commit is on disk.
drop function if exists guildhall.request_slot(uuid, text, text, boolean, timestamptz);
drop function if exists guildhall.request_lease(uuid, text, text, bigint, timestamptz);
drop table guildhall.agent_slots;
alter table guildhall.requests add column seat integer check (seat >= 1);
update guildhall.requests r set seat = x.seat
from (
    select q.id, row_number() over (partition by q.agent order by q.id) as seat
    from guildhall.requests q where q.state = 'leased'
) x
where r.id = x.id;
drop index guildhall.requests_busy;
create unique index requests_busy on guildhall.requests (agent, seat) where state = 'leased';
comment on column guildhall.requests.seat is
    'Which of its agent''s places an attempt has, 1 to max_concurrency; of the last attempt once it is over.';
