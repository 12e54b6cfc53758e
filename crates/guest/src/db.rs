//! [`Db`] over `spin_sdk::pg`, with a few connections kept per instance.

use crate::{
    chain,
    kept::{InUse, Kept, REST},
    time::{monotonic_ns, timeout},
    vars,
};
use guildhall_store::{Db, DbError, DbErrorKind, Param, catalogue::is_replay_safe};
use serde_json::Value;
use spin_sdk::{
    pg::{Connection, DbValue, Error, ParameterValue, PgError, QueryError},
    wit_bindgen::StreamResult,
};
use std::{cell::RefCell, time::Duration};

/// The most time to get a connection. The address has a connect_timeout as well, but waiting for a place in the
/// host's pool has none.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// The most time to get another one besides: it would only make things faster, and somebody else may need it.
const ANOTHER_LIMIT: Duration = Duration::from_millis(250);
/// Most rows that are asked of the host at a time; one of its batches.
const ROWS_AT_ONCE: usize = 64;
/// The most time for one statement: above the statement_timeout of the address, so that Postgres says why first.
const CALL_LIMIT: Duration = Duration::from_secs(10);

thread_local! {
    /// Each may be shared by several requests at once, which is sound only because each call is a single statement.
    static KEPT: RefCell<Kept<Connection>> = const { RefCell::new(Kept::new()) };
}

/// How long a request that waits should wait before it calls [`rest`].
pub const REST_AFTER: Duration = REST;

/// Lets go of connections that have had nothing to do for [`REST_AFTER`]. A request that begins a long wait calls it, or
/// instances full of waiters would keep every connection that the process may have from those who do something.
pub fn rest() {
    KEPT.with_borrow_mut(|kept| kept.rest(monotonic_ns()));
}

/// The database of the variable `database_url`. Every call is one statement; a connection that broke is replaced,
/// and the statement tried once more only where that is safe.
#[derive(Clone, Copy, Debug, Default)]
pub struct GuestDb;

impl Db for GuestDb {
    async fn call(&self, sql: &'static str, params: &[Param]) -> Result<Vec<Value>, DbError> {
        let (connection, kept) = connect().await?;
        match query(&connection, sql, params).await {
            Err(error) if error.kind == DbErrorKind::Unavailable => {
                forget(&connection);
                // A connection that was just opened and failed at once would fail again.
                if !(kept && is_replay_safe(sql)) {
                    return Err(error);
                }
                let (connection, _) = connect().await?;
                query(&connection, sql, params).await.inspect_err(|error| {
                    if error.kind == DbErrorKind::Unavailable {
                        forget(&connection);
                    }
                })
            }
            outcome => outcome,
        }
    }
}

/// A kept connection (and true), or a new one, which is kept from now on.
async fn connect() -> Result<(InUse<Connection>, bool), DbError> {
    let now_ns = monotonic_ns();
    let (more, kept) = KEPT.with_borrow_mut(|kept| (kept.begin_opening(now_ns), kept.take(now_ns)));
    if more {
        chain::spawn(open_another());
    }
    match kept {
        Some(connection) => Ok((connection, true)),
        None => {
            let connection = open(OPEN_LIMIT).await?;
            let connection = KEPT.with_borrow_mut(|kept| kept.add(connection, monotonic_ns()));
            Ok((connection, false))
        }
    }
}

/// Opens a connection for the statements to come. Without one they go on sharing, so a failure is nothing to report.
async fn open_another() {
    let connection = open(ANOTHER_LIMIT).await.ok();
    KEPT.with_borrow_mut(|kept| kept.opened(connection, monotonic_ns()));
}

async fn open(limit: Duration) -> Result<Connection, DbError> {
    let address = vars::required("database_url")
        .await
        .map_err(|problem| DbError::unavailable(problem.detail))?;
    timeout(limit, Connection::open(address))
        .await
        .map_err(|_| DbError::unavailable(format!("no connection within {limit:?}")))?
        .map_err(explain)
}

/// Keeps a broken connection from further statements.
fn forget(broken: &InUse<Connection>) {
    KEPT.with_borrow_mut(|kept| kept.forget(broken));
}

