//! Dangerous statements in SQL migrations, as Postgres runs them.

mod alter;
mod token;

use std::collections::HashSet;

use self::token::{Statement, Token, has, name, position, skip, starts, statements};
use crate::review::Severity::{Critical, High, Low, Medium};
use crate::review::sink::Sink;
use crate::review::source::{NewLine, Source};
use crate::review::{Category, RuleInfo, Severity};

const fn rule(
    id: &'static str,
    title: &'static str,
    severity: Severity,
    description: &'static str,
) -> RuleInfo {
    RuleInfo {
        id,
        title,
        severity,
        category: Category::Database,
        description,
    }
}

#[rustfmt::skip]
pub(super) const RULES: &[RuleInfo] = &[
    rule("sql-create-index-blocking", "Index built under a lock", Medium, "CREATE INDEX without CONCURRENTLY blocks writes to the table until the index is built."),
    rule("sql-concurrently-in-transaction", "CONCURRENTLY inside a transaction", High, "CONCURRENTLY fails inside a transaction, so the migration cannot succeed."),
    rule("sql-drop-index-blocking", "Index dropped under a lock", Low, "DROP INDEX without CONCURRENTLY takes an exclusive lock on the table."),
    rule("sql-drop-table", "Table dropped", High, "DROP TABLE deletes the data for good, and breaks code that still runs against it."),
    rule("sql-drop-database", "Schema or database dropped", Critical, "DROP SCHEMA or DROP DATABASE deletes everything in it."),
    rule("sql-drop-column", "Column dropped", High, "DROP COLUMN deletes the data for good, and breaks code that still reads the column."),
    rule("sql-rename", "Table or column renamed", High, "A rename breaks the code that is running at that moment and still uses the old name."),
    rule("sql-alter-column-type", "Column type changed", High, "Changing a type usually rewrites the table under an exclusive lock."),
    rule("sql-add-column-not-null", "Required column without a default", High, "ADD COLUMN ... NOT NULL without a default fails on a table that has rows, and breaks inserts of old code."),
    rule("sql-add-column-volatile-default", "Column whose default rewrites the table", Medium, "A default that is computed for each row, or a stored generated column, rewrites the table under an exclusive lock."),
    rule("sql-set-not-null", "NOT NULL set by a full scan", Medium, "SET NOT NULL reads the whole table under an exclusive lock."),
    rule("sql-add-constraint-validating", "Constraint checked under a lock", Medium, "Adding a foreign key or check without NOT VALID reads the whole table under a lock."),
    rule("sql-add-unique-blocking", "Unique constraint built under a lock", Medium, "Adding UNIQUE or PRIMARY KEY builds its index under an exclusive lock."),
    rule("sql-lock-table", "Table locked by hand", Medium, "LOCK TABLE holds up everybody else until the transaction ends."),
    rule("sql-rewrite-table", "Table rewritten", Medium, "VACUUM FULL, CLUSTER and REINDEX without CONCURRENTLY hold an exclusive lock while they rewrite."),
    rule("sql-update-without-where", "UPDATE of every row", High, "UPDATE without WHERE changes every row, and locks all of them until the transaction ends."),
    rule("sql-delete-without-where", "DELETE of every row", High, "DELETE without WHERE removes every row."),
    rule("sql-truncate", "Table emptied", High, "TRUNCATE removes every row at once, under an exclusive lock."),
    rule("sql-grant-public", "Rights for everybody", High, "A right is granted to PUBLIC, or all rights on everything in a schema."),
    rule("sql-protection-off", "Triggers or row security switched off", High, "Triggers or row-level security are switched off, and with them the rules they keep."),
];

/// What a file of SQL is about, for all its statements.
struct Script<'a> {
    source: &'a Source<'a>,
    /// Undoes a migration: taking away what that one made is its purpose.
    down: bool,
    /// Written for another database, where other statements lock.
    foreign: bool,
}

/// One statement with an added line.
struct Found<'a, 's> {
    script: &'s Script<'a>,
    tokens: &'s [Token],
    lines: &'s [NewLine<'a>],
    /// Tables that this change creates: nobody uses them yet, so locks on them wait for nobody.
    fresh: &'s HashSet<String>,
}

