//! A world for runs that exists in memory only: it answers commands, keeps time and delivers events.

use chrono::{DateTime, Duration, Utc};
use guildhall_flow::dsl::Definition;
use guildhall_flow::engine::{
    Action, Command, Engine, Event, Fence, Input, Problem, RunMeta, Standard, State, Step,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How a world answers a call.
pub type Answer = fn(&Command, u64) -> Result<Value, Problem>;

/// What becomes of a run.
pub struct Told {
    pub state: State,
    pub events: Vec<Event>,
    pub commands: Vec<Command>,
    pub lifecycle: Vec<Value>,
    /// The snapshot before each event, and what was commanded until then.
    pub snapshots: Vec<(String, usize)>,
}

pub struct World {
    pub engine: Engine,
    pub answer: Answer,
    /// CloudEvents to deliver when nothing else happens.
    pub post: Vec<Value>,
    pub seed: u64,
    /// Most events applied, against runs that go on for ever.
    pub patience: usize,
    now: DateTime<Utc>,
    waiting: BTreeMap<u64, Input>,
    timers: BTreeSet<(DateTime<Utc>, u64, String)>,
    subscriptions: BTreeSet<u64>,
    held: BTreeMap<String, u64>,
    queued: Vec<(u64, String, Vec<String>)>,
    tokens: i64,
}

pub fn meta(id: &str) -> RunMeta {
    RunMeta {
        id: id.to_owned(),
        started_at: DateTime::UNIX_EPOCH + Duration::days(20_000),
        runtime: json!({"name": "guildhall", "version": "test", "metadata": {}}),
    }
}

impl World {
    pub fn new(answer: Answer, seed: u64) -> Self {
        Self {
            engine: Engine::default(),
            answer,
            post: Vec::new(),
            seed,
            patience: 2_000,
            now: meta("").started_at,
            waiting: BTreeMap::new(),
            timers: BTreeSet::new(),
            subscriptions: BTreeSet::new(),
            held: BTreeMap::new(),
            queued: Vec::new(),
            tokens: 0,
        }
    }

    fn chance(&mut self, of: usize) -> usize {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % of.max(1)
    }

    /// Takes note of a command.
    fn take(&mut self, command: &Command) {
        let (step, seq) = (command.step.clone(), command.seq);
        match &command.action {
            Action::Timer { at } => {
                self.timers.insert((*at, seq, step));
            }
            Action::Cancel { target } => {
                self.waiting.remove(target);
                self.timers.retain(|(_, seq, _)| seq != target);
                self.subscriptions.remove(target);
            }
            Action::Subscribe { .. } => {
                self.subscriptions.insert(seq);
            }
            Action::Acquire { locks } => {
                self.queued.push((seq, step, locks.clone()));
                self.grant();
            }
            Action::Release { target, .. } => {
                self.held.retain(|_, holder| holder != target);
                self.queued.retain(|(seq, ..)| seq != target);
                self.waiting.remove(target);
                self.grant();
            }
            Action::Continue => {
                self.waiting.insert(seq, Input::Continue);
            }
            Action::Emit { event } => self.post.insert(0, event.clone()),
            Action::StartChild { wait: false, .. } | Action::Notify { .. } => {}
            Action::Complete { .. } | Action::Fault { .. } | Action::Cancelled => {}
            _ => {
                let input = match (self.answer)(command, self.seed) {
                    Ok(output) => Input::Completed { step, seq, output },
                    Err(error) => Input::Failed { step, seq, error },
                };
                self.waiting.insert(seq, input);
            }
        }
    }

    fn grant(&mut self) {
        let mut rest = Vec::new();
        for (seq, step, locks) in std::mem::take(&mut self.queued) {
            if locks.iter().any(|lock| self.held.contains_key(lock)) {
                rest.push((seq, step, locks));
                continue;
            }
            self.tokens += 1;
            let token = self.tokens;
            self.held.extend(locks.iter().map(|lock| (lock.clone(), seq)));
            let fences = locks.into_iter().map(|lock| Fence { lock, token }).collect();
            self.waiting.insert(seq, Input::Granted { step, seq, fences });
        }
        self.queued = rest;
    }

    /// What happens next; none when nothing will.
    fn next(&mut self) -> Option<Event> {
        let turns = self.waiting.len();
        let input = if turns > 0 && (self.timers.is_empty() || self.chance(8) > 0) {
            let index = self.chance(turns);
            let seq = *self.waiting.keys().nth(index)?;
            self.now += Duration::milliseconds(5);
            self.waiting.remove(&seq)?
        } else if !self.post.is_empty() && !self.subscriptions.is_empty() {
            Input::Delivered {
                cloud_event: self.post.pop()?,
            }
        } else {
            let (at, seq, step) = self.timers.pop_first()?;
            self.now = self.now.max(at);
            Input::Fired { step, seq }
        };
        Some(Event { now: self.now, input })
    }

    /// Runs a workflow as far as this world takes it.
    pub fn run(mut self, definition: &Definition, input: Value) -> Told {
        let step = self.engine.start(definition, input, meta("run-1"));
        let mut told = Told {
            state: step.state.clone(),
            events: Vec::new(),
            commands: Vec::new(),
            lifecycle: Vec::new(),
            snapshots: Vec::new(),
        };
        let mut step: Step = step;
        loop {
            step.commands.iter().for_each(|command| self.take(command));
            told.commands.extend(step.commands);
            told.lifecycle.extend(step.lifecycle);
            told.state = step.state;
            if told.state.status.is_end() || told.events.len() >= self.patience {
                return told;
            }
            let Some(event) = self.next() else { return told };
            let snapshot = serde_json::to_string(&told.state).expect("a state is JSON");
            told.snapshots.push((snapshot, told.commands.len()));
            step = self.engine.apply(definition, told.state, &event);
            told.events.push(event);
        }
    }
}

/// A response as hosts give it.
pub fn response(command: &Command, status: u16, content: Value) -> Value {
    let (method, uri) = match &command.action {
        Action::Http { method, uri, .. } => (method.to_lowercase(), uri.clone()),
        Action::OpenApi {
            document,
            operation_id,
            ..
        } => ("get".into(), format!("{}#{operation_id}", document["uri"])),
        _ => (String::new(), String::new()),
    };
    json!({
        "request": {"method": method, "uri": uri, "headers": {}},
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "content": content,
    })
}

/// The services that the conformance kit's scenarios call, with documents shaped like theirs.
pub fn services(command: &Command, _seed: u64) -> Result<Value, Problem> {
    let pet =
        |id: i64| json!({"id": id, "name": format!("pet {id}"), "status": "available", "photoUrls": []});
    match &command.action {
        Action::Http {
            method,
            uri,
            authentication,
            ..
        } => {
            if method != "GET" {
                return Ok(response(command, 405, Value::Null));
            }
            if uri == "https://petstore.swagger.io/v2/pet/findByStatus?status=available" {
                return Ok(response(command, 200, json!([pet(1), pet(2)])));
            }
            if let Some(rest) = uri.strip_prefix("https://httpbin.org/basic-auth/") {
                let basic = &authentication["basic"];
                let given = format!(
                    "{}/{}",
                    basic["username"].as_str().unwrap_or(""),
                    basic["password"].as_str().unwrap_or("")
                );
                let status = if given == rest { 200 } else { 401 };
                return Ok(response(command, status, json!({"authenticated": status == 200})));
            }
            match uri
                .strip_prefix("https://petstore.swagger.io/v2/pet/")
                .map(str::parse::<i64>)
            {
                Some(Ok(id)) => Ok(response(command, 200, pet(id))),
                _ => Ok(response(command, 404, json!({"message": "not found"}))),
            }
        }
        Action::OpenApi {
            document,
            operation_id,
            parameters,
            ..
        } => {
            assert_eq!(document["uri"], "https://petstore.swagger.io/v2/swagger.json");
            match operation_id.as_str() {
                "findPetsByStatus" if parameters["status"] == "available" => {
                    Ok(response(command, 200, json!([pet(1)])))
                }
                "getPetById" => Ok(response(
                    command,
                    200,
                    pet(parameters["petId"].as_i64().unwrap_or_default()),
                )),
                _ => Ok(response(command, 404, Value::Null)),
            }
        }
        _ => Err(Problem::standard(
            Standard::Runtime,
            "this world has no such thing",
        )),
    }
}
