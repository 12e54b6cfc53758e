//! `cargo xtask bench`: the fleet's speed, with ratios to the floor measured beside it in the same run.

mod args;
mod cases;
mod contended;
mod fleet;
mod floor_http;
mod floor_sql;
mod http;
mod idle;
mod load;
mod population;
mod report;
mod repository;

use anyhow::{Context, anyhow};
use args::Args;
use cases::Site;
use clap::Parser;
use load::Plan;
use report::Line;
use std::{process::ExitCode, sync::Arc, time::Duration};

/// Work before every measurement that is not recorded: connections are opened, instances made, caches filled.
const WARM_UP: Duration = Duration::from_secs(1);

/// The load generator shares the machine with what it measures; more threads would only take its time.
const MOST_THREADS: usize = 2;

/// Runs the bench with the arguments after `bench`. Results go to stdout, everything else to stderr. The exit code
/// is 0 when every operation succeeded, 1 when some did not, 2 when the arguments are wrong; an error means that the
/// bench could not work.
pub fn run(args: Vec<String>) -> anyhow::Result<ExitCode> {
    let args = match Args::try_parse_from(std::iter::once("cargo xtask bench".into()).chain(args)) {
        Ok(args) => args,
        Err(answer) => {
            // Help goes to stdout with exit code 0, mistakes to stderr with 2.
            answer.print().context("cannot print")?;
            return Ok(ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(MOST_THREADS));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("cannot start the load generator")?;
    runtime.block_on(async {
        tokio::select! {
            code = bench(&args) => code,
            // Returning drops the fleet, which stops it and removes what it left.
            signal = tokio::signal::ctrl_c() => {
                signal.context("cannot wait for Ctrl-C")?;
                Err(anyhow!("interrupted"))
            }
        }
    })
}

async fn bench(args: &Args) -> anyhow::Result<ExitCode> {
    let mut report = Report {
        json: args.json,
        lines: Vec::new(),
        errors: 0,
    };
    match &args.url {
        Some(url) => {
            let site = external(args, url)?;
            measure_all(args, "external", &site, &mut report).await?;
        }
        None => {
            fleet::check_environment(|name| std::env::var_os(name).is_some())?;
            let program = match &args.guildhall {
                Some(path) => path
                    .canonicalize()
                    .with_context(|| format!("cannot find {}", path.display()))?,
                None => {
                    crate::setup::ensure(false)?;
                    crate::build::all()?
                }
            };
            for mode in args.modes() {
                eprintln!("starting a fleet in {} mode", mode.name());
                let fleet = fleet::Fleet::start(&program, mode).await?;
                measure_all(args, mode.name(), &fleet.site, &mut report).await?;
            }
        }
    }
    if !report.json {
        print!("{}", report::table(&report.lines));
    }
    Ok(if report.errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn external(args: &Args, url: &str) -> anyhow::Result<Site> {
    let token = args
        .token
        .clone()
        .or_else(|| std::env::var("GUILDHALL_TOKEN").ok());
    let token =
        token.ok_or_else(|| anyhow!("--url needs an API token: give --token or set GUILDHALL_TOKEN"))?;
    let target = http::Target::new(url, Some(token)).map_err(|error| anyhow!(error))?;
    Ok(Site {
        target: Arc::new(target),
        floor_database: args.database_url.clone(),
        floor_is_live: true,
        database: None,
        pid: None,
        message: args.message.clone().unwrap_or_else(|| repository::MESSAGE.into()),
        salt: std::process::id().to_string(),
    })
}

struct Report {
    json: bool,
    lines: Vec<Line>,
    errors: u64,
}

async fn measure_all(
    args: &Args,
    mode: &'static str,
    site: &Site,
    report: &mut Report,
) -> anyhow::Result<()> {
    let plan = Plan {
        warm_up: WARM_UP,
        measure: args.seconds,
    };
    for case in args.cases() {
        let own = case.own_connections();
        for &connections in own.as_ref().map_or(&args.connections[..], std::slice::from_ref) {
            let outcome = cases::measure(case, site, connections, plan).await?;
            let line = Line::new(
                case.name(),
                mode,
                connections,
                &outcome.sample,
                outcome.floor.as_ref(),
            );
            eprintln!(
                "{} {mode} at {connections}: {:.0} ops/s",
                case.name(),
                line.ops_per_s
            );
            for note in &outcome.notes {
                eprintln!("  {note}");
            }
            for (whose, sample) in [
                ("fleet", Some(&outcome.sample)),
                ("floor", outcome.floor.as_ref()),
            ] {
                if let Some(example) = sample.and_then(|sample| sample.example.as_ref()) {
                    eprintln!("  the {whose} failed, for example: {example}");
                }
            }
            report.errors += line.errors;
            if report.json {
                println!("{}", line.json());
            }
            report.lines.push(line);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_with(words: &str) -> anyhow::Result<ExitCode> {
        run(words.split_whitespace().map(String::from).collect())
    }

    #[test]
    fn wrong_arguments_and_help_have_their_exit_codes() {
        assert_eq!(run_with("--only nonsense").unwrap(), ExitCode::from(2));
        assert_eq!(run_with("--help").unwrap(), ExitCode::SUCCESS);
    }

    #[test]
    fn a_url_that_cannot_be_measured_is_refused_before_anything_is_sent() {
        let error = run_with("--url https://hall --token t").unwrap_err().to_string();
        assert!(error.contains("only http://"), "{error}");
    }
}
