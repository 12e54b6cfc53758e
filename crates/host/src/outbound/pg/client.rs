//! Statements on one pooled connection.

use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Object;
use futures::TryStreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::{
    RowStream, Statement,
    error::{DbError as PgDbError, SqlState},
    types::ToSql,
};

use super::{
    pool::Leased,
    types::{self, Parameter},
};
use crate::{
    bindings::spin::postgres::postgres::{DbError, Error, ParameterValue, QueryError, RowSet},
    options::Mode,
    outbound::MAX_BUFFERED,
};

/// Prepared statements kept per connection in hardened mode; beyond it all are forgotten, because a
/// guest that writes values into its statements would fill the server's memory.
const STATEMENTS: usize = 256;

/// A connection checked out of its pool. Dropping it gives it back.
pub(super) struct Client {
    /// Empty only while being dropped.
    object: Option<Object>,
    mode: Mode,
    /// Whether the guest's last word on transactions was to begin one.
    in_transaction: AtomicBool,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Client {
    /// In hardened mode a connection whose guest left a transaction open is closed instead of given
    /// back, so that its locks are gone now and not at the next checkout.
    fn drop(&mut self) {
        if self.mode == Mode::Hardened
            && *self.in_transaction.get_mut()
            && let Some(object) = self.object.take()
        {
            tracing::warn!(
                "a component left a transaction open; its connection is closed and the work rolled back"
            );
            drop(Object::take(object));
        }
    }
}

impl Client {
    pub fn new(leased: Leased, mode: Mode) -> Self {
        Self {
            object: Some(leased.object),
            mode,
            in_transaction: AtomicBool::new(false),
            _permit: leased.permit,
        }
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    fn postgres(&self) -> Result<&Object, Error> {
        self.object
            .as_ref()
            .ok_or_else(|| Error::Other("the connection is closed".into()))
    }

    /// Runs `statement` and gives the number of rows it touched.
    pub async fn execute(&self, statement: &str, values: &[ParameterValue]) -> Result<u64, Error> {
        let parameters = types::parameters(values, self.mode).map_err(Error::ValueConversionFailed)?;
        self.note(statement);
        let postgres = self.postgres()?;
        let mut again = true;
        loop {
            let prepared = self.prepare(statement).await?;
            match postgres.execute_raw(&prepared, references(&parameters)).await {
                Err(e) if again && self.is_stale(statement, &e) => again = false,
                result => return result.map_err(query_failed),
            }
        }
    }

    /// Runs `statement` and gives its rows as they come.
    pub async fn rows(&self, statement: &str, values: &[ParameterValue]) -> Result<RowStream, Error> {
        let parameters = types::parameters(values, self.mode).map_err(Error::BadParameter)?;
        self.note(statement);
        let postgres = self.postgres()?;
        let mut again = true;
        loop {
            let prepared = self.prepare(statement).await?;
            match postgres.query_raw(&prepared, references(&parameters)).await {
                Err(e) if again && self.is_stale(statement, &e) => again = false,
                result => return result.map_err(query_failed),
            }
        }
    }

    /// Runs `statement` and gives all its rows, [`MAX_BUFFERED`] bytes at most. Without any row the
    /// columns are not known, as in Spin.
    pub async fn query(&self, statement: &str, values: &[ParameterValue]) -> Result<RowSet, Error> {
        let stream = self.rows(statement, values).await?;
        let mut stream = std::pin::pin!(stream);
        let mut set = RowSet {
            columns: Vec::new(),
            rows: Vec::new(),
        };
        let mut size = 0;
        while let Some(row) = stream.try_next().await.map_err(query_failed)? {
            if set.rows.is_empty() {
                set.columns = types::columns(&row);
            }
            let row = types::values(&row, self.mode).map_err(query_text)?;
            size += types::size(&row);
            if size > MAX_BUFFERED {
                return Err(too_big());
            }
            set.rows.push(row);
        }
        Ok(set)
    }

    /// Strict mode prepares each time, as Spin does; hardened mode remembers.
    async fn prepare(&self, statement: &str) -> Result<Statement, Error> {
        let postgres = self.postgres()?;
        let prepared = match self.mode {
            Mode::Strict => postgres.prepare(statement).await,
            Mode::Hardened => {
                if postgres.statement_cache.size() >= STATEMENTS {
                    postgres.statement_cache.clear();
                }
                postgres.prepare_cached(statement).await
            }
        };
        prepared.map_err(query_failed)
    }

    /// Whether a remembered statement no longer fits its tables, which Postgres says before it runs
    /// anything; if so it is forgotten.
    fn is_stale(&self, statement: &str, error: &tokio_postgres::Error) -> bool {
        let stale = self.mode == Mode::Hardened
            && matches!(
                error.code(),
                Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::INVALID_SQL_STATEMENT_NAME)
            )
            && error.as_db_error().is_some_and(|e| {
                e.message() == "cached plan must not change result type"
                    || e.code() == &SqlState::INVALID_SQL_STATEMENT_NAME
            });
        if stale && let Some(object) = &self.object {
            object.statement_cache.remove(statement, &[]);
        }
        stale
    }

    fn note(&self, statement: &str) {
        let statement = statement.trim_start();
        let word = statement
            .split(|c: char| !c.is_ascii_alphabetic())
            .next()
            .unwrap_or_default();
        let is = |known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(word));
        if is(&["begin", "start"]) {
            self.in_transaction.store(true, Ordering::Relaxed);
        } else if is(&["commit", "end", "rollback", "abort"]) {
            self.in_transaction.store(false, Ordering::Relaxed);
        }
    }
}

fn references(parameters: &[Parameter]) -> impl ExactSizeIterator<Item = &(dyn ToSql + Sync)> {
    parameters.iter().map(|p| p.as_ref() as &(dyn ToSql + Sync))
}

pub(super) fn too_big() -> Error {
    query_text(format!("query result exceeds limit of {MAX_BUFFERED} bytes"))
}

pub(super) fn query_text(text: String) -> Error {
    Error::QueryFailed(QueryError::Text(text))
}

/// A failure of the server or of the connection, as Spin reports it.
pub(super) fn query_failed(error: tokio_postgres::Error) -> Error {
    let as_text = format!("{error:?}");
    Error::QueryFailed(match error.as_db_error() {
        None => QueryError::Text(as_text),
        Some(e) => QueryError::DbError(DbError {
            as_text,
            severity: e.severity().into(),
            code: e.code().code().into(),
            message: e.message().into(),
            detail: e.detail().map(Into::into),
            extras: extras(e),
        }),
    })
}

fn extras(e: &PgDbError) -> Vec<(String, String)> {
    let line = e.line().map(|line| line.to_string());
    [
        ("column", e.column()),
        ("constraint", e.constraint()),
        ("routine", e.routine()),
        ("hint", e.hint()),
        ("table", e.table()),
        ("datatype", e.datatype()),
        ("schema", e.schema()),
        ("file", e.file()),
        ("line", line.as_deref()),
        ("where_", e.where_()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_string(), value?.to_string())))
    .collect()
}
