//! From a task's value to the model.

use super::event::{Correlation, Filter, Foreach, Listen, ReadAs, Strategy, Until};
use super::read::{Place, Read, wrong};
use super::task::{Backoff, Call, Case, Catch, Child, Flow, ForEach, Fork, Function, Kind, Retry, Task, Try};
use super::{Reuse, Span};
use crate::expression::strip;
use serde_json::{Map, Value};

pub(super) fn read_tasks(place: &Place<'_>, reuse: &Reuse) -> Read<Vec<Task>> {
    let mut tasks = Vec::new();
    for item in place.items()? {
        let (name, task) = item.single()?;
        tasks.push(read_task(&name, &task, reuse)?);
    }
    match tasks.is_empty() {
        true => wrong(&place.pointer, "there must be at least one task"),
        false => Ok(tasks),
    }
}

fn optional_tasks(place: &Place<'_>, reuse: &Reuse) -> Read<Vec<Task>> {
    place
        .get("do")
        .map_or(Ok(Vec::new()), |body| read_tasks(&body, reuse))
}

pub(super) fn read_task(name: &str, place: &Place<'_>, reuse: &Reuse) -> Read<Task> {
    Ok(Task {
        name: name.to_owned(),
        pointer: place.pointer.clone(),
        condition: expression_of(place, "if")?,
        input: place.data_of("input", "from"),
        output: place.data_of("output", "as"),
        export: place.data_of("export", "as"),
        timeout: place.timeout_of(reuse)?,
        then: flow_of(place)?,
        locks: read_locks(place)?,
        source: place.value.clone(),
        kind: read_kind(place, reuse)?,
    })
}

fn expression_of(place: &Place<'_>, key: &str) -> Read<Option<String>> {
    Ok(place.text_of(key)?.map(|text| strip(&text).to_owned()))
}

fn flow_of(place: &Place<'_>) -> Read<Flow> {
    Ok(match place.text_of("then")?.as_deref() {
        None | Some("continue") => Flow::Continue,
        Some("exit") => Flow::Exit,
        Some("end") => Flow::End,
        Some(name) => Flow::To(name.to_owned()),
    })
}

fn read_locks(place: &Place<'_>) -> Read<Vec<String>> {
    let Some(locks) = place.get("metadata").and_then(|metadata| metadata.get("locks")) else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for lock in locks.items()? {
        let name = lock.text()?.trim();
        if name.is_empty() {
            return wrong(&lock.pointer, "a lock needs a name");
        }
        if names.iter().any(|known| known == name) {
            return wrong(&lock.pointer, format!("the lock `{name}` is there twice"));
        }
        names.push(name.to_owned());
    }
    match names.is_empty() {
        true => wrong(&locks.pointer, "`locks` names at least one lock"),
        false => Ok(names),
    }
}

fn read_kind(place: &Place<'_>, reuse: &Reuse) -> Read<Kind> {
    if let Some(call) = place.get("call") {
        return Ok(Kind::Call(read_call(place, &call)?));
    }
    if let Some(each) = place.get("for") {
        let name = |key: &str, default: &str| Ok(each.text_of(key)?.unwrap_or_else(|| default.to_owned()));
        return Ok(Kind::For(ForEach {
            each: name("each", "item")?,
            at: name("at", "index")?,
            items: strip(each.need("in")?.text()?).to_owned(),
            condition: expression_of(place, "while")?,
            body: read_tasks(&place.need("do")?, reuse)?,
        }));
    }
    if let Some(body) = place.get("do") {
        return Ok(Kind::Do(read_tasks(&body, reuse)?));
    }
    if let Some(fork) = place.get("fork") {
        return Ok(Kind::Fork(Fork {
            branches: read_tasks(&fork.need("branches")?, reuse)?,
            compete: fork.flag_of("compete", false),
        }));
    }
    if let Some(emit) = place.get("emit") {
        let with = emit.need("event")?.need("with")?;
        for key in ["source", "type"] {
            with.need(key)?;
        }
        return Ok(Kind::Emit(with.value.clone()));
    }
    if let Some(listen) = place.get("listen") {
        return Ok(Kind::Listen(read_listen(place, &listen, reuse)?));
    }
    if let Some(raise) = place.get("raise") {
        let error = raise.need("error")?;
        return Ok(Kind::Raise(match error.value {
            Value::String(name) => match reuse.errors.get(name) {
                Some(error) => error.clone(),
                None => {
                    return wrong(
                        &error.pointer,
                        format!("there is no error `{name}` in `use.errors`"),
                    );
                }
            },
            value => value.clone(),
        }));
    }
    if let Some(run) = place.get("run") {
        return Ok(Kind::Run(read_child(&run)?));
    }
    if let Some(set) = place.get("set") {
        return match set.value {
            Value::String(_) | Value::Object(_) => Ok(Kind::Set(set.value.clone())),
            _ => wrong(&set.pointer, "`set` takes a mapping or an expression"),
        };
    }
    if let Some(switch) = place.get("switch") {
        return Ok(Kind::Switch(read_cases(&switch)?));
    }
    if let Some(body) = place.get("try") {
        let body = read_tasks(&body, reuse)?;
        let catch = read_catch(&place.need("catch")?, reuse)?;
        return Ok(Kind::Try(Try { body, catch }));
    }
    Ok(Kind::Wait(place.need("wait")?.span()?))
}

