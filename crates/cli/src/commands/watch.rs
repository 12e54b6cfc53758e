//! Follows a run to its end: a tree that is redrawn on a terminal, a line per change otherwise.

use super::{read, runs};
use crate::error::{CliError, Exit, Result};
use crate::format;
use crate::http::Api;
use crate::output::{Output, say};
use guildhall_domain::run::{Run, RunStatus};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often the run is looked at.
const POLL: Duration = Duration::from_millis(300);
/// How long the fleet may be away, for example while it is being restarted, before following is given up.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// Follows until the end. A run that ends badly, or not within `timeout_s`, is a failure.
pub async fn follow(api: &Api, output: &Output, id: &str, timeout_s: Option<u64>) -> Result<()> {
    let begun = Instant::now();
    let mut view = View::default();
    let mut away_since: Option<Instant> = None;
    loop {
        let what = "follow the run";
        match api.get(what, &format!("/v1/runs/{id}")).await {
            Ok(value) => {
                if away_since.take().is_some() {
                    say("the fleet is back");
                }
                let run: Run = read(what, value.clone())?;
                view.update(output, &run)?;
                if run.status.is_terminal() {
                    if output.json {
                        output.document("guildhall.run.v1", json!({ "run": value }))?;
                    }
                    return verdict(&run);
                }
            }
            Err(error) if error.exit == Exit::Failure => return Err(error),
            Err(error) => {
                let since = *away_since.get_or_insert_with(|| {
                    say("the fleet does not answer; waiting for it to come back");
                    Instant::now()
                });
                if since.elapsed() > AWAY_MAX {
                    return Err(error);
                }
            }
        }
        if timeout_s.is_some_and(|limit| begun.elapsed() > Duration::from_secs(limit)) {
            return Err(CliError::failure(format!(
                "run {id} has not ended within {} s",
                timeout_s.unwrap_or(0)
            ))
            .hint(format!("it goes on by itself; guildhall runs watch {id}")));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn verdict(run: &Run) -> Result<()> {
    match run.status {
        RunStatus::Completed => Ok(()),
        RunStatus::Cancelled => Err(CliError::failure(format!("run {} was cancelled", run.id))),
        _ => {
            let error = run.error.clone().unwrap_or_default();
            let detail = error["detail"]
                .as_str()
                .or(error["title"].as_str())
                .unwrap_or("no reason is recorded");
            let mut failure = CliError::failure(format!("run {} was stopped", run.id)).because(detail);
            failure.code = error["code"].as_str().map(str::to_string);
            Err(failure)
        }
    }
}

/// What is on the screen, or was said.
#[derive(Default)]
struct View {
    drawn_lines: usize,
    said: BTreeMap<String, String>,
    announced: bool,
}

impl View {
    fn update(&mut self, output: &Output, run: &Run) -> Result<()> {
        if output.json {
            return Ok(());
        }
        if output.terminal {
            self.redraw(output, run)
        } else {
            self.tell(output, run)
        }
    }

    /// Goes back to the first line drawn, clears to the end of the screen, draws again.
    fn redraw(&mut self, output: &Output, run: &Run) -> Result<()> {
        let mut text = String::new();
        if self.drawn_lines > 0 {
            text.push_str(&format!("\u{1b}[{}A\u{1b}[J", self.drawn_lines));
        }
        let mut tree = runs::describe(output, run);
        if let Some(hint) = waiting_hint(run) {
            tree.push_str(&format!("  {hint}\n"));
        }
        self.drawn_lines = rows_on_screen(&tree, output.columns());
        text.push_str(&tree);
        output.write(&text)
    }

    fn tell(&mut self, output: &Output, run: &Run) -> Result<()> {
        if !self.announced {
            output.line(&format!("run {}: {}", run.id, run.title))?;
            self.announced = true;
        }
        for step in &run.steps {
            let news = format!("{}{}", step.status, step.attempts);
            // A `try` reaches the same step again and again.
            let which = format!("{} {}", step.step, step.started_at);
            if self.said.get(&which) == Some(&news) {
                continue;
            }
            self.said.insert(which, news);
            let (name, actor) = (&step.name, format::step_actor(step));
            let time = step
                .finished_at
                .map(|_| format::step_time(step))
                .unwrap_or_default();
            let line = format!(
                "{name:<10} {:<10} {actor:<16} {time:>8}  {}",
                step.status,
                format::step_result(step)
            );
            output.line(line.trim_end())?;
            if let Some(hint) = waiting_hint(run).filter(|_| step.status == "waiting") {
                say(&hint);
            }
        }
        if run.status.is_terminal() {
            output.line(&format::spelled(&run.status))?;
        }
        Ok(())
    }
}

fn waiting_hint(run: &Run) -> Option<String> {
    let waits = run
        .steps
        .iter()
        .any(|step| step.skill == "approval" && step.status == "waiting");
    (waits && !run.status.is_terminal()).then(|| {
        "another person decides: guildhall approvals list; guildhall approvals approve ID".to_string()
    })
}

/// How many rows of the screen a text takes when lines longer than the screen wrap. Colour takes no room.
fn rows_on_screen(text: &str, columns: usize) -> usize {
    text.lines()
        .map(|line| {
            let mut visible = 0;
            let mut in_escape = false;
            for character in line.chars() {
                match (in_escape, character) {
                    (false, '\u{1b}') => in_escape = true,
                    (true, 'm') => in_escape = false,
                    (true, _) => {}
                    (false, _) => visible += 1,
                }
            }
            visible.max(1usize).div_ceil(columns.max(1))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_count_and_colours_do_not() {
        assert_eq!(rows_on_screen("a\n\nb\n", 80), 3);
        assert_eq!(rows_on_screen(&"x".repeat(81), 80), 2);
        assert_eq!(
            rows_on_screen(&format!("\u{1b}[32m{}\u{1b}[0m", "x".repeat(80)), 80),
            1
        );
    }
}
