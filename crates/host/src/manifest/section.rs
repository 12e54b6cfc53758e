//! A TOML table that knows its own place, so that every complaint names the key.

use crate::error::{ErrorKind, HostError, Result};

/// A table being taken apart: what has been read is removed, and what is left at the end is an error.
pub(crate) struct Section {
    file: String,
    path: String,
    table: toml::Table,
}

/// Keys Spin knows and this host refuses, with what to do instead.
pub(crate) type Refused = &'static [(&'static str, &'static str)];

impl Section {
    /// The root table of `file` (its display name), parsed from `text`.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let table = text.parse::<toml::Table>().map_err(|e| {
            HostError::new(
                ErrorKind::Unreadable,
                file,
                format!("not valid TOML: {}", e.to_string().trim_end()),
            )
        })?;
        Ok(Self {
            file: file.into(),
            path: String::new(),
            table,
        })
    }

    fn at(&self, key: &str, table: toml::Table) -> Self {
        let path = if self.path.is_empty() {
            key.into()
        } else {
            format!("{}.{key}", self.path)
        };
        Self {
            file: self.file.clone(),
            path,
            table,
        }
    }

    /// The place of `key`, as `spin.toml [component.bus] source`.
    pub fn place(&self, key: &str) -> String {
        if self.path.is_empty() {
            format!("{} {key}", self.file)
        } else {
            format!("{} [{}] {key}", self.file, self.path)
        }
    }

    /// The place of the table itself, as `spin.toml [component.bus]`.
    pub fn here(&self) -> String {
        if self.path.is_empty() {
            self.file.clone()
        } else {
            format!("{} [{}]", self.file, self.path)
        }
    }

    /// An error of Spin's manifest rules about `key`.
    pub fn invalid(&self, key: &str, cause: impl Into<String>) -> HostError {
        HostError::new(ErrorKind::InvalidManifest, self.place(key), cause)
    }

    fn wrong_type(&self, key: &str, wanted: &str, value: &toml::Value) -> HostError {
        self.invalid(key, format!("must be {wanted}, not {}", value.type_str()))
    }

    pub fn take(&mut self, key: &str) -> Option<toml::Value> {
        self.table.remove(key)
    }

    pub fn string(&mut self, key: &str) -> Result<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(toml::Value::String(s)) => Ok(Some(s)),
            Some(other) => Err(self.wrong_type(key, "a string", &other)),
        }
    }

    pub fn required_string(&mut self, key: &str) -> Result<String> {
        self.string(key)?.ok_or_else(|| self.invalid(key, "is missing"))
    }

    pub fn boolean(&mut self, key: &str) -> Result<Option<bool>> {
        match self.take(key) {
            None => Ok(None),
            Some(toml::Value::Boolean(b)) => Ok(Some(b)),
            Some(other) => Err(self.wrong_type(key, "true or false", &other)),
        }
    }

    /// A count: an integer that is not negative.
    pub fn count(&mut self, key: &str) -> Result<Option<usize>> {
        match self.take(key) {
            None => Ok(None),
            Some(toml::Value::Integer(n)) if n >= 0 => Ok(Some(n as usize)),
            Some(other) => Err(self.wrong_type(key, "a whole number that is not negative", &other)),
        }
    }

    pub fn strings(&mut self, key: &str) -> Result<Vec<String>> {
        let Some(value) = self.take(key) else {
            return Ok(Vec::new());
        };
        let toml::Value::Array(items) = value else {
            return Err(self.wrong_type(key, "a list of strings", &value));
        };
        items
            .into_iter()
            .map(|item| match item {
                toml::Value::String(s) => Ok(s),
                other => Err(self.wrong_type(key, "a list of strings", &other)),
            })
            .collect()
    }

    /// A table of strings, in the order of its keys.
    pub fn string_map(&mut self, key: &str) -> Result<Vec<(String, String)>> {
        let Some(section) = self.section(key)? else {
            return Ok(Vec::new());
        };
        let place = section.clone_place();
        section
            .table
            .into_iter()
            .map(|(name, value)| match value {
                toml::Value::String(s) => Ok((name, s)),
                other => Err(place.wrong_type(&name, "a string", &other)),
            })
            .collect()
    }

    fn clone_place(&self) -> Self {
        Self {
            file: self.file.clone(),
            path: self.path.clone(),
            table: toml::Table::new(),
        }
    }

    pub fn section(&mut self, key: &str) -> Result<Option<Self>> {
        match self.take(key) {
            None => Ok(None),
            Some(toml::Value::Table(table)) => Ok(Some(self.at(key, table))),
            Some(other) => Err(self.wrong_type(key, "a table", &other)),
        }
    }

    /// Every sub-table, by its key.
    pub fn into_sections(self) -> Result<Vec<(String, Self)>> {
        let place = self.clone_place();
        self.table
            .into_iter()
            .map(|(key, value)| match value {
                toml::Value::Table(table) => {
                    let section = place.at(&key, table);
                    Ok((key, section))
                }
                other => Err(place.wrong_type(&key, "a table", &other)),
            })
            .collect()
    }

    /// The tables of the array `key`; `label` names one of them in messages, given its position from 1.
    pub fn array(&mut self, key: &str) -> Result<Vec<Self>> {
        let Some(value) = self.take(key) else {
            return Ok(Vec::new());
        };
        let toml::Value::Array(items) = value else {
            return Err(self.wrong_type(key, "an array of tables (`[[...]]`)", &value));
        };
        items
            .into_iter()
            .enumerate()
            .map(|(i, item)| match item {
                toml::Value::Table(table) => Ok(self.at(&format!("{key} #{}", i + 1), table)),
                other => Err(self.wrong_type(key, "an array of tables (`[[...]]`)", &other)),
            })
            .collect()
    }

    /// Complains about whatever has not been read.
    pub fn finish(self, refused: Refused) -> Result<()> {
        let Some(key) = self.table.keys().next() else {
            return Ok(());
        };
        match refused.iter().find(|(name, _)| name == key) {
            Some((_, hint)) => Err(HostError::new(
                ErrorKind::Unsupported,
                self.place(key),
                "Spin knows this key, the embedded host does not support it",
            )
            .hint(*hint)),
            None => Err(self
                .invalid(key, "unknown key")
                .hint("check its spelling against Spin's manifest reference")),
        }
    }
}
