//! Functions of catalogs: `call: name:version@catalog` (dsl.md, "Catalogs").
//!
//! A function is a task in a document of its own. It is run by the engine within this one call, so it may do what needs no
//! waiting and nobody but services outside: calls, and the tasks that only compute. It has no secrets.

use crate::{
    address::Address,
    caller::{Call, Caller, not_outbound, perform},
    problems::{Outcome, configuration, runtime},
    wire::Wire,
};
use chrono::{DateTime, Utc};
use guildhall_flow::{
    dsl::Definition,
    engine::{Action, Command, Detail, Engine, Event, Input, Problem, RunMeta},
    validate,
};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Most calls that one function makes.
const MOST_CALLS: usize = 20;

impl<W: Wire> Caller<'_, W> {
    pub async fn function(&self, action: &Action) -> Outcome<Value> {
        let Action::Function {
            name,
            version,
            catalog,
            endpoint,
            with,
        } = action
        else {
            return Err(not_outbound());
        };
        let called = format!("{name}:{version}@{catalog}");
        let Some(root) = endpoint["uri"].as_str() else {
            return Err(configuration(format!(
                "There is no function `{called}`: the hall's own catalog has none. Its own functions are agent, approval \
                 and notify, called by their names; those of another catalog need it in `use.catalogs`."
            )));
        };
        let address =
            raw(&Address::parse(root)?)?.below(&format!("functions/{name}/{version}/function.yaml"))?;
        let task = self.document(&address, &endpoint["authentication"]).await?;
        let document = json!({
            "document": {"dsl": "1.0.3", "namespace": "catalog", "name": "function", "version": "1.0.0"},
            "do": [{"function": *task}],
        });
        let definition = validate::parse(&document.to_string()).map_err(|findings| {
            let first = findings
                .0
                .first()
                .map_or_else(String::new, |finding| finding.message.clone());
            configuration(format!("The function `{called}` cannot be run here: {first}."))
        })?;
        let ran = self.run_function(&definition, with.clone()).await;
        ran.map_err(|problem| Problem {
            // Where it happened within the function says nothing to the workflow.
            instance: None,
            detail: problem
                .detail
                .map(|detail| format!("In the function `{called}`: {detail}")),
            ..problem
        })
    }

    async fn run_function(&self, definition: &Definition, with: Value) -> Outcome<Value> {
        let engine = Engine {
            detail: Detail::Nothing,
            ..Engine::default()
        };
        let meta = RunMeta {
            id: self.key(),
            started_at: self.now(),
            runtime: json!({"name": "guildhall", "version": env!("CARGO_PKG_VERSION"), "metadata": {}}),
        };
        let (mut calls, mut waiting) = (0, VecDeque::new());
        let mut step = engine.start(definition, with, meta);
        loop {
            for command in step.commands {
                let (seq, action) = (command.seq, &command.action);
                match action {
                    Action::Complete { output } => return Ok(output.clone()),
                    Action::Fault { error } => return Err(error.clone()),
                    Action::Continue => waiting.push_back((seq, Input::Continue)),
                    Action::Cancel { target } => waiting.retain(|(seq, _)| seq != target),
                    Action::Http { .. }
                    | Action::OpenApi { .. }
                    | Action::A2a { .. }
                    | Action::Mcp { .. } => {
                        calls += 1;
                        if calls > MOST_CALLS {
                            return Err(runtime(format!("It makes more than {MOST_CALLS} calls.")));
                        }
                        waiting.push_back((seq, self.part(&command).await));
                    }
                    _ => {
                        return Err(configuration(
                            "It asks for more than calls to services (waiting, agents, approvals, locks, events or \
                             other workflows); make it a workflow and use `run`.",
                        ));
                    }
                }
            }
            let Some((_, input)) = waiting.pop_front() else {
                return Err(runtime("It waits for nothing and does not end."));
            };
            let event = Event {
                now: self.now(),
                input,
            };
            step = engine.apply(definition, step.state, &event);
        }
    }

    /// Performs a call of a function. Its key tells it apart from the function's other calls.
    async fn part(&self, command: &Command) -> Input {
        let call = Call {
            action: &command.action,
            key: &command.key,
            fences: self.fences,
        };
        let (step, seq) = (command.step.clone(), command.seq);
        match Box::pin(perform(self.wire, self.secrets, self.kept, call)).await {
            Ok(output) => Input::Completed { step, seq, output },
            Err(error) => Input::Failed { step, seq, error },
        }
    }

    fn now(&self) -> DateTime<Utc> {
        let seconds = i64::try_from(self.wire.unix_seconds()).unwrap_or(i64::MAX);
        DateTime::from_timestamp(seconds, 0).unwrap_or_default()
    }
}

