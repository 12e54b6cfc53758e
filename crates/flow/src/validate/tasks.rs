//! Tasks against the table: one kind each, calls with the arguments of their function.

use super::structure::{MAX_TASK_DEPTH, MAX_TASKS, Walker};
use crate::dsl::pointer::join;
use crate::dsl::{Phase, Shape, TASK_KINDS, properties};
use crate::yaml::{Data, Node};

impl Walker {
    pub(super) fn tasks(&mut self, node: &Node, pointer: &str) {
        if matches!(&node.data, Data::List(items) if items.is_empty()) {
            self.find("structure", node, pointer, "there must be at least one task");
        }
        self.list(node, pointer, |walker, item, place| {
            if let Some(entry) = walker.single(item, place, "a task") {
                let place = join(place, &entry.key);
                if entry.key.is_empty() || entry.key.len() > 64 {
                    walker.find("type", item, &place, "a task's name has 1 to 64 characters");
                }
                walker.task(&entry.value, &place);
            }
        });
    }

    pub(super) fn task(&mut self, node: &Node, pointer: &str) {
        self.tasks += 1;
        if self.tasks == MAX_TASKS + 1 {
            self.find(
                "structure",
                node,
                pointer,
                format!("there are more than {MAX_TASKS} tasks"),
            );
        }
        if self.depth >= MAX_TASK_DEPTH {
            self.find(
                "structure",
                node,
                pointer,
                format!("tasks are nested more than {MAX_TASK_DEPTH} deep"),
            );
            return;
        }
        if !matches!(node.data, Data::Map(_)) {
            self.entries(node, pointer, "a task");
            return;
        }
        let mut kinds: Vec<_> = TASK_KINDS
            .iter()
            .filter(|(name, _)| node.get(name).is_some())
            .collect();
        if node.get("for").is_some() {
            kinds.retain(|(name, _)| *name != "do");
        }
        match kinds[..] {
            [(name, context)] => {
                self.depth += 1;
                self.object(node, pointer, &["task", context]);
                if *name == "call" {
                    self.call(node, pointer);
                }
                self.depth -= 1;
            }
            [] => {
                let names: Vec<&str> = TASK_KINDS.iter().map(|(name, _)| *name).collect();
                self.find(
                    "structure",
                    node,
                    pointer,
                    format!("a task does one of {}; this none", names.join(", ")),
                );
            }
            _ => {
                let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
                self.find(
                    "structure",
                    node,
                    pointer,
                    format!("a task does one thing; this has {}", names.join(" and ")),
                );
            }
        }
    }

    pub(super) fn call(&mut self, node: &Node, pointer: &str) {
        let Some(Node {
            data: Data::Text(function),
            ..
        }) = node.get("call")
        else {
            return;
        };
        let place = join(pointer, "with");
        let with = node.get("with");
        match properties("call")
            .find(|property| property.name == function)
            .map(|property| property.shape)
        {
            Some(Shape::Refused(reason)) => {
                let place = join(pointer, "call");
                let message = format!("`call: {function}` is not supported: {reason}");
                let call = node.get("call").unwrap_or(node);
                self.find("unsupported", call, &place, message);
            }
            Some(shape) => match with {
                Some(with) => self.shape(with, &place, shape),
                None => self.find(
                    "missing",
                    node,
                    pointer,
                    format!("`call: {function}` needs `with`"),
                ),
            },
            None => match with {
                Some(with) if matches!(with.data, Data::Map(_)) => {
                    self.template(with, &place, Phase::Task, false)
                }
                Some(with) => self.find(
                    "type",
                    with,
                    &place,
                    format!("`with` must be a mapping, not {}", with.kind()),
                ),
                None => {}
            },
        }
    }
}
