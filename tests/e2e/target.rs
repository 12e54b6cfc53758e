//! Which fleet the tests talk to.

use anyhow::{Context, Result, anyhow};
use guildhall_testkit::Client;
use guildhall_tests::{Hall, Pace};
use serde_json::json;
use std::path::Path;
use tokio::sync::OnceCell;

/// The one address inwards that the fleet may be sent to (`egress_allow`).
pub const TRUSTED: [u8; 4] = [127, 0, 0, 2];

/// The service that the test repository deploys.
pub fn service_binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tiny-service"))
}

/// The fleet that already runs, if one was named.
fn external() -> Option<Client> {
    let url = std::env::var("GUILDHALL_E2E_URL").ok()?;
    let token = std::env::var("GUILDHALL_E2E_TOKEN").ok()?;
    Some(Client::new(url.trim_end_matches('/')).token(token))
}

/// Where the tests' own remote agents listen, which the fleet otherwise would not call.
const EGRESS: [(&str, &str); 1] = [("SPIN_VARIABLE_EGRESS_ALLOW", "127.0.0.2/32")];

/// The one fleet of all these tests. When it could not be started, each test says so at once instead of trying again.
async fn own() -> Result<&'static Hall> {
    static HALL: OnceCell<Result<Hall, String>> = OnceCell::const_new();
    let pace = Pace {
        command_s: "0",
        check_timeout_s: 3,
    };
    HALL.get_or_init(|| async {
        let started = Hall::start("strict", pace, service_binary(), &EGRESS).await;
        started.map_err(|error| format!("{error:#}"))
    })
    .await
    .as_ref()
    .map_err(|error| anyhow!("the tests' fleet did not start: {error}"))
}

/// The shared fleet with its repository; `None`, after saying that `test` is skipped, for a fleet that is not ours.
pub async fn hall(test: &str) -> Result<Option<&'static Hall>> {
    if external().is_some() {
        println!("skipped: {test}: needs a fleet over the tests' own repository");
        return Ok(None);
    }
    own().await.map(Some)
}

/// A client with an admin token, of whichever fleet.
pub async fn admin() -> Result<Client> {
    match external() {
        Some(client) => Ok(client),
        None => Ok(own().await?.fleet.admin()),
    }
}

/// A client whose token has just `scopes`; gives the token's secret as well.
pub async fn with_scopes(
    principal: &str,
    kind: &str,
    scopes: &[&str],
    ttl_s: u32,
) -> Result<(Client, String)> {
    let admin = admin().await?;
    let body = json!({ "principal": principal, "kind": kind, "scopes": scopes, "ttl_s": ttl_s });
    let reply = admin.post("/v1/tokens", &body).await?;
    let secret = reply.json()["token"].as_str().map(str::to_string);
    let secret = secret.with_context(|| format!("no token: {} {}", reply.status, reply.text()))?;
    Ok((admin.token(&secret), secret))
}
