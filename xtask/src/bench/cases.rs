//! What each case does to a fleet, and how its floor is measured.

use super::{
    args::Case,
    contended::{self, Timed},
    floor_http::FloorServer,
    floor_sql::{self, SqlWorker},
    http::{Connection, Target},
    idle,
    load::{Plan, Sample, Worker, drive},
    population::{self, Question},
};
use anyhow::{Context, anyhow};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use std::sync::Arc;

/// The agent that registry-read asks for: every fleet registers it.
pub const AGENT: &str = "code-review";

/// The skill that request-round-trip asks for: it answers without a tool or a model.
const CHEAP_SKILL: &str = "plan_task";

/// The fleet under measurement.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where and as whom to ask.
    pub target: Arc<Target>,
    /// The database for the floors in SQL, if there is one.
    pub floor_database: Option<String>,
    /// Whether that is the fleet's own database, so that runs which the floor starts have to be cancelled.
    pub floor_is_live: bool,
    /// The fleet's own database, where it may be filled: that of a fleet of the bench's own.
    pub database: Option<String>,
    /// The process that holds that fleet.
    pub pid: Option<u32>,
    /// What to ask in chat.
    pub message: String,
    /// Tells the resources and sessions of this run of the bench from those of others.
    pub salt: String,
}

/// What one case came to at one number of connections.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The fleet's work.
    pub sample: Sample,
    /// The floor's.
    pub floor: Option<Sample>,
    /// What is worth knowing beside the figures.
    pub notes: Vec<String>,
}

/// Measures `case` with so many connections. A fleet that does not do the operation at all is an outcome with an
/// error; `Err` means that the floor or the bench itself cannot work.
pub async fn measure(case: Case, site: &Site, connections: usize, plan: Plan) -> anyhow::Result<Outcome> {
    match case {
        Case::LockContended => {
            return Ok(contended::one_lock(site, connections, Timed::Grant, plan).await);
        }
        Case::LockHandOff => return Ok(contended::one_lock(site, connections, Timed::HandOff, plan).await),
        Case::Deadlock => return Ok(contended::deadlock(site, plan).await),
        Case::Idle => return idle::measure(site, plan).await,
        Case::Discovery | Case::Heartbeat => {
            for database in [&site.database, &site.floor_database].into_iter().flatten() {
                // A fleet that somebody works with is asked about the agents that it has.
                if site.database.is_some() {
                    population::register(database).await?;
                }
            }
        }
        _ => {}
    }
    let first = match first_answer(case, site).await {
        Ok(first) => first,
        Err(error) => {
            let sample = Sample {
                errors: 1,
                example: Some(error),
                ..Sample::default()
            };
            return Ok(Outcome {
                sample,
                ..Outcome::default()
            });
        }
    };
    let workers = fleet_workers(case, site, connections);
    let (sample, workers) = drive(workers, plan).await;
    let mut notes = notes(&workers);
    let runs: Vec<String> = first
        .run_id
        .iter()
        .cloned()
        .chain(workers.into_iter().flat_map(|w| w.runs))
        .collect();
    if !runs.is_empty() {
        notes.push(cancel(site, runs).await);
    }
    let floor = floor(case, site, &first, connections, plan)
        .await
        .context("cannot measure the floor")?;
    Ok(Outcome { sample, floor, notes })
}

/// What the fleet answered when the operation was tried once, as the floor needs it.
struct First {
    answer: super::http::Answer,
    run_id: Option<String>,
    run: Value,
}

async fn first_answer(case: Case, site: &Site) -> Result<First, String> {
    let mut worker = FleetWorker::new(case, site, "first");
    let answer = worker.step().await?;
    if case == Case::RegistryRead && answer.json()?["id"] != AGENT {
        return Err(format!(
            "GET {} gave another thing: {}",
            worker.path,
            answer.excerpt()
        ));
    }
    let run_id = worker.runs.pop();
    let run = match &run_id {
        Some(id) => worker
            .connection
            .send_ok(Method::GET, &format!("/v1/runs/{id}"), None)
            .await?
            .json()?,
        None => Value::Null,
    };
    Ok(First { answer, run_id, run })
}

struct FleetWorker {
    connection: Connection,
    path: String,
    body: Option<Bytes>,
    case: Case,
    runs: Vec<String>,
    asked: u64,
}

