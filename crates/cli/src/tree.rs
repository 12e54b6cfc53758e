//! A run's steps as a tree: those that began, then those that are still planned.
//!
//! A step is named by its JSON pointer, with the iteration in brackets after the list that it repeats (`do[2]`) and the
//! round in parentheses (`do(1)`) after a list in which a directive went back.

use guildhall_domain::run::{Run, StepView};
use serde_json::Value;
use std::collections::HashMap;

/// Functions whose calls become steps; whatever has a colon is a catalog's.
const CALLS: [&str; 6] = ["agent", "approval", "http", "openapi", "a2a", "mcp"];

/// One line of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'a> {
    /// How many tasks are around it.
    pub depth: usize,
    /// The task's name, with its iteration.
    pub name: String,
    /// What is there.
    pub what: What<'a>,
}

/// What stands in a line.
#[derive(Clone, Debug, PartialEq)]
pub enum What<'a> {
    /// A task that has steps within.
    Around,
    /// A step that began.
    Step(&'a StepView),
    /// A step that may come.
    Planned,
}

#[derive(Default)]
struct Node<'a> {
    name: String,
    what: Vec<What<'a>>,
    children: Vec<String>,
}

/// The tree of a run, line by line. What is planned is left out once the run has ended.
pub fn lines(run: &Run) -> Vec<Line<'_>> {
    let mut tree: HashMap<String, Node<'_>> = HashMap::new();
    for step in &run.steps {
        put(&mut tree, &step.step, What::Step(step));
    }
    if !run.status.is_terminal() {
        let begun: Vec<String> = run.steps.iter().map(|step| plain(&step.step)).collect();
        for pointer in planned(&run.definition) {
            if !begun.contains(&pointer) {
                put(&mut tree, &pointer, What::Planned);
            }
        }
    }
    let mut lines = Vec::new();
    walk(&tree, "", 0, &mut lines);
    lines
}

fn put<'a>(tree: &mut HashMap<String, Node<'a>>, pointer: &str, what: What<'a>) {
    let mut parent = String::new();
    for (path, name) in parts(pointer) {
        let siblings = &mut tree.entry(parent.clone()).or_default().children;
        if !siblings.contains(&path) {
            siblings.push(path.clone());
        }
        tree.entry(path.clone()).or_default().name = name;
        parent = path;
    }
    tree.entry(parent).or_default().what.push(what);
}

fn walk<'a>(tree: &HashMap<String, Node<'a>>, path: &str, depth: usize, lines: &mut Vec<Line<'a>>) {
    for child in tree.get(path).map_or(&[][..], |node| &node.children) {
        let Some(node) = tree.get(child) else { continue };
        let line = |what| Line {
            depth,
            name: node.name.clone(),
            what,
        };
        if node.what.is_empty() {
            lines.push(line(What::Around));
        }
        lines.extend(node.what.iter().cloned().map(line));
        walk(tree, child, depth + 1, lines);
    }
}

/// The tasks on the way to a step, itself last: each pointer with the name to show.
fn parts(pointer: &str) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    let (mut path, mut iteration) = (String::new(), String::new());
    let mut segments = pointer.split('/').skip(1);
    while let Some(segment) = segments.next() {
        path.push('/');
        path.push_str(segment);
        if segment.parse::<u32>().is_ok() {
            let name = segments.next().unwrap_or_default();
            path.push('/');
            path.push_str(name);
            let name = name.replace("~1", "/").replace("~0", "~");
            parts.push((path.clone(), format!("{name}{iteration}")));
            iteration.clear();
        } else if let Some(at) = segment.find(['[', '(']) {
            iteration = format!(" {}", &segment[at..]);
        }
    }
    if parts.is_empty() {
        parts.push((pointer.to_owned(), pointer.trim_start_matches('/').to_owned()));
    }
    parts
}

/// The pointer without iterations and rounds: the task's place in the document.
fn plain(pointer: &str) -> String {
    let mut plain = String::new();
    let mut was_index = false;
    for segment in pointer.split('/').skip(1) {
        let cut = match segment.find(['[', '(']) {
            // What follows an index is a task's name, which may hold anything.
            Some(at) if !was_index => &segment[..at],
            _ => segment,
        };
        was_index = !was_index && segment.parse::<u32>().is_ok();
        plain.push('/');
        plain.push_str(cut);
    }
    plain
}

