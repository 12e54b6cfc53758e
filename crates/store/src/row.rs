//! From `jsonb` rows to types.

use crate::{
    catalogue::Statement,
    db::{Db, DbError, Param},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn decode<T: DeserializeOwned>(statement: &Statement, value: Value) -> Result<T, DbError> {
    serde_json::from_value(value).map_err(|error| DbError::decode(format!("{}: {error}", statement.call)))
}

/// Every row.
pub(crate) async fn all<T: DeserializeOwned, D: Db>(
    db: &D,
    statement: &'static Statement,
    params: &[Param],
) -> Result<Vec<T>, DbError> {
    let rows = db.call(statement.sql, params).await?;
    rows.into_iter().map(|row| decode(statement, row)).collect()
}

/// At most one row.
pub(crate) async fn optional<T: DeserializeOwned, D: Db>(
    db: &D,
    statement: &'static Statement,
    params: &[Param],
) -> Result<Option<T>, DbError> {
    let mut rows = db.call(statement.sql, params).await?;
    if rows.len() > 1 {
        return Err(DbError::decode(format!(
            "{} gave {} rows instead of one",
            statement.call,
            rows.len()
        )));
    }
    rows.pop().map(|row| decode(statement, row)).transpose()
}

/// Exactly one row.
pub(crate) async fn one<T: DeserializeOwned, D: Db>(
    db: &D,
    statement: &'static Statement,
    params: &[Param],
) -> Result<T, DbError> {
    optional(db, statement, params)
        .await?
        .ok_or_else(|| DbError::decode(format!("{} gave no row", statement.call)))
}