impl FleetWorker {
    fn new(case: Case, site: &Site, name: &str) -> Self {
        let json_body = |value: Value| Some(Bytes::from(value.to_string()));
        let (path, body) = match case {
            Case::BareComponent => ("/livez".into(), None),
            Case::RegistryRead => (format!("/v1/agents/{AGENT}"), None),
            Case::Discovery => (String::new(), None),
            Case::Heartbeat => (
                format!("/v1/agents/{}/heartbeat", population::agent_id(place(name))),
                json_body(json!({"in_flight": 0})),
            ),
            Case::RequestRoundTrip => (
                "/v1/requests".into(),
                json_body(json!({"skill": CHEAP_SKILL, "input": {"message": "hello"}})),
            ),
            Case::LockContended | Case::LockHandOff | Case::Deadlock | Case::Idle => (String::new(), None),
            Case::LockAcquireRelease => (
                format!("/v1/locks/bench-{}-{name}", site.salt),
                json_body(json!({"holder": "bench", "ttl_s": 60, "reason": "bench"})),
            ),
            Case::ChatToRunStarted => ("/chat".into(), json_body(json!({"message": site.message}))),
        };
        FleetWorker {
            connection: Connection::new(site.target.clone()),
            path,
            body,
            case,
            runs: Vec::new(),
            asked: place(name) as u64 * 1_000,
        }
    }

    async fn step(&mut self) -> Result<super::http::Answer, String> {
        match self.case {
            Case::BareComponent | Case::RegistryRead => {
                self.connection.send_ok(Method::GET, &self.path, None).await
            }
            Case::Discovery => {
                self.asked += 1;
                let path = Question::number(self.asked).path();
                self.connection.send_ok(Method::GET, &path, None).await
            }
            Case::Heartbeat => {
                let body = self.body.clone();
                self.connection.send_ok(Method::POST, &self.path, body).await
            }
            Case::RequestRoundTrip => self.round_trip().await,
            Case::LockContended | Case::LockHandOff | Case::Deadlock | Case::Idle => {
                Err("this case has no single operation".into())
            }
            Case::LockAcquireRelease => self.lock().await,
            Case::ChatToRunStarted => self.chat().await,
        }
    }

    async fn lock(&mut self) -> Result<super::http::Answer, String> {
        let path = format!("{}/acquire", self.path);
        let answer = self
            .connection
            .send_ok(Method::POST, &path, self.body.clone())
            .await?;
        let acquired = answer.json()?;
        let token = acquired
            .pointer("/lock/fencing_token")
            .ok_or_else(|| format!("POST {path} gave no fencing token: {acquired}"))?;
        let body = json!({"holder": "bench", "fencing_token": token}).to_string();
        let path = format!("{}/release", self.path);
        self.connection
            .send_ok(Method::POST, &path, Some(body.into()))
            .await
    }

    async fn round_trip(&mut self) -> Result<super::http::Answer, String> {
        let body = self.body.clone();
        let answer = self
            .connection
            .send_ok_waiting(Method::POST, &self.path, body, 10)
            .await?;
        match answer.json()?["state"].as_str() {
            Some("succeeded") => Ok(answer),
            _ => Err(format!("the request has no answer: {}", answer.excerpt())),
        }
    }

    async fn chat(&mut self) -> Result<super::http::Answer, String> {
        let answer = self
            .connection
            .send_ok(Method::POST, &self.path, self.body.clone())
            .await?;
        let run_id = answer
            .json()?
            .get("run_id")
            .and_then(Value::as_str)
            .map(String::from);
        self.runs
            .push(run_id.ok_or_else(|| format!("POST /chat started no run: {}", answer.excerpt()))?);
        Ok(answer)
    }
}

impl Worker for FleetWorker {
    async fn operation(&mut self) -> Result<(), String> {
        self.step().await.map(drop)
    }
}

/// Where in the population the worker of that name begins.
fn place(name: &str) -> usize {
    name.parse().unwrap_or(9_999)
}

fn fleet_workers(case: Case, site: &Site, connections: usize) -> Vec<FleetWorker> {
    (0..connections)
        .map(|number| FleetWorker::new(case, site, &number.to_string()))
        .collect()
}

