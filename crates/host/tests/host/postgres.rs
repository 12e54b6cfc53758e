//! `spin:postgres` against a real server.

use guildhall_host::{HostOptions, Mode};
use guildhall_testkit::{Database, Postgres};
use serde_json::{Value, json};

use crate::support::{App, MODES, eventually, probe};

async fn database() -> Database {
    Postgres::shared()
        .await
        .expect("a Postgres server")
        .empty_database()
        .await
        .expect("a database")
}

/// The probe with `database` as its variable, allowed to reach it.
async fn start(database: &Database, mode: Mode, adjust: impl FnOnce(&mut HostOptions)) -> App {
    let manifest = format!(
        "[variables]\ndatabase = {{ required = true }}\n{}[component.probe.variables]\ndatabase = \"{{{{database}}}}\"\n",
        probe("allowed_outbound_hosts = [\"postgres://127.0.0.1:*\"]")
    );
    App::start_with(&manifest, mode, |options| {
        options
            .variables
            .insert("database".into(), database.keywords(None));
        adjust(options);
    })
    .await
}

/// The single value of a query made from outside the host.
async fn one(database: &Database, query: &str) -> i64 {
    database
        .client()
        .await
        .unwrap()
        .query_one(query, &[])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_makes_the_round_trip() {
    let database = database().await;
    for mode in MODES {
        let app = start(&database, mode, |_| {}).await;
        assert_eq!(
            app.get("/pg/types").await,
            json!({ "tried": 26, "wrong": [] }),
            "{mode:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_stream_whole_with_their_columns() {
    let database = database().await;
    for mode in MODES {
        let app = start(&database, mode, |_| {}).await;
        let many = app
            .post(
                "/pg/query",
                "SELECT i AS number, repeat('x', 100) FROM generate_series(1, 10000) i",
            )
            .await;
        assert_eq!(
            many["columns"],
            json!([["number", "DbDataType::Int32"], ["repeat", "DbDataType::Str"]])
        );
        let rows = many["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 10_000);
        assert_eq!(rows[9_999][0], "DbValue::Int32(10000)");

        // As in Spin, columns are known by the first row only.
        let none = app.post("/pg/query", "SELECT 1 WHERE false").await;
        assert_eq!(none, json!({ "columns": [], "rows": [] }));

        // As in Spin, these cannot be read.
        let unread = app.send("/pg/query", "SELECT now()").await;
        assert_eq!(unread.status, 500);
        assert!(unread.text().contains("Timestamptz"), "{}", unread.text());
        let other = app.post("/pg/query", "SELECT '1.2.3.4'::inet, NULL::inet").await;
        assert_eq!(other["columns"][0][1], "DbDataType::Other(\"inet\")");
        assert!(
            other["rows"][0][0]
                .as_str()
                .unwrap()
                .starts_with("DbValue::Unsupported("),
            "{other}"
        );
        assert_eq!(other["rows"][0][1], "DbValue::DbNull");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_carry_what_the_server_said() {
    let database = database().await;
    for mode in MODES {
        let app = start(&database, mode, |_| {}).await;
        let failed = app.post("/pg/query", "SELECT * FROM nowhere").await;
        assert_eq!(failed["sqlstate"], "42P01");
        assert_eq!(failed["message"], "relation \"nowhere\" does not exist");
        // The error comes in the middle of the rows.
        let late = app
            .post("/pg/query", "SELECT 10 / (5 - i) FROM generate_series(1, 9) i")
            .await;
        assert_eq!(late["sqlstate"], "22012");
        assert!(late["rows"].as_array().unwrap().len() <= 4, "{late}");
        let first = app.post("/pg/query", "SELECT 1 / 0").await;
        assert_eq!(first["sqlstate"], "22012");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_synchronous_functions_work_too() {
    let database = database().await;
    for mode in MODES {
        let app = start(&database, mode, |_| {}).await;
        let answer = app
            .post(
                "/pg/sync",
                "SELECT current_setting('application_name') AS name, 7",
            )
            .await;
        assert_eq!(answer["columns"], json!(["name", "?column?"]));
        assert_eq!(
            answer["rows"],
            json!([["DbValue::Str(\"synchronous\")", "DbValue::Int32(7)"]])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_servers_are_reached() {
    let database = database().await;
    for mode in MODES {
        let app = start(&database, mode, |_| {}).await;
        for (address, cause) in [
            ("host=localhost port=1 user=x", "not permitted"),
            ("host=/var/run/postgresql user=x", "not permitted"),
            (
                "host=127.0.0.1,10.0.0.1 user=x",
                "address postgres://10.0.0.1 is not permitted",
            ),
            ("host=127.0.0.1 port=1 user=x connect_timeout=2", "refused"),
            ("nonsense", "invalid connection string"),
        ] {
            let reply = app.send("/pg/open", address).await;
            assert_eq!(reply.status, 500);
            assert!(reply.text().contains(cause), "{address}: {}", reply.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_cleaned_between_guests() {
    let database = database().await;
    for mode in MODES {
        let app = start(&database, mode, |_| {}).await;
        app.post(
            "/pg/script",
            "SET application_name = 'mine'; CREATE TEMP TABLE t (i int); SELECT pg_advisory_lock(7)",
        )
        .await;
        let answer = app
            .post(
                "/pg/query",
                "SELECT current_setting('application_name'), to_regclass('t')::text",
            )
            .await;
        assert_eq!(
            answer["rows"],
            json!([["DbValue::Str(\"\")", "DbValue::DbNull"]]),
            "{mode:?}"
        );
        assert_eq!(
            one(
                &database,
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            )
            .await,
            0
        );
    }
}

/// Backends of the host that sit in a transaction.
const OPEN: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'";

/// The fault that forbids guests to send BEGIN: what a trapped guest had begun is carried on by others.
#[tokio::test(flavor = "multi_thread")]
async fn in_strict_mode_a_trap_leaks_its_transaction() {
    let database = database().await;
    database
        .client()
        .await
        .unwrap()
        .batch_execute("CREATE TABLE t (i int)")
        .await
        .unwrap();
    let app = start(&database, Mode::Strict, |_| {}).await;
    let reply = app.send("/pg/begin-and-trap", "INSERT INTO t VALUES (1)").await;
    assert_eq!(reply.status, 500);
    eventually("the open transaction", async || one(&database, OPEN).await == 1).await;
    // The next guest gets that connection, and its write is acknowledged and never committed.
    app.post("/pg/script", "INSERT INTO t VALUES (2)").await;
    assert_eq!(one(&database, OPEN).await, 1);
    assert_eq!(one(&database, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_hardened_mode_a_trap_rolls_back() {
    let database = database().await;
    database
        .client()
        .await
        .unwrap()
        .batch_execute("CREATE TABLE t (i int)")
        .await
        .unwrap();
    let app = start(&database, Mode::Hardened, |_| {}).await;
    for _ in 0..3 {
        let reply = app.send("/pg/begin-and-trap", "INSERT INTO t VALUES (1)").await;
        assert_eq!(reply.status, 500);
    }
    eventually("no open transaction", async || one(&database, OPEN).await == 0).await;
    app.post("/pg/script", "INSERT INTO t VALUES (2)").await;
    assert_eq!(one(&database, "SELECT sum(i) FROM t").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_hardened_mode_a_transaction_hidden_from_the_host_is_rolled_back_at_the_next_checkout() {
    let database = database().await;
    database
        .client()
        .await
        .unwrap()
        .batch_execute("CREATE TABLE t (i int)")
        .await
        .unwrap();
    let app = start(&database, Mode::Hardened, |_| {}).await;
    app.post("/pg/script", "/* hidden */ BEGIN; INSERT INTO t VALUES (1)")
        .await;
    assert_eq!(
        app.post("/pg/query", "SELECT count(*) FROM t").await["rows"],
        json!([["DbValue::Int64(0)"]])
    );
    assert_eq!(one(&database, OPEN).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_statement_survives_a_changed_table() {
    let database = database().await;
    let client = database.client().await.unwrap();
    client
        .batch_execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    for mode in MODES {
        let app = start(&database, mode, |_| {}).await;
        let columns = async || {
            app.post("/pg/query", "SELECT * FROM t").await["columns"]
                .as_array()
                .unwrap()
                .len()
        };
        let before = columns().await;
        client
            .batch_execute("ALTER TABLE t ADD COLUMN more int")
            .await
            .unwrap();
        assert_eq!(columns().await, before + 1, "{mode:?}");
        client
            .batch_execute("ALTER TABLE t DROP COLUMN more")
            .await
            .unwrap();
        assert_eq!(columns().await, before, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_connections_are_taken_a_guest_waits_only_so_long() {
    let database = database().await;
    let app = start(&database, Mode::Hardened, |options| {
        options.limits.pg_connections = 2;
        options.limits.pg_wait = std::time::Duration::from_millis(300);
    })
    .await;
    let slow = futures::future::join_all((0..2).map(|_| app.send("/pg/query", "SELECT pg_sleep(3)")));
    let late = async {
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'SELECT pg_sleep(3)'";
        eventually("two busy connections", async || {
            one(&database, sleeping).await == 2
        })
        .await;
        app.send("/pg/query", "SELECT 1").await
    };
    let (slow, late) = tokio::join!(slow, late);
    assert!(
        slow.iter().all(|reply| reply.status == 200),
        "{:?}",
        slow.iter().map(|r| r.text()).collect::<Vec<_>>()
    );
    assert_eq!(late.status, 500);
    assert!(late.text().contains("imeout"), "{}", late.text());
    assert_eq!(
        app.post("/pg/query", "SELECT 1").await["rows"],
        json!([["DbValue::Int32(1)"]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_replaced() {
    let database = database().await;
    for mode in MODES {
        let app = start(&database, mode, |_| {}).await;
        let pid = async || -> Value {
            app.post("/pg/query", "SELECT pg_backend_pid()").await["rows"][0][0].clone()
        };
        let first = pid().await;
        assert_eq!(pid().await, first, "connections are reused");
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        database.client().await.unwrap().execute(kill, &[]).await.unwrap();
        assert_ne!(pid().await, first);
    }
}
