//! `[[trigger.http]]` and `[[trigger.redis]]`.

use super::{HttpTrigger, RedisTrigger, Route, Section};
use crate::error::{ErrorKind, HostError, Result};

const HTTP_TRIGGER_REFUSED: &[(&str, &str)] = &[
    ("static_response", "serve the response from a component"),
    ("components", "name a single `component`"),
    (
        "dependencies",
        "compose middleware into the component before it is named here",
    ),
];

/// Reads all triggers out of the manifest's root.
pub(super) fn triggers(root: &mut Section) -> Result<(Vec<HttpTrigger>, Vec<RedisTrigger>)> {
    let Some(mut section) = root.section("trigger")? else {
        return Err(root
            .invalid("[[trigger]]", "the application has no trigger")
            .hint("declare a [[trigger.http]]"));
    };
    let http = section
        .array("http")?
        .into_iter()
        .map(http_trigger)
        .collect::<Result<_>>()?;
    let redis = section
        .array("redis")?
        .into_iter()
        .map(redis_trigger)
        .collect::<Result<_>>()?;
    section.finish(&[
        ("mqtt", "the host has HTTP and Redis triggers"),
        ("command", "the host has HTTP and Redis triggers"),
        ("cron", "the host has HTTP and Redis triggers"),
        ("sqs", "the host has HTTP and Redis triggers"),
    ])?;
    Ok((http, redis))
}

fn http_trigger(mut s: Section) -> Result<HttpTrigger> {
    s.string("id")?;
    let component = trigger_component(&mut s)?;
    let route = match s.take("route") {
        Some(toml::Value::String(route)) => Route::Public(route),
        Some(toml::Value::Table(t))
            if t.len() == 1 && t.get("private") == Some(&toml::Value::Boolean(true)) =>
        {
            Route::Private
        }
        Some(_) => return Err(route_error(&s, "must be a path pattern or `{ private = true }`")),
        None => return Err(route_error(&s, "is missing")),
    };
    if let Some(mut executor) = s.section("executor")? {
        match executor.string("type")?.as_deref() {
            None | Some("http") => executor.finish(&[])?,
            Some(other) => {
                return Err(HostError::new(
                    ErrorKind::Unsupported,
                    executor.place("type"),
                    format!("the executor {other:?} is not supported"),
                )
                .hint("build the component with spin-sdk 7 and leave the executor out"));
            }
        }
    }
    let place = s.here();
    s.finish(HTTP_TRIGGER_REFUSED)?;
    Ok(HttpTrigger {
        place,
        component,
        route,
    })
}

fn route_error(s: &Section, cause: &str) -> HostError {
    HostError::new(ErrorKind::Route, s.place("route"), cause)
        .hint("write `route = \"/path/...\"`, `\"/path/:name\"` or `{ private = true }`")
}

fn redis_trigger(mut s: Section) -> Result<RedisTrigger> {
    s.string("id")?;
    let component = trigger_component(&mut s)?;
    let channel = s.required_string("channel")?;
    let address = s.string("address")?;
    let place = s.here();
    s.finish(&[])?;
    Ok(RedisTrigger {
        place,
        component,
        channel,
        address,
    })
}

fn trigger_component(s: &mut Section) -> Result<String> {
    match s.take("component") {
        Some(toml::Value::String(id)) => Ok(id),
        Some(toml::Value::Table(_)) => Err(HostError::new(
            ErrorKind::Unsupported,
            s.place("component"),
            "a component written inside its trigger is not supported",
        )
        .hint("declare it as [component.ID] and name the ID here")),
        Some(_) => Err(s.invalid("component", "must be the id of a component")),
        None => Err(s.invalid("component", "is missing")),
    }
}
