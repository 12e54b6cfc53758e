//! What is wrong with a document.

use crate::yaml::{At, Data, Node};
use serde::Serialize;
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind: `yaml`, `unknown`, `unsupported`, `missing`, `type`, `expression`, `reference`, `structure`, `locks`.
    pub code: &'static str,
    /// JSON pointer to the place.
    pub pointer: String,
    /// Where that is in the text.
    pub at: At,
    /// What is wrong and what to do.
    pub message: String,
}

impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("Finding", 5)?;
        out.serialize_field("code", self.code)?;
        out.serialize_field("pointer", &self.pointer)?;
        out.serialize_field("line", &self.at.line)?;
        out.serialize_field("column", &self.at.column)?;
        out.serialize_field("message", &self.message)?;
        out.end()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.at)?;
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        write!(f, "{}", self.message)
    }
}

impl Finding {
    /// A finding at the place that a pointer leads to, or the nearest around it.
    pub(super) fn at_pointer(
        root: &Node,
        code: &'static str,
        pointer: &str,
        message: impl Into<String>,
    ) -> Self {
        let (mut node, mut at) = (root, root.at);
        for segment in pointer.split('/').skip(1) {
            let segment = segment.replace("~1", "/").replace("~0", "~");
            let next = match &node.data {
                Data::Map(entries) => entries
                    .iter()
                    .find(|e| e.key == segment)
                    .map(|entry| (&entry.value, entry.at)),
                Data::List(items) => segment
                    .parse::<usize>()
                    .ok()
                    .and_then(|i| items.get(i))
                    .map(|item| (item, item.at)),
                _ => None,
            };
            match next {
                Some((inner, place)) => (node, at) = (inner, place),
                None => break,
            }
        }
        Self {
            code,
            pointer: pointer.to_owned(),
            at,
            message: message.into(),
        }
    }
}

/// Everything that is wrong, in the order of the text; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Findings(pub Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
