//! A document against the table of properties, with the variables that each expression sees.

use super::Finding;
use super::expressions::bare;
use crate::dsl::pointer::{join, join_index};
use crate::dsl::{Phase, Property, Shape, properties};
use crate::expression::{Mode, strip};
use crate::yaml::{Data, Entry, Node};

/// Most tasks in a document.
pub(super) const MAX_TASKS: usize = 1000;
/// How deeply tasks may be nested, so that a snapshot of them with their data can be read again.
pub(super) const MAX_TASK_DEPTH: usize = 12;
/// Names that expressions have already.
const TAKEN: &[&str] = &[
    "context",
    "input",
    "output",
    "task",
    "workflow",
    "runtime",
    "secrets",
    "authorization",
];

pub(super) fn check(root: &Node) -> Vec<Finding> {
    let mode = match root
        .get("evaluate")
        .and_then(|evaluate| evaluate.get("mode"))
        .map(|mode| &mode.data)
    {
        Some(Data::Text(mode)) if mode == "loose" => Mode::Loose,
        _ => Mode::Strict,
    };
    let mut walker = Walker {
        findings: Vec::new(),
        mode,
        variables: Vec::new(),
        tasks: 0,
        depth: 0,
    };
    walker.object(root, "", &["workflow"]);
    walker.findings
}

pub(super) struct Walker {
    pub(super) findings: Vec<Finding>,
    pub(super) mode: Mode,
    /// The variables of loops and catches around the place.
    pub(super) variables: Vec<String>,
    pub(super) tasks: usize,
    pub(super) depth: usize,
}

impl Walker {
    pub(super) fn find(
        &mut self,
        code: &'static str,
        node: &Node,
        pointer: &str,
        message: impl Into<String>,
    ) {
        self.findings.push(Finding {
            code,
            pointer: pointer.to_owned(),
            at: node.at,
            message: message.into(),
        });
    }