fn read_call(place: &Place<'_>, call: &Place<'_>) -> Read<Call> {
    let name = call.text()?;
    let function = match name {
        "http" => Function::Http,
        "openapi" => Function::OpenApi,
        "a2a" => Function::A2a,
        "mcp" => Function::Mcp,
        "agent" => Function::Agent,
        "approval" => Function::Approval,
        "notify" => Function::Notify,
        _ => match cataloged(name) {
            Some(function) => function,
            None if name.contains("://") => {
                let reason = "a function is called by its name, or as `name:version@catalog`; a URL is not supported, as \
                              what it leads to could change under a run";
                return wrong(&call.pointer, reason);
            }
            None => Function::Own(name.to_owned()),
        },
    };
    let with = place
        .value_of("with")
        .unwrap_or_else(|| Value::Object(Map::new()));
    if function == Function::A2a && with.get("agentCard").is_none() && with.get("server").is_none() {
        return wrong(
            &format!("{}/with", place.pointer),
            "`call: a2a` needs `agentCard` or `server`",
        );
    }
    Ok(Call { function, with })
}

/// `name:version@catalog` (dsl.md, "Using Cataloged Functions").
fn cataloged(text: &str) -> Option<Function> {
    let (function, catalog) = text.rsplit_once('@')?;
    let (name, version) = function.split_once(':')?;
    let sound = |text: &str| !text.is_empty() && !text.contains(['/', ':', '@', ' ']);
    (sound(name) && sound(version) && sound(catalog)).then(|| Function::Cataloged {
        name: name.to_owned(),
        version: version.to_owned(),
        catalog: catalog.to_owned(),
    })
}

fn read_listen(place: &Place<'_>, listen: &Place<'_>, reuse: &Reuse) -> Read<Listen> {
    let foreach = match place.get("foreach") {
        Some(foreach) => Some(Foreach {
            item: foreach.text_of("item")?.unwrap_or_else(|| "item".into()),
            at: foreach.text_of("at")?.unwrap_or_else(|| "index".into()),
            body: optional_tasks(&foreach, reuse)?,
            output: foreach.data_of("output", "as"),
            export: foreach.data_of("export", "as"),
        }),
        None => None,
    };
    Ok(Listen {
        to: read_strategy(&listen.need("to")?)?,
        read: match listen.text_of("read")?.as_deref() {
            Some("envelope") => ReadAs::Envelope,
            _ => ReadAs::Data,
        },
        foreach,
    })
}

pub(super) fn read_strategy(place: &Place<'_>) -> Read<Strategy> {
    let kinds: Vec<&str> = ["one", "any", "all"]
        .into_iter()
        .filter(|kind| place.get(kind).is_some())
        .collect();
    let [kind] = kinds[..] else {
        return wrong(
            &place.pointer,
            format!("there must be one of one, any and all; this has {}", kinds.len()),
        );
    };
    let inner = place.need(kind)?;
    let until = place.get("until");
    if let Some(until) = &until
        && kind != "any"
    {
        return wrong(
            &until.pointer,
            format!("`until` goes with `any`, not with `{kind}`"),
        );
    }
    if kind == "one" {
        return Ok(Strategy::One(read_filter(&inner)?));
    }
    let filters = inner.items()?.iter().map(read_filter).collect::<Read<Vec<_>>>()?;
    if kind == "all" {
        return match filters.is_empty() {
            true => wrong(&inner.pointer, "`all` needs at least one filter"),
            false => Ok(Strategy::All(filters)),
        };
    }
    let until = match until {
        None => None,
        Some(place) => Some(match place.value {
            Value::String(text) => Until::Expression(strip(text).to_owned()),
            _ => match read_strategy(&place)? {
                Strategy::Any(_, Some(_)) => {
                    return wrong(&place.pointer, "an `until` has no `until` of its own");
                }
                strategy => Until::Events(Box::new(strategy)),
            },
        }),
    };
    Ok(Strategy::Any(filters, until))
}

