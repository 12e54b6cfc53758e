//! Tells the story: lines for people while it happens, one document for machines at the end.

use super::evidence::Proof;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// How many lines of a failed check's output are shown.
const OUTPUT_LINES: usize = 8;

/// Who tells it.
pub struct Teller {
    json: bool,
    colour: bool,
    chapters: usize,
    runs: Vec<Value>,
    told: BTreeMap<String, String>,
}

/// A run's steps as the API shows them.
pub fn steps(run: &Value) -> Vec<&Value> {
    run["steps"].as_array().into_iter().flatten().collect()
}

/// The name of a step.
pub fn name_of(step: &Value) -> &str {
    step["name"].as_str().unwrap_or_default()
}

/// The last part of a step's pointer.
pub fn last_part(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or(pointer)
}

impl Teller {
    /// For people, or with `json` for machines.
    pub fn new(json: bool) -> Teller {
        let colour = !json
            && std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Teller {
            json,
            colour,
            chapters: 0,
            runs: Vec::new(),
            told: BTreeMap::new(),
        }
    }

    fn line(&self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_string()
        }
    }

    /// A heading.
    pub fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        self.line(&format!(
            "\n{}",
            self.paint("1", &format!("{}. {title}", self.chapters))
        ));
    }

    /// A line of the story.
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("   {line}"));
        }
    }

    /// A command that somebody runs.
    pub fn command(&self, who: &str, command: &str) {
        self.line(&format!("   {} {command}", self.paint("36", &format!("{who} $"))));
    }

    /// What a run is doing now, on standard error of a terminal only: it is gone when the timeline comes.
    pub fn news(&mut self, run: &Value) {
        if self.json || !std::io::stderr().is_terminal() {
            return;
        }
        let id = run["id"].as_str().unwrap_or_default().to_string();
        let now = steps(run).last().map(|step| {
            format!(
                "{} {}",
                name_of(step),
                step["status"].as_str().unwrap_or_default()
            )
        });
        let now = now.unwrap_or_default();
        if self.told.get(&id) != Some(&now) {
            eprint!("\r\u{1b}[K   … {now}");
            let _ = std::io::stderr().flush();
            self.told.insert(id, now);
        }
    }

    /// A run's steps: step, agent, time, result.
    pub fn timeline(&mut self, run: &Value) {
        if !self.json && std::io::stderr().is_terminal() {
            eprint!("\r\u{1b}[K");
        }
        for step in steps(run) {
            let result = outcome(step);
            let good = step["status"] == "completed" && !is_refusal(&step["result"]);
            let mark = if good {
                self.paint("32", "✓")
            } else {
                self.paint("31", "✗")
            };
            let (name, actor, time) = (name_of(step), actor(step), seconds(step));
            self.line(&format!("   {mark} {name:<9} {actor:<15} {time:>7}  {result}"));
            for detail in details(step) {
                self.line(&format!("       {}", self.paint("2", &detail)));
            }
        }
        let status = run["status"].as_str().unwrap_or_default();
        match status {
            "completed" => self.line(&format!("   {}", self.paint("32", status))),
            "faulted" => self.line(&format!(
                "   {} {} [{}]",
                self.paint("31", "stopped:"),
                run["error"]["detail"]
                    .as_str()
                    .or(run["error"]["title"].as_str())
                    .unwrap_or_default(),
                run["error"]["code"].as_str().unwrap_or_default()
            )),
            other => self.line(&format!("   {other}")),
        }
        self.runs.push(run.clone());
    }

    /// What was proved, and what to try next.
    pub fn finish(&self, proof: &Proof, took: Duration) -> anyhow::Result<()> {
        if self.json {
            let verified: Vec<Value> = proof
                .points()
                .iter()
                .map(|(held, point)| json!({ "held": held, "point": point }))
                .collect();
            let document = json!({
                "kind": "guildhall.demo.v1",
                "ok": proof.held(),
                "took_ms": took.as_millis() as u64,
                "runs": self.runs,
                "verified": verified,
            });
            println!("{document}");
            return Ok(());
        }
        self.line(&format!("\n{}", self.paint("1", "Verified")));
        for (held, point) in proof.points() {
            let mark = if *held {
                self.paint("32", "✓")
            } else {
                self.paint("31", "✗ did not hold:")
            };
            self.line(&format!("   {mark} {point}"));
        }
        let points = proof.points().len();
        let held = proof.points().iter().filter(|(held, _)| *held).count();
        self.line(&format!(
            "   {held} of {points} points held, in {:.0} s",
            took.as_secs_f64()
        ));
        self.line(&format!("\n{}", self.paint("1", "Next")));
        self.say("cargo xtask up --repo PATH            leave a fleet running over a repository of yours");
        self.say("cargo xtask demo --repo PATH --head B review and test your own branch B");
        self.say("target/debug/guildhall --help         everything that can be asked of a fleet");
        self.say("cargo xtask test                      everything the project tests");
        Ok(())
    }
}

