//! `cargo xtask test`: all suites or the named ones, with whatever they need installed and started.

mod catalogue;
mod libtest;
mod run;
mod watch;

use crate::{build, cargo, setup};
use anyhow::{Context, bail};
pub use catalogue::native_selection;
use catalogue::{Program, Suite};
use guildhall_provision::{Postgres, PostgresOptions};
use guildhall_testkit::janitor::Janitor;
use libtest::Counts;
use std::process::ExitCode;

/// Which suites to run.
#[derive(Clone, Debug, clap::Args)]
pub struct Test {
    /// The suites; all of them when none is named
    #[arg(value_enum, value_name = "SUITE")]
    suites: Vec<Suite>,
    /// For e2e: a fleet that already runs, on whatever runtime
    #[arg(long, requires = "token", value_name = "URL")]
    url: Option<String>,
    /// For e2e: an admin token of that fleet
    #[arg(long, env = "GUILDHALL_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Only tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// What tests are given to work with; dropped, it is stopped and removed.
pub(crate) struct Ground {
    /// Environment variables of every test program.
    pub env: Vec<(String, String)>,
    // Fields drop in this order: first the server ends, then its directory goes.
    _postgres: Option<Postgres>,
    _janitor: Option<Janitor>,
}

impl Test {
    /// Runs them; exit code 1 when a test failed.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let suites = if self.suites.is_empty() {
            Suite::ALL.to_vec()
        } else {
            self.suites.clone()
        };
        if self.url.is_some() && suites != [Suite::E2e] {
            bail!("--url is for the e2e suite alone: cargo xtask test e2e --url URL --token TOKEN");
        }
        let (ground, programs) = self.prepare(&suites)?;
        let mut results = Vec::new();
        for suite in suites {
            let counts = run::suite(suite, &programs, &ground, self.filter.as_deref())?;
            results.push((suite, counts));
        }
        drop(ground);
        let mut failed = false;
        for (suite, counts) in &results {
            println!("{}", summary(*suite, counts));
            failed |= counts.failed > 0;
        }
        Ok(ExitCode::from(u8::from(failed)))
    }

    /// Installs, builds and starts what the suites need; gives the suites' test programs.
    fn prepare(&self, suites: &[Suite]) -> anyhow::Result<(Ground, Vec<Program>)> {
        let mut env = Vec::new();
        if let (Some(url), Some(token)) = (&self.url, &self.token) {
            env.push(("GUILDHALL_E2E_URL".to_string(), url.clone()));
            env.push(("GUILDHALL_E2E_TOKEN".to_string(), token.clone()));
            let ground = Ground {
                env,
                _postgres: None,
                _janitor: None,
            };
            return Ok((ground, catalogue::compile(suites)?.programs));
        }
        setup::ensure(suites.contains(&Suite::Sql))?;
        if suites.iter().any(|suite| suite.needs_programs()) {
            build::components_and_fixtures()?;
        }
        let compiled = catalogue::compile(suites)?;
        if let Some(program) = compiled.guildhall {
            env.push(("GUILDHALL_BIN".to_string(), program.display().to_string()));
        }
        // One server for all test programs: starting one takes longer than most tests.
        let janitor = Janitor::new("guildhall-test-")?;
        let options = PostgresOptions {
            durable: false,
            max_connections: 400,
            ..PostgresOptions::new(janitor.dir())
        };
        let postgres = Postgres::start(&options).context("cannot start the tests' Postgres")?;
        env.push((
            guildhall_testkit::postgres::GIVEN_SERVER.to_string(),
            postgres.url("postgres"),
        ));
        let ground = Ground {
            env,
            _postgres: Some(postgres),
            _janitor: Some(janitor),
        };
        Ok((ground, compiled.programs))
    }
}

fn summary(suite: Suite, counts: &Counts) -> String {
    format!(
        "{}: {} passed, {} failed, {} skipped",
        suite.name(),
        counts.passed,
        counts.failed,
        counts.skipped
    )
}

/// The directory in which cargo runs the tests of a package.
pub(crate) fn package_dir(manifest: &str) -> std::path::PathBuf {
    std::path::Path::new(manifest)
        .parent()
        .unwrap_or(cargo::root())
        .to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_the_promised_one() {
        let counts = Counts {
            passed: 3,
            failed: 1,
            skipped: 2,
        };
        assert_eq!(summary(Suite::E2e, &counts), "e2e: 3 passed, 1 failed, 2 skipped");
    }
}
