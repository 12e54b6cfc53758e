//! What every fleet shows of itself.

use crate::target::admin;
use anyhow::Result;

#[tokio::test]
async fn health_and_the_card_need_no_token() -> Result<()> {
    let nobody = admin().await?.token("");
    for path in ["/livez", "/readyz", "/.well-known/agent-card.json"] {
        let reply = nobody.get(path).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    assert!(nobody.get("/.well-known/agent-card.json").await?.json()["skills"].is_array());
    Ok(())
}

#[tokio::test]
async fn six_agents_register_themselves() -> Result<()> {
    let admin = admin().await?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let agents = admin.get("/v1/agents?limit=200").await?.json();
        let items = agents["items"].as_array().cloned().unwrap_or_default();
        let mut active: Vec<_> = items
            .iter()
            .filter(|a| a["kind"] == "fleet" && a["status"] == "active")
            .filter_map(|a| a["id"].as_str())
            .collect();
        active.sort_unstable();
        if active
            == [
                "cicd",
                "code-review",
                "documentation",
                "feature-dev",
                "infrastructure",
                "orchestrator",
            ]
        {
            return Ok(());
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the fleet's agents are {agents:#}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn metrics_are_a_prometheus_exposition_with_figures() -> Result<()> {
    let reply = admin().await?.get("/metrics").await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    assert!(
        reply
            .header("content-type")
            .is_some_and(|value| value.starts_with("text/plain; version=0.0.4"))
    );
    let families: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    for sample in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let name = sample.split(['{', ' ']).next().unwrap_or_default();
        assert!(
            families.iter().any(|family| name.starts_with(family)),
            "no TYPE for {sample}"
        );
        let value = sample.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "no figure in {sample}");
    }
    for wanted in [
        "guildhall_agents",
        "guildhall_runs",
        "guildhall_approvals",
        "guildhall_locks",
        "guildhall_outbox",
    ] {
        assert!(
            families.iter().any(|family| family.starts_with(wanted)),
            "no {wanted}* among {families:?}"
        );
    }
    Ok(())
}
