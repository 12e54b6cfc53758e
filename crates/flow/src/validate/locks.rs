//! Whether the order of a workflow's locks can never come round in a circle.
//!
//! Locks of one task are taken together. A task within a task that holds locks takes its own while it holds those:
//! that is an order. Two runs that follow orders which form a circle can wait for each other for ever, so such a
//! definition is refused. Names with expressions are told apart by how they are written.

use super::names::Names;
use crate::dsl::{Definition, Function, Kind, Task};
use std::collections::{BTreeMap, BTreeSet};

/// For each lock, the locks taken while it is held, and where.
#[derive(Default)]
struct Orders {
    after: BTreeMap<String, BTreeMap<String, String>>,
    again: Vec<(String, String)>,
    visited: BTreeSet<(String, Vec<String>)>,
}

pub(super) fn check(names: &mut Names<'_>) {
    let mut orders = Orders::default();
    orders.list(names.definition, &names.definition.tasks, &mut Vec::new());
    for (lock, pointer) in std::mem::take(&mut orders.again) {
        names.find(
            "locks",
            &pointer,
            format!("the lock `{lock}` is held already by a task around this one"),
        );
    }
    if let Some(circle) = orders.circle() {
        let (first, second) = (&circle[0], &circle[1]);
        let pointer = orders.after[first][second].clone();
        let message = format!(
            "the order of locks goes in a circle ({} → {first}), so two runs could wait for each other for ever; take them \
             in one order, or together on one task",
            circle.join(" → ")
        );
        names.find("locks", &pointer, message);
    }
}

impl Orders {
    fn list(&mut self, definition: &Definition, tasks: &[Task], held: &mut Vec<String>) {
        for task in tasks {
            let before = held.len();
            for lock in &task.locks {
                let pointer = format!("{}/metadata/locks", task.pointer);
                if held[..before].contains(lock) {
                    self.again.push((lock.clone(), pointer));
                    continue;
                }
                for outer in &held[..before] {
                    let inner = self.after.entry(outer.clone()).or_default();
                    inner.entry(lock.clone()).or_insert_with(|| pointer.clone());
                }
                held.push(lock.clone());
            }
            for inner in bodies(task) {
                self.list(definition, inner, held);
            }
            if let Kind::Call(call) = &task.kind
                && let Function::Own(name) = &call.function
                && let Some(function) = definition.reuse.functions.get(name)
                && self.visited.insert((name.clone(), held.clone()))
            {
                self.list(definition, std::slice::from_ref(function), held);
            }
            held.truncate(before);
        }
    }

    /// A circle, as the locks along it.
    fn circle(&self) -> Option<Vec<String>> {
        for start in self.after.keys() {
            let mut path = vec![start.clone()];
            let mut seen = BTreeSet::from([start.clone()]);
            if self.reaches(start, start, &mut path, &mut seen) {
                return Some(path);
            }
        }
        None
    }

    fn reaches(&self, from: &str, goal: &str, path: &mut Vec<String>, seen: &mut BTreeSet<String>) -> bool {
        for next in self.after.get(from).into_iter().flat_map(BTreeMap::keys) {
            if next == goal {
                return true;
            }
            if seen.insert(next.clone()) {
                path.push(next.clone());
                if self.reaches(next, goal, path, seen) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
}

/// The lists of tasks within a task.
pub(crate) fn bodies(task: &Task) -> Vec<&[Task]> {
    match &task.kind {
        Kind::Do(body) => vec![body],
        Kind::For(each) => vec![&each.body],
        Kind::Fork(fork) => vec![&fork.branches],
        Kind::Try(attempt) => vec![&attempt.body, &attempt.catch.body],
        Kind::Listen(listen) => listen
            .foreach
            .iter()
            .map(|foreach| foreach.body.as_slice())
            .collect(),
        _ => Vec::new(),
    }
}
