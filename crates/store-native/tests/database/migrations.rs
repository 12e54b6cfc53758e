//! The migration runner.

use crate::checks::dump;
use guildhall_store_native::migrate::{self, FunctionFile, MigrateError, Migration, Source};
use guildhall_testkit::{Database, Postgres};

async fn empty() -> Database {
    let server = Postgres::shared().await.expect("Postgres starts");
    server.empty_database().await.expect("an empty database")
}

/// The names of the two migrations that come after the embedded ones in [`later`].
fn colour() -> String {
    format!("{:04}_colour", Source::embedded().version() + 1)
}

fn paint() -> String {
    format!("{:04}_paint", Source::embedded().version() + 2)
}

/// The embedded schema followed by two more migrations and a function file.
fn later() -> Source {
    let mut source = Source::embedded();
    source.migrations.push(
        Migration::new(&colour(), "alter table guildhall.agents add column colour text;").expect("numbered"),
    );
    source.migrations.push(
        Migration::new(
            &paint(),
            "create table guildhall.paint (id int primary key, of_agent text references guildhall.agents (id));",
        )
        .expect("numbered"),
    );
    source.functions.push(FunctionFile {
        name: "zz_paint".into(),
        sql: "create or replace function guildhall.paint_count() returns bigint language sql as
              $$ select count(*) from guildhall.paint $$;"
            .into(),
    });
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_does_nothing() {
    let database = empty().await;
    let first = migrate::run(database.config()).await.expect("migrates");
    let names: Vec<_> = Source::embedded()
        .migrations
        .into_iter()
        .map(|migration| migration.name)
        .collect();
    assert_eq!(first.applied, names);
    assert_eq!(first.functions.len(), Source::embedded().functions.len());
    let before = dump(&database);
    let second = migrate::run(database.config()).await.expect("migrates again");
    assert!(
        second.applied.is_empty() && second.functions.is_empty(),
        "{second:?}"
    );
    assert_eq!(second.version, first.version);
    assert_eq!(dump(&database), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_migrators_wait_for_each_other() {
    let database = empty().await;
    let runs = (0..4).map(|_| {
        let config = database.config().clone();
        tokio::spawn(async move { migrate::run(&config).await })
    });
    let mut applied = 0;
    for run in futures::future::join_all(runs).await {
        applied += run.expect("no panic").expect("every one succeeds").applied.len();
    }
    assert_eq!(
        applied,
        Source::embedded().migrations.len(),
        "each migration is applied once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_migration_is_refused() {
    let database = empty().await;
    migrate::run(database.config()).await.expect("migrates");
    let mut source = Source::embedded();
    source.migrations[0].sql.push_str("-- a word more\n");
    let error = migrate::run_source(database.config(), &source)
        .await
        .expect_err("edited");
    assert_eq!(
        error,
        MigrateError::Edited {
            name: "0001_core".into()
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused() {
    let database = empty().await;
    migrate::run_source(database.config(), &later())
        .await
        .expect("migrates");
    let before = dump(&database);
    let error = migrate::run(database.config()).await.expect_err("newer");
    assert!(matches!(error, MigrateError::Newer { .. }), "{error}");
    assert_eq!(dump(&database), before, "an older binary changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_ends_where_a_fresh_install_does() {
    let upgraded = empty().await;
    migrate::run(upgraded.config()).await.expect("installs");
    let report = migrate::run_source(upgraded.config(), &later())
        .await
        .expect("upgrades");
    assert_eq!(report.applied, [colour(), paint()]);
    assert_eq!(
        report.functions,
        ["zz_paint"],
        "unchanged function files are left alone"
    );
    let fresh = empty().await;
    migrate::run_source(fresh.config(), &later())
        .await
        .expect("installs");
    assert_eq!(dump(&upgraded), dump(&fresh));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_migration_leaves_nothing_behind() {
    let database = empty().await;
    let mut source = later();
    let last = source.migrations.last_mut().expect("there are some");
    last.sql.push_str("\nselect nonsense;\n");
    let error = migrate::run_source(database.config(), &source)
        .await
        .expect_err("fails");
    let text = error.to_string();
    assert!(
        text.contains(&paint()) && text.contains("nonsense") && text.contains("line 2"),
        "{text}"
    );
    let client = database.client().await.expect("connects");
    let row = client
        .query_one(
            "select max(version), to_regclass('guildhall.paint') is null from guildhall.schema_migrations",
            &[],
        )
        .await
        .expect("reads");
    assert_eq!(
        (row.get::<_, i32>(0), row.get::<_, bool>(1)),
        (Source::embedded().version() + 1, true),
        "the ones before it stay"
    );
    let report = migrate::run_source(database.config(), &later())
        .await
        .expect("goes on once mended");
    assert_eq!(report.applied, [paint()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_functions_are_applied_again() {
    let database = empty().await;
    migrate::run_source(database.config(), &later())
        .await
        .expect("installs");
    let mut source = later();
    let file = source.functions.last_mut().expect("there are some");
    file.sql = file.sql.replace("count(*)", "count(*) + 1");
    let report = migrate::run_source(database.config(), &source)
        .await
        .expect("applies");
    assert_eq!(report.functions, ["zz_paint"]);
    let client = database.client().await.expect("connects");
    let row = client
        .query_one("select guildhall.paint_count()", &[])
        .await
        .expect("calls");
    assert_eq!(row.get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_clock_is_the_servers() {
    let database = crate::support::migrated().await;
    let client = database.client().await.expect("connects");
    let row = client
        .query_one(
            "select t.a <= t.c and t.c <= clock_timestamp()
             from (select clock_timestamp() as a, guildhall.clock() as c offset 0) t",
            &[],
        )
        .await
        .expect("reads");
    assert!(row.get::<_, bool>(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_database_is_told_so() {
    let config = "host=127.0.0.1 port=1 user=nobody dbname=none"
        .parse()
        .expect("valid");
    let error = migrate::run(&config).await.expect_err("nothing listens there");
    assert!(
        error.to_string().starts_with("cannot connect to the database"),
        "{error}"
    );
    assert!(!error.hint().is_empty());
}
