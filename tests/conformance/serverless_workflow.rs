//! Every scenario of the Serverless Workflow conformance kit, its document as given, run by a whole fleet. The two services
//! that scenarios call are played by a stand-in at their addresses.

use crate::features::{self, Scenario};
use anyhow::{Context, Result, bail, ensure};
use guildhall_testkit::{Stub, stub::Received};
use guildhall_tests::{Hall, Pace, RunView};
use serde_json::{Value, json};
use std::path::Path;

/// The services, as `--stand-in` and `allowed_outbound_hosts` name them.
const SERVICES: [&str; 2] = ["petstore.swagger.io", "httpbin.org"];

/// The description of the pet store, with the operations that scenarios call.
const PETSTORE: &str = include_str!("petstore.json");

#[tokio::test]
async fn every_scenario_of_the_serverless_workflow_kit_holds_on_the_fleet() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/serverless-workflow");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: there is no {}", folder.display());
        return Ok(());
    };
    let mut scenarios = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "feature") {
            scenarios.extend(features::parse(&std::fs::read_to_string(&path)?));
        }
    }
    ensure!(
        scenarios.len() >= 20,
        "only {} scenarios were found in {}",
        scenarios.len(),
        folder.display()
    );
    let stub = Stub::start(|request| async move { answer(&request) }).await?;
    let stand_ins = SERVICES
        .map(|service| format!("{service}:443={}", stub.address()))
        .join(",");
    let hosts = SERVICES.map(|service| format!("https://{service}"));
    let args = [
        ("--stand-in", stand_ins.as_str()),
        ("SPIN_VARIABLE_WORKFLOW_HOST_1", hosts[0].as_str()),
        ("SPIN_VARIABLE_WORKFLOW_HOST_2", hosts[1].as_str()),
    ];
    let service = Path::new(env!("CARGO_BIN_EXE_tiny-service"));
    let hall = Hall::start("strict", Pace::QUICK, service, &args).await?;
    let mut failed = Vec::new();
    for scenario in &scenarios {
        if let Err(why) = play(&hall, scenario).await {
            failed.push(format!("{}: {why:#}", scenario.name));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    println!("{} scenarios held", scenarios.len());
    Ok(())
}

/// What the services answer.
fn answer(request: &Received) -> (u16, Value) {
    let pet =
        |id: u64| json!({"id": id, "name": format!("pet {id}"), "status": "available", "photoUrls": []});
    let missing = (404, json!({"code": 1, "type": "error", "message": "not found"}));
    if request.method != "GET" {
        return (405, json!({}));
    }
    match (request.header("host"), request.path.as_str()) {
        (Some("petstore.swagger.io"), "/v2/swagger.json") => {
            (200, serde_json::from_str(PETSTORE).unwrap_or_default())
        }
        (Some("petstore.swagger.io"), "/v2/pet/findByStatus?status=available") => {
            (200, json!([pet(1), pet(2)]))
        }
        (Some("petstore.swagger.io"), path) => {
            let id = path.strip_prefix("/v2/pet/").and_then(|id| id.parse().ok());
            id.map_or(missing, |id| (200, pet(id)))
        }
        // `/basic-auth/USER/PASSWORD` wants just these: `serverless-workflow:conformance-test`, in base64.
        (Some("httpbin.org"), "/basic-auth/serverless-workflow/conformance-test") => {
            let wanted = "Basic c2VydmVybGVzcy13b3JrZmxvdzpjb25mb3JtYW5jZS10ZXN0";
            match request.header("authorization") == Some(wanted) {
                true => (200, json!({"authenticated": true, "user": "serverless-workflow"})),
                false => (401, json!({})),
            }
        }
        _ => missing,
    }
}

async fn play(hall: &Hall, scenario: &Scenario) -> Result<()> {
    let (mut definition, mut input, mut ended) = (None, json!({}), None);
    for step in &scenario.steps {
        match step.text.as_str() {
            "a workflow with definition:" => definition = step.document.clone(),
            "given the workflow input is:" => input = document(step)?,
            "the workflow is executed" => {
                let definition = definition.as_ref().context("there is no definition")?;
                ended = Some(execute(hall, definition, &input).await?);
            }
            _ => {
                let (run, began) = ended.as_ref().context("nothing ran")?;
                let held = expectation(step, run, began).with_context(|| step.text.clone())?;
                ensure!(held, "{}: not so: {:#}, tasks {began:?}", step.text, run.0);
            }
        }
    }
    ensure!(ended.is_some(), "it executes nothing");
    Ok(())
}

/// Runs a document to its end. Gives the run and the names of its tasks in the order in which they began.
async fn execute(hall: &Hall, definition: &str, input: &Value) -> Result<(RunView, Vec<String>)> {
    let body = json!({"definition": definition, "input": input});
    let reply = hall.requester.post("/v1/runs", &body).await?;
    ensure!(reply.status == 201, "{} {}", reply.status, reply.text());
    let started = reply.json();
    let id = started["id"].as_str().context("a run has an id")?;
    let run = hall.ended(id).await?;
    Ok((run, began(hall, id).await?))
}

async fn began(hall: &Hall, id: &str) -> Result<Vec<String>> {
    let (mut names, mut after) = (Vec::new(), String::new());
    let source = format!("/v1/runs/{id}");
    loop {
        let path = format!("/v1/events?type=io.serverlessworkflow.task.started.v1&limit=200{after}");
        let page = hall.fleet.admin().get(&path).await?.json();
        let items = page["items"].as_array().context("a page has items")?;
        let own = items
            .iter()
            .map(|item| &item["event"])
            .filter(|event| event["source"] == source);
        names.extend(
            own.filter_map(|event| Some(event["data"]["task"].as_str()?.rsplit('/').next()?.to_owned())),
        );
        match page["next"].as_str() {
            Some(next) if !items.is_empty() => after = format!("&after={next}"),
            _ => return Ok(names),
        }
    }
}

/// A step's document. What the kit gives is YAML that a fleet reads the same way, as a value that a workflow sets.
fn document(step: &features::Step) -> Result<Value> {
    let text = step.document.as_deref().context("there is no document")?;
    let value = guildhall_flow::yaml::parse(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(value.to_value())
}

fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, key| value.get(key))
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('\'').skip(1).step_by(2).collect()
}

