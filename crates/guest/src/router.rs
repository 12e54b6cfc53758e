//! Routing: method and path to a handler, with 404, 405, HEAD and OPTIONS answered alike in every component.

use crate::{
    auth::{self, Access},
    chain,
    ctx::{Ctx, Incoming},
    path::{Params, match_path},
    reply::{GuestResponse, Reply},
    time,
    trace::{Trace, new_request_id},
};
use futures::future::LocalBoxFuture;
use guildhall_domain::{Code, Problem};
use http::{Method, StatusCode, header, request::Parts};
use spin_sdk::http::Request;
use std::{cell::Cell, future::Future, time::Duration};

/// What a handler gives: an answer or a problem, which becomes an RFC 9457 answer.
pub type Handled = Result<Reply, Problem>;

type Handler = Box<dyn Fn(Ctx) -> LocalBoxFuture<'static, Handled>>;

struct Route {
    method: Method,
    pattern: &'static str,
    access: Access,
    handler: Handler,
}

/// A component's routes.
pub struct Router {
    routes: Vec<Route>,
    seeds_ticker: bool,
}

impl Default for Router {
    fn default() -> Self {
        Router::new()
    }
}

impl Router {
    /// No routes yet. Requests that are served keep the ticker seeded.
    pub fn new() -> Router {
        Router {
            routes: Vec::new(),
            seeds_ticker: true,
        }
    }

    /// For components that need no ticker or are the ticker's own.
    pub fn without_ticker(mut self) -> Router {
        self.seeds_ticker = false;
        self
    }

