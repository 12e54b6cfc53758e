//! The floor of whatever ends in one SQL function: the same function, called directly.

use super::{
    load::Worker,
    population::{PAGE, Question},
};
use anyhow::{Context, anyhow};
use guildhall_store::catalogue::CATALOGUE;
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls, Row, Statement, types::ToSql};

/// What the floor of a case does in one operation.
#[derive(Clone, Debug)]
pub enum Job {
    /// Reads an agent.
    Read {
        /// Its id.
        agent: String,
    },
    /// Looks for agents.
    Find {
        /// How many questions were asked before.
        asked: u64,
    },
    /// Says that an agent is there.
    Beat {
        /// Its id.
        agent: String,
    },
    /// Takes and releases a lock.
    Lock {
        /// The resource; no two workers share one.
        resource: String,
    },
    /// Starts a run in a new chat session.
    Start {
        /// The run that the fleet made of the same message, as `GET /v1/runs/{id}` gives it.
        run: Value,
        /// The message.
        message: String,
        /// What session ids begin with; no two workers share one.
        session: String,
    },
}

/// Whether this store searches agents, by words too.
fn has_search() -> bool {
    statement("agent_search").is_ok()
}

/// One connection with its statements prepared.
pub struct SqlWorker {
    client: Client,
    first: Statement,
    second: Option<Statement>,
    job: Job,
    done: u64,
    runs: Vec<String>,
}

/// Opens a connection without TLS: the floor is meant to be local.
pub async fn connect(database_url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(database_url, NoTls)
        .await
        .context("cannot connect to the database for the floor")?;
    // Its error also reaches whoever waits for a row.
    tokio::spawn(connection);
    Ok(client)
}

/// Makes sure that the database knows the agent of `card`; does nothing where it does.
pub async fn know_agent(database_url: &str, agent: &str, card: &Value) -> anyhow::Result<()> {
    let client = connect(database_url).await?;
    let known = client
        .query_one("select count(*) from guildhall.agent_get($1::text)", &[&agent])
        .await;
    if known.context("cannot read the floor's agent")?.get::<_, i64>(0) == 0 {
        let ttl_s = 3_600_i64;
        client
            .query(statement("agent_register")?, &[card, &ttl_s])
            .await
            .context("cannot register the floor's agent")?;
    }
    Ok(())
}

pub fn statement(function: &str) -> anyhow::Result<&'static str> {
    CATALOGUE
        .iter()
        .find(|statement| statement.function() == function)
        .map(|statement| statement.sql)
        .ok_or_else(|| anyhow!("the store has no statement for {function}"))
}

impl SqlWorker {
    /// A worker with a connection of its own.
    pub async fn connect(database_url: &str, job: Job) -> anyhow::Result<Self> {
        let client = connect(database_url).await?;
        let (first, second) = match &job {
            Job::Read { .. } => ("agent_get", None),
            Job::Find { .. } if has_search() => ("agent_search", None),
            Job::Find { .. } => ("agent_list", None),
            Job::Beat { .. } => ("agent_heartbeat", None),
            Job::Lock { .. } => ("lock_acquire", Some("lock_release")),
            Job::Start { .. } => ("run_start", None),
        };
        let prepare = async |function| {
            let sql = statement(function)?;
            client
                .prepare(sql)
                .await
                .with_context(|| format!("cannot prepare {sql}"))
        };
        let first = prepare(first).await?;
        let second = match second {
            Some(function) => Some(prepare(function).await?),
            None => None,
        };
        Ok(SqlWorker {
            client,
            first,
            second,
            job,
            done: 0,
            runs: Vec::new(),
        })
    }

    async fn row(&self, statement: &Statement, params: &[&(dyn ToSql + Sync)]) -> Result<Value, String> {
        let row: Row = self
            .client
            .query_one(statement, params)
            .await
            .map_err(|error| explain(&error))?;
        row.try_get(0).map_err(|error| explain(&error))
    }

