//! Applications made of the fixture guests, started inside the test.

use std::path::{Path, PathBuf};

use guildhall_host::{Host, HostError, HostOptions, LogSink, Mode, RunningHost};
use guildhall_testkit::{Client, Reply};
use serde_json::Value;
use tempfile::TempDir;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Both ways to run, for tests of what they share.
pub const MODES: [Mode; 2] = [Mode::Strict, Mode::Hardened];

/// The file of a fixture guest.
pub fn guest(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let path = target.join("wasm32-wasip2/release").join(format!("{name}.wasm"));
    assert!(
        path.exists(),
        "{} is missing; build it first: cargo build --release --target wasm32-wasip2 -p probe -p listener",
        path.display()
    );
    path
}

/// A folder with a manifest in it.
pub struct Folder(TempDir);

impl Folder {
    /// A manifest of the given body; `{probe}` and `{listener}` stand for the guests' files.
    pub fn new(body: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let body = body
            .replace("{probe}", guest("probe").to_str().expect("UTF-8"))
            .replace("{listener}", guest("listener").to_str().expect("UTF-8"));
        let text = format!("spin_manifest_version = 2\n[application]\nname = \"test\"\n{body}");
        std::fs::write(folder.path().join("spin.toml"), text).expect("the manifest is written");
        // Compiled once for all tests.
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        std::fs::create_dir_all(&cache).expect("a folder for compiled guests");
        std::os::unix::fs::symlink(cache, folder.path().join("cache")).expect("a link to it");
        Self(folder)
    }

    pub fn options(&self, mode: Mode) -> HostOptions {
        HostOptions {
            mode,
            state_dir: self.0.path().into(),
            log: LogSink::Files,
            ..HostOptions::new(self.0.path().join("spin.toml"))
        }
    }

    /// What a component has written to its standard output and error.
    pub fn log(&self, component: &str) -> String {
        std::fs::read_to_string(self.0.path().join("logs").join(format!("{component}.log")))
            .unwrap_or_default()
    }

    /// Waits until the log of `component` holds `text`.
    pub async fn await_log(&self, component: &str, text: &str) {
        eventually(&format!("{text:?} in the log of {component}"), async || {
            self.log(component).contains(text)
        })
        .await;
    }
}

/// An application that is running.
pub struct App {
    pub folder: Folder,
    pub running: RunningHost,
    pub client: Client,
}

impl App {
    /// Starts the application of `body` in `mode`.
    pub async fn start(body: &str, mode: Mode) -> Self {
        Self::start_with(body, mode, |_| {}).await
    }

    /// Starts it with options changed by `adjust`.
    pub async fn start_with(body: &str, mode: Mode, adjust: impl FnOnce(&mut HostOptions)) -> Self {
        Self::try_start_with(body, mode, adjust)
            .await
            .expect("the application starts")
    }

    pub async fn try_start_with(
        body: &str,
        mode: Mode,
        adjust: impl FnOnce(&mut HostOptions),
    ) -> Result<Self, HostError> {
        // `RUST_LOG=warn` shows what the host says meanwhile.
        let quiet = EnvFilter::builder()
            .with_default_directive(LevelFilter::OFF.into())
            .from_env_lossy();
        // Every test tries; one succeeds.
        let _ = tracing_subscriber::fmt().with_env_filter(quiet).try_init();
        let folder = Folder::new(body);
        let mut options = folder.options(mode);
        adjust(&mut options);
        let running = Host::start(options).await?;
        let client = Client::new(format!("http://{}", running.address()));
        Ok(Self {
            folder,
            running,
            client,
        })
    }

    /// The probe alone, at every path.
    pub async fn probe(mode: Mode) -> Self {
        Self::start(&probe(""), mode).await
    }

    /// The JSON answer of a GET that succeeds.
    pub async fn get(&self, path: &str) -> Value {
        success(path, self.client.get(path).await.expect("an answer"))
    }

    /// The JSON answer of a POST that succeeds.
    pub async fn post(&self, path: &str, body: &str) -> Value {
        success(path, self.send(path, body).await)
    }

    /// The answer of a POST.
    pub async fn send(&self, path: &str, body: &str) -> Reply {
        self.client
            .send("POST", path, &[], body.into())
            .await
            .expect("an answer")
    }
}

fn success(path: &str, reply: Reply) -> Value {
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

/// A manifest of the probe at every path, with `more` keys in its component's table.
pub fn probe(more: &str) -> String {
    format!(
        "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"probe\"\n[component.probe]\nsource = \"{{probe}}\"\n{more}\n"
    )
}

/// Waits for `condition`; a test that waits in vain says for what.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if condition().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("waited in vain for {what}");
}
