//! `ALTER TABLE`, action by action.

use super::Found;
use super::token::{Token, has, name, parts, skip, starts};
use crate::review::Severity::{High, Medium};
use crate::review::sink::Sink;

/// Looks at each action of the statement; true when one takes a column away from running code.
pub(super) fn table<'a>(found: &Found<'a, '_>, sink: &mut Sink<'a>) -> bool {
    let tokens = found.tokens;
    let mut at = skip(tokens, 2, &["IF", "EXISTS", "ONLY"]);
    let table = name(tokens, at);
    if found.is_fresh(table.as_ref()) {
        return false;
    }
    while tokens.get(at + 1).is_some_and(|token| token.text == ".") {
        at += 2;
    }
    let actions = tokens.get(at + 1..).unwrap_or(&[]);
    let mut destructive = false;
    for part in parts(actions) {
        destructive |= action(found, part, sink);
    }
    destructive
}

fn action<'a>(found: &Found<'a, '_>, part: &[Token], sink: &mut Sink<'a>) -> bool {
    let word = |at: usize| {
        part.get(at)
            .filter(|token| token.word)
            .map_or("", |token| token.text.as_str())
    };
    match word(0) {
        "DROP" if word(1) != "CONSTRAINT" && !found.script.down => {
            found.report_part(
                part,
                "sql-drop-column",
                High,
                "The column and its data are gone for good; code that still names it fails.",
                "First ship code that does not use it; drop it in a later change.",
                sink,
            );
            return true;
        }
        "RENAME" if word(1) != "CONSTRAINT" && !found.script.down => {
            found.report_part(part, "sql-rename", High,
                "Code that is running still uses the old name and fails from this moment on.",
                "Add the new column or a view under the new name, move the code over, then take the old one away.", sink);
            return true;
        }
        "ALTER" => return column(found, part, sink),
        "ADD" => add(found, part, sink),
        "DISABLE" if matches!(word(1), "TRIGGER" | "ROW" | "RULE") => {
            found.report_part(part, "sql-protection-off", High,
                "This switches off what keeps the data right or apart: triggers, foreign keys or row-level security.",
                "Leave it on; give the one task that needs it a role with the right to bypass it.", sink);
        }
        "NO" if has(part, &["ROW", "LEVEL", "SECURITY"]) => {
            found.report_part(
                part,
                "sql-protection-off",
                High,
                "The table's owner is no longer held to row-level security.",
                "Keep FORCE ROW LEVEL SECURITY, and bypass it by a role made for that.",
                sink,
            );
        }
        _ => {}
    }
    false
}

fn column<'a>(found: &Found<'a, '_>, part: &[Token], sink: &mut Sink<'a>) -> bool {
    if found.script.foreign {
        return false;
    }
    // After `ALTER [COLUMN] name`: a column may itself be called type.
    let change = part.get(skip(part, 1, &["COLUMN"]) + 1..).unwrap_or(&[]);
    if starts(change, &["TYPE"]) || starts(change, &["SET", "DATA", "TYPE"]) {
        found.report_part(
            part,
            "sql-alter-column-type",
            High,
            "Unless the new type only widens the old one, the table is rewritten under an exclusive lock.",
            "Add a column of the new type, fill it in batches, switch the code over, then drop the old one.",
            sink,
        );
        return true;
    }
    if starts(change, &["SET", "NOT", "NULL"]) {
        found.report_part(part, "sql-set-not-null", Medium,
            "The whole table is read under an exclusive lock to check it.",
            "ADD CONSTRAINT ... CHECK (column IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT later, then SET NOT NULL is instant.", sink);
    }
    false
}

fn add<'a>(found: &Found<'a, '_>, part: &[Token], sink: &mut Sink<'a>) {
    let constraint = ["CONSTRAINT", "FOREIGN", "CHECK", "UNIQUE", "PRIMARY", "EXCLUDE"];
    let is_constraint = part
        .get(1)
        .is_some_and(|token| token.word && constraint.contains(&token.text.as_str()));
    if !is_constraint {
        return add_column(found, part, sink);
    }
    if found.script.foreign || has(part, &["USING", "INDEX"]) {
        return;
    }
    if has(part, &["UNIQUE"]) || has(part, &["PRIMARY", "KEY"]) {
        found.report_part(
            part,
            "sql-add-unique-blocking",
            Medium,
            "Its index is built under an exclusive lock: nobody reads or writes meanwhile.",
            "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX.",
            sink,
        );
    } else if !has(part, &["NOT", "VALID"]) && (has(part, &["FOREIGN", "KEY"]) || has(part, &["CHECK"])) {
        found.report_part(
            part,
            "sql-add-constraint-validating",
            Medium,
            "Every existing row is checked while the table is locked (for a foreign key, both tables).",
            "Add it NOT VALID, and VALIDATE CONSTRAINT in a later transaction.",
            sink,
        );
    }
}

fn add_column<'a>(found: &Found<'a, '_>, part: &[Token], sink: &mut Sink<'a>) {
    let at = skip(part, 1, &["COLUMN", "IF", "NOT", "EXISTS"]);
    let definition = part.get(at + 1..).unwrap_or(&[]);
    let default = has(definition, &["DEFAULT"]);
    let generated = has(definition, &["GENERATED"]);
    let serial = definition
        .first()
        .is_some_and(|token| ["SERIAL", "BIGSERIAL", "SMALLSERIAL"].contains(&token.text.as_str()));
    if has(definition, &["NOT", "NULL"]) && !default && !generated && !serial {
        found.report_part(
            part,
            "sql-add-column-not-null",
            High,
            "This fails when the table has rows, and inserts by code that does not know the column fail too.",
            "Give it a constant default, or add it nullable, fill it in batches and set NOT NULL later.",
            sink,
        );
    }
    const VOLATILE: &[&str] = &[
        "GEN_RANDOM_UUID",
        "UUID_GENERATE_V4",
        "UUIDV7",
        "RANDOM",
        "CLOCK_TIMESTAMP",
        "NEXTVAL",
        "TIMEOFDAY",
    ];
    let volatile = default
        && definition
            .iter()
            .any(|token| VOLATILE.contains(&token.text.as_str()));
    let rewrites =
        volatile || serial || (generated && (has(definition, &["STORED"]) || has(definition, &["IDENTITY"])));
    if rewrites && !found.script.foreign {
        found.report_part(
            part,
            "sql-add-column-volatile-default",
            Medium,
            "A value is computed for every existing row, so the table is rewritten under an exclusive lock.",
            "Add the column without it, set the default for new rows, and fill the old ones in batches.",
            sink,
        );
    }
    if has(definition, &["REFERENCES"])
        && default
        && !found.script.foreign
        && !starts(definition, &["REFERENCES"])
    {
        found.report_part(part, "sql-add-constraint-validating", Medium,
            "The new column is filled and its foreign key checked for every row while both tables are locked.",
            "Add the column first, then the foreign key NOT VALID, then VALIDATE CONSTRAINT.", sink);
    }
}