/// Applies the rules to every SQL file; gives the first file that takes something away.
pub(super) fn apply<'a>(files: &'a [Source<'a>], sink: &mut Sink<'a>) -> Option<&'a Source<'a>> {
    let mut scripts = Vec::new();
    let mut fresh = HashSet::new();
    for source in files
        .iter()
        .filter(|file| file.extension() == "sql" && !file.traits.test && !file.traits.docs)
    {
        let regions: Vec<(Vec<NewLine<'a>>, Vec<Statement>)> = source
            .regions()
            .map(|lines| {
                let found = statements(&lines);
                (lines, found)
            })
            .collect();
        for (lines, found) in &regions {
            let added = found.iter().filter(|tokens| first_added(tokens, lines).is_some());
            fresh.extend(added.filter_map(|tokens| created_table(tokens)));
        }
        let script = Script {
            source,
            down: is_down(source),
            foreign: is_foreign(source),
        };
        scripts.push((script, regions));
    }
    let mut destructive = None;
    for (script, regions) in &scripts {
        for (lines, found) in regions {
            let mut in_transaction = false;
            for tokens in found {
                in_transaction |= starts(tokens, &["BEGIN"]) || starts(tokens, &["START", "TRANSACTION"]);
                in_transaction &= !starts(tokens, &["COMMIT"]);
                if first_added(tokens, lines).is_some() {
                    let found = Found {
                        script,
                        tokens,
                        lines,
                        fresh: &fresh,
                    };
                    if statement(&found, in_transaction, sink) && destructive.is_none() {
                        destructive = Some(script.source);
                    }
                }
            }
        }
    }
    destructive
}

fn first_added<'a>(tokens: &[Token], lines: &[NewLine<'a>]) -> Option<NewLine<'a>> {
    tokens
        .iter()
        .filter_map(|token| lines.get(token.line))
        .find(|line| line.added)
        .copied()
}

fn is_down(source: &Source<'_>) -> bool {
    let name = source.name();
    name.ends_with(".down.sql")
        || name == "down.sql"
        || name.contains("rollback")
        || name.contains("revert")
        || source.lower_path.contains("/down/")
}

fn is_foreign(source: &Source<'_>) -> bool {
    let path = &source.lower_path;
    [
        "mysql",
        "sqlite",
        "mariadb",
        "mssql",
        "oracle",
        "clickhouse",
        "bigquery",
    ]
    .iter()
    .any(|name| path.contains(name))
        || source.file.lines().any(|line| {
            let text = line.content();
            text.contains('`')
                || text.contains("AUTO_INCREMENT")
                || text.contains("ENGINE=")
                || text.contains("PRAGMA ")
        })
}

fn created_table(tokens: &[Token]) -> Option<String> {
    if !starts(tokens, &["CREATE"]) {
        return None;
    }
    let table = position(&tokens[..tokens.len().min(5)], &["TABLE"])?;
    name(tokens, skip(tokens, table + 1, &["IF", "NOT", "EXISTS"]))
}

impl<'a> Found<'a, '_> {
    fn report(
        &self,
        rule: &'static str,
        severity: Severity,
        message: impl Into<String>,
        suggestion: &'static str,
        sink: &mut Sink<'a>,
    ) {
        self.report_part(self.tokens, rule, severity, message, suggestion, sink);
    }

    /// Reports a part of the statement, if one of its lines is added.
    fn report_part(
        &self,
        part: &[Token],
        rule: &'static str,
        severity: Severity,
        message: impl Into<String>,
        suggestion: &'static str,
        sink: &mut Sink<'a>,
    ) {
        if let Some(line) = first_added(part, self.lines) {
            sink.report(self.script.source.at(rule, severity, line, message, suggestion));
        }
    }

    fn is_fresh(&self, table: Option<&String>) -> bool {
        table.is_some_and(|table| self.fresh.contains(table))
    }
}

/// Looks at one statement; true when it takes a table or column away from running code.
fn statement<'a>(found: &Found<'a, '_>, in_transaction: bool, sink: &mut Sink<'a>) -> bool {
    let tokens = found.tokens;
    let first = tokens.first().map_or("", |token| token.text.as_str());
    match first {
        "CREATE" | "REINDEX" | "VACUUM" | "CLUSTER" | "REFRESH" => index(found, in_transaction, sink),
        "DROP" => return drop(found, in_transaction, sink),
        "ALTER" if starts(tokens, &["ALTER", "TABLE"]) => return alter::table(found, sink),
        "LOCK" => {
            found.report(
                "sql-lock-table",
                Medium,
                "LOCK TABLE makes everybody else wait until this transaction ends.",
                "Rely on row locks or an advisory lock; if it must be, set lock_timeout first.",
                sink,
            );
        }
        "UPDATE" | "DELETE" | "TRUNCATE" | "WITH" => rows(found, sink),
        "GRANT" => grant(found, sink),
        "SET" if has(tokens, &["SESSION_REPLICATION_ROLE"]) => {
            found.report(
                "sql-protection-off",
                High,
                "session_replication_role switches triggers and foreign keys off.",
                "Leave them on; move data in batches that keep the constraints.",
                sink,
            );
        }
        _ => {}
    }
    false
}

