//! From a document's value to the model.

use super::pointer::join;
use super::{Data, Definition, Document, Reuse, Schedule, Span, parse_duration};
use crate::expression::Mode;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// Why a value is not a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// JSON pointer to the place.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.reason)
    }
}

impl std::error::Error for ReadError {}

pub(super) type Read<T> = Result<T, ReadError>;

pub(super) fn wrong<T>(pointer: &str, reason: impl Into<String>) -> Read<T> {
    Err(ReadError {
        pointer: pointer.to_owned(),
        reason: reason.into(),
    })
}

/// A place in the document.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) value: &'a Value,
    pub(super) pointer: String,
}

impl<'a> Place<'a> {
    pub(super) fn get(&self, key: &str) -> Option<Place<'a>> {
        Some(Place {
            value: self.value.get(key)?,
            pointer: join(&self.pointer, key),
        })
    }

    pub(super) fn need(&self, key: &str) -> Read<Place<'a>> {
        match self.get(key) {
            Some(place) => Ok(place),
            None => wrong(&self.pointer, format!("`{key}` is missing")),
        }
    }

    pub(super) fn text(&self) -> Read<&'a str> {
        match self.value.as_str() {
            Some(text) => Ok(text),
            None => wrong(&self.pointer, "this must be text"),
        }
    }

    pub(super) fn text_of(&self, key: &str) -> Read<Option<String>> {
        self.get(key)
            .map(|place| place.text().map(str::to_owned))
            .transpose()
    }

    pub(super) fn flag_of(&self, key: &str, default: bool) -> bool {
        self.value.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    pub(super) fn value_of(&self, key: &str) -> Option<Value> {
        self.value.get(key).cloned()
    }

    pub(super) fn items(&self) -> Read<Vec<Place<'a>>> {
        match self.value.as_array() {
            Some(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, value)| Place {
                    value,
                    pointer: format!("{}/{index}", self.pointer),
                })
                .collect()),
            None => wrong(&self.pointer, "this must be a list"),
        }
    }

    pub(super) fn map(&self) -> Read<&'a Map<String, Value>> {
        match self.value.as_object() {
            Some(map) => Ok(map),
            None => wrong(&self.pointer, "this must be a mapping"),
        }
    }

    /// The only entry of an object.
    pub(super) fn single(&self) -> Read<(String, Place<'a>)> {
        let map = self.map()?;
        match (map.len(), map.iter().next()) {
            (1, Some((name, value))) => {
                let pointer = join(&self.pointer, name);
                Ok((name.clone(), Place { value, pointer }))
            }
            _ => wrong(&self.pointer, "this must have one key, its name"),
        }
    }

    pub(super) fn by_name<T>(
        &self,
        key: &str,
        mut read: impl FnMut(&str, Place<'a>) -> Read<T>,
    ) -> Read<BTreeMap<String, T>> {
        let Some(place) = self.get(key) else {
            return Ok(BTreeMap::new());
        };
        let mut all = BTreeMap::new();
        for (name, value) in place.map()? {
            let inner = Place {
                value,
                pointer: join(&place.pointer, name),
            };
            all.insert(name.clone(), read(name, inner)?);
        }
        Ok(all)
    }

    pub(super) fn span(&self) -> Read<Span> {
        if let Value::String(text) = self.value
            && text.contains("${")
        {
            return Ok(Span::Evaluated(text.clone()));
        }
        match parse_duration(self.value) {
            Ok(ms) => Ok(Span::Fixed(ms)),
            Err(reason) => wrong(&self.pointer, reason),
        }
    }

    pub(super) fn span_of(&self, key: &str) -> Read<Option<Span>> {
        self.get(key).map(|place| place.span()).transpose()
    }

    fn fixed_of(&self, key: &str) -> Read<Option<i64>> {
        match self.span_of(key)? {
            Some(Span::Fixed(0)) => wrong(
                &join(&self.pointer, key),
                "the duration must be longer than nothing",
            ),
            Some(Span::Fixed(ms)) => Ok(Some(ms)),
            Some(Span::Evaluated(_)) => wrong(
                &join(&self.pointer, key),
                "a schedule has no data for expressions",
            ),
            None => Ok(None),
        }
    }

    /// A timeout: an object, or the name of one.
    pub(super) fn timeout_of(&self, reuse: &Reuse) -> Read<Option<Span>> {
        let Some(place) = self.get("timeout") else {
            return Ok(None);
        };
        match place.value {
            Value::String(name) => match reuse.timeouts.get(name) {
                Some(span) => Ok(Some(span.clone())),
                None => wrong(
                    &place.pointer,
                    format!("there is no timeout `{name}` in `use.timeouts`"),
                ),
            },
            _ => Ok(Some(place.need("after")?.span()?)),
        }
    }

    pub(super) fn data_of(&self, key: &str, transform: &str) -> Data {
        let Some(place) = self.get(key) else {
            return Data::default();
        };
        Data {
            schema: place.get("schema").and_then(|schema| schema.value_of("document")),
            transform: place.value_of(transform),
        }
    }
}

