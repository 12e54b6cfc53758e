//! `guildhall workflows`: whether a workflow's document can be run, and what it may touch. Needs no fleet.

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::table::{Cell, draw};
use guildhall_flow::plan::{Plan, Touch, plan};
use guildhall_flow::validate::{Findings, parse};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What to do with workflows.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Workflows {
    /// Check a workflow's document; each finding tells the line
    Validate {
        /// The document, in YAML or JSON; - for standard input
        file: PathBuf,
    },
    /// Show what a workflow may touch, without doing anything
    Plan {
        /// The document, in YAML or JSON; - for standard input
        file: PathBuf,
    },
}

/// Carries the command out.
pub fn run(context: &Context, command: Workflows) -> Result<()> {
    match command {
        Workflows::Validate { file } => validate(context, &file),
        Workflows::Plan { file } => show_plan(context, &file),
    }
}

fn read(file: &Path) -> Result<String> {
    let mut text = String::new();
    let outcome = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(|_| text),
        _ => std::fs::read_to_string(file),
    };
    outcome.map_err(|error| CliError::new(format!("cannot read {}", file.display())).cause(&error))
}

fn validate(context: &Context, file: &Path) -> Result<()> {
    match parse(&read(file)?) {
        Ok(definition) if context.output.json => {
            let document = json!({ "valid": true, "workflow": definition.reference(), "findings": [] });
            context
                .output
                .document("guildhall.workflow_validation.v1", document)
        }
        Ok(definition) => context
            .output
            .line(&format!("{} can be run", definition.reference())),
        Err(findings) => {
            if context.output.json {
                let document = json!({ "valid": false, "workflow": null, "findings": findings });
                context
                    .output
                    .document("guildhall.workflow_validation.v1", document)?;
            } else {
                for finding in &findings.0 {
                    let place = format!("{}:{}:{}", file.display(), finding.at.line, finding.at.column);
                    context.output.line(&format!("{place}: {}", finding.message))?;
                }
            }
            Err(invalid(file, &findings))
        }
    }
}

fn invalid(file: &Path, findings: &Findings) -> CliError {
    let things = if findings.0.len() == 1 {
        "thing is"
    } else {
        "things are"
    };
    CliError::failure(format!(
        "{} cannot be run: {} {things} wrong",
        file.display(),
        findings.0.len()
    ))
    .hint("docs/workflows-dsl.md tells what is supported")
}

fn show_plan(context: &Context, file: &Path) -> Result<()> {
    let definition =
        parse(&read(file)?).map_err(|findings| invalid(file, &findings).because(findings.to_string()))?;
    let plan = plan(&definition);
    if context.output.json {
        return context.output.document("guildhall.workflow_plan.v1", json!(plan));
    }
    context.output.line(&format!("{} may touch", plan.workflow))?;
    let rows = rows(&plan);
    if rows.is_empty() {
        return context.output.line("nothing outside its own data");
    }
    context
        .output
        .write(&draw(&context.output, &["WHAT", "NAME", "IN"], &rows))
}

fn rows(plan: &Plan) -> Vec<Vec<Cell>> {
    let Plan {
        agents,
        approvals,
        notifications,
        hosts,
        tools,
        functions,
        workflows,
        locks,
        emits,
        listens,
        secrets,
        ..
    } = plan;
    let lists: [(&str, &[Touch]); 11] = [
        ("agent", agents),
        ("tool", tools),
        ("function", functions),
        ("workflow", workflows),
        ("host", hosts),
        ("secret", secrets),
        ("lock", locks),
        ("approval", approvals),
        ("notification", notifications),
        ("emits", emits),
        ("listens to", listens),
    ];
    let row = |what: &str, touch: &Touch| {
        vec![
            what.into(),
            touch.name.clone().into(),
            touch.tasks.join(" ").into(),
        ]
    };
    lists
        .iter()
        .flat_map(|(what, list)| list.iter().map(move |touch| row(what, touch)))
        .collect()
}
