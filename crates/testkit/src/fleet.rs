//! Whole fleets for end-to-end and chaos tests: the real `guildhall up` in a directory of its own.

use crate::client::Client;
use crate::janitor::Janitor;
use anyhow::Context;
use guildhall_provision::FleetOptions;
use guildhall_provision::fleet::Credentials;
use std::path::{Path, PathBuf};

/// A fleet that ends with the test process.
pub struct Fleet {
    // Fields drop in this order: first the fleet ends, then its directory goes.
    fleet: guildhall_provision::Fleet,
    _janitor: Janitor,
    credentials: Credentials,
}

impl Fleet {
    /// Starts `guildhall up` on a free port with a fresh state directory. `adjust` adds arguments, for example
    /// `|options| options.with("--mode", "strict").with("--repo", path)`.
    pub async fn start(adjust: impl FnOnce(FleetOptions) -> FleetOptions) -> anyhow::Result<Fleet> {
        let janitor = Janitor::new("guildhall-fleet-")?;
        let options = adjust(FleetOptions::new(program()?, janitor.dir(), project_root()));
        tokio::task::spawn_blocking(move || {
            let fleet = guildhall_provision::Fleet::start(options)?;
            let credentials = fleet.credentials()?;
            Ok(Fleet {
                fleet,
                _janitor: janitor,
                credentials,
            })
        })
        .await?
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        self.fleet.url()
    }

    /// Its state directory.
    pub fn state_dir(&self) -> &Path {
        self.fleet.state_dir()
    }

    /// Its secrets.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A client with the admin token.
    pub fn admin(&self) -> Client {
        Client::new(self.url()).token(&self.credentials.admin_token)
    }

    /// Makes a token for a principal and returns a client with it. `kind` is `person` or `service`.
    pub async fn client(&self, principal: &str, kind: &str, scopes: &[&str]) -> anyhow::Result<Client> {
        let body = serde_json::json!({"principal": principal, "kind": kind, "scopes": scopes, "ttl_s": 3600});
        let reply = self.admin().post("/v1/tokens", &body).await?;
        anyhow::ensure!(
            reply.status == 201,
            "cannot make a token: {} {}",
            reply.status,
            reply.text()
        );
        let token = reply.json()["token"]
            .as_str()
            .context("the answer has a token")?
            .to_string();
        Ok(Client::new(self.url()).token(token))
    }

    /// The process behind it: kill, freeze, stop, restart. These block for as long as they take.
    pub fn process(&mut self) -> &mut guildhall_provision::Fleet {
        &mut self.fleet
    }
}

/// The root of the repository that this was built from.
pub fn project_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the repository is still there")
}

/// The `guildhall` program: `GUILDHALL_BIN`, else the one beside the test's own build.
pub fn program() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("GUILDHALL_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe().context("cannot find the test's own program")?;
    let beside = test
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("guildhall"))
        .find(|path| path.exists());
    beside.context("there is no guildhall program beside the tests; run `cargo build -p guildhall-cli` first")
}