impl Definition {
    /// Reads a document that was found valid. The error tells the first thing that does not fit the model; what only
    /// validation looks at (expressions, unknown properties) is not looked at again.
    pub fn from_value(source: Value) -> Read<Self> {
        let root = Place {
            value: &source,
            pointer: String::new(),
        };
        let reuse = read_reuse(&root)?;
        let mode = match root.get("evaluate").and_then(|place| place.value_of("mode")) {
            Some(mode) if mode == "loose" => Mode::Loose,
            _ => Mode::Strict,
        };
        Ok(Self {
            document: read_document(&root)?,
            input: root.data_of("input", "from"),
            output: root.data_of("output", "as"),
            mode,
            timeout: root.timeout_of(&reuse)?,
            schedule: root
                .get("schedule")
                .map(|place| read_schedule(&place))
                .transpose()?,
            tasks: super::read_task::read_tasks(&root.need("do")?, &reuse)?,
            reuse,
            source,
        })
    }

    /// SHA-256 of the document, in hex: the same for the same content, however it is written or its keys are ordered.
    pub fn digest(&self) -> String {
        let mut text = String::new();
        canonical(&self.source, &mut text);
        Sha256::digest(text.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Namespace, name and version, as `namespace/name@version`.
    pub fn reference(&self) -> String {
        let Document {
            namespace,
            name,
            version,
            ..
        } = &self.document;
        format!("{namespace}/{name}@{version}")
    }
}

/// JSON with its keys sorted.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            out.push('{');
            for (key, value) in sorted {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn read_document(root: &Place<'_>) -> Read<Document> {
    let place = root.need("document")?;
    let text = |key: &str| place.need(key)?.text().map(str::to_owned);
    Ok(Document {
        dsl: text("dsl")?,
        namespace: text("namespace")?,
        name: text("name")?,
        version: text("version")?,
        title: place.text_of("title")?,
        summary: place.text_of("summary")?,
    })
}

fn read_reuse(root: &Place<'_>) -> Read<Reuse> {
    let Some(place) = root.get("use") else {
        return Ok(Reuse::default());
    };
    let mut reuse = Reuse {
        errors: place.by_name("errors", |_, place| Ok(place.value.clone()))?,
        timeouts: place.by_name("timeouts", |_, place| place.need("after")?.span())?,
        retries: place.by_name("retries", |_, place| super::read_task::read_retry(&place))?,
        authentications: place.by_name("authentications", |_, place| Ok(place.value.clone()))?,
        catalogs: place.by_name("catalogs", |_, place| Ok(place.value.clone()))?,
        ..Reuse::default()
    };
    if let Some(secrets) = place.get("secrets") {
        for secret in secrets.items()? {
            reuse.secrets.push(secret.text()?.to_owned());
        }
    }
    // Functions may call one another, so their names must be known before they are read.
    let names: Vec<String> = match place.get("functions") {
        Some(functions) => functions.map()?.keys().cloned().collect(),
        None => Vec::new(),
    };
    for name in [
        "http", "openapi", "a2a", "mcp", "grpc", "asyncapi", "agent", "approval", "notify",
    ] {
        if names.iter().any(|known| known == name) {
            return wrong(
                "/use/functions",
                format!("`{name}` is the name of a function of the DSL or the hall"),
            );
        }
    }
    let known = reuse.clone();
    reuse.functions = place.by_name("functions", |name, place| {
        super::read_task::read_task(name, &place, &known)
    })?;
    Ok(reuse)
}

fn read_schedule(place: &Place<'_>) -> Read<Schedule> {
    let map = place.map()?;
    if map.len() != 1 {
        return wrong(
            &place.pointer,
            format!(
                "a schedule has one of every, cron, after and on; this has {}",
                map.len()
            ),
        );
    }
    if let Some(ms) = place.fixed_of("every")? {
        return Ok(Schedule::Every(ms));
    }
    if let Some(ms) = place.fixed_of("after")? {
        return Ok(Schedule::After(ms));
    }
    if let Some(cron) = place.get("cron") {
        return match crate::schedule::Cron::parse(cron.text()?) {
            Ok(cron) => Ok(Schedule::Cron(cron)),
            Err(reason) => wrong(&cron.pointer, reason),
        };
    }
    Ok(Schedule::On(super::read_task::read_strategy(&place.need("on")?)?))
}
