//! What a database driver must offer, and how its failures are told.

use guildhall_domain::{Code, Problem};
use serde_json::Value;
use std::{fmt, future::Future};

/// Something that can run one statement.
pub trait Db {
    /// Runs `sql` with `params` for `$1…` and gives the single `jsonb` column `r` of each row, in order.
    ///
    /// The statement is a unit of work of its own: an implementation never opens a transaction around it. It may run
    /// a statement a second time after a broken connection only when [`crate::catalogue::is_replay_safe`] says so.
    fn call(&self, sql: &'static str, params: &[Param]) -> impl Future<Output = Result<Vec<Value>, DbError>>;
}

impl<D: Db> Db for &D {
    fn call(&self, sql: &'static str, params: &[Param]) -> impl Future<Output = Result<Vec<Value>, DbError>> {
        (**self).call(sql, params)
    }
}

/// A parameter. Postgres is told its type by a cast in the statement: `text`, `bigint`, `boolean` or `jsonb`.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// `text`
    Text(String),
    /// `text` or null
    OptText(Option<String>),
    /// `bigint`
    Int(i64),
    /// `bigint` or null
    OptInt(Option<i64>),
    /// `boolean`
    Bool(bool),
    /// `jsonb`
    Json(Value),
    /// `jsonb` or null
    OptJson(Option<Value>),
}

/// Postgres stores no NUL in text or jsonb and would refuse the whole call for one, so an agent that returns a
/// binary file's content could never finish. The replacement character stands in for it.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

fn json_without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_nul(text)),
        Value::Array(items) => Value::Array(items.iter().map(json_without_nul).collect()),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (without_nul(key), json_without_nul(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

impl Param {
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Param::Text(without_nul(text.as_ref()))
    }

    pub(crate) fn opt_text(text: Option<impl AsRef<str>>) -> Self {
        Param::OptText(text.map(|text| without_nul(text.as_ref())))
    }

    pub(crate) fn id(id: impl fmt::Display) -> Self {
        Param::Text(id.to_string())
    }

    pub(crate) fn opt_id(id: Option<impl fmt::Display>) -> Self {
        Param::OptText(id.map(|id| id.to_string()))
    }

    pub(crate) fn json(value: &Value) -> Self {
        Param::Json(json_without_nul(value))
    }

    pub(crate) fn opt_json(value: Option<&Value>) -> Self {
        Param::OptJson(value.map(json_without_nul))
    }
}

/// What kind of failure a [`DbError`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DbErrorKind {
    /// The database could not be reached, or went away before it answered. Whether the statement happened is not
    /// known.
    Unavailable,
    /// Postgres refused the statement; nothing happened.
    Sql {
        /// The five-character SQLSTATE. Class `GH` is Guildhall's own: a bug of the caller.
        sqlstate: String,
    },
    /// The answer does not have the shape the caller was built for.
    Decode,
}

/// A statement that gave no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbError {
    /// What kind of failure.
    pub kind: DbErrorKind,
    /// What was attempted and why it failed.
    pub message: String,
}

impl DbError {
    /// The database cannot be reached.
    pub fn unavailable(message: impl Into<String>) -> Self {
        DbError {
            kind: DbErrorKind::Unavailable,
            message: message.into(),
        }
    }

    /// Postgres refused the statement with `sqlstate`.
    pub fn sql(sqlstate: impl Into<String>, message: impl Into<String>) -> Self {
        DbError {
            kind: DbErrorKind::Sql {
                sqlstate: sqlstate.into(),
            },
            message: message.into(),
        }
    }

    /// The answer cannot be read.
    pub fn decode(message: impl Into<String>) -> Self {
        DbError {
            kind: DbErrorKind::Decode,
            message: message.into(),
        }
    }

    /// The error code that people and programs are told.
    pub fn code(&self) -> Code {
        match &self.kind {
            DbErrorKind::Unavailable => Code::DatabaseUnavailable,
            DbErrorKind::Decode => Code::SchemaMismatch,
            DbErrorKind::Sql { sqlstate } => code_of(sqlstate),
        }
    }
}

fn code_of(sqlstate: &str) -> Code {
    match sqlstate {
        // No such function, schema, table, column.
        "42883" | "3F000" | "42P01" | "42703" => Code::SchemaMismatch,
        "GH001" => Code::InvalidParameter,
        // Serialisation failure, deadlock, lock timeout, statement timeout: trying again may help.
        "40001" | "40P01" | "55P03" | "57014" => Code::DatabaseUnavailable,
        // Connection lost, out of resources, shutting down.
        other if ["08", "53", "57"].iter().any(|class| other.starts_with(class)) => Code::DatabaseUnavailable,
        _ => Code::Internal,
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DbErrorKind::Unavailable => write!(f, "the database cannot be reached: {}", self.message),
            DbErrorKind::Sql { sqlstate } => write!(f, "{} (SQLSTATE {sqlstate})", self.message),
            DbErrorKind::Decode => write!(f, "the database's answer cannot be read: {}", self.message),
        }
    }
}

impl std::error::Error for DbError {}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        let code = error.code();
        match code {
            Code::InvalidParameter => Problem::new(code, error.message),
            Code::DatabaseUnavailable => {
                Problem::new(code, error.to_string()).hint("try again; nothing that was accepted is lost")
            }
            Code::SchemaMismatch => {
                Problem::new(code, error.to_string()).hint("run `guildhall migrate` of the same version")
            }
            _ => Problem::new(code, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nul_never_reaches_postgres() {
        let value = json!({"a\0": ["x\0y", {"b": "\0"}], "n": 1});
        let Param::Json(clean) = Param::json(&value) else {
            panic!("json gives Json")
        };
        assert_eq!(
            clean,
            json!({"a\u{FFFD}": ["x\u{FFFD}y", {"b": "\u{FFFD}"}], "n": 1})
        );
        assert_eq!(Param::text("\0"), Param::Text("\u{FFFD}".into()));
    }

    #[test]
    fn sqlstates_become_codes() {
        for (sqlstate, code) in [
            ("42883", Code::SchemaMismatch),
            ("3F000", Code::SchemaMismatch),
            ("42P01", Code::SchemaMismatch),
            ("GH001", Code::InvalidParameter),
            ("GH003", Code::Internal),
            ("57P01", Code::DatabaseUnavailable),
            ("53300", Code::DatabaseUnavailable),
            ("40P01", Code::DatabaseUnavailable),
            ("23505", Code::Internal),
        ] {
            assert_eq!(DbError::sql(sqlstate, "x").code(), code, "{sqlstate}");
        }
        assert_eq!(DbError::unavailable("x").code(), Code::DatabaseUnavailable);
    }
}
