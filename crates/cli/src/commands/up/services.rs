//! Postgres and Redis: those we are told of, else private ones that are watched and started again when they end.

use crate::database;
use crate::error::{CliError, Result};
use crate::output::say;
use guildhall_provision::{Postgres, PostgresOptions, Redis, RedisOptions};
use std::path::Path;
use tokio_postgres::Config;

/// Something that runs on its own and may end.
#[derive(Debug)]
pub enum Service<T> {
    /// Somebody else's; we only know where it is.
    Given,
    /// Ours.
    Private(T),
    /// Ours, and it could not be started again yet.
    Down,
}

/// The database and the doorbell.
#[derive(Debug)]
pub struct Services {
    postgres_options: PostgresOptions,
    redis_options: RedisOptions,
    postgres: Service<Postgres>,
    redis: Service<Redis>,
    /// How to reach the database.
    pub database: Config,
    /// How to reach Redis.
    pub redis_url: String,
}

impl Services {
    /// Starts what was not given. Blocking.
    pub fn start(state_dir: &Path, database_url: Option<&str>, redis_url: Option<&str>) -> Result<Services> {
        let mut postgres_options = PostgresOptions::new(state_dir);
        postgres_options.log = state_dir.join("logs/postgres.log");
        let mut redis_options = RedisOptions::new(state_dir);
        redis_options.log = state_dir.join("logs/redis.log");
        let (postgres, database) = match database_url {
            Some(url) => (Service::Given, database::parse(url)?),
            None => {
                let postgres = Postgres::start(&postgres_options)?;
                if !postgres.home().starts_with(state_dir) {
                    say(&format!(
                        "the database lives in {}: as root it runs as another user, who cannot enter {}",
                        postgres.home().display(),
                        state_dir.display()
                    ));
                }
                let config = database::parse(&postgres.keywords(guildhall_provision::postgres::NAME))?;
                (Service::Private(postgres), config)
            }
        };
        let (redis, redis_url) = match redis_url {
            Some(url) => (Service::Given, url.to_string()),
            None => {
                let redis = Redis::start(&redis_options)?;
                let url = redis.url();
                (Service::Private(redis), url)
            }
        };
        Ok(Services {
            postgres_options,
            redis_options,
            postgres,
            redis,
            database,
            redis_url,
        })
    }

    /// Process ids by name.
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        let mut pids = Vec::new();
        if let Service::Private(postgres) = &self.postgres {
            pids.push(("postgres", postgres.pid()));
        }
        if let Service::Private(redis) = &self.redis {
            pids.push(("redis", redis.pid()));
        }
        pids
    }

    /// Starts again what has ended, on its old port. Blocking. Says whether anything was started.
    pub fn look_after(&mut self) -> Result<bool> {
        Ok(self.look_after_postgres()? | self.look_after_redis())
    }

    fn look_after_postgres(&mut self) -> Result<bool> {
        match &mut self.postgres {
            Service::Given => return Ok(false),
            Service::Private(postgres) => match postgres.exit_status() {
                None => return Ok(false),
                Some(status) => say(&format!(
                    "the private Postgres ended with {status}; starting it again"
                )),
            },
            Service::Down => {}
        }
        self.postgres = Service::Down;
        let (_, port) = database::address(&self.database);
        match Postgres::start(&self.postgres_options) {
            Ok(postgres) if postgres.port() == port => self.postgres = Service::Private(postgres),
            // The components were told the old port when they started.
            Ok(_) => {
                return Err(CliError::new("cannot go on with the private Postgres")
                    .because(format!("another program has taken its port {port}"))
                    .hint("run guildhall up again"));
            }
            Err(error) => say(&CliError::from(error).render(false)),
        }
        Ok(matches!(self.postgres, Service::Private(_)))
    }

    fn look_after_redis(&mut self) -> bool {
        match &mut self.redis {
            Service::Given => return false,
            Service::Private(redis) => match redis.exit_status() {
                None => return false,
                Some(status) => say(&format!(
                    "the private Redis ended with {status}; starting it again"
                )),
            },
            Service::Down => {}
        }
        self.redis = Service::Down;
        match Redis::start(&self.redis_options) {
            Ok(redis) if redis.url() == self.redis_url => self.redis = Service::Private(redis),
            // Redis is only a doorbell: without it everything goes on, a little later.
            Ok(_) => say("another program has taken the private Redis's port; going on without it"),
            Err(error) => say(&CliError::from(error).render(false)),
        }
        matches!(self.redis, Service::Private(_))
    }

    /// Stops what is ours. Blocking.
    pub fn stop(&mut self) {
        if let Service::Private(redis) = &mut self.redis {
            redis.stop();
        }
        if let Service::Private(postgres) = &mut self.postgres {
            postgres.stop();
        }
    }
}