fn index<'a>(found: &Found<'a, '_>, in_transaction: bool, sink: &mut Sink<'a>) {
    let tokens = found.tokens;
    if found.script.foreign {
        return;
    }
    let concurrently = has(tokens, &["CONCURRENTLY"]);
    let is_index = starts(tokens, &["CREATE", "INDEX"]) || starts(tokens, &["CREATE", "UNIQUE", "INDEX"]);
    if concurrently && in_transaction {
        in_transaction_report(found, sink);
    } else if is_index && !concurrently {
        let table = position(tokens, &["ON"]).and_then(|at| name(tokens, skip(tokens, at + 1, &["ONLY"])));
        if !found.is_fresh(table.as_ref()) {
            found.report(
                "sql-create-index-blocking",
                Medium,
                "This blocks every write to the table until the index is built.",
                "CREATE INDEX CONCURRENTLY, in a migration that runs outside a transaction.",
                sink,
            );
        }
    } else if (starts(tokens, &["REINDEX"]) && !concurrently)
        || has(tokens, &["VACUUM", "FULL"])
        || starts(tokens, &["CLUSTER"])
        || (starts(tokens, &["VACUUM"]) && has(tokens, &["FULL"]))
    {
        found.report(
            "sql-rewrite-table",
            Medium,
            "This rewrites the table or its indexes under an exclusive lock.",
            "REINDEX CONCURRENTLY, or pg_repack; otherwise in a maintenance window.",
            sink,
        );
    }
}

fn in_transaction_report<'a>(found: &Found<'a, '_>, sink: &mut Sink<'a>) {
    found.report(
        "sql-concurrently-in-transaction",
        High,
        "CONCURRENTLY cannot run inside the transaction that BEGIN opened: this migration fails.",
        "Move it into a migration of its own that runs without a transaction.",
        sink,
    );
}

fn drop<'a>(found: &Found<'a, '_>, in_transaction: bool, sink: &mut Sink<'a>) -> bool {
    let tokens = found.tokens;
    let kind = tokens.get(1).map_or("", |token| token.text.as_str());
    let object = name(tokens, skip(tokens, 2, &["IF", "EXISTS", "CONCURRENTLY"]));
    if found.script.down || found.is_fresh(object.as_ref()) {
        return false;
    }
    match kind {
        "TABLE" => {
            found.report("sql-drop-table", High, "The table and its rows are gone for good; code that still runs against it fails.",
                "First ship code that does not use it; keep the table (or a dump) for a release; drop it on its own.", sink);
            return true;
        }
        "SCHEMA" | "DATABASE" => {
            found.report(
                "sql-drop-database",
                Critical,
                "Everything in it is gone for good.",
                "Take a backup that has been restored once, and do it by hand, outside of migrations.",
                sink,
            );
            return true;
        }
        "INDEX" if has(tokens, &["CONCURRENTLY"]) && in_transaction => in_transaction_report(found, sink),
        "INDEX" if !has(tokens, &["CONCURRENTLY"]) && !found.script.foreign => {
            found.report("sql-drop-index-blocking", Low, "This takes an exclusive lock on the table and waits for all readers, with everybody else behind it.",
                "DROP INDEX CONCURRENTLY, outside a transaction.", sink);
        }
        _ => {}
    }
    false
}

fn rows<'a>(found: &Found<'a, '_>, sink: &mut Sink<'a>) {
    let tokens = found.tokens;
    let table = |at: usize| name(tokens, skip(tokens, at, &["TABLE", "ONLY", "FROM"]));
    if found.script.down || found.is_fresh(table(1).as_ref()) || has(tokens, &["WHERE"]) {
        return;
    }
    if starts(tokens, &["TRUNCATE"]) {
        found.report(
            "sql-truncate",
            High,
            "Every row is gone, and the lock stops all readers meanwhile.",
            "Delete what must go by key, in batches; or say in the change why all of it may go.",
            sink,
        );
    } else if starts(tokens, &["DELETE"]) && !has(tokens, &["USING"]) {
        found.report(
            "sql-delete-without-where",
            High,
            "This deletes every row of the table.",
            "Add a WHERE clause; for many rows, delete in batches.",
            sink,
        );
    } else if starts(tokens, &["UPDATE"]) && has(tokens, &["SET"]) && !has(tokens, &["JOIN"]) {
        found.report(
            "sql-update-without-where",
            High,
            "This changes every row of the table and keeps all of them locked until it ends.",
            "Add a WHERE clause, and fill large tables in batches outside the migration.",
            sink,
        );
    }
}

fn grant<'a>(found: &Found<'a, '_>, sink: &mut Sink<'a>) {
    let tokens = found.tokens;
    let harmless = starts(tokens, &["GRANT", "USAGE"]) || starts(tokens, &["GRANT", "CONNECT"]);
    if has(tokens, &["TO", "PUBLIC"]) && !harmless {
        found.report(
            "sql-grant-public",
            High,
            "Every role of the database gets this right, now and later.",
            "Grant it to the role that needs it.",
            sink,
        );
    } else if has(tokens, &["GRANT", "ALL"]) && has(tokens, &["ON", "ALL"]) {
        found.report(
            "sql-grant-public",
            Medium,
            "One role gets every right on everything in the schema.",
            "Grant the rights that the role uses, on the tables that it uses.",
            sink,
        );
    }
}