fn read_filter(place: &Place<'_>) -> Read<Filter> {
    let with = place.need("with")?;
    let mut correlate = Vec::new();
    for (name, value) in place
        .get("correlate")
        .map_or(Ok(&Map::new()), |place| place.map())
        .cloned()?
        .iter()
    {
        let inner = Place {
            value,
            pointer: format!("{}/correlate/{name}", place.pointer),
        };
        correlate.push(Correlation {
            name: name.clone(),
            from: strip(inner.need("from")?.text()?).to_owned(),
            expect: inner.value_of("expect"),
        });
    }
    correlate.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Filter {
        with: with
            .map()?
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        correlate,
    })
}

fn read_child(run: &Place<'_>) -> Read<Child> {
    let Some(workflow) = run.get("workflow") else {
        return wrong(&run.pointer, "`run` needs `workflow`");
    };
    let text = |key: &str| workflow.need(key)?.text().map(str::to_owned);
    Ok(Child {
        namespace: text("namespace")?,
        name: text("name")?,
        version: text("version")?,
        input: workflow.value_of("input"),
        wait: run.flag_of("await", true),
        returns: run.text_of("return")?.as_deref() != Some("none"),
    })
}

fn read_cases(switch: &Place<'_>) -> Read<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for item in switch.items()? {
        let (name, case) = item.single()?;
        let when = expression_of(&case, "when")?;
        if when.is_none() && cases.iter().any(|case| case.when.is_none()) {
            return wrong(&case.pointer, "a switch has at most one case without `when`");
        }
        let then = flow_of(&case)?;
        cases.push(Case { name, when, then });
    }
    match cases.is_empty() {
        true => wrong(&switch.pointer, "a switch needs at least one case"),
        false => Ok(cases),
    }
}

fn read_catch(place: &Place<'_>, reuse: &Reuse) -> Read<Catch> {
    let with = place.get("errors").and_then(|errors| errors.get("with"));
    let retry = match place.get("retry") {
        None => None,
        Some(retry) => Some(match retry.value {
            Value::String(name) => match reuse.retries.get(name) {
                Some(policy) => policy.clone(),
                None => {
                    return wrong(
                        &retry.pointer,
                        format!("there is no retry policy `{name}` in `use.retries`"),
                    );
                }
            },
            _ => read_retry(&retry)?,
        }),
    };
    Ok(Catch {
        with: with.map_or(Ok(Map::new()), |with| with.map().cloned())?,
        name: place.text_of("as")?.unwrap_or_else(|| "error".into()),
        when: expression_of(place, "when")?,
        except_when: expression_of(place, "exceptWhen")?,
        retry,
        body: optional_tasks(place, reuse)?,
    })
}

pub(super) fn read_retry(place: &Place<'_>) -> Read<Retry> {
    let backoff = match place.get("backoff") {
        None => Backoff::Constant,
        Some(backoff) => match backoff.map()?.keys().map(String::as_str).collect::<Vec<_>>()[..] {
            ["constant"] => Backoff::Constant,
            ["linear"] => Backoff::Linear,
            ["exponential"] => Backoff::Exponential,
            _ => {
                return wrong(
                    &backoff.pointer,
                    "a backoff is one of constant, linear and exponential",
                );
            }
        },
    };
    let limit = place.get("limit");
    let attempt = limit.as_ref().and_then(|limit| limit.get("attempt"));
    let jitter = match place.get("jitter") {
        None => None,
        Some(jitter) => Some(match (jitter.need("from")?.span()?, jitter.need("to")?.span()?) {
            (Span::Fixed(from), Span::Fixed(to)) if from > to => {
                return wrong(&jitter.pointer, "the jitter's `from` is longer than its `to`");
            }
            both => both,
        }),
    };
    let attempts = attempt
        .as_ref()
        .and_then(|attempt| attempt.value.get("count"))
        .and_then(Value::as_u64);
    if attempts == Some(0) {
        return wrong(&place.pointer, "`limit.attempt.count` must be at least 1");
    }
    Ok(Retry {
        when: expression_of(place, "when")?,
        except_when: expression_of(place, "exceptWhen")?,
        delay: place.span_of("delay")?,
        backoff,
        attempts,
        attempt_duration: attempt.map_or(Ok(None), |attempt| attempt.span_of("duration"))?,
        duration: limit.map_or(Ok(None), |limit| limit.span_of("duration"))?,
        jitter,
    })
}
