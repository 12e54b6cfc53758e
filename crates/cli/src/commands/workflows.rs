//! `guildhall workflows`: documents of workflows, and what the fleet has of them. Checking and planning need no fleet.

use super::start::{self, reference, text};
use super::{Paging, items, next_page};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::format;
use crate::http::segment;
use crate::output::say;
use crate::table::{Cell, draw};
use guildhall_domain::workflow::Workflow;
use guildhall_flow::dsl::Definition;
use guildhall_flow::plan::{Plan, Touch, plan};
use guildhall_flow::validate::{Findings, parse};
use serde_json::json;
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
    /// Upload a workflow; its version never changes afterwards
    Put {
        /// The document, in YAML or JSON; - for standard input
        file: PathBuf,
    },
    /// List the workflows that were uploaded
    List {
        /// Only those of this namespace
        #[arg(long, value_name = "NAME")]
        namespace: Option<String>,
        /// Which part of the list
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a workflow's document as it was uploaded
    Show {
        /// NAMESPACE/NAME, or NAMESPACE/NAME@VERSION
        workflow: String,
    },
    /// Start a run of a workflow
    Run(start::Start),
}

/// Carries the command out.
pub async fn run(context: &Context, command: Workflows) -> Result<()> {
    match command {
        Workflows::Validate { file } => validate(context, &file),
        Workflows::Plan { file } => show_plan(context, &file),
        Workflows::Put { file } => put(context, &file).await,
        Workflows::List { namespace, paging } => list(context, namespace, paging).await,
        Workflows::Show { workflow } => show(context, &workflow).await,
        Workflows::Run(given) => start::run(context, given).await,
    }
}

async fn put(context: &Context, file: &Path) -> Result<()> {
    let text = text(file)?;
    // Checked here first, because only here the findings can name the file.
    let definition = checked(context, file, &text)?;
    let body = json!({ "definition": text });
    let answer = context
        .api()?
        .post("upload the workflow", "/v1/workflows", &body)
        .await?;
    if context.output.json {
        return context.output.document("guildhall.workflow.v1", answer);
    }
    context.output.line(&definition.reference())?;
    let own = &definition.document;
    say(&format!(
        "guildhall workflows run {}/{}@{}",
        own.namespace, own.name, own.version
    ));
    Ok(())
}

async fn list(context: &Context, namespace: Option<String>, paging: Paging) -> Result<()> {
    let what = "list the workflows";
    let path = format!("/v1/workflows{}", paging.query(&[("namespace", namespace)]));
    let page = context.api()?.get(what, &path).await?;
    let output = &context.output;
    if output.json {
        return output.document("guildhall.workflows.v1", page);
    }
    let workflows: Vec<Workflow> = items(what, &page)?;
    let rows: Vec<Vec<Cell>> = workflows
        .iter()
        .map(|workflow| {
            vec![
                format!("{}/{}", workflow.namespace, workflow.name).into(),
                workflow.version.as_str().into(),
                format::relative(workflow.created_at).into(),
                workflow.created_by.as_str().into(),
                workflow.title.as_deref().unwrap_or_default().into(),
            ]
        })
        .collect();
    output.write(&draw(
        output,
        &["WORKFLOW", "VERSION", "UPLOADED", "BY", "TITLE"],
        &rows,
    ))?;
    if rows.is_empty() {
        say("there are none; `guildhall workflows put FILE` uploads one");
    }
    next_page(&page, "guildhall workflows list");
    Ok(())
}

async fn show(context: &Context, given: &str) -> Result<()> {
    let what = "show the workflow";
    let (namespace, name, version) = reference(what, given)?;
    let path = format!(
        "/v1/workflows/{}/{}/{}",
        segment(namespace),
        segment(name),
        segment(version)
    );
    let answer = context.api()?.get(what, &path).await?;
    if context.output.json {
        return context.output.document("guildhall.workflow.v1", answer);
    }
    let source = answer["source"].as_str().unwrap_or_default();
    context.output.write(&format!("{}\n", source.trim_end()))
}

/// Reads a document; what is wrong with it is told line by line.
fn checked(context: &Context, file: &Path, text: &str) -> Result<Definition> {
    parse(text).map_err(|findings| {
        let told = tell(context, file, &findings);
        told.err().unwrap_or_else(|| invalid(file, &findings))
    })
}

fn tell(context: &Context, file: &Path, findings: &Findings) -> Result<()> {
    if context.output.json {
        let document = json!({ "valid": false, "workflow": null, "findings": findings });
        return context
            .output
            .document("guildhall.workflow_validation.v1", document);
    }
    for finding in &findings.0 {
        let place = format!("{}:{}:{}", file.display(), finding.at.line, finding.at.column);
        context.output.line(&format!("{place}: {}", finding.message))?;
    }
    Ok(())
}

fn validate(context: &Context, file: &Path) -> Result<()> {
    let definition = checked(context, file, &text(file)?)?;
    if context.output.json {
        let document = json!({ "valid": true, "workflow": definition.reference(), "findings": [] });
        return context
            .output
            .document("guildhall.workflow_validation.v1", document);
    }
    context
        .output
        .line(&format!("{} can be run", definition.reference()))
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
        parse(&text(file)?).map_err(|findings| invalid(file, &findings).because(findings.to_string()))?;
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
