//! Watches a critical section from outside of Postgres: who is in it, under which token.

use anyhow::Result;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How often somebody went in.
    pub entries: u64,
    /// How often somebody was inside already.
    pub overlaps: u64,
    /// How often a token was not higher than all before.
    pub not_risen: u64,
    /// How many different racers were inside.
    pub racers: std::collections::BTreeMap<SocketAddr, u64>,
    inside: u64,
    last_token: i64,
}

/// A referee that listens.
pub struct Referee {
    /// Where.
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Referee {
    /// Begins to watch.
    pub async fn start() -> Result<Referee> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, racer)) = listener.accept().await {
                tokio::spawn(watch(stream, racer, shared.clone()));
            }
        });
        Ok(Referee { address, seen })
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("no panic holds it").clone()
    }
}

async fn watch(stream: TcpStream, racer: SocketAddr, seen: Arc<Mutex<Seen>>) {
    let mut stream = BufReader::new(stream);
    let mut is_inside = false;
    loop {
        let mut line = String::new();
        let length = stream.read_line(&mut line).await.unwrap_or(0);
        {
            let mut seen = seen.lock().expect("no panic holds it");
            if is_inside {
                seen.inside -= 1;
            }
            let token = line
                .trim()
                .strip_prefix("in ")
                .and_then(|token| token.parse().ok());
            is_inside = token.is_some();
            if let Some(token) = token {
                seen.entries += 1;
                seen.overlaps += u64::from(seen.inside > 0);
                seen.not_risen += u64::from(token <= seen.last_token);
                seen.inside += 1;
                seen.last_token = seen.last_token.max(token);
                *seen.racers.entry(racer).or_default() += 1;
            }
        }
        if length == 0 || stream.write_all(b"noted\n").await.is_err() {
            return;
        }
    }
}
