//! Three fleets on one database and one Redis, and somebody who starts again what ended.

use anyhow::{Context, Result};
use guildhall_testkit::{Client, Database, FaultProxy, Fleet, Postgres, Redis};
use rand::{Rng, rngs::StdRng};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::RwLock, task::JoinHandle};

/// How each host behaves: as Spin does (and ends when Redis goes away), or with our own patience.
const MODES: [&str; 3] = ["strict", "hardened", "hardened"];

/// What the test adds to the database in order to see: guarded writes, and each lease with what the registry said of the
/// agent in the transaction that gave it.
const EYES: &str = "
    create schema chaos;
    create function chaos.us(p timestamptz) returns bigint language sql immutable as
    $$ select (extract(epoch from p) * 1000000)::bigint $$;
    create table chaos.writes (
        id bigint generated always as identity primary key, resource text not null, token bigint not null,
        at timestamptz not null);
    create table chaos.leases (
        request_id uuid not null, agent text not null, at timestamptz not null, there_until timestamptz, unwilling boolean);
    create function chaos.note_lease() returns trigger language plpgsql as $$
    begin
        insert into chaos.leases
        select new.id, new.agent, new.lease_expires_at - interval '10 s', l.expires_at,
            l.reported = 'draining' or l.probe_failures >= 2
        from (select) one left join guildhall.agent_liveness l on l.agent_id = new.agent;
        return null;
    end $$;
    create trigger note_lease after update on guildhall.requests for each row
        when (new.state = 'leased' and new.epoch <> old.epoch) execute function chaos.note_lease();";

/// One host.
pub struct Node {
    /// Its base URL, the same after every start.
    pub url: String,
    /// Its number and mode, for people.
    pub name: String,
    fleet: Arc<Mutex<Fleet>>,
}

/// Everything that runs. Fields drop in this order: hosts before what they stand on.
pub struct Cluster {
    /// The hosts.
    pub nodes: Vec<Node>,
    /// Their database.
    pub database: Database,
    /// Its server.
    pub postgres: Postgres,
    /// Their way to Redis.
    pub proxy: FaultProxy,
    /// Redis itself.
    pub redis: RwLock<Redis>,
    token: String,
}

impl Cluster {
    /// Starts everything. `agents` is where remote agents are reached.
    pub async fn start(agents: SocketAddr) -> Result<Cluster> {
        let postgres = Postgres::start_durable().await?;
        let database = postgres.database().await?;
        let client = database.client().await?;
        client.batch_execute(EYES).await?;
        if let Ok(sql) = std::env::var("GUILDHALL_CHAOS_SQL") {
            client.batch_execute(&sql).await.context("GUILDHALL_CHAOS_SQL")?;
        }
        let redis = Redis::start()?;
        let proxy = FaultProxy::start(([127, 0, 0, 1], redis.port()).into()).await?;
        let redis_url = redis
            .url()
            .replace(&format!(":{}", redis.port()), &format!(":{}", proxy.port()));
        let mut nodes = Vec::new();
        let mut token = String::new();
        for (number, mode) in MODES.into_iter().enumerate() {
            let fleet = Fleet::start(|options| {
                options
                    .with("--mode", mode)
                    .with("--database-url", database.url())
                    .with("--redis-url", &redis_url)
                    .env("SPIN_VARIABLE_EGRESS_ALLOW", agents.to_string())
                    .env("SPIN_VARIABLE_CALLBACK_SECRET", "of all three")
            })
            .await?;
            token.clone_from(&fleet.credentials().admin_token);
            nodes.push(Node {
                url: fleet.url().to_owned(),
                name: format!("host {number} ({mode})"),
                fleet: Arc::new(Mutex::new(fleet)),
            });
        }
        Ok(Cluster {
            nodes,
            database,
            postgres,
            proxy,
            redis: RwLock::new(redis),
            token,
        })
    }

    /// A client of any of the hosts.
    pub fn any(&self, rng: &mut StdRng) -> Client {
        let node = &self.nodes[rng.random_range(0..self.nodes.len())];
        Client::new(&node.url)
            .token(&self.token)
            .timeout(Duration::from_secs(12))
    }

    /// Any of the hosts' URLs, and the token that all of them take.
    pub fn any_url(&self, rng: &mut StdRng) -> (&str, &str) {
        let node = &self.nodes[rng.random_range(0..self.nodes.len())];
        (&node.url, &self.token)
    }

    /// Starts hosts again that have ended, as an operator's supervisor would, until it is aborted.
    pub fn supervise(&self) -> JoinHandle<()> {
        let fleets: Vec<Arc<Mutex<Fleet>>> = self.nodes.iter().map(|node| node.fleet.clone()).collect();
        tokio::spawn(async move {
            let mut looking = tokio::task::JoinSet::new();
            for fleet in fleets {
                looking.spawn(async move {
                    loop {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        let fleet = fleet.clone();
                        let look = move || {
                            let mut fleet = fleet.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                            if fleet.process().exit_status().is_some() {
                                // Without its database, or a strict one without Redis, it ends at once: later, then.
                                let _ = fleet.process().restart();
                            }
                        };
                        if tokio::task::spawn_blocking(look).await.is_err() {
                            return;
                        }
                    }
                });
            }
            while looking.join_next().await.is_some() {}
        })
    }
}

impl Node {
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Fleet) -> T + Send + 'static,
    ) -> Result<T> {
        let fleet = self.fleet.clone();
        tokio::task::spawn_blocking(move || {
            work(&mut fleet.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
        })
        .await
        .context("the work on a host failed")
    }

    /// SIGKILL.
    pub async fn kill(&self) -> Result<()> {
        self.with(|fleet| fleet.process().kill()).await.map(drop)
    }

    /// SIGSTOP, and SIGCONT after a time.
    pub async fn stop_for(&self, time: Duration) -> Result<()> {
        self.with(move |fleet| {
            fleet.process().freeze(true);
            std::thread::sleep(time);
            fleet.process().freeze(false);
        })
        .await
    }
}
