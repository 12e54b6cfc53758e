//! Why a database could not be brought up to the binary, and what to do.

use std::fmt;

/// A migration that did not happen. Nothing is half-applied: what is reported as failed was rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrateError {
    /// The database has a migration that this binary does not know.
    Newer {
        /// The migration.
        database: String,
        /// The newest that the binary knows.
        binary: i32,
    },
    /// An applied migration's text is not the one that was applied.
    Edited {
        /// The migration.
        name: String,
    },
    /// Another migrator has been at work for a minute.
    Busy,
    /// Postgres refused a file.
    Refused {
        /// The file's name.
        name: String,
        /// Why, with the line.
        reason: String,
    },
    /// Something else between this program and Postgres failed.
    Sql {
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// TLS could not be set up.
    Tls(String),
    /// The migrations themselves are not well-formed.
    Source(String),
}

impl MigrateError {
    pub(super) fn sql(what: &'static str, error: &tokio_postgres::Error) -> Self {
        MigrateError::Sql {
            what,
            reason: reason(error),
        }
    }

    pub(super) fn refused(name: &str, sql: &str, error: &tokio_postgres::Error) -> Self {
        let line = match error.as_db_error().and_then(|refusal| refusal.position()) {
            Some(tokio_postgres::error::ErrorPosition::Original(position)) => {
                let before = sql.chars().take((*position as usize).saturating_sub(1));
                format!(" at line {}", before.filter(|c| *c == '\n').count() + 1)
            }
            _ => String::new(),
        };
        MigrateError::Refused {
            name: name.into(),
            reason: format!("{}{line}", reason(error)),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            MigrateError::Newer { .. } => {
                "use the version of guildhall that made the database, or a later one"
            }
            MigrateError::Edited { .. } => {
                "restore the migration's text; put the change into a new migration with the next number"
            }
            MigrateError::Busy => "see who holds it: select * from pg_locks where locktype = 'advisory'",
            MigrateError::Refused { .. } => {
                "nothing of this file was applied; mend the cause and migrate again"
            }
            MigrateError::Sql { .. } => {
                "check the database URL, and that its user may create schema guildhall"
            }
            MigrateError::Tls(_) | MigrateError::Source(_) => "this is a bug of guildhall; please report it",
        }
    }
}

fn reason(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refusal) => {
            let detail = refusal
                .detail()
                .map(|detail| format!(": {detail}"))
                .unwrap_or_default();
            format!(
                "{}{detail} (SQLSTATE {})",
                refusal.message(),
                refusal.code().code()
            )
        }
        None => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            text
        }
    }
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MigrateError::Newer { database, binary } => write!(
                f,
                "the database has migration {database}, which this binary (up to {binary:04}) does not know"
            ),
            MigrateError::Edited { name } => {
                write!(
                    f,
                    "migration {name} was applied with another text than the one in this binary"
                )
            }
            MigrateError::Busy => write!(
                f,
                "another migrator has been at work on this database for a minute"
            ),
            MigrateError::Refused { name, reason } => write!(f, "cannot apply {name}: {reason}"),
            MigrateError::Sql { what, reason } => write!(f, "cannot {what}: {reason}"),
            MigrateError::Tls(reason) => write!(f, "cannot set up TLS: {reason}"),
            MigrateError::Source(reason) => write!(f, "the migrations are not well-formed: {reason}"),
        }
    }
}

impl std::error::Error for MigrateError {}
