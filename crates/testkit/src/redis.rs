//! A throw-away Redis.

use crate::janitor::Janitor;
use crate::resp::{self, command};
use anyhow::Context;
use guildhall_provision::{RedisOptions, os::Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A private Redis that ends with the test process.
pub struct Redis {
    instance: Option<guildhall_provision::Redis>,
    janitor: Janitor,
    url: String,
    port: u16,
}

impl Redis {
    /// Whether a Redis or Valkey binary is installed.
    pub fn available() -> bool {
        guildhall_provision::Redis::available()
    }

    /// Starts one. Fails with instructions when no binary is installed.
    pub fn start() -> anyhow::Result<Redis> {
        let janitor = Janitor::new("guildhall-redis-")?;
        let instance = guildhall_provision::Redis::start(&RedisOptions::new(janitor.dir()))
            .context("cannot start a throw-away Redis")?;
        let (url, port) = (instance.url(), instance.port());
        Ok(Redis {
            instance: Some(instance),
            janitor,
            url,
            port,
        })
    }

    /// `redis://:PASSWORD@127.0.0.1:PORT`; the same after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Publishes a message, on a connection of its own.
    pub async fn publish(&self, channel: &str, message: &[u8]) -> anyhow::Result<()> {
        let password = self
            .url
            .strip_prefix("redis://:")
            .and_then(|rest| rest.split_once('@'))
            .map_or("", |(password, _)| password);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))
            .await
            .context("cannot reach Redis")?;
        let mut text = command(&[b"AUTH", password.as_bytes()]);
        text.extend(command(&[b"PUBLISH", channel.as_bytes(), message]));
        text.extend(command(&[b"QUIT"]));
        stream.write_all(&text).await?;
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await?;
        let mut replies = Vec::new();
        while let Some(reply) = resp::take_reply(&mut said) {
            replies.push(reply);
        }
        let published = replies.get(1).is_some_and(|reply| reply.starts_with(b":"));
        anyhow::ensure!(
            published,
            "Redis did not take the message: {}",
            String::from_utf8_lossy(&replies.concat())
        );
        Ok(())
    }

    /// Kills it without notice.
    pub fn kill(&mut self) {
        if let Some(mut instance) = self.instance.take() {
            instance.signal(Signal::Kill);
        }
    }

    /// Freezes or thaws it: connections stay open and nothing answers.
    pub fn freeze(&mut self, frozen: bool) {
        if let Some(instance) = &mut self.instance {
            instance.signal(if frozen { Signal::Stop } else { Signal::Cont });
        }
    }

    /// Starts it again on the same port after [`kill`](Redis::kill).
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.instance = None;
        let instance = guildhall_provision::Redis::start(&RedisOptions::new(self.janitor.dir()))?;
        anyhow::ensure!(
            instance.port() == self.port,
            "Redis lost its port {} to another program",
            self.port
        );
        self.instance = Some(instance);
        Ok(())
    }
}