    async fn find(&self, question: &Question) -> Result<(), String> {
        let (none, limit) = (None::<String>, PAGE);
        let query = question.query();
        let skill = match question {
            Question::Skill(id) => Some(id),
            Question::Words(_) => None,
        };
        let params: &[&(dyn ToSql + Sync)] = if has_search() {
            &[&query, &none, &limit]
        } else {
            &[&skill, &none, &none, &limit]
        };
        self.client
            .query(&self.first, params)
            .await
            .map(drop)
            .map_err(|error| explain(&error))
    }

    async fn lock(&self, resource: &str) -> Result<(), String> {
        let (holder, run_id, ttl_s, reason) = ("bench", None::<String>, 60_i64, "bench");
        let acquired = self
            .row(
                &self.first,
                &[
                    &resource,
                    &holder,
                    &run_id,
                    &ttl_s,
                    &reason,
                    &"exclusive",
                    &0_i64,
                    &"normal",
                    &None::<i64>,
                    &false,
                ],
            )
            .await?;
        let token = acquired
            .pointer("/lock/fencing_token")
            .and_then(Value::as_i64)
            .ok_or_else(|| format!("lock_acquire gave no fencing token: {acquired}"))?;
        let release = self.second.as_ref().ok_or("no statement to release by")?;
        let released = self.row(release, &[&resource, &holder, &token]).await?;
        expect(&released, "released")
    }

    async fn start(&self, run: &Value, message: &str, session: &str) -> Result<String, String> {
        let text = |key: &str| run[key].as_str().unwrap_or("bench").to_string();
        let (title, requester) = (text("title"), text("requester"));
        let (none, session) = (None::<String>, format!("{session}-{}", self.done));
        let started = self
            .row(
                &self.first,
                &[
                    &json!({"definition": run["definition"], "digest": run["digest"], "title": title,
                        "input": run["input"]}),
                    &requester,
                    &none,
                    &none,
                    &session,
                    &message,
                    &title,
                ],
            )
            .await?;
        expect(&started, "started")?;
        let id = started.pointer("/run/id").and_then(Value::as_str);
        id.map(String::from)
            .ok_or_else(|| format!("run_start gave no id: {started}"))
    }

    /// The runs that it started.
    pub fn into_runs(self) -> Vec<String> {
        self.runs
    }
}

impl Worker for SqlWorker {
    async fn operation(&mut self) -> Result<(), String> {
        self.done += 1;
        match &self.job {
            Job::Find { asked } => self.find(&Question::number(asked + self.done)).await,
            Job::Beat { agent } => self
                .row(&self.first, &[agent, &Some(0_i64), &None::<i64>])
                .await
                .map(drop),
            Job::Read { agent } => self.row(&self.first, &[agent]).await.map(drop),
            Job::Lock { resource } => self.lock(resource).await,
            Job::Start {
                run,
                message,
                session,
            } => {
                let id = self.start(run, message, session).await?;
                self.runs.push(id);
                Ok(())
            }
        }
    }
}

fn expect(row: &Value, outcome: &str) -> Result<(), String> {
    if row["outcome"] == json!(outcome) {
        Ok(())
    } else {
        Err(format!("{outcome} was expected: {row}"))
    }
}

/// What Postgres said; the driver's own text is only "db error".
fn explain(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{} (SQLSTATE {})", error.message(), error.code().code()),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_of_a_floor_is_in_the_store() {
        for function in [
            "agent_get",
            "agent_register",
            "lock_acquire",
            "lock_release",
            "run_start",
        ] {
            let sql = statement(function).unwrap();
            assert!(sql.contains(&format!("guildhall.{function}(")), "{sql}");
        }
        assert!(statement("no_such_function").is_err());
    }

    #[test]
    fn another_outcome_is_a_failure_that_quotes_the_row() {
        expect(&json!({"outcome": "released"}), "released").unwrap();
        let error = expect(&json!({"outcome": "stale", "lock": 7}), "released").unwrap_err();
        assert!(
            error.contains("stale") && error.contains("released was expected"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_database_that_is_not_there_is_an_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let url = format!("postgres://nobody:x@127.0.0.1:{port}/none");
        let error = SqlWorker::connect(&url, Job::Read { agent: "x".into() })
            .await
            .err()
            .unwrap();
        assert!(
            format!("{error:#}").contains("cannot connect to the database"),
            "{error:#}"
        );
    }
}