/// The steps that a definition names, in order, as JSON pointers.
fn planned(definition: &Value) -> Vec<String> {
    let mut found = Vec::new();
    list(&definition["do"], "/do", &mut found);
    found
}

fn list(tasks: &Value, place: &str, found: &mut Vec<String>) {
    for (index, entry) in tasks.as_array().into_iter().flatten().enumerate() {
        let Some((name, task)) = entry.as_object().and_then(|entry| entry.iter().next()) else {
            continue;
        };
        let pointer = format!("{place}/{index}/{}", name.replace('~', "~0").replace('/', "~1"));
        let called = task["call"]
            .as_str()
            .is_some_and(|call| CALLS.contains(&call) || call.contains(':'));
        if called || task["run"].is_object() {
            found.push(pointer);
            continue;
        }
        for (list_of, place) in [
            (&task["do"], "do"),
            (&task["fork"]["branches"], "fork/branches"),
            (&task["try"], "try"),
        ] {
            list(list_of, &format!("{pointer}/{place}"), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(status: &str, steps: &[&str]) -> Run {
        let steps: Vec<Value> = steps
            .iter()
            .map(|step| {
                json!({"step": step, "name": "x", "kind": "agent", "status": "running", "agent": null, "skill": "s",
                    "attempts": 1, "started_at": "2026-01-01T00:00:00Z", "finished_at": null, "result": null,
                    "error": null})
            })
            .collect();
        let call = json!({"call": "agent", "with": {"skill": "s"}});
        let definition = json!({"do": [
            {"first": call},
            {"both": {"fork": {"branches": [{"a": call}, {"b": {"try": [{"c": call}], "catch": {}}}]}}},
            {"each": {"for": {"in": "."}, "do": [{"one": call}, {"keep": {"set": {}}}]}},
            {"child": {"run": {"workflow": {}}}},
        ]});
        serde_json::from_value(json!({
            "id": "3f1c9a52-0f52-4d0c-9f80-1b4f9fce6a01", "name": "n", "status": status, "requester": "r", "title": "t",
            "workflow": null, "digest": "d", "input": {}, "parent_run_id": null,
            "definition": definition, "output": null, "error": null, "journal_position": 1,
            "created_at": "2026-01-01T00:00:00Z", "finished_at": null, "steps": steps,
        }))
        .expect("a run")
    }

    fn drawn(run: &Run) -> Vec<String> {
        lines(run)
            .iter()
            .map(|line| {
                let mark = match line.what {
                    What::Around => "",
                    What::Step(_) => "*",
                    What::Planned => "?",
                };
                format!("{}{}{mark}", "  ".repeat(line.depth), line.name)
            })
            .collect()
    }

    #[test]
    fn branches_and_iterations_stand_below_their_task() {
        let run = run(
            "running",
            &[
                "/do/0/first",
                "/do/1/both/fork/branches/1/b/try/0/c",
                "/do/1/both/fork/branches/0/a",
                "/do/2/each/do[0]/0/one",
                "/do/2/each/do[1]/0/one",
                "/do(1)/0/first",
            ],
        );
        assert_eq!(
            drawn(&run),
            [
                "first*",
                "both",
                "  b",
                "    c*",
                "  a*",
                "each",
                "  one [0]*",
                "  one [1]*",
                "first (1)*",
                "child?"
            ]
        );
    }

    #[test]
    fn what_is_planned_is_gone_once_the_run_has_ended() {
        let planned = [
            "first*", "both", "  a?", "  b", "    c?", "each", "  one?", "child?",
        ];
        assert_eq!(drawn(&run("waiting", &["/do/0/first"])), planned);
        assert_eq!(drawn(&run("faulted", &["/do/0/first"])), ["first*"]);
    }

    #[test]
    fn names_may_hold_anything() {
        assert_eq!(
            parts("/do/0/a~1b[1]"),
            [("/do/0/a~1b[1]".into(), "a/b[1]".into())]
        );
        assert_eq!(
            plain("/do(2)/3/7/fork/branches/0/x[1]"),
            "/do/3/7/fork/branches/0/x[1]"
        );
        assert_eq!(parts("odd"), [("odd".into(), "odd".into())]);
    }
}