    pub(super) fn entries<'n>(&mut self, node: &'n Node, pointer: &str, what: &str) -> &'n [Entry] {
        match &node.data {
            Data::Map(entries) => entries,
            _ => {
                self.find(
                    "type",
                    node,
                    pointer,
                    format!("{what} must be a mapping, not {}", node.kind()),
                );
                &[]
            }
        }
    }

    /// An object whose properties are those of these contexts.
    pub(super) fn object(&mut self, node: &Node, pointer: &str, contexts: &[&'static str]) {
        let what = contexts[contexts.len() - 1];
        if !matches!(node.data, Data::Map(_)) {
            self.entries(node, pointer, &format!("`{what}`"));
            return;
        }
        let known = || contexts.iter().flat_map(|context| properties(context));
        for entry in self.entries(node, pointer, what) {
            let place = join(pointer, &entry.key);
            match known().find(|property| property.name == entry.key) {
                Some(property) => {
                    let outer = self.variables.len();
                    self.bring_variables(node, property);
                    if let Shape::Refused(reason) = property.shape {
                        self.refuse(entry, &place, reason);
                    } else {
                        self.shape(&entry.value, &place, property.shape);
                    }
                    self.variables.truncate(outer);
                }
                None if contexts == ["metadata"] => {}
                None => {
                    let names: Vec<&str> = known().map(|property| property.name).collect();
                    let message = format!(
                        "`{}` is not a property of `{what}`; it has {}",
                        entry.key,
                        names.join(", ")
                    );
                    self.findings.push(Finding {
                        code: "unknown",
                        pointer: place,
                        at: entry.at,
                        message,
                    });
                }
            }
        }
        for property in known().filter(|property| property.required) {
            let refused_instead = known().any(|other| {
                matches!(other.shape, Shape::Refused(_))
                    && other.context == property.context
                    && node.get(other.name).is_some()
            });
            if node.get(property.name).is_none() && !refused_instead {
                self.find(
                    "missing",
                    node,
                    pointer,
                    format!("`{what}` needs `{}`", property.name),
                );
            }
        }
    }

    fn refuse(&mut self, entry: &Entry, pointer: &str, reason: &str) {
        self.findings.push(Finding {
            code: "unsupported",
            pointer: pointer.to_owned(),
            at: entry.at,
            message: format!("`{}` is not supported: {reason}", entry.key),
        });
    }

    /// Loops and catches give variables to some of their properties.
    fn bring_variables(&mut self, node: &Node, property: &Property) {
        let text = |node: Option<&Node>, default: &str| match node.map(|node| &node.data) {
            Some(Data::Text(text)) => text.clone(),
            _ => default.to_owned(),
        };
        match (property.context, property.name) {
            ("task.for", "do" | "while") => {
                let each = node.get("for");
                self.variables
                    .push(text(each.and_then(|each| each.get("each")), "item"));
                self.variables
                    .push(text(each.and_then(|each| each.get("at")), "index"));
            }
            ("foreach", "do" | "output" | "export") => {
                self.variables.push(text(node.get("item"), "item"));
                self.variables.push(text(node.get("at"), "index"));
            }
            ("catch", "when" | "exceptWhen" | "retry" | "do") => {
                self.variables.push(text(node.get("as"), "error"))
            }
            _ => {}
        }
    }

    pub(super) fn shape(&mut self, node: &Node, pointer: &str, shape: Shape) {
        match shape {
            Shape::Refused(_) | Shape::Any => {}
            Shape::Text => {
                self.text(node, pointer);
            }
            Shape::Name => self.name(node, pointer),
            Shape::Variable => {
                self.name(node, pointer);
                if let Data::Text(text) = &node.data {
                    if TAKEN.contains(&text.as_str()) {
                        self.find(
                            "type",
                            node,
                            pointer,
                            format!("`${text}` is taken; name the variable otherwise"),
                        );
                    } else if text.contains('-') || text.starts_with(|c: char| c.is_ascii_digit()) {
                        self.find(
                            "type",
                            node,
                            pointer,
                            format!("`${text}` is not the name of a variable in jq"),
                        );
                    }
                }
            }
            Shape::Whole => match &node.data {
                Data::Number(number) if number.as_u64().is_some() => {}
                _ => self.find(
                    "type",
                    node,
                    pointer,
                    format!("this must be a whole number, not {}", node.kind()),
                ),
            },
            Shape::Flag if !matches!(node.data, Data::Bool(_)) => {
                self.find(
                    "type",
                    node,
                    pointer,
                    format!("this must be true or false, not {}", node.kind()),
                );
            }
            Shape::Flag => {}
            Shape::Choice(choices) => {
                if let Some(text) = self.text(node, pointer)
                    && !choices.contains(&text)
                {
                    self.find(
                        "type",
                        node,
                        pointer,
                        format!("`{text}` is not one of {}", choices.join(", ")),
                    );
                }
            }
            Shape::Names => self.list(node, pointer, Self::name),
            Shape::Expression(phase) => {
                if let Some(text) = self.text(node, pointer) {
                    self.expression(node, pointer, strip(text), phase);
                }
            }
            Shape::Template(phase) => self.template(node, pointer, phase, bare(pointer)),
            Shape::Object(context) => self.object(node, pointer, &[context]),
            Shape::Empty => match &node.data {
                Data::Null => {}
                Data::Map(entries) if entries.is_empty() => {}
                _ => self.find("unknown", node, pointer, "this takes no properties: write `{}`"),
            },
            Shape::NonEmpty(inner) => match &node.data {
                Data::Map(entries) if entries.is_empty() => {
                    self.find("missing", node, pointer, "this must not be empty")
                }
                Data::Map(_) => self.shape(node, pointer, *inner),
                _ => self.find(
                    "type",
                    node,
                    pointer,
                    format!("this must be a mapping, not {}", node.kind()),
                ),
            },
            Shape::Objects(context) => {
                self.list(node, pointer, |walker, item, place| {
                    walker.object(item, place, &[context])
                });
            }
            Shape::Map(context) => {
                for entry in self.entries(node, pointer, "this") {
                    self.object(&entry.value, &join(pointer, &entry.key), &[context]);
                }
            }
            Shape::Either(context) => match &node.data {
                Data::Text(_) => {}
                _ => self.object(node, pointer, &[context]),
            },
            Shape::OneOf(shapes) => {
                let fits = |shape: &&Shape| match shape {
                    Shape::Whole => matches!(node.data, Data::Number(_)),
                    Shape::Object(_) => matches!(node.data, Data::Map(_)),
                    _ => !matches!(node.data, Data::Map(_) | Data::Number(_)),
                };
                match shapes.iter().find(fits) {
                    Some(shape) => self.shape(node, pointer, *shape),
                    None => self.find("type", node, pointer, format!("this cannot be {}", node.kind())),
                }
            }
            Shape::Tasks => self.tasks(node, pointer),
            Shape::Functions => {
                for entry in self.entries(node, pointer, "`functions`") {
                    self.task(&entry.value, &join(pointer, &entry.key));
                }
            }
            Shape::Cases => self.list(node, pointer, |walker, item, place| {
                if let Some(entry) = walker.single(item, place, "a case") {
                    walker.object(&entry.value, &join(place, &entry.key), &["case"]);
                }
            }),
            Shape::Correlations => {
                for entry in self.entries(node, pointer, "`correlate`") {
                    self.object(&entry.value, &join(pointer, &entry.key), &["correlation"]);
                }
            }
            Shape::Directive => {
                self.text(node, pointer);
            }
            Shape::Duration => self.duration(node, pointer),
            Shape::Endpoint => match &node.data {
                Data::Map(_) => {
                    self.object(node, pointer, &["endpoint"]);
                    if let Some(uri) = node.get("uri") {
                        self.template(uri, &join(pointer, "uri"), Phase::Task, false);
                    }
                }
                _ => {
                    self.text(node, pointer);
                    self.template(node, pointer, Phase::Task, false);
                }
            },
        }
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node, pointer: &str) -> Option<&'n str> {
        match &node.data {
            Data::Text(text) if !text.is_empty() => Some(text),
            _ => {
                let kind = if matches!(node.data, Data::Text(_)) {
                    "empty"
                } else {
                    node.kind()
                };
                let hint = match node.data {
                    Data::Number(_) | Data::Bool(_) => "; put it in quotes",
                    Data::Map(_) => "; if it begins with `{`, put it in quotes",
                    _ => "",
                };
                self.find(
                    "type",
                    node,
                    pointer,
                    format!("this must be text, not {kind}{hint}"),
                );
                None
            }
        }
    }

    fn name(&mut self, node: &Node, pointer: &str) {
        if let Some(text) = self.text(node, pointer)
            && (text.len() > 64
                || !text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        {
            self.find(
                "type",
                node,
                pointer,
                format!("`{text}` is not a name: 1 to 64 letters, digits, `-` and `_`"),
            );
        }
    }

    pub(super) fn list(&mut self, node: &Node, pointer: &str, mut each: impl FnMut(&mut Self, &Node, &str)) {
        match &node.data {
            Data::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    each(self, item, &join_index(pointer, index));
                }
            }
            _ => self.find(
                "type",
                node,
                pointer,
                format!("this must be a list, not {}", node.kind()),
            ),
        }
    }

    pub(super) fn single<'n>(&mut self, node: &'n Node, pointer: &str, what: &str) -> Option<&'n Entry> {
        match &node.data {
            Data::Map(entries) if entries.len() == 1 => entries.first(),
            Data::Map(entries) => {
                let message = format!(
                    "{what} is a mapping with one key, its name; this has {}",
                    entries.len()
                );
                self.find("structure", node, pointer, message);
                None
            }
            _ => {
                self.find(
                    "type",
                    node,
                    pointer,
                    format!("{what} is a mapping with one key, its name, not {}", node.kind()),
                );
                None
            }
        }
    }
}