/// The error as the specification has it, without what this API adds.
fn plain_error(run: &RunView) -> Value {
    let mut error = run.0["error"].clone();
    if let Some(members) = error.as_object_mut() {
        members.retain(|key, value| !["code", "step"].contains(&key.as_str()) && !value.is_null());
    }
    error
}

fn expectation(step: &features::Step, run: &RunView, began: &[String]) -> Result<bool> {
    let text = step.text.as_str();
    let output = &run.0["output"];
    let completed = run.status() == "completed";
    let faulted = run.status() == "faulted";
    let is = |began: Option<&String>, task: &str| began.is_some_and(|name| name == task);
    Ok(if text == "the workflow should complete" {
        completed
    } else if text == "the workflow should complete with output:" {
        completed && *output == document(step)?
    } else if text == "the workflow should fault" {
        faulted
    } else if text == "the workflow should fault with error:" {
        faulted && plain_error(run) == document(step)?
    } else if text.starts_with("the workflow output should have properties ") {
        quoted(text).iter().all(|path| at(output, path).is_some())
    } else if text.contains(" property containing ") {
        let count = text
            .split_whitespace()
            .rev()
            .nth(1)
            .and_then(|n| n.parse::<usize>().ok());
        let items = at(output, quoted(text)[0]).and_then(Value::as_array);
        items.map(Vec::len) == Some(count.context("no number")?)
    } else if text.ends_with(" property with value:") {
        at(output, quoted(text)[0]) == Some(&document(step)?)
    } else if let Some(task) = text.strip_suffix(" should run first") {
        is(began.first(), task)
    } else if let Some(task) = text.strip_suffix(" should run last") {
        is(began.last(), task)
    } else if let Some((task, earlier)) = text.split_once(" should run after ") {
        let index = |wanted: &str| began.iter().position(|name| name == wanted);
        index(task) > index(earlier) && index(earlier).is_some()
    } else {
        bail!("this step is not known")
    })
}
