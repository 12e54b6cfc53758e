//! What a definition may touch, without doing anything: a walk over all its tasks, whichever of them will run.
//!
//! Names that hold expressions are told as they are written, and marked: what they come to is known when they run.

use crate::dsl::{Call, Definition, Function, Kind, Strategy, Task, Until};
use crate::validate::bodies;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a definition may touch. Each list is sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The workflow, as `namespace/name@version`.
    pub workflow: String,
    /// Skills asked of agents, as `skill` or `skill@agent`.
    pub agents: Vec<Touch>,
    /// Actions that people must agree to, as JSON.
    pub approvals: Vec<Touch>,
    /// Who is let known, by channel; `default` where none is named.
    pub notifications: Vec<Touch>,
    /// Hosts that requests go to: of APIs, documents, agents, MCP servers, catalogs and token endpoints.
    pub hosts: Vec<Touch>,
    /// Tools called over MCP, as `tool@host`; other methods as `method@host`.
    pub tools: Vec<Touch>,
    /// Functions of catalogs, as `name:version@catalog`.
    pub functions: Vec<Touch>,
    /// Other workflows that are run, as `namespace/name@version`.
    pub workflows: Vec<Touch>,
    /// Locks that are held.
    pub locks: Vec<Touch>,
    /// Types of events that are emitted.
    pub emits: Vec<Touch>,
    /// Types of events that are listened to; `*` for all.
    pub listens: Vec<Touch>,
    /// Secrets that are used on its behalf.
    pub secrets: Vec<Touch>,
}

/// One thing that is touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Touch {
    /// Its name.
    pub name: String,
    /// Whether the name holds expressions or variables.
    pub dynamic: bool,
    /// JSON pointers to the tasks.
    pub tasks: Vec<String>,
}

/// The lists of a plan while they are gathered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum List {
    Agents,
    Approvals,
    Notifications,
    Hosts,
    Tools,
    Functions,
    Workflows,
    Locks,
    Emits,
    Listens,
    Secrets,
}

struct Gatherer<'a> {
    definition: &'a Definition,
    found: BTreeMap<(List, String), BTreeSet<String>>,
    functions: BTreeSet<&'a str>,
}

/// The plan of a definition.
pub fn plan(definition: &Definition) -> Plan {
    let mut gatherer = Gatherer {
        definition,
        found: BTreeMap::new(),
        functions: BTreeSet::new(),
    };
    gatherer.tasks(&definition.tasks);
    let mut lists: BTreeMap<List, Vec<Touch>> = BTreeMap::new();
    for ((list, name), tasks) in gatherer.found {
        let touch = Touch {
            dynamic: name.contains("${")
                || (list == List::Hosts || list == List::Tools) && name.contains('{'),
            name,
            tasks: tasks.into_iter().collect(),
        };
        lists.entry(list).or_default().push(touch);
    }
    let mut take = |list| lists.remove(&list).unwrap_or_default();
    Plan {
        workflow: definition.reference(),
        agents: take(List::Agents),
        approvals: take(List::Approvals),
        notifications: take(List::Notifications),
        hosts: take(List::Hosts),
        tools: take(List::Tools),
        functions: take(List::Functions),
        workflows: take(List::Workflows),
        locks: take(List::Locks),
        emits: take(List::Emits),
        listens: take(List::Listens),
        secrets: take(List::Secrets),
    }
}

impl<'a> Gatherer<'a> {
    fn add(&mut self, list: List, name: impl Into<String>, task: &Task) {
        let tasks = self.found.entry((list, name.into())).or_default();
        tasks.insert(task.pointer.clone());
    }

    fn tasks(&mut self, tasks: &'a [Task]) {
        for task in tasks {
            self.task(task);
        }
    }

    fn task(&mut self, task: &'a Task) {
        for lock in &task.locks {
            self.add(List::Locks, lock, task);
        }
        match &task.kind {
            Kind::Call(call) => self.call(task, call),
            Kind::Emit(with) => self.add(List::Emits, text(with.get("type")), task),
            Kind::Listen(listen) => self.strategy(task, &listen.to),
            Kind::Run(child) => {
                self.add(
                    List::Workflows,
                    format!("{}/{}@{}", child.namespace, child.name, child.version),
                    task,
                );
            }
            _ => {}
        }
        for body in bodies(task) {
            self.tasks(body);
        }
    }

    fn strategy(&mut self, task: &Task, strategy: &Strategy) {
        for filter in strategy.filters() {
            let kind = filter.with.get("type");
            self.add(
                List::Listens,
                kind.map_or("*".into(), |kind| text(Some(kind))),
                task,
            );
        }
        if strategy.filters().is_empty() {
            self.add(List::Listens, "*", task);
        }
        if let Strategy::Any(_, Some(Until::Events(until))) = strategy {
            self.strategy(task, until);
        }
    }