/// A review or an approval can complete and still say no.
fn is_refusal(result: &Value) -> bool {
    result["verdict"] == "request_changes"
        || result["verdict"] == "block"
        || result["status"] == "failed"
        || result["decision"] == "reject"
}

/// What a step found: findings of a review, the end of the output of a check that failed.
fn details(step: &Value) -> Vec<String> {
    let result = &step["result"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut lines: Vec<String> = Vec::new();
    for finding in result["findings"].as_array().into_iter().flatten() {
        let place = match finding["line"].as_u64() {
            Some(line) => format!("{}:{line}", text(&finding["file"])),
            None => text(&finding["file"]),
        };
        let (severity, rule) = (text(&finding["severity"]), text(&finding["rule"]));
        let message = finding["message"]
            .as_str()
            .or(finding["title"].as_str())
            .unwrap_or_default();
        lines.push(format!("{place}  {severity}  {rule}: {message}"));
        lines.extend(
            finding["suggestion"]
                .as_str()
                .map(|suggestion| format!("    suggestion: {suggestion}")),
        );
    }
    let checks = result["checks"].as_array().into_iter().flatten();
    for check in checks.filter(|check| check["status"] != "passed") {
        let (name, exit) = (text(&check["check"]), &check["exit_code"]);
        lines.push(format!(
            "{name}: exit {exit} after {} ms; its output ends with",
            check["duration_ms"]
        ));
        let tail = text(&check["output_tail"]);
        let meaningful: Vec<&str> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
        let from = meaningful.len().saturating_sub(OUTPUT_LINES);
        lines.extend(meaningful[from..].iter().map(|line| format!("  | {line}")));
    }
    lines
}

fn actor(step: &Value) -> &str {
    let decided = step["result"]["decided_by"].as_str();
    step["agent"].as_str().or(decided).unwrap_or("-")
}

fn outcome(step: &Value) -> String {
    let error = &step["error"];
    if let Some(detail) = error["detail"].as_str() {
        return detail.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let result = &step["result"];
    let text = result["summary"]
        .as_str()
        .or(result["decision"].as_str())
        .or(result["state"].as_str());
    text.or(step["status"].as_str())
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// How long a step took: times of the API are RFC 3339 in UTC.
fn seconds(step: &Value) -> String {
    let time = |name: &str| step[name].as_str().and_then(milliseconds);
    match (time("started_at"), time("finished_at")) {
        (Some(begun), Some(ended)) => format!("{:.1} s", (ended - begun) as f64 / 1e3),
        _ => String::new(),
    }
}

/// Milliseconds since 1970 of `2026-11-22T08:52:22.123456+00:00` or with `Z`.
fn milliseconds(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let clock = rest.trim_end_matches('Z').split(['+']).next()?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut clock = clock.split(':');
    let (hours, minutes): (i64, i64) = (clock.next()?.parse().ok()?, clock.next()?.parse().ok()?);
    let seconds: f64 = clock.next()?.parse().ok()?;
    // Days since 1970 of a date in the Gregorian calendar, with March as the year's first month.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (m * 153 + 2) / 5 + day
        - 1
        - 719_468;
    Some(days * 86_400_000 + hours * 3_600_000 + minutes * 60_000 + (seconds * 1e3).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_fractions() {
        assert_eq!(milliseconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            milliseconds("2024-02-29T12:00:00.250+00:00"),
            Some(1_709_208_000_250)
        );
        assert_eq!(milliseconds("yesterday"), None);
    }

    #[test]
    fn a_step_that_completed_with_a_no_is_marked_so() {
        assert!(is_refusal(&json!({"status": "failed"})));
        assert!(!is_refusal(&json!({"status": "passed", "verdict": "comment"})));
    }
}
