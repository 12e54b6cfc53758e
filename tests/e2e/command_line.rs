//! `guildhall agents`, `locks` and `requests` against a running fleet.

use crate::{registry::card, target::admin};
use anyhow::{Context, Result, ensure};
use guildhall_testkit::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a command said, and whether it succeeded.
struct Said {
    ok: bool,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_default()
    }
}

/// The command line with the admin's token.
struct Shell {
    client: Client,
}

impl Shell {
    async fn new() -> Result<Shell> {
        Ok(Shell {
            client: admin().await?,
        })
    }

    async fn run(&self, line: &[&str]) -> Result<Said> {
        let output = tokio::process::Command::new(guildhall_testkit::fleet::program()?)
            .args(line)
            .env("GUILDHALL_URL", self.client.base())
            .env("GUILDHALL_TOKEN", self.client.secret().context("a token")?)
            .env("NO_COLOR", "1")
            .output()
            .await
            .context("cannot start guildhall")?;
        Ok(Said {
            ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// What it prints when it succeeds.
    async fn ok(&self, line: &[&str]) -> Result<String> {
        let said = self.run(line).await?;
        ensure!(said.ok, "guildhall {}: {}", line.join(" "), said.err);
        Ok(said.out)
    }

    /// Its document.
    async fn json(&self, line: &[&str]) -> Result<Value> {
        let line: Vec<&str> = line.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&line).await?).with_context(|| line.join(" "))
    }
}

#[tokio::test]
async fn locks_at_the_command_line() -> Result<()> {
    let shell = Shell::new().await?;
    let name = "e2e:shell";
    let acquire = ["locks", "acquire", name, "--holder", "h", "--reason", "a test"];
    let token = shell.ok(&acquire).await?;
    assert_eq!(token, "1", "the token alone, for scripts");
    let held = shell
        .run(&["locks", "acquire", name, "--holder", "i", "--reason", "another"])
        .await?;
    assert!(!held.ok && held.out.is_empty(), "{}", held.out);
    assert!(held.err.contains("is held by"), "{}", held.err);
    let grant = ["--holder", "h", "--fencing-token", &token];
    let renew = [&["locks", "renew", name, "--ttl", "90"][..], &grant[..]].concat();
    assert_eq!(shell.ok(&renew).await?, "renewed");
    assert!(
        shell
            .ok(&["locks", "show", name])
            .await?
            .contains("under fencing token 1")
    );
    let listed = shell.json(&["locks", "list", "--held"]).await?;
    let items = listed["items"].as_array().cloned().unwrap_or_default();
    assert!(items.iter().any(|lock| lock["resource"] == name), "{listed:#}");
    let release = [&["locks", "release", name][..], &grant[..]].concat();
    assert_eq!(shell.ok(&release).await?, "released");
    let again = shell.run(&release).await?;
    assert!(!again.ok && again.err.contains("fencing token"), "{}", again.err);
    assert_eq!(shell.ok(&acquire).await?, "2");
    let forced = ["locks", "force-release", name, "--reason", "the test is over"];
    assert_eq!(shell.ok(&forced).await?, "forced");
    let history = shell.json(&["locks", "history", name]).await?;
    let ends: Vec<&str> = history["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|grant| grant["ended_how"].as_str())
        .collect();
    assert_eq!(ends, ["forced", "released"], "{history:#}");
    assert!(shell.json(&["locks", "graph"]).await?["edges"].is_array());
    assert!(shell.json(&["locks", "statistics"]).await?["grants_ended"].as_i64() >= Some(2));
    shell.ok(&["locks", "contention"]).await?;
    Ok(())
}

#[tokio::test]
async fn agents_at_the_command_line() -> Result<()> {
    let shell = Shell::new().await?;
    let file = std::env::temp_dir().join(format!("guildhall-card-{}.json", std::process::id()));
    std::fs::write(&file, card("Shell", &["polish_shells"]).to_string())?;
    let path = file.to_str().context("the path is text")?;
    let id = "e2e-shell";
    let registered = shell
        .ok(&["agents", "register", id, "--card", path, "--ttl", "300"])
        .await;
    std::fs::remove_file(&file)?;
    assert!(registered?.contains("is registered"));
    let beat = shell
        .ok(&["agents", "heartbeat", id, "--in-flight", "3", "--load", "0.5"])
        .await?;
    assert!(beat.starts_with("agent e2e-shell is active until"), "{beat}");
    shell.ok(&["agents", "status", id, "draining"]).await?;
    let shown = shell.json(&["agents", "show", id]).await?;
    assert!(shown.to_string().contains("\"draining\""), "{shown:#}");
    let found = shell
        .json(&["agents", "list", "--skill", "polish_shells"])
        .await?;
    let items = found["items"].as_array().cloned().unwrap_or_default();
    assert!(
        items.iter().all(|agent| agent["status"] == "draining"),
        "{found:#}"
    );
    shell.ok(&["agents", "status", id, "active"]).await?;
    let found = shell.json(&["agents", "search", "polishes", "shells"]).await?;
    assert_eq!(found["items"][0]["id"], id, "{found:#}");
    let card: Value = serde_json::from_str(&shell.ok(&["agents", "card", id]).await?)?;
    assert_eq!(card["name"], "Shell");
    shell.ok(&["agents", "deregister", id]).await?;
    let gone = shell.run(&["agents", "show", id]).await?;
    assert!(!gone.ok && gone.err.contains(id), "{}", gone.err);
    Ok(())
}

#[tokio::test]
async fn requests_and_dead_letters_at_the_command_line() -> Result<()> {
    let shell = Shell::new().await?;
    // An agent that has the skill and is never there: what is asked of it times out.
    let body = json!({"card": card("Mute", &["say_nothing"]), "ttl_s": 300, "status": "draining"});
    let headers = [("content-type", "application/json")];
    let reply = shell
        .client
        .send(
            "PUT",
            "/v1/agents/e2e-mute",
            &headers,
            body.to_string().into_bytes(),
        )
        .await?;
    ensure!(reply.status == 201, "{}", reply.text());
    let submit = [
        "requests",
        "submit",
        "say_nothing",
        "--input",
        "{\"n\": 1}",
        "--priority",
        "high",
    ];
    let id = shell.ok(&submit).await?;
    let shown = shell.json(&["requests", "show", &id]).await?;
    assert!(shown.to_string().contains("\"high\""), "{shown:#}");
    shell
        .ok(&["requests", "cancel", &id, "--reason", "not needed"])
        .await?;
    let again = shell.run(&["requests", "cancel", &id]).await?;
    assert!(!again.ok, "{}", again.out);
    let listed = shell.json(&["requests", "list", "--state", "cancelled"]).await?;
    assert!(listed.to_string().contains(&id), "{listed:#}");
    let unknown = shell.run(&["requests", "submit", "fly_to_the_moon"]).await?;
    assert!(
        !unknown.ok && unknown.err.contains("fly_to_the_moon"),
        "{}",
        unknown.err
    );

    let mut letters = Vec::new();
    for _ in 0..2 {
        letters.push(
            shell
                .ok(&["requests", "submit", "say_nothing", "--timeout", "1"])
                .await?,
        );
    }
    let begun = Instant::now();
    loop {
        let listed = shell.json(&["requests", "dead-letters"]).await?.to_string();
        if letters.iter().all(|id| listed.contains(id.as_str())) {
            break;
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(60),
            "no dead letters: {listed}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let reborn = shell
        .ok(&["requests", "retry", &letters[0], "--reason", "again"])
        .await?;
    assert!(!letters.contains(&reborn), "a new life has an id of its own");
    let shown = shell.json(&["requests", "show", &reborn]).await?;
    assert!(
        shown.to_string().contains(&letters[0]),
        "it says which one it retries: {shown:#}"
    );
    shell
        .ok(&["requests", "discard", &letters[1], "--reason", "enough"])
        .await?;
    for line in [
        ["requests", "retry", &letters[0]],
        ["requests", "discard", &letters[1]],
    ] {
        assert!(!shell.run(&line).await?.ok, "{line:?} a second time");
    }
    let wrong = shell
        .run(&["requests", "submit", "say_nothing", "--input", "{"])
        .await?;
    assert!(!wrong.ok && wrong.err.contains("is not JSON"), "{}", wrong.err);
    assert_eq!(wrong.json(), Value::Null);
    Ok(())
}
