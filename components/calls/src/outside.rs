//! The wire: requests go out through the runtime, which lets them reach only what `allowed_outbound_hosts` lists.

use guildhall_guest::{
    client::{Call, CallError, Cause},
    domain::Problem,
    http::{HeaderName, Method},
    random_u64,
    time::monotonic_ns,
    vars,
};
use guildhall_outbound::{Failure, Request, Response, Secrets, Wire};
use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, SystemTime},
};

/// The outside.
pub struct Outside;

impl Wire for Outside {
    async fn send(&self, request: Request) -> Result<Response, Failure> {
        let unfit = |what: &str| Failure::NotSent(format!("its {what} cannot be sent"));
        let method: Method = request.method.parse().map_err(|_| unfit("method"))?;
        let mut call = Call::new(method, request.uri)
            .limit(Duration::from_millis(request.limit_ms))
            .max_answer(request.max_answer)
            .body(request.body);
        for (name, value) in request.headers {
            let name: HeaderName = name.parse().map_err(|_| unfit("header"))?;
            call = call.header(name, value);
        }
        let answer = call.send().await.map_err(failure)?;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Ok(Response {
            status: answer.status,
            headers: answer
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
                .collect(),
            body: answer.body.into(),
        })
    }

    fn random(&self) -> u64 {
        random_u64()
    }

    fn unix_seconds(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    fn elapsed_ms(&self) -> u64 {
        monotonic_ns() / 1_000_000
    }
}

fn failure(error: CallError) -> Failure {
    match (error.cause, error.sent) {
        (Cause::NotAllowed, _) => Failure::NotAllowed,
        (Cause::Blocked, _) => Failure::Blocked,
        (Cause::TimedOut, _) => Failure::TimedOut,
        (Cause::TooLarge, _) => Failure::TooLarge,
        (Cause::Other, true) => Failure::NoAnswer(error.why),
        (Cause::Other, false) => Failure::NotSent(error.why),
    }
}

/// The secrets that workflows may name: read once, like every variable. The error never says what is in them.
pub async fn secrets() -> Result<Rc<Secrets>, String> {
    thread_local! { static READ: RefCell<Option<Rc<Secrets>>> = const { RefCell::new(None) }; }
    if let Some(secrets) = READ.with_borrow(Clone::clone) {
        return Ok(secrets);
    }
    let text = vars::optional("workflow_secrets")
        .await
        .map_err(|problem: Problem| problem.detail)?;
    let secrets = Secrets::parse(&text.unwrap_or_default())
        .map_err(|why| format!("The variable workflow_secrets cannot be read: {why}."))?;
    let secrets = Rc::new(secrets);
    READ.with_borrow_mut(|read| *read = Some(secrets.clone()));
    Ok(secrets)
}
