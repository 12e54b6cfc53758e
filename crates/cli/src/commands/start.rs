//! `guildhall runs start` and `guildhall workflows run`: begins a run of a workflow.

use super::{read, watch};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::output::say;
use guildhall_domain::run::Run;
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What to start.
#[derive(Clone, Debug, clap::Args)]
pub struct Start {
    /// An uploaded workflow: NAMESPACE/NAME, or NAMESPACE/NAME@VERSION
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    workflow: Option<String>,
    /// A document of one's own, in YAML or JSON; - for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the run is given, as JSON; @FILE reads it from a file
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// One line for people; the workflow's own title by default
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Makes it repeatable: the same key starts one run, however often it is asked for
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Follow the run until it ends
    #[arg(long)]
    watch: bool,
}

/// Starts it.
pub async fn run(context: &Context, start: Start) -> Result<()> {
    let what = "start the run";
    let mut body = json!({ "input": value(what, "--input", &start.input)? });
    match (&start.workflow, &start.file) {
        (Some(given), _) => {
            let (namespace, name, version) = reference(what, given)?;
            body["workflow"] = json!({ "namespace": namespace, "name": name, "version": version });
        }
        (None, Some(file)) => body["definition"] = text(file)?.into(),
        (None, None) => return Err(CliError::new("there is no workflow to start")),
    }
    if let Some(title) = &start.title {
        body["title"] = title.as_str().into();
    }
    let api = context.api()?;
    let api = match start.key {
        Some(key) => api.header("idempotency-key", key),
        None => api,
    };
    let answer = api.post(what, "/v1/runs", &body).await?;
    let run: Run = read(what, answer.clone())?;
    let output = &context.output;
    if start.watch {
        return watch::follow(&api, output, &run.id.to_string(), None).await;
    }
    if output.json {
        return output.document("guildhall.run.v1", json!({ "run": answer }));
    }
    output.line(&run.id.to_string())?;
    say(&format!("{}; guildhall runs watch {}", run.title, run.id));
    Ok(())
}

/// `NAMESPACE/NAME[@VERSION]`, taken apart.
pub(crate) fn reference<'a>(what: &str, given: &'a str) -> Result<(&'a str, &'a str, &'a str)> {
    let (path, version) = given.split_once('@').unwrap_or((given, "latest"));
    match path.split_once('/') {
        Some((namespace, name))
            if !namespace.is_empty()
                && !name.is_empty()
                && !name.contains('/')
                && !version.is_empty()
                && !version.contains('/') =>
        {
            Ok((namespace, name, version))
        }
        _ => Err(CliError::new(format!("cannot {what}"))
            .because(format!("{given:?} does not name a workflow"))
            .hint(
                "write NAMESPACE/NAME or NAMESPACE/NAME@VERSION; a document of your own goes after --file",
            )),
    }
}

/// JSON as it stands on the command line, or in the file behind an `@`.
pub(crate) fn value(what: &str, flag: &str, given: &str) -> Result<Value> {
    let read;
    let json = match given.strip_prefix('@') {
        Some(file) => {
            read = text(Path::new(file))?;
            read.as_str()
        }
        None => given,
    };
    serde_json::from_str(json).map_err(|error| {
        CliError::new(format!("cannot {what}"))
            .because(format!("{flag} is not JSON: {error}"))
            .hint(format!("for example {flag} '{{\"environment\": \"staging\"}}'"))
    })
}

/// A file's text; `-` stands for standard input.
pub(crate) fn text(file: &Path) -> Result<String> {
    let mut text = String::new();
    let outcome = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(|_| text),
        _ => std::fs::read_to_string(file),
    };
    outcome.map_err(|error| CliError::new(format!("cannot read {}", file.display())).cause(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_namespace_name_and_perhaps_a_version() {
        for (given, parts) in [
            ("team/deliver", Some(("team", "deliver", "latest"))),
            ("team/deliver@1.0.0-rc.1", Some(("team", "deliver", "1.0.0-rc.1"))),
            ("deliver", None),
            ("/deliver", None),
            ("team/", None),
            ("a/b/c", None),
            ("team/deliver@", None),
            ("./deliver.yaml@/", None),
        ] {
            assert_eq!(reference("x", given).ok(), parts, "{given}");
        }
    }
}
