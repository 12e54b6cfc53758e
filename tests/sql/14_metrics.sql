select plan(18);

create function test.metric(p_name text, p_labels jsonb default '{}') returns float8
language sql as $$ select m.value from guildhall.metrics() m where m.name = p_name and m.labels = p_labels $$;

select is(test.metric('guildhall_runs', '{"status": "waiting"}'), 0::float8, 'metrics: a status without runs is 0');
select is(test.metric('guildhall_oldest_pending_approval_age_seconds'), 0::float8, 'metrics: no approval, no age');
select is(test.metric('guildhall_ticker_swept_age_seconds'), -1::float8, 'metrics: never swept');

select test.asked();
select test.requested('/do/0/a');
select test.claim_requests();
select guildhall.lock_acquire('l', 'h', null, 3600, 'x');
select test.pass_time('3 s');
select guildhall.request_complete(id::text, 1, '{}') from guildhall.requests;
select guildhall.ticker_tick('w', 5);
select test.pass_time('2 s');

select is(test.metric('guildhall_runs', '{"status": "waiting"}'), 2::float8, 'metrics: runs by status');
select is(test.metric('guildhall_requests', '{"state": "succeeded", "skill": "review_change"}'), 1::float8,
    'metrics: requests by state and skill');
select is(test.metric('guildhall_request_duration_seconds_sum', '{"skill": "review_change"}'), 3::float8, 'metrics: durations');
select is(test.metric('guildhall_request_duration_seconds_count', '{"skill": "review_change"}'), 1::float8, 'metrics: how many');
select is(test.metric('guildhall_request_duration_seconds_bucket', '{"skill": "review_change", "le": "2.5"}'), 0::float8,
    'metrics: a bucket below');
select is(test.metric('guildhall_request_duration_seconds_bucket', '{"skill": "review_change", "le": "5"}'), 1::float8,
    'metrics: a bucket above');
select is(test.metric('guildhall_request_duration_seconds_bucket', '{"skill": "review_change", "le": "+Inf"}'), 1::float8,
    'metrics: the last bucket is the count');
select is(test.metric('guildhall_approvals', '{"state": "pending", "tier": "high"}'), 1::float8, 'metrics: approvals by state and tier');
select is(test.metric('guildhall_oldest_pending_approval_age_seconds'), 5::float8, 'metrics: the oldest pending approval');
select is(test.metric('guildhall_locks_held'), 1::float8, 'metrics: locks held');
select is(test.metric('guildhall_outbox_oldest_age_seconds'), 5::float8, 'metrics: the oldest unpublished event');
select is(test.metric('guildhall_agents', '{"status": "active"}'), 1::float8, 'metrics: agents by status');
select is(test.metric('guildhall_ticker_swept_age_seconds'), 2::float8, 'metrics: the last sweep');
select is_empty($$select m.name, m.labels from guildhall.metrics() m group by 1, 2 having count(*) > 1$$,
    'metrics: no sample twice');
select is_empty($$
    select m.family from (select m.family, lag(m.family) over (order by m.ordinality) as before, m.ordinality
        from guildhall.metrics() with ordinality m (name, family, type, help, labels, value, ordinality)) m
    where m.family is distinct from m.before group by m.family having count(*) > 1$$,
    'metrics: the samples of a family stand together');

select * from finish();