    fn call(&mut self, task: &'a Task, call: &'a Call) {
        let with = &call.with;
        match &call.function {
            Function::Http => self.endpoint(task, with.get("endpoint")),
            Function::OpenApi => {
                self.endpoint(task, with.pointer("/document/endpoint"));
                self.policy(task, with.get("authentication"));
            }
            Function::A2a => {
                self.endpoint(task, with.pointer("/agentCard/endpoint"));
                self.endpoint(task, with.get("server"));
            }
            Function::Mcp => {
                let endpoint = with.pointer("/transport/http/endpoint");
                self.endpoint(task, endpoint);
                let method = text(with.get("method"));
                let tool = match with.pointer("/parameters/name") {
                    Some(name) if method == "tools/call" => text(Some(name)),
                    _ => method,
                };
                self.add(List::Tools, format!("{tool}@{}", host(endpoint)), task);
            }
            Function::Agent => {
                let skill = text(with.get("skill"));
                let name = match with.get("agent") {
                    Some(agent) => format!("{skill}@{}", text(Some(agent))),
                    None => skill,
                };
                self.add(List::Agents, name, task);
            }
            Function::Approval => self.add(List::Approvals, text(with.get("action")), task),
            Function::Notify => {
                let channel = with
                    .get("channel")
                    .map_or("default".into(), |channel| text(Some(channel)));
                self.add(List::Notifications, channel, task);
            }
            Function::Cataloged {
                name,
                version,
                catalog,
            } => {
                self.add(List::Functions, format!("{name}:{version}@{catalog}"), task);
                let endpoint = self
                    .definition
                    .reuse
                    .catalogs
                    .get(catalog)
                    .and_then(|catalog| catalog.get("endpoint"));
                self.endpoint(task, endpoint);
            }
            Function::Own(name) => {
                if let Some((name, function)) = self.definition.reuse.functions.get_key_value(name)
                    && self.functions.insert(name)
                {
                    self.task(function);
                }
            }
        }
    }

    fn endpoint(&mut self, task: &Task, endpoint: Option<&Value>) {
        if let Some(endpoint) = endpoint {
            self.add(List::Hosts, host(Some(endpoint)), task);
            self.policy(task, endpoint.get("authentication"));
        }
    }

    fn policy(&mut self, task: &Task, policy: Option<&Value>) {
        let named = policy
            .and_then(|policy| policy.get("use"))
            .and_then(Value::as_str);
        let policy = match named {
            Some(name) => self.definition.reuse.authentications.get(name),
            None => policy,
        };
        for scheme in policy
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|map| map.values())
        {
            if let Some(secret) = scheme.get("use").and_then(Value::as_str) {
                self.add(List::Secrets, secret, task);
            }
            if let Some(authority) = scheme.get("authority") {
                self.add(List::Hosts, host(Some(authority)), task);
            }
        }
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// The host and port of an endpoint; the whole text where an expression hides it.
fn host(endpoint: Option<&Value>) -> String {
    let uri = match endpoint {
        Some(Value::Object(map)) => text(map.get("uri")),
        other => text(other),
    };
    match uri.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('$') => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            authority.rsplit('@').next().unwrap_or_default().to_owned()
        }
        _ => uri,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_that_may_be_touched_is_told() {
        let definition = crate::validate::parse(
            "document: {dsl: 1.0.3, namespace: n, name: w, version: 1.0.0}
use:
  secrets: [key]
  authentications: {o: {oauth2: {authority: 'https://login.example/realm', grant: client_credentials}}}
  functions:
    f: {do: [{g: {call: agent, with: {skill: deploy, agent: infra}}}]}
do:
- a:
    metadata: {locks: [prod, '${ .repo }']}
    fork:
      branches:
      - b: {call: http, with: {method: get, endpoint: {uri: 'https://api.example:8443/{id}', authentication: {use: o}}}}
      - c: {call: mcp, with: {method: tools/call, parameters: {name: t}, transport: {http: {endpoint: 'https://mcp.example/x'}}}}
      - d: {call: http, with: {method: get, endpoint: '${ .url }'}}
- e: {call: f}
- h: {call: f}
- i: {call: approval, with: {action: {deploy: prod}}}
- j: {call: 'x:1.0.0@default', with: {}}
- k: {run: {workflow: {namespace: n, name: other, version: latest}}}
- l: {emit: {event: {with: {source: 'https://s', type: done}}}}
- m: {listen: {to: {any: [], until: {one: {with: {type: stop}}}}}}
- o: {call: notify, with: {message: x}}
- p: {call: http, with: {method: get, endpoint: {uri: 'https://api.example:8443/', authentication: {basic: {use: key}}}}}
",
        )
        .unwrap_or_else(|findings| panic!("{findings}"));
        let plan = plan(&definition);
        let names = |list: &[Touch]| list.iter().map(|touch| touch.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&plan.agents), ["deploy@infra"]);
        assert_eq!(plan.agents[0].tasks, ["/use/functions/f/do/0/g"]);
        assert_eq!(
            names(&plan.hosts),
            ["${ .url }", "api.example:8443", "login.example", "mcp.example"]
        );
        assert_eq!(
            plan.hosts.iter().map(|touch| touch.dynamic).collect::<Vec<_>>(),
            [true, false, false, false]
        );
        assert_eq!(plan.hosts[1].tasks, ["/do/0/a/fork/branches/0/b", "/do/9/p"]);
        assert_eq!(names(&plan.tools), ["t@mcp.example"]);
        assert_eq!(names(&plan.locks), ["${ .repo }", "prod"]);
        assert_eq!(names(&plan.approvals), [json!({"deploy": "prod"}).to_string()]);
        assert_eq!(names(&plan.functions), ["x:1.0.0@default"]);
        assert_eq!(names(&plan.workflows), ["n/other@latest"]);
        assert_eq!(names(&plan.emits), ["done"]);
        assert_eq!(names(&plan.listens), ["*", "stop"]);
        assert_eq!(names(&plan.notifications), ["default"]);
        assert_eq!(names(&plan.secrets), ["key"]);
        assert_eq!(plan.workflow, "n/w@1.0.0");
    }
}