fn notes(workers: &[FleetWorker]) -> Vec<String> {
    let mut notes = Vec::new();
    let reopened: u64 = workers.iter().map(|worker| worker.connection.reopened()).sum();
    if reopened > 0 {
        notes.push(format!(
            "the server closed kept-alive connections {reopened} times"
        ));
    }
    let without_length: u64 = workers
        .iter()
        .map(|worker| worker.connection.without_length())
        .sum();
    if without_length > 0 {
        notes.push(format!("{without_length} answers came without Content-Length"));
    }
    notes
}

/// How many connections cancel runs at once.
const CANCELLING: usize = 4;

/// Cancels the runs that chat started and that have not ended, so that they do not slow what is measured next.
async fn cancel(site: &Site, mut runs: Vec<String>) -> String {
    let total = runs.len();
    let share = total.div_ceil(CANCELLING);
    let mut tasks = Vec::new();
    while !runs.is_empty() {
        let some = runs.split_off(runs.len().saturating_sub(share));
        tasks.push(tokio::spawn(cancel_some(site.target.clone(), some)));
    }
    let (mut cancelled, mut failure) = (0, None);
    for task in tasks {
        match task.await {
            Ok((count, error)) => {
                cancelled += count;
                failure = failure.or(error);
            }
            Err(error) => failure = failure.or(Some(error.to_string())),
        }
    }
    let failure = failure
        .map(|error| format!("; not all could be: {error}"))
        .unwrap_or_default();
    format!("{total} runs were started, {cancelled} cancelled before they ended by themselves{failure}")
}

async fn cancel_some(target: Arc<Target>, runs: Vec<String>) -> (u64, Option<String>) {
    let mut connection = Connection::new(target);
    let (mut cancelled, mut failure) = (0, None);
    for id in runs {
        let path = format!("/v1/runs/{id}/cancel");
        let body = Bytes::from_static(br#"{"reason":"bench"}"#);
        match connection.send(Method::POST, &path, Some(body)).await {
            Ok(answer) if answer.status.is_success() => cancelled += 1,
            // It has ended by itself.
            Ok(answer) if answer.status == hyper::StatusCode::CONFLICT => {}
            Ok(answer) => {
                failure = Some(format!(
                    "POST {path} was answered {}: {}",
                    answer.status,
                    answer.excerpt()
                ))
            }
            Err(error) => failure = Some(error),
        }
    }
    (cancelled, failure)
}

async fn floor(
    case: Case,
    site: &Site,
    first: &First,
    connections: usize,
    plan: Plan,
) -> anyhow::Result<Option<Sample>> {
    if case == Case::BareComponent {
        let server = FloorServer::start(&first.answer).await?;
        let target = Arc::new(Target::new(&server.url(), None).map_err(|error| anyhow!(error))?);
        let site = Site {
            target,
            ..site.clone()
        };
        let workers = fleet_workers(case, &site, connections);
        return Ok(Some(drive(workers, plan).await.0));
    }
    let Some(database) = &site.floor_database else {
        return Ok(None);
    };
    if case == Case::RequestRoundTrip {
        // What it does is more than statements.
        return Ok(None);
    }
    if case == Case::RegistryRead {
        let agent = first.answer.json().map_err(|error| anyhow!(error))?;
        floor_sql::know_agent(database, AGENT, &agent["card"]).await?;
    }
    let mut workers = Vec::with_capacity(connections);
    for number in 0..connections {
        let unique = format!("bench-floor-{}-{connections}-{number}", site.salt);
        let job = match case {
            Case::Discovery => floor_sql::Job::Find {
                asked: number as u64 * 1_000,
            },
            Case::Heartbeat => floor_sql::Job::Beat {
                agent: population::agent_id(number),
            },
            Case::LockContended
            | Case::LockHandOff
            | Case::Deadlock
            | Case::RequestRoundTrip
            | Case::Idle
            | Case::BareComponent
            | Case::RegistryRead => floor_sql::Job::Read { agent: AGENT.into() },
            Case::LockAcquireRelease => floor_sql::Job::Lock { resource: unique },
            Case::ChatToRunStarted => floor_sql::Job::Start {
                run: first.run.clone(),
                message: site.message.clone(),
                session: unique,
            },
        };
        workers.push(SqlWorker::connect(database, job).await?);
    }
    let (sample, workers) = drive(workers, plan).await;
    if site.floor_is_live {
        let runs: Vec<String> = workers.into_iter().flat_map(SqlWorker::into_runs).collect();
        cancel(site, runs).await;
    }
    Ok(Some(sample))
}
