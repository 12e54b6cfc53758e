//! Redis is a doorbell, not a store: the main job completes without it.

use crate::target::service_binary;
use anyhow::Result;
use guildhall_testkit::Redis;
use guildhall_tests::{Hall, Pace};

#[tokio::test]
async fn the_main_job_completes_with_redis_stopped() -> Result<()> {
    let mut redis = Redis::start()?;
    let url = redis.url().to_string();
    let hall = Hall::start(
        "hardened",
        Pace::QUICK,
        service_binary(),
        &[("--redis-url", &url)],
    )
    .await?;
    redis.kill();
    let run_id = hall
        .ask("review, test and deploy branch good-change to production")
        .await?;
    let approval = hall.approval(&run_id).await?;
    hall.approve(&approval).await?;
    let run = hall.ended(&run_id).await?;
    assert_eq!(run.status(), "completed", "{:#}", run.0);
    let ready = hall.requester.get("/readyz").await?;
    assert_eq!(
        ready.status,
        200,
        "without Redis the fleet is still ready: {}",
        ready.text()
    );
    Ok(())
}
