//! The store's list of statements against the functions that there are.

use crate::support::migrated;
use guildhall_store::catalogue::CATALOGUE;
use std::collections::{BTreeMap, BTreeSet};

/// Functions for the use of other functions, which no caller runs: they say so in their comment, except these, which
/// are of use at a prompt too.
const ALSO_INTERNAL: &[&str] = &[
    "action_hash",
    "clock",
    "ensure_field_int",
    "ensure_field_text",
    "ensure_int",
    "ensure_text",
    "ensure_uuid",
    "guard_append_only",
    "guard_approval",
    "guard_journal",
    "guard_lock",
    "guard_request",
    "guard_run",
    "guard_run_call",
    "lock_guard",
    "lock_token_raise",
];

#[tokio::test(flavor = "multi_thread")]
async fn store_and_schema_name_the_same_functions() {
    let database = migrated().await;
    let client = database.client().await.expect("connects");
    let rows = client
        .query(
            "select p.proname::text, coalesce((
                     select array_agg(format_type(a.type, null) order by a.position)
                     from unnest(p.proargtypes) with ordinality a (type, position)), '{}')::text[],
                 coalesce(obj_description(p.oid, 'pg_proc'), '') like 'Internal.%'
             from pg_proc p where p.pronamespace = 'guildhall'::regnamespace",
            &[],
        )
        .await
        .expect("pg_proc can be read");
    let mut functions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut internal: BTreeSet<String> = ALSO_INTERNAL.iter().map(|name| (*name).to_owned()).collect();
    for row in &rows {
        functions.insert(row.get(0), row.get(1));
        if row.get(2) {
            internal.insert(row.get(0));
        }
    }
    for statement in CATALOGUE {
        let types = functions
            .get(statement.function())
            .unwrap_or_else(|| panic!("the schema has no function for {}", statement.call));
        assert_eq!(types, &statement.argument_types(), "{}", statement.call);
        client
            .prepare(statement.sql)
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}", statement.sql));
        assert!(
            !internal.contains(statement.function()),
            "{} is called by the store, so it is not internal",
            statement.function()
        );
    }
    let called: BTreeSet<String> = CATALOGUE
        .iter()
        .map(|statement| statement.function().to_owned())
        .collect();
    let orphans: Vec<_> = functions
        .keys()
        .filter(|name| !called.contains(*name) && !internal.contains(*name))
        .collect();
    assert!(
        orphans.is_empty(),
        "neither called by the store nor internal: {orphans:?}"
    );
}
