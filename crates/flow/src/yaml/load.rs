//! From the parser's events to a tree.

use super::{At, Data, Entry, MAX_BYTES, MAX_DEPTH, MAX_NODES, Node, YamlError, scalar};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};
use std::collections::{BTreeMap, BTreeSet};

/// Reads one document.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    let start = At { line: 1, column: 1 };
    if text.len() > MAX_BYTES {
        let reason = format!("the text has {} bytes; at most {MAX_BYTES} are read", text.len());
        return Err(YamlError { at: start, reason });
    }
    let mut loader = Loader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error: ScanError| YamlError {
            at: at(error.marker()),
            reason: error.info().to_owned(),
        })?;
        loader.take(event, at(&span.start))?;
    }
    loader.root.ok_or_else(|| YamlError {
        at: start,
        reason: "there is no document".into(),
    })
}

fn at(marker: &Marker) -> At {
    At {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

/// A collection that is being read.
struct Open {
    at: At,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        keys: BTreeSet<String>,
        key: Option<(String, At)>,
    },
}

#[derive(Default)]
struct Loader {
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, usize, usize)>,
    nodes: usize,
    root: Option<Node>,
}

impl Loader {
    fn take(&mut self, event: Event<'_>, at: At) -> Result<(), YamlError> {
        let refuse = |reason: &str| {
            Err(YamlError {
                at,
                reason: reason.to_owned(),
            })
        };
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                refuse("there is a second document; a text holds one")
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => refuse("tags are not supported"),
            Event::Scalar(text, style, anchor, None) => {
                let data = if style == ScalarStyle::Plain {
                    scalar::plain(&text).map_err(|reason| YamlError { at, reason })?
                } else {
                    Data::Text(text.into_owned())
                };
                self.place(Node { at, data }, anchor, 1, 1)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((node, size, depth)) => {
                    let (node, size, depth) = (Node { at, ..node.clone() }, *size, *depth);
                    self.place(node, 0, size, depth)
                }
                None => refuse("the alias refers to what is not complete, or not there"),
            },
            Event::SequenceStart(anchor, None) => self.begin(at, anchor, Content::List(Vec::new())),
            Event::MappingStart(anchor, None) => {
                let content = Content::Map {
                    entries: Vec::new(),
                    keys: BTreeSet::new(),
                    key: None,
                };
                self.begin(at, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return refuse("an end without a beginning");
                };
                let data = match open.content {
                    Content::List(nodes) => Data::List(nodes),
                    Content::Map { entries, .. } => Data::Map(entries),
                };
                let node = Node { at: open.at, data };
                // Counting anew costs only where there is an anchor.
                let (size, depth) = if open.anchor == 0 { (1, 1) } else { measure(&node) };
                if open.anchor != 0 {
                    self.anchors.insert(open.anchor, (node.clone(), size, depth));
                }
                self.place(node, 0, 1, 1)
            }
        }
    }

    fn begin(&mut self, at: At, anchor: usize, content: Content) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            let reason = format!("values are nested more than {MAX_DEPTH} deep");
            return Err(YamlError { at, reason });
        }
        self.open.push(Open { at, anchor, content });
        Ok(())
    }

    fn place(&mut self, node: Node, anchor: usize, size: usize, depth: usize) -> Result<(), YamlError> {
        let at = node.at;
        self.nodes += size;
        if self.nodes > MAX_NODES {
            let reason = format!("there are more than {MAX_NODES} values, counting what aliases expand to");
            return Err(YamlError { at, reason });
        }
        if self.open.len() + depth > MAX_DEPTH + 1 {
            let reason = format!("values are nested more than {MAX_DEPTH} deep");
            return Err(YamlError { at, reason });
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size, depth));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(nodes)) => nodes.push(node),
            Some(Content::Map { entries, keys, key }) => match key.take() {
                Some((name, key_at)) => entries.push(Entry {
                    key: name,
                    at: key_at,
                    value: node,
                }),
                None => {
                    let name = key_text(&node).ok_or_else(|| YamlError {
                        at,
                        reason: format!("a key must be text, not {}", node.kind()),
                    })?;
                    if !keys.insert(name.clone()) {
                        let reason = format!("the key `{name}` is there twice");
                        return Err(YamlError { at, reason });
                    }
                    *key = Some((name, at));
                }
            },
        }
        Ok(())
    }
}

/// A key as JSON has it: text, or what is written like a number or boolean.
fn key_text(node: &Node) -> Option<String> {
    match &node.data {
        Data::Text(text) => Some(text.clone()),
        Data::Bool(flag) => Some(flag.to_string()),
        Data::Number(number) => Some(number.to_string()),
        Data::Null | Data::List(_) | Data::Map(_) => None,
    }
}

fn measure(node: &Node) -> (usize, usize) {
    let fold = |(size, depth): (usize, usize), (s, d): (usize, usize)| (size + s, depth.max(d + 1));
    match &node.data {
        Data::List(nodes) => nodes.iter().map(measure).fold((1, 1), fold),
        Data::Map(entries) => entries
            .iter()
            .map(|entry| measure(&entry.value))
            .fold((1 + entries.len(), 1), fold),
        _ => (1, 1),
    }
}
