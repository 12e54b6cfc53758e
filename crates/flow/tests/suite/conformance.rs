//! Every scenario of the specification's conformance kit, run through the engine.

use crate::features::{self, Scenario};
use crate::world::{Told, World, services};
use guildhall_flow::engine::Status;
use guildhall_flow::{validate, yaml};
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn every_scenario_of_the_conformance_kit_holds() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/serverless-workflow");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: there is no {}", folder.display());
        return;
    };
    let (mut held, mut failed) = (0, Vec::new());
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "feature") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a feature");
        for scenario in features::parse(&text) {
            for seed in 0..5 {
                match play(&scenario, seed) {
                    Ok(()) => held += 1,
                    Err(reason) => failed.push(format!("{}: {}: {reason}", path.display(), scenario.name)),
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(
        held >= 5 * 20,
        "only {held} scenarios were found in {}",
        folder.display()
    );
    println!("{} scenarios held", held / 5);
}

fn document(step: &features::Step) -> Result<Value, String> {
    let text = step.document.as_deref().ok_or("there is no document")?;
    Ok(yaml::parse(text).map_err(|error| error.to_string())?.to_value())
}

fn play(scenario: &Scenario, seed: u64) -> Result<(), String> {
    let (mut definition, mut input, mut told) = (None, json!({}), None);
    for step in &scenario.steps {
        match step.text.as_str() {
            "a workflow with definition:" => {
                let text = step.document.as_deref().ok_or("there is no document")?;
                definition = Some(validate::parse(text).map_err(|findings| findings.to_string())?);
            }
            "given the workflow input is:" => input = document(step)?,
            "the workflow is executed" => {
                let definition = definition.as_ref().ok_or("no definition")?;
                told = Some(World::new(services, seed).run(definition, input.clone()));
            }
            _ => {
                let told = told.as_ref().ok_or("nothing ran")?;
                let held = expectation(step, told).map_err(|error| format!("{}: {error}", step.text))?;
                if !held {
                    return Err(format!(
                        "{}: not so: {:?} {:?}",
                        step.text, told.state.output, told.state.error
                    ));
                }
            }
        }
    }
    Ok(())
}

fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, key| value.get(key))
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('\'').skip(1).step_by(2).collect()
}

fn expectation(step: &features::Step, told: &Told) -> Result<bool, String> {
    let text = step.text.as_str();
    let output = told.state.output.clone().unwrap_or_default();
    let completed = told.state.status == Status::Completed;
    let faulted = told.state.status == Status::Faulted;
    let began: Vec<&str> = told
        .lifecycle
        .iter()
        .filter(|event| event["type"] == "io.serverlessworkflow.task.started.v1")
        .filter_map(|event| event["data"]["task"].as_str()?.rsplit('/').next())
        .collect();
    if text == "the workflow should complete" {
        Ok(completed)
    } else if text == "the workflow should complete with output:" {
        Ok(completed && output == document(step)?)
    } else if text == "the workflow should fault" {
        Ok(faulted)
    } else if text == "the workflow should fault with error:" {
        let error = told
            .state
            .error
            .as_ref()
            .map(|error| error.to_value())
            .unwrap_or_default();
        Ok(faulted && error == document(step)?)
    } else if text.starts_with("the workflow output should have properties ") {
        Ok(quoted(text).iter().all(|path| at(&output, path).is_some()))
    } else if text.contains(" property containing ") {
        let count = text
            .split_whitespace()
            .rev()
            .nth(1)
            .and_then(|n| n.parse::<usize>().ok())
            .ok_or("no number")?;
        Ok(at(&output, quoted(text)[0])
            .and_then(Value::as_array)
            .is_some_and(|items| items.len() == count))
    } else if text.ends_with(" property with value:") {
        Ok(at(&output, quoted(text)[0]) == Some(&document(step)?))
    } else if let Some(task) = text.strip_suffix(" should run first") {
        Ok(began.first() == Some(&task))
    } else if let Some(task) = text.strip_suffix(" should run last") {
        Ok(began.last() == Some(&task))
    } else if let Some((task, earlier)) = text.split_once(" should run after ") {
        let index = |name: &str| began.iter().position(|began| *began == name);
        Ok(index(task) > index(earlier) && index(earlier).is_some())
    } else {
        Err("this step is not known".into())
    }
}
