//! `guildhall doctor`: looks at everything a fleet needs, explains what is missing, says how to treat it.

mod fleet;
mod machine;

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::output::{Output, Tone};
use serde::Serialize;
use serde_json::json;

/// Where to look.
#[derive(Clone, Debug, clap::Args)]
pub struct Doctor {
    /// The database to look at [default: that of the state directory's fleet]
    #[arg(
        long,
        env = "GUILDHALL_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    database_url: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// It works, less well than it could.
    Warning,
    /// It does not work.
    Failed,
    /// It does not apply, or cannot be told before something else is mended.
    Skipped,
}

/// What one look showed.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was seen.
    pub found: String,
    /// What to do about it.
    pub treatment: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Finding {
            check,
            verdict: Verdict::Ok,
            found: found.into(),
            treatment: None,
        }
    }

    /// It works, less well than it could.
    pub fn warning(check: &'static str, found: impl Into<String>, treatment: impl Into<String>) -> Self {
        Finding {
            check,
            verdict: Verdict::Warning,
            found: found.into(),
            treatment: Some(treatment.into()),
        }
    }

    /// It does not work.
    pub fn failed(check: &'static str, found: impl Into<String>, treatment: impl Into<String>) -> Self {
        Finding {
            check,
            verdict: Verdict::Failed,
            found: found.into(),
            treatment: Some(treatment.into()),
        }
    }

    /// Nothing to say.
    pub fn skipped(check: &'static str, found: impl Into<String>) -> Self {
        Finding {
            check,
            verdict: Verdict::Skipped,
            found: found.into(),
            treatment: None,
        }
    }
}

/// Looks at everything; exit code 1 when something does not work.
pub async fn run(context: &Context, doctor: Doctor) -> Result<()> {
    let output = &context.output;
    let mut findings = machine::look();
    findings.extend(fleet::look(context, doctor.database_url).await?);
    let failed = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Failed)
        .count();
    if output.json {
        output.document(
            "guildhall.doctor.v1",
            json!({ "ok": failed == 0, "findings": findings }),
        )?;
    } else {
        for finding in &findings {
            show(output, finding)?;
        }
    }
    match failed {
        0 => Ok(()),
        1 => Err(CliError::failure("one thing does not work")),
        several => Err(CliError::failure(format!("{several} things do not work"))),
    }
}

fn show(output: &Output, finding: &Finding) -> Result<()> {
    let (word, tone) = match finding.verdict {
        Verdict::Ok => ("ok     ", Tone::Good),
        Verdict::Warning => ("warning", Tone::Waiting),
        Verdict::Failed => ("FAILED ", Tone::Bad),
        Verdict::Skipped => ("-      ", Tone::Dim),
    };
    output.line(&format!(
        "{} {:<12} {}",
        output.paint(tone, word),
        finding.check,
        finding.found.replace('\n', " ")
    ))?;
    if let Some(treatment) = &finding.treatment {
        for (number, line) in treatment.lines().enumerate() {
            let lead = if number == 0 { "→ " } else { "  " };
            output.line(&format!("{:21}{lead}{line}", ""))?;
        }
    }
    Ok(())
}
