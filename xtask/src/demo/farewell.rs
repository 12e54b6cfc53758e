//! Stops the service that the demo deployed. A deployed service outlives the fleet on purpose, so it has to be asked for:
//! under the environment's lock, as the infrastructure agent would.

use anyhow::{Context, ensure};
use guildhall_provision::fleet::Credentials;
use guildhall_testkit::Client;
use serde_json::{Value, json};

const ENVIRONMENT: &str = "production";

/// Stops the service of the demo's environment.
pub fn stop_service(credentials: &Credentials) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let hall = Client::new(&credentials.url).token(&credentials.admin_token);
        let resource = format!("deployment:{ENVIRONMENT}");
        let route = format!("/v1/locks/deployment%3A{ENVIRONMENT}");
        let wanted = json!({ "holder": "demo", "ttl_s": 30, "reason": "the demo is over" });
        let lock = hall.post(&format!("{route}/acquire"), &wanted).await?;
        ensure!(
            lock.status == 200,
            "cannot take the lock {resource}: {}",
            lock.text()
        );
        let token = lock.json()["lock"]["fencing_token"].clone();
        let arguments = json!({
            "environment": ENVIRONMENT,
            "idempotency_key": format!("demo-stop-{token}"),
            "fencing_token": token,
            "resource": resource,
        });
        call(credentials, "service_stop", &arguments).await?;
        let release = json!({ "holder": "demo", "fencing_token": token });
        let released = hall.post(&format!("{route}/release"), &release).await?;
        ensure!(
            released.status == 200,
            "cannot release the lock {resource}: {}",
            released.text()
        );
        Ok(())
    })
}

/// Calls a tool of the workspace.
async fn call(credentials: &Credentials, tool: &str, arguments: &Value) -> anyhow::Result<Value> {
    let message = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": { "name": tool, "arguments": arguments },
    });
    let workspace = Client::new(&credentials.workspace_url).token(&credentials.workspace_token);
    let headers = [
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    let reply = workspace
        .send("POST", "/mcp", &headers, message.to_string().into_bytes())
        .await?;
    let answer = reply.json();
    let failed = answer["result"]["isError"].as_bool() == Some(true) || !answer["error"].is_null();
    ensure!(
        reply.status == 200 && !failed,
        "the tool {tool} failed: {}",
        reply.text()
    );
    answer
        .get("result")
        .cloned()
        .context("the tool's answer has no result")
}
