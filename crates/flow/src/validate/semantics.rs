//! What the table of properties cannot say.

use super::Finding;
use super::locks::{self, bodies};
use super::names::Names;
use super::structure::MAX_TASK_DEPTH;
use crate::dsl::{Data, Definition, Function, Kind, Schedule, Task};
use crate::yaml::Node;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) fn check(definition: &Definition, root: &Node) -> Vec<Finding> {
    let mut names = Names {
        definition,
        root,
        findings: Vec::new(),
    };
    document(&mut names);
    schema(&mut names, &definition.input, "/input");
    schema(&mut names, &definition.output, "/output");
    names.list(&definition.tasks);
    for task in &definition.tasks {
        self::task(&mut names, task);
    }
    for (name, function) in &definition.reuse.functions {
        task(&mut names, function);
        names.branches(std::slice::from_ref(function));
        let mut seen = BTreeSet::new();
        if calls(definition, function, name, &mut seen) {
            names.find(
                "structure",
                &function.pointer,
                format!("the function `{name}` comes to call itself"),
            );
        }
    }
    for (name, policy) in &definition.reuse.authentications {
        names.authentication(policy, &format!("/use/authentications/{name}"));
    }
    for (name, catalog) in &definition.reuse.catalogs {
        names.authentications(catalog, &format!("/use/catalogs/{name}"));
    }
    if let Some(Schedule::On(strategy)) = &definition.schedule {
        names.strategy(strategy, "/schedule/on");
    }
    if names.findings.is_empty() {
        for task in &definition.tasks {
            if depth(definition, std::slice::from_ref(task), MAX_TASK_DEPTH + 1) > MAX_TASK_DEPTH {
                let message = format!(
                    "tasks are nested more than {MAX_TASK_DEPTH} deep, counting the functions they call"
                );
                names.find("structure", &task.pointer, message);
            }
        }
        locks::check(&mut names);
    }
    names.findings
}

fn document(names: &mut Names<'_>) {
    let document = &names.definition.document;
    let (dsl, version) = (document.dsl.clone(), document.version.clone());
    if !is_semver(&dsl) || !dsl.starts_with("1.0.") {
        names.find(
            "structure",
            "/document/dsl",
            format!("the DSL's version `{dsl}` is not supported; it must be 1.0.x, as 1.0.3"),
        );
    }
    if !is_semver(&version) {
        names.find(
            "structure",
            "/document/version",
            format!("`{version}` is not a semantic version like 1.0.0"),
        );
    }
}

fn is_semver(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    let number = |n: &&str| {
        !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) && (*n == "0" || !n.starts_with('0'))
    };
    let rest = text[core.len()..].trim_start_matches(['-', '+']);
    let sound = rest
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
    numbers.len() == 3
        && numbers.iter().all(number)
        && sound
        && (core.len() == text.len() || !rest.is_empty())
}

fn schema(names: &mut Names<'_>, data: &Data, pointer: &str) {
    if let Some(schema) = &data.schema
        && let Err(reason) = crate::schema::check_schema(schema)
    {
        names.find("structure", &format!("{pointer}/schema/document"), reason);
    }
}

fn task(names: &mut Names<'_>, task: &Task) {
    for (data, key) in [
        (&task.input, "input"),
        (&task.output, "output"),
        (&task.export, "export"),
    ] {
        schema(names, data, &format!("{}/{key}", task.pointer));
    }
    match &task.kind {
        Kind::Call(call) => {
            names.function(task, &call.function);
            let pointer = format!("{}/with", task.pointer);
            if !matches!(call.function, Function::Own(_) | Function::Cataloged { .. }) {
                names.authentications(&call.with, &pointer);
            }
        }
        Kind::Emit(Value::Object(with)) => {
            for key in with.keys() {
                names.attribute(key, &format!("{}/emit/event/with/{key}", task.pointer));
            }
        }
        Kind::Listen(listen) => {
            names.strategy(&listen.to, &format!("{}/listen/to", task.pointer));
            if let Some(foreach) = &listen.foreach {
                schema(
                    names,
                    &foreach.output,
                    &format!("{}/foreach/output", task.pointer),
                );
                schema(
                    names,
                    &foreach.export,
                    &format!("{}/foreach/export", task.pointer),
                );
            }
        }
        _ => {}
    }
    for body in bodies(task) {
        match task.kind {
            Kind::Fork(_) => names.branches(body),
            _ => names.list(body),
        }
        for inner in body {
            self::task(names, inner);
        }
    }
}

/// How deeply tasks are nested in a list, counting the functions they call. Functions do not call themselves.
fn depth(definition: &Definition, tasks: &[Task], left: usize) -> usize {
    if left == 0 {
        return 1;
    }
    let deepest = |task: &Task| {
        let called = match &task.kind {
            Kind::Call(call) => match &call.function {
                Function::Own(name) => definition.reuse.functions.get(name),
                _ => None,
            },
            _ => None,
        };
        let called = called.map_or(0, |function| {
            depth(definition, std::slice::from_ref(function), left - 1)
        });
        let within = bodies(task)
            .into_iter()
            .map(|body| depth(definition, body, left - 1));
        1 + within.max().unwrap_or(0).max(called)
    };
    tasks.iter().map(deepest).max().unwrap_or(0)
}

/// Whether a task comes to call the function `goal`.
fn calls(definition: &Definition, task: &Task, goal: &str, seen: &mut BTreeSet<String>) -> bool {
    if let Kind::Call(call) = &task.kind
        && let Function::Own(name) = &call.function
    {
        if name == goal {
            return true;
        }
        if seen.insert(name.clone())
            && let Some(function) = definition.reuse.functions.get(name)
            && calls(definition, function, goal, seen)
        {
            return true;
        }
    }
    bodies(task)
        .into_iter()
        .flatten()
        .any(|inner| calls(definition, inner, goal, seen))
}
