//! Reading events while others still write: what lies behind a reader's position never comes to be before it.
//!
//! The other tests of the schema read past transactions that are still open (tests/sql/setup.sql), so that they do not
//! wait for each other. These do not.

use crate::support::migrated;
use guildhall_testkit::{Database, seed::rng};
use rand::Rng;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_postgres::Client;

const EMIT: &str = "select guildhall.outbox_emit('dev.guildhall.test.v1', $1, '{}', guildhall.clock())";

/// Somebody who always goes on behind the last position that he saw.
struct Reader {
    client: Client,
    position: String,
    seen: Vec<String>,
}

impl Reader {
    async fn new(database: &Database) -> Reader {
        Reader {
            client: database.client().await.expect("connects"),
            position: "0-0".into(),
            seen: Vec::new(),
        }
    }

    /// Reads one page; the subjects on it.
    async fn look(&mut self) -> Vec<String> {
        let sql = r#"select e.item -> 'event' ->> 'subject', l."position"
            from guildhall.event_list($1, null, null, null, 1000) l
            left join jsonb_array_elements(l.events) with ordinality e (item, place) on true order by e.place"#;
        let rows = self.client.query(sql, &[&self.position]).await.expect("reads");
        self.position = rows[0].get(1);
        let page: Vec<String> = rows
            .iter()
            .filter_map(|row| row.get::<_, Option<String>>(0))
            .collect();
        self.seen.extend(page.iter().cloned());
        page
    }

    /// Reads until so many events were seen in all. Writers elsewhere on the server may hold that up, for a moment.
    async fn until(&mut self, count: usize) {
        while self.seen.len() < count {
            self.look().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn emit(client: &Client, subject: &str) {
    client.execute(EMIT, &[&subject]).await.expect("emits");
}

/// One transaction is open, with an event; a later one commits. Whether the reader has seen both in the end.
async fn an_open_transaction_is_not_overtaken(database: &Database) -> bool {
    let (early, late) = (
        database.client().await.expect("connects"),
        database.client().await.expect("connects"),
    );
    let mut reader = Reader::new(database).await;
    early.batch_execute("begin").await.expect("begins");
    emit(&early, "early").await;
    emit(&late, "late").await;
    let before = reader.look().await;
    early.batch_execute("commit").await.expect("commits");
    if !before.is_empty() {
        reader.look().await;
        return reader.seen.len() == 2;
    }
    reader.until(2).await;
    assert_eq!(
        reader.seen,
        ["early", "late"],
        "in the order of their transactions"
    );
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_past_a_transaction_that_is_open() {
    assert!(an_open_transaction_is_not_overtaken(&migrated().await).await);
    // The same with the rule taken out: the reader goes on behind what comes to be before his position.
    let careless = migrated().await;
    careless
        .client()
        .await
        .expect("connects")
        .batch_execute(
            "create or replace function guildhall.event_horizon() returns xid8 language sql stable set search_path = '' as
             $$ select pg_snapshot_xmax(pg_current_snapshot()) $$",
        )
        .await
        .expect("replaces");
    assert!(
        !an_open_transaction_is_not_overtaken(&careless).await,
        "without the rule an event is skipped, or this test shows nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_does_not_publish_past_it_either() {
    let database = migrated().await;
    let (early, late, relay) = (
        database.client().await.expect("connects"),
        database.client().await.expect("connects"),
        database.client().await.expect("connects"),
    );
    let claim = async || {
        let rows = relay
            .query(
                r#"select event ->> 'subject', "position" from guildhall.outbox_claim('r', 100, 30)"#,
                &[],
            )
            .await
            .expect("claims");
        if let Some(last) = rows.last() {
            relay
                .execute(
                    "select guildhall.outbox_published($1, 'r')",
                    &[&last.get::<_, String>(1)],
                )
                .await
                .expect("publishes");
        }
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    early.batch_execute("begin").await.expect("begins");
    emit(&early, "early").await;
    emit(&late, "late").await;
    assert!(claim().await.is_empty());
    early.batch_execute("commit").await.expect("commits");
    let mut published = Vec::new();
    while published.len() < 2 {
        published.extend(claim().await);
    }
    assert_eq!(published, ["early", "late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_transaction_that_waited_for_a_subject_comes_after_it() {
    let database = migrated().await;
    let (older, newer) = (
        database.client().await.expect("connects"),
        database.client().await.expect("connects"),
    );
    newer
        .batch_execute(
            r#"select guildhall.agent_register('{"name": "a", "skills": [{"id": "fly"}]}', 3600);
               select guildhall.request_submit('{"skill": "fly", "input": {}}', 'ada', null, null, '{}')"#,
        )
        .await
        .expect("sets up");
    // Its number is given out first, and it comes to the request last.
    older
        .batch_execute("begin; select pg_current_xact_id()")
        .await
        .expect("begins");
    newer
        .batch_execute("begin; select guildhall.request_claim('w', 10, 30)")
        .await
        .expect("claims");
    let cancelling = tokio::spawn(async move {
        older
            .batch_execute(
                "select guildhall.request_cancel(id::text, 'ada', 'x') from guildhall.requests; commit",
            )
            .await
    });
    let watch = database.client().await.expect("connects");
    let waiting = "select exists (select from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock')";
    while !watch
        .query_one(waiting, &[])
        .await
        .expect("reads")
        .get::<_, bool>(0)
    {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    newer.batch_execute("commit").await.expect("commits");
    cancelling.await.expect("no panic").expect("cancels");
    let types =
        "select string_agg(split_part(type, '.', 4), ' ' order by position_xid, id) from guildhall.events
        where type like 'dev.guildhall.request.%'";
    let order: String = watch.query_one(types, &[]).await.expect("reads").get(0);
    assert_eq!(order, "queued leased cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_everything_once_whatever_the_order_of_commits() {
    const WRITERS: usize = 4;
    const EACH: usize = 25;
    let database = migrated().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let client = database.client().await.expect("connects");
        let mut rng = rng(&format!("writer {writer}"));
        writers.spawn(async move {
            for number in 0..EACH {
                client.batch_execute("begin").await.expect("begins");
                emit(&client, &format!("{writer}/{number}")).await;
                tokio::time::sleep(Duration::from_micros(rng.random_range(0..6000))).await;
                client.batch_execute("commit").await.expect("commits");
            }
        });
    }
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let mut reader = Reader::new(&database).await;
        readers.spawn(async move {
            reader.until(WRITERS * EACH).await;
            reader.look().await;
            reader.seen
        });
    }
    let mut orders = BTreeSet::new();
    while let Some(seen) = readers.join_next().await {
        let seen = seen.expect("no panic");
        assert_eq!(seen.len(), WRITERS * EACH, "nothing twice");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), WRITERS * EACH);
        orders.insert(seen);
    }
    assert_eq!(orders.len(), 1, "in one order for all readers");
    writers.join_all().await;
}
