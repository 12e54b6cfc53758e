//! Runs tests/isolation/*.toml: two sessions that meet on the same rows, in every order.

use crate::support::{prepared, root};
use futures::StreamExt;
use guildhall_testkit::Database;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// How many run at the same time.
const AT_ONCE: usize = 4;

/// Takes out of a database whatever a case has left, and lets its numbers begin anew. Making a new one takes ten times as
/// long.
const CLEAR: &str = "
    rollback;
    set session_replication_role = replica;
    do $$
    declare
        v_table regclass;
    begin
        for v_table in
            select c.oid from pg_class c
            where c.relnamespace = 'guildhall'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        loop
            execute 'delete from ' || v_table;
        end loop;
        for v_table in select c.oid from pg_class c where c.relnamespace = 'guildhall'::regnamespace and c.relkind = 'S' loop
            execute 'alter sequence ' || v_table || ' restart';
        end loop;
        insert into guildhall.lock_floor default values;
        insert into guildhall.ticker default values;
        insert into guildhall.relay (position_xid, position_id) values ('0', 0);
        update test.time set now = '2030-01-01 12:00:00+00';
    end $$;
    set session_replication_role = origin;";

/// A file of tests/isolation.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    about: String,
    setup: String,
    /// The one call.
    pub a: String,
    /// The other.
    pub b: String,
    waits: [bool; 2],
    a_first: [String; 2],
    b_first: [String; 2],
    a_undone: String,
    b_undone: String,
    holds: Option<String>,
}

/// One order of a case.
struct Order {
    first: String,
    second: String,
    commit: bool,
    waits: bool,
    /// The first's answer and the second's.
    answers: [String; 2],
    label: &'static str,
}

impl Case {
    fn orders(&self) -> Vec<Order> {
        let order = |a_is_first: bool, commit: bool| {
            let (first, second, [answer, after_commit], after_undo, waits) = if a_is_first {
                (&self.a, &self.b, &self.a_first, &self.a_undone, self.waits[0])
            } else {
                (&self.b, &self.a, &self.b_first, &self.b_undone, self.waits[1])
            };
            Order {
                first: first.clone(),
                second: second.clone(),
                commit,
                waits,
                answers: [
                    answer.clone(),
                    if commit { after_commit } else { after_undo }.clone(),
                ],
                label: match (a_is_first, commit) {
                    (true, true) => "a, then b",
                    (false, true) => "b, then a",
                    (true, false) => "a undone, b",
                    (false, false) => "b undone, a",
                },
            }
        };
        vec![
            order(true, true),
            order(false, true),
            order(true, false),
            order(false, false),
        ]
    }
}

async fn answer(client: &Client, sql: &str) -> Result<String, String> {
    match client.query_one(sql, &[]).await {
        Ok(row) => Ok(row.get::<_, Option<String>>(0).unwrap_or_else(|| "null".into())),
        Err(error) => Err(error.as_db_error().map_or(error.to_string(), |refusal| {
            format!("{} {}", refusal.code().code(), refusal.message())
        })),
    }
}