async fn query(connection: &Connection, sql: &str, params: &[Param]) -> Result<Vec<Value>, DbError> {
    let params: Vec<ParameterValue> = params.iter().map(parameter).collect();
    let run = async {
        let mut result = connection.query(sql, params).await.map_err(explain)?;
        let mut values = Vec::new();
        loop {
            // Row by row, each would be a call to the host, and the end another one.
            let (status, rows) = result.rows().read(Vec::with_capacity(ROWS_AT_ONCE)).await;
            values.extend(rows.into_iter().map(|mut row| value(row.drain(..).next())));
            if !matches!(status, StreamResult::Complete(_)) {
                break;
            }
        }
        // Only the result says whether the rows were all there; it comes before any row's own trouble.
        result.result().await.map_err(explain)?;
        values.into_iter().collect()
    };
    timeout(CALL_LIMIT, run)
        .await
        .unwrap_or_else(|_| Err(DbError::unavailable(format!("no answer within {CALL_LIMIT:?}"))))
}

fn parameter(param: &Param) -> ParameterValue {
    let json = |value: &Value| ParameterValue::Jsonb(value.to_string().into_bytes());
    match param {
        Param::Text(text) | Param::OptText(Some(text)) => ParameterValue::Str(text.clone()),
        Param::Int(number) | Param::OptInt(Some(number)) => ParameterValue::Int64(*number),
        Param::Bool(flag) => ParameterValue::Boolean(*flag),
        Param::Json(value) | Param::OptJson(Some(value)) => json(value),
        Param::OptText(None) | Param::OptInt(None) | Param::OptJson(None) => ParameterValue::DbNull,
    }
}

fn value(column: Option<DbValue>) -> Result<Value, DbError> {
    match column {
        Some(DbValue::Jsonb(bytes)) => serde_json::from_slice(&bytes)
            .map_err(|error| DbError::decode(format!("the row is not JSON: {error}"))),
        Some(DbValue::DbNull) => Ok(Value::Null),
        Some(_) => Err(DbError::decode("the row's column is not jsonb")),
        None => Err(DbError::decode("the row has no column")),
    }
}

fn explain(error: Error) -> DbError {
    match error {
        Error::Decode(message) => DbError::decode(message),
        Error::PgError(PgError::ConnectionFailed(message)) => DbError::unavailable(message),
        Error::PgError(PgError::QueryFailed(QueryError::DbError(error))) => {
            let message = match error.detail {
                Some(detail) => format!("{}: {detail}", error.message),
                None => error.message,
            };
            match error.code.as_str() {
                // The server is closing this connection, whatever else it says.
                "57P01" | "57P02" | "57P03" => DbError::unavailable(message),
                code => DbError::sql(code, message),
            }
        }
        // Without a code from Postgres it is the driver that failed: the connection closed or broke.
        Error::PgError(PgError::QueryFailed(QueryError::Text(message))) => DbError::unavailable(message),
        Error::PgError(
            PgError::BadParameter(message)
            | PgError::ValueConversionFailed(message)
            | PgError::Other(message),
        ) => DbError::decode(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_keep_their_type_and_null() {
        assert!(matches!(
            parameter(&Param::OptInt(Some(7))),
            ParameterValue::Int64(7)
        ));
        assert!(matches!(parameter(&Param::OptText(None)), ParameterValue::DbNull));
        assert!(matches!(parameter(&Param::Json(json!({"a": 1}))),
            ParameterValue::Jsonb(bytes) if bytes == br#"{"a":1}"#));
    }

    #[test]
    fn only_a_jsonb_column_is_a_row() {
        assert_eq!(value(Some(DbValue::Jsonb(b"[1]".to_vec()))), Ok(json!([1])));
        assert_eq!(
            value(Some(DbValue::Str("[1]".into()))).expect_err("text").kind,
            DbErrorKind::Decode
        );
        assert_eq!(value(None).expect_err("nothing").kind, DbErrorKind::Decode);
    }

    #[test]
    fn a_broken_connection_is_told_from_a_refused_statement() {
        let text = Error::PgError(PgError::QueryFailed(QueryError::Text(
            "Error { kind: Closed }".into(),
        )));
        assert_eq!(explain(text).kind, DbErrorKind::Unavailable);
        let refused = |code: &str| {
            explain(Error::PgError(PgError::QueryFailed(QueryError::DbError(
                spin_sdk::pg::DbError {
                    as_text: String::new(),
                    severity: "ERROR".into(),
                    code: code.into(),
                    message: "m".into(),
                    detail: Some("d".into()),
                    extras: vec![],
                },
            ))))
        };
        assert_eq!(refused("57P01").kind, DbErrorKind::Unavailable);
        assert_eq!(refused("23505"), DbError::sql("23505", "m: d"));
    }
}
