create function test.outbox_commit(p_before boolean, p_after boolean) returns text
language plpgsql as $$
begin
    if p_before then
        perform guildhall.outbox_emit('dev.guildhall.test.v1', 'lazy', '1', guildhall.clock());
    end if;
    perform guildhall.commit_need_not_wait();
    if p_after then
        perform guildhall.outbox_emit('dev.guildhall.test.v1', 'lazy', '2', guildhall.clock());
    end if;
    return current_setting('synchronous_commit');
end;
$$;

select plan(45);

-- Who has told of something waits for the disk, whatever else he did.
select is(test.outbox_commit(false, false), 'off', 'commit_need_not_wait: nobody was told of anything');
select is(test.outbox_commit(true, false), 'on', 'commit_need_not_wait: not once an event was told of');
select is(test.outbox_commit(false, true), 'on', 'outbox_emit: makes the commit wait again');
select is(test.outbox_commit(false, false), 'off', 'commit_need_not_wait: each transaction for itself');
delete from guildhall.events where subject = 'lazy';

select ok(guildhall.event_horizon() > '0', 'event_horizon: is a transaction');

select guildhall.outbox_emit('dev.guildhall.test.v1', 'subject-' || n, jsonb_build_object('n', n), guildhall.clock())
from generate_series(1, 3) n;
select is(o.event - 'id', '{"specversion": "1.0", "source": "/guildhall", "type": "dev.guildhall.test.v1", "subject": "subject-1",
    "time": "2030-01-01T12:00:00+00:00", "datacontenttype": "application/json", "data": {"n": 1}}'::jsonb,
    'outbox_emit: a CloudEvent') from guildhall.events o where subject = 'subject-1';
