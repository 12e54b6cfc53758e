//! What a crash of the server may take with it, and what not: some commits do not wait for the disk.

use guildhall_testkit::{Database, Postgres};
use tokio_postgres::Client;

/// A server on which nothing reaches the disk but what a commit waits for.
async fn forgetful() -> (Postgres, Database) {
    let server = Postgres::start().await.expect("Postgres starts");
    let database = server.database().await.expect("a database");
    let client = database.client().await.expect("connects");
    // With its longest pause, the WAL writer does not come by in the middle of a test.
    // Nor by an image of each page that is touched first, which would fill the log so that it has to be written.
    for setting in [
        "wal_writer_delay = '10s'",
        "wal_writer_flush_after = 0",
        "full_page_writes = off",
    ] {
        client
            .batch_execute(&format!("alter system set {setting}"))
            .await
            .expect("sets");
    }
    // Told to read its settings again, the WAL writer would do so at a time of its own.
    crash(&server).await;
    (server, database)
}

async fn crash(server: &Postgres) {
    server.crash().await.expect("crashes");
    server.restart().await.expect("starts again");
}

async fn text(client: &Client, sql: &str) -> String {
    let row = client.query_one(sql, &[]).await;
    row.unwrap_or_else(|error| panic!("{error:?}: {sql}"))
        .get::<_, Option<String>>(0)
        .unwrap_or_else(|| "null".into())
}

/// How often the machine may keep what it need not: a commit that ends on another page of the log has it written.
const LUCKY: usize = 20;

async fn wait(client: &Client, lock: &str, holder: &str) -> String {
    let sql = format!(
        "select ticket::text from guildhall.lock_acquire('{lock}', '{holder}', null, 300, 'x', 'exclusive', 30)"
    );
    text(client, &sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_was_lost_gives_nobody_the_lock_of_another() {
    let (server, database) = forgetful().await;
    for attempt in 0..LUCKY {
        let lock = format!("l{attempt}");
        let client = database.client().await.expect("connects");
        // The next number is one that has to be written down.
        let number = format!(
            "select setval('guildhall.lock_waiters_ticket_seq', {})::text",
            1000 * (attempt + 1)
        );
        text(&client, &number).await;
        let take = format!("select outcome from guildhall.lock_acquire('{lock}', 'a', null, 300, 'x')");
        text(&client, &take).await;
        let lost = wait(&client, &lock, "b").await;
        crash(&server).await;
        let client = database.client().await.expect("connects");
        let given = wait(&client, &lock, "c").await;
        if lost != given {
            continue;
        }
        let release = format!("select outcome from guildhall.lock_release('{lock}', 'a', 1)");
        text(&client, &release).await;
        // The lost waiter's handler is still there and asks on.
        let status = |holder| format!("select outcome from guildhall.lock_wait_status({given}, '{holder}')");
        assert_eq!(text(&client, &status("b")).await, "timed_out");
        assert_eq!(text(&client, &status("c")).await, "acquired");
        return;
    }
    panic!("the ticket never comes again, so this test shows nothing");
}

/// A run's advance is there after a crash, whatever it waits for: with its snapshot, or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_was_told_and_what_it_asked_for_is_not_lost() {
    let (server, database) = forgetful().await;
    let client = database.client().await.expect("connects");
    client
        .batch_execute(
            "select guildhall.run_start(jsonb_build_object('title', 't', 'digest', 'd', 'definition',
                 '{\"document\": {\"name\": \"n\"}}'::jsonb), 'ada', null, null, null, null, null);
             select guildhall.lock_acquire('l', 'a', null, 300, 'x');",
        )
        .await
        .expect("sets up");
    // Nothing of this tells of an event: a wait for a lock alone, which for others need not outlive the machine.
    let advance = "select a.outcome from guildhall.run_claim('w', 30, '[]') c, guildhall.run_advance(c.run_id::text, c.epoch,
        c.journal_position, '{\"n\": 1}', '[{\"action\": \"acquire\", \"step\": \"/s\", \"seq\": 1, \"locks\": [\"l\"]}]', '[]') a";
    assert_eq!(text(&client, advance).await, "advanced");
    crash(&server).await;
    let client = database.client().await.expect("connects");
    let kept = "select concat_ws(' ', r.state ->> 'n', r.status, w.run_seq) from guildhall.runs r
        join guildhall.lock_waiters w on w.run_id = r.id";
    assert_eq!(text(&client, kept).await, "1 waiting 1");
    // A release need not wait for the disk either; what it hands to a run is told in the same commit.
    text(&client, "select outcome from guildhall.lock_release('l', 'a', 1)").await;
    let pause = "select guildhall.run_pause((select id::text from guildhall.runs), 'ada')";
    text(&client, pause).await;
    crash(&server).await;
    let client = database.client().await.expect("connects");
    let told = "select string_agg(i.input ->> 'event', ' ' order by i.id) from guildhall.run_inbox i";
    assert_eq!(text(&client, told).await, "granted pause");
}

/// Calls that need not wait for the disk but tell of events, each with what comes before it.
const TELLING: &[(&str, &str)] = &[
    (
        "select guildhall.lock_acquire('l', 'a', null, 30, 'x', p_announced => true)",
        "select outcome from guildhall.lock_release('l', 'a', 1)",
    ),
    (
        "select guildhall.lock_acquire('m', 'a', null, 30, 'x');
         select guildhall.lock_acquire('n', 'b', null, 30, 'x');
         select guildhall.lock_acquire('n', 'a', null, 30, 'x', 'exclusive', 30)",
        "select outcome from guildhall.lock_acquire('m', 'b', null, 30, 'x', 'exclusive', 30)",
    ),
    (
        "select guildhall.agent_register('{\"name\": \"a\", \"skills\": []}', 30);
         update guildhall.agent_liveness set known = 'offline'",
        "select outcome from guildhall.agent_heartbeat('a', null, null)",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_can_be_read_is_not_lost() {
    const EVENTS: &str = "select events::text from guildhall.event_list(null, null, null, null, 1000)";
    let (server, database) = forgetful().await;
    for (before, call) in TELLING {
        let client = database.client().await.expect("connects");
        client.batch_execute(before).await.expect("sets up");
        let earlier = text(&client, EVENTS).await;
        text(&client, call).await;
        let read = text(&client, EVENTS).await;
        assert_ne!(earlier, read, "{call} tells of something");
        crash(&server).await;
        let client = database.client().await.expect("connects");
        assert_eq!(text(&client, EVENTS).await, read, "after {call}");
    }
}