/// Where a catalog's files are: for repositories at GitHub and GitLab not the pages that show them.
fn raw(catalog: &Address) -> Outcome<Address> {
    let target = catalog.target();
    let parts: Vec<&str> = target.trim_matches('/').split('/').collect();
    let uri = match (catalog.origin().as_str(), parts.as_slice()) {
        ("https://github.com", [owner, repository]) => {
            format!("https://raw.githubusercontent.com/{owner}/{repository}/HEAD")
        }
        ("https://github.com", [owner, repository, "tree", branch, rest @ ..]) => format!(
            "https://raw.githubusercontent.com/{owner}/{repository}/refs/heads/{branch}/{}",
            rest.join("/")
        ),
        ("https://gitlab.com", [.., "-", "tree", _]) => {
            format!("https://gitlab.com{}", target.replace("/-/tree/", "/-/raw/"))
        }
        _ => return Ok(catalog.clone()),
    };
    Address::parse(&uri)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Kept, Secrets,
        testing::{Script, answer, json_answer, run},
    };

    fn called(script: &Script, endpoint: Value) -> Result<Value, Problem> {
        let action: Action = serde_json::from_value(json!({
            "action": "function", "name": "greet", "version": "1.0.0", "catalog": "team", "endpoint": endpoint,
            "with": {"who": "milou"},
        }))
        .expect("an action");
        let call = Call {
            action: &action,
            key: "run-1/do/0/greet",
            fences: &[],
        };
        run(perform(script, &Secrets::default(), &Kept::default(), call))
    }

    fn catalog() -> Value {
        json!({"uri": "https://catalog.example/main", "authentication": null})
    }

    #[test]
    fn a_function_is_run_and_its_calls_are_made() {
        let function = "
input: {schema: {document: {type: object, required: [who]}}}
do:
  - ask:
      call: http
      with: {method: post, endpoint: 'https://api.example/greet', body: {name: '${ .who }'}}
  - shape: {set: {greeting: '${ .text }'}}
";
        let script = Script::new([
            answer(200, "text/yaml", function),
            json_answer(200, &json!({"text": "hello"})),
        ]);
        assert_eq!(called(&script, catalog()), Ok(json!({"greeting": "hello"})));
        let sent = script.sent();
        assert_eq!(
            sent[0].uri,
            "https://catalog.example/main/functions/greet/1.0.0/function.yaml"
        );
        assert_eq!(sent[1].body, br#"{"name":"milou"}"#);
        let key = sent[1].header("idempotency-key").expect("a key");
        assert!(key.starts_with("run-1/do/0/greet/"), "{key}");
    }

    #[test]
    fn what_cannot_be_done_within_a_call_is_refused() {
        for (function, kind, words) in [
            ("wait: {seconds: 1}", "configuration", "`greet:1.0.0@team`"),
            (
                "call: agent\nwith: {skill: x}",
                "configuration",
                "make it a workflow",
            ),
            (
                "run: {script: {language: js, code: x}}",
                "configuration",
                "cannot be run here",
            ),
            (
                "call: http\nwith: {method: get, endpoint: {uri: 'https://a.example', authentication: {bearer: {use: s}}}}",
                "configuration",
                "use.secrets",
            ),
            (
                "raise: {error: {type: 'https://x.example/own', status: 409, detail: no}}",
                "own",
                "no",
            ),
            (
                "input: {schema: {document: {type: string}}}\nset: {a: 1}",
                "validation",
                "In the function",
            ),
        ] {
            let problem = called(&Script::new([answer(200, "", function)]), catalog()).expect_err(function);
            assert!(problem.kind.ends_with(&format!("/{kind}")), "{problem:?}");
            assert!(
                problem.detail.clone().unwrap_or_default().contains(words),
                "{problem:?}"
            );
            assert_eq!(problem.instance, None);
        }
        let problem = called(&Script::default(), Value::Null).expect_err("no such catalog");
        assert!(
            problem
                .detail
                .is_some_and(|detail| detail.contains("the hall's own catalog has none"))
        );
    }

    #[test]
    fn repositories_are_read_where_their_files_are() {
        for (uri, wanted) in [
            (
                "https://github.com/o/r",
                "https://raw.githubusercontent.com/o/r/HEAD",
            ),
            (
                "https://github.com/o/r/tree/main",
                "https://raw.githubusercontent.com/o/r/refs/heads/main/",
            ),
            (
                "https://github.com/o/r/tree/v1/sub",
                "https://raw.githubusercontent.com/o/r/refs/heads/v1/sub",
            ),
            (
                "https://gitlab.com/g/s/r/-/tree/main",
                "https://gitlab.com/g/s/r/-/raw/main",
            ),
            ("https://catalog.example/x", "https://catalog.example/x"),
        ] {
            let address = Address::parse(uri).expect("an address");
            assert_eq!(raw(&address).expect("an address").to_string(), wanted);
        }
    }
}
