//! What names refer to: tasks of the same list, functions, catalogs, authentications, secrets.

use super::Finding;
use crate::dsl::{Definition, Flow, Function, Kind, Strategy, Task, Until};
use crate::yaml::Node;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) struct Names<'a> {
    pub(super) definition: &'a Definition,
    pub(super) root: &'a Node,
    pub(super) findings: Vec<Finding>,
}

impl Names<'_> {
    pub(super) fn find(&mut self, code: &'static str, pointer: &str, message: impl Into<String>) {
        self.findings
            .push(Finding::at_pointer(self.root, code, pointer, message));
    }

    /// A list of tasks: each name once, and directives that stay within it.
    pub(super) fn list(&mut self, tasks: &[Task]) {
        let mut seen = BTreeSet::new();
        for task in tasks {
            if !seen.insert(task.name.as_str()) {
                let message = format!("there is an earlier task named `{}` in this list", task.name);
                self.find("structure", &task.pointer, message);
            }
            if matches!(task.name.as_str(), "continue" | "exit" | "end") {
                self.find(
                    "structure",
                    &task.pointer,
                    format!("`{}` is a flow directive; name the task otherwise", task.name),
                );
            }
        }
        for task in tasks {
            self.flow(&task.then, &format!("{}/then", task.pointer), &seen);
            if let Kind::Switch(cases) = &task.kind {
                for (index, case) in cases.iter().enumerate() {
                    let name = crate::dsl::pointer::escape(&case.name);
                    self.flow(
                        &case.then,
                        &format!("{}/switch/{index}/{name}/then", task.pointer),
                        &seen,
                    );
                }
            }
        }
    }

    /// Tasks that stand alone, as the branches of a fork do: each name once, and no directive to another.
    pub(super) fn branches(&mut self, tasks: &[Task]) {
        for task in tasks {
            self.list(std::slice::from_ref(task));
        }
        let mut seen = BTreeSet::new();
        for task in tasks.iter().filter(|task| !seen.insert(task.name.as_str())) {
            self.find(
                "structure",
                &task.pointer,
                format!("there is an earlier branch named `{}`", task.name),
            );
        }
    }

    fn flow(&mut self, flow: &Flow, pointer: &str, known: &BTreeSet<&str>) {
        if let Flow::To(name) = flow
            && !known.contains(name.as_str())
        {
            let message =
                format!("there is no task `{name}` in the same list; a directive cannot leave its scope");
            self.find("reference", pointer, message);
        }
    }

    pub(super) fn function(&mut self, task: &Task, function: &Function) {
        let pointer = format!("{}/call", task.pointer);
        match function {
            Function::Own(name) if !self.definition.reuse.functions.contains_key(name) => {
                let message = format!(
                    "there is no function `{name}`: not in `use.functions`, and not one of http, openapi, a2a, mcp, agent, \
                     approval and notify; a catalog's function is called as `name:version@catalog`"
                );
                self.find("reference", &pointer, message);
            }
            Function::Cataloged { catalog, .. }
                if catalog != "default" && !self.definition.reuse.catalogs.contains_key(catalog) =>
            {
                self.find(
                    "reference",
                    &pointer,
                    format!("there is no catalog `{catalog}` in `use.catalogs`"),
                );
            }
            _ => {}
        }
    }

    /// Authentications anywhere within a value: names that are there, secrets that are listed, one scheme each.
    pub(super) fn authentications(&mut self, value: &Value, pointer: &str) {
        let Some(map) = value.as_object() else { return };
        for (key, inner) in map {
            let place = crate::dsl::pointer::join(pointer, key);
            match key.as_str() {
                "authentication" if inner.is_object() => self.authentication(inner, &place),
                "endpoint" | "document" | "agentCard" | "server" | "transport" | "http" => {
                    self.authentications(inner, &place)
                }
                _ => {}
            }
        }
    }

    pub(super) fn authentication(&mut self, policy: &Value, pointer: &str) {
        let Some(map) = policy.as_object() else { return };
        let (1, Some((scheme, inner))) = (map.len(), map.iter().next()) else {
            let message = "an authentication has one scheme: use, basic, bearer, digest, oauth2 or oidc";
            return self.find("structure", pointer, message);
        };
        let place = crate::dsl::pointer::join(pointer, scheme);
        if scheme == "use" {
            let known = inner
                .as_str()
                .is_some_and(|name| self.definition.reuse.authentications.contains_key(name));
            if !known || pointer.starts_with("/use/authentications/") {
                let message = format!("there is no authentication {inner} in `use.authentications`");
                self.find("reference", &place, message);
            }
            return;
        }
        if let Some(secret) = inner.get("use").and_then(Value::as_str) {
            if !self.definition.reuse.secrets.iter().any(|known| known == secret) {
                let message = format!("`{secret}` is not listed in `use.secrets`");
                self.find("reference", &place, message);
            }
            if inner.as_object().is_some_and(|map| map.len() > 1) {
                self.find(
                    "structure",
                    &place,
                    "`use` takes everything from the secret, so nothing else goes beside it",
                );
            }
            return;
        }
        let needed: &[&str] = match scheme.as_str() {
            "bearer" => &["token"],
            "oauth2" | "oidc" => &["authority", "grant"],
            _ => &["username", "password"],
        };
        for key in needed {
            if inner.get(key).is_none() {
                self.find(
                    "missing",
                    &place,
                    format!("`{scheme}` needs `{key}`, or `use` with the name of a secret"),
                );
            }
        }
    }

    /// Attributes that an event may have, by the rules of CloudEvents.
    pub(super) fn strategy(&mut self, strategy: &Strategy, pointer: &str) {
        for (index, filter) in strategy.filters().iter().enumerate() {
            let place = match strategy {
                Strategy::One(_) => format!("{pointer}/one"),
                Strategy::All(_) => format!("{pointer}/all/{index}"),
                Strategy::Any(..) => format!("{pointer}/any/{index}"),
            };
            for (key, value) in &filter.with {
                self.attribute(key, &format!("{place}/with/{key}"));
                if let Value::String(text) = value
                    && let Err(reason) = crate::engine::check_pattern(text)
                {
                    self.find("expression", &format!("{place}/with/{key}"), reason);
                }
            }
        }
        if let Strategy::Any(_, Some(Until::Events(inner))) = strategy {
            self.strategy(inner, &format!("{pointer}/until"));
        }
    }

    pub(super) fn attribute(&mut self, key: &str, pointer: &str) {
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
            let message =
                format!("`{key}` is not an attribute of CloudEvents: lower-case letters and digits");
            self.find("structure", pointer, message);
        }
    }
}
