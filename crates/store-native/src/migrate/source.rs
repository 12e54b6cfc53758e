//! Where migrations come from: the binary itself, or a test.

use super::MigrateError;
use sha2::{Digest, Sha256};

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// A numbered, append-only step of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number, from 1 without gaps.
    pub version: i32,
    /// Its file's name without `.sql`, for example `0001_core`.
    pub name: String,
    /// Its text.
    pub sql: String,
}

impl Migration {
    /// A migration from its file's name without `.sql`, which begins with its number.
    pub fn new(name: &str, sql: &str) -> Result<Self, MigrateError> {
        let version = name
            .split('_')
            .next()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| {
                MigrateError::Source(format!("migration `{name}` does not begin with its number"))
            })?;
        Ok(Migration {
            version,
            name: name.into(),
            sql: sql.into(),
        })
    }

    /// SHA-256 of the text, hex.
    pub fn checksum(&self) -> String {
        sha256(&self.sql)
    }
}

/// A file of `create or replace` statements: what the functions are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionFile {
    /// Its name without `.sql`.
    pub name: String,
    /// Its text.
    pub sql: String,
}

impl FunctionFile {
    /// SHA-256 of the text, hex.
    pub fn checksum(&self) -> String {
        sha256(&self.sql)
    }
}

/// Everything that makes a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// In the order of their numbers.
    pub migrations: Vec<Migration>,
    /// In the order they are applied.
    pub functions: Vec<FunctionFile>,
}

impl Source {
    /// What is embedded in this binary.
    pub fn embedded() -> Self {
        let migrations = embedded::MIGRATIONS.iter().map(|(name, sql)| Migration {
            version: name
                .split('_')
                .next()
                .and_then(|digits| digits.parse().ok())
                .unwrap_or(0),
            name: (*name).into(),
            sql: (*sql).into(),
        });
        let functions = embedded::FUNCTIONS.iter().map(|(name, sql)| FunctionFile {
            name: (*name).into(),
            sql: (*sql).into(),
        });
        Source {
            migrations: migrations.collect(),
            functions: functions.collect(),
        }
    }

    /// The number of the newest migration; 0 without any.
    pub fn version(&self) -> i32 {
        self.migrations.last().map_or(0, |migration| migration.version)
    }

    /// SHA-256, hex, over every file: two sources with the same one make the same schema. Good for naming a template
    /// database.
    pub fn checksum(&self) -> String {
        let mut digest = Sha256::new();
        for migration in &self.migrations {
            digest.update(format!("{}:{}\n", migration.name, migration.checksum()));
        }
        for file in &self.functions {
            digest.update(format!("{}:{}\n", file.name, file.checksum()));
        }
        hex::encode(digest.finalize())
    }

    /// Checks that the migrations are numbered 1, 2, 3, …
    pub(super) fn validate(&self) -> Result<(), MigrateError> {
        for (index, migration) in self.migrations.iter().enumerate() {
            if usize::try_from(migration.version).ok() != Some(index + 1) {
                return Err(MigrateError::Source(format!(
                    "migration `{}` should have the number {:04}",
                    migration.name,
                    index + 1
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_source_is_whole() {
        let source = Source::embedded();
        source.validate().expect("numbered without gaps");
        assert_eq!(source.version(), guildhall_store::SCHEMA_VERSION);
        assert!(source.functions.iter().any(|file| file.name == "run"));
        assert!(
            source
                .migrations
                .iter()
                .all(|migration| !migration.name.contains("snapshot")),
            "the snapshot is no migration"
        );
    }

    #[test]
    fn gaps_and_missing_numbers_are_refused() {
        assert!(Migration::new("core", "").is_err());
        let source = Source {
            migrations: vec![Migration::new("0002_late", "").unwrap()],
            functions: Vec::new(),
        };
        let error = source.validate().unwrap_err().to_string();
        assert!(
            error.contains("`0002_late` should have the number 0001"),
            "{error}"
        );
    }
}
