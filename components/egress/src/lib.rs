//! The only component that reaches addresses which others gave: probes of remote agents, callbacks, requests to remote
//! agents. It follows no redirect, reads no more than it was told to, and hands a body on only to who wants one.

use guildhall_guest::{
    Access, Ctx, GuestResponse, Handled, Reply, Request, Router,
    client::{Call, Cause},
    domain::{
        Code, Problem,
        egress::{self, Allowed},
    },
    egress::{Errand, Fetched},
    http::{HeaderName, Method},
    time::monotonic_ns,
    vars,
};
use spin_sdk::http_service;
use std::time::Duration;

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    Router::new()
        .without_ticker()
        .post("/internal/fetch", Access::Internal, fetch)
        .serve(request)
        .await
}

async fn fetch(mut ctx: Ctx) -> Handled {
    let errand: Errand = ctx.json().await?;
    let allowed = vars::optional("egress_allow").await?.unwrap_or_default();
    let allowed = Allowed::parse(&allowed).map_err(|why| {
        Problem::new(Code::NotConfigured, why)
            .hint("Correct the variable egress_allow (SPIN_VARIABLE_EGRESS_ALLOW).")
    })?;
    Ok(Reply::json(&run(errand, &allowed).await))
}

async fn run(errand: Errand, allowed: &Allowed) -> Fetched {
    if let Err(refusal) = egress::check(&errand.url, allowed) {
        return Fetched::refused(refusal.reason, refusal.detail);
    }
    let call = match build(&errand) {
        Ok(call) => call,
        Err(why) => return Fetched::refused("malformed", why),
    };
    let began = monotonic_ns();
    match call.send().await {
        Ok(answer) => Fetched::Answered {
            status: answer.status,
            elapsed_ms: (monotonic_ns() - began) / 1_000_000,
            body: errand
                .want_body
                .then(|| String::from_utf8_lossy(&answer.body).into_owned()),
        },
        Err(error) if matches!(error.cause, Cause::NotAllowed | Cause::Blocked) => {
            Fetched::refused("address_not_allowed", error.why)
        }
        Err(error) => Fetched::Failed {
            reason: if error.sent { "no_answer" } else { "not_reached" }.into(),
            detail: error.why,
        },
    }
}

fn build(errand: &Errand) -> Result<Call, String> {
    let method: Method = errand
        .method
        .parse()
        .map_err(|_| format!("`{}` is no method", errand.method))?;
    if ![
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
    ]
    .contains(&method)
    {
        return Err(format!("`{method}` is not sent from here"));
    }
    let mut call = Call::new(method, errand.url.as_str())
        .limit(Duration::from_millis(errand.limit_ms.clamp(1, 600_000)))
        .max_answer(errand.max_bytes.min(8 * 1024 * 1024));
    for (name, value) in &errand.headers {
        let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header name"))?;
        // The connection's own headers, and those that another component of this application would believe.
        let own = [
            "host",
            "connection",
            "content-length",
            "transfer-encoding",
            "upgrade",
            "te",
            "trailer",
        ];
        if own.contains(&name.as_str())
            || name.as_str().starts_with("spin-")
            || name.as_str().starts_with("proxy-")
        {
            return Err(format!("the header `{name}` is not sent from here"));
        }
        call = call.header(name, value.as_str());
    }
    Ok(match &errand.body {
        Some(body) => call.body(body.clone()),
        None => call,
    })
}
