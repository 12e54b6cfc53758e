//! `/readyz`: whether this replica can do its work, check by check. Asking also winds the ticker up, so a probe is all
//! that an idle fleet needs.

use crate::ticker;
use futures::future::join;
use guildhall_guest::{
    Ctx, Handled, Reply, hint,
    http::StatusCode,
    store::{SCHEMA_VERSION, ops},
    time::timeout,
};
use serde_json::{Value, json};
use std::time::Duration;

/// 200 `ready`, 200 `degraded` (Redis is away: everything works, events and doorbells wait) or 503 `unready`.
pub async fn readyz(ctx: Ctx) -> Handled {
    ticker::start(None);
    let (readiness, redis) = join(ops::readiness(&ctx.db()), redis()).await;
    let (database, schema) = match readiness {
        Ok(found) => (database(found.ok), schema(found.schema_version)),
        Err(error) => {
            let problem = guildhall_guest::domain::Problem::from(error);
            let told = check(false, &problem.detail, problem.hint.as_deref());
            (told, json!({"status": "unknown"}))
        }
    };
    let good = |check: &Value| check["status"] == "ok";
    let (status, code) = match (good(&database) && good(&schema), good(&redis)) {
        (true, true) => ("ready", StatusCode::OK),
        (true, false) => ("degraded", StatusCode::OK),
        (false, _) => ("unready", StatusCode::SERVICE_UNAVAILABLE),
    };
    let checks = json!({"database": database, "schema": schema, "redis": redis});
    Ok(Reply::json_status(
        code,
        &json!({"status": status, "checks": checks}),
    ))
}

fn check(good: bool, detail: &str, hint: Option<&str>) -> Value {
    if good {
        return json!({"status": "ok"});
    }
    json!({"status": "failing", "detail": detail, "hint": hint})
}

fn database(ok: bool) -> Value {
    check(
        ok,
        "The database can be read but not written.",
        Some("Connect to the primary, not a standby."),
    )
}

fn schema(found: i32) -> Value {
    let mut value = check(
        found == SCHEMA_VERSION,
        &format!("The database has schema version {found}; these components need {SCHEMA_VERSION}."),
        Some("Run `guildhall migrate` of the same version as the components."),
    );
    value["version"] = found.into();
    value
}

async fn redis() -> Value {
    let limit = Duration::from_secs(1);
    let ping = async {
        let redis = hint::connect().await?;
        redis
            .execute("PING", [])
            .await
            .map_err(|_| "Redis does not answer a PING".to_owned())
    };
    let hint = "Everything still completes; events and doorbells wait. Start Redis or correct redis_url.";
    match timeout(limit, ping).await {
        Ok(Ok(_)) => check(true, "", None),
        Ok(Err(why)) => check(false, &why, Some(hint)),
        Err(_) => check(
            false,
            &format!("Redis did not answer within {limit:?}"),
            Some(hint),
        ),
    }
}
