//! Many sessions at once, at random: no deadlock, no broken row, and afterwards everything still comes to its end.

use crate::support::prepared;
use guildhall_testkit::seed::rng;
use rand::Rng;
use rand::seq::IndexedRandom;
use tokio_postgres::Client;

const SESSIONS: usize = 8;
const CALLS: usize = 120;

/// What a session may do; `STEP` stands for a step that nobody has begun. Each is one unit of work, or a claim and what
/// follows from it.
const CALLS_AT_RANDOM: &[&str] = &[
    "select guildhall.run_start(test.new_run(), 'ada', null, null, null, null, null)",
    "select a.outcome from guildhall.run_claim('w', 2, '[]') c, guildhall.run_advance(c.run_id::text, c.epoch, c.journal_position,
        '{}', jsonb_build_array(test.request_command('/do/0/STEP'), test.approval_command('/do/1/STEP'),
            test.command('timer', '/do/2/STEP', jsonb_build_object('at', guildhall.clock() + interval '1 s'))), '[]') a",
    "select a.outcome from guildhall.run_claim('w', 2, '[]') c, guildhall.run_advance(c.run_id::text, c.epoch, c.journal_position,
        '{}', jsonb_build_array(test.command('http', '/do/3/STEP'), test.command('subscribe', '/do/4/STEP', '{\"filters\": [{}]}'),
            test.command('start_child', '/do/5/STEP', jsonb_build_object('namespace', 'tests', 'name', 'child', 'version', 'latest',
                'wait', random() < 0.5))), '[{\"type\": \"x\"}]') a",
    // Locks in an order of every run's own, so that there are deadlocks to resolve.
    "select a.outcome from guildhall.run_claim('w', 2, '[]') c, guildhall.run_advance(c.run_id::text, c.epoch, c.journal_position,
        '{}', jsonb_build_array(test.command('acquire', '/do/6/STEP', jsonb_build_object('locks', (
            select jsonb_agg(distinct 'l' || (random() * 3)::int) from generate_series(1, 2)), 'fences', (
            select coalesce(jsonb_agg(jsonb_build_object('lock', g.resource, 'token', g.fencing_token)), '[]')
            from guildhall.lock_grants g where g.run_id = c.run_id)))), '[]') a",
    "select a.outcome from guildhall.run_claim('w', 2, '[]') c, guildhall.run_advance(c.run_id::text, c.epoch, c.journal_position,
        '{}', coalesce((select jsonb_agg(test.command('release', '', jsonb_build_object('target', split_part(g.holder, '/', 3)::bigint,
            'locks', '[]'::jsonb))) from guildhall.lock_grants g where g.run_id = c.run_id), '[]'), '[]') a",
    "select a.outcome from guildhall.run_claim('w', 2, '[]') c, guildhall.run_advance(c.run_id::text, c.epoch, c.journal_position,
        '{}', coalesce((select jsonb_agg(test.command('cancel', '', jsonb_build_object('target', t.seq))) from (
            select q.seq from guildhall.requests q where q.run_id = c.run_id
            union all select q.seq from guildhall.approvals q where q.run_id = c.run_id
            union all select q.seq from guildhall.run_calls q where q.run_id = c.run_id
            union all select q.parent_seq from guildhall.runs q where q.parent_run_id = c.run_id and q.parent_seq is not null
            union all select q.run_seq from guildhall.lock_waiters q where q.run_id = c.run_id and q.run_seq is not null) t), '[]'), '[]') a
        where random() < 0.5",
    "select a.outcome from guildhall.run_claim('w', 2, '[]') c, guildhall.run_advance(c.run_id::text, c.epoch, c.journal_position,
        '{}', jsonb_build_array(test.end_command('fault')), '[]') a where random() < 0.2",
    "select guildhall.run_claim('slow', 1, '[]')",
    "select guildhall.run_call_claim('w', 3, 1)",
    "select guildhall.run_call_finish(run_id::text, seq, epoch, '1', null) from
        (select * from guildhall.run_calls where state = 'leased' order by random() limit 1) c",
    "select guildhall.run_call_renew(run_id::text, seq, epoch, 1) from
        (select * from guildhall.run_calls where state = 'leased' order by random() limit 1) c",
    "select guildhall.run_pause(id::text, 'ada'), guildhall.run_resume(id::text, 'ada') from
        (select * from guildhall.runs order by random() limit 1) r",
    "select guildhall.event_publish(jsonb_build_object('specversion', '1.0', 'id', 'STEP', 'source', 's', 'type', 't'), 'ada')",
    "select guildhall.request_claim('d', 3, 1)",
    "select guildhall.request_complete(id::text, epoch, '{}') from
        (select * from guildhall.requests where state = 'leased' order by random() limit 1) r",
    "select guildhall.request_complete(id::text, epoch - 1, '{}') from
        (select * from guildhall.requests where state = 'leased' order by random() limit 1) r",
    "select guildhall.request_fail(id::text, epoch, '{\"code\": \"x\", \"detail\": \"d\", \"retryable\": true}') from
        (select * from guildhall.requests where state = 'leased' order by random() limit 1) r",
    "select guildhall.request_renew(id::text, epoch, 1) from
        (select * from guildhall.requests where state = 'leased' order by random() limit 1) r",
    "select guildhall.request_cancel(id::text, 'ada', 'x') from
        (select * from guildhall.requests where finished_at is null order by random() limit 1) r where random() < 0.2",
    "select guildhall.approval_decide(id::text, 'bob', 'person', 'approve', null) from
        (select * from guildhall.approvals where state = 'pending' order by random() limit 1) a",
    "select guildhall.approval_consume(a.id::text, a.action, a.request, a.epoch) from
        (select a.id, a.action, r.id::text as request, r.epoch from guildhall.approvals a
         join guildhall.requests r on r.run_id = a.run_id and r.state = 'leased'
         where a.state = 'approved' order by random() limit 1) a",
    "select guildhall.run_cancel(id::text, 'ada', 'x') from
        (select * from guildhall.runs where finished_at is null order by random() limit 1) r where random() < 0.1",
    "select guildhall.lock_acquire('l' || (random() * 2)::int || (array['', '/a', '/b'])[1 + (random() * 2)::int], 'h' || (random() * 3)::int,
        null, 1, 'x', (array['shared', 'exclusive'])[1 + (random())::int], (random() * 3)::int, (array['low', 'high'])[1 + (random())::int])",
    "select guildhall.lock_acquire_all('[{\"resource\": \"l2\"}, {\"resource\": \"l0\"}, {\"resource\": \"l1/b\", \"mode\": \"shared\"}]',
        'h' || (random() * 3)::int, null, 1, 'x', (random() * 3)::int, 'normal', false)",
    "select guildhall.lock_release(resource, holder, fencing_token) from
        (select * from guildhall.lock_grants order by random() limit 1) l",
    "select guildhall.lock_renew(resource, holder, fencing_token, 1) from
        (select * from guildhall.lock_grants order by random() limit 1) l",
    "select guildhall.lock_wait_status(ticket, holder) from (select * from guildhall.lock_waiters order by random() limit 1) w",
    "select guildhall.lock_wait_cancel(ticket, holder) from (select * from guildhall.lock_waiters order by random() limit 1) w",
    "select guildhall.lock_force_release(resource, 'ada', 'x') from
        (select * from guildhall.lock_grants order by random() limit 1) l where random() < 0.2",
    "select guildhall.ticker_tick('t' || (random() * 2)::int, 1)",
    "select guildhall.outbox_published(coalesce((select o.position from guildhall.outbox_claim('r', 5, 30) o order by o.position desc limit 1), '0-0'), 'r')",
    "select guildhall.agent_register(card, 3600) from guildhall.agents",
    "select test.pass_time('200 ms')",
];