/// Waits until the session of `pid` stands before a lock, or `done` says that it got through.
async fn stands_before_a_lock(watch: &Client, pid: i32, done: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if done() {
            return false;
        }
        let row = watch
            .query_opt(
                "select 1 from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'",
                &[&pid],
            )
            .await
            .expect("pg_stat_activity can be read");
        if row.is_some() {
            return true;
        }
        assert!(
            Instant::now() < deadline,
            "the second session neither waits nor ends"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A database with three sessions, which know its functions already: learning them takes longer than any case.
struct Stage {
    database: Database,
    first: Client,
    second: Arc<Client>,
    watch: Client,
    pid_of_second: i32,
}

impl Stage {
    async fn new() -> Stage {
        let database = prepared().await;
        let connect = async || database.client().await.expect("connects");
        let (first, second, watch) = (connect().await, connect().await, connect().await);
        let row = second.query_one("select pg_backend_pid()", &[]).await;
        Stage {
            pid_of_second: row.expect("a pid").get(0),
            second: Arc::new(second),
            database,
            first,
            watch,
        }
    }

    async fn clear(&self) {
        self.first.batch_execute(CLEAR).await.expect("clears");
    }

    async fn close(self) {
        // Dropping a database waits for sessions that are still connecting, so it must not block the thread they run on.
        tokio::task::spawn_blocking(move || drop(self.database))
            .await
            .expect("no panic");
    }
}

/// Stages that are free, each as a new one.
#[derive(Default)]
struct Pool(Mutex<Vec<Stage>>);

impl Pool {
    async fn take(&self) -> Stage {
        let free = self.0.lock().expect("no panic holds it").pop();
        match free {
            Some(stage) => stage,
            None => Stage::new().await,
        }
    }

    async fn give_back(&self, stage: Stage) {
        stage.clear().await;
        self.0.lock().expect("no panic holds it").push(stage);
    }
}

async fn run(pool: &Pool, order: Order, setup: &str, holds: Option<&str>) -> Result<(), String> {
    // A case that replaces a function must not leave that to others.
    let own = setup.contains("create ");
    let stage = if own {
        Stage::new().await
    } else {
        pool.take().await
    };
    let result = run_on(&stage, order, setup, holds).await;
    if own {
        stage.close().await;
    } else {
        pool.give_back(stage).await;
    }
    result
}

async fn run_on(stage: &Stage, order: Order, setup: &str, holds: Option<&str>) -> Result<(), String> {
    let Stage {
        first,
        watch,
        pid_of_second,
        ..
    } = stage;
    let second = stage.second.clone();
    first
        .batch_execute(setup)
        .await
        .map_err(|error| format!("setup: {error:?}"))?;

    first.batch_execute("begin").await.expect("begins");
    let first_answer = answer(first, &order.first).await?;
    let sql = order.second.clone();
    let later = tokio::spawn(async move { answer(&second, &sql).await });
    let waited = stands_before_a_lock(watch, *pid_of_second, || later.is_finished()).await;
    let end = if order.commit { "commit" } else { "rollback" };
    first.batch_execute(end).await.expect("ends");
    let second_answer = later.await.expect("no panic")?;

    let mut wrong = Vec::new();
    if [&first_answer, &second_answer] != [&order.answers[0], &order.answers[1]] {
        wrong.push(format!(
            "answers {:?}, wanted {:?}",
            [first_answer, second_answer],
            order.answers
        ));
    }
    if waited != order.waits {
        wrong.push(format!("waited: {waited}, wanted: {}", order.waits));
    }
    let broken = watch
        .query("select b from test.broken_invariants() b", &[])
        .await
        .expect("invariants can be read");
    wrong.extend(broken.iter().map(|row| row.get::<_, String>(0)));
    if let Some(holds) = holds {
        let row = watch
            .query_one(holds, &[])
            .await
            .map_err(|error| format!("holds: {error:?}"))?;
        if row.get::<_, Option<bool>>(0) != Some(true) {
            wrong.push(format!("does not hold: {holds}"));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("; "))
    }
}

/// All cases by file.
pub fn cases() -> Vec<(PathBuf, Case)> {
    let mut files: Vec<_> = std::fs::read_dir(root().join("tests/isolation"))
        .expect("tests/isolation is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).expect("readable");
            let case = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (file, case)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_that_meet_agree_in_every_order() {
    let (cases, pool) = (cases(), Pool::default());
    let orders = cases
        .iter()
        .flat_map(|(file, case)| case.orders().into_iter().map(move |order| (file, case, order)));
    let complaints: Vec<String> = futures::stream::iter(orders)
        .map(|(file, case, order)| {
            let (label, pool) = (order.label, &pool);
            async move {
                let result = run(pool, order, &case.setup, case.holds.as_deref()).await;
                result
                    .err()
                    .map(|why| format!("{} ({label}): {why}\n  {}", file.display(), case.about))
            }
        })
        .buffered(AT_ONCE)
        .filter_map(futures::future::ready)
        .collect()
        .await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    for stage in pool.0.into_inner().expect("no panic holds it") {
        stage.close().await;
    }
}
