//! `cargo xtask demo`: the main job on a real repository, told while it happens, and proved afterwards.

mod evidence;
mod farewell;
mod git;
mod guildhall;
mod own;
mod repository;
mod service;
mod story;
mod tell;

use crate::{build, cargo, setup};
use anyhow::Context;
use evidence::Proof;
use guildhall_provision::{Fleet, FleetOptions};
use guildhall_testkit::janitor::Janitor;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tell::Teller;

/// What to show.
#[derive(Clone, Debug, clap::Args)]
pub struct Demo {
    /// A repository of your own; the demo makes a small one otherwise
    #[arg(long, requires = "head", value_name = "PATH")]
    repo: Option<PathBuf>,
    /// The branch to compare with [default: as the repository says]
    #[arg(long, requires = "repo", value_name = "BRANCH")]
    base: Option<String>,
    /// The branch with the change
    #[arg(long, requires = "repo", value_name = "BRANCH")]
    head: Option<String>,
    /// Deploy the change of your own repository there, too: this really runs its deploy command
    #[arg(long, requires = "repo", value_name = "ENVIRONMENT")]
    deploy: Option<String>,
    /// Print one JSON document instead of the story
    #[arg(long)]
    json: bool,
    /// Leave the directory with repository, logs and database
    #[arg(long)]
    keep: bool,
}

/// Where a demo takes place, and who takes part.
struct Scene {
    fleet: Fleet,
    dir: PathBuf,
    guildhall: guildhall::Guildhall,
    teller: Teller,
    proof: Proof,
}

impl Demo {
    /// Shows it; exit code 1 when something that was to be proved did not hold.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let begun = Instant::now();
        setup::ensure(false)?;
        let program = build::all()?;
        let built = begun.elapsed();
        let janitor = Janitor::new("guildhall-demo-")?;
        let dir = janitor.dir().to_path_buf();
        let outcome = self.play(&program, dir.clone(), built);
        if self.keep {
            eprintln!("kept: {}", janitor.keep().display());
        } else {
            drop(janitor);
        }
        let (teller, proof) = outcome?;
        let held = proof.held();
        teller.finish(&proof, begun.elapsed())?;
        Ok(ExitCode::from(u8::from(!held)))
    }

    fn play(
        &self,
        program: &std::path::Path,
        dir: PathBuf,
        built: Duration,
    ) -> anyhow::Result<(Teller, Proof)> {
        let mut teller = Teller::new(self.json);
        let own = match &self.repo {
            Some(path) => Some(
                path.canonicalize()
                    .with_context(|| format!("cannot find {}", path.display()))?,
            ),
            None => None,
        };
        teller.chapter(match own {
            Some(_) => "A fleet over your repository",
            None => "A small repository with real code and tests, and a fleet over it",
        });
        let made = match &own {
            Some(_) => None,
            None => Some(repository::Repository::make(&dir)?),
        };
        let path = own
            .clone()
            .or(made.as_ref().map(|made| made.path.clone()))
            .context("there is no repository")?;
        let begun = Instant::now();
        let mut options = FleetOptions::new(program, dir.join("state"), cargo::root())
            .with("--repo", path.display().to_string())
            .with("--color", "never");
        if let Some(base) = &self.base {
            options = options.with("--base", base.as_str());
        }
        let fleet = Fleet::start(options)?;
        teller.say(&format!("repository   {}", path.display()));
        teller.say(&format!(
            "fleet        {} (built in {:.0} s, ready after {:.1} s)",
            fleet.url(),
            built.as_secs_f64(),
            begun.elapsed().as_secs_f64()
        ));
        let guildhall = guildhall::Guildhall::new(program, &fleet)?;
        let mut scene = Scene {
            fleet,
            dir,
            guildhall,
            teller,
            proof: Proof::default(),
        };
        let played = match &made {
            Some(made) => story::play(&mut scene, made),
            None => own::play(
                &mut scene,
                self.head.as_deref().unwrap_or_default(),
                self.deploy.as_deref(),
            ),
        };
        if let Err(error) = &played {
            eprintln!(
                "the end of {}:\n{}",
                scene.fleet.log().display(),
                guildhall_provision::process::log_tail(&scene.fleet.log(), 15)
            );
            eprintln!("the demo stops here: {error:#}");
        }
        if made.is_some()
            && let Err(error) = farewell::stop_service(&scene.fleet.credentials()?)
        {
            eprintln!("cannot stop the deployed service: {error:#}");
        }
        let leftovers = guildhall_provision::os::descendants(scene.fleet.pid());
        scene.fleet.stop();
        played?;
        evidence::nothing_left(&mut scene.proof, &leftovers, made.as_ref().map(|made| made.port));
        Ok((scene.teller, scene.proof))
    }
}