async fn session(client: Client, number: usize) -> Vec<String> {
    let mut random = rng(&format!("crowd {number}"));
    let mut failures = Vec::new();
    for call in 0..CALLS {
        let text = CALLS_AT_RANDOM.choose(&mut random).expect("there are calls");
        let sql = text.replace("STEP", &format!("{number}-{call}-{}", random.random::<u32>()));
        if let Err(error) = client.query(&sql, &[]).await {
            failures.push(format!("{error:?}: {sql}"));
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_leaves_nothing_broken_and_nothing_behind() {
    let database = prepared().await;
    let client = database.client().await.expect("connects");
    client
        .batch_execute(
            "select test.agent('code-review', 'review_change');
             select test.workflow();
             set statement_timeout = '60s';
             select test.run() from generate_series(1, 10);",
        )
        .await
        .expect("sets up");
    let mut sessions = Vec::new();
    for number in 0..SESSIONS {
        let client = database.client().await.expect("connects");
        sessions.push(tokio::spawn(session(client, number)));
    }
    let mut failures = Vec::new();
    for session in sessions {
        failures.extend(session.await.expect("no panic"));
    }
    // A claim that somebody else overtook may answer `stale`; an exception, a deadlock or a timeout is a fault.
    assert!(failures.is_empty(), "{failures:#?}");

    let count = |sql: &'static str| {
        let client = &client;
        async move { client.query_one(sql, &[]).await.expect("counts").get::<_, i64>(0) }
    };
    let begun = count("select count(*) from guildhall.requests").await;
    let ended = count("select count(*) from guildhall.requests where state = 'succeeded'").await;
    assert!(
        begun >= 10 && ended >= 1,
        "the crowd did something: {begun} steps begun, {ended} succeeded"
    );

    // The crowd is gone. Time passes, and whoever looks finds the work and ends it.
    for round in 0..200 {
        let open = count("select count(*) from guildhall.runs where finished_at is null").await;
        if open == 0 {
            assert!(round > 0, "some runs were open");
            break;
        }
        client
            .batch_execute(
                "select test.pass_time('1 h');
                 select guildhall.agent_register(card, 3600) from guildhall.agents;
                 select guildhall.ticker_tick('t', 5);
                 select guildhall.run_call_finish(c.run_id::text, c.seq, c.epoch, '1', null) from guildhall.run_call_claim('d', 100, 30) c;
                 select guildhall.request_complete(c.request ->> 'request_id', (c.request ->> 'epoch')::bigint, '{}')
                 from guildhall.request_claim('d', 100, 30) c;
                 do $$ begin for n in 1 .. 20 loop
                     perform a.outcome from guildhall.run_claim('w', 30, '[]') c, guildhall.run_advance(
                         c.run_id::text, c.epoch, c.journal_position, '{}', jsonb_build_array(test.end_command()), '[]') a;
                 end loop; end $$;",
            )
            .await
            .expect("drains");
    }
    for (what, sql) in [
        (
            "runs",
            "select count(*) from guildhall.runs where finished_at is null",
        ),
        (
            "requests",
            "select count(*) from guildhall.requests where finished_at is null",
        ),
        (
            "approvals",
            "select count(*) from guildhall.approvals where state = 'pending'",
        ),
    ] {
        assert_eq!(count(sql).await, 0, "open {what} that nobody would end");
    }
    let broken = client
        .query("select b from test.broken_invariants() b", &[])
        .await
        .expect("invariants can be read");
    let broken: Vec<String> = broken.iter().map(|row| row.get(0)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}
