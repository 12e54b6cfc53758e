//! What must hold of the schema as a whole.

use crate::support::{migrated, program, root};
use guildhall_testkit::Database;
use tokio_postgres::Client;

/// One row per finding; a test is a query that must find nothing.
async fn findings(client: &Client, sql: &str) -> Vec<String> {
    let rows = client
        .query(sql, &[])
        .await
        .unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    rows.iter().map(|row| row.get(0)).collect()
}

async fn none(client: &Client, what: &str, sql: &str) {
    let found = findings(client, sql).await;
    assert!(found.is_empty(), "{what}: {found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plpgsql_check_has_nothing_to_say() {
    let database = migrated().await;
    let client = database.client().await.expect("connects");
    client
        .batch_execute("create extension plpgsql_check schema public")
        .await
        .expect("postgresql-15-plpgsql-check is installed");
    let checked = findings(
        &client,
        "select p.proname::text from pg_proc p join pg_language l on l.oid = p.prolang
         where p.pronamespace = 'guildhall'::regnamespace and l.lanname = 'plpgsql'",
    )
    .await;
    assert!(
        checked.len() > 40,
        "there are functions to check: {}",
        checked.len()
    );
    // A trigger function is checked once per table that it guards.
    none(
        &client,
        "plpgsql_check",
        "select p.proname || ': ' || c.finding
         from pg_proc p
         join pg_language l on l.oid = p.prolang
         left join pg_trigger t on t.tgfoid = p.oid
         cross join lateral public.plpgsql_check_function(
             p.oid, coalesce(t.tgrelid, 0), all_warnings => true) c (finding)
         where p.pronamespace = 'guildhall'::regnamespace and l.lanname = 'plpgsql'",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn house_rules_hold() {
    let database = migrated().await;
    let client = database.client().await.expect("connects");
    none(
        &client,
        "functions that trust the caller's search_path",
        "select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace = 'guildhall'::regnamespace
             and not coalesce(p.proconfig, '{}') @> array['search_path=\"\"']",
    )
    .await;
    none(
        &client,
        "functions without a comment",
        "select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace = 'guildhall'::regnamespace and obj_description(p.oid, 'pg_proc') is null",
    )
    .await;
    none(
        &client,
        "functions that run as their owner",
        "select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace = 'guildhall'::regnamespace and p.prosecdef",
    )
    .await;
    none(
        &client,
        "overloaded functions: a call by name must mean one thing",
        "select p.proname::text from pg_proc p where p.pronamespace = 'guildhall'::regnamespace
         group by p.proname having count(*) > 1",
    )
    .await;
    none(
        &client,
        "another clock than clock()",
        r"select p.proname::text from pg_proc p
          where p.pronamespace = 'guildhall'::regnamespace and p.proname <> 'clock'
              and p.prosrc ~* '\m(now\s*\(|clock_timestamp|current_timestamp|localtimestamp|transaction_timestamp|statement_timestamp|current_date)'",
    )
    .await;
    none(
        &client,
        "dynamic SQL",
        r"select p.proname::text from pg_proc p
          where p.pronamespace = 'guildhall'::regnamespace and p.proname <> 'event_maintain' and p.prosrc ~* '\mexecute\M'",
    )
    .await;
    none(
        &client,
        "exceptions outside class GH",
        r"select p.proname::text from pg_proc p
          where p.pronamespace = 'guildhall'::regnamespace
              and p.prosrc ~* 'raise exception' and p.prosrc !~* 'raise exception using errcode = ''GH00[1-5]'''",
    )
    .await;
    none(
        &client,
        "tables without a comment or a primary key",
        "select c.relname::text from pg_class c
         where c.relnamespace = 'guildhall'::regnamespace and c.relkind = 'r'
             and (obj_description(c.oid, 'pg_class') is null
                 or not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p'))",
    )
    .await;
    none(
        &client,
        "columns that a heartbeat or a renewal changes, indexed",
        "select i.indexrelid::regclass || '.' || a.attname
         from pg_index i
         join pg_attribute a on a.attrelid = i.indrelid
             and (a.attnum = any (i.indkey) or pg_get_expr(i.indpred, i.indrelid) ~ ('\\m' || a.attname || '\\M'))
         join pg_class c on c.oid = i.indrelid
         where c.relnamespace = 'guildhall'::regnamespace
             and (a.attname in ('lease_expires_at', 'lease_owner', 'heartbeat_at')
                or (c.relname in ('agent_liveness', 'lock_grants') and a.attname = 'expires_at')
                or (c.relname = 'agent_liveness' and a.attname <> 'agent_id'))",
    )
    .await;
    none(
        &client,
        "foreign keys to a row that is locked for update would wait: lock with `for no key update`",
        r"select p.proname::text from pg_proc p
          where p.pronamespace = 'guildhall'::regnamespace and p.proname <> 'ticker_prune'
              and p.prosrc ~* '\mfor update'",
    )
    .await;
}

/// The schema as `pg_dump` writes it, without what differs from one server or session to the next.
pub fn dump(database: &Database) -> String {
    let output = program("pg_dump")
        .args([
            "--schema-only",
            "--no-owner",
            "--no-privileges",
            "--schema=guildhall",
            "-d",
        ])
        .arg(database.url())
        .output()
        .expect("pg_dump can be started");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut text = String::new();
    let mut blank = true;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let noise = line.starts_with("SET ")
            || line.starts_with("SELECT pg_catalog.set_config")
            || line.starts_with("\\restrict")
            || line.starts_with("\\unrestrict")
            || line.starts_with("--");
        if noise || (line.is_empty() && blank) {
            continue;
        }
        blank = line.is_empty();
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A dump without what migrations/functions already shows: bodies and comments of functions.
fn without_bodies(dump: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for line in dump.lines() {
        if line.starts_with("CREATE FUNCTION") {
            inside = true;
            text.push_str(line);
            text.push('\n');
        }
        if !inside && !line.is_empty() && !line.starts_with("COMMENT ON FUNCTION") {
            text.push_str(line);
            text.push('\n');
        }
        inside = inside && !line.ends_with("$$;");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_the_reviewed_one() {
    let database = migrated().await;
    let actual = without_bodies(&dump(&database));
    let file = root().join("migrations/schema.snapshot.sql");
    // An empty value is how some shells unset a variable, and must not turn the test off.
    if std::env::var_os("GUILDHALL_UPDATE_SNAPSHOT").is_some_and(|value| !value.is_empty()) {
        std::fs::write(&file, &actual).expect("the snapshot can be written");
    }
    let reviewed = std::fs::read_to_string(&file).unwrap_or_default();
    if reviewed != actual {
        let at = reviewed.lines().zip(actual.lines()).position(|(a, b)| a != b);
        let line = at.unwrap_or(reviewed.lines().count().min(actual.lines().count()));
        panic!(
            "migrations/schema.snapshot.sql differs from line {}:\n  reviewed: {:?}\n  actual:   {:?}\n\
             review the change, then run: GUILDHALL_UPDATE_SNAPSHOT=1 cargo xtask test sql --filter the_schema",
            line + 1,
            reviewed.lines().nth(line),
            actual.lines().nth(line),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_and_heartbeats_stay_heap_only() {
    let database = crate::support::prepared().await;
    let client = database.client().await.expect("connects");
    client
        .batch_execute(
            "select test.requested(); select test.claim_requests();
             select guildhall.lock_acquire('l', 'h', null, 60, 'x');",
        )
        .await
        .expect("sets up");
    for _ in 0..20 {
        client
            .batch_execute(
                "select test.pass_time('1 s');
                 select guildhall.request_renew(id::text, epoch, 60) from guildhall.requests;
                 select guildhall.lock_renew('l', 'h', 1, 60);
                 select guildhall.agent_register(card, 60) from guildhall.agents;
                 select guildhall.agent_heartbeat(id, 1, 50) from guildhall.agents;",
            )
            .await
            .expect("renews");
    }
    client
        .batch_execute("select pg_stat_force_next_flush()")
        .await
        .expect("flushes");
    let cold = findings(
        &client,
        "select relname || ': ' || n_tup_upd || ' updates, ' || n_tup_hot_upd || ' heap-only'
         from pg_stat_user_tables
         where schemaname = 'guildhall' and relname in ('requests', 'lock_grants', 'agent_liveness')
             and (n_tup_upd < 20 or n_tup_hot_upd < n_tup_upd - 4)",
    )
    .await;
    assert!(cold.is_empty(), "{cold:#?}");
}
