//! What a crash of the server may take with it, and what not: some commits do not wait for the disk.

use guildhall_testkit::{Database, Postgres};
use tokio_postgres::Client;

/// A server on which nothing reaches the disk but what a commit waits for.
async fn forgetful() -> (Postgres, Database) {
    let server = Postgres::start().await.expect("Postgres starts");
    let database = server.database().await.expect("a database");
    let client = database.client().await.expect("connects");
    // With its longest pause, the WAL writer does not come by in the middle of a test.
    for setting in ["wal_writer_delay = '10s'", "wal_writer_flush_after = 0"] {
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

const WAIT: &str =
    "select ticket::text from guildhall.lock_acquire('l', 'HOLDER', null, 30, 'x', 'exclusive', 30)";

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_was_lost_gives_nobody_the_lock_of_another() {
    let (server, database) = forgetful().await;
    let client = database.client().await.expect("connects");
    text(
        &client,
        "select outcome from guildhall.lock_acquire('l', 'a', null, 30, 'x')",
    )
    .await;
    let lost = text(&client, &WAIT.replace("HOLDER", "b")).await;
    crash(&server).await;
    let client = database.client().await.expect("connects");
    let given = text(&client, &WAIT.replace("HOLDER", "c")).await;
    assert_eq!(lost, given, "the ticket comes again, or this test shows nothing");
    text(&client, "select outcome from guildhall.lock_release('l', 'a', 1)").await;
    // The lost waiter's handler is still there and asks on.
    let status = |holder| format!("select outcome from guildhall.lock_wait_status({given}, '{holder}')");
    assert_eq!(text(&client, &status("b")).await, "timed_out");
    assert_eq!(text(&client, &status("c")).await, "acquired");
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