    /// Adds a route. `pattern` has `{name}` for a segment to capture. More than one method may have the same pattern.
    pub fn route<F, R>(mut self, method: Method, pattern: &'static str, access: Access, handler: F) -> Router
    where
        F: Fn(Ctx) -> R + 'static,
        R: Future<Output = Handled> + 'static,
    {
        let handler: Handler = Box::new(move |ctx| Box::pin(handler(ctx)));
        self.routes.push(Route {
            method,
            pattern,
            access,
            handler,
        });
        self
    }

    /// Adds a GET route (which serves HEAD as well).
    pub fn get<F, R>(self, pattern: &'static str, access: Access, handler: F) -> Router
    where
        F: Fn(Ctx) -> R + 'static,
        R: Future<Output = Handled> + 'static,
    {
        self.route(Method::GET, pattern, access, handler)
    }

    /// Adds a POST route.
    pub fn post<F, R>(self, pattern: &'static str, access: Access, handler: F) -> Router
    where
        F: Fn(Ctx) -> R + 'static,
        R: Future<Output = Handled> + 'static,
    {
        self.route(Method::POST, pattern, access, handler)
    }

    /// Serves one request: the body of a component's `#[http_service]` function.
    pub async fn serve(self, request: Request) -> GuestResponse {
        let (parts, incoming) = request.into_parts();
        let trace = Trace::from_headers(&parts.headers, new_request_id);
        if self.seeds_ticker {
            seed_ticker();
        }
        let reply = match self.dispatch(parts, incoming, trace.clone()).await {
            Ok(reply) => reply,
            Err(problem) => {
                if problem.status >= 500 && problem.code != Code::NotConfigured.as_str() {
                    crate::log::warn(format!("request {}: {problem}", trace.request_id));
                }
                Reply::from(problem)
            }
        };
        reply.into_response(&trace)
    }

    async fn dispatch(&self, parts: Parts, incoming: Incoming, trace: Trace) -> Handled {
        let (route, params) = match self.find(&parts.method, parts.uri.path()) {
            Found::Route(route, params) => (route, params),
            Found::Answer(reply) => return Ok(reply),
            Found::Problem(problem) => return Err(problem),
        };
        let principal = auth::authorize(&route.access, &parts.headers).await?;
        let ctx = Ctx::new(parts, incoming, params, principal, trace);
        (route.handler)(ctx).await
    }

    fn find(&self, method: &Method, path: &str) -> Found<'_> {
        // A path that is spelled out is never another route's parameter, whatever the method.
        let captures = |route: &Route| route.pattern.matches('{').count();
        let matching = || {
            self.routes
                .iter()
                .filter_map(|r| match_path(r.pattern, path).map(|found| (r, found)))
        };
        let fewest = matching().map(|(route, _)| captures(route)).min();
        let fitting = || matching().filter(|(route, _)| Some(captures(route)) == fewest);
        let wanted = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        if let Some((route, params)) = fitting().find(|(route, _)| route.method == *wanted) {
            return match params {
                Ok(params) => Found::Route(route, params),
                Err(bad) => Found::Problem(
                    Problem::new(
                        Code::InvalidParameter,
                        format!(
                            "`{}` in the path is not percent-encoded UTF-8 (the {}).",
                            bad.segment, bad.name
                        ),
                    )
                    .hint("Encode every byte that is not a letter, digit, `-`, `.`, `_` or `~` as %XX."),
                ),
            };
        }
        let mut allowed: Vec<&str> = Vec::new();
        for (route, _) in fitting() {
            allowed.push(route.method.as_str());
            if route.method == Method::GET {
                allowed.push("HEAD");
            }
        }
        if allowed.is_empty() {
            return Found::Problem(
                Problem::new(Code::UnknownRoute, format!("There is nothing at {path}."))
                    .hint("docs/api.md lists every route."),
            );
        }
        allowed.push("OPTIONS");
        let allowed = allowed.join(", ");
        if *method == Method::OPTIONS {
            return Found::Answer(Reply::empty(StatusCode::NO_CONTENT).header(header::ALLOW, allowed));
        }
        let problem = Problem::new(Code::MethodNotAllowed, format!("{path} does not take {method}."))
            .hint(format!("It takes {allowed}."));
        Found::Answer(Reply::from(problem).header(header::ALLOW, allowed))
    }
}

enum Found<'a> {
    Route(&'a Route, Params),
    Answer(Reply),
    Problem(Problem),
}

/// Rings the ticker, at most every 5 s per instance: whoever uses the fleet also keeps its clockwork wound up.
fn seed_ticker() {
    thread_local! { static NEXT_NS: Cell<u64> = const { Cell::new(0) }; }
    let now = time::monotonic_ns();
    if now >= NEXT_NS.get() {
        NEXT_NS.set(now + Duration::from_secs(5).as_nanos() as u64);
        chain::spawn(async {
            if let Err(error) = chain::seed_ticker().await {
                crate::log::warn(format!("could not ring the ticker: {error}"));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn never(_: Ctx) -> Handled {
        Ok(Reply::empty(StatusCode::OK))
    }

    fn router() -> Router {
        Router::new()
            .get("/v1/locks", Access::Open, never)
            .get("/v1/locks/{resource}", Access::Open, never)
            .post("/v1/locks/{resource}/acquire", Access::Open, never)
            .route(Method::DELETE, "/v1/locks/{resource}", Access::Open, never)
            .post("/v1/locks/renew", Access::Open, never)
    }

    fn outcome(method: Method, path: &str) -> String {
        match router().find(&method, path) {
            Found::Route(route, params) => {
                format!("{} {} {:?}", route.method, route.pattern, params.get("resource"))
            }
            Found::Answer(reply) => format!("{}", reply.status().as_u16()),
            Found::Problem(problem) => problem.code,
        }
    }

    #[test]
    fn a_request_finds_its_route_or_a_precise_refusal() {
        for (method, path, wanted) in [
            (Method::GET, "/v1/locks", "GET /v1/locks None"),
            (
                Method::HEAD,
                "/v1/locks/a%2Fb",
                "GET /v1/locks/{resource} Some(\"a/b\")",
            ),
            (
                Method::DELETE,
                "/v1/locks/a",
                "DELETE /v1/locks/{resource} Some(\"a\")",
            ),
            (
                Method::POST,
                "/v1/locks/a/acquire",
                "POST /v1/locks/{resource}/acquire Some(\"a\")",
            ),
            (Method::POST, "/v1/locks", "405"),
            (Method::OPTIONS, "/v1/locks", "204"),
            (Method::HEAD, "/v1/locks/a/acquire", "405"),
            (Method::POST, "/v1/locks/renew", "POST /v1/locks/renew None"),
            (Method::GET, "/v1/locks/renew", "405"),
            (Method::GET, "/v1/locks/a/b", "unknown_route"),
            (Method::GET, "/v1/locks/%zz", "invalid_parameter"),
        ] {
            assert_eq!(outcome(method.clone(), path), wanted, "{method} {path}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let Found::Answer(reply) = router().find(&Method::PUT, "/v1/locks/a") else {
            panic!("405 expected");
        };
        let response = reply.into_response(&Trace {
            request_id: "r".into(),
            traceparent: None,
        });
        assert_eq!(response.headers()["allow"], "GET, HEAD, DELETE, OPTIONS");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
