//! One process of the lock race: some workers that fight for one lock over HTTP and report to the referee each time they
//! go in and out.
//!
//! `lock-racer URL RESOURCE REFEREE NAME WORKERS MILLISECONDS`; the API token is read from GUILDHALL_TOKEN.

use anyhow::{Context, Result, bail, ensure};
use guildhall_testkit::Client;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// How long a worker stays inside.
const INSIDE: Duration = Duration::from_millis(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, resource, referee, name, workers, ms] = args.as_slice() else {
        bail!("usage: lock-racer URL RESOURCE REFEREE NAME WORKERS MILLISECONDS");
    };
    let token = std::env::var("GUILDHALL_TOKEN").context("GUILDHALL_TOKEN is not set")?;
    let client = Client::new(url).token(token).timeout(Duration::from_secs(60));
    let until = Instant::now() + Duration::from_millis(ms.parse()?);
    let mut racing = Vec::new();
    for worker in 0..workers.parse::<u32>()? {
        let racer = Racer {
            client: client.clone(),
            path: format!("/v1/locks/{resource}"),
            holder: format!("{name}-{worker}"),
            referee: BufReader::new(TcpStream::connect(referee).await?),
        };
        racing.push(tokio::spawn(racer.race(until)));
    }
    for racer in racing {
        racer.await??;
    }
    Ok(())
}

struct Racer {
    client: Client,
    path: String,
    holder: String,
    referee: BufReader<TcpStream>,
}

impl Racer {
    async fn race(mut self, until: Instant) -> Result<()> {
        while Instant::now() < until {
            let body = json!({"holder": self.holder, "ttl_s": 20, "wait_s": 30, "reason": "race"});
            let taken = self.client.post(&format!("{}/acquire", self.path), &body).await?;
            if taken.status == 409 {
                continue;
            }
            ensure!(taken.status == 200, "acquire: {} {}", taken.status, taken.text());
            let token = taken.json()["lock"]["fencing_token"]
                .as_i64()
                .context("no fencing token")?;
            self.say(&format!("in {token}")).await?;
            tokio::time::sleep(INSIDE).await;
            self.say("out").await?;
            let body = json!({"holder": self.holder, "fencing_token": token});
            self.client.post(&format!("{}/release", self.path), &body).await?;
        }
        Ok(())
    }

    /// Tells the referee, and waits until it has taken note: what is inside for it is inside for us.
    async fn say(&mut self, what: &str) -> Result<()> {
        self.referee.write_all(format!("{what}\n").as_bytes()).await?;
        let mut line = String::new();
        ensure!(
            self.referee.read_line(&mut line).await? > 0,
            "the referee has gone"
        );
        Ok(())
    }
}
