//! Durations, and the expressions in values.

use super::structure::Walker;
use crate::dsl::pointer::join;
use crate::dsl::{Phase, parse_duration};
use crate::expression::{Mode, Text, TextPart, check as check_expression, parse_text, strip};
use crate::yaml::{Data, Node};

impl Walker {
    pub(super) fn duration(&mut self, node: &Node, pointer: &str) {
        match &node.data {
            Data::Map(_) => {
                let before = self.findings.len();
                self.object(node, pointer, &["duration"]);
                if self.findings.len() > before {
                    return;
                }
            }
            Data::Text(text) if text.contains("${") => {
                return self.template(node, pointer, Phase::Task, false);
            }
            _ => {}
        }
        if let Err(reason) = parse_duration(&node.to_value()) {
            self.find("type", node, pointer, reason);
        }
    }

    /// The expressions in a value. `bare`: the value itself is an expression when it is a text.
    pub(super) fn template(&mut self, node: &Node, pointer: &str, phase: Phase, bare: bool) {
        match &node.data {
            Data::Text(text) if bare => self.expression(node, pointer, strip(text), phase),
            Data::Text(text) => match parse_text(text) {
                Ok(Text::Plain(_)) => {}
                Ok(Text::Expression(expression)) => self.expression(node, pointer, expression, phase),
                Ok(Text::Mixed(parts)) => {
                    for part in parts {
                        if let TextPart::Expression(expression) = part {
                            self.expression(node, pointer, expression, phase);
                        }
                    }
                }
                Err(error) => self.find("expression", node, pointer, error.to_string()),
            },
            Data::List(_) => self.list(node, pointer, |walker, item, place| {
                walker.template(item, place, phase, false)
            }),
            Data::Map(entries) => {
                for entry in entries {
                    self.template(&entry.value, &join(pointer, &entry.key), phase, false);
                }
            }
            Data::Null | Data::Bool(_) | Data::Number(_) => {}
        }
    }

    pub(super) fn expression(&mut self, node: &Node, pointer: &str, text: &str, phase: Phase) {
        let mut known: Vec<&str> = phase.variables().to_vec();
        known.extend(self.variables.iter().map(String::as_str));
        if pointer.starts_with("/schedule/") {
            // Before a run there is none whose data they could see.
            known.clear();
        }
        if let Err(error) = check_expression(text, &known) {
            // Loosely, what is no expression is a text; a bare one must be an expression all the same.
            if self.mode == Mode::Strict || bare(pointer) {
                self.find("expression", node, pointer, error.to_string());
            }
        }
    }
}

/// Whether a property takes an expression without `${ }` when its value is a text: `from` and `as`.
pub(super) fn bare(pointer: &str) -> bool {
    ["/input/from", "/output/as", "/export/as"]
        .iter()
        .any(|end| pointer.ends_with(end))
}
