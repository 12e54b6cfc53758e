-- Figures for Prometheus. Read from the tables at each scrape, so they are what is there, not what was counted.

create or replace function guildhall.metrics()
returns table (name text, family text, type text, help text, labels jsonb, value double precision)
language plpgsql volatile set search_path = '' as $$
declare
    v_now timestamptz := guildhall.clock();
begin
    return query
    with run_states (status) as (
        values ('pending'), ('running'), ('waiting'), ('suspended'), ('completed'), ('faulted'), ('cancelled')
    ), approval_states (state) as (
        values ('pending'), ('approved'), ('rejected'), ('expired'), ('cancelled')
    ), durations as materialized (
        -- One pass over the requests that have ended, however many buckets there are.
        select d.skill, count(*) as total, sum(d.seconds) as seconds, array[
            count(*) filter (where d.seconds <= 0.1), count(*) filter (where d.seconds <= 0.5),
            count(*) filter (where d.seconds <= 1), count(*) filter (where d.seconds <= 2.5),
            count(*) filter (where d.seconds <= 5), count(*) filter (where d.seconds <= 10),
            count(*) filter (where d.seconds <= 30), count(*) filter (where d.seconds <= 60),
            count(*) filter (where d.seconds <= 300), count(*) filter (where d.seconds <= 900), count(*)
        ] as counts
        from (
            select r.skill, extract(epoch from r.finished_at - r.created_at) as seconds
            from guildhall.requests r where r.finished_at is not null
        ) d
        group by d.skill
    ), samples (rank, name, family, type, help, labels, value) as (
        select 1, 'guildhall_runs', 'guildhall_runs', 'gauge', 'Runs by status.',
            jsonb_build_object('status', s.status), count(r.id)::float8
        from run_states s
        left join guildhall.runs r on case when r.suspended then 'suspended' else r.status end = s.status
        group by s.status
        union all
        select 2, 'guildhall_requests', 'guildhall_requests', 'gauge', 'Requests by state and skill.',
            jsonb_build_object('state', r.state, 'skill', r.skill), count(*)::float8
        from guildhall.requests r
        group by r.state, r.skill
        union all
        select 3, 'guildhall_oldest_open_request_age_seconds', 'guildhall_oldest_open_request_age_seconds', 'gauge',
            'Age of the oldest request that has not ended; 0 when there is none.', '{}',
            coalesce(extract(epoch from v_now - min(r.created_at)), 0)::float8
        from guildhall.requests r where r.finished_at is null
        union all
        select 4, 'guildhall_request_duration_seconds_bucket', 'guildhall_request_duration_seconds', 'histogram',
            'Time from accepting a request to its end.', jsonb_build_object('skill', d.skill, 'le', b.le), b.count::float8
        from durations d
        cross join unnest(array['0.1', '0.5', '1', '2.5', '5', '10', '30', '60', '300', '900', '+Inf'], d.counts)
            b (le, count)
        union all
        select 4, 'guildhall_request_duration_seconds_sum', 'guildhall_request_duration_seconds', 'histogram',
            'Time from accepting a request to its end.', jsonb_build_object('skill', d.skill), d.seconds::float8
        from durations d
        union all
        select 4, 'guildhall_request_duration_seconds_count', 'guildhall_request_duration_seconds', 'histogram',
            'Time from accepting a request to its end.', jsonb_build_object('skill', d.skill), d.total::float8
        from durations d
        union all
        select 5, 'guildhall_approvals', 'guildhall_approvals', 'gauge', 'Approvals by state and risk tier.',
            jsonb_build_object('state', s.state, 'tier', coalesce(a.risk ->> 'tier', 'none')), count(a.id)::float8
        from approval_states s left join guildhall.approvals a on a.state = s.state
        group by s.state, a.risk ->> 'tier'
        union all
        select 6, 'guildhall_oldest_pending_approval_age_seconds', 'guildhall_oldest_pending_approval_age_seconds',
            'gauge', 'How long the oldest pending approval has waited; 0 when there is none.', '{}',
            coalesce(extract(epoch from v_now - min(a.created_at)), 0)::float8
        from guildhall.approvals a where a.state = 'pending'
        union all
        select 7, 'guildhall_locks_held', 'guildhall_locks_held', 'gauge', 'Locks held now.', '{}', count(*)::float8
        from guildhall.lock_grants g where g.expires_at > v_now
        union all
        select 7, 'guildhall_lock_waiters', 'guildhall_lock_waiters', 'gauge', 'Waiters for locks now.', '{}',
            count(*)::float8
        from guildhall.lock_waiters w where w.state in ('waiting', 'due')
        union all
        select 8, 'guildhall_lock_grants_total', 'guildhall_lock_grants_total', 'counter',
            'Grants of locks since the database was made.', '{}', coalesce(sum(l.grants), 0)::float8
        from guildhall.locks l
        union all
        select 9, 'guildhall_outbox_unpublished', 'guildhall_outbox_unpublished', 'gauge',
            'Events that wait to be published.', '{}', count(*)::float8
        from guildhall.events e, guildhall.relay y
        where (e.position_xid, e.id) > (y.position_xid, y.position_id)
        union all
        select 10, 'guildhall_outbox_oldest_age_seconds', 'guildhall_outbox_oldest_age_seconds', 'gauge',
            'Age of the oldest event that waits to be published; 0 when there is none.', '{}',
            coalesce(extract(epoch from v_now - min(e.at)), 0)::float8
        from guildhall.events e, guildhall.relay y
        where (e.position_xid, e.id) > (y.position_xid, y.position_id)
        union all
        select 11, 'guildhall_agents', 'guildhall_agents', 'gauge', 'Registered agents by status.',
            jsonb_build_object('status', s.status), count(l.agent_id)::float8
        from (values ('active'), ('busy'), ('draining'), ('suspect'), ('offline')) s (status)
        left join guildhall.agent_liveness l
            on guildhall.agent_status(l.reported, l.expires_at, l.probe_failures, v_now) = s.status
        group by s.status
        union all
        select 12, 'guildhall_ticker_swept_age_seconds', 'guildhall_ticker_swept_age_seconds', 'gauge',
            'Time since the last sweep; -1 when there was none.', '{}',
            coalesce(extract(epoch from v_now - t.swept_at), -1)::float8
        from guildhall.ticker t
    )
    select s.name, s.family, s.type, s.help, s.labels, s.value
    from samples s
    order by s.rank, s.labels ->> 'skill', s.name, (s.labels ->> 'le')::float8 nulls last, s.labels;
end;
$$;
comment on function guildhall.metrics() is
    'Samples in the order of the Prometheus text format, those of a family next to each other.';