select is((select count(distinct event ->> 'id') from guildhall.events), 3::bigint, 'outbox_emit: each with an id of its own');
select guildhall.outbox_emit('dev.guildhall.test.v1', 's', '1', guildhall.clock(), '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
select is((select event ->> 'traceparent' from guildhall.events where subject = 's'),
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'outbox_emit: carries the trace on');
-- Two sessions, of which one waits for the other, are in crates/store-native/tests/database/horizon.rs.
select ok(guildhall.event_position_xid() >= pg_current_xact_id()
    and guildhall.event_position_xid()::text::bigint >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1,
    'event_position_xid: behind all that had begun');
select guildhall.outbox_emit('dev.guildhall.test.v1', 's', '2', guildhall.clock());
select is((select array_agg(event -> 'data' order by position_xid, id) from guildhall.events where subject = 's'),
    array['1', '2']::jsonb[], 'outbox_emit: never before the last event of its subject');
update guildhall.events set position_xid = (pg_current_xact_id()::text::bigint + 1000000)::text::xid8 where subject = 's';
select is((select count(*) from guildhall.outbox_claim('w0', 100, 1)), 3::bigint,
    'outbox_claim: not what transactions may still come before');
update guildhall.events set position_xid = pg_current_xact_id() where subject = 's';
select test.pass_time('1 s');

select is((select array_agg(event -> 'data' -> 'n') from guildhall.outbox_claim('w1', 2, 30)), array['1', '2']::jsonb[],
    'outbox_claim: in order');
select is((select count(*) from guildhall.outbox_claim('w2', 2, 30)), 0::bigint, 'outbox_claim: one relay at a time');
select is((select array_agg(channel) from guildhall.outbox_claim('w1', 1, 30)), array['guildhall.events.dev.guildhall.test.v1'],
    'outbox_claim: the holder may ask again; on the channel of its type');
select max("position") as second from guildhall.outbox_claim('w1', 2, 30) \gset
select is(guildhall.outbox_published(:'second', 'w2'), 'stale', 'outbox_published: only by the holder');
select is(guildhall.outbox_published(:'second', 'w1'), 'advanced', 'outbox_published: moves the cursor');
select is(guildhall.outbox_published(:'second', 'w1'), 'stale', 'outbox_published: gives the lease back');
select is((select array_agg(event -> 'data') from guildhall.outbox_claim('w2', 10, 30)), array['{"n": 3}', '1', '2']::jsonb[],
    'outbox_claim: goes on behind the cursor');
select test.pass_time('30 s');
select is((select count(*) from guildhall.outbox_claim('w3', 10, 30)), 3::bigint,
    'outbox_claim: what was not reported in time comes again');
select is(guildhall.outbox_published('0-0', 'w3'), 'stale', 'outbox_published: the cursor never goes back');
select throws_ok($$select guildhall.outbox_published('x', 'w3')$$, 'GH001', null, 'event_position: is two numbers');
select is(p.xid::text || ' ' || p.id, '7 12', 'event_position: of a text') from guildhall.event_position('7-12') p;
select throws_ok($$select guildhall.outbox_claim('w', 501, 30)$$, 'GH001', null, 'outbox_claim: a bounded batch');

-- event_list
select is(jsonb_array_length(l.events) || ' ' || l.more, '5 false', 'event_list: all there is') from guildhall.event_list(null, null, null, null, 50) l;
select l."position" as pos, l.more as more from guildhall.event_list(null, null, null, null, 2) l \gset
select ok(:'more'::boolean, 'event_list: says that there is more');
select is(jsonb_array_length(l.events), 3, 'event_list: goes on behind a position') from guildhall.event_list(:'pos', null, null, null, 50) l;
select is(l.events #>> '{0,event,data,n}', '3', 'event_list: of a subject') from guildhall.event_list(null, null, 'subject-3', null, 50) l;
select is(jsonb_array_length(l.events), 0, 'event_list: of a type prefix') from guildhall.event_list(null, 'dev.guildhall.run.', null, null, 50) l;
select is(jsonb_array_length(l.events), 0, 'event_list: since') from guildhall.event_list(null, null, null, guildhall.clock()::text, 50) l;
select is(l.events -> 0 -> 'event' ->> 'id', (select event ->> 'id' from guildhall.events where subject = 'subject-1'),
    'event_list: gives the events as published') from guildhall.event_list(null, null, null, null, 50) l;
select l."position" as pos from guildhall.event_list('now', null, null, null, 50) l \gset
select guildhall.outbox_emit('dev.guildhall.test.v1', 'later', '1', guildhall.clock());
select is(jsonb_array_length(l.events), 1, 'event_list: from now on') from guildhall.event_list(:'pos', null, null, null, 50) l;
select throws_ok($$select guildhall.event_list('1', null, null, null, 5)$$, 'GH001', null, 'event_list: a position is one');
select is(l."position", '0-0', 'event_list: nothing yet, nothing lost') from guildhall.event_list('0-0', null, null, 'infinity', 5) l;

-- event_maintain
select is(guildhall.event_maintain(guildhall.clock(), 7), 2, 'event_maintain: the days that have not begun');
select is(guildhall.event_maintain(guildhall.clock(), 7), 0, 'event_maintain: once');
select test.pass_time('1 day');
select guildhall.outbox_emit('dev.guildhall.test.v1', 'tomorrow', '1', guildhall.clock());
select is((select count(*) from guildhall.events_20300102), 1::bigint, 'event_maintain: events go to their day');
select is((select count(*) from guildhall.event_list(null, null, 'tomorrow', null, 50) l where jsonb_array_length(l.events) = 1),
    1::bigint, 'event_list: over all days');
select test.pass_time('7 days');
select guildhall.event_maintain(guildhall.clock(), 7);
select ok(to_regclass('guildhall.events_20300102') is not null, 'event_maintain: keeps a week');
select is((select count(*) from guildhall.events_other), 0::bigint, 'event_maintain: deletes what is older from the common partition');
select test.pass_time('1 day');
select guildhall.event_maintain(guildhall.clock(), 7);
select ok(to_regclass('guildhall.events_20300102') is null, 'event_maintain: drops what is older');
select throws_ok($$select guildhall.event_maintain(guildhall.clock(), 0)$$, 'GH001', null, 'event_maintain: keeps a day at least');
select is(guildhall.outbox_published(:'pos', 'w9'), 'stale', 'outbox_published: not without a lease');

-- refusals of what comes over Redis
select guildhall.event_refuse('{"source": "/ci", "id": "7"}', 'input does not fit');
select is((select event #>> '{data,detail}' from guildhall.events where subject = '7'), 'input does not fit', 'event_refuse: is told');
select throws_ok($$select guildhall.event_refuse('{"source": "/ci"}', 'x')$$, 'GH001', null, 'event_refuse: about an event');
select is((select type from guildhall.events where subject = '7'), 'dev.guildhall.request.refused.v1', 'event_refuse: with its type');

select * from finish();
